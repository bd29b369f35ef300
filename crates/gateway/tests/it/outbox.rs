//! The outbox alone: what survives, what is recognised, what is forgotten.

use bytes::Bytes;
use rtms_gateway::outbox::{
    Action, Appended, Assignment, DEDUP_MS, NewEvent, Outbox as _, STREAM_MEMORY_MS, SqliteOutbox,
};
use rtms_protocol::UnixMillis;

use crate::support::{contains, folder, on_disk};

fn event(stream: &str, action: Action, ts: i64, body: &str) -> NewEvent {
    NewEvent {
        stream: stream.to_owned(),
        action,
        event_ts: UnixMillis(ts),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

#[tokio::test]
async fn events_come_out_in_order_and_survive_a_crash() {
    let dir = folder();
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    for body in ["a", "b", "c"] {
        let kept = outbox.append(event("s", Action::Other, 1, body), UnixMillis(5)).await.unwrap();
        assert_eq!(kept, Appended::New);
    }
    let first = outbox.next("s").await.unwrap().unwrap();
    assert_eq!(first.body, "a");
    outbox.settled(first.id).await.unwrap();
    // Never closed: what a killed process leaves behind is copied while it is still open.
    let copy = folder();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let again = SqliteOutbox::open(copy.path()).unwrap();
    assert_eq!(again.pending().events, 2);
    assert_eq!(again.pending().oldest, Some(UnixMillis(5)));
    assert_eq!(again.waiting_streams(10).await.unwrap(), ["s"]);
    for body in ["b", "c"] {
        let next = again.next("s").await.unwrap().unwrap();
        assert_eq!(next.body, body);
        again.settled(next.id).await.unwrap();
    }
    assert!(again.next("s").await.unwrap().is_none());
    assert_eq!(again.pending().events, 0);
}

#[tokio::test]
async fn the_same_bytes_are_recognised_for_two_hours() {
    let dir = folder();
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    let append =
        async |now: i64| outbox.append(event("s", Action::Started, 1, "x"), UnixMillis(now)).await.unwrap();
    assert_eq!(append(0).await, Appended::New);
    assert_eq!(append(1).await, Appended::Duplicate);
    outbox.maintain(UnixMillis(DEDUP_MS - 1)).await.unwrap();
    assert_eq!(append(DEDUP_MS - 1).await, Appended::Duplicate);
    assert_eq!(append(DEDUP_MS).await, Appended::New);
    outbox.close().await;
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    let kept = outbox.append(event("s", Action::Started, 1, "x"), UnixMillis(DEDUP_MS + 1)).await.unwrap();
    assert_eq!(kept, Appended::Duplicate);
}

#[tokio::test]
async fn a_known_stop_makes_what_is_not_later_over() {
    let dir = folder();
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    let over = async |ts: i64| {
        let body = format!("started {ts}");
        outbox.append(event("s", Action::Started, ts, &body), UnixMillis(0)).await.unwrap();
        let next = outbox.next("s").await.unwrap().unwrap();
        outbox.settled(next.id).await.unwrap();
        next.over
    };
    assert!(!over(-5).await, "no stop is known");
    outbox.append(event("s", Action::Stopped, 100, "stopped"), UnixMillis(0)).await.unwrap();
    let stop = outbox.next("s").await.unwrap().unwrap();
    assert!(!stop.over, "a stop itself is never over");
    outbox.settled(stop.id).await.unwrap();
    assert!(over(99).await);
    assert!(over(100).await);
    assert!(!over(101).await);
}

#[tokio::test]
async fn assignments_are_kept_and_forgotten_in_time() {
    let dir = folder();
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    outbox.append(event("s", Action::Started, 1, "a"), UnixMillis(0)).await.unwrap();
    let assignment = Assignment { worker: "http://w".to_owned(), confirmed: true };
    outbox.assign("s", assignment.clone()).await.unwrap();
    let next = outbox.next("s").await.unwrap().unwrap();
    assert_eq!(next.assignment, Some(assignment.clone()));
    outbox.settled(next.id).await.unwrap();
    outbox.close().await;

    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    outbox.maintain(UnixMillis(STREAM_MEMORY_MS)).await.unwrap();
    outbox.append(event("s", Action::Stopped, 2, "b"), UnixMillis(1)).await.unwrap();
    let next = outbox.next("s").await.unwrap().unwrap();
    assert_eq!(next.assignment, Some(assignment));
    outbox.maintain(UnixMillis(2 * STREAM_MEMORY_MS + 2)).await.unwrap();
    assert!(outbox.next("s").await.unwrap().unwrap().assignment.is_some(), "kept while an event waits");
    outbox.settled(next.id).await.unwrap();
    outbox.maintain(UnixMillis(2 * STREAM_MEMORY_MS + 2)).await.unwrap();
    outbox.append(event("s", Action::Stopped, 3, "c"), UnixMillis(1)).await.unwrap();
    assert!(outbox.next("s").await.unwrap().unwrap().assignment.is_none());
}

#[tokio::test]
async fn a_delivered_body_is_gone_from_the_file() {
    let dir = folder();
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    outbox.append(event("s", Action::Started, 1, "a-body-to-be-found"), UnixMillis(0)).await.unwrap();
    assert!(contains(&on_disk(dir.path()), "a-body-to-be-found"));
    let next = outbox.next("s").await.unwrap().unwrap();
    outbox.settled(next.id).await.unwrap();
    outbox.close().await;
    assert!(!contains(&on_disk(dir.path()), "a-body-to-be-found"));
}

#[tokio::test]
async fn a_delivery_notes_the_taker_and_hands_out_the_next_in_one_step() {
    let dir = folder();
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    for (stream, body) in [("s", "a"), ("t", "x"), ("s", "b")] {
        outbox.append(event(stream, Action::Other, 1, body), UnixMillis(5)).await.unwrap();
    }
    let first = outbox.next("s").await.unwrap().unwrap();
    let taker = Assignment { worker: "http://w".to_owned(), confirmed: true };
    let second = outbox.delivered("s", first.id, Some(taker.clone())).await.unwrap().unwrap();
    assert_eq!((&second.body[..], &second.assignment), (&b"b"[..], &Some(taker.clone())));
    assert_eq!(outbox.pending().events, 2);
    // Again, as after an answer that was lost: nothing is taken away or counted twice.
    let same = outbox.delivered("s", first.id, None).await.unwrap().unwrap();
    assert_eq!((same.id, same.assignment), (second.id, Some(taker.clone())));
    assert_eq!(outbox.pending().events, 2);
    assert!(outbox.delivered("s", second.id, None).await.unwrap().is_none());
    assert_eq!(outbox.pending().events, 1);

    // Not synchronised, yet the death of the process takes nothing back.
    let copy = folder();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let again = SqliteOutbox::open(copy.path()).unwrap();
    assert_eq!(again.pending().events, 1);
    assert_eq!(again.waiting_streams(10).await.unwrap(), ["t"]);
    again.append(event("s", Action::Stopped, 2, "c"), UnixMillis(6)).await.unwrap();
    assert_eq!(again.next("s").await.unwrap().unwrap().assignment, Some(taker));
}

#[tokio::test]
async fn what_is_handed_out_with_the_writing_is_what_asking_would_bring() {
    let dir = folder();
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    let worker = || Some("http://one".to_owned());
    let mut handed_out = 0;
    // New, behind another, known with a worker and without, stopped before, over, too large to be handed out.
    let large = "x".repeat(64 * 1024);
    let steps = [
        (Action::Started, 5, "a", worker(), true),
        (Action::Stopped, 9, "b", None, false),
        (Action::Started, 7, "c", worker(), false),
        (Action::Started, 12, "d", None, true),
        (Action::Started, 8, "e", None, true),
        (Action::Other, 20, large.as_str(), None, true),
    ];
    for (action, ts, body, worker, alone) in steps {
        let kept = outbox.append_for(worker, event("s", action, ts, body), UnixMillis(50)).await.unwrap();
        let next = outbox.next("s").await.unwrap().unwrap();
        assert_eq!(kept.first.is_some(), alone && body.len() == 1, "{body:.9}");
        if let Some(first) = kept.first {
            assert_eq!(format!("{first:?}"), format!("{next:?}"));
            handed_out += 1;
        }
        // What waits behind the second goes with the third; from then on each is alone.
        if body == "c" || alone && body != "a" {
            while let Some(waiting) = outbox.next("s").await.unwrap() {
                outbox.settled(waiting.id).await.unwrap();
            }
        }
    }
    assert_eq!(handed_out, 3);
}

#[tokio::test]
async fn a_stream_is_given_a_worker_with_its_first_event_and_keeps_it() {
    let dir = folder();
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    for (worker, body) in [(None, "a"), (Some("http://one"), "b"), (Some("http://two"), "c"), (None, "d")] {
        let event = event("s", Action::Started, 1, body);
        outbox.append_for(worker.map(str::to_owned), event, UnixMillis(5)).await.unwrap();
    }
    let assignment = outbox.next("s").await.unwrap().unwrap().assignment.unwrap();
    assert_eq!((assignment.worker.as_str(), assignment.confirmed), ("http://one", false));
    // What was accepted before changes nothing.
    let repeated = event("t", Action::Started, 1, "a");
    let kept = outbox.append_for(Some("http://one".to_owned()), repeated, UnixMillis(6)).await.unwrap();
    assert_eq!((kept.appended, kept.first.is_some()), (Appended::Duplicate, false));
    assert!(outbox.next("t").await.unwrap().is_none());
}

#[tokio::test]
async fn what_waits_is_counted_right_through_repeats_upkeep_and_restarts() {
    let dir = folder();
    let outbox = SqliteOutbox::open(dir.path()).unwrap();
    for n in 0..40 {
        let body = format!("{}", n % 20);
        outbox.append(event(&body, Action::Other, 1, &body), UnixMillis(n)).await.unwrap();
    }
    assert_eq!(outbox.pending().events, 20);
    let next = outbox.next("3").await.unwrap().unwrap();
    for _ in 0..2 {
        outbox.settled(next.id).await.unwrap();
        assert_eq!(outbox.pending().events, 19);
    }
    outbox.maintain(UnixMillis(100)).await.unwrap();
    assert_eq!((outbox.pending().events, outbox.pending().oldest), (19, Some(UnixMillis(0))));
    outbox.close().await;
    assert_eq!(SqliteOutbox::open(dir.path()).unwrap().pending().events, 19);
}
