//! Whatever stands in the file: an answer, and every mistake at a place that the file has.

use proptest::prelude::*;

use super::read;
use crate::config::{Place, mistake};

const SHIPPED: &str = include_str!("../../../relayer-controller.toml");

fn check(text: &str) {
    let Err(mistakes) = read(text, &[]) else {
        return;
    };
    assert!(!mistakes.list().is_empty());
    // One byte order mark stands outside of the text; a second one is a character of its first line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.split('\n').collect();
    for found in mistakes.list() {
        if let Place::Text { line, column, .. } = found.place() {
            let length = lines[line - 1].chars().count();
            assert!((1..=length + 1).contains(column), "{found:?}");
        }
    }
    let told = mistakes.to_string();
    let raw = |c: char| c != '\n' && c.is_control() || mistake::tests::is_invisible(c);
    assert!(!told.contains(raw), "{told:?}");
}

/// Pieces that a file is made of, so that chance comes across more than syntax mistakes.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "[",
            "]",
            "{",
            "}",
            "\"",
            "'",
            "\"\"\"",
            "=",
            ",",
            ".",
            "#",
            "\n",
            "\r",
            "\t",
            "\\",
            "\u{1b}",
            "\u{feff}",
            "\u{202e}",
            "ä",
            "server",
            "containers",
            "allow",
            "listen",
            "engine",
            "[server]\n",
            "[containers.x]\n",
            "allow = [\"start\"]\n",
            "listen = ",
            "\"status\"",
            "1",
            "\"10s\"",
            "true",
            "1979-05-27",
            " ",
            "x",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    // A case that failed becomes a test of its own, with a name.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "\\PC*") {
        check(&text);
    }

    #[test]
    fn any_pieces_are_answered(text in pieces()) {
        check(&text);
    }

    #[test]
    fn the_shipped_file_may_break_anywhere(at in 0..SHIPPED.len(), removed in 0..40_usize, piece in pieces()) {
        let floor = |index: usize| (0..=index.min(SHIPPED.len())).rev().find(|at| SHIPPED.is_char_boundary(*at)).unwrap();
        let mut text = SHIPPED.to_owned();
        text.replace_range(floor(at)..floor(at + removed), &piece);
        check(&text);
    }
}

#[test]
fn a_second_byte_order_mark_is_a_character_of_the_first_line() {
    check("\u{feff}\u{feff}xx");
}

#[test]
fn a_large_file_of_mistakes_is_answered() {
    check(&"a = 1\n".repeat(20_000));
    check(&"[[[[".repeat(20_000));
    check(&"= \n".repeat(20_000));
    let tables: Vec<String> = (0..5_000)
        .map(|index| format!("[containers.c{index}]"))
        .collect();
    check(&tables.join("\n"));
}
