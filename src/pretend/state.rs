//! The containers, and what each request does to them: pure, the date is a parameter.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::SystemTime;

use super::container::{Config, Container, Run};
use super::event::Feed;
use super::exec::{self, Exec};
use super::log::{Log, Output};
use super::refusal::Refusal;
use super::signal::Signal;

/// All containers of the engine.
#[derive(Debug, Default)]
pub(super) struct Containers {
    pub(super) by_id: BTreeMap<String, Container>,
    pub(super) last_pid: u32,
    pub(super) execs: BTreeMap<String, Exec>,
    /// What has happened.
    pub(super) feed: Feed,
}

/// What a request did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It changed the container.
    Changed,
    /// There was nothing to do.
    Unchanged,
    /// It will be done when this run has ended.
    When(Run),
}

/// What can be known of the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// It is over, and its container still there.
    Over,
    /// It is over, and its container was removed.
    Removed,
    /// It ends at this date, if nothing else happens.
    EndsAt(SystemTime),
    /// Nothing is about to end it.
    GoesOn,
}

impl Containers {
    /// The newest first, as the engine lists them.
    pub(super) fn newest_first(&self) -> Vec<&Container> {
        let mut all: Vec<_> = self.by_id.values().collect();
        all.sort_by(|a, b| b.created.cmp(&a.created).then(b.id.cmp(&a.id)));
        all
    }

    /// The container that a reference names: its full id, else its name, else the beginning of one id alone.
    pub(super) fn find(&self, reference: &str) -> Result<&Container, Refusal> {
        if let Some(container) = self.by_id.get(reference) {
            return Ok(container);
        }
        if let Some(container) = self.named(reference) {
            return Ok(container);
        }
        if reference.is_empty() {
            return Err(Refusal::new(400, "invalid name or ID supplied: \"\""));
        }
        match self.find_prefix(reference) {
            (Some(container), false) => Ok(container),
            (Some(_), true) => Err(Refusal::new(
                500,
                format!("Multiple IDs found with provided prefix: {reference}"),
            )),
            (None, _) => Err(Refusal::new(404, format!("No such container: {reference}"))),
        }
    }

    /// The first container whose id begins so, and whether there are more.
    pub(super) fn find_prefix(&self, prefix: &str) -> (Option<&Container>, bool) {
        let mut matching = self
            .by_id
            .range(prefix.to_owned()..)
            .map(|(_, container)| container)
            .take_while(|container| container.id.starts_with(prefix));
        (matching.next(), matching.next().is_some())
    }

    /// Lets everything happen whose date has come.
    pub(super) fn settle(&mut self, now: SystemTime) {
        let place = self.feed.end();
        let ids: Vec<_> = self
            .by_id
            .values_mut()
            .filter_map(|container| {
                container.print_due(now);
                let is_due = container.due().is_some_and(|date| date <= now);
                is_due.then(|| container.id.clone())
            })
            .collect();
        for id in ids {
            while self.step(&id, now) {}
        }
        self.end_execs(now);
        self.feed.sort_from(place);
    }

    /// When the next thing happens by itself, if nothing else happens.
    pub(super) fn due(&self) -> Option<SystemTime> {
        let containers = self.by_id.values().filter_map(Container::due);
        let execs = self.execs.values().filter_map(Exec::due);
        containers.chain(execs).min()
    }

    /// Lets happen what is due next in a container. Answers whether there was anything.
    fn step(&mut self, id: &str, now: SystemTime) -> bool {
        let Some(container) = self.by_id.get_mut(id) else {
            return false;
        };
        let Some(date) = container.due().filter(|date| *date <= now) else {
            return false;
        };
        let feed = &mut self.feed;
        container.check_health(date, feed);
        let Some(process) = &container.process else {
            return false;
        };
        let (pid, stops, restarts) = (process.pid, process.stops, process.restarts);
        let Some(end) = process.end().filter(|end| end.at <= date) else {
            return true;
        };
        container.tell_why(end, feed);
        exec::end_run(&mut self.execs, container, pid, end.at, feed);
        container.end(end, stops, feed);
        if restarts > 0 {
            self.last_pid += 1;
            container.run(self.last_pid, end.at, feed);
        }
        for _ in 0..restarts {
            feed.tell(container, "restart", &[], end.at);
        }
        true
    }

