//! Zoom's numbers: message types, status codes, states and stop reasons.
//!
//! Source: Zoom's RTMS data types and event reference (changelog of May 2026). An unnamed number is kept in
//! `Unknown`, because Zoom adds codes without a new protocol version.

use crate::open_code::open_code;

open_code! {
    /// `msg_type` of a message on either socket.
    MsgType {
        SignalingHandshakeRequest = 1, "SIGNALING_HAND_SHAKE_REQ";
        SignalingHandshakeResponse = 2, "SIGNALING_HAND_SHAKE_RESP";
        MediaHandshakeRequest = 3, "DATA_HAND_SHAKE_REQ";
        MediaHandshakeResponse = 4, "DATA_HAND_SHAKE_RESP";
        EventSubscription = 5, "EVENT_SUBSCRIPTION";
        EventUpdate = 6, "EVENT_UPDATE";
        ClientReadyAck = 7, "CLIENT_READY_ACK";
        StreamStateUpdate = 8, "STREAM_STATE_UPDATE";
        SessionStateUpdate = 9, "SESSION_STATE_UPDATE";
        SessionStateRequest = 10, "SESSION_STATE_REQ";
        SessionStateResponse = 11, "SESSION_STATE_RESP";
        KeepAliveRequest = 12, "KEEP_ALIVE_REQ";
        KeepAliveResponse = 13, "KEEP_ALIVE_RESP";
        MediaAudio = 14, "MEDIA_DATA_AUDIO";
        MediaVideo = 15, "MEDIA_DATA_VIDEO";
        MediaShare = 16, "MEDIA_DATA_SHARE";
        MediaTranscript = 17, "MEDIA_DATA_TRANSCRIPT";
        MediaChat = 18, "MEDIA_DATA_CHAT";
        StreamStateRequest = 19, "STREAM_STATE_REQ";
        StreamStateResponse = 20, "STREAM_STATE_RESP";
        StreamCloseRequest = 21, "STREAM_CLOSE_REQ";
        StreamCloseResponse = 22, "STREAM_CLOSE_RESP";
        MetaDataAudio = 23, "META_DATA_AUDIO";
        MetaDataVideo = 24, "META_DATA_VIDEO";
        MetaDataShare = 25, "META_DATA_SHARE";
        MetaDataTranscript = 26, "META_DATA_TRANSCRIPT";
        MetaDataChat = 27, "META_DATA_CHAT";
        VideoSubscriptionRequest = 28, "VIDEO_SUBSCRIPTION_REQ";
        VideoSubscriptionResponse = 29, "VIDEO_SUBSCRIPTION_RESP";
    }
}

