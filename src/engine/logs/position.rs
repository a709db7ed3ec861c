//! How far a follower has come, so that it goes on exactly there on another connection.
//!
//! The engine keeps messages in the order in which they came, and can be asked for those since a moment. It is asked for
//! a little more than is new, and all is passed over up to the last one that is known. Moments alone would not do: a
//! message is dated before its writer races another one for the log, so they are not in order; and several can have the
//! same moment, as the parts of a long line do.

use std::time::Duration;

use super::{Moment, Piece, Source};

/// How much later a message can be dated than the one after it.
const RACE: Duration = Duration::from_secs(1);

/// How far one follower has come in what one container printed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    /// The latest message of each stream, and how many of it there were before it with the same moment, itself among
    /// them. Each stream has one writer, so its moments are in order.
    stdout: Option<(Moment, usize)>,
    stderr: Option<(Moment, usize)>,
    last: Option<Last>,
    /// The latest moment of all; later than that of the last message where the clock was put back.
    latest: Option<Moment>,
}

/// The last message.
#[derive(Clone, Copy, Debug)]
struct Last {
    at: Moment,
    source: Source,
    /// How many messages there were that look so, itself among them.
    count: usize,
    /// How many bytes of it there were.
    bytes: usize,
    /// Whether what comes without a beginning is of it, and not of what the engine itself has to say.
    is_open: bool,
}

/// What is to be passed over on a new connection.
#[derive(Debug)]
pub(super) struct Known {
    /// The last message that is known; none once it has come.
    last: Option<Last>,
    /// After this moment it does not come any more.
    end: Option<Moment>,
    /// Whether all is there that the engine has. Then a message that does not come was thrown away, and all before it;
    /// else too little was asked for.
    is_all: bool,
    is_missed: bool,
    /// Whether an earlier message has come: then all that look like the last one come.
    is_earlier_seen: bool,
    /// How many bytes are known of the message under way.
    left: usize,
}

impl Position {
    /// Notes a piece that is handed on.
    pub(super) fn advance(&mut self, piece: &Piece) {
        let bytes = piece.bytes.len();
        if !piece.is_first {
            if let Some(last) = &mut self.last
                && last.is_open
            {
                last.bytes = last.bytes.saturating_add(bytes);
            }
            return;
        }
        // What has no date is of the engine itself, and not in the log.
        let Some(at) = piece.at else {
            if let Some(last) = &mut self.last {
                last.is_open = false;
            }
            return;
        };
        let source = piece.source;
        let of_stream = match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        };
        let before = of_stream.filter(|(before, _)| *before == at);
        let count = before.map_or(1, |(_, count)| count + 1);
        *of_stream = Some((at, count));
        self.latest = self.latest.max(Some(at));
        self.last = Some(Last {
            at,
            source,
            count,
            bytes,
            is_open: true,
        });
    }

    /// Since when to ask again; none where nothing came yet.
    pub(super) fn since(&self) -> Option<Moment> {
        self.last.map(|last| last.at.before(RACE))
    }

    /// What of that comes again. `is_all` says whether all was asked for, or only the end of it.
    pub(super) const fn known(&self, is_all: bool) -> Known {
        Known {
            last: self.last,
            end: self.latest,
            is_all,
            is_missed: false,
            is_earlier_seen: false,
            left: 0,
        }
    }
}

impl Known {
    /// Whether what is known has not come yet, and may not have been asked for.
    pub(super) const fn is_sought(&self) -> bool {
        self.last.is_some() && !self.is_all
    }

    /// Whether it was not asked for: what has come is not what follows it.
    pub(super) const fn is_missed(&self) -> bool {
        self.is_missed
    }

    /// Takes off a piece what is known of it; none where that is all.
    pub(super) fn pass_over(&mut self, mut piece: Piece) -> Option<Piece> {
        if piece.is_first {
            self.left = self.known_bytes(&piece);
        }
        if self.left == 0 {
            return Some(piece);
        }
        let length = piece.bytes.len();
        if length <= self.left {
            self.left -= length;
            return None;
        }
        piece.bytes = piece.bytes.split_off(self.left);
        piece.is_first = false;
        self.left = 0;
        Some(piece)
    }

