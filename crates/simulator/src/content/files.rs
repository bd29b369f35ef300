//! Content of files that the user names: sound as WAV, pictures as MP4, H.264, JPG or PNG, words as WebVTT or SRT.
//!
//! Every error names the file, what is wrong with it and what would be right; all files are looked at before anything is
//! said. A file is read as a whole and is refused beyond [`MOST_BYTES`]: what is played is rendered in memory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::captions::{self, Caption, CaptionError};
use super::clip::{Clip, ClipError};
use super::mp4::{self, Mp4Error};
use super::wav::{self, WavError};
use super::{Content, Footage};

/// Most that is read of one file: 45 minutes of stereo at 48 kHz.
pub const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// What the user names. What is not named is not played.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// One for each voice; a single one is the mix of all.
    pub audio: Vec<PathBuf>,
    /// One moving picture, images, or both.
    pub video: Vec<PathBuf>,
    /// The same for a shared screen.
    pub share: Vec<PathBuf>,
    /// Who says what.
    pub transcript: Option<PathBuf>,
    /// Who writes what.
    pub chat: Option<PathBuf>,
}

/// A file that cannot be played.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct FileError {
    /// Which.
    pub file: PathBuf,
    /// What is wrong, and what would be right.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// It is too large.
    #[error("{0} bytes; at most {MOST_BYTES} are played, so cut it into shorter ones")]
    Large(u64),
    /// A sound that is not played.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// Words that do not parse.
    #[error(transparent)]
    Captions(#[from] CaptionError),
    /// Words that are no text.
    #[error("not UTF-8 text")]
    NotText,
    /// Pictures that do not parse.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// An MP4 that is not played.
    #[error(transparent)]
    Mp4(#[from] Mp4Error),
    /// The times of an H.264 file are missing.
    #[error("needs {} beside it, with the ms of each picture, one a line; or give an MP4", .0.display())]
    Times(PathBuf),
    /// A name that tells of no picture.
    #[error("not a picture by its name; needed is .mp4, .h264, .jpg or .png")]
    Unknown,
    /// Its bytes are not what its name says.
    #[error("not a {0} by its first bytes")]
    Image(&'static str),
    /// A second moving picture.
    #[error("a second moving picture; one MP4 or H.264 file and any number of images can be shown")]
    Second,
}

impl Files {
    /// Whether none is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names of the voices: those of their files, without folder and ending.
    #[must_use]
    pub fn voices(&self) -> Vec<String> {
        let stem = |file: &PathBuf| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.audio.iter().map(stem).collect()
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// Each file that cannot be played.
    pub fn read(&self) -> Result<Content, Vec<FileError>> {
        let mut wrong = Vec::new();
        let mut content = Content::default();
        for file in &self.audio {
            content.voices.extend(noted(file, sound(file), &mut wrong));
        }
        if let Some(file) = &self.transcript {
            content.captions = noted(file, words(file), &mut wrong).unwrap_or_default();
        }
        if let Some(file) = &self.chat {
            content.chat = noted(file, words(file), &mut wrong).unwrap_or_default();
        }
        if !self.video.is_empty() {
            content.cameras = vec![footage(&self.video, &mut wrong)];
        }
        content.screen = footage(&self.share, &mut wrong);
        if wrong.is_empty() { Ok(content) } else { Err(wrong) }
    }
}

fn noted<T>(file: &Path, read: Result<T, Problem>, wrong: &mut Vec<FileError>) -> Option<T> {
    read.map_err(|problem| wrong.push(FileError { file: file.to_owned(), problem })).ok()
}

fn bytes(file: &Path) -> Result<Vec<u8>, Problem> {
    let length = std::fs::metadata(file)?.len();
    if length > MOST_BYTES {
        return Err(Problem::Large(length));
    }
    Ok(std::fs::read(file)?)
}

fn text(file: &Path) -> Result<String, Problem> {
    String::from_utf8(bytes(file)?).map_err(|_| Problem::NotText)
}

fn sound(file: &Path) -> Result<super::Sound, Problem> {
    Ok(wav::parse(&bytes(file)?)?)
}

fn words(file: &Path) -> Result<Vec<Caption>, Problem> {
    Ok(captions::parse(&text(file)?)?)
}

fn footage(files: &[PathBuf], wrong: &mut Vec<FileError>) -> Footage {
    let mut footage = Footage::default();
    for file in files {
        noted(file, add_picture(&mut footage, file), wrong);
    }
    footage
}

fn add_picture(footage: &mut Footage, file: &Path) -> Result<(), Problem> {
    let ending = file.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "jpg" | "jpeg" => footage.jpg.push(image(file, "JPG", b"\xff\xd8\xff")?),
        "png" => footage.png.push(image(file, "PNG", b"\x89PNG\r\n\x1a\n")?),
        "mp4" | "m4v" | "mov" | "h264" | "264" if footage.h264.is_some() => return Err(Problem::Second),
        "mp4" | "m4v" | "mov" => footage.h264 = Some(mp4::parse(&bytes(file)?)?),
        "h264" | "264" => footage.h264 = Some(raw_h264(file)?),
        _ => return Err(Problem::Unknown),
    }
    Ok(())
}

fn image(file: &Path, name: &'static str, begin: &[u8]) -> Result<Bytes, Problem> {
    let bytes = bytes(file)?;
    if bytes.starts_with(begin) { Ok(bytes.into()) } else { Err(Problem::Image(name)) }
}

fn raw_h264(file: &Path) -> Result<Clip, Problem> {
    let beside = file.with_extension("times");
    let clip = bytes(file)?;
    let times = match text(&beside) {
        Err(Problem::Read(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Problem::Times(beside));
        }
        times => times?,
    };
    Ok(Clip::parse(&clip, &times)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
    }

    #[test]
    fn what_is_named_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("clip.h264");
        std::fs::copy(asset("clip.h264"), &clip).unwrap();
        std::fs::copy(asset("clip_times.txt"), folder.path().join("clip.times")).unwrap();
        let files = Files {
            audio: vec![asset("conversation_left.wav")],
            video: vec![clip, asset("camera_1.jpg"), asset("camera_2.jpg"), asset("camera_1.png")],
            transcript: Some(asset("conversation.vtt")),
            ..Files::default()
        };
        let content = files.read().unwrap();
        assert_eq!((content.voices.len(), content.captions.len(), content.chat.len()), (1, 9, 0));
        let camera = &content.cameras[0];
        assert_eq!(
            (camera.h264.as_ref().unwrap().pictures.len(), camera.jpg.len(), camera.png.len()),
            (108, 2, 1)
        );
        assert_eq!(files.voices(), ["conversation_left"]);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.wav"), "no sound").unwrap();
        std::fs::write(path("b.h264"), "").unwrap();
        std::fs::write(path("c.jpg"), "").unwrap();
        std::fs::write(path("d.vtt"), [0xff]).unwrap();
        let files = Files {
            audio: vec![path("a.wav"), path("gone.wav")],
            video: vec![path("b.h264"), path("c.jpg"), path("d.avi")],
            share: vec![asset("screen_1.png")],
            transcript: Some(path("d.vtt")),
            chat: Some(asset("README.md")),
        };
        let lines: Vec<String> = files.read().unwrap_err().iter().map(ToString::to_string).collect();
        let says = |name: &str, what: &str| {
            assert!(
                lines.iter().any(|line| line.contains(name) && line.contains(what)),
                "{name} {what}: {lines:#?}"
            );
        };
        says("a.wav", "not a WAV file");
        says("gone.wav", "cannot be read");
        says("b.h264", "b.times");
        says("c.jpg", "not a JPG");
        says("d.avi", "needed is .mp4");
        says("d.vtt", "not UTF-8");
        says("README.md", "WebVTT");
        assert_eq!(lines.len(), 7);
    }
}
