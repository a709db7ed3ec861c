//! A future that is polled when it asks for it, and not because something beside it did.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Passes a poll on only where the future has asked for one. Timers and signals would otherwise be asked each time that
/// their connection has something to do, and take locks for that.
pub(super) struct Quiet<F> {
    future: F,
    bell: Option<Arc<Bell>>,
}

/// By which the future asks.
struct Bell {
    has_rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<F> Quiet<F> {
    pub(super) const fn new(future: F) -> Self {
        Self { future, bell: None }
    }
}

impl<F: Future + Unpin> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, bell } = self.get_mut();
        let bell = match bell {
            Some(bell) if bell.task.will_wake(cx.waker()) => bell,
            other => other.insert(Arc::new(Bell {
                // It was not polled for this task yet.
                has_rung: AtomicBool::new(true),
                task: cx.waker().clone(),
            })),
        };
        // Where it rings after this look, the task is polled again.
        if !bell.has_rung.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        bell.has_rung.swap(false, Ordering::AcqRel);
        let waker = Waker::from(Arc::clone(bell));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use super::Quiet;

    enum Step {
        /// The first task polls, or the second.
        Poll(usize),
        /// The future asks for a poll.
        Ring,
        /// The future ends at the next poll.
        End,
    }

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asserts how often the future was polled by the end, how often each task was woken, and whether it has ended.
    fn check(steps: &[Step], (polls, woken, has_ended): (usize, [usize; 2], bool)) {
        let (polled, is_over, bell) = (Cell::new(0), Cell::new(false), RefCell::new(None));
        let future = pin!(poll_fn(|cx| {
            polled.set(polled.get() + 1);
            *bell.borrow_mut() = Some(cx.waker().clone());
            if is_over.get() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let tasks = [Arc::<Task>::default(), Arc::default()];
        let mut quiet = Quiet::new(future);
        let mut ended = false;
        for step in steps {
            match step {
                Step::Poll(task) => {
                    let waker = Waker::from(Arc::clone(&tasks[*task]));
                    ended = Pin::new(&mut quiet)
                        .poll(&mut Context::from_waker(&waker))
                        .is_ready();
                }
                Step::Ring => bell.borrow().as_ref().unwrap().wake_by_ref(),
                Step::End => is_over.set(true),
            }
        }
        let woken_by = tasks.map(|task| task.0.load(Ordering::Relaxed));
        assert_eq!((polled.get(), woken_by, ended), (polls, woken, has_ended));
    }

    #[test]
    fn it_is_left_alone_until_it_asks() {
        use Step::{End, Poll, Ring};
        check(&[Poll(0)], (1, [0, 0], false));
        check(&[Poll(0), Poll(0), Poll(0)], (1, [0, 0], false));
        check(&[Poll(0), Ring], (1, [1, 0], false));
        check(&[Poll(0), Ring, Poll(0), Poll(0)], (2, [1, 0], false));
        check(&[Poll(0), Ring, Ring, Poll(0)], (2, [2, 0], false));
        check(&[Poll(0), End, Poll(0)], (1, [0, 0], false));
        check(&[Poll(0), End, Ring, Poll(0)], (2, [1, 0], true));
    }

    #[test]
    fn it_asks_the_task_that_polled_last() {
        use Step::{End, Poll, Ring};
        check(&[Poll(0), Poll(1)], (2, [0, 0], false));
        check(&[Poll(0), Poll(1), Poll(1), Ring], (2, [0, 1], false));
        check(&[Poll(0), Poll(1), End, Ring, Poll(1)], (3, [0, 1], true));
    }
}
