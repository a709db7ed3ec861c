//! Waiting: a change is answered when its container is what the caller wants it to be, or will not be.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::receipt::Receipt;
use super::{Caller, Failure, Gateway};
use crate::engine::{Change, Error, Look, Phase, ReadLogs, State};
use crate::policy::{ContainerName, Decision, Operation, Permitted};

/// How long after the first look the second comes; each later one comes half as long again after the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// How many of a container's last lines are told when it did not become what it should.
const LAST_LINES: usize = 20;

/// What a container is waited to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It runs, and is not about to be restarted.
    Running,
    /// It runs, and its health check says so.
    Healthy,
    /// It runs no more. One that is gone does not either.
    Exited,
    /// It has exited with 0: what other containers can need of one.
    Completed,
}

/// What is waited for, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// What the container shall be.
    pub until: Until,
    /// After how long to give up.
    pub timeout: Duration,
}

/// That a container did not become what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Which one.
    pub container: ContainerName,
    /// What it should have become.
    pub until: Until,
    /// How long that was waited for; `None` where it will not become so.
    pub after: Option<Duration>,
    /// What it is instead; `None` where the caller may not know.
    pub why: Option<String>,
}

/// The same with what a person needs to know. Serialised it is what an answer says beside its error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unreached {
    /// The same in words.
    #[serde(skip)]
    pub missed: Missed,
    /// The short name.
    pub container: String,
    /// Docker's word for the state that it is in; `None` where it is gone, or the engine does not say.
    pub status: Option<State>,
    /// What its health check says; `None` without one.
    pub health: Option<String>,
    /// What it exited with; `None` where it did not.
    pub exit_code: Option<i64>,
    /// The last lines that it printed; absent where the caller may not read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Vec<String>>,
}

/// What a look at a container came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Phase(Phase),
    Gone,
    Failed(String),
}

/// Whether a container is what it is waited to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    So,
    NotYet,
    Never,
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "become running",
            Self::Healthy => "become healthy",
            Self::Exited => "exit",
            Self::Completed => "exit with code 0",
        })
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not {}", self.container, self.until)?;
        if let Some(after) = self.after {
            write!(f, " after {}", humantime::format_duration(after))?;
        }
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.missed.fmt(f)
    }
}

impl Seen {
    /// What a container is instead of what was waited for.
    pub(super) fn instead_of(&self, until: Until) -> String {
        let phase = match self {
            Self::Phase(phase) => phase,
            Self::Gone => return "it is gone".to_owned(),
            Self::Failed(why) => return format!("the engine does not say how it is: {why}"),
        };
        let is_about_health = until == Until::Healthy;
        match (phase.state, phase.exit_code, &phase.health) {
            (State::Removing, ..) => "it is gone".to_owned(),
            (State::Exited, Some(code), _) => format!("exited with code {code}"),
            (State::Restarting, Some(code), _) => {
                format!("exited with code {code} and is restarting")
            }
            (State::Running, _, Some(health)) if is_about_health => {
                format!("it is running, and its health check says {health}")
            }
            (State::Running, _, None) if is_about_health && !phase.is_checked => {
                "it is running, and has no health check".to_owned()
            }
            (state, ..) => format!("it is {state}"),
        }
    }

    pub(super) fn verdict(&self, until: Until) -> Verdict {
        let phase = match self {
            Self::Phase(phase) => phase,
            Self::Gone if until == Until::Exited => return Verdict::So,
            Self::Gone => return Verdict::Never,
            Self::Failed(_) => return Verdict::NotYet,
        };
        let runs = phase.state == State::Running;
        let (is_so, is_lost) = match until {
            Until::Running => (runs, phase.is_over()),
            // Unhealthy is not lost: it may recover.
            Until::Healthy => (
                runs && phase.health.as_deref() == Some("healthy"),
                phase.is_over() || !phase.is_checked,
            ),
            Until::Exited => (phase.is_over(), false),
            Until::Completed => (
                phase.is_over() && phase.exit_code == Some(0),
                phase.is_over(),
            ),
        };
        match (is_so, is_lost) {
            (true, _) => Verdict::So,
            (false, true) => Verdict::Never,
            (false, false) => Verdict::NotYet,
        }
    }
}

