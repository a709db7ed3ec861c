//! Lines out of what the engine sends piece by piece.

use bytes::{Bytes, BytesMut};

use super::Error;
use super::upstream::Upstream;

/// The lines of an answer that goes on. Dropped, it closes the connection.
pub(super) struct Lines {
    upstream: Upstream,
    limit: usize,
    begun: BytesMut,
    /// How much of `begun` has no line's end in it.
    searched: usize,
    /// Whether `begun` goes on with a line that was too long.
    is_rest: bool,
}

impl Lines {
    /// The lines of this answer, each of at most about `limit` bytes.
    pub(super) fn of(upstream: Upstream, limit: usize) -> Self {
        Self {
            upstream,
            limit,
            begun: BytesMut::new(),
            searched: 0,
            is_rest: false,
        }
    }

    /// The next line, with its end; none at the end of the answer. May be broken off, and asked again.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] where the connection breaks; [`Error::Garbled`] for a line that is too long: the next one can
    /// be read all the same.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let rest = self.begun.iter().skip(self.searched);
            if let Some(end) = rest.into_iter().position(|byte| *byte == b'\n') {
                let line = self.begun.split_to(self.searched + end + 1);
                self.searched = 0;
                if !std::mem::take(&mut self.is_rest) {
                    return Some(Ok(line.freeze()));
                }
                continue;
            }
            self.searched = self.begun.len();
            if self.begun.len() > self.limit {
                self.begun.clear();
                self.searched = 0;
                if !std::mem::replace(&mut self.is_rest, true) {
                    let why = format!("a line of more than {} bytes", self.limit);
                    return Some(Err(Error::Garbled(why)));
                }
            }
            match self.upstream.chunk().await? {
                Ok(chunk) => self.begun.extend_from_slice(&chunk),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
