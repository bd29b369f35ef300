//! The worker's settings, checked against Zoom's matrix before anything starts.

mod media;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use rtms_client::UrlPolicy;
use rtms_protocol::session::{MediaSockets, Timeouts};
use rtms_protocol::{Credentials, Product};
use rtms_recorder::Partition;
use rtms_service::settings::SettingsReader;
use secrecy::{ExposeSecret as _, SecretString};

pub use media::MediaChoice;
pub(crate) use media::carries;
pub use table::TABLE;

/// What becomes of running streams when the worker is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnShutdown {
    /// They are left without being ended, and their recordings wait for the next process on the same folder.
    #[default]
    HandOver,
    /// Zoom is asked to end them, and their recordings are finished.
    Finish,
}

/// What the worker runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ZOOM_APP_CLIENT_ID` and `ZOOM_APP_CLIENT_SECRET`.
    pub app: Credentials,
    /// `ZOOM_VIDEO_SDK_KEY` and `ZOOM_VIDEO_SDK_SECRET`, or the app's.
    pub video_sdk: Credentials,
    /// `RTMS_INTERNAL_TOKEN`.
    pub internal_token: Option<SecretString>,
    /// `RTMS_HOST`.
    pub host: String,
    /// `RTMS_PORT`.
    pub port: u16,
    /// `RTMS_DATA_DIR`.
    pub data_dir: PathBuf,
    /// `RTMS_ALLOWED_HOSTS` and `RTMS_ALLOW_INSECURE`; none only when they were wrong, and then nothing starts.
    pub url_policy: Option<Arc<UrlPolicy>>,
    /// `RTMS_CA_FILE`.
    pub ca_file: Option<PathBuf>,
    /// `RTMS_MEDIA` and the parameters of each kind.
    pub media: MediaChoice,
    /// `RTMS_MEDIA_SOCKETS`.
    pub media_sockets: MediaSockets,
    /// `RTMS_BUFFER_STARTUP_AUDIO`.
    pub buffer_startup_audio: bool,
    /// `RTMS_ON_SHUTDOWN`.
    pub on_shutdown: OnShutdown,
    /// `RTMS_MAX_ENGAGEMENTS`.
    pub max_engagements: usize,
    /// `RTMS_LIVE_LISTENERS`.
    pub live_listeners: usize,
    /// `RTMS_LIVE_LISTENERS_EACH`.
    pub live_listeners_each: usize,
    /// `RETENTION_DAYS`.
    pub retention_days: Option<u32>,
    /// `RETENTION_MAX_BYTES`.
    pub retention_max_bytes: Option<u64>,
    /// `STORAGE_PARTITION`.
    pub partition: Partition,
    /// How patient each session is. No variable sets it: the defaults are Zoom's published windows, and only a test that
    /// cannot wait for them has a reason to shorten them.
    pub timeouts: Timeouts,
}

impl Settings {
    /// Reads all of it; errors are noted in the reader.
    pub fn read(reader: &mut SettingsReader) -> Self {
        let app = Credentials {
            client_id: reader.required_text("ZOOM_APP_CLIENT_ID"),
            client_secret: reader.required_secret("ZOOM_APP_CLIENT_SECRET"),
        };
        Self {
            video_sdk: video_sdk(reader, &app),
            app,
            internal_token: reader.secret("RTMS_INTERNAL_TOKEN"),
            host: reader.required_text("RTMS_HOST"),
            port: reader.port("RTMS_PORT"),
            data_dir: reader.path("RTMS_DATA_DIR"),
            url_policy: url_policy(reader),
            ca_file: reader.optional_path("RTMS_CA_FILE"),
            media: media::read(reader),
            media_sockets: reader
                .choice(
                    "RTMS_MEDIA_SOCKETS",
                    &[("single", MediaSockets::Single), ("per_kind", MediaSockets::PerKind)],
                )
                .unwrap_or_default(),
            buffer_startup_audio: reader.flag("RTMS_BUFFER_STARTUP_AUDIO"),
            on_shutdown: reader
                .choice(
                    "RTMS_ON_SHUTDOWN",
                    &[("handover", OnShutdown::HandOver), ("finish", OnShutdown::Finish)],
                )
                .unwrap_or_default(),
            max_engagements: reader.integer("RTMS_MAX_ENGAGEMENTS", 1..=100_000),
            live_listeners: reader.integer("RTMS_LIVE_LISTENERS", 0..=900),
            live_listeners_each: reader.integer("RTMS_LIVE_LISTENERS_EACH", 1..=900),
            retention_days: reader.optional_integer("RETENTION_DAYS", 1..=36_500),
            retention_max_bytes: reader.optional_integer("RETENTION_MAX_BYTES", 1..=u64::MAX),
            partition: reader
                .choice("STORAGE_PARTITION", &[("none", Partition::None), ("date", Partition::Date)])
                .unwrap_or_default(),
            timeouts: Timeouts::default(),
        }
    }

