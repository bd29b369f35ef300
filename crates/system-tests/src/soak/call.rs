//! One engagement: drawn from its number, played with its faults, compared, deleted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtms_protocol::{Product, StreamIdentity};
use rtms_simulator::Simulator;
use rtms_simulator::engagement::{self, Plan};
use rtms_simulator::faults::{Cut, CutAt, Faults};
use rtms_simulator::played::Played;
use rtms_simulator::scenario::Program;
use rtms_simulator::webhook::{Layout, WebhookSender};
use serde_json::Value;

use crate::compare::{self, Loss};
use crate::report::Report;

/// A recording must be finished this long after its stream.
const PATIENCE: Duration = Duration::from_secs(60);
/// Packets that Zoom repeats after a reconnection: two seconds, more than can be under way.
const REPEATED: u32 = 100;

/// What every engagement needs.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) sender: WebhookSender,
    pub(crate) data: PathBuf,
    pub(crate) report: Arc<Report>,
    /// Every engagement has faults, and all of them are resets right after a line.
    pub(crate) harsh: bool,
}

impl Stage {
    /// Plays engagement `number`; what went wrong is in the report.
    pub(crate) async fn play_one(&self, number: u64) {
        let mut draw = fastrand::Rng::with_seed(number);
        let products = [Product::ContactCenter, Product::ContactCenter, Product::Meeting, Product::Phone];
        let product = products[draw.usize(..products.len())];
        let duration_ms = draw.i64(2..=5) * 10_000;
        let identity =
            StreamIdentity { product, id: format!("soak{number}"), stream_id: format!("stream{number}") };
        let program = self.simulator.usual_program(product, duration_ms);
        let faults = if self.harsh { resets(&mut draw, &program) } else { faults(&mut draw, duration_ms) };
        let plan = Plan {
            identity,
            program,
            faults,
            layout: if draw.bool() { Layout::Flat } else { Layout::Nested },
        };
        let problem = match engagement::play(&self.simulator, &self.sender, plan.clone()).await {
            Ok(outcome) if outcome.is_complete() => match self.check(&outcome.played).await {
                Ok(loss) => return self.report.done(number, &loss, &plan.faults),
                Err(problem) => problem,
            },
            Ok(outcome) => format!("not all was taken: {}", outcome.summary()),
            Err(error) => error.to_string(),
        };
        self.report.failed(number, &format!("{problem}; faults: {:?}", plan.faults));
    }

    /// Compares the finished recording with what was played, and deletes it where it has everything.
    async fn check(&self, played: &Played) -> Result<Loss, String> {
        let identity = &played.identity;
        let name =
            format!("{}_{}_{}.json", identity.product.kind(), identity.id, played.time_zero.file_stamp());
        let path = self.data.join("manifests").join(name);
        let manifest = finished(&path).await?;
        if manifest["state"] != "complete" {
            return Err(format!("{}: state {}", path.display(), manifest["state"]));
        }
        let data = self.data.clone();
        let played = played.clone();
        let compared = tokio::task::spawn_blocking(move || {
            let loss = compare::compare(&data, &manifest, &played)?;
            if loss.is_none() {
                compare::delete(&data, &manifest, &path).map_err(|error| error.to_string())?;
            }
            Ok(loss)
        });
        compared.await.map_err(|error| error.to_string())?
    }
}

async fn finished(path: &Path) -> Result<Value, String> {
    let began = Instant::now();
    loop {
        let manifest = std::fs::read(path).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
        if let Some(manifest) = manifest.filter(|manifest| manifest["state"] != "recording") {
            return Ok(manifest);
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{} is not finished", path.display()));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Every other engagement has faults: media cut up to twice, signaling once, in any way but half open.
fn faults(draw: &mut fastrand::Rng, duration_ms: i64) -> Faults {
    if draw.bool() {
        return Faults::default();
    }
    let cut = |draw: &mut fastrand::Rng| CutAt {
        at_ms: draw.i64(3_000..duration_ms - 8_000),
        how: [Cut::Close, Cut::End, Cut::Reset][draw.usize(..3)],
    };
    let mut cut_media: Vec<_> = (0..draw.usize(0..=2)).map(|_| cut(draw)).collect();
    cut_media.sort_by_key(|cut| cut.at_ms);
    let cut_signaling = (0..draw.usize(0..=1)).map(|_| cut(draw)).collect();
    Faults { cut_media, cut_signaling, repeat_packets: REPEATED, ..Faults::default() }
}

/// Media is reset right after every line of the transcript, as long as a way back is left.
fn resets(draw: &mut fastrand::Rng, program: &Program) -> Faults {
    let last_ms = program.scenario.duration_ms - 8_000;
    let lines = program.cues.iter().map(|cue| cue.due_ms).filter(|due_ms| *due_ms < last_ms);
    let cut_media = lines.map(|due_ms| CutAt { at_ms: due_ms + draw.i64(0..10), how: Cut::Reset }).collect();
    Faults { cut_media, repeat_packets: REPEATED, ..Faults::default() }
}
