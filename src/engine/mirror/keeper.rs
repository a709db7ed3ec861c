//! The one who keeps the mirror: asks the engine, and shows what it answers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

use super::hint::Hint;
use super::reducer::{Looked, Reducer};
use super::{Managed, Notice, Touch, Waiter};
use crate::engine::inspected::without_slash;
use crate::engine::lines::Lines;
use crate::engine::upstream::Question;
use crate::engine::{ContainerId, Engine, Error, Moment};
use crate::policy::ContainerName;

/// The engine's events that are about containers: `{"type":["container"]}`, percent-encoded.
const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D";

/// The most bytes of one event; a container's labels are in each of its own.
const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// The most bytes of a listing: about two thousand for each of thirty thousand containers.
const MAX_LISTING_BYTES: usize = 64 * 1024 * 1024;

/// How many containers are looked at at once, but for those that take long.
const LOOKS_AT_ONCE: usize = 8;

/// The same with those.
const MAX_LOOKS: usize = 64;

/// After how long a look is slow: its container is not waited for then.
const SLOW: Duration = Duration::from_secs(1);

/// How long a look is waited for at most by who changed that container: another may have to end before it begins.
const SEEN_TIMEOUT: Duration = Duration::from_secs(2);

/// How often it is asked which take longer.
const LOOK_OUT: Duration = Duration::from_millis(250);

/// How often the engine is asked for everything, though nothing was heard: events can be lost, and have no heartbeat.
const LIST_AGAIN: Duration = Duration::from_mins(1);

/// How long there is at least between two listings.
const LIST_APART: Duration = Duration::from_secs(1);

/// How long to wait before the next attempt, at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The same at most where nobody listens on a socket of this machine: to find that out costs next to nothing.
const ABSENT_PAUSE: Duration = Duration::from_millis(500);

/// How many touches can be told and not yet taken.
const WAITING_TOUCHES: usize = 64;

impl Engine {
    /// Keeps the mirror: never ends, and the mirror is not current when this is dropped.
    pub async fn keep_mirror(&self) {
        let mut keeper = Keeper::new(self);
        let (shortest, longest) = PAUSES;
        let mut pause = shortest;
        loop {
            let Err(why) = keeper.follow().await;
            let is_absent = matches!(why, Error::Unreachable(_)) && self.pool.is_local();
            // Debug form: the engine's words may hold control characters, which must not forge a line.
            let why = why.to_string();
            if keeper.reducer.is_current() {
                pause = shortest;
                tracing::warn!(?why, "the mirror is not current: reads go to the engine");
            } else {
                tracing::debug!(?why, "the mirror does not become current");
            }
            keeper.give_up();
            keeper.meanwhile(sleep(pause)).await;
            pause = (pause * 2).min(if is_absent { ABSENT_PAUSE } else { longest });
        }
    }
}

struct Keeper<'engine> {
    engine: &'engine Engine,
    reducer: Reducer,
    /// The numbers of the picture that is shown, and of its content.
    version: u64,
    content: u64,
    managed: watch::Receiver<Arc<Managed>>,
    touches: mpsc::Receiver<Touch>,
    waiting: HashMap<ContainerId, Waiting>,
    /// When everything is asked for again.
    list_at: Instant,
    /// When everything was listed; none while it is being listed.
    listed_at: Option<Instant>,
    /// Whether something was missed since it began to be listed.
    is_missed: bool,
}

/// Who waits for a look at one container.
#[derive(Default)]
struct Waiting {
    /// For the next one to begin.
    next: Vec<Waiter>,
    /// For the one under way, and when that began.
    under_way: Vec<Waiter>,
    began: Option<Instant>,
}

impl Waiting {
    /// Whether the look under way is slow, or somebody has waited for so long that nobody shall wait any more.
    fn is_long(&self) -> bool {
        let is_slow = self.began.is_some_and(|began| began.elapsed() > SLOW);
        let mut waiters = self.under_way.iter().chain(&self.next);
        is_slow || waiters.any(|waiter| waiter.since.elapsed() > SEEN_TIMEOUT)
    }
}

/// What a look at a container told, and when it began.
type Told = (ContainerId, Instant, Result<Looked, Error>);

/// A container in a listing.
#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Names")]
    names: Option<Vec<String>>,
}

/// What the engine answered.
enum Answer {
    Looked(Told),
    Listed(Result<Vec<Listed>, Error>),
}

/// The questions to the engine that are under way.
type Questions<'engine> = FuturesUnordered<BoxFuture<'engine, Answer>>;

