//! `call`: the webhooks of engagements to a gateway, and their streams to whoever joins.

use std::sync::Arc;
use std::time::Duration;

use rtms_protocol::{StreamIdentity, WebhookKeys};
use rtms_simulator::engagement::{self, Outcome, Plan};
use rtms_simulator::webhook::{self, Layout, WebhookSender};
use secrecy::SecretString;

use super::args::{CallArgs, GatewayArgs};
use super::settings::{self, Variables, Wrong};
use super::{Failure, start, stopped_by_signal};

pub(crate) async fn run(variables: &Variables, args: &CallArgs) -> Result<bool, Failure> {
    let secrets = settings::secrets(variables, &args.credentials, true)?;
    let token = secrets.secret_token.clone().unwrap_or_default();
    let sender = sender(&args.gateway, token.clone())?;
    let simulator = start(&args.server, settings::server(&args.server, &secrets, 0)).await?;
    if args.validate_url && !url_is_valid(&sender, token).await {
        tracing::error!(
            "the gateway did not answer Zoom's URL validation rightly; check ZOOM_SECRET_TOKEN on both sides"
        );
        return Ok(false);
    }
    let program = args.scenario.program(&args.files, &simulator)?;
    let mut complete = true;
    for number in 0..args.count {
        let program = Arc::clone(&program);
        let plan = Plan {
            identity: identity(args, number),
            program,
            faults: args.faults.plan(),
            layout: layout(&args.gateway),
        };
        let outcome = tokio::select! {
            outcome = engagement::play(&simulator, &sender, plan) => outcome?,
            () = stopped_by_signal() => return Ok(false),
        };
        complete &= outcome.is_complete();
        print(&outcome, args.gateway.json);
    }
    Ok(complete)
}

fn identity(args: &CallArgs, number: u32) -> StreamIdentity {
    let nth = |id: &String| if number == 0 { id.clone() } else { format!("{id}-{}", number + 1) };
    StreamIdentity {
        product: args.scenario.product.into(),
        id: args.id.as_ref().map_or_else(|| made_up_id("sim"), nth),
        stream_id: args.stream_id.as_ref().map_or_else(|| made_up_id("stream"), nth),
    }
}

/// An id that no other run has.
pub(crate) fn made_up_id(prefix: &str) -> String {
    format!("{prefix}-{:016x}", fastrand::u64(..))
}

pub(crate) const fn layout(args: &GatewayArgs) -> Layout {
    if args.nested { Layout::Nested } else { Layout::Flat }
}

pub(crate) fn sender(args: &GatewayArgs, token: SecretString) -> Result<WebhookSender, Wrong> {
    let again = args.redeliver.iter().copied().map(Duration::from_secs_f64).collect();
    WebhookSender::new(&args.gateway, token, again)
        .map_err(|error| Wrong(vec![format!("--gateway: {error}")]))
}

async fn url_is_valid(sender: &WebhookSender, token: SecretString) -> bool {
    let plain = made_up_id("plain").replace('-', "");
    let delivery = sender.deliver(&webhook::url_validation(&plain)).await;
    let Ok(keys) = WebhookKeys::new(vec![token]) else { return false };
    let Ok(expected) = keys.url_validation(&plain) else { return false };
    let answer: Option<serde_json::Value> = serde_json::from_slice(&delivery.body).ok();
    delivery.accepted() && answer == serde_json::to_value(&expected).ok()
}

fn print(outcome: &Outcome, json: bool) {
    if json {
        println!("{}", outcome.summary());
        return;
    }
    let played = &outcome.played;
    let audio: Vec<String> = played
        .tracks
        .iter()
        .map(|t| {
            format!("{} ({} packets)", t.party.as_ref().map_or("mixed", |p| p.name.as_str()), t.packets.len())
        })
        .collect();
    println!(
        "{} {}: audio {}, {} transcript lines, {} chat messages, {} pictures, {} of a shared screen, {} events; ended with {}; {}",
        played.identity.product.word(),
        played.identity.id,
        if audio.is_empty() { "none".to_owned() } else { audio.join(", ") },
        played.transcript.len(),
        played.chat.len(),
        played.video.len(),
        played.share.len(),
        played.events.len(),
        played.stop_reason.map_or("nothing", |reason| reason.name()),
        if outcome.is_complete() { "all of it was taken" } else { "NOT all of it was taken" },
    );
}
