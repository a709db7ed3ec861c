//! One live line on a terminal while something takes long.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval_at};

use super::output::{is_dumb, note};

/// What is over sooner needs no line.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often the line is drawn.
const PERIOD: Duration = Duration::from_millis(100);

/// Waits for the work, and says meanwhile what it is and how long it has taken, where standard error is a terminal.
pub(super) async fn shown<T>(label: &str, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() || is_dumb() {
        return work.await;
    }
    let mut work = pin!(work);
    let begun = Instant::now();
    let mut ticks = interval_at((begun + PATIENCE).into(), PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut is_drawn = false;
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                if is_drawn {
                    note(ERASE);
                }
                return done;
            }
            _ = ticks.tick() => {
                note(&line(label, begun.elapsed()));
                is_drawn = true;
            }
        }
    }
}

/// To the beginning of the line, and nothing after that.
const ERASE: &str = "\r\x1b[K";

/// The line, over the one before it. What is wider than the terminal is cut, and not continued on a line of its own that
/// nobody would erase.
fn line(label: &str, elapsed: Duration) -> String {
    format!(
        "\r\x1b[?7l{label} \u{2026} {:.1}s\x1b[K\x1b[?7h",
        elapsed.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::line;

    #[test]
    fn the_line() {
        assert_eq!(
            line("stopping a", Duration::from_millis(3249)),
            "\r\x1b[?7lstopping a \u{2026} 3.2s\x1b[K\x1b[?7h"
        );
    }
}
