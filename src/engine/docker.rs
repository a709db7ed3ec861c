//! The engine at work: names resolved to ids, permitted operations spent on them, a deadline on every call.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptions, ListContainersOptions, RestartContainerOptions,
    StopContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::FutureExt;
use futures_util::future::join_all;

use super::flights::Flights;
use super::inspected::{Inspected, listed_state, without_slash};
use super::mirror::Find;
use super::stats::Readings;
use super::transport::Pool;
use super::{
    Change, ContainerId, End, Error, Look, Mirror, Moment, Observation, Observer, Outcome,
    OwnContainer, Rendered, Seen, Settings, State, Status,
};
use crate::policy::{FullName, Permitted, Prefix};

/// bollard's own time limit, in seconds. Ours is always shorter; bollard's does not cover bodies.
const BOLLARD_TIMEOUT: u64 = 86_400;

/// How long the engine waits for a container to stop when neither the TOML nor the container says.
const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that a stop is waited for when the container says "for ever".
const MAX_STOP_TIMEOUT: Duration = Duration::from_hours(1);

/// For how long after a change the engine may not have written it into its listing; in truth it is milliseconds.
const SETTLING: Duration = Duration::from_secs(10);

/// How long a listing waits for the engine to write down what was changed.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// A Docker engine.
pub struct Engine {
    pub(super) docker: Docker,
    pub(super) pool: Arc<Pool>,
    pub(super) timeout: Duration,
    pub(super) own: OwnContainer,
    pub(super) readings: Readings,
    pub(super) mirror: Mirror,
    /// The looks for those who do not ask the mirror.
    looks: Flights<FullName, Result<Arc<Seen>, Error>>,
    /// The listings for them.
    listings: Flights<Prefix, Result<Arc<Listing>, Error>>,
    observer: Observer,
    /// Whether the last call reached the engine; the log says when that changes, and not at each call.
    is_reachable: AtomicBool,
    /// Which id a name had lately. A hint is never believed: the container is looked at under that id, and counts only
    /// if it still has the name.
    hints: Mutex<HashMap<FullName, ContainerId>>,
    /// What was changed lately, and when: see `settle`.
    changed: Mutex<HashMap<ContainerId, Instant>>,
}

impl Engine {
    /// The engine at that address, whether or not it is there yet. It does not act on the container `own`, and tells
    /// `observer` of every call.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] where a file of `[engine.tls]` cannot be used.
    pub fn new(settings: &Settings, own: OwnContainer, observer: Observer) -> Result<Self, Error> {
        let pool = Arc::new(Pool::new(settings)?);
        let sending = Arc::clone(&pool);
        let transport = move |request| {
            let pool = Arc::clone(&sending);
            async move { pool.send(request).await }
        };
        let docker = Docker::connect_with_custom_transport(
            transport,
            Some("http://docker"),
            BOLLARD_TIMEOUT,
            API_DEFAULT_VERSION,
        )?;
        Ok(Self {
            docker,
            pool,
            timeout: settings.timeout,
            own,
            readings: Readings::default(),
            mirror: Mirror::default(),
            looks: Flights::default(),
            listings: Flights::default(),
            observer,
            is_reachable: AtomicBool::new(true),
            hints: Mutex::default(),
            changed: Mutex::default(),
        })
    }

    /// Asks whether the engine answers, for at most `limit`.
    ///
    /// # Errors
    ///
    /// Where it does not.
    pub async fn ping(&self, limit: Duration) -> Result<(), Error> {
        self.within("ping", limit.min(self.timeout), self.docker.ping())
            .await
            .map(drop)
    }

    /// What is read of a container in memory, where it is; `None` where the engine has to be asked.
    #[must_use]
    pub fn remembered<T>(
        &self,
        permitted: &Permitted<'_, Look>,
        read: impl FnOnce(&Seen) -> T,
    ) -> Option<Result<T, Error>> {
        match self.mirror.picture().find(permitted) {
            Find::Seen(seen) => Some(Ok(read(seen))),
            Find::Absent => Some(Err(Error::NotFound)),
            Find::Unknown => None,
        }
    }

    /// What there is to see of a container, from the engine.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that name, and the engine's own.
    pub async fn view(
        self: &Arc<Self>,
        permitted: Permitted<'static, Look>,
    ) -> Result<Arc<Seen>, Error> {
        let key = permitted.full_name().clone();
        let look = || Arc::clone(self).look(permitted).boxed();
        self.looks.join(key, look).await
    }

