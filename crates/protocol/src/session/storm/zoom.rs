//! Zoom's side of a storm: captures, keeps what did not arrive, answers handshakes, notices losses late.

use serde_json::{Value, json};

use super::{Due, PACKET_MS, STOP_MS, STORM_MS, Storm, WINDOW_MS};
use crate::{Input, StopReason};

impl Storm {
    pub(super) fn capture(&mut self) {
        if self.terminated {
            return;
        }
        if self.now < STOP_MS - 1_000 {
            self.captured += 1;
        }
        self.pump();
        self.watch_loneliness();
        self.at(self.now + PACKET_MS, Due::Capture);
    }

    /// What did not arrive is kept, and some of what did is sent again.
    pub(super) fn rewind(&mut self) {
        let missing = (0..self.sent).find(|packet| !self.received.contains(packet)).unwrap_or(self.sent);
        self.sent = missing.saturating_sub(self.rng.u64(0..30));
    }

    /// Sends what is captured and was not sent yet.
    fn pump(&mut self) {
        let Some(media) = self.media.filter(|_| self.ready) else { return };
        while self.sent < self.captured {
            let message =
                json!({"msg_type": 14, "content": {"user_id": 0, "data": "", "timestamp": self.sent}});
            self.send_client(media, &message);
            self.sent += 1;
        }
    }

    fn watch_loneliness(&mut self) {
        if self.signaling.is_some() && self.media.is_some() {
            self.lonely_since = None;
        } else {
            let since = *self.lonely_since.get_or_insert(self.now);
            if self.now - since > WINDOW_MS {
                self.terminated = true;
                self.input(Input::Stopped(Some(StopReason::AwaitReconnectionTimeout)));
            }
        }
    }

    pub(super) fn keep_alive(&mut self) {
        for socket in [self.signaling, self.media].into_iter().flatten() {
            self.send_client(socket, &json!({"msg_type": 12, "sequence": self.now, "timestamp": self.now}));
        }
        self.at(self.now + 10_000, Due::KeepAlive);
    }

    pub(super) fn gone_at_zoom(&mut self, socket: u64) {
        if self.signaling == Some(socket) {
            self.signaling = None;
            let at = self.now + self.delay();
            self.at(at, Due::Interrupted);
        }
        if self.media == Some(socket) {
            self.media = None;
            self.ready = false;
            self.rewind();
            if let Some(signaling) = self.signaling {
                self.send_client(
                    signaling,
                    &json!({"msg_type": 6, "event": {"event_type": 7, "timestamp": self.now}}),
                );
            }
        }
    }

    pub(super) fn on_zoom(&mut self, socket: u64, text: &str) {
        let message: Value = serde_json::from_str(text).unwrap();
        match message["msg_type"].as_i64() {
            Some(1) => self.signaling_handshake(socket),
            Some(3) => self.media_handshake(socket),
            Some(7) if self.media.is_some() => {
                self.ready = true;
                self.pump();
            }
            Some(19) => self.send_client(socket, &json!({"msg_type": 20, "state": 1})),
            _ => {}
        }
    }

    fn stormy_refusal(&mut self) -> Option<i64> {
        (self.now < STORM_MS && self.rng.f64() < 0.1).then_some(45)
    }

    fn signaling_handshake(&mut self, socket: u64) {
        if self.now < STORM_MS && self.rng.f64() < 0.05 {
            return; // Accepts and never answers.
        }
        let duplicate = (self.signaling.is_some() && self.rng.bool()).then_some(8);
        let status = duplicate.or_else(|| self.stormy_refusal()).unwrap_or(0);
        if status == 0 {
            self.signaling = Some(socket);
        }
        self.send_client(socket, &json!({"msg_type": 2, "status_code": status, "media_server":
            {"server_urls": {"audio": "wss://a", "video": "wss://v", "transcript": "wss://t", "all": "wss://m"}}}));
    }

    fn media_handshake(&mut self, socket: u64) {
        let duplicate = (self.media.is_some() && self.rng.bool()).then_some(16);
        let status = duplicate.or_else(|| self.stormy_refusal()).unwrap_or(0);
        if status == 0 {
            if self.media.is_some_and(|old| old != socket) {
                self.rewind();
            }
            self.media = Some(socket);
            self.ready = false;
        }
        self.send_client(socket, &json!({"msg_type": 4, "status_code": status}));
    }
}
