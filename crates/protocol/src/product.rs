//! The five Zoom products that stream, and what identifies a stream.

use serde::{Deserialize, Serialize};

/// A Zoom product with RTMS. Decides the id field, the words in file names, and what event codes 8 and 9 mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// Zoom Contact Center voice engagements.
    ContactCenter,
    /// Zoom Meetings.
    Meeting,
    /// Zoom Webinars.
    Webinar,
    /// Video SDK sessions.
    VideoSdk,
    /// Zoom Phone calls.
    Phone,
}

impl Product {
    /// Every product, for tables and tests.
    pub const ALL: [Self; 5] =
        [Self::ContactCenter, Self::Meeting, Self::Webinar, Self::VideoSdk, Self::Phone];

    /// The noun of file names: `engagement`, `meeting`, `session` or `call`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::ContactCenter => "engagement",
            Self::Meeting | Self::Webinar => "meeting",
            Self::VideoSdk => "session",
            Self::Phone => "call",
        }
    }

    /// The field that carries the id in webhooks and handshakes.
    #[must_use]
    pub const fn id_field(self) -> &'static str {
        match self {
            Self::ContactCenter => "engagement_id",
            Self::Meeting | Self::Webinar => "meeting_uuid",
            Self::VideoSdk => "session_id",
            Self::Phone => "call_id",
        }
    }

    /// One stable word for logs, metrics and manifests.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ContactCenter => "contact_center",
            Self::Meeting => "meeting",
            Self::Webinar => "webinar",
            Self::VideoSdk => "video_sdk",
            Self::Phone => "phone",
        }
    }

    /// The product of an event name such as `meeting.rtms_started`, by its prefix.
    #[must_use]
    pub fn of_event(event: &str) -> Option<Self> {
        Some(match event.split_once('.')?.0 {
            "contact_center" => Self::ContactCenter,
            "meeting" => Self::Meeting,
            "webinar" => Self::Webinar,
            "session" => Self::VideoSdk,
            "phone" => Self::Phone,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What names one stream: the product, its own id, and the id of the stream, which is the key everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamIdentity {
    /// Which product the stream belongs to.
    pub product: Product,
    /// Engagement id, meeting UUID, session id or call id, as Zoom sent it.
    pub id: String,
    /// `rtms_stream_id`. One engagement can have several streams.
    pub stream_id: String,
}
