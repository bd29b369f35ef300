//! The outbox's statements, on one connection. Synchronous; [`super::sqlite`] gives it a thread.

use bytes::Bytes;
use rtms_protocol::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::{Action, Appended, Assignment, DEDUP_MS, EventId, Kept, NewEvent, STREAM_MEMORY_MS, Waiting};

/// The largest body that is handed out when it is kept, in bytes; Zoom's have a few hundred.
const LARGEST_AT_HAND: usize = 16 * 1024;
/// The oldest event of a stream, and what is known of the stream.
const NEXT: &str = "SELECT event.id, action, event_ts, received, body, stopped_ts, worker, confirmed
    FROM event LEFT JOIN stream USING (stream) WHERE event.stream = ?1 ORDER BY event.id LIMIT 1";
/// Streams, longest waiting first.
const WAITING: &str = "SELECT stream FROM event GROUP BY stream ORDER BY min(id) LIMIT ?1";

impl Action {
    const fn code(self) -> i64 {
        match self {
            Self::Started => 1,
            Self::Stopped => 2,
            Self::Other => 3,
        }
    }

    const fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Started,
            2 => Self::Stopped,
            _ => Self::Other,
        }
    }
}

/// Begins a transaction. It ends with [`commit`], or with the connection: whatever fails costs the connection, and that
/// rolls back.
pub(super) fn begin(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("BEGIN")?.execute([]).map(drop)
}

/// Ends a transaction; what it wrote is then as safe as [`sync`] asked for.
pub(super) fn commit(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("COMMIT")?.execute([]).map(drop)
}

/// Whether the transactions that follow wait for the disk. Those that do not are safe from the death of the process,
/// not from a power cut, and reach the disk with the next one that waits, before it in the log.
pub(super) fn sync(db: &Connection, wait: bool) -> rusqlite::Result<()> {
    db.pragma_update(None, "synchronous", if wait { "FULL" } else { "NORMAL" })
}

/// Keeps an event, unless the same bytes were accepted within [`DEDUP_MS`]; a stream without a worker is given `worker`.
pub(super) fn append(
    db: &Connection,
    event: &NewEvent,
    worker: Option<&str>,
    now: UnixMillis,
) -> rusqlite::Result<Kept> {
    let digest = Sha256::digest(&event.body);
    let unseen = db
        .prepare_cached(
            "INSERT INTO digest (digest, received) VALUES (?1, ?2)
             ON CONFLICT (digest) DO UPDATE SET received = excluded.received WHERE received <= ?3",
        )?
        .execute(params![digest.as_slice(), now.0, now.plus(-DEDUP_MS).0])?;
    if unseen == 0 {
        return Ok(Kept { appended: Appended::Duplicate, first: None });
    }
    db.prepare_cached(
        "INSERT INTO event (stream, action, event_ts, received, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![event.stream, event.action.code(), event.event_ts.0, now.0, &event.body[..]])?;
    let id = EventId(db.last_insert_rowid());
    let stopped = (event.action == Action::Stopped).then_some(event.event_ts.0);
    let new_stream = db
        .prepare_cached(
            "INSERT INTO stream (stream, stopped_ts, seen, worker) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (stream) DO NOTHING",
        )?
        .execute(params![event.stream, stopped, now.0, worker])?;
    if new_stream == 0 {
        db.prepare_cached(
            "UPDATE stream SET
                seen = ?3,
                worker = ifnull(worker, ?5),
                stopped_ts = nullif(max(ifnull(stopped_ts, ?4), ifnull(?2, ?4)), ?4)
             WHERE stream = ?1",
        )?
        .execute(params![event.stream, stopped, now.0, i64::MIN, worker])?;
    }
    let first = if event.body.len() > LARGEST_AT_HAND {
        None
    } else if new_stream == 0 {
        next(db, &event.stream)?.filter(|waiting| waiting.id == id)
    } else {
        // Nothing waits for a stream that is not known.
        Some(Waiting {
            id,
            action: event.action,
            received: now,
            body: event.body.clone(),
            over: false,
            assignment: worker.map(|worker| Assignment { worker: worker.to_owned(), confirmed: false }),
        })
    };
    Ok(Kept { appended: Appended::New, first })
}

/// The oldest waiting event of a stream.
pub(super) fn next(db: &Connection, stream: &str) -> rusqlite::Result<Option<Waiting>> {
    db.prepare_cached(NEXT)?
        .query_row([stream], |row| {
            let action = Action::from_code(row.get(1)?);
            let event_ts: i64 = row.get(2)?;
            let stopped: Option<i64> = row.get(5)?;
            let worker: Option<String> = row.get(6)?;
            let confirmed: Option<bool> = row.get(7)?;
            Ok(Waiting {
                id: EventId(row.get(0)?),
                action,
                received: UnixMillis(row.get(3)?),
                body: Bytes::from(row.get::<_, Vec<u8>>(4)?),
                over: action != Action::Stopped && stopped.is_some_and(|stopped| event_ts <= stopped),
                assignment: worker.map(|worker| Assignment { worker, confirmed: confirmed.unwrap_or(false) }),
            })
        })
        .optional()
}

/// Deletes an event. Returns how many were there: none or one.
pub(super) fn settled(db: &Connection, id: EventId) -> rusqlite::Result<usize> {
    db.prepare_cached("DELETE FROM event WHERE id = ?1")?.execute([id.0])
}

/// Notes a stream's worker.
pub(super) fn assign(db: &Connection, stream: &str, assignment: &Assignment) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE stream SET worker = ?2, confirmed = ?3 WHERE stream = ?1")?
        .execute(params![stream, assignment.worker, assignment.confirmed])?;
    Ok(())
}

