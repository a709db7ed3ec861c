//! The pretend process inside a running container: it has dates instead of a body.
//!
//! It is a well-behaved program that runs as process 1: it exits with 0 on SIGTERM, at once or after the delay that
//! its container's label asks for; SIGKILL ends it with 137; any other signal (SIGSTOP and the container's own
//! `StopSignal` too) does nothing. Where a label says so, it leaves by itself. Frozen, it makes no progress, but its clock goes on. Nobody has to run it: whoever
//! looks first lets happen what was due.

use std::time::{Duration, SystemTime};

/// The exit code of a process that returns from its SIGTERM handler.
const EXIT_CLEAN: u8 = 0;
/// The exit code that stands for SIGKILL: 128 + 9.
const EXIT_KILLED: u8 = 137;

/// One run of a container, told from all others by its process id.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) paused: bool,
    frozen_at: Option<SystemTime>,
    frozen_for: Duration,
    /// A restart waits for its end, and nothing that a client does can call that off.
    pub(super) start_again: bool,
    leaves_at: Option<SystemTime>,
    /// When it leaves by itself, and with which code.
    exits: Option<(SystemTime, u8)>,
    killed_at: Option<SystemTime>,
}

/// How a process ends, if nothing else happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: SystemTime,
    pub(super) exit_code: u8,
}

impl Process {
    pub(super) const fn new(pid: u32, exits: Option<(SystemTime, u8)>) -> Self {
        Self {
            pid,
            paused: false,
            frozen_at: None,
            frozen_for: Duration::ZERO,
            start_again: false,
            leaves_at: None,
            exits,
            killed_at: None,
        }
    }

    /// Delivers SIGTERM. A second one finds the handler already running.
    /// Answers whether it is the first.
    pub(super) fn terminate(&mut self, now: SystemTime, delay: Duration) -> bool {
        let is_first = self.leaves_at.is_none();
        self.leaves_at = self.leaves_at.or(now.checked_add(delay));
        is_first
    }

    /// Makes sure that SIGKILL comes at this date or earlier.
    pub(super) fn kill_at(&mut self, date: SystemTime) {
        self.killed_at = Some(self.killed_at.map_or(date, |earlier| earlier.min(date)));
    }

    /// Freezes it.
    pub(super) fn freeze(&mut self, now: SystemTime) {
        self.paused = true;
        self.frozen_at = Some(now);
    }

    /// For how long it has been frozen, all in all.
    pub(super) fn frozen_for(&self, now: SystemTime) -> Duration {
        let since = self.frozen_at.and_then(|at| now.duration_since(at).ok());
        self.frozen_for + since.unwrap_or_default()
    }

    /// Lets a frozen process go on; what was due while it was frozen is due now.
    pub(super) fn thaw(&mut self, now: SystemTime) {
        self.frozen_for = self.frozen_for(now);
        self.frozen_at = None;
        self.paused = false;
        self.leaves_at = self.leaves_at.map(|date| date.max(now));
        self.exits = self.exits.map(|(date, code)| (date.max(now), code));
    }

    /// How it is going to end.
    pub(super) fn end(&self) -> Option<End> {
        let leaves = self
            .leaves_at
            .map(|at| (at, EXIT_CLEAN))
            .into_iter()
            .chain(self.exits)
            .filter(|_| !self.paused);
        let killed = self.killed_at.map(|at| (at, EXIT_KILLED));
        // Equal dates go to the clean exit, as they nearly always do for `stop?t=0` on a real engine.
        let (at, exit_code) = leaves.chain(killed).min()?;
        Some(End { at, exit_code })
    }
}
