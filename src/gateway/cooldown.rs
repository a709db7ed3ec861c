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
pub(super) struct Cooldowns(Arc<Mutex<HashMap<ContainerName, Last>>>);

/// The last change of one container.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Last {
    admitted_at: Instant,
    /// Whether it is under way, so that it may yet turn out to have changed nothing.
    is_pending: bool,
}

/// When to ask again while the last change is under way.
const SOON: Duration = Duration::from_secs(1);

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
        let since = |last: &Last| now.saturating_duration_since(last.admitted_at);
        if let Some(last) = marks.get(container) {
            let wait = cooldown.saturating_sub(since(last));
            if !wait.is_zero() {
                let most = if last.is_pending { SOON } else { wait };
                return Err(Wait::new(wait.min(most)));
            }
        }
        marks.retain(|_, last| since(last) < Self::LONGEST);
        let mark = Last {
            admitted_at: now,
            is_pending: true,
        };
        marks.insert(container.clone(), mark);
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
            // A start that fails may have done half of it, and an engine that broke off may have done all.
            Ok(Outcome::Done)
            | Err(
                Error::Refused { .. } | Error::Broken(_) | Error::TimedOut(_) | Error::Garbled(_),
            ) => false,
        };
        if is_unchanged {
            self.take_back();
            return;
        }
        let marks = self.cooldowns.0.lock();
        let mut marks = marks.unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = marks.get_mut(&self.container)
            && last.admitted_at == self.admitted_at
        {
            last.is_pending = false;
        }
    }

    /// Takes the mark back, unless there is a later one.
    pub(super) fn take_back(self) {
        let marks = self.cooldowns.0.lock();
        let mut marks = marks.unwrap_or_else(PoisonError::into_inner);
        let last = marks.get(&self.container);
        if last.is_some_and(|last| last.admitted_at == self.admitted_at) {
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
        admit(&cooldowns, start).settle(&Ok(Outcome::Done));
        assert_eq!(waits(&cooldowns, start), 2000);
        // What is refused begins no cool-down.
        assert_eq!(waits(&cooldowns, later(1999)), 1);
        let second = admit(&cooldowns, later(2000));
        // While it is under way it may yet turn out to have changed nothing.
        assert_eq!(waits(&cooldowns, later(2001)), 1000);
        second.settle(&Ok(Outcome::Done));
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
        check(&Err(Error::Broken(String::new())), false);
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
        admit(&cooldowns, later).settle(&Ok(Outcome::Done));
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
