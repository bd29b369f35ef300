//! The remote control of one announced stream.

use std::sync::Arc;

use rtms_protocol::{StopReason, StreamIdentity, UnixMillis};
use tokio::sync::mpsc;

use crate::played::Played;
use crate::scenario::Program;
use crate::stream::{Command, Notice, Phase, Stream, Tally};

/// A stream that was announced. Dropping the handle does not end the stream.
pub struct StreamHandle {
    stream: Arc<Stream>,
    notices: mpsc::Receiver<Notice>,
    signaling_url: String,
}

impl StreamHandle {
    pub(crate) const fn new(
        stream: Arc<Stream>,
        notices: mpsc::Receiver<Notice>,
        signaling_url: String,
    ) -> Self {
        Self { stream, notices, signaling_url }
    }

    pub(crate) fn into_stream(self) -> Arc<Stream> {
        self.stream
    }

    /// Which stream.
    #[must_use]
    pub fn identity(&self) -> &StreamIdentity {
        &self.stream.identity
    }

    /// What it plays.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.stream.program
    }

    /// Its first timestamp.
    #[must_use]
    pub fn time_zero(&self) -> UnixMillis {
        self.stream.clock.time_zero
    }

    /// Where a client joins it.
    #[must_use]
    pub fn signaling_url(&self) -> &str {
        &self.signaling_url
    }

    /// The next thing that Zoom would send a webhook about; `None` once there will be none.
    ///
    /// Cancel safe.
    pub async fn notice(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// Waits for the stream's end, and tells what was sent.
    pub async fn ended(&mut self) -> Played {
        let mut stage = self.stream.stage.subscribe();
        let _ = stage.wait_for(|stage| stage.phase == Phase::Closed).await;
        // Sockets report what they sent before they close; the conductor speaks last.
        while let Some(notice) = self.notices.recv().await {
            if matches!(notice, Notice::Ended(_)) {
                break;
            }
        }
        self.played()
    }

    /// What was sent so far by sockets that have closed; all of it once the stream has ended.
    #[must_use]
    pub fn played(&self) -> Played {
        self.stream.played()
    }

    /// The same without the content: costs nothing, however long the stream was.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.stream.tally()
    }

    /// Ends the stream now.
    pub async fn stop(&self, reason: StopReason) {
        let _ = self.stream.commands.send(Command::Stop(reason)).await;
    }

    /// Pauses it: nothing is captured until it is resumed.
    pub async fn pause(&self) {
        let _ = self.stream.commands.send(Command::Pause).await;
    }

    /// Goes on after a pause.
    pub async fn resume(&self) {
        let _ = self.stream.commands.send(Command::Resume).await;
    }

    /// Ends its media sockets in this way, now.
    pub fn cut_media(&self, how: crate::faults::Cut) {
        self.stream.cut_media(how);
    }

    /// Ends its signaling socket in this way, now; media goes with it.
    pub fn cut_signaling(&self, how: crate::faults::Cut) {
        self.stream.cut_signaling(how);
    }
}
