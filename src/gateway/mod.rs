//! Admit, run, record: the one way from a request to the engine, whichever face took the request.

mod batch;
mod cooldown;
mod entry;
mod events;
mod exec;
mod failure;
mod lease;
mod logs;
mod receipt;
mod shown;
mod snapshot;
mod stats;
mod turn;
mod view;
mod wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use batch::{BatchItem, BatchVerb, Chosen};
pub use entry::Door;
pub use events::{Events, Happened};
pub use exec::{Asked, Executed};
pub use failure::{Failure, TookTooLong};
pub use lease::{Credentials, Ended, Standing};
pub use receipt::Caller;
pub use shown::{Unlisted, WriteList};
pub use snapshot::Snapshot;
pub use view::Unseen;
pub use wait::{Missed, Patience, Unreached, Until};

use batch::Batches;
use cooldown::Cooldowns;
use entry::Account;
use receipt::Receipt;
use shown::Shown;
use snapshot::InForce;
use turn::Turns;

use crate::audit::{Event, Record, Trail};
use crate::config::Config;
use crate::engine::{Change, Engine, Error, Managed, Mirror, Outcome};
use crate::metrics::Metrics;
use crate::policy::{ContainerName, Decision, Denial, Facility, Operation, Permitted, Verb};

/// How long the engine may take to show that it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// The one way to the engine.
pub struct Gateway {
    config: InForce,
    engine: Arc<Engine>,
    shown: Shown,
    metrics: Arc<Metrics>,
    trail: Trail,
    changes: TaskTracker,
    turns: Turns,
    batches: Batches,
    cooldowns: Cooldowns,
    /// Cancelled when the gateway stops: streams have to end, and nothing is waited for.
    closing: CancellationToken,
}

impl Gateway {
    /// A gateway to this engine under this configuration, which accounts for itself in this trail and counts what the
    /// law says.
    #[must_use]
    pub fn new(config: Arc<Config>, engine: Engine, trail: Trail, metrics: Arc<Metrics>) -> Self {
        let turns = Turns::new(config.limits.changes, config.limits.changes_per_container);
        let batches = Batches::new(config.limits.changes);
        engine.mirror().manage(managed(&config));
        Self {
            shown: Shown::new(&config),
            config: InForce::new(config),
            engine: Arc::new(engine),
            metrics,
            trail,
            changes: TaskTracker::new(),
            turns,
            batches,
            cooldowns: Cooldowns::default(),
            closing: CancellationToken::new(),
        }
    }

