//! Which media to ask Zoom for, checked against Zoom's matrix.

use rtms_protocol::{
    AudioCodec, AudioContent, AudioData, AudioParams, Channels, ChatParams, Language, MediaKind, MediaParams,
    MediaSet, ParamsError, Product, Resolution, SampleRate, ShareParams, TranscriptParams, VideoCodec,
    VideoData, VideoParams,
};
use rtms_service::settings::SettingsReader;

/// The media to ask for.
#[derive(Debug, Clone)]
pub struct MediaChoice {
    /// `RTMS_MEDIA` with the parameters of each kind. The audio layout is that of [`Self::for_product`].
    params: MediaParams,
    /// `RTMS_AUDIO_STREAMS`, where it is set.
    audio_streams: Option<AudioData>,
    /// `RTMS_VIDEO_IMAGES` and `RTMS_SHARE_IMAGES`.
    as_images: MediaSet,
}

impl MediaChoice {
    /// What to ask for of a stream of `product`.
    #[must_use]
    pub fn for_product(&self, product: Product) -> MediaParams {
        let default = if product == Product::ContactCenter { AudioData::Separate } else { AudioData::Mixed };
        let data_opt = self.audio_streams.unwrap_or(default);
        MediaParams { audio: self.params.audio.map(|audio| AudioParams { data_opt, ..audio }), ..self.params }
    }

    /// The pictures that are kept as image files.
    #[must_use]
    pub const fn as_images(&self) -> MediaSet {
        self.as_images
    }

    /// Whether whose video is sent is chosen, not the active speaker's.
    #[must_use]
    pub fn video_is_chosen(&self) -> bool {
        self.params.video.is_some_and(|video| video.data_opt == VideoData::OneParticipant)
    }

    /// What a recording of a stream of `product` should hold: what is asked for, as far as the product has it.
    #[must_use]
    pub fn expected(&self, product: Product) -> MediaSet {
        self.params.kinds().iter().filter(|kind| carries(product, *kind)).collect()
    }
}

/// Whether streams of a product ever carry this kind: calls have no pictures.
pub(crate) const fn carries(product: Product, kind: MediaKind) -> bool {
    let pictures = matches!(kind, MediaKind::Video | MediaKind::Share);
    !(pictures && matches!(product, Product::ContactCenter | Product::Phone))
}

/// Reads `RTMS_MEDIA` and the parameters of each kind; errors are noted in the reader.
pub(super) fn read(reader: &mut SettingsReader) -> MediaChoice {
    let kinds = kinds(reader);
    let wants = |kind| kinds.contains(kind);
    let audio = audio(reader);
    let video = video(reader);
    let share = share(reader);
    let as_images =
        [("RTMS_VIDEO", MediaKind::Video, video.codec), ("RTMS_SHARE", MediaKind::Share, share.codec)]
            .into_iter()
            .filter(|(prefix, _, codec)| images(reader, prefix, *codec))
            .map(|(_, kind, _)| kind)
            .collect();
    let language = reader.parsed("RTMS_TRANSCRIPT_LANGUAGE", |text| {
        Language::from_setting(text).ok_or("is no language of Zoom's list")
    });
    MediaChoice {
        params: MediaParams {
            audio: wants(MediaKind::Audio).then_some(audio),
            video: wants(MediaKind::Video).then_some(video),
            share: wants(MediaKind::Share).then_some(share),
            transcript: wants(MediaKind::Transcript).then(|| TranscriptParams::new(language)),
            chat: wants(MediaKind::Chat).then(ChatParams::default),
        },
        audio_streams: reader
            .choice("RTMS_AUDIO_STREAMS", &[("mixed", AudioData::Mixed), ("separate", AudioData::Separate)]),
        as_images,
    }
}

fn kinds(reader: &mut SettingsReader) -> MediaSet {
    let mut kinds = MediaSet::EMPTY;
    for word in reader.list("RTMS_MEDIA") {
        match MediaKind::from_word(&word.to_ascii_lowercase()) {
            Some(kind) => kinds.insert(kind),
            None => reader
                .problem("RTMS_MEDIA", format!("{word:?} is none of: audio, video, share, transcript, chat")),
        }
    }
    if kinds.is_empty() {
        reader.problem("RTMS_MEDIA", "names no kind of media");
    }
    kinds
}

