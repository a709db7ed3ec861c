//! The engine's stream of what a container printed, taken apart: frames, messages, and when each was printed.
//!
//! SECURITY: bollard (0.21.1) tells a terminal's bytes from frames by looking at them, keeps a whole frame or line, and
//! looks through it again with each piece. So what a container prints would fill the memory or burn the processor. Here
//! nothing is kept but the beginning of a head, whatever a head claims or a container prints.

use std::io::BufRead;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::{Moment, Source};

/// The bytes before each frame: which stream it is of, three of nothing, and how long it is.
const HEAD_BYTES: usize = 8;

/// The most bytes that are kept until it is known what they begin: a date is 30 to 35 bytes and a space.
const WINDOW: usize = 64;

/// How far the engine's clock may be ahead of this machine's.
const AHEAD: Duration = Duration::from_secs(5);

/// How much of a terminal's line is looked through at once, in bytes.
const SIGHT: usize = 4096;

/// How the engine writes a time and the space after it; `0` is any digit.
const TIME: &[u8; 31] = b"0000-00-00T00:00:00.000000000Z ";

/// A piece of what a container printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it printed that.
    pub source: Source,
    /// When; none where the engine was not asked, or does not say.
    pub at: Option<Moment>,
    /// Whether a message begins with it: a line, or a part of a long one that has the time of its first part.
    pub is_first: bool,
    /// What it printed, with the ends of its lines.
    pub bytes: Bytes,
}

/// Takes one stream apart.
pub(in crate::engine) struct Demux {
    /// Whether it is a terminal's: there are no frames then.
    is_terminal: bool,
    /// Whether the engine writes before each message when it was printed.
    is_timed: bool,
    next: Next,
    /// The beginning of what is next; never more than [`WINDOW`].
    held: BytesMut,
    source: Source,
    at: Option<Moment>,
    is_first: bool,
    /// After what it tells nothing has been printed yet.
    clock: fn() -> Moment,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The head of a frame.
    Head,
    /// When a message of so many bytes was printed, that time among them.
    Time { left: usize },
    /// So many bytes of a message at most.
    Content { left: usize },
}

/// What a look ahead has found.
enum Look<T> {
    /// This, and how long it is.
    Is(T, usize),
    /// Something else.
    Not,
    /// More must be seen.
    More,
}

impl Demux {
    pub(in crate::engine) fn new(is_terminal: bool, is_timed: bool) -> Self {
        Self {
            is_terminal,
            is_timed,
            next: begin(is_terminal, is_timed),
            held: BytesMut::new(),
            source: Source::Stdout,
            at: None,
            is_first: true,
            clock: Moment::now,
        }
    }

    /// The same by another clock.
    pub(super) fn by_clock(mut self, clock: fn() -> Moment) -> Self {
        self.clock = clock;
        self
    }

    /// Takes what came, and gives what it is.
    ///
    /// # Errors
    ///
    /// Why it cannot be what an engine sends.
    pub(in crate::engine) fn push(
        &mut self,
        mut chunk: Bytes,
        out: &mut Vec<Piece>,
    ) -> Result<(), String> {
        while !chunk.is_empty() {
            match self.next {
                Next::Head => self.head(&mut chunk)?,
                Next::Time { left } => self.time(&mut chunk, left),
                Next::Content { .. } if self.is_terminal && self.is_timed => {
                    self.terminal(&mut chunk, out);
                }
                Next::Content { left } => {
                    let taken = left.min(chunk.len());
                    self.emit(chunk.split_to(taken), out);
                    self.next = match left - taken {
                        0 => Next::Head,
                        // A terminal's bytes have no end.
                        left => Next::Content {
                            left: if self.is_terminal { usize::MAX } else { left },
                        },
                    };
                }
            }
        }
        Ok(())
    }

    /// What was kept, where the stream has ended and did not break: of a frame that has not come whole, nothing.
    pub(super) fn finish(&mut self, out: &mut Vec<Piece>) {
        let held = self.held.split().freeze();
        if self.is_terminal && !held.is_empty() {
            self.emit(held, out);
        }
    }

    fn head(&mut self, chunk: &mut Bytes) -> Result<(), String> {
        let look = self.look(chunk, |bytes| match bytes.first_chunk::<HEAD_BYTES>() {
            Some(head) => Look::Is(*head, HEAD_BYTES),
            None => Look::More,
        });
        let Look::Is(head, _) = look else {
            return Ok(());
        };
        let [source, 0, 0, 0, length @ ..] = head else {
            return Err(format!("a frame that begins with {head:02x?}"));
        };
        self.source = match source {
            0 | 1 => Source::Stdout,
            // 3 is what the engine itself has to say of a log that it cannot read.
            2 | 3 => Source::Stderr,
            _ => return Err(format!("a frame of stream {source}")),
        };
        // On every system that this runs on an address is wide enough.
        let left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        self.is_first = true;
        self.at = None;
        self.next = match left {
            0 => Next::Head,
            left if self.is_timed => Next::Time { left },
            left => Next::Content { left },
        };
        Ok(())
    }

    fn time(&mut self, chunk: &mut Bytes, left: usize) {
        let look = self.look(chunk, |bytes| {
            let inside = bytes.get(..left).unwrap_or(bytes);
            let look = moment(inside);
            if matches!(look, Look::More) && inside.len() == left {
                return Look::Not;
            }
            look
        });
        let (at, taken) = match look {
            Look::Is(at, taken) => (Some(at), taken),
            // What the engine itself has to say.
            Look::Not => (None, 0),
            Look::More => return,
        };
        self.at = at;
        self.is_first = true;
        self.next = match left - taken {
            0 => Next::Head,
            left => Next::Content { left },
        };
    }