    /// What is known of the end of a run.
    pub(super) fn outlook(&self, run: &Run) -> Outlook {
        let Some(container) = self.by_id.get(&run.id) else {
            return Outlook::Removed;
        };
        match &container.process {
            Some(process) if process.pid == run.pid => process
                .end()
                .map_or(Outlook::GoesOn, |end| Outlook::EndsAt(end.at)),
            Some(_) | None => Outlook::Over,
        }
    }

    /// Makes a container, with a name of its own if none is given, and answers its id.
    pub(super) fn create(
        &mut self,
        name: &str,
        config: Config,
        now: SystemTime,
    ) -> Result<String, Refusal> {
        let id = random_id();
        let own = format!("pretend_{id}");
        let plain = name.strip_prefix('/').unwrap_or(name);
        let plain = if name.is_empty() { &own } else { plain };
        if !is_name(plain) {
            return Err(invalid_name(name));
        }
        self.check_free(plain)?;
        let container = Container {
            id: id.clone(),
            name: plain.to_owned(),
            created: now,
            config,
            process: None,
            started: None,
            finished: None,
            exit_code: 0,
            oom_killed: false,
            health_due: None,
            log: Log::default(),
        };
        self.feed.tell(&container, "create", &[], now);
        self.by_id.insert(id.clone(), container);
        Ok(id)
    }

    pub(super) fn start(&mut self, reference: &str, now: SystemTime) -> Result<Done, Refusal> {
        let pid = self.last_pid + 1;
        let (container, feed) = self.find_mut(reference)?;
        if container.is_paused() {
            return Err(Refusal::new(
                409,
                "cannot start a paused container, try unpause instead",
            ));
        }
        // A container that is being stopped still runs: dockerd answers 304, and then it ends.
        if container.process.is_some() {
            return Ok(Done::Unchanged);
        }
        container.run(pid, now, feed);
        self.last_pid = pid;
        Ok(Done::Changed)
    }

    /// `grace` is in seconds before SIGKILL; negative for ever.
    pub(super) fn stop(
        &mut self,
        reference: &str,
        grace: Option<i64>,
        now: SystemTime,
    ) -> Result<Done, Refusal> {
        let (container, feed) = self.find_mut(reference)?;
        let run = container.stop(grace, false, now, feed);
        Ok(run.map_or(Done::Unchanged, Done::When))
    }

    /// As [`Containers::stop`], then a start, also when nobody waits for it any more.
    pub(super) fn restart(
        &mut self,
        reference: &str,
        grace: Option<i64>,
        now: SystemTime,
    ) -> Result<Done, Refusal> {
        let (container, feed) = self.find_mut(reference)?;
        if let Some(run) = container.stop(grace, true, now, feed) {
            return Ok(Done::When(run));
        }
        let done = self.start(reference, now)?;
        let (container, feed) = self.find_mut(reference)?;
        feed.tell(container, "restart", &[], now);
        Ok(done)
    }

    pub(super) fn pause(&mut self, reference: &str, now: SystemTime) -> Result<Done, Refusal> {
        let (container, feed) = self.find_mut(reference)?;
        let refusal = container.not_running();
        let process = container.process.as_mut().ok_or(refusal)?;
        if process.paused {
            let message = format!("Container {} is already paused", container.id);
            return Err(Refusal::new(409, message));
        }
        process.freeze(now);
        feed.tell(container, "pause", &[], now);
        Ok(Done::Changed)
    }

    pub(super) fn unpause(&mut self, reference: &str, now: SystemTime) -> Result<Done, Refusal> {
        let (container, feed) = self.find_mut(reference)?;
        if container.thaw(now, feed) {
            return Ok(Done::Changed);
        }
        let message = format!("Container {} is not paused", container.id);
        Err(Refusal::new(500, message))
    }

    pub(super) fn kill(
        &mut self,
        reference: &str,
        signal: Signal,
        now: SystemTime,
    ) -> Result<Done, Refusal> {
        self.try_kill(reference, signal, now)
            .map_err(|refusal| Refusal {
                message: format!("Cannot kill container: {reference}: {}", refusal.message),
                ..refusal
            })
    }

