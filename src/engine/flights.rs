//! Questions that many ask at once: one is under way for each thing, and never an answer older than the asking.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

/// An answer that many wait for. Those who wait keep it going; with the last of them it is dropped.
type Answer<T> = BoxFuture<'static, T>;

/// The questions that are under way, by what they are about.
pub(super) struct Flights<K, T>(Mutex<HashMap<K, Flight<T>>>);

struct Flight<T> {
    answer: WeakShared<Answer<T>>,
    /// Whether the question has been asked: what it will answer may be older than what is asked now.
    is_asked: Arc<AtomicBool>,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T: Clone + Send + Sync + 'static> Flights<K, T> {
    /// The answer to `ask`, or to the same question of somebody else that has not been asked yet either.
    pub(super) async fn join(&self, key: K, ask: impl FnOnce() -> Answer<T>) -> T {
        let answer = self.board(key, ask);
        answer.await
    }

    fn board(&self, key: K, ask: impl FnOnce() -> Answer<T>) -> Shared<Answer<T>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = flights.get(&key).and_then(|flight| {
            let is_asked = flight.is_asked.load(Ordering::Acquire);
            Some((flight.answer.upgrade()?, is_asked))
        });
        let before = match before {
            Some((answer, false)) => return answer,
            Some((answer, true)) => Some(answer),
            None => None,
        };
        let is_asked = Arc::new(AtomicBool::new(false));
        let (asking, asked) = (ask(), Arc::clone(&is_asked));
        let answer = async move {
            if let Some(before) = before {
                before.await;
            }
            asked.store(true, Ordering::Release);
            asking.await
        };
        let answer = answer.boxed().shared();
        flights.retain(|_, flight| flight.answer.upgrade().is_some());
        if let Some(weak) = answer.downgrade() {
            let flight = Flight {
                answer: weak,
                is_asked,
            };
            flights.insert(key, flight);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::sleep;

    use super::Flights;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_and_none_older_than_the_asking() {
        let flights = Flights::<&str, u32>::default();
        let asked = Arc::new(AtomicU32::new(0));
        let ask = |key: &'static str| {
            let asked = Arc::clone(&asked);
            let answer = async move {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_secs(1)).await;
                number
            };
            flights.join(key, || answer.boxed())
        };
        let late = |key| async move {
            sleep(Duration::from_millis(500)).await;
            ask(key).await
        };
        let all = tokio::join!(
            ask("a"),
            ask("a"),
            late("a"),
            late("a"),
            late("a"),
            ask("b")
        );
        assert_eq!((all.0, all.5), (0, 1));
        // Who came while the first was under way share the next.
        assert_eq!((all.1, all.2, all.3, all.4), (2, 2, 2, 2));
        assert_eq!(ask("a").await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_takes_nothing_along() {
        let flights = Flights::<u8, u8>::default();
        let answer = |number| {
            async move {
                sleep(Duration::from_secs(1)).await;
                number
            }
            .boxed()
        };
        let first = tokio::time::timeout(Duration::from_millis(1), flights.join(0, || answer(1)));
        let (first, second) = tokio::join!(first, flights.join(0, || answer(2)));
        assert!(first.is_err());
        // It came after the first had been asked, which it saw to its end.
        assert_eq!(second, 2);
        let alone = tokio::time::timeout(Duration::from_millis(1), flights.join(0, || answer(3)));
        assert!(alone.await.is_err());
        assert_eq!(flights.join(0, || answer(4)).await, 4);
    }
}