/// Streams with waiting events, longest waiting first.
pub(super) fn waiting_streams(db: &Connection, limit: usize) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached(WAITING)?
        .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?
        .collect()
}

/// Forgets old digests and streams, a bounded number at a time, and writes the time down.
pub(super) fn maintain(db: &Connection, now: UnixMillis) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO upkeep (one, at) VALUES (1, ?1)")?.execute([now.0])?;
    db.prepare_cached(
        "DELETE FROM digest WHERE digest IN (SELECT digest FROM digest WHERE received < ?1 LIMIT 10000)",
    )?
    .execute([now.plus(-DEDUP_MS).0])?;
    db.prepare_cached(
        "DELETE FROM stream WHERE stream IN (
            SELECT stream FROM stream WHERE seen < ?1
            AND NOT EXISTS (SELECT 1 FROM event WHERE event.stream = stream.stream) LIMIT 10000)",
    )?
    .execute([now.plus(-STREAM_MEMORY_MS).0])?;
    Ok(())
}

/// How many events wait, counted: as many steps as there are events.
pub(super) fn count(db: &Connection) -> rusqlite::Result<u64> {
    let events =
        db.prepare_cached("SELECT count(*) FROM event")?.query_row([], |row| row.get::<_, i64>(0))?;
    Ok(u64::try_from(events).unwrap_or(0))
}

/// When the oldest waiting event was accepted.
pub(super) fn oldest(db: &Connection) -> rusqlite::Result<Option<UnixMillis>> {
    db.prepare_cached("SELECT received FROM event ORDER BY id LIMIT 1")?
        .query_row([], |row| row.get(0).map(UnixMillis))
        .optional()
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::outbox::schema;

    #[test]
    fn what_is_asked_for_each_event_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let db = schema::open(folder.path()).unwrap();
        for n in 0..3 {
            assert!(next(&db, &format!("stream {n}")).unwrap().is_none());
            assert!(waiting_streams(&db, n).unwrap().is_empty());
        }
        for sql in [NEXT, WAITING] {
            let again = db.prepare_cached(sql).unwrap().get_status(StatementStatus::RePrepare);
            assert_eq!(again, 0, "{sql}");
        }
    }
}
