//! A signaling socket, from Zoom's side: handshake, first timestamp, subscriptions, events, queries, states, the end.

use std::sync::Arc;

use rtms_protocol::{
    ClientMessage, MediaKind, MsgType, SessionState, StatusCode, StopReason, StreamState, peek_msg_type,
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::handshake::{self, Rejected};
use super::keep_alive::{Beat, KeepAlive, half_open};
use super::requests;
use super::rubbish::{self, On};
use super::socket::{Gone, Socket};
use crate::faults::Cut;
use crate::played::PlayedEvent;
use crate::stream::{Phase, SignalingSeat, Stream, ToSignaling};

/// Serves one signaling socket to its end.
pub(super) async fn serve(shared: Arc<Shared>, mut socket: Socket, server: u32) {
    let Ok(Some(first)) = timeout(shared.config.timing.handshake, socket.receiver.receive()).await else {
        return;
    };
    let (stream, seat) = match handshake::signaling(&shared, server, &first) {
        Ok(seated) => seated,
        Err(Rejected::Cut(how)) => return shared.unanswered(socket, how).await,
        Err(Rejected::Refused(refused)) => {
            tracing::debug!(status = refused.code.name(), reason = %refused.reason, "signaling handshake refused");
            let answer = json!({"msg_type": 2, "protocol_version": 1, "status_code": refused.code.code(),
                "reason": refused.reason});
            if socket.sender.send(&answer).await.is_ok() {
                socket.end(Cut::Close).await;
            }
            return;
        }
    };
    let seat_id = seat.id;
    let how = match greet(&stream, &mut socket).await {
        Ok(()) => Signaling { stream: &stream, socket: &mut socket }.run(seat).await,
        Err(Gone) => Cut::Reset,
    };
    if how == Cut::Silence {
        half_open(&shared, &stream, socket, || stream.detach_signaling(seat_id)).await;
    } else {
        stream.detach_signaling(seat_id);
        socket.end(how).await;
    }
}

/// The answer to the handshake, and unasked the first timestamp.
async fn greet(stream: &Stream, socket: &mut Socket) -> Result<(), Gone> {
    let mut urls = Map::new();
    for kind in stream.program.scenario.offers.iter() {
        urls.insert(kind.word().to_owned(), json!(stream.url(&format!("media/{}", kind.word()))));
    }
    urls.insert("all".to_owned(), json!(stream.url("media/all")));
    socket
        .sender
        .send(&json!({"msg_type": 2, "protocol_version": 1, "sequence": 1, "status_code": 0, "reason": "",
            "media_server": {"server_urls": urls}}))
        .await?;
    let time_zero = stream.clock.time_zero;
    socket.sender.send(&json!({"msg_type": 6, "event": {"event_type": 1, "timestamp": time_zero.0}})).await?;
    stream.inner().log.events.push(PlayedEvent { event_type: 1, timestamp: time_zero });
    Ok(())
}

struct Signaling<'a> {
    stream: &'a Arc<Stream>,
    socket: &'a mut Socket,
}