    /// A terminal's message: to the end of its line, or to where another one begins.
    ///
    /// Nothing tells where a message ends that does not end its line: the parts of a long line, and the last one of a
    /// run, whose line the next run goes on with. The engine's time is told from one that the container printed by what
    /// it says: a container cannot know when its text will have been read, and what is to be has not been printed yet.
    fn terminal(&mut self, chunk: &mut Bytes, out: &mut Vec<Piece>) {
        if !self.held.is_empty() {
            let mut whole = self.held.split();
            whole.extend_from_slice(chunk);
            *chunk = whole.freeze();
        }
        let seen = chunk.get(..SIGHT).unwrap_or(chunk);
        let end = line_end(seen);
        let line = end.and_then(|end| seen.get(..end)).unwrap_or(seen);
        if let Some((begin, at)) = self.time_within(line) {
            if begin > 0 {
                self.emit(chunk.split_to(begin), out);
            }
            chunk.advance(TIME.len());
            (self.at, self.is_first) = (Some(at), true);
        } else if let Some(end) = end {
            self.emit(chunk.split_to(end), out);
            self.next = begin(self.is_terminal, self.is_timed);
            (self.at, self.is_first) = (None, true);
        } else {
            let is_all = seen.len() == chunk.len();
            let content = chunk.split_to(seen.len() - begun_time(seen));
            if !content.is_empty() {
                self.emit(content, out);
            }
            if is_all {
                self.held.extend_from_slice(chunk);
                chunk.clear();
            }
        }
    }

    /// Where in a line the engine says when the next message was printed, and when that was.
    fn time_within(&self, line: &[u8]) -> Option<(usize, Moment)> {
        let mut rest = line;
        while rest.skip_until(b'Z').is_ok_and(|skipped| skipped > 0) {
            // To the space after it.
            let end = line.len() - rest.len() + 1;
            let begin = end.checked_sub(TIME.len());
            let time = begin.and_then(|begin| line.get(begin..end));
            if let (Some(begin), Some(time)) = (begin, time)
                && is_begun(time)
                && let Look::Is(at, _) = moment(time)
                && self.at <= Some(at)
                && at.before(AHEAD) <= (self.clock)()
            {
                return Some((begin, at));
            }
        }
        None
    }

    fn emit(&mut self, bytes: Bytes, out: &mut Vec<Piece>) {
        out.push(Piece {
            source: self.source,
            at: self.at,
            is_first: std::mem::take(&mut self.is_first),
            bytes,
        });
    }

    /// Looks at what is next, which may have come in several chunks, and takes it off the chunk if it is that.
    fn look<T>(&mut self, chunk: &mut Bytes, judge: impl Fn(&[u8]) -> Look<T>) -> Look<T> {
        let before = self.held.len();
        let room = WINDOW - before;
        let seen = chunk.get(..room).unwrap_or(chunk);
        let taken = seen.len();
        let look = if before == 0 {
            judge(seen)
        } else {
            self.held.extend_from_slice(seen);
            judge(&self.held)
        };
        match &look {
            Look::Is(_, length) => {
                chunk.advance(length.saturating_sub(before));
                self.held.clear();
            }
            Look::Not if before == 0 => {}
            Look::Not => {
                let mut whole = self.held.split();
                whole.extend_from_slice(chunk.get(taken..).unwrap_or_default());
                *chunk = whole.freeze();
            }
            Look::More => {
                if before == 0 {
                    self.held.extend_from_slice(seen);
                }
                chunk.clear();
            }
        }
        look
    }
}

const fn begin(is_terminal: bool, is_timed: bool) -> Next {
    match (is_terminal, is_timed) {
        (false, _) => Next::Head,
        // Its bytes are not counted.
        (true, true) => Next::Time { left: usize::MAX },
        (true, false) => Next::Content { left: usize::MAX },
    }
}

/// The time and the space that a message begins with.
fn moment(bytes: &[u8]) -> Look<Moment> {
    let Some(space) = bytes.iter().position(|byte| *byte == b' ') else {
        return if bytes.len() < WINDOW {
            Look::More
        } else {
            Look::Not
        };
    };
    let text = bytes.get(..space).unwrap_or_default();
    let moment = std::str::from_utf8(text).ok().and_then(Moment::parse);
    moment.map_or(Look::Not, |moment| Look::Is(moment, space + 1))
}

/// Whether these bytes can be the beginning of a time, as the engine writes it.
fn is_begun(bytes: &[u8]) -> bool {
    let alike = |(byte, expected): (&u8, &u8)| match expected {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    bytes.len() <= TIME.len() && bytes.iter().zip(TIME).all(alike)
}

/// How many bytes at the end can be the beginning of a time.
fn begun_time(bytes: &[u8]) -> usize {
    let most = bytes.len().min(TIME.len() - 1);
    let from = |length: &usize| bytes.get(bytes.len() - length..).unwrap_or_default();
    let lengths = (1..=most).rev();
    lengths
        .filter(|length| is_begun(from(length)))
        .max()
        .unwrap_or_default()
}

/// How many bytes the first line is long, with its end; none where it has none.
pub(super) fn line_end(bytes: &[u8]) -> Option<usize> {
    // The standard library looks for a byte in many at once only here.
    let mut rest = bytes;
    let length = rest.skip_until(b'\n').unwrap_or_default();
    (length.checked_sub(1).and_then(|last| bytes.get(last)) == Some(&b'\n')).then_some(length)
}
