//! Admit, run, record: the one way from a request to the engine, whichever face took the request.

mod failure;
mod receipt;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

pub use failure::Failure;
pub use receipt::Caller;

use receipt::Receipt;
use turn::Turns;

use crate::config::Config;
use crate::engine::{Change, Engine, Error, Look, Outcome, Status, View};
use crate::metrics::Metrics;
use crate::policy::{ContainerName, Decision, Facility, Operation, Permitted};

/// How long the engine may take to show that it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// The one way to the engine.
pub struct Gateway {
    config: watch::Sender<Arc<Config>>,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    changes: TaskTracker,
    turns: Turns,
}

impl Gateway {
    /// A gateway to this engine under this configuration, which counts what the law says.
    #[must_use]
    pub fn new(config: Arc<Config>, engine: Engine, metrics: Arc<Metrics>) -> Self {
        Self {
            config: watch::Sender::new(config),
            engine: Arc::new(engine),
            metrics,
            changes: TaskTracker::new(),
            turns: Turns::new(),
        }
    }

    /// The configuration in force. A request takes it once and goes by it to its end.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// Puts another configuration in force, for every request that takes its snapshot from now on.
    pub fn reload(&self, config: Config) {
        self.metrics.reload(true);
        self.config.send_replace(Arc::new(config));
    }

    /// Notes that another configuration was not put in force.
    pub fn not_reloaded(&self) {
        self.metrics.reload(false);
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
    pub fn admit(&self, caller: &Caller, facility: Facility) -> Result<(), Failure> {
        let policy = &caller.config.policy;
        match policy.decide_facility(&caller.principal, facility) {
            Decision::Allow { .. } => Ok(()),
            Decision::Deny(denial) => Err(receipt::facility_denied(caller, facility, &denial)),
        }
    }

    /// All that is shown of one container.
    ///
    /// # Errors
    ///
    /// A denial, or the engine's.
    pub async fn view(&self, caller: &Caller, name: &ContainerName) -> Result<View, Failure> {
        let permitted = self.permit(caller, Look, name)?;
        let receipt = Receipt::admitted(caller, &permitted);
        receipt.close(self.engine.view(permitted).await)
    }

    /// The status of every container that the caller may look at and that exists, by name.
    ///
    /// # Errors
    ///
    /// The engine's.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Status>, Failure> {
        let policy = &caller.config.policy;
        let permitted = policy
            .visible(&caller.principal)
            .filter_map(|(name, _)| policy.permit(&caller.principal, Look, name).ok())
            .collect::<Vec<_>>();
        // However many containers there are, it is one question.
        self.metrics.decided(&caller.principal, Look.verb(), None);
        receipt::listed(caller, permitted.len());
        self.engine
            .list(policy.prefix(), permitted)
            .await
            .map_err(Failure::Engine)
    }

    /// Changes a container's state, in its turn. Once admitted it runs to its end, also when nobody waits for the answer
    /// any more.
    ///
    /// # Errors
    ///
    /// A denial, the engine's, that it was so already, or that too many changes are under way.
    pub async fn change(
        &self,
        caller: &Caller,
        change: Change,
        name: &ContainerName,
    ) -> Result<(), Failure> {
        let permitted = self.permit(caller, change, name)?;
        let Some(place) = self.turns.place(permitted.operation(), name) else {
            return Err(receipt::refused(caller, &permitted));
        };
        let receipt = Receipt::admitted(caller, &permitted);
        let engine = Arc::clone(&self.engine);
        let run = async move {
            let _turn = place.turn().await;
            receipt.close(engine.change(permitted).await)
        };
        // The task is waited for here and, when the caller has gone, by `drain`.
        match self.changes.spawn(run).await {
            Ok(Ok(Outcome::Done)) => Ok(()),
            Ok(Ok(Outcome::AlreadyRunning)) => Err(Failure::AlreadyRunning),
            Ok(Ok(Outcome::AlreadyStopped)) => Err(Failure::AlreadyStopped),
            Ok(Err(failure)) => Err(failure),
            Err(fault) => {
                tracing::error!(request_id = %caller.request_id, %fault, "a change broke off");
                Err(Failure::Broken)
            }
        }
    }

    /// Waits until every change that was admitted has ended.
    pub async fn drain(&self) {
        self.changes.close();
        self.changes.wait().await;
    }

    /// Asks the law, counts what it says, and records a no.
    fn permit<T: Operation>(
        &self,
        caller: &Caller,
        operation: T,
        name: &ContainerName,
    ) -> Result<Permitted<T>, Failure> {
        let verb = operation.verb();
        let policy = &caller.config.policy;
        let answer = policy.permit(&caller.principal, operation, name);
        self.metrics
            .decided(&caller.principal, verb, answer.as_ref().err());
        answer.map_err(|denial| receipt::denied(caller, verb, name, &denial))
    }
}
