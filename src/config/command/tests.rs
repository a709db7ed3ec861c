//! Patterns that hold, placeholders that are filled, and values that are refused.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Argument, Command, CommandName, LoneBrace, Param};

fn command(argv: &[&str], params: &[(&str, &str)]) -> Command {
    let param = |(name, pattern): &(&str, &str)| ((*name).to_owned(), Param::new(pattern).unwrap());
    Command {
        argv: argv
            .iter()
            .map(|text| Argument::read(text).unwrap())
            .collect(),
        params: params.iter().map(param).collect(),
        timeout: Duration::from_secs(1),
        max_output: 1,
        user: None,
        workdir: None,
        env: Vec::new(),
    }
}

fn filled(command: &Command, values: &Value) -> Result<Vec<String>, String> {
    let values: BTreeMap<String, Value> = serde_json::from_value(values.clone()).unwrap();
    let run = command.filled(&values);
    run.map(|run| run.argv).map_err(|bad| bad.to_string())
}

fn check_pattern(pattern: &str, value: &str, expected: bool) {
    let command = command(&["p", "{a}"], &[("a", pattern)]);
    let answer = filled(&command, &json!({ "a": value }));
    assert_eq!(
        answer.is_ok(),
        expected,
        "{pattern:?} {value:?}: {answer:?}"
    );
}

#[test]
fn a_pattern_holds_for_the_whole_value() {
    check_pattern("a", "a", true);
    check_pattern("[a-z]{1,3}", "abc", true);
    check_pattern("", "", true);
    check_pattern("a|b.*", "bcd", true);
    check_pattern("(?i)ab", "AB", true);
    check_pattern("^a$", "a", true);
    for (pattern, value) in [
        ("a", "ab"),
        ("a", "ba"),
        ("a", "a\n"),
        ("a", "\na"),
        ("a$", "a\n"),
        ("^a", "a;b"),
        // The anchors are about both sides of an alternation.
        ("a|b", "ab"),
        ("a|b.*", "ab"),
        ("a.*|b", "cb"),
        ("|a", "b"),
        ("(?m)^a$", "a\nb"),
        ("(?m)^a$", "b\na"),
        (".*", "a\nb"),
        ("a*", "aab"),
        ("[^;]*", "a\0"),
        ("(?s).*", "a\0b"),
    ] {
        check_pattern(pattern, value, false);
    }
}

#[test]
fn a_pattern_cannot_leave_its_anchors() {
    for pattern in [
        "a)|(?:b",
        "a)|(b",
        ")",
        "(",
        "[",
        "a\\",
        "(?x) a # ",
        "*",
        "a{2,1}",
        "(?P<x",
        "\\p{L}",
        "(a{1000}){1000}",
    ] {
        let told = Param::new(pattern).map(|_| ()).unwrap_err();
        assert!(!told.is_empty(), "{pattern}");
    }
}

fn check_argument(text: &str, expected: Result<&str, char>) {
    let values = BTreeMap::from([("a", "{b}"), ("b", "$(x)"), ("long-Name_1", "")]);
    let filled = Argument::read(text).map(|argument| argument.filled(&values));
    let shown = filled.as_deref().map_err(|LoneBrace(brace)| *brace);
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn placeholders_are_filled_once() {
    check_argument("", Ok(""));
    check_argument("plain", Ok("plain"));
    // What was filled in is not looked through again.
    check_argument("{a}", Ok("{b}"));
    check_argument("--url={a}:{b};{a}", Ok("--url={b}:$(x);{b}"));
    check_argument("{{a}}", Ok("{a}"));
    check_argument("{{{a}}}", Ok("{{b}}"));
    check_argument("{{\"x\":1}}", Ok("{\"x\":1}"));
    check_argument("ä{long-Name_1}ö", Ok("äö"));
    for (text, brace) in [
        ("{", '{'),
        ("}", '}'),
        ("a}b", '}'),
        ("{a", '{'),
        ("{}", '{'),
        ("{ a}", '{'),
        ("{a b}", '{'),
        ("{1}", '{'),
        ("{a}}", '}'),
        ("{ä}", '{'),
        ("{a{b}}", '{'),
    ] {
        check_argument(text, Err(brace));
    }
}

#[test]
fn every_value_is_as_it_should_be() {
    let probe = command(
        &["p", "-u={url}", "{n}"],
        &[("url", "[a-z]+"), ("n", "[0-9]")],
    );
    let good = filled(&probe, &json!({ "url": "abc", "n": "7" }));
    assert_eq!(good.unwrap(), ["p", "-u=abc", "7"]);
    for (values, expected) in [
        (
            json!({ "n": "1" }),
            "Missing parameter: url: a text that matches `[a-z]+`",
        ),
        (
            json!({}),
            "Missing parameter: n: a text that matches `[0-9]`",
        ),
        (
            json!({ "url": "a", "n": "1", "x": "" }),
            "Unknown parameter: x",
        ),
        (json!({ "URL": "a", "n": "1" }), "Unknown parameter: URL"),
        (
            json!({ "url": 5, "n": "1" }),
            "Bad parameter: url: a text that matches `[a-z]+` is expected, not a number",
        ),
        (
            json!({ "url": null, "n": "1" }),
            "Bad parameter: url: a text that matches `[a-z]+` is expected, not null",
        ),
        (
            json!({ "url": ["a"], "n": "1" }),
            "Bad parameter: url: a text that matches `[a-z]+` is expected, not a list",
        ),
        (
            json!({ "url": "a b", "n": "1" }),
            "Bad parameter: url: the whole value must match `[a-z]+`",
        ),
        (
            json!({ "url": "a".repeat(4097), "n": "1" }),
            "Bad parameter: url: more than 4096 bytes",
        ),
    ] {
        assert_eq!(filled(&probe, &values).unwrap_err(), expected, "{values}");
    }
}

#[test]
fn a_command_does_not_grow_beyond_all_bounds() {
    let echo = command(&["p", &"{a}".repeat(33)], &[("a", ".*")]);
    let told = filled(&echo, &json!({ "a": "x".repeat(4096) })).unwrap_err();
    assert_eq!(
        told,
        "Bad parameters: the whole command would have more than 131072 bytes"
    );
    assert!(filled(&echo, &json!({ "a": "x".repeat(3900) })).is_ok());
}

#[test]
fn names_of_commands() {
    for good in ["a", "0", "reload", "a-b_c9", &"a".repeat(63)] {
        assert!(good.parse::<CommandName>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "-a",
        "_a",
        "A",
        "a.b",
        "a b",
        "ä",
        "a/b",
        "a\n",
        &"a".repeat(64),
    ] {
        assert!(bad.parse::<CommandName>().is_err(), "{bad}");
    }
}

proptest! {
    /// Whatever a caller gives, a command has as many arguments as it was written with, and what is fixed stays.
    #[test]
    fn values_stay_where_they_belong(value in ".{0,40}") {
        let echo = command(&["p", "-x", "a={v}", "end"], &[("v", "(?s).*")]);
        let answer = filled(&echo, &json!({ "v": value }));
        if value.contains('\0') {
            prop_assert!(answer.is_err());
        } else {
            let expected = ["p", "-x", &format!("a={value}"), "end"].map(ToOwned::to_owned);
            prop_assert_eq!(answer.unwrap(), expected);
        }
    }
}