open_code! {
    /// `status_code` of an answer.
    StatusCode {
        Ok = 0, "OK";
        InvalidMessageType = 1, "INVALID_MESSAGE_TYPE";
        InvalidStreamId = 2, "INVALID_RTMS_STREAM_ID";
        InvalidSignature = 3, "INVALID_SIGNATURE";
        InvalidPayload = 4, "INVALID_PAYLOAD";
        InvalidEvents = 5, "INVALID_EVENTS";
        InvalidEventType = 6, "INVALID_EVENT_TYPE";
        InvalidMediaType = 7, "INVALID_MEDIA_TYPE";
        DuplicateSignalRequest = 8, "DUPLICATE_SIGNAL_REQUEST";
        AudioNotSupported = 9, "MEDIA_TYPE_AUDIO_NOT_SUPPORT";
        VideoNotSupported = 10, "MEDIA_TYPE_VIDEO_NOT_SUPPORT";
        ShareNotSupported = 11, "MEDIA_TYPE_DESKSHARE_NOT_SUPPORT";
        TranscriptNotSupported = 12, "MEDIA_TYPE_TRANSCRIPT_NOT_SUPPORT";
        ChatNotSupported = 13, "MEDIA_TYPE_CHAT_NOT_SUPPORT";
        MediaTypeInvalidValue = 14, "MEDIA_TYPE_INVALID_VALUE";
        AllConnectionExists = 15, "MEDIA_DATA_ALL_CONNECTION_EXIST";
        DuplicateMediaConnection = 16, "DUPLICATE_MEDIA_DATA_CONNECTION";
        InvalidMediaParams = 17, "INVALID_MEDIA_PARAMS";
        InvalidAudioParams = 18, "INVALID_MEDIA_AUDIO_PARAMS";
        InvalidAudioContentType = 19, "INVALID_MEDIA_AUDIO_CONTENT_TYPE";
        InvalidAudioSampleRate = 20, "INVALID_MEDIA_AUDIO_SAMPLE_RATE";
        InvalidAudioChannel = 21, "INVALID_MEDIA_AUDIO_CHANNEL";
        InvalidAudioCodec = 22, "INVALID_MEDIA_AUDIO_CODEC";
        InvalidAudioDataOpt = 23, "INVALID_MEDIA_AUDIO_DATA_OPT";
        InvalidAudioSendRate = 24, "INVALID_MEDIA_AUDIO_SEND_RATE";
        InvalidVideoParams = 25, "INVALID_MEDIA_VIDEO_PARAMS";
        InvalidVideoContentType = 26, "INVALID_MEDIA_VIDEO_CONTENT_TYPE";
        InvalidVideoCodec = 27, "INVALID_MEDIA_VIDEO_CODEC";
        InvalidVideoResolution = 28, "INVALID_MEDIA_VIDEO_RESOLUTION";
        InvalidVideoDataOpt = 29, "INVALID_MEDIA_VIDEO_DATA_OPT";
        InvalidVideoFps = 30, "INVALID_MEDIA_VIDEO_FPS";
        InvalidShareParams = 31, "INVALID_MEDIA_DESKSHARE_PARAMS";
        InvalidShareContentType = 32, "INVALID_MEDIA_DESKSHARE_CONTENT_TYPE";
        InvalidShareCodec = 33, "INVALID_MEDIA_DESKSHARE_CODEC";
        InvalidShareResolution = 34, "INVALID_MEDIA_DESKSHARE_RESOLUTION";
        InvalidShareFps = 35, "INVALID_MEDIA_DESKSHARE_FPS";
        InvalidTranscriptParams = 36, "INVALID_MEDIA_TRANSCRIPT_PARAMS";
        InvalidTranscriptContentType = 37, "INVALID_MEDIA_TRANSCRIPT_CONTENT_TYPE";
        InvalidChatParams = 38, "INVALID_MEDIA_CHAT_PARAMS";
        InvalidChatContentType = 39, "INVALID_MEDIA_CHAT_CONTENT_TYPE";
        InvalidSessionId = 40, "INVALID_RTMS_SESSION_ID";
        InvalidClientReadyAck = 41, "INVALID_CLIENT_READY_ACK";
        InvalidEventSubscribe = 42, "INVALID_EVENT_SUBSCRIBE";
        InvalidTranscriptLanguage = 43, "INVALID_MEDIA_TRANSCRIPT_SOURCE_LANGUAGE";
        DuplicateVideoSubscription = 44, "DUPLICATE_VIDEO_SUBSCRIPTION";
        InternalException = 45, "INTERNAL_EXCEPTION";
    }
}

/// What a refusal asks of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Asking again the same way is pointless; somebody has to change something.
    Final,
    /// Another connection of this kind still counts at Zoom's side: wait for it to go, then ask again.
    Duplicate,
    /// It may work the next time.
    Transient,
}