fn audio(reader: &mut SettingsReader) -> AudioParams {
    let codecs = [
        ("l16", AudioCodec::L16),
        ("g711", AudioCodec::G711),
        ("g722", AudioCodec::G722),
        ("opus", AudioCodec::Opus),
    ];
    let params = AudioParams {
        content_type: reader
            .choice("RTMS_AUDIO_CONTENT", &[("raw", AudioContent::Raw), ("rtp", AudioContent::Rtp)])
            .unwrap_or(AudioContent::Raw),
        codec: reader.choice("RTMS_AUDIO_CODEC", &codecs).unwrap_or(AudioCodec::L16),
        sample_rate: reader
            .parsed("RTMS_AUDIO_SAMPLE_RATE", |text| {
                text.parse().ok().and_then(SampleRate::from_hz).ok_or("is none of: 8000, 16000, 32000, 48000")
            })
            .unwrap_or(SampleRate::Hz16000),
        channels: reader
            .choice("RTMS_AUDIO_CHANNELS", &[("1", Channels::Mono), ("2", Channels::Stereo)])
            .unwrap_or(Channels::Mono),
        send_rate_ms: reader.integer("RTMS_AUDIO_SEND_RATE_MS", 20..=1000),
        ..AudioParams::default()
    };
    if let Err(error) = params.validate() {
        refuse(reader, "RTMS_AUDIO", &error);
    }
    params
}

const PICTURE_CODECS: [(&str, VideoCodec); 3] =
    [("h264", VideoCodec::H264), ("jpg", VideoCodec::Jpg), ("png", VideoCodec::Png)];
const VIDEO_STREAMS: [(&str, VideoData); 2] =
    [("active_speaker", VideoData::ActiveSpeaker), ("chosen", VideoData::OneParticipant)];
const RESOLUTIONS: [(&str, Resolution); 4] =
    [("sd", Resolution::Sd), ("hd", Resolution::Hd), ("fhd", Resolution::Fhd), ("qhd", Resolution::Qhd)];

fn video(reader: &mut SettingsReader) -> VideoParams {
    let params = VideoParams::new(
        reader.choice("RTMS_VIDEO_CODEC", &PICTURE_CODECS).unwrap_or(VideoCodec::H264),
        reader.choice("RTMS_VIDEO_RESOLUTION", &RESOLUTIONS).unwrap_or(Resolution::Hd),
        reader.integer("RTMS_VIDEO_FPS", 1..=30),
        reader.choice("RTMS_VIDEO_STREAMS", &VIDEO_STREAMS).unwrap_or(VideoData::ActiveSpeaker),
    );
    if let Err(error) = params.validate() {
        refuse(reader, "RTMS_VIDEO", &error);
    }
    params
}

fn share(reader: &mut SettingsReader) -> ShareParams {
    let params = ShareParams::new(
        reader.choice("RTMS_SHARE_CODEC", &PICTURE_CODECS).unwrap_or(VideoCodec::Jpg),
        reader.choice("RTMS_SHARE_RESOLUTION", &RESOLUTIONS).unwrap_or(Resolution::Fhd),
        reader.integer("RTMS_SHARE_FPS", 1..=30),
    );
    if let Err(error) = params.validate() {
        refuse(reader, "RTMS_SHARE", &error);
    }
    params
}

/// Whether pictures are kept as image files. H.264 has no images without decoding it.
fn images(reader: &mut SettingsReader, prefix: &str, codec: VideoCodec) -> bool {
    let variable = format!("{prefix}_IMAGES");
    let wanted = reader.flag(&variable);
    if wanted && codec == VideoCodec::H264 {
        let most = if prefix == "RTMS_SHARE" { 1 } else { 5 };
        let problem =
            format!("fits only pictures in jpg or png; set {prefix}_CODEC=jpg and {prefix}_FPS={most}");
        reader.problem(&variable, problem);
    }
    wanted
}

/// Names the one variable that Zoom's refusal is about.
fn refuse(reader: &mut SettingsReader, prefix: &str, error: &ParamsError) {
    let field = match error.status.code() {
        19 => "_CONTENT",
        20 => "_SAMPLE_RATE",
        21 => "_CHANNELS",
        24 => "_SEND_RATE_MS",
        28 | 34 => "_RESOLUTION",
        30 | 35 => "_FPS",
        _ => "_CODEC",
    };
    let problem = format!("fits no combination that Zoom grants: {error}");
    reader.problem(&format!("{prefix}{field}"), problem);
}