impl<'engine> Keeper<'engine> {
    fn new(engine: &'engine Engine) -> Self {
        let (told, touches) = mpsc::channel(WAITING_TOUCHES);
        engine.mirror.keep(Some(told));
        Self {
            engine,
            reducer: Reducer::default(),
            version: engine.mirror.picture().version(),
            content: engine.mirror.picture().content(),
            managed: engine.mirror.managed.subscribe(),
            touches,
            waiting: HashMap::new(),
            list_at: Instant::now(),
            listed_at: None,
            is_missed: false,
        }
    }

    /// Follows the engine until it cannot be followed any more, and says why.
    async fn follow(&mut self) -> Result<Infallible, Error> {
        let events = Question::get(EVENTS.to_owned());
        let events = self.engine.open("events", events);
        let events = self.meanwhile(events).await?;
        let mut events = Lines::of(events, MAX_EVENT_BYTES);
        let mut questions = Questions::new();
        self.begin(&mut questions);
        let mut slow = interval(LOOK_OUT);
        slow.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while self.has_place(&questions)
                && let Some(id) = self.reducer.next()
            {
                questions.push(self.look(id));
            }
            let list_at = self.list_at.into();
            tokio::select! {
                biased;
                Some(answer) = questions.next() => self.answered(answer)?,
                Some(touch) = self.touches.recv() => self.touched(touch),
                line = events.next() => match line {
                    Some(Ok(line)) => self.hear(Hint::read(&line)),
                    Some(Err(Error::Garbled(_))) => self.hear(Hint::Anything),
                    Some(Err(why)) => return Err(why),
                    None => return Err(Error::Broken("the engine ended its events".to_owned())),
                },
                Ok(()) = self.managed.changed() => {
                    questions.clear();
                    self.begin(&mut questions);
                }
                _ = slow.tick(), if !questions.is_empty() => self.look_out(),
                () = sleep_until(list_at), if self.listed_at.is_some() => {
                    questions.push(self.list());
                }
            }
        }
    }

    /// Whether one more container can be looked at.
    fn has_place(&self, questions: &Questions<'_>) -> bool {
        let began = self.waiting.values().filter_map(|waiting| waiting.began);
        let quick = began.filter(|began| began.elapsed() <= SLOW);
        questions.len() <= MAX_LOOKS && quick.count() < LOOKS_AT_ONCE
    }

    /// Begins anew with what is managed now.
    fn begin(&mut self, questions: &mut Questions<'engine>) {
        let managed = Arc::clone(&self.managed.borrow_and_update());
        self.reducer.begin(managed);
        for (id, waiting) in &mut self.waiting {
            // Whatever was under way is not waited for any more.
            waiting.next.append(&mut waiting.under_way);
            waiting.began = None;
            self.reducer.touched(id);
        }
        questions.push(self.list());
        self.show();
    }

    fn list(&mut self) -> BoxFuture<'engine, Answer> {
        (self.listed_at, self.is_missed) = (None, false);
        let engine = self.engine;
        let question = listing(self.reducer.managed().prefix());
        async move { Answer::Listed(listed(engine, question).await) }.boxed()
    }

    fn look(&mut self, id: ContainerId) -> BoxFuture<'engine, Answer> {
        let began = Instant::now();
        let waiting = self.waiting.entry(id.clone()).or_default();
        waiting.under_way.append(&mut waiting.next);
        waiting.began = Some(began);
        let managed = Arc::clone(self.reducer.managed());
        let engine = self.engine;
        let look = async move {
            let looked = looked(engine, &managed, &id).await;
            Answer::Looked((id, began, looked))
        };
        look.boxed()
    }

    fn answered(&mut self, answer: Answer) -> Result<(), Error> {
        match answer {
            Answer::Listed(listed) => {
                let now = Instant::now();
                self.listed_at = Some(now);
                // Docker answers that it will tell of events a moment before it does (moby, `getEvents`). What happens in that
                // moment is in no event; it may be after the first listing, and is not after a second. What was missed since
                // one began may have come after the engine's answer to it.
                let is_enough = !self.reducer.is_unlisted() && !self.is_missed;
                self.list_at = now + if is_enough { LIST_AGAIN } else { LIST_APART };
                let listed = named(listed?, self.reducer.managed());
                self.reducer.listed(listed);
            }
            Answer::Looked((id, began, looked)) => {
                self.reducer.looked(&id, began, looked?, Moment::now());
                let done = self.waiting.remove(&id).unwrap_or_default();
                if !done.next.is_empty() {
                    let next = Waiting {
                        next: done.next,
                        ..Waiting::default()
                    };
                    self.waiting.insert(id, next);
                }
                self.show();
                // Shown first. Who waits no more does not mind.
                for waiting in done.under_way {
                    let _gone = waiting.looked.send(());
                }
                return Ok(());
            }
        }
        self.show();
        Ok(())
    }

    fn touched(&mut self, Touch { id, waiter }: Touch) {
        self.reducer.touched(&id);
        self.waiting.entry(id).or_default().next.push(waiter);
    }

    fn hear(&mut self, hint: Hint) {
        match hint {
            Hint::Look(subject) => self.reducer.hinted(&subject),
            Hint::OutOfMemory(subject) => {
                self.reducer.out_of_memory(&subject, Moment::now());
                self.show();
            }
            Hint::Nothing => {}
            Hint::Anything => match self.listed_at {
                Some(at) => self.list_at = self.list_at.min(at + LIST_APART),
                None => self.is_missed = true,
            },
        }
    }

    /// Does not wait any longer for looks that take long.
    fn look_out(&mut self) {
        let mut waited = Vec::new();
        for (id, waiting) in &mut self.waiting {
            if !waiting.is_long() {
                continue;
            }
            let began = waiting.began.unwrap_or_else(Instant::now);
            self.reducer.is_slow(id, began);
            waited.append(&mut waiting.under_way);
            waited.append(&mut waiting.next);
        }
        if !waited.is_empty() {
            tracing::debug!(
                changes = waited.len(),
                "the engine takes long to tell of what was changed"
            );
        }
        self.show();
        // Now that the engine is asked of them.
        drop(waited);
    }

    /// Shows what has come of it.
    fn show(&mut self) {
        let notices = self.reducer.take_notices();
        if notices.contains(&Notice::Current) {
            tracing::info!(containers = self.reducer.len(), "the mirror is current");
        }
        self.publish(notices);
    }

    fn publish(&mut self, notices: Vec<Notice>) {
        self.version += 1;
        self.content += u64::from(self.reducer.take_changed());
        let picture = self.reducer.picture(self.version, self.content);
        self.engine.mirror.show(picture, notices);
    }

    /// Nothing is known any more.
    fn give_up(&mut self) {
        let was_current = self.reducer.is_current();
        self.reducer.begin(Arc::clone(self.reducer.managed()));
        let notices = was_current.then_some(Notice::NotCurrent);
        self.publish(notices.into_iter().collect());
        // Shown first: whoever goes on must not read what was before.
        self.waiting.clear();
    }

    /// Waits for this while nothing is known.
    async fn meanwhile<T>(&mut self, until: impl Future<Output = T>) -> T {
        let mut until = pin!(until);
        loop {
            tokio::select! {
                done = &mut until => return done,
                // Nobody waits: reads go to the engine, which knows, and whatever is looked at is looked at after this.
                Some(touch) = self.touches.recv() => drop(touch),
            }
        }
    }
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        self.give_up();
        self.engine.mirror.keep(None);
    }
}

