//! The demultiplexer and the lines: the same however the bytes are cut, and little kept whatever they are.

use bytes::Bytes;
use proptest::prelude::*;

use super::demux::Demux;
use super::{Line, Lines, MAX_LINE_BYTES, Moment, Source, decode};

const T1: &str = "2026-11-23T15:52:55.960607669Z";
const T2: &str = "2026-11-23T15:52:55.960661580Z";

fn frame(stream: u8, text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], &length[..], text].concat()
}

/// Messages as the engine sends them: `1 text` and `2 text` are of one time each and of the other stream.
fn framed(messages: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let frames = messages
        .iter()
        .map(|(stream, time, text)| frame(*stream, &[time.as_bytes(), b" ", text].concat()));
    frames.collect::<Vec<_>>().concat()
}

/// A line as it is written in these tests.
fn shown(line: &Line) -> String {
    let text = String::from_utf8_lossy(&line.bytes);
    let text = match text.len() {
        ..100 => text.into_owned(),
        length => format!("{length} bytes"),
    };
    let at = match line.at {
        None => "-",
        at if at == Moment::parse(T1) => "T1",
        at if at == Moment::parse(T2) => "T2",
        Some(_) => "?",
    };
    let partial = if line.is_partial { " ..." } else { "" };
    format!("{} {at} {text}{partial}", line.source.as_str())
}

/// Asserts what is read of these bytes: whole, byte by byte, and in parts of some other lengths.
fn check(is_terminal: bool, bytes: &[u8], expected: &[&str]) {
    for length in [usize::MAX, 1, 2, 3, 7, 8, 31, 64, 65, 1000, 16_384] {
        if bytes.len() > 100_000 && length < 7 {
            continue;
        }
        let (lines, answer) = decode(is_terminal, bytes.chunks(length.min(bytes.len().max(1))));
        assert_eq!(answer, Ok(()));
        let lines: Vec<_> = lines.iter().map(shown).collect();
        assert_eq!(lines, expected, "in parts of {length}");
    }
}

#[test]
fn frames() {
    check(false, b"", &[]);
    check(
        false,
        &framed(&[(2, T1, b"two\n"), (1, T2, b"one\n"), (1, T2, b"\n")]),
        &["stderr T1 two", "stdout T2 one", "stdout T2 "],
    );
    // The parts of a long line have its time, and what comes between them is of the other stream.
    let part = [b'x'; 16_384];
    check(
        false,
        &framed(&[
            (1, T1, &part),
            (2, T2, b"err\n"),
            (1, T1, &part),
            (1, T1, b"end\n"),
        ]),
        &["stderr T2 err", "stdout T1 32771 bytes"],
    );
    // A run that ended in the middle of a line, and the next one.
    check(
        false,
        &framed(&[(1, T1, b"no end"), (1, T2, b"next\n")]),
        &["stdout T1 no end", "stdout T2 next"],
    );
    check(false, &framed(&[(1, T1, b"no end")]), &["stdout T1 no end"]);
    // What the engine itself has to say has no time.
    check(
        false,
        &[
            frame(2, b"Error grabbing logs: EOF\n"),
            frame(1, b""),
            framed(&[(1, T1, b"a\n")]),
        ]
        .concat(),
        &["stderr - Error grabbing logs: EOF", "stdout T1 a"],
    );
    // Times, heads and ends of lines in what is printed are what is printed.
    let forged = [T2.as_bytes(), b" \x02\0\0\0\xff\xff\xff\xff\r\n"].concat();
    check(
        false,
        &framed(&[(1, T1, &forged), (1, T1, b"a\0b\n")]),
        &[
            &format!("stdout T1 {T2} \u{2}\0\0\0\u{fffd}\u{fffd}\u{fffd}\u{fffd}\r"),
            "stdout T1 a\0b",
        ],
    );
}