    /// How many bytes are known of a message that begins so.
    fn known_bytes(&mut self, piece: &Piece) -> usize {
        let (Some(last), Some(at)) = (&mut self.last, piece.at) else {
            return 0;
        };
        if self.end.is_none_or(|end| end < at.before(RACE)) {
            self.is_missed = !self.is_all;
            if self.is_all {
                self.last = None;
                return 0;
            }
        }
        self.is_earlier_seen |= at < last.at;
        if (last.at, last.source) == (at, piece.source) {
            self.is_missed |= !self.is_all && !self.is_earlier_seen && last.count > 1;
            last.count = last.count.saturating_sub(1);
            if last.count == 0 && !self.is_missed {
                let bytes = last.bytes;
                self.last = None;
                return bytes;
            }
        }
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::Position;
    use crate::engine::logs::{Moment, Piece, Source};

    const SECOND: u64 = 1_000_000_000;

    /// A message of a log: its moment, its source and its text.
    type Message = (u64, Source, String);

    /// What comes of a log that is read since a moment.
    fn read(log: &[Message], since: Option<Moment>) -> Vec<Piece> {
        let pieces = log.iter().map(|(at, source, text)| Piece {
            source: *source,
            at: Some(Moment::from_nanos(*at)),
            is_first: true,
            bytes: Bytes::from(text.clone()),
        });
        pieces.filter(|piece| piece.at >= since).collect()
    }

    /// Reads a log on until the connection breaks, after so many messages and bytes of the next one.
    fn read_on(
        position: &mut Position,
        log: &[Message],
        (messages, bytes): (usize, usize),
    ) -> String {
        let (mut known, mut told) = (position.known(true), String::new());
        let mut pieces = read(log, position.since());
        if let Some(last) = pieces.get_mut(messages) {
            last.bytes.truncate(bytes);
        }
        pieces.truncate(messages.saturating_add(usize::from(bytes > 0)));
        for piece in pieces {
            if let Some(piece) = known.pass_over(piece) {
                told.push_str(std::str::from_utf8(&piece.bytes).unwrap());
                position.advance(&piece);
            }
        }
        told
    }

    fn check(log: &[Message], breaks: &[(usize, usize)]) {
        let whole: String = log.iter().map(|(_, _, text)| text.as_str()).collect();
        let mut position = Position::default();
        let breaks = breaks.iter().copied().chain([(usize::MAX, 0)]);
        let told: String = breaks.map(|end| read_on(&mut position, log, end)).collect();
        assert_eq!(told, whole);
    }

    /// Numbered lines of these moments, in which those of each stream are in order.
    fn numbered(moments: impl IntoIterator<Item = (u64, bool)>) -> Vec<Message> {
        let (mut latest, mut log) = ([0; 2], Vec::new());
        for (n, (at, is_error)) in moments.into_iter().enumerate() {
            let of_stream = &mut latest[usize::from(is_error)];
            *of_stream = at.max(*of_stream);
            let source = if is_error {
                Source::Stderr
            } else {
                Source::Stdout
            };
            log.push((*of_stream, source, format!("line {n}\n")));
        }
        log
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice() {
        let moments = [1, 2, 2, 2, 3, 5, 4, 4, 6].map(|at| (at, at % 2 == 0));
        let log = numbered(moments);
        for at in 0..9 {
            check(&log, &[(at, 0), (0, 3), (1, 0)]);
            check(&log, &[(at, 4)]);
        }
        let alike = numbered([(7, false); 500]);
        check(&alike, &[(300, 2), (400, 0), (499, 0)]);
    }

    /// Where only the end of a log is asked for, it is known whether that was enough.
    #[test]
    fn the_end_of_a_log() {
        let moments = [1, 2, 2, 2, 3, 4, 4, 5];
        let log = numbered(moments.map(|at| (at, false)));
        for (known_until, from, is_enough) in [
            (2, 0, true),
            (4, 0, true),
            (4, 1, false),
            (4, 2, false),
            (4, 4, false),
            (5, 4, true),
            (5, 5, false),
            (7, 4, true),
            (7, 6, false),
        ] {
            let mut position = Position::default();
            read_on(&mut position, &log[..known_until], (usize::MAX, 0));
            let mut known = position.known(false);
            let rest = read(&log[from..], None).into_iter();
            let told = rest.filter_map(|piece| known.pass_over(piece)).count();
            let is_found = !known.is_sought() && !known.is_missed();
            assert_eq!(is_found, is_enough, "{known_until} {from}");
            let expected = if is_enough {
                log.len() - known_until
            } else {
                0
            };
            assert_eq!(told, expected, "{known_until} {from}");
        }
    }

    /// What the engine has thrown away since is not waited for.
    #[test]
    fn a_log_that_was_rotated() {
        let log = numbered((0..100).map(|second| (second * SECOND, second % 3 == 0)));
        let mut position = Position::default();
        read_on(&mut position, &log, (50, 0));
        let told = read_on(&mut position, &log[60..], (usize::MAX, 0));
        assert!(
            told.starts_with("line 60\n") && told.ends_with("line 99\n"),
            "{told}"
        );
    }

    /// What comes after the clock was put back is not taken for what is known, nor the other way round.
    #[test]
    fn a_clock_that_was_put_back() {
        let mut log = numbered((100..200).map(|second| (second * SECOND, false)));
        let later = numbered((0..50).map(|second| (second * SECOND, false)));
        log.extend(later);
        for at in [101, 149] {
            check(&log, &[(at, 0)]);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_moments_and_the_breaks(
            moments in proptest::collection::vec((0_u64..6, any::<bool>()), 0..40),
            pace in 0_u64..3,
            breaks in proptest::collection::vec((0_usize..40, 0_usize..9), 0..6),
        ) {
            // Each moment is later than those before it, but for races.
            let moments = moments.iter().zip(0..).map(|((race, is_error), n)| (10 + n * pace + race, *is_error));
            check(&numbered(moments), &breaks);
        }
    }
}
