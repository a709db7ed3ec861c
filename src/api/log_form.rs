//! How what a container printed is written: as it was printed, with its times, or as JSON.

use std::io::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::{Line, Lines, Piece};

/// A form, and what it has to remember.
pub(super) enum Form {
    /// The bytes alone.
    AsPrinted,
    /// Lines, each with its time before it.
    Dated(Lines, Unfinished),
    /// Lines as JSON: the text before and after each, and whether it has its time for an id.
    Json(Lines, Around),
}

/// The line that was written last, where it goes on: its stream is one of two.
#[derive(Default)]
pub(super) struct Unfinished(Option<&'static str>);

/// What is around a JSON text.
#[derive(Clone, Copy)]
pub(super) enum Around {
    /// Nothing but the end of its line.
    Line,
    /// An event.
    Event,
}

/// A line that a container printed.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "LogLine")]
pub(super) struct Record<'line> {
    /// Which of its two outputs; a terminal's is `stdout`.
    #[schemars(extend("enum" = ["stdout", "stderr"]))]
    pub(super) stream: &'static str,
    /// When it was printed; null where the engine does not say.
    #[schemars(extend("format" = "date-time"))]
    pub(super) time: Option<&'line str>,
    /// Without its end. What is no UTF-8 became U+FFFD.
    pub(super) line: &'line str,
    /// Given, and true, where the same line goes on in the next record of its stream.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) partial: bool,
}

impl Form {
    pub(super) fn dated() -> Self {
        Self::Dated(Lines::default(), Unfinished::default())
    }

    pub(super) fn ndjson() -> Self {
        Self::Json(Lines::default(), Around::Line)
    }

    pub(super) fn events() -> Self {
        Self::Json(Lines::default(), Around::Event)
    }

    /// What is to be written of these; nothing where no line has ended yet.
    pub(super) fn write(&mut self, pieces: Vec<Piece>) -> Bytes {
        let lines = match self {
            Self::AsPrinted => return joined(pieces),
            Self::Dated(lines, _) | Self::Json(lines, _) => lines,
        };
        let mut ended = Vec::with_capacity(pieces.len());
        for piece in pieces {
            lines.push(piece, &mut ended);
        }
        self.lines(&ended)
    }

    /// What is left to be written when nothing follows.
    pub(super) fn finish(&mut self) -> Bytes {
        let lines = match self {
            Self::AsPrinted => return Bytes::new(),
            Self::Dated(lines, _) | Self::Json(lines, _) => lines,
        };
        let mut ended = Vec::new();
        lines.finish(&mut ended);
        self.lines(&ended)
    }

    fn lines(&mut self, lines: &[Line]) -> Bytes {
        let mut out = BytesMut::new();
        for line in lines {
            match self {
                Self::AsPrinted => out.put_slice(&line.bytes),
                Self::Dated(_, unfinished) => unfinished.write(line, &mut out),
                Self::Json(_, around) => around.write(line, &mut out),
            }
        }
        out.freeze()
    }
}

impl Unfinished {
    /// Writes a line with its time, or the rest of one that was begun; every line of what is written has its time.
    fn write(&mut self, line: &Line, out: &mut BytesMut) {
        let stream = line.source.as_str();
        if self.0 != Some(stream) {
            if self.0.is_some() {
                out.put_u8(b'\n');
            }
            if let Some(at) = line.at {
                // Writing to memory does not fail.
                let _written = write!(out.writer(), "{at} ");
            }
        }
        out.put_slice(&line.bytes);
        self.0 = line.is_partial.then_some(stream);
        if !line.is_partial {
            out.put_u8(b'\n');
        }
    }
}

impl Around {
    fn write(self, line: &Line, out: &mut BytesMut) {
        let time = line.at.map(|at| at.to_string());
        // A terminal ends lines in two bytes; neither is of the line.
        let bytes = match line.bytes.strip_suffix(b"\r") {
            Some(text) if !line.is_partial => text,
            Some(_) | None => &line.bytes,
        };
        let record = Record {
            stream: line.source.as_str(),
            time: time.as_deref(),
            line: &String::from_utf8_lossy(bytes),
            partial: line.is_partial,
        };
        match (self, &time) {
            (Self::Event, Some(time)) => {
                for part in ["id: ", time, "\ndata: "] {
                    out.put_slice(part.as_bytes());
                }
            }
            (Self::Event, None) => out.put_slice(b"data: "),
            (Self::Line, _) => {}
        }
        // Our own type with text for keys, written to memory: that cannot fail.
        let _written = serde_json::to_writer((&mut *out).writer(), &record);
        out.put_slice(match self {
            Self::Line => b"\n",
            Self::Event => b"\n\n",
        });
    }
}

/// Pieces as one, so that few are written; one alone is not copied.
fn joined(mut pieces: Vec<Piece>) -> Bytes {
    if pieces.len() == 1
        && let Some(only) = pieces.pop()
    {
        return only.bytes;
    }
    let length = pieces.iter().map(|piece| piece.bytes.len()).sum();
    let mut whole = BytesMut::with_capacity(length);
    for piece in &pieces {
        whole.put_slice(&piece.bytes);
    }
    whole.freeze()
}
