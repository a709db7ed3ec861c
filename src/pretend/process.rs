//! The pretend process inside a running container: it has dates instead of a body.
//!
//! It is a well-behaved program that runs as process 1: it exits with 0 on SIGTERM, at once or after the delay that
//! its container's label asks for; SIGKILL ends it with 137; any other signal (SIGSTOP and the container's own
//! `StopSignal` too) does nothing. Where a label says so, it leaves by itself, or dies for want of memory. Frozen, it makes no progress, but its clock goes on. Nobody has to run it: whoever
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
    /// How many stops wait for its end; a restart is one too.
    pub(super) stops: usize,
    /// How many restarts wait for its end, and nothing that a client does can call them off.
    pub(super) restarts: usize,
    leaves_at: Option<SystemTime>,
    own_ends: OwnEnds,
    killed_at: Option<SystemTime>,
    /// When the first stop has waited long enough, and kills it.
    grace_ends: Option<SystemTime>,
}

/// How a process ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnEnds {
    /// When it leaves, and with which code.
    pub(super) exits: Option<(SystemTime, u8)>,
    /// When the kernel kills it for want of memory.
    pub(super) starves_at: Option<SystemTime>,
}

/// How a process ends, if nothing else happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: SystemTime,
    pub(super) exit_code: u8,
    /// For want of memory.
    pub(super) starved: bool,
    /// A stop has sent SIGKILL.
    pub(super) forced: bool,
}

impl Process {
    pub(super) const fn new(pid: u32, own_ends: OwnEnds) -> Self {
        Self {
            pid,
            paused: false,
            frozen_at: None,
            frozen_for: Duration::ZERO,
            stops: 0,
            restarts: 0,
            leaves_at: None,
            own_ends,
            killed_at: None,
            grace_ends: None,
        }
    }

    /// Delivers SIGTERM. A second one finds the handler already running.
    /// Answers whether it is the first.
    pub(super) fn terminate(&mut self, now: SystemTime, delay: Duration) -> bool {
        let is_first = self.leaves_at.is_none();
        self.leaves_at = self.leaves_at.or(now.checked_add(delay));
        is_first
    }

    /// Delivers SIGKILL.
    pub(super) fn kill(&mut self, now: SystemTime) {
        self.killed_at.get_or_insert(now);
    }

    /// Makes sure that a stop sends SIGKILL at this date or earlier.
    pub(super) fn kill_after_grace(&mut self, date: SystemTime) {
        let earlier = self.grace_ends.map_or(date, |earlier| earlier.min(date));
        self.grace_ends = Some(earlier);
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
        let OwnEnds { exits, starves_at } = self.own_ends;
        self.own_ends = OwnEnds {
            exits: exits.map(|(date, code)| (date.max(now), code)),
            starves_at: starves_at.map(|date| date.max(now)),
        };
    }

    /// How it is going to end.
    pub(super) fn end(&self) -> Option<End> {
        let OwnEnds { exits, starves_at } = self.own_ends;
        let leaves = self.leaves_at.map(|at| (at, EXIT_CLEAN, false));
        let exits = exits.map(|(at, code)| (at, code, false));
        let out_of_memory = starves_at.map(|at| (at, EXIT_KILLED, true));
        let own = [leaves, exits, out_of_memory].into_iter().flatten();
        let own = own.filter(|_| !self.paused);
        let killed = [self.killed_at, self.grace_ends].into_iter().flatten();
        let killed = killed.map(|at| (at, EXIT_KILLED, false));
        // Equal dates go to the clean exit, as they nearly always do for `stop?t=0` on a real engine.
        let (at, exit_code, starved) = own.chain(killed).min()?;
        Some(End {
            at,
            exit_code,
            starved,
            // dockerd sends the signal also where the process has left meanwhile.
            forced: self.grace_ends.is_some_and(|grace| grace <= at),
        })
    }
}
