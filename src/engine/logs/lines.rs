//! Lines put together from pieces, each stream's for itself, and none kept beyond a bound.

use bytes::{Buf, Bytes, BytesMut};

use super::demux::{Demux, line_end};
use super::{Moment, Piece, Source};

/// The longest that a line can be in one piece, in bytes.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// A line that a container printed, or a part of one that is longer than [`MAX_LINE_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it was printed.
    pub source: Source,
    /// When its printing began; none where the engine does not say.
    pub at: Option<Moment>,
    /// What was printed, without the end of the line.
    pub bytes: Bytes,
    /// Whether the same line goes on in the next one of this stream.
    pub is_partial: bool,
}

/// Puts lines together.
#[derive(Debug, Default)]
pub struct Lines {
    stdout: Open,
    stderr: Open,
}

/// A line that has not ended yet.
#[derive(Debug, Default)]
struct Open {
    /// Whether there is one.
    is_begun: bool,
    at: Option<Moment>,
    bytes: BytesMut,
}

impl Lines {
    /// Takes a piece, and gives the lines that end with it.
    pub fn push(&mut self, piece: Piece, out: &mut Vec<Line>) {
        let source = piece.source;
        let open = match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        };
        // The parts of a line have one time; of another time is another line, though this one has no end: the one who
        // printed it has ended.
        if piece.is_first && open.at != piece.at {
            out.extend(open.end(source));
        }
        let mut rest = piece.bytes;
        while !rest.is_empty() {
            open.begin(piece.at);
            let Some(length) = line_end(&rest) else {
                open.append(source, rest, out);
                return;
            };
            let mut line = rest.split_to(length);
            line.truncate(length - 1);
            if open.bytes.is_empty() && line.len() <= MAX_LINE_BYTES {
                open.is_begun = false;
                out.push(Line {
                    source,
                    at: open.at,
                    bytes: line,
                    is_partial: false,
                });
            } else {
                open.append(source, line, out);
                out.extend(open.end(source));
            }
        }
    }

    /// The lines that were begun and will not be ended.
    pub fn finish(&mut self, out: &mut Vec<Line>) {
        out.extend(self.stdout.end(Source::Stdout));
        out.extend(self.stderr.end(Source::Stderr));
    }
}

impl Open {
    const fn begin(&mut self, at: Option<Moment>) {
        if !self.is_begun {
            self.is_begun = true;
            self.at = at;
        }
    }

    /// Adds to the line, and gives what of it is too much to keep.
    fn append(&mut self, source: Source, mut more: Bytes, out: &mut Vec<Line>) {
        while self.bytes.len() + more.len() > MAX_LINE_BYTES {
            let room = MAX_LINE_BYTES - self.bytes.len();
            self.bytes
                .extend_from_slice(more.get(..room).unwrap_or(&more));
            more.advance(room);
            let end = whole_characters(&self.bytes);
            let kept = self.bytes.split_off(end);
            let full = std::mem::replace(&mut self.bytes, kept);
            out.push(Line {
                source,
                at: self.at,
                bytes: full.freeze(),
                is_partial: true,
            });
        }
        self.bytes.extend_from_slice(&more);
    }

    fn end(&mut self, source: Source) -> Option<Line> {
        std::mem::take(&mut self.is_begun).then(|| Line {
            source,
            at: self.at,
            bytes: std::mem::take(&mut self.bytes).freeze(),
            is_partial: false,
        })
    }
}

/// Where to cut, so that no character is cut in two: before one that has begun and not ended.
fn whole_characters(bytes: &[u8]) -> usize {
    /// The most bytes of a character in UTF-8.
    const MOST: usize = 4;
    let tail = bytes.iter().rev().take(MOST).enumerate();
    // The last byte that begins a character of several bytes, and how many it announces.
    for (behind, byte) in tail {
        let announced = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        return if announced > behind + 1 {
            bytes.len() - behind - 1
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

/// What is read of these bytes, as if an engine had sent them with the times: the lines, and why they end early.
pub fn decode<'bytes>(
    is_terminal: bool,
    chunks: impl IntoIterator<Item = &'bytes [u8]>,
) -> (Vec<Line>, Result<(), String>) {
    let (mut demux, mut lines) = (
        Demux::new(is_terminal, true).by_clock(|| Moment::MAX),
        Lines::default(),
    );
    let (mut pieces, mut out) = (Vec::new(), Vec::new());
    let mut answer = Ok(());
    for chunk in chunks {
        answer = demux.push(Bytes::copy_from_slice(chunk), &mut pieces);
        pieces
            .drain(..)
            .for_each(|piece| lines.push(piece, &mut out));
        if answer.is_err() {
            break;
        }
    }
    if answer.is_ok() {
        demux.finish(&mut pieces);
    }
    pieces
        .drain(..)
        .for_each(|piece| lines.push(piece, &mut out));
    lines.finish(&mut out);
    (out, answer)
}