impl Gateway {
    /// As [`Gateway::change`], and waits until the container is what it should be. That takes the verb `status`, too.
    /// When the caller leaves, what was begun goes on and the waiting ends.
    ///
    /// # Errors
    ///
    /// Those of a change; that it has no health check that could become healthy, before anything is done; and after it
    /// was done that it did not become so, or that the gateway stops.
    pub async fn change_and_wait(
        &self,
        caller: &Caller,
        change: Change,
        name: &ContainerName,
        patience: Patience,
    ) -> Result<(), Failure> {
        let policy = &caller.config.policy;
        let decision = policy.decide(&caller.principal, change.verb(), name);
        if matches!(decision, Decision::Deny(_)) {
            return self.change(caller, change, name).await;
        }
        let look = self.permit(caller, Look, name).await?;
        if patience.until == Until::Healthy {
            let receipt = Receipt::admitted(caller, &look);
            let failure = match receipt.close(self.engine.phase(&look).await) {
                Ok(phase) if phase.is_checked => None,
                Ok(_) => Some(Failure::NoHealthCheck(name.clone())),
                Err(failure) => Some(failure),
            };
            if let Some(failure) = failure {
                return self.stand_down(caller, change, name, failure).await;
            }
        }
        self.change(caller, change, name).await?;
        let Patience { until, timeout } = patience;
        let seen = self.watch(&look, until, Instant::now() + timeout).await;
        let Some(seen) = seen else {
            return Err(Failure::NotAwaited(name.clone(), until));
        };
        let after = match seen.verdict(until) {
            Verdict::So => return Ok(()),
            Verdict::Never => None,
            Verdict::NotYet => Some(timeout),
        };
        let missed = Missed {
            container: name.clone(),
            until,
            after,
            why: Some(seen.instead_of(until)),
        };
        // Debug form: the engine's words may be in it.
        tracing::info!(request_id = %caller.request_id, missed = ?missed.to_string(), "waited in vain");
        let logs = self.last_lines(caller, name).await;
        Err(Failure::Unreached(Box::new(unreached(missed, seen, logs))))
    }

    /// Looks at a container again and again until it is what it should be, will never be, or the time is up; gives what
    /// was seen last, or none where the gateway stops.
    pub(super) async fn watch<T>(
        &self,
        permitted: &Permitted<'_, T>,
        until: Until,
        deadline: Instant,
    ) -> Option<Seen> {
        let watching = async {
            let mut pause = FIRST_PAUSE;
            loop {
                let seen = self.see(permitted).await;
                let now = Instant::now();
                if seen.verdict(until) != Verdict::NotYet || now >= deadline {
                    return seen;
                }
                sleep(pause.min(deadline - now)).await;
                pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            }
        };
        self.closing.run_until_cancelled(watching).await
    }

    async fn see<T>(&self, permitted: &Permitted<'_, T>) -> Seen {
        match timeout(LOOK_TIMEOUT, self.engine.phase(permitted)).await {
            Ok(Ok(phase)) => Seen::Phase(phase),
            Ok(Err(Error::NotFound)) => Seen::Gone,
            Ok(Err(error)) => Seen::Failed(error.to_string()),
            Err(_) => Seen::Failed(Error::TimedOut(LOOK_TIMEOUT).to_string()),
        }
    }

    /// The last lines that a container printed; none where the caller may not read them.
    async fn last_lines(&self, caller: &Caller, name: &ContainerName) -> Option<Vec<String>> {
        let count = u32::try_from(LAST_LINES).unwrap_or(u32::MAX);
        let read = ReadLogs::last(count);
        let policy = &caller.config.policy;
        let permitted = policy.permit(&caller.principal, read, name).ok()?;
        match self.engine.last_lines(&permitted, LAST_LINES).await {
            Ok(lines) => Some(lines),
            Err(error) => {
                // It is told beside another answer, which is not to fail for it.
                let error = error.to_string();
                tracing::debug!(request_id = %caller.request_id, ?error, "no last lines");
                Some(Vec::new())
            }
        }
    }
}

fn unreached(missed: Missed, seen: Seen, logs: Option<Vec<String>>) -> Unreached {
    let phase = match seen {
        Seen::Phase(phase) => Some(phase),
        Seen::Gone | Seen::Failed(_) => None,
    };
    Unreached {
        container: missed.container.to_string(),
        missed,
        status: phase.as_ref().map(|phase| phase.state),
        exit_code: phase.as_ref().and_then(|phase| phase.exit_code),
        health: phase.and_then(|phase| phase.health),
        logs,
    }
}