    /// The answers to `status` of those of these containers that exist, in the order given.
    ///
    /// # Errors
    ///
    /// The engine's own.
    pub async fn list(
        self: &Arc<Self>,
        prefix: &Prefix,
        permitted: &[Permitted<'_, Look>],
    ) -> Result<Vec<Rendered>, Error> {
        let engine = Arc::clone(self);
        let text = prefix.clone();
        let ask = || async move { engine.settled_listing(&text).await }.boxed();
        let listed = self.listings.join(prefix.clone(), ask).await?;
        let statuses = permitted.iter().filter_map(|permitted| {
            let listed = listed.get(permitted.full_name().as_str())?;
            let status = |listed: &Listed| {
                Rendered::of(&Status::new(permitted.container().as_str(), listed.state))
            };
            Some(listed.as_ref().map(status).ok_or_else(unlisted))
        });
        statuses.collect()
    }

    /// Looks at a container now.
    async fn look(
        self: Arc<Self>,
        permitted: Permitted<'static, Look>,
    ) -> Result<Arc<Seen>, Error> {
        let found = self.locate(permitted.full_name()).await?;
        let (id, name) = (found.id.clone(), permitted.container().clone());
        let view = found.into_view(name.as_str());
        Ok(Arc::new(Seen::new(id, name, view, Moment::now())))
    }

    async fn settled_listing(&self, prefix: &Prefix) -> Result<Arc<Listing>, Error> {
        self.settle().await;
        self.listing(prefix.as_str()).await.map(Arc::new)
    }

    /// Acts, on whatever it is but the gateway's own.
    pub(super) async fn act(&self, found: &Inspected, change: &Change) -> Result<Outcome, Error> {
        if self.own.is(found) {
            return Err(Error::OwnContainer);
        }
        let id = found.id.as_str();
        let docker = &self.docker;
        let done = match change {
            Change::Start => {
                self.within("start", self.timeout, docker.start_container(id, None))
                    .await
            }
            Change::Stop { timeout } => {
                let limit = self.timeout + stop_time(*timeout, found);
                let options = StopContainerOptions {
                    t: timeout.map(whole_seconds),
                    ..StopContainerOptions::default()
                };
                self.within("stop", limit, docker.stop_container(id, Some(options)))
                    .await
            }
            Change::Restart { timeout } => {
                let limit = self.timeout + stop_time(*timeout, found);
                let options = RestartContainerOptions {
                    t: timeout.map(whole_seconds),
                    ..RestartContainerOptions::default()
                };
                self.within(
                    "restart",
                    limit,
                    docker.restart_container(id, Some(options)),
                )
                .await
            }
            Change::Pause => {
                self.within("pause", self.timeout, docker.pause_container(id))
                    .await
            }
            Change::Unpause => {
                self.within("unpause", self.timeout, docker.unpause_container(id))
                    .await
            }
            Change::Kill { signal } => {
                let options = signal.as_ref().map(|signal| KillContainerOptions {
                    signal: signal.as_str().to_owned(),
                });
                self.within("kill", self.timeout, docker.kill_container(id, options))
                    .await
            }
        };
        let outcome = match done {
            Ok(()) => Outcome::Done,
            Err(Error::Refused { status: 304, .. }) => match change {
                Change::Start => Outcome::AlreadyRunning,
                Change::Stop { .. } => Outcome::AlreadyStopped,
                Change::Restart { .. } | Change::Pause | Change::Unpause | Change::Kill { .. } => {
                    Outcome::Done
                }
            },
            Err(error) => return Err(error),
        };
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.retain(|_, at| at.elapsed() < SETTLING);
        changed.insert(found.id.clone(), Instant::now());
        Ok(outcome)
    }

    /// Waits until the engine's listing shows what was changed lately.
    ///
    /// An engine changes a container, tells whoever waits, and writes the copy that it lists, all under the container's
    /// lock. 20.10 takes the lock once more before it answers a stop; later ones do not (moby, `container/state.go`), and
    /// may be asked for a listing too early. To look at the container is to wait for that lock.
    async fn settle(&self) {
        let unsettled: Vec<_> = {
            let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.retain(|_, at| at.elapsed() < SETTLING);
            changed.iter().map(|(id, at)| (id.clone(), *at)).collect()
        };
        let looks = unsettled.into_iter().map(async |(id, at)| {
            let looked = self.inspect(&id).await;
            let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
            let is_settled = matches!(looked, Ok(_) | Err(Error::Refused { .. }));
            // What was changed once more meanwhile needs another look.
            if is_settled && changed.get(&id) == Some(&at) {
                changed.remove(&id);
            }
        });
        // A container that is being started keeps its lock, and shall not keep the listing for long.
        let all = tokio::time::timeout(SETTLE_TIMEOUT, join_all(looks));
        if all.await.is_err() {
            tracing::debug!("the engine has not finished with what was changed");
        }
    }

    /// Looks at the container that has exactly this name now.
    pub(super) async fn locate(&self, name: &FullName) -> Result<Inspected, Error> {
        if let Some(hint) = self.hint(name)
            && let Some(found) = self.inspect_as(&hint, name).await?
        {
            return Ok(found);
        }
        // Twice: it may be replaced by a new one of that name between the listing and the look.
        for _ in 0..2 {
            let Some(listed) = self.listing(name.as_str()).await?.remove(name.as_str()) else {
                break;
            };
            let Listed { id, .. } = listed.ok_or_else(unlisted)?;
            if let Some(found) = self.inspect_as(&id, name).await? {
                self.set_hint(name, Some(id));
                return Ok(found);
            }
        }
        self.set_hint(name, None);
        Err(Error::NotFound)
    }

    /// Looks at the container with this id; `None` if it is gone or has another name by now.
    async fn inspect_as(
        &self,
        id: &ContainerId,
        name: &FullName,
    ) -> Result<Option<Inspected>, Error> {
        match self.inspect(id).await {
            Ok(found) => Ok((found.full_name == name.as_str()).then_some(found)),
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn inspect(&self, id: &ContainerId) -> Result<Inspected, Error> {
        self.inspect_with(id, None).await
    }

    /// The same for the mirror. In the engine's own log it can be told from what callers ask: it spells a default out.
    pub(super) async fn inspect_for_mirror(&self, id: &ContainerId) -> Result<Inspected, Error> {
        self.inspect_with(id, Some(InspectContainerOptions { size: false }))
            .await
    }

    async fn inspect_with(
        &self,
        id: &ContainerId,
        options: Option<InspectContainerOptions>,
    ) -> Result<Inspected, Error> {
        let call = self.docker.inspect_container(id.as_str(), options);
        let response = self.within("inspect", self.timeout, call).await?;
        Inspected::read(response)
    }

    /// The containers whose names contain this text, by name. They may be more: to the engine `.` is any character. One
    /// of which the engine does not say what it should has `None`, and matters only to whoever asks for it.
    pub(super) async fn listing(&self, text: &str) -> Result<Listing, Error> {
        let filters = HashMap::from([("name".to_owned(), vec![text.to_owned()])]);
        let options = ListContainersOptions {
            all: true,
            filters: (!text.is_empty()).then_some(filters),
            ..ListContainersOptions::default()
        };
        let summaries = self
            .within(
                "list",
                self.timeout,
                self.docker.list_containers(Some(options)),
            )
            .await?;
        let mut listed = HashMap::with_capacity(summaries.len());
        for summary in summaries {
            let id = summary.id.and_then(|id| id.parse().ok());
            let state = summary.state.and_then(listed_state);
            let entry = id.zip(state).map(|(id, state)| Listed { id, state });
            for name in summary.names.unwrap_or_default() {
                listed.insert(without_slash(name), entry.clone());
            }
        }
        Ok(listed)
    }

    /// Runs one call to the engine under a deadline.
    pub(super) async fn within<T>(
        &self,
        name: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Error> {
        let mut waiting = Waiting {
            engine: self,
            call: name,
            since: Instant::now(),
            end: End::Abandoned,
        };
        let answer = tokio::time::timeout(limit, call).await;
        let answer = match answer {
            Ok(answer) => answer.map_err(Error::from),
            Err(_) => Err(Error::TimedOut(limit)),
        };
        waiting.end = End::of(&answer);
        if waiting.end == End::TimedOut {
            return answer;
        }
        let unreachable = match &answer {
            Err(Error::Unreachable(why) | Error::Broken(why)) => Some(why),
            Ok(_) | Err(_) => None,
        };
        let was_reachable = self
            .is_reachable
            .swap(unreachable.is_none(), Ordering::Relaxed);
        match (was_reachable, unreachable) {
            (true, Some(why)) => tracing::warn!(?why, "the engine cannot be reached"),
            (false, None) => tracing::info!("the engine can be reached again"),
            (true, None) | (false, Some(_)) => {}
        }
        answer
    }

    fn hint(&self, name: &FullName) -> Option<ContainerId> {
        let hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        hints.get(name).cloned()
    }

    fn set_hint(&self, name: &FullName, id: Option<ContainerId>) {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => hints.insert(name.clone(), id),
            None => hints.remove(name),
        };
    }
}

/// What the engine lists, by name; none where it does not say what it should.
pub(super) type Listing = HashMap<String, Option<Listed>>;

/// One container in a listing.
#[derive(Clone)]
pub(super) struct Listed {
    pub(super) id: ContainerId,
    state: State,
}

fn unlisted() -> Error {
    Error::Garbled("a listed container without an id or a state".to_owned())
}

/// A call that is waited for. Where nobody waits to its end, be it that the time is up or the caller has gone, the
/// connection may be one that leads nowhere, and so may those that are kept.
struct Waiting<'engine> {
    engine: &'engine Engine,
    call: &'static str,
    since: Instant,
    end: End,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if matches!(self.end, End::TimedOut | End::Abandoned) {
            self.engine.pool.forget();
        }
        (self.engine.observer)(&Observation {
            call: self.call,
            took: self.since.elapsed(),
            end: self.end,
        });
    }
}

/// How long the engine will wait for this container to stop by itself.
fn stop_time(timeout: Option<Duration>, found: &Inspected) -> Duration {
    let of_container = || match found.stop_timeout {
        None => DEFAULT_STOP_TIMEOUT,
        Some(seconds) => u64::try_from(seconds).map_or(MAX_STOP_TIMEOUT, Duration::from_secs),
    };
    timeout.unwrap_or_else(of_container).min(MAX_STOP_TIMEOUT)
}

/// As the engine takes it; the configuration bounds it far below the type's limit.
fn whole_seconds(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_secs()).unwrap_or(i32::MAX)
}
