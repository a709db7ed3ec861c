//! Lines out of what the engine sends piece by piece.

use bytes::{Bytes, BytesMut};

use super::{Error, MAX_SAMPLE_BYTES, Upstream};

/// The lines of an answer that goes on. Dropped, it closes the connection.
pub(super) struct Lines {
    upstream: Upstream,
    begun: BytesMut,
    /// How much of `begun` has no line's end in it.
    searched: usize,
}

impl Lines {
    pub(super) fn of(upstream: Upstream) -> Self {
        Self {
            upstream,
            begun: BytesMut::new(),
            searched: 0,
        }
    }

    /// The next line, with its end; none at the end of the answer.
    ///
    /// # Errors
    ///
    /// Where the connection breaks, and for a line that is too long.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let rest = self.begun.iter().skip(self.searched);
            if let Some(end) = rest.into_iter().position(|byte| *byte == b'\n') {
                let line = self.begun.split_to(self.searched + end + 1);
                self.searched = 0;
                return Some(Ok(line.freeze()));
            }
            self.searched = self.begun.len();
            if self.begun.len() > MAX_SAMPLE_BYTES {
                let why = format!("a line of more than {MAX_SAMPLE_BYTES} bytes");
                return Some(Err(Error::Garbled(why)));
            }
            match self.upstream.chunk().await? {
                Ok(chunk) => self.begun.extend_from_slice(&chunk),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
