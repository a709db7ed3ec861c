//! What a container has printed, in messages as dockerd keeps them: pure, the date is a parameter.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

/// The label with the milliseconds between two numbered lines that a container's process prints.
pub(super) const PRINT_EVERY: &str = "pretend.print-every";

/// The longest that a message can be, in bytes: dockerd cuts longer lines.
const MAX_MESSAGE: usize = 16 * 1024;

/// The most messages that are kept.
const MAX_MESSAGES: usize = 100_000;

/// Where a process prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

/// One message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) at: SystemTime,
    pub(super) output: Output,
    /// A line with its end, or a part of one.
    pub(super) text: Bytes,
}

/// All that a container has printed.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    messages: VecDeque<Message>,
    /// How many are not kept any more.
    gone: usize,
    /// When the next numbered line is due.
    due: Option<SystemTime>,
    numbered: u64,
}

impl Log {
    /// How many messages there have ever been.
    pub(super) fn end(&self) -> usize {
        self.gone + self.messages.len()
    }

    /// The messages from this one on, by the order in which they were printed.
    pub(super) fn from(&self, at: usize) -> impl Iterator<Item = &Message> {
        self.messages.iter().skip(at.saturating_sub(self.gone))
    }

    /// When the next line is due, if any is.
    pub(super) const fn due(&self) -> Option<SystemTime> {
        self.due
    }

    /// Adds what is printed at once: lines, and perhaps the beginning of one.
    pub(super) fn print(&mut self, output: Output, text: &[u8], at: SystemTime) {
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        for part in lines.flat_map(parts) {
            if self.messages.len() == MAX_MESSAGES {
                self.messages.pop_front();
                self.gone += 1;
            }
            self.messages.push_back(Message {
                at,
                output,
                text: Bytes::copy_from_slice(part),
            });
        }
    }

    /// Begins to print numbered lines.
    pub(super) fn begin(&mut self, now: SystemTime, every: Option<Duration>) {
        self.due = every.and_then(|every| now.checked_add(every));
    }

    /// Prints the lines that are due; of a frozen process none.
    pub(super) fn settle(&mut self, now: SystemTime, every: Option<Duration>, frozen: bool) {
        let every = every.unwrap_or(Duration::MAX);
        if frozen && self.due.is_some() {
            self.due = now.checked_add(every);
        }
        // After a long time in which nobody looked, only so many as are kept.
        for _ in 0..MAX_MESSAGES {
            let Some(due) = self.due.filter(|due| *due <= now) else {
                return;
            };
            self.numbered += 1;
            let line = format!("pretend: line {}\n", self.numbered);
            self.print(Output::Stdout, line.as_bytes(), due);
            self.due = due.checked_add(every);
        }
        self.due = now.checked_add(every);
    }

    /// Prints no numbered lines any more.
    pub(super) const fn stop(&mut self) {
        self.due = None;
    }
}

/// A line in the parts into which dockerd cuts it; the end of a line does not count, and is alone where it must be.
fn parts(line: &[u8]) -> Vec<&[u8]> {
    let body = line.strip_suffix(b"\n").unwrap_or(line);
    let whole = body.len() / MAX_MESSAGE * MAX_MESSAGE;
    let (cut, rest) = line.split_at(whole);
    let mut parts: Vec<_> = cut.chunks(MAX_MESSAGE).collect();
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{Log, MAX_MESSAGES, Output};

    fn last(log: &Log) -> String {
        let message = log.from(log.end() - 1).next().unwrap();
        String::from_utf8(message.text.to_vec()).unwrap()
    }

    #[test]
    fn lines_are_due_now_and_then() {
        let at = |milliseconds| UNIX_EPOCH + Duration::from_millis(milliseconds);
        let (mut log, every) = (Log::default(), Some(Duration::from_secs(1)));
        log.begin(at(0), every);
        log.settle(at(999), every, false);
        assert_eq!((log.end(), log.due()), (0, Some(at(1000))));
        log.settle(at(2500), every, false);
        assert_eq!((log.end(), last(&log).as_str()), (2, "pretend: line 2\n"));
        // A frozen process prints nothing, and one that has ended has nothing to print.
        log.settle(at(9000), every, true);
        assert_eq!((log.end(), log.due()), (2, Some(at(10_000))));
        log.stop();
        log.settle(at(99_000), every, false);
        assert_eq!(log.end(), 2);
    }

    #[test]
    fn not_all_is_kept() {
        let mut log = Log::default();
        for number in 0..MAX_MESSAGES + 7 {
            log.print(Output::Stdout, format!("{number}\n").as_bytes(), UNIX_EPOCH);
        }
        assert_eq!(
            (log.end(), log.from(0).count()),
            (MAX_MESSAGES + 7, MAX_MESSAGES)
        );
        assert_eq!(log.from(8).next().unwrap().text.as_ref(), b"8\n");
    }

    #[test]
    fn lines_are_cut_as_dockerd_cuts_them() {
        for (length, end, expected) in [
            (0, "\n", &[1][..]),
            (16_383, "\n", &[16_384]),
            (16_384, "\n", &[16_384, 1]),
            (16_385, "\n", &[16_384, 2]),
            (40_000, "", &[16_384, 16_384, 7232]),
        ] {
            let mut log = Log::default();
            let line = "x".repeat(length) + end;
            log.print(Output::Stdout, line.as_bytes(), UNIX_EPOCH);
            let lengths: Vec<_> = log.from(0).map(|message| message.text.len()).collect();
            assert_eq!(lengths, expected, "{length}");
        }
    }
}
