//! The conductor of a stream: one task that watches the clock, ends the stream, and lets faults happen when they are due.

use std::collections::VecDeque;
use std::sync::Arc;

use rtms_protocol::{StatusCode, StopReason};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::seats::Seat;
use super::standstill::Needs;
use super::{Command, Inner, Notice, Phase, Stream, ToSignaling};
use crate::faults::{Cut, CutAt, Death, Rubbish, RubbishAt};

/// Something with a time.
#[derive(Debug, Clone, Copy)]
enum Act {
    CutMedia(Cut),
    CutSignaling(Cut),
    Tell(ToSignaling),
    Die(Cut, Option<StatusCode>),
    AnnounceServer,
    Forget,
    TellInterrupted,
    SendRubbish(Rubbish),
}

impl Act {
    /// Who must be there for it. What happens to an absent client, or with nobody's help, waits for nobody.
    const fn needs(self) -> Needs {
        match self {
            Self::CutMedia(_) | Self::SendRubbish(_) | Self::TellInterrupted => Needs::Client,
            Self::CutSignaling(_) => Needs::Signaling,
            Self::Die(..) => Needs::Visitor,
            Self::Tell(_) | Self::AnnounceServer | Self::Forget => Needs::Nothing,
        }
    }
}

/// What is planned for a stream.
pub(crate) struct Plan(VecDeque<(i64, Act)>);

impl Plan {
    /// Lets the clock of a stream begin, as far as the first thing that is planned: whoever conducts it may come late.
    pub(crate) fn begin(stream: &Stream) -> Self {
        let acts = VecDeque::from(acts(stream));
        let end_ms = stream.stage.borrow().end_ms;
        stream.wait_at([stop_of(&acts), stream.end_waits().then_some(end_ms)]);
        Self(acts)
    }
}

/// Runs a stream from its announcement to its end.
pub(crate) async fn conduct(stream: Arc<Stream>, plan: Plan, mut commands: mpsc::Receiver<Command>) {
    let Plan(mut acts) = plan;
    let mut last_act = None;
    let mut interrupted_told = false;
    let reason = loop {
        let (end_ms, scenario_reason) = {
            let stage = stream.stage.borrow();
            (stage.end_ms, stage.reason)
        };
        let next = acts.front().copied();
        // What is planned for one moment happens together, whatever the first of it does to the client.
        let act_waits = next.is_some_and(|(at_ms, act)| last_act != Some(at_ms) && !stream.has(act.needs()));
        let end_waits = stream.end_waits();
        // The clock does not go on before it has happened either, however late this task is.
        stream.wait_at([stop_of(&acts), end_waits.then_some(end_ms)]);
        let next = next.filter(|_| !act_waits);
        let give_up = patience(&stream).map(|(until, _)| until);
        let end = (!end_waits).then(|| stream.clock.due(end_ms));
        let next_act = next.map(|(at_ms, _)| stream.clock.due(at_ms));
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(Command::Stop(reason)) => break reason,
                Some(Command::Pause) => pause(&stream),
                Some(Command::Resume) => resume(&stream),
                None => break StopReason::StreamCanceled,
            },
            () = stream.presence.notified() => {}
            () = first_of([end, next_act, give_up]) => {
                let now = Instant::now();
                if !end_waits && now >= stream.clock.due(end_ms) {
                    break scenario_reason;
                }
                // The client may have come in the very last moment: ask again.
                if let Some((_, reason)) = patience(&stream).filter(|(until, _)| now >= *until) {
                    break reason;
                }
                if let Some((at_ms, act)) = next.filter(|(at_ms, _)| now >= stream.clock.due(*at_ms)) {
                    acts.pop_front();
                    last_act = Some(at_ms);
                    perform(&stream, act);
                }
            }
        }
        let interrupted = stream.is_missed();
        if interrupted && !interrupted_told {
            stream.notify(Notice::Interrupted);
        }
        interrupted_told = interrupted;
    };
    finish(&stream, reason).await;
}

/// Where the clock stops for what is planned: at the first of it that somebody must be there for.
fn stop_of(acts: &VecDeque<(i64, Act)>) -> Option<i64> {
    acts.iter().find(|(_, act)| act.needs() != Needs::Nothing).map(|(at_ms, _)| *at_ms)
}

/// Waits for the first of these; for ever where there is none.
async fn first_of(moments: [Option<Instant>; 3]) {
    match moments.into_iter().flatten().min() {
        Some(first) => sleep_until(first).await,
        None => std::future::pending().await,
    }
}

