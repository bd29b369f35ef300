//! Lines on one socket, of a transcript or a chat: which comes next, and which may have been lost with the socket.

use crate::played::SentLine;

/// A reset takes back what is still on its way, and nobody learns how much that was. ms of the stream: more than can be on
/// its way to a client that reads.
const ON_ITS_WAY_MS: i64 = 2_000;

/// Lines that this socket has sent, and the next one that it will.
pub(super) struct Lines {
    next: usize,
    /// Numbers, and when they were sent, ms of the stream.
    sent: Vec<(usize, i64)>,
}

impl Lines {
    /// Begins with line `next`.
    pub(super) const fn begin(next: usize) -> Self {
        Self { next, sent: Vec::new() }
    }

    /// The number of the next line.
    pub(super) const fn next(&self) -> usize {
        self.next
    }

    /// The number of the next line, which is sent at `now_ms`.
    pub(super) fn send(&mut self, now_ms: i64) -> usize {
        let number = self.next;
        self.sent.push((number, now_ms));
        self.next += 1;
        number
    }

    /// Everything that was sent on a socket that was reset at `reset_ms`, or that ended in another way.
    pub(super) fn sent(&self, reset_ms: Option<i64>) -> impl Iterator<Item = SentLine> {
        let in_doubt = move |at_ms: i64| reset_ms.is_some_and(|reset| reset - at_ms <= ON_ITS_WAY_MS);
        self.sent.iter().map(move |&(number, at_ms)| SentLine { number, in_doubt: in_doubt(at_ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reset_and_only_what_was_sent_shortly_before_is_in_doubt() {
        let mut lines = Lines::begin(3);
        assert_eq!(
            [lines.send(1_000), lines.send(3_999), lines.send(4_000), lines.send(6_000)],
            [3, 4, 5, 6]
        );
        let in_doubt = |reset| {
            lines.sent(reset).filter(|line| line.in_doubt).map(|line| line.number).collect::<Vec<_>>()
        };
        assert_eq!(in_doubt(Some(6_000)), [5, 6]);
        assert!(in_doubt(None).is_empty());
        assert_eq!(lines.next(), 7);
    }
}