#[test]
fn terminals() {
    let (t1, t2) = (T1, T2);
    check(
        true,
        format!("{t1} one\r\n{t2} two\n").as_bytes(),
        &["stdout T1 one\r", "stdout T2 two"],
    );
    check(
        true,
        format!("{t1} one\r\n{t2} no end").as_bytes(),
        &["stdout T1 one\r", "stdout T2 no end"],
    );
    let part = "x".repeat(16_384);
    check(
        true,
        format!("{t1} {part}{t1} {part}{t1} end\r\n{t2} next\n").as_bytes(),
        &["stdout T1 32772 bytes", "stdout T2 next"],
    );
    check(
        true,
        format!("{t1} {part}\n{t2} end\n").as_bytes(),
        &["stdout T1 16384 bytes", "stdout T2 end"],
    );
    // A run that ended in the middle of a line, and the next one.
    check(
        true,
        format!("{t1} no end{t2} next\n").as_bytes(),
        &["stdout T1 no end", "stdout T2 next"],
    );
    check(true, b"no time\n", &["stdout - no time"]);
}

#[test]
fn long_lines_come_in_parts() {
    let long = vec![b'x'; 3 * MAX_LINE_BYTES];
    check(
        false,
        &framed(&[(1, T1, &long), (1, T1, b"\n"), (1, T2, b"a\n")]),
        &[
            "stdout T1 65536 bytes ...",
            "stdout T1 65536 bytes ...",
            "stdout T1 65536 bytes",
            "stdout T2 a",
        ],
    );
    // No character is cut in two.
    let wide = "x\u{1f600}".repeat(MAX_LINE_BYTES / 4) + "\n";
    let (lines, _) = decode(false, [framed(&[(1, T1, wide.as_bytes())]).as_slice()]);
    let texts = lines
        .iter()
        .map(|line| std::str::from_utf8(&line.bytes).unwrap());
    assert_eq!(texts.collect::<String>() + "\n", wide);
}

#[test]
fn what_no_engine_sends() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\n"[..],
        b"\x01\0\0\x01\0\0\0\x01a",
        b"\x04\0\0\0\0\0\0\x01a",
    ] {
        let (lines, answer) = decode(false, [bytes]);
        assert!(lines.is_empty() && answer.is_err(), "{bytes:?}");
    }
}

/// On a terminal the engine's times are told from those that are printed.
#[test]
fn whose_time_it_is() {
    let (early, late) = (T1, T2);
    let of = |text: &str, clock: fn() -> Moment| {
        let mut told = Vec::new();
        for length in [1, 7, 30, 31, usize::MAX] {
            let mut demux = Demux::new(true, true).by_clock(clock);
            let mut pieces = Vec::new();
            for chunk in text.as_bytes().chunks(length.min(text.len())) {
                demux
                    .push(Bytes::copy_from_slice(chunk), &mut pieces)
                    .unwrap();
            }
            demux.finish(&mut pieces);
            let mut text = String::new();
            for piece in pieces {
                text.push_str(if piece.is_first { "|" } else { "" });
                text.push_str(std::str::from_utf8(&piece.bytes).unwrap());
            }
            told.push(text);
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)
    };
    let check = |text: &str, expected: &str| assert_eq!(of(text, || Moment::MAX), expected);
    check(&format!("{early} no end{late} next\n"), "|no end|next\n");
    check(&format!("{early} part{early} of it\n"), "|part|of it\n");
    // What was printed earlier, or is no time, or not as the engine writes it.
    check(
        &format!("{late} text {early} it\n"),
        &format!("|text {early} it\n"),
    );
    check(
        &format!("{early} Z 0Z 00Z Z\n{late} ZZ \n"),
        "|Z 0Z 00Z Z\n|ZZ \n",
    );
    for printed in [
        "2026-11-23T15:52:55Z ",
        "2026-13-23T15:52:55.960661580Z ",
        "2026-11-23T15:52:55.96066158",
        "2026-",
    ] {
        check(
            &format!("{early} text {printed}"),
            &format!("|text {printed}"),
        );
    }
    // However much there is of a line, its end does not wait for more.
    for length in [4000, 4090, 4096, 4097, 4110, 9000] {
        let long = "x".repeat(length);
        check(&format!("{early} {long}\n"), &format!("|{long}\n"));
        check(
            &format!("{early} {long}{late} it\n"),
            &format!("|{long}|it\n"),
        );
    }
    // What is to be.
    let text = format!("{early} text {late} it\n");
    let expected = format!("|text {late} it\n");
    assert_eq!(of(&text, || Moment::from_nanos(0)), expected);
}

