//! Answers that come line by line.

use bytes::{Buf, Bytes, BytesMut};

use super::client::Answer;
use super::failure::Failure;

/// The longest line, in bytes: a gateway cuts what it passes on long before that.
const MAX_LINE: usize = 4 << 20;

/// The lines of an answer.
pub(super) struct Lines {
    answer: Answer,
    buffer: BytesMut,
    /// How much of the buffer is known to have no end of a line in it.
    seen: usize,
}

impl Lines {
    pub(super) fn of(answer: Answer) -> Self {
        Self {
            answer,
            buffer: BytesMut::new(),
            seen: 0,
        }
    }

    /// The next line, without its end; none after the last.
    ///
    /// # Errors
    ///
    /// Where the answer breaks off, also within a line, and where a line is longer than 4 MiB.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(line) = take_line(&mut self.buffer, &mut self.seen) {
                return Ok(Some(line));
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Failure::Broken(
                    "a line of the answer is longer than 4 MiB".to_owned(),
                ));
            }
            match self.answer.piece().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    return Err(Failure::Broken(
                        "the answer broke off within a line".to_owned(),
                    ));
                }
            }
        }
    }

    /// Whether the next line is there already.
    pub(super) fn has_line(&self) -> bool {
        self.buffer
            .iter()
            .skip(self.seen)
            .any(|byte| *byte == b'\n')
    }
}

fn take_line(buffer: &mut BytesMut, seen: &mut usize) -> Option<Bytes> {
    let end = buffer.iter().skip(*seen).position(|byte| *byte == b'\n');
    let Some(end) = end else {
        *seen = buffer.len();
        return None;
    };
    let line = buffer.split_to(*seen + end).freeze();
    buffer.advance(1);
    *seen = 0;
    Some(line)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::take_line;

    /// The pieces as they come, and the lines that are whole after each.
    fn check(pieces: &[(&str, &[&str])]) {
        let (mut buffer, mut seen) = (BytesMut::new(), 0);
        for (piece, lines) in pieces {
            buffer.extend_from_slice(piece.as_bytes());
            let whole = std::iter::from_fn(|| take_line(&mut buffer, &mut seen));
            assert_eq!(whole.collect::<Vec<_>>(), *lines, "{pieces:?}");
        }
    }

    #[test]
    fn lines_end_where_they_end() {
        check(&[("a\nb\n", &["a", "b"])]);
        check(&[("a", &[]), ("b", &[]), ("\nc", &["ab"]), ("\n", &["c"])]);
        check(&[("\n\n", &["", ""]), ("", &[])]);
        check(&[("a\r\n", &["a\r"])]);
    }
}
