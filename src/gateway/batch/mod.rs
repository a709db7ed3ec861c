//! Batches: one change of many containers, each item decided, recorded and answered alone, in the order of their needs.

mod graph;
mod order;
mod plan;
mod run;

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Semaphore;

use plan::Plan;
use run::Run;

use super::{Caller, Failure, Gateway, entry, receipt};
use crate::config::Config;
use crate::engine::Change;
use crate::policy::{ContainerName, Decision, Operation, Verb};

/// How many batches there can be at once. They outlive their callers, so the limit of connections does not hold.
const MOST_BATCHES: usize = 32;

/// What can be done to many containers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchVerb {
    /// Start them, what is needed first.
    Start,
    /// Stop them, what needs others first.
    Stop,
    /// Restart them, what is needed first.
    Restart,
}

/// The containers that a batch is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// These, each once.
    Named(Vec<ContainerName>),
    /// All that exist and on which the caller is granted the verb, but for the gateway's own; by name.
    All,
}

/// One item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchItem {
    /// Which container.
    pub container: ContainerName,
    /// What came of it, as [`Gateway::change`] says it.
    pub answer: Result<(), Failure>,
}

/// The places of batches and of their items.
pub(super) struct Batches {
    batches: Arc<Semaphore>,
    /// Items of all batches that are under way: fewer than there are places for changes, so that no batch is refused
    /// because of itself or of others, and single changes always find places.
    items: Semaphore,
}

impl Batches {
    /// For so many changes at once in all.
    pub(super) fn new(changes: usize) -> Self {
        Self {
            batches: Arc::new(Semaphore::new(MOST_BATCHES)),
            items: Semaphore::new((changes / 2).max(1)),
        }
    }
}

impl BatchVerb {
    /// The verb that the caller needs for each item.
    #[must_use]
    pub const fn verb(self) -> Verb {
        match self {
            Self::Start => Verb::Start,
            Self::Stop => Verb::Stop,
            Self::Restart => Verb::Restart,
        }
    }

    /// The change of one container.
    fn change(self, config: &Config, name: &ContainerName) -> Change {
        let settings = config.containers.get(name);
        let timeout = settings.and_then(|settings| settings.stop_timeout);
        match self {
            Self::Start => Change::Start,
            Self::Stop => Change::Stop { timeout },
            Self::Restart => Change::Restart { timeout },
        }
    }
}

impl Gateway {
    /// Does the same to many containers, in the order that compose's labels give. It goes on when the caller leaves,
    /// and all of it by the caller's configuration. Told to stop, the gateway begins no further item.
    ///
    /// # Errors
    ///
    /// That too many batches are under way, or what the engine says to being asked which containers there are. What
    /// goes wrong with one item is that item's answer.
    pub async fn batch(
        self: &Arc<Self>,
        caller: Caller,
        verb: BatchVerb,
        chosen: Chosen,
    ) -> Result<Vec<BatchItem>, Failure> {
        let Ok(place) = Arc::clone(&self.batches.batches).try_acquire_owned() else {
            let failure = receipt::no_batch(&caller, verb.verb());
            let record = entry::no_batch(&caller, verb.verb(), &failure);
            self.note(&record).await;
            return Err(failure);
        };
        let request_id = caller.request_id;
        let gateway = Arc::clone(self);
        let run = async move {
            let _place = place;
            let names = match chosen {
                Chosen::Named(names) => names,
                Chosen::All => gateway.all(&caller, verb).await?,
            };
            Ok(gateway.each(&caller, verb, names).await)
        };
        // The task is waited for here and, when the caller has gone, by `drain`.
        match self.changes.spawn(run).await {
            Ok(answer) => answer,
            Err(fault) => {
                tracing::error!(%request_id, %fault, "a batch broke off");
                Err(Failure::Broken)
            }
        }
    }

    /// The containers that `"*"` stands for.
    async fn all(&self, caller: &Caller, verb: BatchVerb) -> Result<Vec<ContainerName>, Failure> {
        let policy = &caller.config.policy;
        let permitted = policy.visible(&caller.principal).filter_map(|(name, _)| {
            let change = verb.change(&caller.config, name);
            policy.permit(&caller.principal, change, name).ok()
        });
        let permitted = permitted.collect();
        let existing = self.engine.existing(policy.prefix(), permitted).await;
        existing.map_err(Failure::Engine)
    }

    async fn each(
        &self,
        caller: &Caller,
        verb: BatchVerb,
        names: Vec<ContainerName>,
    ) -> Vec<BatchItem> {
        let policy = &caller.config.policy;
        let is_allowed = |name| {
            let decision = policy.decide(&caller.principal, verb.verb(), name);
            matches!(decision, Decision::Allow { .. })
        };
        let full = |name| policy.prefix().full(name).as_str().to_owned();
        let (allowed, others): (Vec<_>, Vec<_>) = names
            .iter()
            .enumerate()
            .partition(|(_, name)| is_allowed(name));
        // SECURITY: what is denied has no part in the order, so that nothing can be learned of it from the others.
        let mut ready: VecDeque<_> = others.into_iter().map(|(item, _)| (item, None)).collect();
        let plan = match self.engine.composed().await {
            Ok(composed) => {
                let visible = policy.visible(&caller.principal);
                let visible = visible.map(|(name, _)| (full(name), name.clone()));
                let items: Vec<_> = allowed
                    .into_iter()
                    .map(|(item, name)| (item, full(name)))
                    .collect();
                Plan::new(&items, &composed, &visible.collect())
            }
            Err(error) => {
                // In no order is not in the right one.
                let failure = Failure::Engine(error);
                let failed = allowed.into_iter();
                ready.extend(failed.map(|(item, _)| (item, Some(failure.clone()))));
                Plan::default()
            }
        };
        let mut answers = Run::new((self, caller), verb, &names, &plan, ready)
            .run()
            .await;
        let items = names.iter().enumerate().map(|(item, name)| BatchItem {
            container: name.clone(),
            answer: answers.remove(&item).unwrap_or(Err(Failure::Broken)),
        });
        items.collect()
    }

    /// Acts on one container of a batch, or records and answers why not.
    async fn act(
        &self,
        caller: &Caller,
        change: Change,
        name: &ContainerName,
        failure: Option<Failure>,
    ) -> Result<(), Failure> {
        if let Some(failure) = failure {
            return self.stand_down(caller, change, name, failure).await;
        }
        let place = self.batches.items.acquire();
        let place = self.closing.run_until_cancelled(place).await;
        if place.is_none() || self.closing.is_cancelled() {
            let failure = Failure::Stopping;
            return self.stand_down(caller, change, name, failure).await;
        }
        self.change(caller, change, name).await
    }

    /// Records that the law said yes to a change, and why it is not made.
    pub(in crate::gateway) async fn stand_down<T: Operation>(
        &self,
        caller: &Caller,
        operation: T,
        name: &ContainerName,
        failure: Failure,
    ) -> Result<(), Failure> {
        let permitted = self.permit(caller, operation, name).await?;
        receipt::stood_down(caller, &permitted, &failure);
        let record = entry::refused(caller, &permitted, &failure);
        self.note(&record).await;
        Err(failure)
    }
}