impl StatusCode {
    /// How to go on after this refusal.
    ///
    /// Only what is final without doubt ends the attempts: an older list of codes, still met in the field, gives 15
    /// for a bad signature and 17 for a duplicate, so those numbers stay retriable.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::DuplicateSignalRequest
            | Self::AllConnectionExists
            | Self::DuplicateMediaConnection
            | Self::DuplicateVideoSubscription => Refusal::Duplicate,
            Self::InvalidMessageType
            | Self::InvalidStreamId
            | Self::InvalidSignature
            | Self::InvalidPayload
            | Self::InvalidMediaType
            | Self::AudioNotSupported
            | Self::VideoNotSupported
            | Self::ShareNotSupported
            | Self::TranscriptNotSupported
            | Self::ChatNotSupported
            | Self::MediaTypeInvalidValue
            | Self::InvalidSessionId => Refusal::Final,
            other => match other.code() {
                18..=39 | 43 => Refusal::Final,
                _ => Refusal::Transient,
            },
        }
    }

    /// The kind of media that this refusal takes away, for 9 to 13.
    #[must_use]
    pub const fn unsupported_media(self) -> Option<crate::MediaKind> {
        use crate::MediaKind;
        match self {
            Self::AudioNotSupported => Some(MediaKind::Audio),
            Self::VideoNotSupported => Some(MediaKind::Video),
            Self::ShareNotSupported => Some(MediaKind::Share),
            Self::TranscriptNotSupported => Some(MediaKind::Transcript),
            Self::ChatNotSupported => Some(MediaKind::Chat),
            _ => None,
        }
    }

    /// What an operator should look at, in one sentence for the log.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Ok => "nothing to do",
            Self::InvalidMessageType => {
                "Zoom did not expect this message now; the server speaks another protocol version or the URL is not a signaling URL"
            }
            Self::InvalidStreamId => {
                "Zoom no longer knows this stream; it has ended or belongs to another account"
            }
            Self::InvalidSignature => {
                "check ZOOM_APP_CLIENT_ID and ZOOM_APP_CLIENT_SECRET (for Video SDK sessions ZOOM_VIDEO_SDK_KEY and ZOOM_VIDEO_SDK_SECRET): they must belong to the app whose webhook announced the stream"
            }
            Self::InvalidPayload => {
                "Zoom could not read our message; report it with the number and the reason"
            }
            Self::InvalidEvents | Self::InvalidEventType | Self::InvalidEventSubscribe => {
                "Zoom does not offer an event that was subscribed to; the recording goes on without it"
            }
            Self::InvalidMediaType | Self::MediaTypeInvalidValue => {
                "check RTMS_MEDIA: a kind of media was asked for that does not exist for this product"
            }
            Self::DuplicateSignalRequest => {
                "another process or an earlier connection still holds this stream's signaling; if it stays, look for a second worker or another app with the same credentials"
            }
            Self::AudioNotSupported => {
                "the app lacks the audio scope, or the account does not stream audio for this product"
            }
            Self::VideoNotSupported => {
                "the app lacks the video scope, or this product has no video; leave video out of RTMS_MEDIA to silence this"
            }
            Self::ShareNotSupported => {
                "the app lacks the screen share scope, or this product has none; leave share out of RTMS_MEDIA to silence this"
            }
            Self::TranscriptNotSupported => {
                "the app lacks the transcript scope, or transcription is off for the account; leave transcript out of RTMS_MEDIA to silence this"
            }
            Self::ChatNotSupported => {
                "the app lacks the chat scope, or this product has no chat; leave chat out of RTMS_MEDIA to silence this"
            }
            Self::AllConnectionExists | Self::DuplicateMediaConnection => {
                "a media connection of this stream is still open at Zoom; it is tried again once Zoom has let go of it"
            }
            Self::InvalidMediaParams => {
                "Zoom refused the media parameters as a whole; check RTMS_AUDIO_*, RTMS_VIDEO_* and RTMS_SHARE_*"
            }
            Self::InvalidSessionId => "the session inside the stream is unknown to Zoom; it has ended",
            Self::InvalidClientReadyAck => {
                "Zoom did not accept that we are ready; the handshakes are made anew"
            }
            Self::InvalidTranscriptLanguage => "check RTMS_TRANSCRIPT_LANGUAGE",
            Self::DuplicateVideoSubscription => "this participant's video was already chosen",
            Self::InternalException => "a fault inside Zoom; it is tried again",
            other => match other.code() {
                18..=24 => {
                    "check RTMS_AUDIO_CODEC, RTMS_AUDIO_SAMPLE_RATE, RTMS_AUDIO_CHANNELS, RTMS_AUDIO_SEND_RATE_MS and RTMS_AUDIO_STREAMS"
                }
                25..=30 => "check RTMS_VIDEO_CODEC, RTMS_VIDEO_RESOLUTION and RTMS_VIDEO_FPS",
                31..=35 => "check RTMS_SHARE_CODEC, RTMS_SHARE_RESOLUTION and RTMS_SHARE_FPS",
                36 | 37 => "check RTMS_TRANSCRIPT_LANGUAGE, or leave transcript out of RTMS_MEDIA",
                38 | 39 => "leave chat out of RTMS_MEDIA",
                _ => "a code without a public name; the reason beside it is all that Zoom says",
            },
        }
    }
}

open_code! {
    /// `state` of a session inside a stream (message 9 and 11).
    SessionState {
        Inactive = 0, "INACTIVE";
        Initialize = 1, "INITIALIZE";
        Started = 2, "STARTED";
        Paused = 3, "PAUSED";
        Resumed = 4, "RESUMED";
        Stopped = 5, "STOPPED";
    }
}

open_code! {
    /// `state` of a stream (message 8 and 20).
    StreamState {
        Inactive = 0, "INACTIVE";
        Active = 1, "ACTIVE";
        Interrupted = 2, "INTERRUPTED";
        Terminating = 3, "TERMINATING";
        Terminated = 4, "TERMINATED";
        Paused = 5, "PAUSED";
        Resumed = 6, "RESUMED";
    }
}

