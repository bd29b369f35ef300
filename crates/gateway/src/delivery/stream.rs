//! One stream's events, one after the other, each until the worker has it or it is pointless.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rtms_protocol::UnixMillis;
use rtms_service::CancellationToken;
use rtms_service::time::unix_millis;
use tokio::sync::watch;
use tokio::time::Instant;

use super::attempt::Verdict;
use super::backoff::backoff;
use super::looks::Looks;
use super::workers::{Condition, Worker, Workers};
use crate::metrics;
use crate::outbox::{Action, Assignment, EventId, Outbox, OutboxError, Waiting};

/// How long a `started` is worth delivering, in ms: Zoom has given the stream up long before.
const STARTED_LIFE_MS: i64 = 10 * 60 * 1000;
/// How long a `stopped` is worth delivering, in ms. It may be a revocation, which must delete.
const STOPPED_LIFE_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How long a stream's own worker is waited for before a `started` goes elsewhere: a worker that restarts
/// is back sooner, and Zoom waits a minute.
const MOVE_AFTER: Duration = Duration::from_secs(15);
/// The pause after the outbox could not be read.
const OUTBOX_PAUSE: Duration = Duration::from_secs(1);

/// Why an event is not delivered any more.
const fn pointless(waiting: &Waiting, now: UnixMillis) -> Option<&'static str> {
    let age = now.since(waiting.received);
    match waiting.action {
        Action::Stopped if age > STOPPED_LIFE_MS => Some("expired"),
        Action::Stopped => None,
        Action::Started | Action::Other if waiting.over => Some("over"),
        Action::Started | Action::Other if age > STARTED_LIFE_MS => Some("expired"),
        Action::Started | Action::Other => None,
    }
}

/// How an event stands with its stream's own worker.
#[derive(Clone, Copy)]
struct Standing {
    /// It surely did not take the event.
    refused: bool,
    /// It does not answer probes, or takes nothing new.
    gone: bool,
    /// [`MOVE_AFTER`] has passed.
    waited: bool,
}

/// Whether an event may go to another worker than its stream's own. A worker that took something of the
/// stream has its files, so only a start leaves it, and late; where nothing was taken yet, a clear refusal
/// is enough, and an unclear one (a timeout: it may be recording) takes time and a worker that is gone.
const fn may_move(confirmed: bool, action: Action, standing: Standing) -> bool {
    let Standing { refused, gone, waited } = standing;
    if confirmed {
        matches!(action, Action::Started) && waited && (refused || gone)
    } else {
        refused || (waited && gone)
    }
}

/// The event in hand: how often it failed, and at whom.
struct Hand {
    id: EventId,
    failures: u32,
    since: Instant,
    /// Workers that surely did not take it.
    passed_over: HashSet<String>,
    /// A worker has it; only the outbox does not know yet.
    taken: bool,
}

impl Hand {
    fn new(id: EventId) -> Self {
        Self { id, failures: 0, since: Instant::now(), passed_over: HashSet::new(), taken: false }
    }

    /// One failure more; how long to wait.
    fn failed(&mut self, retry_after: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        backoff(self.failures, retry_after, fastrand::f64())
    }
}

/// How long to wait for a worker that cannot be connected to. Its return ends the wait; this is for what nobody told of.
fn until_it_returns() -> Duration {
    backoff(u32::MAX, None, fastrand::f64())
}

/// What to do next.
enum Step {
    /// Look for the oldest event again.
    Look,
    /// The same after a pause.
    Pause(Duration),
    /// The event is done; this is the next one, as far as there is one.
    Delivered(Option<Waiting>),
}

struct Delivery<'a, O> {
    outbox: &'a O,
    workers: &'a Workers,
    stream: &'a str,
}