impl Signaling<'_> {
    /// Runs until something ends the socket, and says how it is to end.
    async fn run(mut self, mut seat: SignalingSeat) -> Cut {
        let mut stage = self.stream.stage.subscribe();
        let mut keep_alive = KeepAlive::begin(self.stream.timing);
        loop {
            let phase = stage.borrow_and_update().phase;
            match phase {
                Phase::Closed => return Cut::Close,
                Phase::Terminating => {
                    if self.terminate().await.is_err() {
                        return Cut::Reset;
                    }
                    self.stream.mark_done(&seat.done);
                }
                Phase::Open | Phase::Draining => {}
            }
            let next_event = self.stream.next_event().map_or_else(far, |at_ms| self.stream.clock.due(at_ms));
            let done = tokio::select! {
                biased;
                cut = seat.cut.changed() => {
                    let how = *seat.cut.borrow();
                    if cut.is_err() || how.is_some() {
                        return how.unwrap_or(Cut::Close);
                    }
                    Ok(())
                }
                _ = stage.changed() => Ok(()),
                message = self.socket.receiver.receive() => match message {
                    Some(message) => self.on_message(&message, &mut keep_alive).await,
                    None => return Cut::Close,
                },
                Some(news) = seat.news.recv() => self.tell(news).await,
                Some(what) = seat.rubbish.recv() => {
                    self.socket.sender.send_frames(rubbish::frames(what, On::Signaling)).await
                }
                () = sleep_until(keep_alive.next()) => match keep_alive.beat() {
                    Beat::Ask(request) => self.socket.sender.send(&request).await,
                    Beat::Dead => {
                        tracing::info!(stream = %self.stream.identity.stream_id, "signaling keep-alives are not answered; both kinds of socket are cut");
                        return Cut::End;
                    }
                },
                () = sleep_until(next_event) => self.send_due_events(self.stream.clock.offset() + 1).await,
            };
            if done.is_err() {
                return Cut::Reset;
            }
        }
    }

    async fn on_message(&mut self, message: &[u8], keep_alive: &mut KeepAlive) -> Result<(), Gone> {
        let stream = Arc::clone(self.stream);
        match peek_msg_type(message) {
            Some(MsgType::KeepAliveResponse) => {
                keep_alive.answered();
                Ok(())
            }
            Some(MsgType::EventSubscription) => {
                if let Err((code, reason)) = requests::subscribe(&stream, message) {
                    let refused = json!({"msg_type": 5, "status_code": code.code(), "reason": reason});
                    self.socket.sender.send(&refused).await?;
                }
                self.send_due_events(stream.clock.offset()).await
            }
            Some(MsgType::ClientReadyAck) => match ClientMessage::parse(message) {
                Ok(ClientMessage::ClientReady { rtms_stream_id })
                    if rtms_stream_id == stream.identity.stream_id =>
                {
                    stream.set_ready();
                    Ok(())
                }
                _ => {
                    let code = StatusCode::InvalidClientReadyAck;
                    self.socket
                        .sender
                        .send(&json!({"msg_type": 7, "status_code": code.code(), "reason": code.name()}))
                        .await
                }
            },
            Some(msg_type) => match requests::answer(&stream, msg_type, message) {
                Some(answer) => self.socket.sender.send(&answer).await,
                None => Ok(()),
            },
            None => {
                tracing::debug!(stream = %stream.identity.stream_id, "a signaling message that is no JSON object; ignored");
                Ok(())
            }
        }
    }

    /// Sends what is due, subscribed to, and was not sent yet; each with the time when it happened.
    async fn send_due_events(&mut self, now_ms: i64) -> Result<(), Gone> {
        for (event_type, event) in self.stream.take_due_events(now_ms) {
            self.socket.sender.send(&json!({"msg_type": 6, "event": event})).await?;
            let timestamp = rtms_protocol::UnixMillis(
                event["timestamp"].as_i64().or(event["event_ts"].as_i64()).unwrap_or(0),
            );
            self.stream.inner().log.events.push(PlayedEvent { event_type, timestamp });
        }
        Ok(())
    }

    async fn tell(&mut self, news: ToSignaling) -> Result<(), Gone> {
        let now = self.stream.clock.timestamp(self.stream.clock.offset());
        match news {
            ToSignaling::MediaInterrupted => {
                self.socket
                    .sender
                    .send(&json!({"msg_type": 6, "event": {"event_type": 7, "timestamp": now.0}}))
                    .await?;
                self.stream.inner().log.events.push(PlayedEvent { event_type: 7, timestamp: now });
                Ok(())
            }
            ToSignaling::Paused => self.states(SessionState::Paused, StreamState::Paused, None).await,
            ToSignaling::Resumed => self.states(SessionState::Resumed, StreamState::Resumed, None).await,
        }
    }

    async fn states(
        &mut self,
        session: SessionState,
        state: StreamState,
        reason: Option<StopReason>,
    ) -> Result<(), Gone> {
        let now = self.stream.clock.timestamp(self.stream.clock.offset());
        let mut message = json!({"msg_type": 9, "rtms_session_id": self.stream.session_id(), "state": session.code(),
            "timestamp": now.0});
        if let Some(reason) = reason {
            message["stop_reason"] = json!(reason.code());
        }
        self.socket.sender.send(&message).await?;
        self.state(state, reason.map_or(0, StopReason::code)).await
    }

    async fn state(&mut self, state: StreamState, reason: i64) -> Result<(), Gone> {
        let now = self.stream.clock.timestamp(self.stream.clock.offset());
        self.socket
            .sender
            .send(&json!({"msg_type": 8, "state": state.code(), "reason": reason, "timestamp": now.0}))
            .await
    }

    /// The last events and the last states.
    async fn terminate(&mut self) -> Result<(), Gone> {
        let (end_ms, reason) = {
            let stage = self.stream.stage.borrow();
            (stage.end_ms, stage.reason)
        };
        self.send_due_events(end_ms).await?;
        self.state(StreamState::Terminating, reason.code()).await?;
        self.states(SessionState::Stopped, StreamState::Terminated, Some(reason)).await
    }
}

impl Stream {
    /// The one session in the stream.
    pub(super) fn session_id(&self) -> String {
        format!("{}-1", self.identity.stream_id)
    }

    /// When the next event is due that was subscribed to.
    fn next_event(&self) -> Option<i64> {
        let inner = self.inner();
        let end_ms = self.stage.borrow().end_ms;
        let events = self.program.events.iter().zip(&inner.events_sent);
        let waiting =
            events.filter(|(event, sent)| !**sent && inner.subscriptions.contains(&event.event_type));
        waiting.map(|(event, _)| event.at_ms).next().filter(|&at_ms| at_ms <= end_ms)
    }

    /// The events that are due, marked as sent.
    fn take_due_events(&self, now_ms: i64) -> Vec<(i64, Value)> {
        let mut inner = self.inner();
        let now_ms = now_ms.min(self.stage.borrow().end_ms);
        let mut due = Vec::new();
        for (index, event) in self.program.events.iter().enumerate() {
            if event.at_ms > now_ms
                || inner.events_sent[index]
                || !inner.subscriptions.contains(&event.event_type)
            {
                continue;
            }
            inner.events_sent[index] = true;
            let contact_center = self.identity.product == rtms_protocol::Product::ContactCenter;
            let time_field = if contact_center && event.event_type >= 8 { "event_ts" } else { "timestamp" };
            let mut fields = event.fields.clone();
            fields.insert("event_type".to_owned(), json!(event.event_type));
            fields.insert(time_field.to_owned(), json!(self.clock.timestamp(event.at_ms).0));
            due.push((event.event_type, Value::Object(fields)));
        }
        due
    }

    /// Whether video is among what the app may have.
    pub(super) fn offers_video(&self) -> bool {
        self.program.scenario.offers.contains(MediaKind::Video)
    }
}

fn far() -> Instant {
    Instant::now() + std::time::Duration::from_secs(86_400)
}
