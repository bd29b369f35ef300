//! JPEG or PNG pictures as numbered image files, where they are wanted so.
//!
//! `NAME/000001_0.jpg`, `NAME/000002_1000.jpg`, …: number, and ms after the first one. Beside the folder lies
//! `NAME.jsonl`, one line an image with its SHA-256: the track's file in the manifest, so that the hash of one file
//! vouches for all, and a manifest stays small however long the call. An image appears whole, under its final name, as
//! it comes; its line follows with the flush. After a crash the lines that are missing are made from the images.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use rtms_protocol::VideoCodec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::image;
use crate::error::RecordError;
use crate::files::{Durability, create_private_folder, remove, replace};
use crate::names::Claimed;
use crate::text::append::AppendFile;

/// Duration of an image of which nothing better is known, and the longest of a last one, ms.
const LAST_MS: u64 = 1_000;
/// Largest image that is read back, bytes; messages are smaller.
const IMAGE_BYTES: u64 = 32 * 1024 * 1024;

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    number: u64,
    /// Name in the folder.
    file: String,
    /// After the first image.
    ms: u64,
    width: u32,
    height: u32,
    bytes: u64,
    sha256: String,
}

/// Writes one folder of images.
#[derive(Debug)]
pub(crate) struct ImageFolder {
    codec: VideoCodec,
    folder: PathBuf,
    list: AppendFile,
    images: u64,
    last_at: Option<u64>,
    last_ms: u64,
}

impl ImageFolder {
    /// Begins a folder beside the claimed list.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn create(claimed: Claimed, codec: VideoCodec) -> Result<Self, RecordError> {
        let folder = folder_of(&claimed.path);
        let list = AppendFile::new(claimed);
        if let Err(error) = create_private_folder(&folder) {
            list.discard();
            return Err(RecordError::io("create folder", &folder)(error));
        }
        Ok(Self { codec, folder, list, images: 0, last_at: None, last_ms: LAST_MS })
    }

    /// Goes on with a folder after a restart. Also returns how many bytes its images have.
    ///
    /// # Errors
    /// It cannot be read, or the list is not one of ours.
    pub(crate) fn resume(
        path: PathBuf,
        relative: String,
        codec: VideoCodec,
    ) -> Result<(Self, u64), RecordError> {
        let folder = folder_of(&path);
        let mut list = AppendFile::resume(path, relative)?;
        let listed = read_list(list.path())?;
        list.cut(listed.end)?;
        create_private_folder(&folder).map_err(RecordError::io("create folder", &folder))?;
        let mut images = Self {
            codec,
            folder,
            list,
            images: listed.last.as_ref().map_or(0, |line| line.number),
            last_at: listed.last.as_ref().map(|line| line.ms),
            last_ms: LAST_MS,
        };
        let unlisted = images.list_the_rest()?;
        Ok((images, listed.bytes + unlisted))
    }

    pub(crate) fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// The list, relative to the data folder.
    pub(crate) fn relative(&self) -> &str {
        self.list.relative()
    }

    /// How many images there are.
    pub(crate) fn images(&self) -> u64 {
        self.images
    }

    /// When the last image is shown, ms after the first.
    pub(crate) fn last_at(&self) -> Option<u64> {
        self.last_at
    }

    /// Length so far, ms, the last image included.
    pub(crate) fn duration_ms(&self) -> u64 {
        self.last_at.map_or(0, |at| at + self.last_ms)
    }

    /// Takes an image shown at `at` (ms after the first, later than the last one).
    ///
    /// # Errors
    /// The disk refused; the image is lost.
    pub(crate) fn push(&mut self, at: u64, size: (u32, u32), picture: &[u8]) -> Result<(), RecordError> {
        let number = self.images + 1;
        let file = format!("{number:06}_{at}.{}", extension(self.codec));
        replace(&self.folder.join(&file), picture, Durability::Process)?;
        self.note(&line(number, file, at, size, picture));
        Ok(())
    }

    /// Writes the lines of all images.
    ///
    /// # Errors
    /// The disk refused; the lines wait.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        self.list.flush()
    }

    /// Brings the images to the disk for good.
    ///
    /// # Errors
    /// The disk refused; they are all there all the same.
    pub(crate) fn finish(&mut self) -> Result<(), RecordError> {
        self.flush()?;
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_data());
        for_each_image(&self.folder, |path, _| sync(path))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(RecordError::io("sync", &self.folder))
    }

    fn note(&mut self, line: &Line) {
        self.images = line.number;
        self.last_ms = self.last_at.map_or(LAST_MS, |last| line.ms.saturating_sub(last).clamp(1, LAST_MS));
        self.last_at = Some(line.ms);
        if let Ok(mut json) = serde_json::to_string(line) {
            json.push('\n');
            // A list that cannot grow for hours is made whole by the next process.
            self.list.push(&json);
        }
    }

    /// Lists the images that came after the last line, in their order; one that is not whole is removed.
    fn list_the_rest(&mut self) -> Result<u64, RecordError> {
        let mut rest = Vec::new();
        let known = self.images;
        for_each_image(&self.folder, |path, named| {
            if named.number > known {
                rest.push((named, path.to_path_buf()));
            }
            Ok(())
        })
        .map_err(RecordError::io("read", &self.folder))?;
        rest.sort_unstable();
        let mut bytes = 0;
        for (named, path) in rest {
            let whole = named.number == self.images + 1 && self.last_at.is_none_or(|last| named.ms > last);
            let picture = read_image(&path).map_err(RecordError::io("read", &path))?;
            match image::size(self.codec, &picture).filter(|_| whole) {
                Some(size) => {
                    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    self.note(&line(named.number, file, named.ms, size, &picture));
                    bytes += picture.len() as u64;
                }
                None => remove(&path)?,
            }
        }
        self.list.flush().map(|()| bytes)
    }
}