    /// The credentials that sign the handshakes of `product`.
    #[must_use]
    pub fn credentials(&self, product: Product) -> &Credentials {
        if product == Product::VideoSdk { &self.video_sdk } else { &self.app }
    }
}

fn video_sdk(reader: &mut SettingsReader, app: &Credentials) -> Credentials {
    match (reader.text("ZOOM_VIDEO_SDK_KEY"), reader.secret("ZOOM_VIDEO_SDK_SECRET")) {
        (Some(client_id), Some(client_secret)) => Credentials { client_id, client_secret },
        (None, None) => app.clone(),
        (Some(_), None) => {
            reader
                .problem("ZOOM_VIDEO_SDK_SECRET", "is not set, but ZOOM_VIDEO_SDK_KEY is; they go together");
            app.clone()
        }
        (None, Some(secret)) => {
            if !secret.expose_secret().is_empty() {
                reader.problem(
                    "ZOOM_VIDEO_SDK_KEY",
                    "is not set, but ZOOM_VIDEO_SDK_SECRET is; they go together",
                );
            }
            app.clone()
        }
    }
}

fn url_policy(reader: &mut SettingsReader) -> Option<Arc<UrlPolicy>> {
    let allow_insecure = reader.flag("RTMS_ALLOW_INSECURE");
    reader
        .parsed("RTMS_ALLOWED_HOSTS", |text| {
            UrlPolicy::parse(text, allow_insecure).map_err(|error| format!("is wrong: {error}"))
        })
        .map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtms_protocol::{AudioData, AudioParams, MediaKind, MediaSet};
    use rtms_service::settings::Sources;

    fn read(pairs: &[(&str, &str)]) -> (Settings, String) {
        let mut sources =
            Sources::new("/srv").with("ZOOM_APP_CLIENT_ID", "cid").with("ZOOM_APP_CLIENT_SECRET", "secret");
        for (name, value) in pairs {
            sources = sources.with(name, value);
        }
        let mut reader = SettingsReader::load(&TABLE, &sources);
        let settings = Settings::read(&mut reader);
        (settings, reader.finish().err().map(|errors| errors.to_string()).unwrap_or_default())
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let (settings, errors) = read(&[]);
        assert_eq!(errors, "");
        assert_eq!(
            (settings.host.as_str(), settings.port, settings.max_engagements),
            ("0.0.0.0", 3002, 2500)
        );
        assert_eq!(settings.data_dir.to_str(), Some("/srv/data"));
        assert_eq!(settings.url_policy.as_ref().unwrap().to_string(), "*.zoom.us");
        assert!(settings.buffer_startup_audio);
        let meeting = settings.media.for_product(Product::Meeting);
        assert_eq!(meeting.kinds().to_string(), "audio,video,transcript");
        assert_eq!(meeting.audio, Some(AudioParams::default()));
        let engagement = settings.media.for_product(Product::ContactCenter).audio.unwrap();
        assert_eq!(engagement.data_opt, AudioData::Separate);
    }

    #[test]
    fn the_layout_of_audio_can_be_fixed_for_all() {
        let (settings, _) = read(&[("RTMS_AUDIO_STREAMS", "mixed")]);
        assert_eq!(
            settings.media.for_product(Product::ContactCenter).audio.unwrap().data_opt,
            AudioData::Mixed
        );
    }

    #[test]
    fn the_share_is_jpg_by_default_and_pictures_may_be_images() {
        let (settings, errors) = read(&[("RTMS_MEDIA", "video,share")]);
        assert_eq!(
            (errors.as_str(), settings.media.as_images(), settings.media.video_is_chosen()),
            ("", MediaSet::EMPTY, false)
        );
        let (settings, errors) = read(&[
            ("RTMS_VIDEO_CODEC", "png"),
            ("RTMS_VIDEO_FPS", "2"),
            ("RTMS_VIDEO_IMAGES", "true"),
            ("RTMS_VIDEO_STREAMS", "chosen"),
        ]);
        assert_eq!((errors.as_str(), settings.media.as_images()), ("", MediaSet::of(MediaKind::Video)));
        assert!(settings.media.video_is_chosen());
    }

    #[test]
    fn only_what_zoom_does_not_grant_is_refused_and_the_nearest_is_named() {
        for (pairs, variable, nearest) in [
            (&[("RTMS_SHARE_CODEC", "h264")][..], "RTMS_SHARE_FPS", "h264 fhd at 6"),
            (&[("RTMS_SHARE_FPS", "5")], "RTMS_SHARE_FPS", "jpg fhd at 1"),
            (
                &[("RTMS_VIDEO_CODEC", "jpg"), ("RTMS_VIDEO_RESOLUTION", "sd")],
                "RTMS_VIDEO_FPS",
                "jpg sd at 5",
            ),
            (
                &[("RTMS_VIDEO_IMAGES", "true")],
                "RTMS_VIDEO_IMAGES",
                "RTMS_VIDEO_CODEC=jpg and RTMS_VIDEO_FPS=5",
            ),
            (&[("RTMS_VIDEO_STREAMS", "everybody")], "RTMS_VIDEO_STREAMS", "active_speaker"),
        ] {
            let (_, errors) = read(pairs);
            assert!(errors.contains(variable) && errors.contains(nearest), "{pairs:?}: {errors}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once_with_the_nearest_that_zoom_grants() {
        let (_, errors) = read(&[
            ("RTMS_AUDIO_CODEC", "opus"),
            ("RTMS_AUDIO_CHANNELS", "2"),
            ("RTMS_MEDIA", "audio,smell"),
            ("RTMS_VIDEO_FPS", "3"),
            ("RTMS_TRANSCRIPT_LANGUAGE", "klingon"),
            ("RTMS_ALLOWED_HOSTS", "https://x"),
            ("ZOOM_VIDEO_SDK_KEY", "k"),
        ]);
        for expected in [
            "RTMS_AUDIO_SAMPLE_RATE",
            "RAW opus 48000 Hz stereo",
            "\"smell\"",
            "RTMS_VIDEO_FPS",
            "h264 hd at 6",
            "klingon",
            "RTMS_ALLOWED_HOSTS",
            "ZOOM_VIDEO_SDK_SECRET",
        ] {
            assert!(errors.contains(expected), "{expected} not in:\n{errors}");
        }
    }

    #[test]
    fn every_row_of_zooms_audio_is_taken() {
        for (codec, rate, channels, send_rate, content) in [
            ("l16", "32000", "2", "1000", "raw"),
            ("g711", "8000", "1", "20", "raw"),
            ("g722", "16000", "1", "20", "rtp"),
            ("opus", "48000", "2", "20", "rtp"),
        ] {
            let (settings, errors) = read(&[
                ("RTMS_AUDIO_CODEC", codec),
                ("RTMS_AUDIO_SAMPLE_RATE", rate),
                ("RTMS_AUDIO_CHANNELS", channels),
                ("RTMS_AUDIO_SEND_RATE_MS", send_rate),
                ("RTMS_AUDIO_CONTENT", content),
            ]);
            assert_eq!(errors, "", "{codec}");
            let audio = settings.media.for_product(Product::Meeting).audio.unwrap();
            assert_eq!(audio.codec.name().to_lowercase(), codec);
            assert_eq!(audio.content_type.name().to_lowercase(), content);
        }
        let (_, errors) = read(&[("RTMS_AUDIO_CONTENT", "rtp")]);
        assert!(errors.contains("RTMS_AUDIO_CONTENT") && errors.contains("RAW l16"), "{errors}");
    }

    #[test]
    fn video_sdk_has_its_own_credentials() {
        let (settings, errors) = read(&[("ZOOM_VIDEO_SDK_KEY", "key"), ("ZOOM_VIDEO_SDK_SECRET", "s")]);
        assert_eq!(errors, "");
        assert_eq!(settings.credentials(Product::VideoSdk).client_id, "key");
        assert_eq!(settings.credentials(Product::Meeting).client_id, "cid");
    }
}
