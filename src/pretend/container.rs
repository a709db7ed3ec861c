//! One container, and what a signal does to it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::log::{Log, Output, PRINT_EVERY};
use super::process::Process;
use super::refusal::Refusal;
use super::signal::Signal;

/// The label with the milliseconds that a container's process takes to leave after SIGTERM.
pub(super) const STOP_DELAY: &str = "pretend.stop-delay";
/// The label with the exit code of a process that leaves by itself, and after how many milliseconds, such as `1:200`.
const EXIT: &str = "pretend.exit";
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
    pub(super) fn run(&mut self, pid: u32, now: SystemTime) {
        self.process = Some(Process::new(pid, self.exit(now)));
        self.started = Some(now);
        self.exit_code = 0;
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
    pub(super) fn signal(&mut self, signal: Signal, now: SystemTime) -> Result<(), Refusal> {
        let delay = self.stop_delay();
        let refusal = self.not_running();
        let process = self.process.as_mut().ok_or(refusal)?;
        if signal == Signal::Kill {
            process.kill_at(now);
            return Ok(());
        }
        // dockerd lets a frozen container go on, so that any other signal can be delivered to it.
        process.thaw(now);
        if signal == Signal::Term && process.terminate(now, delay) {
            self.print(Output::Stderr, b"pretend: stopping\n", now);
        }
        Ok(())
    }

    /// When its process leaves by itself, and with which code.
    fn exit(&self, now: SystemTime) -> Option<(SystemTime, u8)> {
        let (code, after) = self.config.labels.get(EXIT)?.split_once(':')?;
        let at = now.checked_add(Duration::from_millis(after.parse().ok()?))?;
        Some((at, code.parse().ok()?))
    }

    fn stop_delay(&self) -> Duration {
        let label = self.config.labels.get(STOP_DELAY);
        Duration::from_millis(label.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Sends SIGTERM now and SIGKILL after the grace, and says which run that ends; none if it does not run.
    pub(super) fn stop(&mut self, grace: Option<i64>, again: bool, now: SystemTime) -> Option<Run> {
        let grace = grace.or(self.config.stop_timeout).unwrap_or(DEFAULT_GRACE);
        self.signal(Signal::Term, now).ok()?;
        let process = self.process.as_mut()?;
        // A negative grace never ends; nor does one past the end of time.
        let grace = u64::try_from(grace).ok().map(Duration::from_secs);
        if let Some(date) = grace.and_then(|grace| now.checked_add(grace)) {
            process.kill_at(date);
        }
        process.start_again |= again;
        Some(Run {
            id: self.id.clone(),
            pid: process.pid,
        })
    }
}
