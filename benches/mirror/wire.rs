//! HTTP/1.1 as this benchmark reads it: as little as tells where an answer ends.

use std::collections::VecDeque;
use std::str;

/// An answer on its way, taken in as it comes.
pub(crate) struct Answer {
    next: Next,
    /// What has come of a head or a line that is not complete.
    kept: Vec<u8>,
    pub(crate) status: u16,
    /// How much of the body has come, in bytes.
    pub(crate) length: usize,
}

/// What comes next.
enum Next {
    Head,
    /// That much of a body with a `content-length`.
    Sized(usize),
    /// The line that says how long the next chunk is.
    ChunkSize,
    /// The rest of a chunk, and the end of line behind it.
    Chunk(usize),
    /// The empty line behind the last chunk.
    Trailer,
    Nothing,
}

impl Answer {
    pub(crate) fn new() -> Self {
        Self {
            next: Next::Head,
            kept: Vec::new(),
            status: 0,
            length: 0,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }

    /// Takes what has come, hands on what is body in it, and tells what is wrong with it.
    pub(crate) fn take(
        &mut self,
        mut came: &[u8],
        mut body: impl FnMut(&[u8]),
    ) -> Result<(), String> {
        while !came.is_empty() {
            came = match self.next {
                Next::Head => self.head(came)?,
                Next::Sized(missing) => {
                    let (part, rest) = came.split_at(missing.min(came.len()));
                    body(part);
                    self.length += part.len();
                    self.next = match missing - part.len() {
                        0 => Next::Nothing,
                        missing => Next::Sized(missing),
                    };
                    rest
                }
                Next::Chunk(missing) => {
                    let (part, rest) = came.split_at(missing.min(came.len()));
                    // The last two are the end of line.
                    let (data, _) = part.split_at(part.len().min(missing.saturating_sub(2)));
                    body(data);
                    self.length += data.len();
                    self.next = match missing - part.len() {
                        0 => Next::ChunkSize,
                        missing => Next::Chunk(missing),
                    };
                    rest
                }
                Next::ChunkSize | Next::Trailer => self.line(came)?,
                Next::Nothing => return Err(format!("{} bytes behind the answer", came.len())),
            };
        }
        Ok(())
    }

    fn head<'a>(&mut self, came: &'a [u8]) -> Result<&'a [u8], String> {
        const END: &[u8] = b"\r\n\r\n";
        // Almost always the whole head comes at once, and nothing is copied.
        let before = self.kept.len();
        if before > 0 {
            self.kept.extend_from_slice(came);
        }
        let whole = if before > 0 { &self.kept } else { came };
        let Some(end) = whole.windows(END.len()).position(|bytes| bytes == END) else {
            if before == 0 {
                self.kept.extend_from_slice(came);
            }
            return Ok(&[]);
        };
        let (head, _) = whole.split_at(end);
        (self.status, self.next) = read_head(head).ok_or("an answer that is no HTTP/1.1")?;
        self.kept.clear();
        let (_, rest) = came.split_at(end + END.len() - before);
        Ok(rest)
    }

    /// A chunk's size, or the line behind the last chunk.
    fn line<'a>(&mut self, came: &'a [u8]) -> Result<&'a [u8], String> {
        let Some(end) = came.iter().position(|byte| *byte == b'\n') else {
            self.kept.extend_from_slice(came);
            return Ok(&[]);
        };
        let (part, rest) = came.split_at(end + 1);
        self.kept.extend_from_slice(part);
        if matches!(self.next, Next::Trailer) {
            self.next = Next::Nothing;
        } else {
            let size = str::from_utf8(&self.kept)
                .ok()
                .and_then(|line| usize::from_str_radix(line.trim_end(), 16).ok())
                .ok_or("a chunk without a size")?;
            self.next = match size {
                0 => Next::Trailer,
                size => Next::Chunk(size + 2),
            };
        }
        self.kept.clear();
        Ok(rest)
    }
}

/// The status, and what comes behind the head.
fn read_head(head: &[u8]) -> Option<(u16, Next)> {
    let mut lines = str::from_utf8(head).ok()?.split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.1 ")?
        .get(..3)?
        .parse()
        .ok()?;
    let mut next = Next::Nothing;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            next = match value.trim().parse().ok()? {
                0 => Next::Nothing,
                length => Next::Sized(length),
            };
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            next = Next::ChunkSize;
        }
    }
    Some((status, next))
}

/// Lines of a body that comes in pieces.
#[derive(Default)]
pub(crate) struct Lines(VecDeque<u8>);

impl Lines {
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.0.extend(piece);
    }

    /// The next whole line, without its end.
    pub(crate) fn next(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.0.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}