    /// The configuration in force. A request takes it once and goes by it to its end.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.config.snapshot()
    }

    /// Puts another configuration in force, for every request that takes its snapshot from now on, and records it.
    pub async fn reload(&self, config: Config) {
        let revision = config.revision.to_string();
        let config = Arc::new(config);
        self.engine.mirror().manage(managed(&config));
        self.shown.reload(&config);
        let old = self.config.replace(&config);
        for gone in old.policy.principals() {
            if !config.policy.knows(gone) {
                self.metrics.forget(gone);
            }
        }
        self.metrics.reload(true);
        let record = Record {
            revision: Some(revision),
            ..Record::now(Event::Reloaded)
        };
        self.note(&record).await;
    }

    /// Records that another configuration was offered and why it was not taken: the one before it stays in force.
    pub async fn not_reloaded(&self, why: &str) {
        self.metrics.reload(false);
        let record = Record {
            revision: Some(self.snapshot().revision.to_string()),
            error: Some(why.to_owned()),
            ..Record::now(Event::ReloadFailed)
        };
        self.note(&record).await;
    }

    /// Keeps what the engine has in memory, as [`Mirror`] says; never ends.
    pub async fn keep_mirror(&self) {
        self.engine.keep_mirror().await;
    }

    /// What the engine has, as far as it is kept in memory.
    #[must_use]
    pub fn mirror(&self) -> &Mirror {
        self.engine.mirror()
    }

    /// Whether the engine answers.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub async fn ready(&self) -> Result<(), Error> {
        self.engine.ping(READY_TIMEOUT).await
    }

    /// Lets a caller use something of the gateway itself.
    ///
    /// # Errors
    ///
    /// A denial.
    pub async fn admit(&self, caller: &Caller, facility: Facility) -> Result<(), Failure> {
        let policy = &caller.config.policy;
        match policy.decide_facility(&caller.principal, facility) {
            Decision::Allow { .. } => Ok(()),
            Decision::Deny(denial) => {
                let failure = receipt::facility_denied(caller, facility, &denial);
                let record = entry::facility_denied(caller, facility, &denial, &failure);
                self.note(&record).boxed().await;
                Err(failure)
            }
        }
    }

    /// Changes a container's state, in its turn. Once admitted it runs to its end, also when nobody waits for the answer
    /// any more.
    ///
    /// # Errors
    ///
    /// A denial, the engine's, that it was so already, that too many changes are under way, that the container is
    /// cooling down, or that there would be no record of it.
    pub async fn change(
        &self,
        caller: &Caller,
        change: Change,
        name: &ContainerName,
    ) -> Result<(), Failure> {
        let permitted = self.permit(caller, change, name).await?;
        let Some(place) = self.turns.place(permitted.operation(), name) else {
            let failure = receipt::refused(caller, &permitted);
            return Err(self.refuse(caller, &permitted, None, failure).await);
        };
        let settings = caller.config.containers.get(name);
        let cooldown = settings.and_then(|settings| settings.cooldown);
        let mark = match self.cooldowns.admit(name, cooldown, Instant::now()) {
            Ok(mark) => mark,
            Err(wait) => {
                let failure = receipt::cooling_down(caller, &permitted, wait);
                return Err(self.refuse(caller, &permitted, None, failure).await);
            }
        };
        let account = self.account(caller, entry::admitted(caller, &permitted));
        let receipt = Receipt::admitted(caller, &permitted).into_owned();
        let (engine, permitted) = (Arc::clone(&self.engine), permitted.into_owned());
        let run = async move {
            let entry = match account.open().await {
                Ok(entry) => entry,
                Err(failure) => {
                    if let Some(mark) = mark {
                        mark.take_back();
                    }
                    return Err(failure);
                }
            };
            let turn = place.turn().await;
            let result = engine.change(permitted).await;
            drop(turn);
            if let Some(mark) = mark {
                mark.settle(&result);
            }
            let answer = receipt.close(result).and_then(|outcome| match outcome {
                Outcome::Done => Ok(()),
                Outcome::AlreadyRunning => Err(Failure::AlreadyRunning),
                Outcome::AlreadyStopped => Err(Failure::AlreadyStopped),
            });
            entry.end(answer.as_ref().copied()).await;
            answer
        };
        self.to_its_end(caller, run).await
    }

    /// Ends every stream, the open ones and those to come, and all waiting: nothing waits for what has no end. Batches
    /// begin no further item.
    pub fn close_streams(&self) {
        self.closing.cancel();
    }

    /// Waits until every change that was admitted has ended.
    pub async fn drain(&self) {
        self.changes.close();
        self.changes.wait().await;
    }

    /// Records that a request was refused before it came to the law, and why and with which HTTP status.
    pub async fn refused_at_the_door(&self, door: &Door, why: &str, status: u16) {
        receipt::at_the_door(door, why);
        let record = door.refused(why, status);
        self.note(&record).await;
    }

    /// The account of something that was admitted, to be opened before it acts.
    fn account(&self, caller: &Caller, admitted: Record) -> Account {
        Account {
            trail: self.trail.clone(),
            metrics: Arc::clone(&self.metrics),
            status_of: caller.status_of,
            admitted,
        }
    }

    /// Runs something on a task of its own, to its end, also when nobody waits for the answer any more.
    async fn to_its_end<T: Send + 'static>(
        &self,
        caller: &Caller,
        run: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        // The task is waited for here and, when the caller has gone, by `drain`.
        match self.changes.spawn(run).await {
            Ok(answer) => answer,
            Err(fault) => {
                tracing::error!(request_id = %caller.request_id, %fault, "a change broke off");
                Err(Failure::Broken)
            }
        }
    }

    /// Records that the law said yes, and that it is not done all the same.
    async fn refuse<T: Operation>(
        &self,
        caller: &Caller,
        permitted: &Permitted<'_, T>,
        command: Option<&str>,
        failure: Failure,
    ) -> Failure {
        let record = Record {
            command: command.map(ToOwned::to_owned),
            ..entry::refused(caller, permitted, &failure)
        };
        self.note(&record).await;
        failure
    }

    /// Asks the law, and counts what it says.
    fn judge<'caller, T: Operation>(
        &self,
        caller: &'caller Caller,
        operation: T,
        name: &ContainerName,
    ) -> Result<Permitted<'caller, T>, Denial> {
        let verb = operation.verb();
        let policy = &caller.config.policy;
        let answer = policy.permit(&caller.principal, operation, name);
        self.metrics
            .decided(&caller.principal, verb, answer.as_ref().err());
        answer
    }

    /// Asks the law, counts what it says, and records a no.
    async fn permit<'caller, T: Operation>(
        &self,
        caller: &'caller Caller,
        operation: T,
        name: &ContainerName,
    ) -> Result<Permitted<'caller, T>, Failure> {
        self.permit_command(caller, operation, name, None).await
    }

    /// The same where it is about this command of the container, which the record of a no names.
    async fn permit_command<'caller, T: Operation>(
        &self,
        caller: &'caller Caller,
        operation: T,
        name: &ContainerName,
        command: Option<&str>,
    ) -> Result<Permitted<'caller, T>, Failure> {
        let verb = operation.verb();
        match self.judge(caller, operation, name) {
            Ok(permitted) => Ok(permitted),
            // In a box, because it is rare: each request is given room for all that is not.
            Err(denial) => Err(self
                .deny(caller, name, (verb, command), denial)
                .boxed()
                .await),
        }
    }

    /// Records that the law said no.
    async fn deny(
        &self,
        caller: &Caller,
        name: &ContainerName,
        (verb, command): (Verb, Option<&str>),
        denial: Denial,
    ) -> Failure {
        let failure = receipt::denied(caller, verb, name, &denial);
        let record = Record {
            command: command.map(ToOwned::to_owned),
            ..entry::denied(caller, verb, name, &denial, &failure)
        };
        self.note(&record).await;
        failure
    }

    /// Records what stays as it is whether it is recorded or not.
    async fn note(&self, record: &Record) {
        if let Err(error) = self.trail.record(record).await {
            self.metrics.unrecorded();
            let request_id = record.request_id.as_deref().unwrap_or_default();
            tracing::warn!(request_id, event = ?record.event, %error, "not on record");
        }
    }
}

fn managed(config: &Config) -> Managed {
    Managed::new(config.policy.prefix(), config.containers.keys())
}
