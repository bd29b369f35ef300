//! What a client asks on a signaling socket after the handshake, and what Zoom answers.

use rtms_protocol::{ClientMessage, MsgType, SessionState, StatusCode, StopReason, StreamState, event_name};
use serde_json::{Value, json};

use crate::stream::{Command, Phase, Stream, in_spans};

/// Message 5. Nothing is subscribed to unless all of it is right.
pub(super) fn subscribe(stream: &Stream, message: &[u8]) -> Result<(), (StatusCode, String)> {
    let Ok(ClientMessage::EventSubscription(events)) = ClientMessage::parse(message) else {
        return Err((StatusCode::InvalidEvents, "events must be a list of event_type and subscribe".into()));
    };
    if events.is_empty() {
        return Err((StatusCode::InvalidEvents, "events is empty".into()));
    }
    let product = stream.identity.product;
    let offered = |code| !matches!(code, 1 | 7) && event_name(product, code) != "UNKNOWN";
    if let Some(wrong) = events.iter().find(|event| !offered(event.event_type)) {
        return Err((
            StatusCode::InvalidEventType,
            format!("event {} cannot be subscribed to", wrong.event_type),
        ));
    }
    let subscriptions = &mut stream.inner().subscriptions;
    for event in events {
        if event.subscribe {
            subscriptions.insert(event.event_type);
        } else {
            subscriptions.remove(&event.event_type);
        }
    }
    Ok(())
}

/// The answer to any other message; `None` where Zoom gives none.
pub(super) fn answer(stream: &Stream, msg_type: MsgType, message: &[u8]) -> Option<Value> {
    let status = |answer: MsgType, code: StatusCode| {
        let reason = if code == StatusCode::Ok { "" } else { code.name() };
        Some(json!({"msg_type": answer.code(), "status_code": code.code(), "reason": reason}))
    };
    match (msg_type, ClientMessage::parse(message)) {
        (MsgType::SignalingHandshakeRequest, _) => {
            status(MsgType::SignalingHandshakeResponse, StatusCode::DuplicateSignalRequest)
        }
        (MsgType::MediaHandshakeRequest, _) => {
            status(MsgType::MediaHandshakeResponse, StatusCode::InvalidMessageType)
        }
        (_, Ok(ClientMessage::SessionStateRequest { rtms_session_id })) => {
            Some(session_state(stream, &rtms_session_id))
        }
        (_, Ok(ClientMessage::StreamStateRequest { rtms_stream_id })) => {
            Some(stream_state(stream, &rtms_stream_id))
        }
        (_, Ok(ClientMessage::StreamClose { rtms_stream_id })) => {
            status(MsgType::StreamCloseResponse, close(stream, &rtms_stream_id))
        }
        (_, Ok(ClientMessage::VideoSubscription { user_id, subscribe, .. })) => {
            status(MsgType::VideoSubscriptionResponse, choose_video(stream, &user_id, subscribe))
        }
        (MsgType::SessionStateRequest, Err(_)) => {
            status(MsgType::SessionStateResponse, StatusCode::InvalidPayload)
        }
        (MsgType::StreamStateRequest, Err(_)) => {
            status(MsgType::StreamStateResponse, StatusCode::InvalidPayload)
        }
        (MsgType::StreamCloseRequest, Err(_)) => {
            status(MsgType::StreamCloseResponse, StatusCode::InvalidPayload)
        }
        (MsgType::VideoSubscriptionRequest, Err(_)) => {
            status(MsgType::VideoSubscriptionResponse, StatusCode::InvalidPayload)
        }
        _ => {
            tracing::debug!(stream = %stream.identity.stream_id, msg_type = msg_type.code(), "not a client's message; ignored");
            None
        }
    }
}

fn session_state(stream: &Stream, session: &str) -> Value {
    if session != stream.session_id() {
        return json!({"msg_type": 11, "status_code": StatusCode::InvalidSessionId.code(), "rtms_session_id": session,
            "session_state": SessionState::Inactive.code()});
    }
    let state = match phase_and_pause(stream) {
        (Phase::Open, false) => SessionState::Started,
        (Phase::Open, true) => SessionState::Paused,
        _ => SessionState::Stopped,
    };
    json!({"msg_type": 11, "status_code": 0, "rtms_session_id": session, "session_state": state.code()})
}

fn stream_state(stream: &Stream, stream_id: &str) -> Value {
    let code =
        if stream_id == stream.identity.stream_id { StatusCode::Ok } else { StatusCode::InvalidStreamId };
    let state = match (code, phase_and_pause(stream)) {
        (StatusCode::Ok, (Phase::Open, false)) => StreamState::Active,
        (StatusCode::Ok, (Phase::Open, true)) => StreamState::Paused,
        (StatusCode::Ok, (Phase::Draining | Phase::Terminating, _)) => StreamState::Terminating,
        (StatusCode::Ok, (Phase::Closed, _)) => StreamState::Terminated,
        _ => StreamState::Inactive,
    };
    json!({"msg_type": 20, "status_code": code.code(), "rtms_stream_id": stream_id, "state": state.code()})
}

fn phase_and_pause(stream: &Stream) -> (Phase, bool) {
    let stage = stream.stage.borrow();
    (stage.phase, in_spans(&stage.pauses, stream.clock.offset()))
}

fn close(stream: &Stream, stream_id: &str) -> StatusCode {
    if stream_id != stream.identity.stream_id {
        return StatusCode::InvalidStreamId;
    }
    match stream.commands.try_send(Command::Stop(StopReason::ReceiverRequestClose)) {
        Ok(()) => StatusCode::Ok,
        Err(_) => StatusCode::InternalException,
    }
}

fn choose_video(stream: &Stream, user_id: &str, subscribe: bool) -> StatusCode {
    if !stream.offers_video() {
        return StatusCode::VideoNotSupported;
    }
    let parties = &stream.program.scenario.parties;
    let Some(party) = parties.iter().position(|party| party.user_id.is(user_id)) else {
        return StatusCode::InvalidPayload;
    };
    let chosen = stream.stage.borrow().video_choice;
    if subscribe && chosen == Some(party) {
        return StatusCode::DuplicateVideoSubscription;
    }
    if subscribe || chosen == Some(party) {
        stream.stage.send_modify(|stage| stage.video_choice = subscribe.then_some(party));
    }
    StatusCode::Ok
}
