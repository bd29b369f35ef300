//! The names of the worker's variables, their defaults and what `--help` says of them.

use rtms_service::http::RTMS_INTERNAL_TOKEN;
use rtms_service::logging::{LOG_FORMAT, RUST_LOG};
use rtms_service::settings::{Table, Variable};

/// The worker's variables.
pub static TABLE: Table = Table {
    own: &[
        Variable::setting(
            "ZOOM_APP_CLIENT_ID",
            None,
            "client id of the Zoom app; signs the handshake",
            "aBcDeFgHiJkLmNoP",
        ),
        Variable::secret(
            "ZOOM_APP_CLIENT_SECRET",
            "client secret of the Zoom app; signs the handshake",
            "qRsTuVwXyZ0123456789",
        ),
        Variable::setting(
            "ZOOM_VIDEO_SDK_KEY",
            None,
            "the same for Video SDK sessions [default: the app's]",
            "aBcDeFgHiJkLmNoP",
        ),
        Variable::secret(
            "ZOOM_VIDEO_SDK_SECRET",
            "the same for Video SDK sessions [default: the app's]",
            "qRsTuVwXyZ0123456789",
        ),
        RTMS_INTERNAL_TOKEN,
        Variable::setting("RTMS_HOST", Some("0.0.0.0"), "address to listen on", "0.0.0.0"),
        Variable::setting("RTMS_PORT", Some("3002"), "port of the internal API", "3002"),
        Variable::setting("RTMS_DATA_DIR", Some("data"), "where recordings go", "/var/lib/rtms"),
        Variable::setting(
            "RTMS_ALLOWED_HOSTS",
            Some("*.zoom.us"),
            "hosts that may be connected to, by comma",
            "*.zoom.us",
        ),
        Variable::setting("RTMS_ALLOW_INSECURE", Some("false"), "permit ws:// without TLS", "false"),
        Variable::setting("RTMS_CA_FILE", None, "extra trusted CA, PEM", "/etc/ssl/simulator-ca.pem"),
        Variable::setting(
            "RTMS_MEDIA",
            Some("audio,transcript,video"),
            "of audio, video, share, transcript, chat, by comma",
            "audio,transcript",
        ),
        Variable::setting(
            "RTMS_MEDIA_SOCKETS",
            Some("single"),
            "single media socket for all kinds, or per_kind",
            "single",
        ),
        Variable::setting(
            "RTMS_AUDIO_STREAMS",
            None,
            "mixed or separate [default: mixed, for contact center separate]",
            "separate",
        ),
        Variable::setting("RTMS_AUDIO_CODEC", Some("l16"), "l16, g711, g722 or opus", "l16"),
        Variable::setting("RTMS_AUDIO_CONTENT", Some("raw"), "raw, or rtp for codecs other than l16", "raw"),
        Variable::setting("RTMS_AUDIO_SAMPLE_RATE", Some("16000"), "8000, 16000, 32000 or 48000", "16000"),
        Variable::setting("RTMS_AUDIO_CHANNELS", Some("1"), "1 or 2", "1"),
        Variable::setting(
            "RTMS_AUDIO_SEND_RATE_MS",
            Some("20"),
            "sound in a packet, a multiple of 20 up to 1000",
            "20",
        ),
        Variable::setting(
            "RTMS_VIDEO_STREAMS",
            Some("active_speaker"),
            "active_speaker, or chosen: who is asked for by POST /engagements/{id}/video",
            "chosen",
        ),
        Variable::setting("RTMS_VIDEO_CODEC", Some("h264"), "h264, jpg or png", "h264"),
        Variable::setting("RTMS_VIDEO_RESOLUTION", Some("hd"), "sd, hd, fhd or qhd", "hd"),
        Variable::setting("RTMS_VIDEO_FPS", Some("25"), "pictures a second, at most 30", "25"),
        Variable::setting(
            "RTMS_VIDEO_IMAGES",
            Some("false"),
            "keep jpg and png as image files instead of one video",
            "true",
        ),
        Variable::setting("RTMS_SHARE_CODEC", Some("jpg"), "jpg, png or h264", "h264"),
        Variable::setting("RTMS_SHARE_RESOLUTION", Some("fhd"), "sd, hd, fhd or qhd", "fhd"),
        Variable::setting("RTMS_SHARE_FPS", Some("1"), "pictures a second", "15"),
        Variable::setting("RTMS_SHARE_IMAGES", Some("false"), "the same as RTMS_VIDEO_IMAGES", "true"),
        Variable::setting(
            "RTMS_TRANSCRIPT_LANGUAGE",
            None,
            "a language by name or Zoom's number [default: Zoom finds out]",
            "english",
        ),
        Variable::setting(
            "RTMS_BUFFER_STARTUP_AUDIO",
            Some("true"),
            "take the audio from before we joined",
            "true",
        ),
        Variable::setting(
            "RTMS_ON_SHUTDOWN",
            Some("handover"),
            "handover: leave streams running for the next process; finish: end them",
            "handover",
        ),
        Variable::setting("RTMS_MAX_ENGAGEMENTS", Some("2500"), "beyond it, new streams get 503", "2500"),
        Variable::setting(
            "RTMS_LIVE_LISTENERS",
            Some("250"),
            "who may listen to running streams at the same time; 0: nobody",
            "250",
        ),
        Variable::setting("RTMS_LIVE_LISTENERS_EACH", Some("8"), "the same, to one stream", "8"),
        Variable::setting(
            "RETENTION_DAYS",
            None,
            "delete finished recordings older than this [default: off]",
            "30",
        ),
        Variable::setting(
            "RETENTION_MAX_BYTES",
            None,
            "delete the oldest finished recordings beyond this [default: off]",
            "500000000000",
        ),
        Variable::setting("STORAGE_PARTITION", Some("none"), "none, or date for a folder a day", "date"),
        LOG_FORMAT,
        RUST_LOG,
    ],
    elsewhere: &["GATEWAY_", "RTMS_SERVER_URL", "ZOOM_SECRET_TOKEN"],
};