/// A head may claim what it likes.
#[test]
fn nothing_is_kept_for_a_claim() {
    let mut demux = Demux::new(false, false);
    let mut pieces = Vec::new();
    let head = b"\x01\0\0\0\xff\xff\xff\xff";
    demux.push(Bytes::from_static(head), &mut pieces).unwrap();
    let chunk = Bytes::from(vec![b'x'; 100_000]);
    for _ in 0..1000 {
        demux.push(chunk.clone(), &mut pieces).unwrap();
        let piece = pieces.pop().unwrap();
        // The same memory, and none beside it.
        assert_eq!(
            (piece.bytes.as_ptr(), piece.bytes.len()),
            (chunk.as_ptr(), 100_000)
        );
        assert!(pieces.is_empty());
    }
}

proptest! {
    /// However any bytes are cut, the same comes of them; and nothing that was printed is lost.
    #[test]
    fn cuts_do_not_matter(
        is_terminal: bool,
        bytes in bytes(),
        cuts in proptest::collection::vec(1_usize..80, 1..40),
    ) {
        let (whole, answer) = decode(is_terminal, [bytes.as_slice()]);
        let (mut chunks, mut rest) = (Vec::new(), bytes.as_slice());
        for cut in cuts.iter().cycle() {
            let Some((chunk, after)) = rest.split_at_checked(*cut) else {
                chunks.push(rest);
                break;
            };
            chunks.push(chunk);
            rest = after;
        }
        let (cut, other_answer) = decode(is_terminal, chunks);
        prop_assert_eq!(&whole, &cut);
        prop_assert_eq!(answer, other_answer);
        prop_assert!(whole.iter().all(|line| line.bytes.len() <= MAX_LINE_BYTES));
    }

    /// Lines come back as they were printed.
    #[test]
    fn nothing_is_lost(texts in proptest::collection::vec("[a-z \r\u{fc}]{0,20}", 0..20)) {
        let messages: Vec<_> = texts.iter().map(|text| format!("{text}\n")).collect();
        let messages: Vec<_> = messages.iter().map(|text| (1, T1, text.as_bytes())).collect();
        let (lines, _) = decode(false, [framed(&messages).as_slice()]);
        let read: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(&line.bytes)).collect();
        prop_assert_eq!(read, texts);
    }
}

/// Bytes of which much is what an engine could send.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(framed(&[(1, T1, b"a line\n")])),
        Just(framed(&[(2, T2, b"no end")])),
        Just(frame(1, b"no time")),
        Just(frame(1, T1.as_bytes())),
        Just(frame(2, b"")),
        Just(format!("{T1} text\r\n").into_bytes()),
        Just(format!("{T1} ").into_bytes()),
        Just(T2.as_bytes().to_vec()),
        Just(vec![b'x'; 16_384]),
        Just(b"\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// Each stream has its own lines, and neither waits for the other.
#[test]
fn lines_of_two_streams() {
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    let piece = |source, text: &'static str| super::Piece {
        source,
        at: None,
        is_first: false,
        bytes: Bytes::from_static(text.as_bytes()),
    };
    for (source, text) in [
        (Source::Stdout, "a"),
        (Source::Stderr, "x\ny"),
        (Source::Stdout, "b\nc\nd"),
    ] {
        lines.push(piece(source, text), &mut out);
    }
    lines.finish(&mut out);
    let shown: Vec<_> = out.iter().map(shown).collect();
    assert_eq!(
        shown,
        [
            "stderr - x",
            "stdout - ab",
            "stdout - c",
            "stdout - d",
            "stderr - y"
        ]
    );
}
