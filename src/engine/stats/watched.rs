//! Figures that go on: one stream of the engine's for all who watch a container.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, Shared, WeakShared};
use futures_util::stream::unfold;
use futures_util::{FutureExt, Stream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::kept::APART;
use super::{
    Engine, Error, Figures, Inspected, Lines, MAX_SAMPLE_BYTES, Permitted, ReadStats, Stats, Taken,
    figures,
};
use crate::policy::{ContainerName, FullName};

/// How long a container can be gone and still come back: made anew, it has none for a moment.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait before looking for a container again that does not run, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// How long the engine may say nothing. Docker writes each second, Podman each five.
const QUIET: Duration = Duration::from_secs(30);

/// What all who watch a container wait on together, and so keep going; with the last of them it is dropped, and with it
/// the engine's stream.
type Pump = BoxFuture<'static, ()>;

/// Who is watched now.
#[derive(Default)]
pub(super) struct Watched(Mutex<HashMap<FullName, (WeakShared<Pump>, Latest)>>);

/// The latest figures; none until there are some, and while the container does not run.
type Latest = watch::Receiver<Option<Figures>>;

/// One who watches.
struct Viewer {
    pump: Shared<Pump>,
    latest: Latest,
    container: ContainerName,
}

impl Engine {
    /// What a container consumes, about each second for as long as it is there; while it does not run, nothing.
    ///
    /// It goes on with another container that takes the name over, and when the engine comes back. Whoever reads
    /// slowly misses figures. Nothing is asked of the engine's stream before the first of these is waited for.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that name, and the engine's own.
    pub async fn watch_stats(
        self: &Arc<Self>,
        permitted: Permitted<'static, ReadStats>,
    ) -> Result<impl Stream<Item = Stats> + Send + use<>, Error> {
        self.locate(permitted.full_name()).await?;
        let (pump, latest) = self.readings.watched.join(self, permitted.full_name());
        let viewer = Viewer {
            pump,
            latest,
            container: permitted.container().clone(),
        };
        Ok(unfold(viewer, Viewer::next))
    }
}

impl Watched {
    fn join(&self, engine: &Arc<Engine>, name: &FullName) -> (Shared<Pump>, Latest) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((pump, latest)) = watched.get(name)
            && let Some(pump) = pump.upgrade()
            && pump.peek().is_none()
        {
            return (pump, latest.clone());
        }
        watched.retain(|_, (pump, _)| pump.upgrade().is_some());
        let (sender, latest) = watch::channel(None);
        let follower = Follower {
            engine: Arc::clone(engine),
            name: name.clone(),
            latest: sender,
        };
        let pump = follower.run().boxed().shared();
        if let Some(weak) = pump.downgrade() {
            watched.insert(name.clone(), (weak, latest.clone()));
        }
        (pump, latest)
    }
}

impl Viewer {
    async fn next(mut self) -> Option<(Stats, Self)> {
        loop {
            tokio::select! {
                biased;
                changed = self.latest.changed() => changed.ok()?,
                () = &mut self.pump => return None,
            }
            let latest = self.latest.borrow_and_update().clone();
            if let Some(figures) = latest {
                let container = self.container.to_string();
                return Some((Stats { container, figures }, self));
            }
        }
    }
}

/// Follows whatever container has a name.
struct Follower {
    engine: Arc<Engine>,
    name: FullName,
    latest: watch::Sender<Option<Figures>>,
}

impl Follower {
    /// Goes on until there has been no container of that name for a while.
    async fn run(self) {
        let (shortest, longest) = PAUSES;
        let mut pause = shortest;
        let mut gone_since: Option<Instant> = None;
        loop {
            let answer = match self.engine.locate(&self.name).await {
                Ok(found) if found.is_up() => self.follow(&found).await,
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            if answer == Err(Error::NotFound) {
                if gone_since.get_or_insert_with(Instant::now).elapsed() > GRACE {
                    return;
                }
            } else {
                gone_since = None;
            }
            if let Err(error) = answer {
                // Debug form: the engine's words may hold control characters, which must not forge a line.
                let why = error.to_string();
                tracing::debug!(container = %self.name, ?why, "no stats for now");
            }
            // None were there before: it may have run for hours since the last pause.
            if self.latest.send_replace(None).is_some() {
                pause = shortest;
            }
            sleep(pause).await;
            pause = longest.min(pause * 2);
        }
    }

    /// Passes the figures of one container on until it does not run, or does not have the name any more.
    async fn follow(&self, found: &Inspected) -> Result<(), Error> {
        let (id, run) = (&found.id, found.run());
        let Some(mut previous) = self.engine.sample(id).await? else {
            return Ok(());
        };
        let mut lines = Lines::of(self.engine.samples(id).await?, MAX_SAMPLE_BYTES);
        loop {
            let Ok(Some(line)) = timeout(QUIET, lines.next()).await else {
                return Ok(());
            };
            let Some(taken) = Taken::read(&line?)? else {
                return Ok(());
            };
            // SECURITY: the permission is for a name. One that another container has taken over must not show this one.
            let is_named = taken.reading.name.as_deref() == Some(self.name.as_str());
            if !is_named && self.engine.locate(&self.name).await?.id != *id {
                return Ok(());
            }
            let (before, now) = (previous.reading.sample.cpu, taken.reading.sample.cpu);
            if !now.follows(before) {
                // It was restarted in between.
                return Ok(());
            }
            if taken.at.saturating_duration_since(previous.at) >= APART / 2 {
                let figures = figures(before, &taken.reading.sample);
                // Whoever asks once has the same figures meanwhile.
                self.engine.readings.kept.keep(id, &run, &taken, &figures);
                self.latest.send_replace(Some(figures));
                previous = taken;
            }
        }
    }
}
