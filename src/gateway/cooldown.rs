//! Cool-downs: how long after one change of a container the next is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{Error, Outcome};
use crate::limits::Wait;
use crate::policy::ContainerName;

/// When each container's last change was admitted. As many as there are managed containers, at most; those that no
/// cool-down reaches any more are forgotten.
#[derive(Clone, Default)]
pub(super) struct Cooldowns(Arc<Mutex<HashMap<ContainerName, Instant>>>);

/// The mark that an admitted change leaves.
#[must_use]
pub(super) struct Mark {
    cooldowns: Cooldowns,
    container: ContainerName,
    admitted_at: Instant,
}

impl Cooldowns {
    /// The longest that a cool-down can be.
    const LONGEST: Duration = Duration::from_hours(1);

    /// Admits a change of this container at this time, so that the next has to wait for `cooldown`. Of any number that
    /// come at once, one is admitted.
    ///
    /// # Errors
    ///
    /// Where the one before was admitted less than `cooldown` ago: how long to wait.
    pub(super) fn admit(
        &self,
        container: &ContainerName,
        cooldown: Option<Duration>,
        now: Instant,
    ) -> Result<Option<Mark>, Wait> {
        let Some(cooldown) = cooldown else {
            return Ok(None);
        };
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |at: &Instant| now.saturating_duration_since(*at);
        let wait = marks
            .get(container)
            .map_or(Duration::ZERO, |at| cooldown.saturating_sub(since(at)));
        if !wait.is_zero() {
            return Err(Wait::new(wait));
        }
        marks.retain(|_, at| since(at) < Self::LONGEST);
        marks.insert(container.clone(), now);
        Ok(Some(Mark {
            cooldowns: self.clone(),
            container: container.clone(),
            admitted_at: now,
        }))
    }
}

impl Mark {
    /// Takes the mark back where nothing was changed.
    pub(super) fn settle(self, answer: &Result<Outcome, Error>) {
        let is_unchanged = match answer {
            Ok(Outcome::AlreadyRunning | Outcome::AlreadyStopped)
            | Err(Error::NotFound | Error::OwnContainer | Error::Unreachable(_)) => true,
            // A start that fails may have done half of it, and would fail as fast as it is asked for.
            Ok(Outcome::Done)
            | Err(Error::Refused { .. } | Error::TimedOut(_) | Error::Garbled(_)) => false,
        };
        if is_unchanged {
            self.take_back();
        }
    }

    /// Takes the mark back, unless there is a later one.
    pub(super) fn take_back(self) {
        let marks = self.cooldowns.0.lock();
        let mut marks = marks.unwrap_or_else(PoisonError::into_inner);
        if marks.get(&self.container) == Some(&self.admitted_at) {
            marks.remove(&self.container);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Cooldowns, Error, Mark, Outcome};
    use crate::policy::ContainerName;

    const COOLDOWN: Option<Duration> = Some(Duration::from_secs(2));

    fn name(name: &str) -> ContainerName {
        name.parse().unwrap()
    }

    /// How many milliseconds a change of `a` has to wait.
    fn waits(cooldowns: &Cooldowns, at: Instant) -> u128 {
        let admitted = cooldowns.admit(&name("a"), COOLDOWN, at);
        admitted.map_or_else(|wait| wait.duration().as_millis(), |_| 0)
    }

    fn admit(cooldowns: &Cooldowns, at: Instant) -> Mark {
        cooldowns.admit(&name("a"), COOLDOWN, at).unwrap().unwrap()
    }

    #[test]
    fn the_next_waits() {
        let (cooldowns, start) = (Cooldowns::default(), Instant::now());
        let later = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(waits(&cooldowns, start), 0);
        assert_eq!(waits(&cooldowns, start), 2000);
        // What is refused begins no cool-down.
        assert_eq!(waits(&cooldowns, later(1999)), 1);
        assert_eq!(waits(&cooldowns, later(2000)), 0);
        assert_eq!(waits(&cooldowns, later(2001)), 1999);
        assert!(cooldowns.admit(&name("b"), COOLDOWN, later(2001)).is_ok());
        let none = cooldowns.admit(&name("a"), None, later(2001));
        assert!(none.unwrap().is_none());
    }

    fn check(answer: &Result<Outcome, Error>, is_given_back: bool) {
        let (cooldowns, start) = (Cooldowns::default(), Instant::now());
        admit(&cooldowns, start).settle(answer);
        assert_eq!(waits(&cooldowns, start) == 0, is_given_back, "{answer:?}");
    }

    #[test]
    fn what_changed_nothing_begins_none() {
        check(&Ok(Outcome::Done), false);
        check(&Ok(Outcome::AlreadyRunning), true);
        check(&Ok(Outcome::AlreadyStopped), true);
        check(&Err(Error::NotFound), true);
        check(&Err(Error::OwnContainer), true);
        check(&Err(Error::Unreachable(String::new())), true);
        check(&Err(Error::TimedOut(Duration::from_secs(1))), false);
        check(&Err(Error::Garbled(String::new())), false);
        let (status, message) = (500, String::new());
        check(&Err(Error::Refused { status, message }), false);
    }

    #[test]
    fn a_later_mark_stays() {
        let (cooldowns, start) = (Cooldowns::default(), Instant::now());
        let slow = admit(&cooldowns, start);
        let later = start + Duration::from_secs(3);
        let _later = admit(&cooldowns, later);
        slow.settle(&Err(Error::NotFound));
        assert_eq!(waits(&cooldowns, later), 2000);
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let (cooldowns, start) = (Cooldowns::default(), Instant::now());
        for number in 0..1000_u32 {
            let at = start + Duration::from_mins(1) * number;
            assert!(
                cooldowns
                    .admit(&name(&format!("c{number}")), COOLDOWN, at)
                    .is_ok()
            );
        }
        assert_eq!(cooldowns.0.lock().unwrap().len(), 60);
    }
}