async fn looked(engine: &Engine, managed: &Managed, id: &ContainerId) -> Result<Looked, Error> {
    match engine.inspect_for_mirror(id).await {
        Ok(found) => Ok(match managed.name_of(&found.full_name).cloned() {
            Some(name) => {
                let view = found.into_view(name.as_str());
                Looked::Managed(name, view)
            }
            None => Looked::Other,
        }),
        Err(Error::NotFound | Error::Refused { status: 404, .. }) => Ok(Looked::Other),
        Err(error @ (Error::Unreachable(_) | Error::Broken(_))) => Err(error),
        Err(
            error @ (Error::OwnContainer
            | Error::Refused { .. }
            | Error::TimedOut(_)
            | Error::Garbled(_)),
        ) => {
            let why = error.to_string();
            tracing::debug!(%id, ?why, "the engine does not tell of a container");
            Ok(Looked::Nothing)
        }
    }
}

async fn listed(engine: &Engine, question: Question) -> Result<Vec<Listed>, Error> {
    let listed = engine.fetch("list", question, MAX_LISTING_BYTES).await?;
    serde_json::from_slice(&listed).map_err(|error| Error::Garbled(error.to_string()))
}

/// Asks for the containers whose names contain this text.
fn listing(prefix: &str) -> Question {
    let mut query = form_urlencoded::Serializer::for_suffix(
        "/containers/json?all=1".to_owned(),
        "/containers/json?".len(),
    );
    if !prefix.is_empty() {
        let filters = serde_json::json!({"name": [prefix]});
        query.append_pair("filters", &filters.to_string());
    }
    Question::get(query.finish())
}

/// Those of a listing that are managed.
fn named(listed: Vec<Listed>, managed: &Managed) -> Vec<(ContainerId, ContainerName)> {
    let named = listed.into_iter().filter_map(|Listed { id, names }| {
        let mut names = names?.into_iter().map(without_slash);
        let name = names.find_map(|name| managed.name_of(&name).cloned())?;
        Some((id.parse().ok()?, name))
    });
    named.collect()
}
