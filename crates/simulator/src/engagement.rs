//! One engagement from Zoom's side of the whole: announce, `…started`, play, `…interrupted` where it is, `…stopped`.

use std::sync::Arc;

use rtms_protocol::StreamIdentity;
use serde_json::{Value, json};

use crate::clock::unix_now;
use crate::faults::Faults;
use crate::handle::StreamHandle;
use crate::played::Played;
use crate::scenario::Program;
use crate::server::{Simulator, SimulatorError};
use crate::stream::Notice;
use crate::webhook::{self, Delivery, Layout, WebhookSender};

/// What is to be played, and as whom.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The stream.
    pub identity: StreamIdentity,
    /// What happens in it.
    pub program: Arc<Program>,
    /// What goes wrong.
    pub faults: Faults,
    /// Shape of the webhooks.
    pub layout: Layout,
}

/// How it went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was sent.
    pub played: Played,
    /// The `…started` webhook.
    pub started: Delivery,
    /// The `…stopped` webhook.
    pub stopped: Delivery,
}

impl Outcome {
    /// Whether both webhooks were accepted and the client took everything.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.started.accepted() && self.stopped.accepted() && self.played.complete
    }

    /// A summary without content.
    #[must_use]
    pub fn summary(&self) -> Value {
        let mut summary = self.played.summary();
        summary["started_webhook"] =
            json!({"status": self.started.status, "attempts": self.started.attempts});
        summary["stopped_webhook"] =
            json!({"status": self.stopped.status, "attempts": self.stopped.attempts});
        summary
    }
}

/// An engagement that is over.
pub struct Ended {
    /// Its stream, which can still be asked what was sent.
    pub stream: StreamHandle,
    /// The `…started` webhook.
    pub started: Delivery,
    /// The `…stopped` webhook.
    pub stopped: Delivery,
}

/// Plays one engagement to the client behind a gateway, and gathers everything that was sent.
///
/// # Errors
/// When the stream cannot be announced.
pub async fn play(
    simulator: &Simulator,
    sender: &WebhookSender,
    plan: Plan,
) -> Result<Outcome, SimulatorError> {
    let Ended { stream, started, stopped } = run(simulator, sender, plan).await?;
    Ok(Outcome { played: stream.played(), started, stopped })
}

/// Plays one engagement to the client behind a gateway.
///
/// # Errors
/// When the stream cannot be announced.
pub async fn run(simulator: &Simulator, sender: &WebhookSender, plan: Plan) -> Result<Ended, SimulatorError> {
    let Plan { identity, program, faults, layout } = plan;
    let mut stream = simulator.announce(identity.clone(), program, faults)?;
    let body = webhook::started(&identity, stream.signaling_url(), stream.time_zero().0, layout);
    // The stream plays on while the webhook is on its way: what is said meanwhile is what Zoom buffers.
    let deliver_started = {
        let sender = sender.clone();
        tokio::spawn(async move { sender.deliver(&body).await })
    };
    let mut forgotten = false;
    let reason = loop {
        match stream.notice().await {
            Some(Notice::Moved { signaling_url }) => {
                let moved = webhook::started(&identity, &signaling_url, unix_now().0, layout);
                let sender = sender.clone();
                tokio::spawn(async move { sender.deliver(&moved).await });
            }
            Some(Notice::Forgotten) => forgotten = true,
            Some(Notice::Interrupted) => {
                let (sender, body) = (sender.clone(), webhook::interrupted(&identity, layout));
                tokio::spawn(async move { sender.deliver(&body).await });
            }
            Some(Notice::Ended(reason)) => break reason,
            None => break rtms_protocol::StopReason::InternalException,
        }
    };
    let none = Delivery { status: None, attempts: 0, took: std::time::Duration::ZERO, body: Vec::new() };
    let stopped = if forgotten {
        none.clone()
    } else {
        sender.deliver(&webhook::stopped(&identity, reason, layout)).await
    };
    let started = deliver_started.await.unwrap_or(none);
    Ok(Ended { stream, started, stopped })
}