fn acts(stream: &Stream) -> Vec<(i64, Act)> {
    let mut acts: Vec<(i64, Act)> = Vec::new();
    acts.extend(stream.faults.cut_media.iter().map(|&CutAt { at_ms, how }| (at_ms, Act::CutMedia(how))));
    acts.extend(
        stream.faults.cut_signaling.iter().map(|&CutAt { at_ms, how }| (at_ms, Act::CutSignaling(how))),
    );
    for &Death { at_ms, how, refuses, announced_after_ms } in &stream.faults.server_dies {
        acts.push((at_ms, Act::Die(how, refuses)));
        acts.push((at_ms.saturating_add(announced_after_ms), Act::AnnounceServer));
    }
    acts.extend(stream.faults.forget_at_ms.map(|at_ms| (at_ms, Act::Forget)));
    acts.extend(stream.faults.stale_interrupted_ms.iter().map(|&at_ms| (at_ms, Act::TellInterrupted)));
    acts.extend(
        stream.faults.rubbish.iter().map(|&RubbishAt { at_ms, what }| (at_ms, Act::SendRubbish(what))),
    );
    for pause in &stream.program.scenario.pauses {
        acts.push((pause.start, Act::Tell(ToSignaling::Paused)));
        acts.push((pause.end, Act::Tell(ToSignaling::Resumed)));
    }
    acts.sort_by_key(|(at_ms, _)| *at_ms);
    acts
}

fn perform(stream: &Stream, act: Act) {
    match act {
        Act::CutMedia(how) => stream.cut_media(how),
        Act::CutSignaling(how) => stream.cut_signaling(how),
        Act::Tell(news) => stream.tell_signaling(news),
        Act::Die(how, refuses) => stream.die(how, refuses),
        Act::AnnounceServer => {
            stream.notify(Notice::Moved { signaling_url: stream.url("signaling") });
        }
        Act::Forget => {
            stream.forget();
            stream.notify(Notice::Forgotten);
        }
        Act::SendRubbish(what) => stream.send_rubbish(what),
        Act::TellInterrupted => stream.notify(Notice::Interrupted),
    }
}

/// When Zoom's patience with an absent client ends, and with which reason.
fn patience(stream: &Stream) -> Option<(Instant, StopReason)> {
    let inner = stream.inner();
    let never_came = inner.joins == 0;
    if let Some(lost) = inner.signaling_lost {
        let reason =
            if never_came { StopReason::ConnectionTimeout } else { StopReason::AwaitReconnectionTimeout };
        return Some((lost + stream.timing.signaling_window, reason));
    }
    inner.media_lost.map(|lost| (lost + stream.timing.media_window, StopReason::AwaitReconnectionTimeout))
}

fn pause(stream: &Stream) {
    let now = stream.clock.offset();
    stream.stage.send_modify(|stage| {
        if !super::in_spans(&stage.pauses, now) {
            stage.pauses = stage.pauses.iter().cloned().chain(std::iter::once(now..i64::MAX)).collect();
        }
    });
    stream.tell_signaling(ToSignaling::Paused);
}

fn resume(stream: &Stream) {
    let now = stream.clock.offset();
    stream.stage.send_modify(|stage| {
        let closed =
            |span: &std::ops::Range<i64>| span.start..if span.contains(&now) { now } else { span.end };
        stage.pauses = stage.pauses.iter().map(closed).collect();
    });
    stream.tell_signaling(ToSignaling::Resumed);
}

/// The end: what is due is sent, then signaling is told, then sockets close, then the webhook may go.
async fn finish(stream: &Arc<Stream>, reason: StopReason) {
    let now = stream.clock.offset();
    stream.stage.send_modify(|stage| {
        stage.end_ms = stage.end_ms.min(now);
        stage.reason = reason;
        stage.phase = Phase::Draining;
    });
    if timeout(stream.timing.drain, drained(stream)).await.is_err() {
        tracing::warn!(stream = %stream.identity.stream_id, "a media socket did not take what was left; the stream ends without it");
    }
    stream.stage.send_modify(|stage| stage.phase = Phase::Terminating);
    let _ = timeout(stream.timing.drain, signaling_told(stream)).await;
    stream.stage.send_modify(|stage| stage.phase = Phase::Closed);
    let _ = timeout(stream.timing.drain, all_gone(stream)).await;
    stream.notify(Notice::Ended(reason));
    tracing::debug!(stream = %stream.identity.stream_id, reason = reason.name(), "stream ended");
}

async fn drained(stream: &Stream) {
    until(stream, |inner| inner.media.iter().all(Seat::is_done)).await;
}

async fn signaling_told(stream: &Stream) {
    until(stream, |inner| inner.signaling.as_ref().is_none_or(Seat::is_done)).await;
}

async fn all_gone(stream: &Stream) {
    until(stream, |inner| inner.media.is_empty() && inner.signaling.is_none()).await;
}

async fn until(stream: &Stream, done: impl Fn(&Inner) -> bool) {
    while !done(&stream.inner()) {
        stream.presence.notified().await;
    }
}
