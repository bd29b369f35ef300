//! Who of several sockets woke the task, so that only those are asked.
//!
//! A task that owns several sockets is woken for any of them, and asking one that has nothing costs a way through
//! WebSocket and TLS: with a packet every 20 ms on one socket and next to nothing on the other, nearly as much as the
//! packet. So each socket wakes through a bell of its own, which remembers that it rang; and so can whatever else the task
//! looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

/// The task behind all bells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ringer(Arc<AtomicWaker>);

impl Ringer {
    /// Whom the bells wake from now on. To be called before the bells are looked at.
    pub(crate) fn wakes(&self, task: &Waker) {
        self.0.register(task);
    }

    /// A bell that has rung: its socket is to be asked a first time.
    pub(crate) fn bell(&self) -> Bell {
        let state = Arc::new(State { rang: AtomicBool::new(true), task: Arc::clone(&self.0) });
        Bell { waker: Arc::clone(&state).into(), state }
    }
}

#[derive(Debug)]
struct State {
    rang: AtomicBool,
    task: Arc<AtomicWaker>,
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// A waker that remembers that it was called; made by [`crate::Client::bell`].
#[derive(Debug)]
pub struct Bell {
    state: Arc<State>,
    waker: Waker,
}

impl Bell {
    /// What is to be called. It wakes the task that polled the client last.
    #[must_use]
    pub const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Whether it rang since this was last asked; true the first time.
    #[must_use]
    pub fn rang(&self) -> bool {
        // Most bells have not rung, and looking is cheaper than taking.
        self.state.rang.load(Ordering::Acquire) && self.state.rang.swap(false, Ordering::AcqRel)
    }

    /// Lets it have rung, without waking the task, which is awake: what was looked at had something and may have more.
    pub fn again(&self) {
        self.state.rang.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_bell_wakes_the_task_and_remembers_it_for_its_own_socket() {
        let ringer = Ringer::default();
        let (one, other) = (ringer.bell(), ringer.bell());
        assert!(one.rang() && other.rang(), "both are asked a first time");
        assert!(!one.rang());
        let task = Arc::new(Counted::default());
        ringer.wakes(&Arc::clone(&task).into());
        one.waker().wake_by_ref();
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
        assert!(one.rang() && !one.rang() && !other.rang());
        other.again();
        assert!(other.rang());
        assert_eq!(task.0.load(Ordering::Relaxed), 1, "the task knows already");
    }

    #[test]
    fn a_bell_that_rings_before_the_task_asks_is_not_missed() {
        let ringer = Ringer::default();
        let bell = ringer.bell();
        assert!(bell.rang());
        bell.waker().wake_by_ref();
        ringer.wakes(Waker::noop());
        assert!(bell.rang());
    }
}
