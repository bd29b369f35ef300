//! The checks of both handshakes, in Zoom's order, each with Zoom's status code. Nothing here touches a socket.

use std::sync::Arc;

use rtms_protocol::{
    ClientMessage, MediaKind, MediaParams, MediaSet, MsgType, ParamsError, StatusCode,
    handshake_signature_matches, peek_msg_type,
};
use serde_json::Value;

use super::Shared;
use crate::faults::Cut;
use crate::player::Grant;
use crate::scenario::Program;
use crate::stream::{Denial, MediaSeat, SignalingSeat, Stream};

/// A handshake that is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: StatusCode,
    pub(super) reason: String,
}

/// What a handshake comes to that does not lead to a seat.
#[derive(Debug)]
pub(super) enum Rejected {
    /// It is answered.
    Refused(Refusal),
    /// It is not.
    Cut(Cut),
}

impl From<Refusal> for Rejected {
    fn from(refused: Refusal) -> Self {
        Self::Refused(refused)
    }
}

impl From<StatusCode> for Rejected {
    fn from(status: StatusCode) -> Self {
        Self::Refused(status.into())
    }
}

impl From<Denial> for Rejected {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Status(status) => Self::Refused(status.into()),
            Denial::Cut(how) => Self::Cut(how),
        }
    }
}

pub(super) fn refusal(code: StatusCode, reason: impl Into<String>) -> Refusal {
    Refusal { code, reason: reason.into() }
}

impl From<StatusCode> for Refusal {
    fn from(code: StatusCode) -> Self {
        refusal(code, code.name())
    }
}

impl From<ParamsError> for Refusal {
    fn from(error: ParamsError) -> Self {
        refusal(error.status, error.to_string())
    }
}

fn read(message: &[u8], expected: MsgType) -> Result<ClientMessage, Refusal> {
    let Some(msg_type) = peek_msg_type(message) else {
        return Err(refusal(StatusCode::InvalidPayload, "not a JSON object with a msg_type"));
    };
    if msg_type != expected {
        let reason = format!("{} comes before the handshake", msg_type.name());
        return Err(refusal(StatusCode::InvalidMessageType, reason));
    }
    ClientMessage::parse(message).map_err(|error| {
        // Where only the parameters do not read, Zoom says so.
        let without_params = without_params(message);
        let code = match without_params.as_deref().map(ClientMessage::parse) {
            Some(Ok(_)) => StatusCode::InvalidMediaParams,
            _ => StatusCode::InvalidPayload,
        };
        refusal(code, error.to_string())
    })
}

/// The message without `media_params`; `None` where it has none.
fn without_params(message: &[u8]) -> Option<Vec<u8>> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(message) else { return None };
    fields.remove("media_params")?;
    serde_json::to_vec(&fields).ok()
}

/// Finds the stream and believes the client, or says why not.
fn identify<'a>(
    shared: &Arc<Shared>,
    server: u32,
    stream_id: &str,
    mut ids: impl Iterator<Item = &'a str>,
    signature: &str,
) -> Result<Arc<Stream>, Rejected> {
    if let Some(stream) = shared.stream(stream_id) {
        let id = stream.identity.id.as_str();
        if !ids.any(|given| given == id) {
            return Err(
                refusal(StatusCode::InvalidPayload, "no id field names this stream's engagement").into()
            );
        }
        let credentials = shared.config.credentials_for(stream.identity.product);
        if !handshake_signature_matches(credentials, id, stream_id, signature) {
            return Err(StatusCode::InvalidSignature.into());
        }
        stream.is_at(server)?;
        return Ok(stream);
    }
    let (Some(any), Some(id)) = (&shared.config.any_stream, ids.next()) else {
        return Err(StatusCode::InvalidStreamId.into());
    };
    let credentials = shared.config.credentials_for(any.product);
    if !handshake_signature_matches(credentials, id, stream_id, signature) {
        return Err(StatusCode::InvalidSignature.into());
    }
    shared.announce_any(any, id, stream_id).ok_or_else(|| StatusCode::InternalException.into())
}

/// Message 1.
pub(super) fn signaling(
    shared: &Arc<Shared>,
    server: u32,
    message: &[u8],
) -> Result<(Arc<Stream>, SignalingSeat), Rejected> {
    let ClientMessage::SignalingHandshake(asked) = read(message, MsgType::SignalingHandshakeRequest)? else {
        return Err(StatusCode::InvalidMessageType.into());
    };
    let stream = identify(shared, server, &asked.rtms_stream_id, asked.ids.ids(), &asked.signature)?;
    let seat = stream.attach_signaling(shared.config.second_connection, asked.buffer_data)?;
    Ok((stream, seat))
}

