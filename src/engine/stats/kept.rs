//! One answer: counters as they are now, against those of the look before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::time::sleep;

use super::sample::Cpu;
use super::{ContainerId, Engine, Error, Figures, Inspected, Taken, figures};

/// How long an answer is given again. Docker 20.10 looks once a second at most, and lets whoever asks earlier wait.
const FRESH: Duration = Duration::from_secs(1);

/// How far apart two looks must be: the engine's clock ticks in hundredths of a second.
pub(super) const APART: Duration = Duration::from_millis(500);

/// How far apart two looks can be. The average of a longer time says little of the present.
const TOO_OLD: Duration = Duration::from_secs(30);

/// The most containers whose latest looks are kept.
const MAX_KEPT: usize = 4096;

/// Which of a container's runs: when it began, in the engine's words.
pub(super) type Run = Option<String>;

/// What several who ask for the same container at once wait for together. It goes on while one of them waits.
type Flight = BoxFuture<'static, Result<Option<Figures>, Error>>;

/// The latest looks, and those that are under way.
#[derive(Default)]
pub(super) struct Kept {
    looks: Mutex<HashMap<ContainerId, Look>>,
    flights: Mutex<HashMap<ContainerId, (Run, WeakShared<Flight>)>>,
}

/// The latest look at a container.
struct Look {
    run: Run,
    cpu: Cpu,
    at: Instant,
    figures: Figures,
}

impl Kept {
    /// The figures of a container: those of a moment ago, or new ones, which all share who ask meanwhile.
    pub(super) async fn figures(
        &self,
        engine: &Arc<Engine>,
        found: &Inspected,
    ) -> Result<Option<Figures>, Error> {
        let run = found.run();
        if let Some(figures) = self.recent(&found.id, &run, Instant::now()) {
            return Ok(Some(figures));
        }
        self.join(engine, &found.id, run).await
    }

    /// Keeps the figures of a look, and with what the next is to be compared.
    pub(super) fn keep(&self, id: &ContainerId, run: &Run, taken: &Taken, figures: &Figures) {
        let look = Look {
            run: run.clone(),
            cpu: taken.reading.sample.cpu,
            at: taken.at,
            figures: figures.clone(),
        };
        let mut looks = self.looks();
        looks.retain(|_, known| look.at.saturating_duration_since(known.at) <= TOO_OLD);
        if looks.len() < MAX_KEPT || looks.contains_key(id) {
            looks.insert(id.clone(), look);
        }
    }

    fn recent(&self, id: &ContainerId, run: &Run, now: Instant) -> Option<Figures> {
        let looks = self.looks();
        let known = looks.get(id).filter(|known| known.run == *run)?;
        let age = now.saturating_duration_since(known.at);
        (age < FRESH).then(|| known.figures.clone())
    }

    /// With what a look is to be compared; none where there is nothing of the right age.
    fn previous(&self, id: &ContainerId, run: &Run, taken: &Taken) -> Option<Cpu> {
        let looks = self.looks();
        let known = looks.get(id).filter(|known| known.run == *run)?;
        let age = taken.at.saturating_duration_since(known.at);
        let is_good =
            (APART..=TOO_OLD).contains(&age) && taken.reading.sample.cpu.follows(known.cpu);
        is_good.then_some(known.cpu)
    }

    fn join(&self, engine: &Arc<Engine>, id: &ContainerId, run: Run) -> Shared<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, flight)) = flights.get(id)
            && *of == run
            && let Some(flight) = flight.upgrade()
            && flight.peek().is_none()
        {
            return flight;
        }
        flights.retain(|_, (_, flight)| flight.upgrade().is_some());
        let look = look(Arc::clone(engine), id.clone(), run.clone());
        let flight = look.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            flights.insert(id.clone(), (run, weak));
        }
        flight
    }

    fn looks(&self) -> MutexGuard<'_, HashMap<ContainerId, Look>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look(engine: Arc<Engine>, id: ContainerId, run: Run) -> Result<Option<Figures>, Error> {
    let Some(first) = engine.sample(&id).await? else {
        return Ok(None);
    };
    let kept = &engine.readings.kept;
    // An engine that does not know `one-shot` has waited and looked twice itself.
    let before = first.reading.before;
    let known = before.or_else(|| kept.previous(&id, &run, &first));
    let (previous, taken) = if let Some(previous) = known {
        (previous, first)
    } else {
        sleep(APART).await;
        let Some(second) = engine.sample(&id).await? else {
            return Ok(None);
        };
        (first.reading.sample.cpu, second)
    };
    let figures = figures(previous, &taken.reading.sample);
    kept.keep(&id, &run, &taken, &figures);
    Ok(Some(figures))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{ContainerId, Cpu, Kept, MAX_KEPT, Taken, figures};
    use crate::engine::stats::sample::Reading;

    fn id(n: usize) -> ContainerId {
        format!("{n:064x}").parse().unwrap()
    }

    fn taken(at: Instant, used: u64) -> Taken {
        let mut reading = Reading::read(br#"{"read":"2026-11-23T15:46:16Z"}"#)
            .unwrap()
            .unwrap();
        reading.sample.cpu = Cpu {
            used,
            system: 1,
            processors: 1,
        };
        Taken { reading, at }
    }

    fn keep(kept: &Kept, n: usize, taken: &Taken) {
        let figures = figures(Cpu::default(), &taken.reading.sample);
        kept.keep(&id(n), &Some("a".to_owned()), taken, &figures);
    }

    /// Asserts what is made of a look at run `a` that used 5: when a later one at this run, after these milliseconds, has
    /// used so much, whether the same answer is given, and whether the two are compared.
    fn check(later: &str, after: u64, used: u64, is_recent: bool, is_compared: bool) {
        let (kept, begun) = (Kept::default(), Instant::now());
        keep(&kept, 1, &taken(begun, 5));
        let (run, at) = (Some(later.to_owned()), begun + Duration::from_millis(after));
        let recent = kept.recent(&id(1), &run, at).is_some();
        let previous = kept.previous(&id(1), &run, &taken(at, used));
        assert_eq!(
            (recent, previous.is_some()),
            (is_recent, is_compared),
            "{later} {after} {used}"
        );
    }

    #[test]
    fn what_becomes_of_the_look_before() {
        check("a", 0, 5, true, false);
        check("a", 499, 6, true, false);
        check("a", 500, 6, true, true);
        check("a", 999, 6, true, true);
        check("a", 1_000, 6, false, true);
        check("a", 30_000, 5, false, true);
        check("a", 30_001, 6, false, false);
        // Counters of one run do not go back.
        check("a", 1_000, 4, false, false);
        // Another run, also where its counters have passed those of the one before.
        check("b", 100, 6, false, false);
        check("b", 1_000, 6, false, false);
    }

    #[test]
    fn not_any_number_is_kept() {
        let (kept, begun) = (Kept::default(), Instant::now());
        for n in 0..=MAX_KEPT {
            keep(&kept, n, &taken(begun, 1));
        }
        assert_eq!(kept.looks().len(), MAX_KEPT);
        assert!(!kept.looks().contains_key(&id(MAX_KEPT)));
        let later = begun + Duration::from_secs(10);
        keep(&kept, 1, &taken(later, 2));
        assert_eq!(kept.looks()[&id(1)].at, later);
        keep(&kept, 2, &taken(begun + Duration::from_secs(35), 2));
        assert_eq!(kept.looks().len(), 2);
    }
}