    fn try_kill(
        &mut self,
        reference: &str,
        signal: Signal,
        now: SystemTime,
    ) -> Result<Done, Refusal> {
        let (container, feed) = self.find_mut(reference)?;
        if let Signal::Unsupported(number) = signal {
            let message = format!("The linux daemon does not support signal {number}");
            return Err(Refusal::new(500, message));
        }
        container.signal(signal, now, feed)?;
        Ok(Done::Changed)
    }

    /// Makes a container print this.
    pub(super) fn print(
        &mut self,
        reference: &str,
        output: Output,
        text: &[u8],
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let (container, _) = self.find_mut(reference)?;
        container.print(output, text, now);
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        reference: &str,
        name: &str,
        now: SystemTime,
    ) -> Result<Done, Refusal> {
        if name.is_empty() {
            let message = "Neither old nor new names may be empty";
            return Err(Refusal::new(400, message));
        }
        let container = self.find(reference)?;
        let plain = name.strip_prefix('/').unwrap_or(name);
        if container.name == plain {
            let message = "Renaming a container with the same name as its current name";
            return Err(Refusal::new(400, message));
        }
        let free = if is_name(plain) {
            self.check_free(plain)
        } else {
            Err(invalid_name(&format!("/{plain}")))
        };
        free.map_err(|refusal| Refusal {
            message: format!("Error when allocating new name: {}", refusal.message),
            ..refusal
        })?;
        let (container, feed) = self.find_mut(reference)?;
        let old = format!("/{}", container.name);
        plain.clone_into(&mut container.name);
        feed.tell(container, "rename", &[("oldName", &old)], now);
        Ok(Done::Changed)
    }

    pub(super) fn remove(
        &mut self,
        reference: &str,
        force: bool,
        now: SystemTime,
    ) -> Result<Done, Refusal> {
        let container = self.find(reference)?;
        if container.process.is_some() && !force {
            let (status, first) = if container.is_paused() {
                ("paused", "Unpause and then stop")
            } else {
                ("running", "Stop")
            };
            let id = &container.id;
            return Err(Refusal::new(
                409,
                format!(
                    "You cannot remove a {status} container {id}. {first} the container before attempting removal or force remove"
                ),
            ));
        }
        let id = container.id.clone();
        let (container, feed) = self.find_mut(&id)?;
        if let Some(process) = &mut container.process {
            process.restarts = 0;
            container.signal(Signal::Kill, now, feed)?;
            while self.step(&id, now) {}
        }
        self.execs.retain(|_, exec| exec.container != id);
        if let Some(container) = self.by_id.remove(&id) {
            self.feed.tell(&container, "destroy", &[], now);
        }
        Ok(Done::Changed)
    }

    fn named(&self, name: &str) -> Option<&Container> {
        self.by_id.values().find(|container| container.name == name)
    }

    /// As [`Containers::find`], and where to tell what happens to it.
    pub(super) fn find_mut(
        &mut self,
        reference: &str,
    ) -> Result<(&mut Container, &mut Feed), Refusal> {
        let id = self.find(reference)?.id.clone();
        let gone = || Refusal::new(404, format!("No such container: {reference}"));
        let container = self.by_id.get_mut(&id).ok_or_else(gone)?;
        Ok((container, &mut self.feed))
    }

    fn check_free(&self, name: &str) -> Result<(), Refusal> {
        self.named(name).map_or(Ok(()), |other| {
            Err(Refusal::new(
                409,
                format!(
                    "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
                    other.id
                ),
            ))
        })
    }
}

/// Docker's rule for names, which asks for two characters at least.
fn is_name(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn invalid_name(name: &str) -> Refusal {
    Refusal::new(
        400,
        format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    )
}

/// 64 random hexadecimal digits. Each hasher of the standard library has random keys of its own.
pub(super) fn random_id() -> String {
    let seeds = RandomState::new();
    let parts = [0, 1, 2, 3].map(|part: u8| format!("{:016x}", seeds.hash_one(part)));
    parts.concat()
}

#[cfg(test)]
mod tests;