/// A media handshake that was right.
pub(super) struct MediaGranted {
    pub(super) stream: Arc<Stream>,
    pub(super) seat: MediaSeat,
    pub(super) grant: Grant,
}

/// Message 3, on the socket for `only`, or on the one for everything.
pub(super) fn media(
    shared: &Arc<Shared>,
    server: u32,
    only: Option<MediaKind>,
    message: &[u8],
) -> Result<MediaGranted, Rejected> {
    let ClientMessage::MediaHandshake(asked) = read(message, MsgType::MediaHandshakeRequest)? else {
        return Err(StatusCode::InvalidMessageType.into());
    };
    let stream = identify(shared, server, &asked.rtms_stream_id, asked.ids.ids(), &asked.signature)?;
    if !stream.has_signaling() {
        return Err(refusal(StatusCode::InvalidMessageType, "the signaling handshake comes first").into());
    }
    let kinds = kinds(only, asked.media_type, stream.program.scenario.offers)?;
    let params = granted(&stream.program, kinds, &asked.media_params)?;
    let seat = stream.attach_media(shared.config.second_connection, kinds, only.is_none())?;
    Ok(MediaGranted { stream, seat, grant: Grant { kinds, params } })
}

fn kinds(only: Option<MediaKind>, media_type: i64, offers: MediaSet) -> Result<MediaSet, Refusal> {
    let Some(asked) = MediaSet::from_wire(media_type) else {
        return Err(refusal(
            StatusCode::MediaTypeInvalidValue,
            format!("media_type {media_type} does not exist"),
        ));
    };
    if let Some(only) = only
        && asked != MediaSet::of(only)
    {
        return Err(refusal(StatusCode::InvalidMediaType, format!("this socket carries {only} alone")));
    }
    if media_type == MediaSet::ALL_ON_ONE_SOCKET {
        return Ok(offers);
    }
    match asked.without(offers).iter().next() {
        None => Ok(asked),
        Some(MediaKind::Audio) => Err(StatusCode::AudioNotSupported.into()),
        Some(MediaKind::Video) => Err(StatusCode::VideoNotSupported.into()),
        Some(MediaKind::Share) => Err(StatusCode::ShareNotSupported.into()),
        Some(MediaKind::Transcript) => Err(StatusCode::TranscriptNotSupported.into()),
        Some(MediaKind::Chat) => Err(StatusCode::ChatNotSupported.into()),
    }
}

/// What is granted of what was asked for: all of it or nothing. Kinds without parameters get Zoom's defaults. A row of
/// the matrix for which this program has no pictures is refused as Zoom refuses a codec that it does not know.
fn granted(program: &Program, kinds: MediaSet, asked: &MediaParams) -> Result<MediaParams, Refusal> {
    let given = |kind| kinds.contains(kind);
    let granted = MediaParams {
        audio: given(MediaKind::Audio).then(|| asked.audio.unwrap_or_default()),
        video: given(MediaKind::Video).then(|| asked.video.unwrap_or_default()),
        share: given(MediaKind::Share).then(|| asked.share.unwrap_or_default()),
        transcript: given(MediaKind::Transcript).then(|| asked.transcript.unwrap_or_default()),
        chat: given(MediaKind::Chat).then(|| asked.chat.unwrap_or_default()),
    };
    granted.validate()?;
    let pictures = [
        (MediaKind::Video, granted.video.map(|p| p.codec), StatusCode::InvalidVideoCodec),
        (MediaKind::Share, granted.share.map(|p| p.codec), StatusCode::InvalidShareCodec),
    ];
    for (kind, codec, status) in pictures {
        if let Some(codec) = codec.filter(|codec| !program.shows(kind, *codec)) {
            let reason = format!("Zoom grants {} {kind}, but what is played has none in it", codec.name());
            return Err(refusal(status, reason));
        }
    }
    Ok(granted)
}

#[cfg(test)]
mod tests {
    use rtms_protocol::{
        AudioCodec, AudioContent, AudioParams, Product, Resolution, ShareParams, VideoCodec, VideoData,
        VideoParams,
    };

    use super::*;
    use crate::content::{Content, Footage};
    use crate::scenario::Scenario;

