//! `load`: many engagements at once, how soon the client joined them, and how late the simulator itself was.
//!
//! Payloads are rendered before the first stream begins. Streams keep absolute schedules, so that a slow moment shows as
//! lateness and not as a lighter load. Where the simulator itself was late, the report says so: what was measured at the
//! other side then says little about the other side.

use std::sync::Arc;
use std::time::Duration;

use rtms_protocol::{AudioData, AudioParams, MediaParams, Product, StreamIdentity};
use rtms_simulator::engagement::{self, Ended, Plan};
use rtms_simulator::faults::Faults;
use rtms_simulator::scenario::Program;
use rtms_simulator::webhook::{Layout, WebhookSender};
use rtms_simulator::{Lateness, Simulator, Tally};
use serde_json::{Value, json};

use super::args::LoadArgs;
use super::call::{layout, made_up_id, sender};
use super::settings::{self, Variables};
use super::{Failure, faults, start, stopped_by_signal};

/// For everybody to finish after the last stream should have ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// A packet in a hundred that left later than this: the simulator did not keep up, ms.
const TOO_LATE_MS: u64 = 100;

/// What all streams share.
#[derive(Clone)]
struct Players {
    simulator: Arc<Simulator>,
    sender: WebhookSender,
    layout: Layout,
    product: Product,
    program: Arc<Program>,
    faults: Faults,
    /// Of the streams, how many percent are cut each minute.
    cut_percent: f64,
}

/// A stream that is over: when it began, counted from the first one, and what became of it.
struct Over {
    began: Duration,
    accepted: bool,
    tally: Tally,
}

pub(crate) async fn run(variables: &Variables, args: &LoadArgs) -> Result<bool, Failure> {
    let secrets = settings::secrets(variables, &args.credentials, true)?;
    let sender = sender(&args.gateway, secrets.secret_token.clone().unwrap_or_default())?;
    let simulator = Arc::new(start(&args.server, settings::server(&args.server, &secrets, 0)).await?);
    let players = Players {
        simulator: Arc::clone(&simulator),
        sender,
        layout: layout(&args.gateway),
        product: args.scenario.product.into(),
        program: args.scenario.program(&args.files, &simulator)?,
        faults: args.faults.plan(),
        cut_percent: args.cut_percent,
    };
    players.render();
    let seconds = players.program.scenario.duration_ms as f64 / 1000.0;
    let longest = Duration::from_secs_f64(args.ramp + seconds / args.server.speed) + PATIENCE;
    let mut over = Vec::new();
    let in_time = tokio::select! {
        done = tokio::time::timeout(longest, players.all(args.streams, args.ramp, &mut over)) => done.is_ok(),
        () = stopped_by_signal() => false,
    };
    let report = report(args.streams, in_time, &over, simulator.lateness());
    print(&report, args.gateway.json);
    Ok(in_time && report["complete"] == args.streams)
}

impl Players {
    /// What most clients ask for is rendered before the first of them comes.
    fn render(&self) {
        for data_opt in [AudioData::Mixed, AudioData::Separate] {
            let audio = Some(AudioParams { data_opt, ..AudioParams::default() });
            self.program.render(&MediaParams { audio, ..MediaParams::default() });
        }
    }

    /// Plays every stream to its end.
    async fn all(&self, streams: u32, ramp: f64, over: &mut Vec<Over>) {
        let first = tokio::time::Instant::now();
        let mut playing = tokio::task::JoinSet::new();
        for number in 0..streams {
            let players = self.clone();
            // At an even distance they would all send in the same few milliseconds of every 20.
            let place = f64::from(number) + fastrand::f64();
            let began = Duration::from_secs_f64(ramp * place / f64::from(streams));
            playing.spawn(async move {
                tokio::time::sleep_until(first + began).await;
                players.one(number, began).await
            });
        }
        while let Some(joined) = playing.join_next().await {
            over.extend(joined.ok().flatten());
        }
    }

