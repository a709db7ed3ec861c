//! One container, and what a signal does to it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::event::Feed;
use super::health;
use super::log::{Log, Output, PRINT_EVERY};
use super::process::{End, OwnEnds, Process};
use super::refusal::Refusal;
use super::signal::Signal;

/// The label with the milliseconds that a container's process takes to leave after SIGTERM.
pub(super) const STOP_DELAY: &str = "pretend.stop-delay";
/// The label with the exit code of a process that leaves by itself, and after how many milliseconds, such as `1:200`.
const EXIT: &str = "pretend.exit";
/// The label with the milliseconds after which a process is killed for want of memory.
const OOM: &str = "pretend.oom";
/// How long a stop waits before it kills, in seconds, when neither the caller nor the container says.
const DEFAULT_GRACE: i64 = 10;

/// One container.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: SystemTime,
    pub(super) config: Config,
    pub(super) process: Option<Process>,
    pub(super) started: Option<SystemTime>,
    pub(super) finished: Option<SystemTime>,
    pub(super) exit_code: u8,
    /// Whether the last run ended for want of memory; dockerd keeps that until the next one ends.
    pub(super) oom_killed: bool,
    /// When the health check comes to something new.
    pub(super) health_due: Option<SystemTime>,
    pub(super) log: Log,
}

/// What a container is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    pub(super) image: String,
    pub(super) command: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    /// In seconds; negative for ever.
    pub(super) stop_timeout: Option<i64>,
    pub(super) healthcheck: Option<Map<String, Value>>,
    /// Whether it prints to a terminal.
    pub(super) terminal: bool,
}

/// One run of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) pid: u32,
}