fn line(number: u64, file: String, ms: u64, (width, height): (u32, u32), picture: &[u8]) -> Line {
    let sha256 = Sha256::digest(picture).iter().map(|byte| format!("{byte:02x}")).collect();
    Line { number, file, ms, width, height, bytes: picture.len() as u64, sha256 }
}

fn extension(codec: VideoCodec) -> &'static str {
    if codec == VideoCodec::Png { "png" } else { "jpg" }
}

/// The folder beside a list.
fn folder_of(list: &Path) -> PathBuf {
    list.with_extension("")
}

/// Whether a file is a list with a folder of images beside it.
pub(crate) fn has_images(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl") && folder_of(path).is_dir()
}

/// What a list says.
#[derive(Debug, Default)]
struct Listed {
    last: Option<Line>,
    bytes: u64,
    /// Where the last whole line ends.
    end: u64,
}

fn read_list(path: &Path) -> Result<Listed, RecordError> {
    let mut reader = BufReader::new(File::open(path).map_err(RecordError::io("open", path))?);
    let (mut listed, mut bytes) = (Listed::default(), Vec::new());
    loop {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes).map_err(RecordError::io("read", path))?;
        let whole = bytes.last() == Some(&b'\n');
        let Some(line) = serde_json::from_slice::<Line>(&bytes).ok().filter(|_| whole) else {
            if whole {
                return Err(RecordError::Foreign {
                    path: path.into(),
                    reason: "no list of images".to_owned(),
                });
            }
            return Ok(listed);
        };
        listed.bytes += line.bytes;
        listed.end += length as u64;
        listed.last = Some(line);
    }
}

fn read_image(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > IMAGE_BYTES { Ok(Vec::new()) } else { fs::read(path) }
}

/// What the name of an image says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    number: u64,
    ms: u64,
}

/// `000001_0.jpg`; `None` for every other name.
fn named(name: &str) -> Option<Named> {
    let (stem, extension) = name.split_once('.')?;
    let (number, ms) = stem.split_once('_')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = matches!(extension, "jpg" | "png") && number.len() >= 6 && digits(number) && digits(ms);
    fits.then_some(Named { number: number.parse().ok()?, ms: ms.parse().ok()? })
}

/// Shows every image of a folder to `look`, in no order.
fn for_each_image(folder: &Path, mut look: impl FnMut(&Path, Named) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(named) = entry.file_name().to_str().and_then(named) {
            look(&entry.path(), named)?;
        }
    }
    Ok(())
}

/// Deletes the images of a list, what was left beside them, and their folder: how many images that were. The list
/// stays. What is not ours stays too, with the folder.
///
/// # Errors
/// The disk refused; it can be tried again.
pub(crate) fn delete_images(list: &Path) -> Result<u64, RecordError> {
    let folder = folder_of(list);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(RecordError::io("read", &folder)(error)),
    };
    let mut gone = 0;
    for entry in entries {
        let entry = entry.map_err(RecordError::io("read", &folder))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if named(name.strip_suffix(".tmp").unwrap_or(name)).is_some() {
            remove(&entry.path())?;
            gone += u64::from(!name.ends_with(".tmp"));
        }
    }
    match fs::remove_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(RecordError::io("delete", &folder)(error))
        }
        _ => Ok(gone),
    }
}

/// Bytes that the images of a list take.
pub(crate) fn image_bytes(list: &Path) -> u64 {
    let mut sum = 0;
    let counted = for_each_image(&folder_of(list), |path, _| {
        sum += fs::metadata(path)?.len();
        Ok(())
    });
    // What cannot be looked at counts as far as it could.
    counted.map_or(sum, |()| sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_are_images() {
        assert_eq!(named("000012_3400.jpg"), Some(Named { number: 12, ms: 3_400 }));
        assert_eq!(named("1000000_0.png"), Some(Named { number: 1_000_000, ms: 0 }));
        for other in ["1_0.jpg", "000001_0.jpeg", "000001.jpg", "+00001_0.jpg", "000001_0.jpg.tmp", "x", ".."]
        {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
