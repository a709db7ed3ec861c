//! The containers, and what each request does to them: pure, the date is a parameter.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::SystemTime;

use super::container::{Config, Container, Run};
use super::exec::Exec;
use super::log::{Log, Output};
use super::refusal::Refusal;
use super::signal::Signal;

/// All containers of the engine.
#[derive(Debug, Default)]
pub(super) struct Containers {
    by_id: BTreeMap<String, Container>,
    pub(super) last_pid: u32,
    pub(super) execs: BTreeMap<String, Exec>,
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
        for container in self.by_id.values_mut() {
            let Some(process) = &container.process else {
                continue;
            };
            let again = process.start_again;
            let Some(end) = process.end().filter(|end| end.at <= now) else {
                container.print_due(now);
                continue;
            };
            container.print_due(end.at);
            container.log.stop();
            container.process = None;
            container.finished = Some(end.at);
            container.exit_code = end.exit_code;
            if again {
                self.last_pid += 1;
                container.run(self.last_pid, end.at);
            }
        }
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
            log: Log::default(),
        };
        self.by_id.insert(id.clone(), container);
        Ok(id)
    }

    pub(super) fn start(&mut self, reference: &str, now: SystemTime) -> Result<Done, Refusal> {
        let pid = self.last_pid + 1;
        let container = self.find_mut(reference)?;
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
        container.run(pid, now);
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
        let run = self.find_mut(reference)?.stop(grace, false, now);
        Ok(run.map_or(Done::Unchanged, Done::When))
    }

    /// As [`Containers::stop`], then a start, also when nobody waits for it any more.
    pub(super) fn restart(
        &mut self,
        reference: &str,
        grace: Option<i64>,
        now: SystemTime,
    ) -> Result<Done, Refusal> {
        match self.find_mut(reference)?.stop(grace, true, now) {
            Some(run) => Ok(Done::When(run)),
            None => self.start(reference, now),
        }
    }

    pub(super) fn pause(&mut self, reference: &str, now: SystemTime) -> Result<Done, Refusal> {
        let container = self.find_mut(reference)?;
        let refusal = container.not_running();
        let process = container.process.as_mut().ok_or(refusal)?;
        if process.paused {
            let message = format!("Container {} is already paused", container.id);
            return Err(Refusal::new(409, message));
        }
        process.freeze(now);
        Ok(Done::Changed)
    }

    pub(super) fn unpause(&mut self, reference: &str, now: SystemTime) -> Result<Done, Refusal> {
        let container = self.find_mut(reference)?;
        let message = format!("Container {} is not paused", container.id);
        match container.process.as_mut().filter(|process| process.paused) {
            Some(process) => process.thaw(now),
            None => return Err(Refusal::new(500, message)),
        }
        Ok(Done::Changed)
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
        let container = self.find_mut(reference)?;
        if let Signal::Unsupported(number) = signal {
            let message = format!("The linux daemon does not support signal {number}");
            return Err(Refusal::new(500, message));
        }
        container.signal(signal, now)?;
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
        self.find_mut(reference)?.print(output, text, now);
        Ok(())
    }

    pub(super) fn rename(&mut self, reference: &str, name: &str) -> Result<Done, Refusal> {
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
        plain.clone_into(&mut self.find_mut(reference)?.name);
        Ok(Done::Changed)
    }

    pub(super) fn remove(&mut self, reference: &str, force: bool) -> Result<Done, Refusal> {
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
        self.by_id.remove(&id);
        self.execs.retain(|_, exec| exec.container != id);
        Ok(Done::Changed)
    }

    fn named(&self, name: &str) -> Option<&Container> {
        self.by_id.values().find(|container| container.name == name)
    }

    fn find_mut(&mut self, reference: &str) -> Result<&mut Container, Refusal> {
        let id = self.find(reference)?.id.clone();
        let gone = || Refusal::new(404, format!("No such container: {reference}"));
        self.by_id.get_mut(&id).ok_or_else(gone)
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