/// Delivers what waits for `stream`, beginning with `first` where that is known; returns when nothing waits, or when told
/// to stop.
pub(super) async fn deliver<O: Outbox>(
    outbox: &O,
    workers: &Workers,
    looks: &Looks,
    stream: &str,
    first: Option<Waiting>,
    stop: &CancellationToken,
) {
    let delivery = Delivery { outbox, workers, stream };
    let mut hand: Option<Hand> = None;
    // What the outbox handed out already, with the delivery before.
    let mut fetched = first;
    while !stop.is_cancelled() {
        // Before the attempt, so that a return during it is noticed.
        let mut returns = workers.returns();
        let found = match fetched.take() {
            Some(waiting) => Ok(Some(waiting)),
            None => {
                let _looking = looks.look();
                outbox.next(stream).await
            }
        };
        let waiting = match found {
            Ok(Some(waiting)) => waiting,
            Ok(None) => return,
            Err(problem) => {
                tracing::debug!(%stream, error = %problem, "the outbox cannot be read, trying again");
                pause(OUTBOX_PAUSE, None, stop).await;
                continue;
            }
        };
        if let Some(why) = pointless(&waiting, UnixMillis(unix_millis())) {
            if let Step::Pause(wait) = delivery.give_up(&waiting, why).await {
                pause(wait, None, stop).await;
            }
            continue;
        }
        let in_hand = match hand.take() {
            Some(same) if same.id == waiting.id => hand.insert(same),
            _ => hand.insert(Hand::new(waiting.id)),
        };
        match delivery.try_once(&waiting, in_hand).await {
            Step::Look => {}
            Step::Pause(wait) => pause(wait, Some(&mut returns), stop).await,
            Step::Delivered(None) => return,
            Step::Delivered(next) => fetched = next,
        }
    }
}

/// Waits, at most `wait`; a worker that comes back ends it early (spread a little), stopping at once.
async fn pause(wait: Duration, returns: Option<&mut watch::Receiver<u64>>, stop: &CancellationToken) {
    let returned = async {
        if let Some(returns) = returns
            && returns.changed().await.is_ok()
        {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..100))).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = returned => {}
        () = tokio::time::sleep(wait) => {}
    }
}

