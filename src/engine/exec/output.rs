//! What a program prints, out of the engine's frames: no more of it is kept than may be, however much it is.

use bytes::Bytes;

use crate::engine::Error;
use crate::engine::logs::{Demux, Source};

/// How much is kept at least until the end is known: of a program that could not be started it is the reason.
const LEAST: usize = 1024;

/// What was printed so far.
pub(super) struct Output {
    stdout: Kept,
    stderr: Kept,
    limit: usize,
    frames: Demux,
}

/// The beginning of a stream.
struct Kept {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Output {
    /// Nothing yet; at most so many bytes of each stream will be given back.
    pub(super) fn new(max_output: usize) -> Self {
        Self {
            stdout: Kept::new(),
            stderr: Kept::new(),
            limit: max_output,
            frames: Demux::new(false, false),
        }
    }

    /// Takes what the engine sent next, wherever it begins and ends.
    ///
    /// # Errors
    ///
    /// Where it is not framed as it should be.
    pub(super) fn take(&mut self, bytes: Bytes) -> Result<(), Error> {
        let (mut pieces, most) = (Vec::new(), self.limit.max(LEAST));
        let taken = self.frames.push(bytes, &mut pieces);
        for piece in pieces {
            match piece.source {
                Source::Stdout => self.stdout.add(&piece.bytes, most),
                Source::Stderr => self.stderr.add(&piece.bytes, most),
            }
        }
        taken.map_err(|_| {
            Error::Garbled("the output of a command is not framed as it should be".to_owned())
        })
    }

    /// What was printed to standard output and to standard error, and whether it was more than that.
    pub(super) fn texts(self) -> (String, String, bool) {
        let Self {
            mut stdout,
            mut stderr,
            limit,
            ..
        } = self;
        stdout.cut(limit);
        stderr.cut(limit);
        let is_truncated = stdout.is_cut || stderr.is_cut;
        (stdout.text(), stderr.text(), is_truncated)
    }

    /// What stands there in place of the output of a program that could not be started: the engine's own words.
    pub(super) fn reason(self) -> String {
        self.stdout.text() + &self.stderr.text()
    }
}

impl Kept {
    const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            is_cut: false,
        }
    }

    fn add(&mut self, bytes: &[u8], most: usize) {
        let room = most.saturating_sub(self.bytes.len());
        let (fitting, beyond) = bytes.split_at(room.min(bytes.len()));
        self.bytes.extend_from_slice(fitting);
        self.is_cut |= !beyond.is_empty();
    }

    fn cut(&mut self, most: usize) {
        self.is_cut |= self.bytes.len() > most;
        self.bytes.truncate(most);
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes.len());
        let mut chunks = self.bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            // The cut may have gone through a character, which was none that is wrong.
            let is_at_the_cut = self.is_cut && chunks.peek().is_none();
            if !chunk.invalid().is_empty() && !is_at_the_cut {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Output};

    fn frame(stream: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], length.as_slice(), bytes].concat()
    }

    /// Asserts what comes of these bytes, however they are divided.
    fn check(bytes: &[u8], max_output: usize, expected: Option<(&str, &str, bool)>) {
        for size in [1, 2, 3, 7, 8, 9, 100_000] {
            let mut output = Output::new(max_output);
            let taken = bytes
                .chunks(size)
                .try_for_each(|chunk| output.take(Bytes::copy_from_slice(chunk)));
            let texts = taken.ok().map(|()| output.texts());
            let told = texts
                .as_ref()
                .map(|(out, err, cut)| (out.as_str(), err.as_str(), *cut));
            assert_eq!(told, expected, "{bytes:?} by {size}");
        }
    }

    #[test]
    fn frames_are_told_apart() {
        check(b"", 10, Some(("", "", false)));
        let mixed = [
            frame(1, b"a"),
            frame(2, b"x"),
            frame(1, b""),
            frame(0, b"b"),
            frame(2, b"y\n"),
        ];
        check(&mixed.concat(), 10, Some(("ab", "xy\n", false)));
        // A header that a program prints is what it prints.
        let forged = frame(1, &frame(2, b"z"));
        let printed = "\u{2}\0\0\0\0\0\0\u{1}z";
        check(&forged, 10, Some((printed, "", false)));
        // The engine broke off: what came is what there is.
        check(&frame(1, b"abc")[..10], 10, Some(("ab", "", false)));
        check(&frame(1, b"abc")[..5], 10, Some(("", "", false)));
    }

    #[test]
    fn what_is_no_frame() {
        for bad in [
            frame(4, b"a"),
            b"plain text of a terminal".to_vec(),
            [1, 0, 0, 1, 0, 0, 0, 0].to_vec(),
        ] {
            check(&bad, 10, None);
        }
    }

    #[test]
    fn each_stream_is_cut_by_itself() {
        check(&frame(1, b"abcd"), 4, Some(("abcd", "", false)));
        check(&frame(1, b"abcde"), 4, Some(("abcd", "", true)));
        let both = [frame(2, b"12345"), frame(1, b"abc")].concat();
        check(&both, 4, Some(("abc", "1234", true)));
        let much = frame(1, &vec![b'y'; 50_000]);
        check(&much, 2000, Some((&"y".repeat(2000), "", true)));
    }

    #[test]
    fn what_is_no_text() {
        check(
            b"\x01\0\0\0\0\0\0\x02\xffa",
            9,
            Some(("\u{fffd}a", "", false)),
        );
        // Cut off by the program itself, and by us.
        check(&frame(1, "ä€".as_bytes()), 4, Some(("ä", "", true)));
        check(&frame(1, b"a\xe2\x82"), 4, Some(("a\u{fffd}", "", false)));
    }

    #[test]
    fn a_length_alone_takes_no_memory() {
        let mut output = Output::new(10);
        let head = [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        output.take(Bytes::copy_from_slice(&head)).unwrap();
        for _ in 0..100 {
            output.take(vec![b'y'; 65536].into()).unwrap();
        }
        assert!(output.stdout.bytes.capacity() <= 4096);
    }
}