    #[test]
    fn media_types_are_checked_against_the_socket_and_the_offer() {
        let offers: MediaSet = [MediaKind::Audio, MediaKind::Transcript].into_iter().collect();
        let code = |only, media_type| kinds(only, media_type, offers).map_err(|r| r.code);
        assert_eq!(code(None, 32), Ok(offers));
        assert_eq!(code(None, 9), Ok(offers));
        assert_eq!(code(None, 64), Err(StatusCode::MediaTypeInvalidValue));
        assert_eq!(code(None, 0), Err(StatusCode::MediaTypeInvalidValue));
        assert_eq!(code(Some(MediaKind::Audio), 8), Err(StatusCode::InvalidMediaType));
        assert_eq!(code(None, 3), Err(StatusCode::VideoNotSupported));
        assert_eq!(code(None, 4), Err(StatusCode::ShareNotSupported));
        assert_eq!(code(None, 16), Err(StatusCode::ChatNotSupported));
    }

    #[test]
    fn every_row_of_the_matrix_is_granted_and_nothing_else() {
        let program = Program::new(Scenario::of(Product::Meeting, 5_000), Content::built_in());
        let code = |params| granted(&program, MediaSet::ALL, &params).map_err(|r| r.code);
        let audio = |audio| code(MediaParams { audio: Some(audio), ..MediaParams::default() });
        for content_type in AudioContent::KNOWN {
            for codec in AudioCodec::KNOWN {
                let asked =
                    AudioParams { content_type: *content_type, codec: *codec, ..AudioParams::default() };
                let granted = audio(asked.nearest()).unwrap();
                assert_eq!(granted.audio, Some(asked.nearest()));
            }
        }
        let odd = AudioParams { send_rate_ms: 30, ..AudioParams::default() };
        assert_eq!(audio(odd), Err(StatusCode::InvalidAudioSendRate));
        for (codec, fps) in [(VideoCodec::Jpg, 5), (VideoCodec::Png, 1), (VideoCodec::H264, 30)] {
            let video = Some(VideoParams::new(codec, Resolution::Hd, fps, VideoData::ActiveSpeaker));
            let share = Some(ShareParams::new(codec, Resolution::Fhd, if fps > 5 { fps } else { 1 }));
            let granted = code(MediaParams { video, share, ..MediaParams::default() }).unwrap();
            assert_eq!((granted.video, granted.share), (video, share));
        }
        assert_eq!(code(MediaParams::default()).unwrap().kinds(), MediaSet::ALL);
    }

    #[test]
    fn pictures_that_are_not_there_are_refused_as_codecs() {
        let built_in = Content::built_in();
        let mut cameras = built_in.cameras.clone();
        cameras[0].jpg.clear();
        let content = Arc::new(Content { cameras, screen: Footage::default(), ..Content::default() });
        let program = Program::new(Scenario::of(Product::Meeting, 24_000), content);
        let jpg = VideoParams::new(VideoCodec::Jpg, Resolution::Hd, 5, VideoData::ActiveSpeaker);
        let video = MediaParams { video: Some(jpg), ..MediaParams::default() };
        let code = |kind, params| granted(&program, MediaSet::of(kind), &params).map_err(|r| r.code);
        assert_eq!(code(MediaKind::Video, video), Err(StatusCode::InvalidVideoCodec));
        assert!(code(MediaKind::Video, MediaParams::default()).is_ok());
        assert_eq!(code(MediaKind::Share, MediaParams::default()), Err(StatusCode::InvalidShareCodec));
    }

    #[test]
    fn wrong_parameters_are_told_from_a_wrong_message() {
        let message = |params: &str| {
            format!(
                "{{\"msg_type\":3,\"rtms_stream_id\":\"s\",\"signature\":\"00\",\"media_type\":1,\"media_params\":{params}}}"
            )
        };
        let code =
            |text: String| read(text.as_bytes(), MsgType::MediaHandshakeRequest).map_err(|r| r.code).err();
        assert_eq!(code(message("{\"audio\":\"loud\"}")), Some(StatusCode::InvalidMediaParams));
        assert_eq!(code(message("{}")), None);
        assert_eq!(code(message("null")), None);
        assert_eq!(code("{\"msg_type\":3}".into()), Some(StatusCode::InvalidPayload));
        assert_eq!(code("{\"msg_type\":7}".into()), Some(StatusCode::InvalidMessageType));
        assert_eq!(code("hello".into()), Some(StatusCode::InvalidPayload));
    }
}