impl<O: Outbox> Delivery<'_, O> {
    /// One attempt.
    async fn try_once(&self, waiting: &Waiting, hand: &mut Hand) -> Step {
        let Some(worker) = self.target(waiting, hand) else { return Step::Pause(OUTBOX_PAUSE) };
        if hand.taken {
            return self.note_delivered(waiting, &worker).await;
        }
        // Before anything is written: a stream that waits costs nothing then.
        if worker.is_absent() {
            return self.absent(waiting, hand, &worker);
        }
        if self.assign(waiting, &worker).await.is_err() {
            return Step::Pause(OUTBOX_PAUSE);
        }
        let verdict = {
            // A closed semaphore cannot happen; without a permit the attempt is only not bounded.
            let _place = worker.places.acquire().await.ok();
            if !worker.may_try() {
                return self.absent(waiting, hand, &worker);
            }
            self.workers.attempt(&worker, waiting.body.clone()).await
        };
        ::metrics::counter!(metrics::ATTEMPTS, "result" => verdict.result()).increment(1);
        self.conclude(waiting, hand, &worker, verdict).await
    }

    /// Whom to ask. A stream stays with its worker; before a worker took anything of it, it may go where
    /// there is room.
    fn target(&self, waiting: &Waiting, hand: &Hand) -> Option<Arc<Worker>> {
        let Some(assignment) = &waiting.assignment else { return self.workers.choose(&hand.passed_over) };
        let Some(own) = self.workers.named(&assignment.worker) else {
            return self.workers.choose(&hand.passed_over);
        };
        let standing = Standing {
            refused: hand.passed_over.contains(&own.base),
            gone: own.condition() >= Condition::Draining,
            waited: hand.since.elapsed() > MOVE_AFTER,
        };
        if may_move(assignment.confirmed, waiting.action, standing) && self.workers.another(&hand.passed_over)
        {
            return self.workers.choose(&hand.passed_over);
        }
        Some(own)
    }

    /// Writes down whom the stream is with, before anything is sent: after a crash it must not be started
    /// at a second worker.
    async fn assign(&self, waiting: &Waiting, worker: &Worker) -> Result<(), ()> {
        if waiting.assignment.as_ref().is_some_and(|known| known.worker == worker.base) {
            return Ok(());
        }
        worker.give();
        let assignment = Assignment { worker: worker.base.clone(), confirmed: false };
        self.outbox.assign(self.stream, assignment).await.map_err(|problem| {
            tracing::debug!(stream = %self.stream, error = %problem, "the outbox cannot be written, trying again");
        })
    }

    /// What follows from an attempt.
    async fn conclude(&self, waiting: &Waiting, hand: &mut Hand, worker: &Worker, verdict: Verdict) -> Step {
        let (wait, problem) = match verdict {
            Verdict::Taken { status } => {
                hand.taken = true;
                self.delivered(waiting, worker, &status);
                return self.note_delivered(waiting, worker).await;
            }
            Verdict::Pointless { code, reason } => {
                tracing::error!(
                    stream = %self.stream, action = waiting.action.word(), worker = %worker.base, code, %reason,
                    "the worker refuses the event for good; it is dropped, the stream is not recorded"
                );
                ::metrics::counter!(metrics::SETTLED, "result" => "refused").increment(1);
                return self.settled(waiting).await;
            }
            Verdict::Unauthorized => (
                hand.failed(None),
                "401: RTMS_INTERNAL_TOKEN differs between gateway and worker; make them equal".to_owned(),
            ),
            Verdict::Refused { retry_after } => {
                hand.passed_over.insert(worker.base.clone());
                (hand.failed(retry_after), "503: full or stopping".to_owned())
            }
            Verdict::Unreachable { cause } => {
                hand.passed_over.insert(worker.base.clone());
                let soon = hand.failed(None);
                (if worker.is_absent() { until_it_returns() } else { soon }, cause)
            }
            Verdict::Failed { cause } => (hand.failed(None), cause),
        };
        // The first failure and then ever fewer: thousands of streams may wait for one worker.
        if hand.failures.is_power_of_two() {
            tracing::warn!(
                stream = %self.stream, action = waiting.action.word(), worker = %worker.base,
                failures = hand.failures, problem, "not delivered yet, trying again"
            );
        }
        self.again(waiting, hand, worker, wait)
    }

    /// Nobody can connect to the worker, as another attempt has just found.
    fn absent(&self, waiting: &Waiting, hand: &mut Hand, worker: &Worker) -> Step {
        hand.passed_over.insert(worker.base.clone());
        self.again(waiting, hand, worker, until_it_returns())
    }

    /// Asks another worker, where there is one that may be asked, or the same after `wait`.
    fn again(&self, waiting: &Waiting, hand: &mut Hand, worker: &Worker, wait: Duration) -> Step {
        let elsewhere = waiting.assignment.as_ref().is_none_or(|a| !a.confirmed)
            && hand.passed_over.contains(&worker.base)
            && self.workers.another(&hand.passed_over);
        if elsewhere {
            return Step::Look;
        }
        if !self.workers.another(&hand.passed_over) {
            // All that can be asked were asked; next time ask them all again.
            hand.passed_over.clear();
        }
        Step::Pause(wait)
    }

    fn delivered(&self, waiting: &Waiting, worker: &Worker, status: &str) {
        self.workers.note_answer(worker);
        let waited_ms = UnixMillis(unix_millis()).since(waiting.received).max(0).unsigned_abs();
        ::metrics::histogram!(metrics::FORWARD_SECONDS).record(Duration::from_millis(waited_ms));
        tracing::info!(
            stream = %self.stream, action = waiting.action.word(), worker = %worker.base, %status, waited_ms,
            "event delivered"
        );
        ::metrics::counter!(metrics::SETTLED, "result" => "delivered").increment(1);
    }

    /// Writes down that the worker has the event. Should the process die before, the event goes to the same worker
    /// again.
    async fn note_delivered(&self, waiting: &Waiting, worker: &Worker) -> Step {
        let known = waiting.assignment.as_ref();
        let news = known.is_none_or(|known| known.worker != worker.base || !known.confirmed);
        let taker = news.then(|| Assignment { worker: worker.base.clone(), confirmed: true });
        match self.outbox.delivered(self.stream, waiting.id, taker).await {
            Ok(next) => Step::Delivered(next),
            Err(problem) => self.not_noted(&problem),
        }
    }

    async fn give_up(&self, waiting: &Waiting, why: &'static str) -> Step {
        let action = waiting.action;
        if why == "over" {
            tracing::info!(stream = %self.stream, action = action.word(), "not delivered: the stream has stopped since");
        } else {
            tracing::error!(stream = %self.stream, action = action.word(), "not delivered in time, given up; was the worker away?");
        }
        ::metrics::counter!(metrics::SETTLED, "result" => why).increment(1);
        self.settled(waiting).await
    }

    /// The event leaves the outbox undelivered.
    async fn settled(&self, waiting: &Waiting) -> Step {
        match self.outbox.settled(waiting.id).await {
            Ok(()) => Step::Look,
            Err(problem) => self.not_noted(&problem),
        }
    }

    /// While the disk does not take it that an event is done, that is tried again after a pause.
    fn not_noted(&self, problem: &OutboxError) -> Step {
        tracing::debug!(stream = %self.stream, error = %problem, "cannot note that an event is done, trying again");
        Step::Pause(OUTBOX_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::outbox::SqliteOutbox;

    fn waiting(action: Action, over: bool) -> Waiting {
        Waiting {
            id: EventId(1),
            action,
            received: UnixMillis(0),
            body: Bytes::new(),
            over,
            assignment: None,
        }
    }

    #[test]
    fn a_start_is_given_up_when_it_is_late_and_a_stop_is_not() {
        let minute = 60_000;
        assert_eq!(pointless(&waiting(Action::Started, false), UnixMillis(10 * minute)), None);
        assert_eq!(pointless(&waiting(Action::Started, false), UnixMillis(11 * minute)), Some("expired"));
        assert_eq!(pointless(&waiting(Action::Other, false), UnixMillis(11 * minute)), Some("expired"));
        assert_eq!(pointless(&waiting(Action::Stopped, false), UnixMillis(24 * 60 * minute)), None);
        assert_eq!(
            pointless(&waiting(Action::Stopped, false), UnixMillis(8 * 24 * 60 * minute)),
            Some("expired")
        );
    }

    #[test]
    fn a_stream_leaves_its_worker_only_for_a_reason() {
        let at = |refused, gone, waited| Standing { refused, gone, waited };
        // Nothing was taken yet.
        assert!(may_move(false, Action::Started, at(true, false, false)));
        assert!(may_move(false, Action::Stopped, at(false, true, true)));
        assert!(!may_move(false, Action::Started, at(false, true, false)), "a timeout: it may be recording");
        assert!(!may_move(false, Action::Started, at(false, false, true)));
        // The worker has the stream's files.
        assert!(!may_move(true, Action::Started, at(true, true, false)), "it may be restarting");
        assert!(may_move(true, Action::Started, at(true, true, true)));
        assert!(!may_move(true, Action::Stopped, at(true, true, true)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_worker_that_is_not_there_is_not_the_next_to_ask() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = SqliteOutbox::open(folder.path()).unwrap();
        // Nobody listens on port 1.
        let workers = Workers::new(&["http://127.0.0.1:1".to_owned()], None).unwrap();
        let worker = workers.named("http://127.0.0.1:1").unwrap();
        let assignment = Assignment { worker: worker.base.clone(), confirmed: true };
        let waiting = Waiting { assignment: Some(assignment), ..waiting(Action::Stopped, false) };
        let delivery = Delivery { outbox: &outbox, workers: &workers, stream: "s" };
        let (mut one, mut other) = (Hand::new(EventId(1)), Hand::new(EventId(1)));
        let long = Duration::from_secs(4);

        assert!(matches!(delivery.try_once(&waiting, &mut one).await, Step::Pause(wait) if wait >= long));
        assert!(matches!(delivery.try_once(&waiting, &mut other).await, Step::Pause(wait) if wait >= long));
        assert_eq!((one.failures, other.failures), (1, 0), "one has asked for both");

        workers.note(&worker, Condition::Ready);
        assert!(!worker.is_absent());
        delivery.try_once(&waiting, &mut other).await;
        assert_eq!(other.failures, 1, "whoever is back is asked");

        assert!(worker.is_absent());
        tokio::time::advance(Duration::from_secs(1)).await;
        delivery.try_once(&waiting, &mut one).await;
        assert_eq!(one.failures, 2, "that nobody was there is not believed for long");
    }

    #[test]
    fn what_belongs_to_a_stream_that_is_over_is_given_up_but_its_stop() {
        assert_eq!(pointless(&waiting(Action::Started, true), UnixMillis(1)), Some("over"));
        assert_eq!(pointless(&waiting(Action::Other, true), UnixMillis(1)), Some("over"));
        assert_eq!(pointless(&waiting(Action::Stopped, true), UnixMillis(1)), None);
    }
}