open_code! {
    /// Why a stream ended: `stop_reason` of the webhook, `reason` of a state update.
    StopReason {
        HostTriggered = 1, "HOST_TRIGGERED";
        UserTriggered = 2, "USER_TRIGGERED";
        UserLeft = 3, "USER_LEFT";
        UserEjected = 4, "USER_EJECTED";
        HostDisabledApp = 5, "HOST_DISABLED_APP";
        MeetingEnded = 6, "MEETING_ENDED";
        StreamCanceled = 7, "STREAM_CANCELED";
        StreamRevoked = 8, "STREAM_REVOKED";
        AllAppsDisabled = 9, "ALL_APPS_DISABLED";
        InternalException = 10, "INTERNAL_EXCEPTION";
        ConnectionTimeout = 11, "CONNECTION_TIMEOUT";
        InstanceConnectionInterrupted = 12, "INSTANCE_CONNECTION_INTERRUPTED";
        SignalConnectionInterrupted = 13, "SIGNAL_CONNECTION_INTERRUPTED";
        DataConnectionInterrupted = 14, "DATA_CONNECTION_INTERRUPTED";
        SignalConnectionClosedAbnormally = 15, "SIGNAL_CONNECTION_CLOSED_ABNORMALLY";
        DataConnectionClosedAbnormally = 16, "DATA_CONNECTION_CLOSED_ABNORMALLY";
        ExitSignal = 17, "EXIT_SIGNAL";
        AuthenticationFailure = 18, "AUTHENTICATION_FAILURE";
        AwaitReconnectionTimeout = 19, "AWAIT_RECONNECTION_TIMEOUT";
        ReceiverRequestClose = 20, "RECEIVER_REQUEST_CLOSE";
        CustomerDisconnected = 21, "CUSTOMER_DISCONNECTED";
        AgentDisconnected = 22, "AGENT_DISCONNECTED";
        AdminDisabledApp = 23, "ADMIN_DISABLED_APP";
        KeepAliveTimeout = 24, "KEEP_ALIVE_TIMEOUT";
        ManualApiTriggered = 25, "MANUAL_API_TRIGGERED";
        StreamingNotSupported = 26, "STREAMING_NOT_SUPPORTED";
    }
}

impl StopReason {
    /// Whether everything recorded must be deleted at once.
    #[must_use]
    pub const fn is_revocation(self) -> bool {
        matches!(self, Self::StreamRevoked)
    }

    /// Whether Zoom ended the stream because of a failure (10–19 and 24): what is recorded stays, but more was to come.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self.code(), 10..=19 | 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_numbers_are_kept() {
        let odd = MsgType::from_code(4711);
        assert_eq!(odd, MsgType::Unknown(4711));
        assert_eq!(odd.code(), 4711);
        assert_eq!(odd.name(), "UNKNOWN");
        assert_eq!(serde_json::to_string(&odd).unwrap(), "4711");
        assert_eq!(serde_json::from_str::<StopReason>("8").unwrap(), StopReason::StreamRevoked);
        assert_eq!(serde_json::from_str::<StopReason>("\"8\"").unwrap(), StopReason::StreamRevoked);
    }

    #[test]
    fn the_lists_are_complete_and_in_order() {
        let codes = |known: &[StatusCode]| known.iter().map(|c| c.code()).collect::<Vec<_>>();
        assert_eq!(codes(StatusCode::KNOWN), (0..=45).collect::<Vec<i64>>());
        assert_eq!(MsgType::KNOWN.len(), 29);
        assert_eq!(StopReason::KNOWN.len(), 26);
        assert_eq!(StreamState::KNOWN.len(), 7);
        assert_eq!(SessionState::KNOWN.len(), 6);
    }

    #[test]
    fn the_older_list_of_codes_does_not_end_a_stream() {
        assert_eq!(StatusCode::from_code(15).refusal(), Refusal::Duplicate);
        assert_eq!(StatusCode::from_code(17).refusal(), Refusal::Transient);
        assert_eq!(StatusCode::from_code(3).refusal(), Refusal::Final);
        assert_eq!(StatusCode::from_code(99).refusal(), Refusal::Transient);
    }

    #[test]
    fn every_status_says_what_to_check() {
        for code in StatusCode::KNOWN {
            assert!(!code.advice().is_empty(), "{code}");
        }
    }
}