    async fn one(&self, number: u32, began: Duration) -> Option<Over> {
        let identity =
            StreamIdentity { product: self.product, id: made_up_id("load"), stream_id: made_up_id("stream") };
        let (program, mut faults) = (Arc::clone(&self.program), self.faults.clone());
        faults::add_cuts(&mut faults, number, self.cut_percent, program.scenario.duration_ms);
        let plan = Plan { identity, program, faults, layout: self.layout };
        match engagement::run(&self.simulator, &self.sender, plan).await {
            Ok(Ended { stream, started, stopped }) => Some(Over {
                began,
                accepted: started.accepted() && stopped.accepted(),
                tally: stream.tally(),
            }),
            Err(error) => {
                tracing::error!(%error, "a stream could not be played");
                None
            }
        }
    }
}

fn report(streams: u32, in_time: bool, over: &[Over], lateness: &Lateness) -> Value {
    let complete = over.iter().filter(|over| over.accepted && over.tally.complete).count();
    let packets: u64 = over.iter().map(|over| over.tally.audio_packets).sum();
    let mut joined: Vec<Duration> = over.iter().filter_map(|over| over.tally.joined_after).collect();
    joined.sort();
    let at = |percent: usize| {
        joined.get((joined.len() * percent).div_ceil(100).max(1) - 1).map(Duration::as_millis)
    };
    let last = over.iter().filter_map(|over| Some(over.began + over.tally.joined_after?)).max();
    json!({"streams": streams, "complete": complete, "in_time": in_time, "audio_packets": packets,
        "joined": {"streams": joined.len(), "p50_ms": at(50), "p99_ms": at(99), "max_ms": at(100),
            "last_ms": last.as_ref().map(Duration::as_millis)},
        "own_lateness": lateness.summary(),
        "was_the_limit": lateness.percentile_ms(0.99) > TOO_LATE_MS})
}

fn print(report: &Value, json: bool) {
    if json {
        println!("{report}");
        return;
    }
    let (joined, late) = (&report["joined"], &report["own_lateness"]);
    println!(
        "{} of {} streams were taken whole; {} audio packets; joined after: median {} ms, 99 % {} ms, worst {} ms, \
         the last {} ms after the first began; the simulator's own lateness: median {} ms, 99 % {} ms, worst {} ms",
        report["complete"],
        report["streams"],
        report["audio_packets"],
        joined["p50_ms"],
        joined["p99_ms"],
        joined["max_ms"],
        joined["last_ms"],
        late["p50_ms"],
        late["p99_ms"],
        late["max_ms"]
    );
    if report["was_the_limit"] == true {
        println!(
            "The simulator itself did not keep up: fewer streams, more --threads, or a machine of its own."
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(began_ms: u64, joined_ms: u64, complete: bool) -> Over {
        let joined_after = Some(Duration::from_millis(joined_ms));
        let tally = Tally { audio_packets: 50, complete, joined_after };
        Over { began: Duration::from_millis(began_ms), accepted: true, tally }
    }

    #[test]
    fn the_last_one_to_join_counts_from_the_first_start() {
        let all = [over(0, 900, true), over(100, 20, true), over(990, 30, false)];
        let report = report(3, true, &all, &Lateness::default());
        assert_eq!(report["complete"], 2);
        assert_eq!(report["audio_packets"], 150);
        assert_eq!(
            report["joined"],
            json!({"streams": 3, "p50_ms": 30, "p99_ms": 900, "max_ms": 900, "last_ms": 1020})
        );
        assert_eq!(report["was_the_limit"], false);
    }

    #[test]
    fn a_late_simulator_says_so() {
        let lateness = Lateness::default();
        (0..98).for_each(|_| lateness.record(0));
        (0..2).for_each(|_| lateness.record(TOO_LATE_MS + 1));
        assert_eq!(report(0, true, &[], &lateness)["was_the_limit"], true);
    }
}