impl Container {
    pub(super) fn is_paused(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.paused)
    }

    /// Docker's word for the state it is in.
    pub(super) fn status(&self) -> &'static str {
        match (&self.process, self.finished) {
            (Some(process), _) if process.paused => "paused",
            (Some(_), _) => "running",
            (None, None) => "created",
            (None, Some(_)) => "exited",
        }
    }

    /// How long its process has run, without the time that it was frozen; none where it does not run.
    pub(super) fn ran_for(&self, now: SystemTime) -> Option<Duration> {
        let process = self.process.as_ref()?;
        let since = now.duration_since(self.started?).unwrap_or_default();
        Some(since.saturating_sub(process.frozen_for(now)))
    }

    pub(super) fn not_running(&self) -> Refusal {
        Refusal::new(409, format!("Container {} is not running", self.id))
    }

    /// Starts a process.
    pub(super) fn run(&mut self, pid: u32, now: SystemTime, feed: &mut Feed) {
        self.process = Some(Process::new(pid, self.own_ends(now)));
        self.started = Some(now);
        self.exit_code = 0;
        self.health_due = health::outcome(self).map(|(date, _)| date);
        feed.tell(self, "start", &[], now);
        self.print(Output::Stdout, b"pretend: started\n", now);
        self.log.begin(now, self.print_every());
    }

    /// Prints to the log, as its terminal has it if there is one.
    pub(super) fn print(&mut self, output: Output, text: &[u8], now: SystemTime) {
        if !self.config.terminal {
            return self.log.print(output, text, now);
        }
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let lines = lines.map(|line| match line.strip_suffix(b"\n") {
            Some(body) => [body, b"\r\n"].concat(),
            None => line.to_vec(),
        });
        let text = lines.collect::<Vec<_>>().concat();
        self.log.print(Output::Stdout, &text, now);
    }

    /// Prints what is due by now.
    pub(super) fn print_due(&mut self, now: SystemTime) {
        let frozen = self.is_paused();
        self.log.settle(now, self.print_every(), frozen);
    }

    fn print_every(&self) -> Option<Duration> {
        let label = self.config.labels.get(PRINT_EVERY)?;
        let milliseconds = label.parse().ok().filter(|number| *number > 0);
        milliseconds.map(Duration::from_millis)
    }

    /// Delivers a signal to its process.
    pub(super) fn signal(
        &mut self,
        signal: Signal,
        now: SystemTime,
        feed: &mut Feed,
    ) -> Result<(), Refusal> {
        let delay = self.stop_delay();
        let refusal = self.not_running();
        let process = self.process.as_mut().ok_or(refusal)?;
        if signal == Signal::Kill {
            process.kill(now);
            self.tell_kill(signal, now, feed);
            return Ok(());
        }
        let is_first = signal == Signal::Term && process.terminate(now, delay);
        self.tell_kill(signal, now, feed);
        // dockerd lets a frozen container go on, so that any other signal can be delivered to it.
        self.thaw(now, feed);
        if is_first {
            self.print(Output::Stderr, b"pretend: stopping\n", now);
        }
        Ok(())
    }

    /// Lets its process go on. Answers whether it was frozen.
    pub(super) fn thaw(&mut self, now: SystemTime, feed: &mut Feed) -> bool {
        let Some(process) = self.process.as_mut().filter(|process| process.paused) else {
            return false;
        };
        process.thaw(now);
        feed.tell(self, "unpause", &[], now);
        // A container that is not checked counts as unhealthy, so that it becomes healthy once more.
        if let Some((date, word)) = health::outcome(self)
            && (word == "healthy" || self.health_due.is_some())
        {
            self.health_due = Some(date.max(now));
        }
        true
    }

    /// When something happens to it by itself, if nothing else happens.
    pub(super) fn due(&self) -> Option<SystemTime> {
        let process = self.process.as_ref()?;
        let checked = self.health_due.filter(|_| !process.paused);
        let ends = process.end().map(|end| end.at);
        checked.into_iter().chain(ends).min()
    }

    /// Tells what its health check came to, where that was due by now.
    pub(super) fn check_health(&mut self, now: SystemTime, feed: &mut Feed) {
        if self.is_paused() {
            return;
        }
        let Some(date) = self.health_due.take_if(|date| *date <= now) else {
            return;
        };
        if let Some((_, word)) = health::outcome(self) {
            feed.tell(self, &format!("health_status: {word}"), &[], date);
        }
    }

    /// Its process has ended so.
    pub(super) fn end(&mut self, end: End, stops: usize, feed: &mut Feed) {
        self.print_due(end.at);
        self.log.stop();
        self.process = None;
        self.health_due = None;
        self.finished = Some(end.at);
        self.exit_code = end.exit_code;
        self.oom_killed = end.starved;
        let code = end.exit_code.to_string();
        feed.tell(self, "die", &[("exitCode", &code)], end.at);
        for _ in 0..stops {
            feed.tell(self, "stop", &[], end.at);
        }
    }

    /// What is told before the end of its process.
    pub(super) fn tell_why(&self, end: End, feed: &mut Feed) {
        if end.forced {
            self.tell_kill(Signal::Kill, end.at, feed);
        }
        if end.starved {
            feed.tell(self, "oom", &[], end.at);
        }
    }

    fn tell_kill(&self, signal: Signal, now: SystemTime, feed: &mut Feed) {
        let number = signal.number().to_string();
        feed.tell(self, "kill", &[("signal", &number)], now);
    }

    /// How its process will end by itself.
    fn own_ends(&self, now: SystemTime) -> OwnEnds {
        let after = |text: &str| now.checked_add(Duration::from_millis(text.parse().ok()?));
        let exits = || {
            let (code, time) = self.config.labels.get(EXIT)?.split_once(':')?;
            Some((after(time)?, code.parse().ok()?))
        };
        OwnEnds {
            exits: exits(),
            starves_at: self.config.labels.get(OOM).and_then(|time| after(time)),
        }
    }

    fn stop_delay(&self) -> Duration {
        let label = self.config.labels.get(STOP_DELAY);
        Duration::from_millis(label.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Sends SIGTERM now and SIGKILL after the grace, and says which run that ends; none if it does not run.
    pub(super) fn stop(
        &mut self,
        grace: Option<i64>,
        again: bool,
        now: SystemTime,
        feed: &mut Feed,
    ) -> Option<Run> {
        let grace = grace.or(self.config.stop_timeout).unwrap_or(DEFAULT_GRACE);
        self.signal(Signal::Term, now, feed).ok()?;
        let process = self.process.as_mut()?;
        // A negative grace never ends; nor does one past the end of time.
        let grace = u64::try_from(grace).ok().map(Duration::from_secs);
        if let Some(date) = grace.and_then(|grace| now.checked_add(grace)) {
            process.kill_after_grace(date);
        }
        process.stops += 1;
        process.restarts += usize::from(again);
        Some(Run {
            id: self.id.clone(),
            pid: process.pid,
        })
    }
}
