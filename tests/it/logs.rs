//! Logs: every parameter and form, what is refused, and how little is kept whatever is printed.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use relayer_controller::pretend::Output;
use serde_json::{Value, json};

use crate::http::{self, Answer, connect};
use crate::stage::{Stage, on_each_engine};

pub(crate) const ONE: &str = "[containers.a]\nallow = [\"status\", \"logs\", \"start\", \"restart\"]\n\
    [containers.b]\nallow = [\"status\"]\n[containers.mute]\nallow = [\"logs\"]\n";

/// What a container prints: lines, each with its stream.
type Print<'text> = &'text [(Output, &'text str)];

/// Three lines on one stream and one on the other, in this order.
const LINES: Print = &[
    (Output::Stdout, "one\n"),
    (Output::Stdout, "two\n"),
    (Output::Stderr, "wrong\n"),
    (Output::Stdout, "three \u{1b}[1mbold\u{1b}[0m\n"),
];

impl Stage {
    /// Makes and starts a container that prints this and goes on running; answers its id when it has.
    pub(crate) fn printing(&self, name: &str, is_terminal: bool, print: Print) -> String {
        let full_name = format!("{}{name}", self.prefix);
        // Each has its own writer in dockerd: a pause keeps them in order.
        let commands = print.iter().map(|(output, text)| {
            let redirect = if *output == Output::Stderr { ">&2" } else { "" };
            if text.starts_with("xx") {
                let length = text.len() - 1;
                return format!("head -c {length} /dev/zero | tr '\\0' x; echo; ");
            }
            let text = text.escape_default().to_string();
            let text = text.replace("\\u{1b}", "\\033");
            format!("printf '{text}' {redirect}; sleep 0.05; ")
        });
        let program = commands.collect::<String>()
            + "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";
        let id = self
            .engine
            .create_as(&full_name, &program, json!({ "Tty": is_terminal }));
        self.engine.post(&format!("/containers/{id}/start"));
        if let Some(pretend) = &self.pretend {
            for (output, text) in print {
                pretend.print(&full_name, *output, text.as_bytes()).unwrap();
            }
        }
        let (_, last) = print.last().unwrap();
        let last = last.lines().next_back().unwrap().to_owned();
        let since = Instant::now();
        while !self
            .get(&format!("/container/{name}/logs"))
            .body
            .contains(&last)
        {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "{name} did not print {last}"
            );
        }
        id
    }

    /// What is told of a container, without what the pretend engine's own process prints.
    fn told(&self, parameters: &str) -> String {
        let answer = self.get(&format!("/container/a/logs?{parameters}"));
        assert_eq!(answer.status, 200, "{parameters}: {answer:?}");
        let body = whole(&answer);
        let lines = body.split_inclusive('\n');
        lines.filter(|line| !line.contains("pretend: ")).collect()
    }
}

/// The body of an answer that came in chunks, all of it.
pub(crate) fn whole(answer: &Answer) -> String {
    assert_eq!(answer.header("transfer-encoding"), "chunked", "{answer:?}");
    let (mut body, mut rest) = (String::new(), answer.body.as_str());
    loop {
        let (length, after) = rest.split_once("\r\n").expect("a chunk has a length");
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return body;
        }
        body.push_str(&after[..length]);
        rest = after[length..].strip_prefix("\r\n").unwrap();
    }
}

fn dated(line: &str) -> (String, String) {
    let (time, rest) = line.split_once(' ').unwrap();
    assert_eq!(time.len(), "2026-11-23T15:52:55.960607669Z".len(), "{line}");
    (time.to_owned(), rest.to_owned())
}

#[test]
fn as_printed() {
    on_each_engine(ONE, |stage| {
        stage.printing("a", false, LINES);
        let bold = "three \u{1b}[1mbold\u{1b}[0m\n";
        for (parameters, expected) in [
            ("", format!("one\ntwo\nwrong\n{bold}")),
            ("tail=all", format!("one\ntwo\nwrong\n{bold}")),
            (
                "stream=both&follow=0&timestamps=false",
                format!("one\ntwo\nwrong\n{bold}"),
            ),
            ("stream=stdout", format!("one\ntwo\n{bold}")),
            ("stream=stderr", "wrong\n".to_owned()),
            ("tail=2", format!("wrong\n{bold}")),
            ("tail=3&stream=stdout", format!("two\n{bold}")),
            ("tail=0", String::new()),
            ("tail=4294967295", format!("one\ntwo\nwrong\n{bold}")),
            ("since=10m", format!("one\ntwo\nwrong\n{bold}")),
            ("until=10m", String::new()),
            ("since=0", format!("one\ntwo\nwrong\n{bold}")),
            ("until=1", String::new()),
            ("until=1.5", String::new()),
            (
                "since=2000-01-01T00:00:00Z",
                format!("one\ntwo\nwrong\n{bold}"),
            ),
            ("since=2500-01-01T00:00:00.5%2B01:00", String::new()),
            ("since=2500-01-01T00:00:00+01:00", String::new()),
            ("until=1999-12-31T23:59:59-01:00", String::new()),
            ("since=1h%2030m", format!("one\ntwo\nwrong\n{bold}")),
            ("since=1h30m&until=0s", format!("one\ntwo\nwrong\n{bold}")),
        ] {
            assert_eq!(
                stage.told(parameters),
                expected,
                "{parameters} on the {} engine",
                stage.kind
            );
        }
        let answer = stage.get("/container/a/logs");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-store");
    });
}

#[test]
fn with_times() {
    on_each_engine(ONE, |stage| {
        stage.printing("a", false, LINES);
        let told = stage.told("timestamps=true");
        let lines: Vec<_> = told.lines().map(dated).collect();
        let texts: Vec<_> = lines.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            ["one", "two", "wrong", "three \u{1b}[1mbold\u{1b}[0m"]
        );
        // Both ends are included, to the nanosecond.
        let (second, third) = (&lines[1].0, &lines[2].0);
        let between = stage.told(&format!("since={second}&until={third}"));
        let expected = match stage.pretend {
            // There all is printed at a few moments.
            Some(_) => between.clone(),
            None => "two\nwrong\n".to_owned(),
        };
        assert_eq!(between, expected);
        assert!(
            between.contains("two\n") && between.contains("wrong\n"),
            "{between}"
        );
        let later = stage.told("since=2500-01-01T00:00:00Z&timestamps=1");
        assert_eq!(later, "");
    });
}

#[test]
fn as_json() {
    on_each_engine(ONE, |stage| {
        stage.printing("a", false, LINES);
        let ask = |accept: &str| {
            let headers = format!("Accept: {accept}\r\n");
            http::ask_with(stage.address, "GET", "/container/a/logs", &headers, "")
        };
        let ndjson = ask("application/x-ndjson");
        assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
        let records = |lines: Vec<&str>| -> Vec<Value> {
            let records = lines
                .into_iter()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            records
                .filter(|record| !record["line"].as_str().unwrap().starts_with("pretend: "))
                .collect()
        };
        let body = whole(&ndjson);
        let lines = records(body.lines().collect());
        let said: Vec<_> = lines
            .iter()
            .map(|record| json!([record["stream"], record["line"]]))
            .collect();
        let expected = [
            json!(["stdout", "one"]),
            json!(["stdout", "two"]),
            json!(["stderr", "wrong"]),
            json!(["stdout", "three \u{1b}[1mbold\u{1b}[0m"]),
        ];
        assert_eq!(said, expected, "{}", stage.kind);
        for record in &lines {
            assert_eq!(record.as_object().unwrap().len(), 3, "{record}");
            dated(&format!("{} ", record["time"].as_str().unwrap()));
        }
        let events = ask("text/event-stream");
        assert_eq!(events.header("content-type"), "text/event-stream");
        let body = whole(&events);
        let events: Vec<_> = body.split_terminator("\n\n").collect();
        let data = events.iter().map(|event| {
            let (id, data) = event.split_once("\ndata: ").unwrap();
            let time = serde_json::from_str::<Value>(data).unwrap()["time"].clone();
            assert_eq!(format!("id: {}", time.as_str().unwrap()), id);
            data
        });
        assert_eq!(records(data.collect()), lines);
        // A browser goes on after the last event that it got.
        let last = lines[3]["time"].as_str().unwrap();
        let headers = format!("Accept: text/event-stream\r\nLast-Event-ID: {last}\r\n");
        let answer = http::ask_with(stage.address, "GET", "/container/a/logs", &headers, "");
        assert_eq!(whole(&answer), "");
    });
}

#[test]
fn of_a_terminal() {
    on_each_engine(ONE, |stage| {
        stage.printing("a", true, LINES);
        let bold = "three \u{1b}[1mbold\u{1b}[0m";
        assert_eq!(stage.told(""), format!("one\r\ntwo\r\nwrong\r\n{bold}\r\n"));
        assert_eq!(stage.told("stream=stderr"), "");
        let dates = stage.told("timestamps=true&stream=stdout");
        let texts: Vec<_> = dates
            .split_terminator("\r\n")
            .map(|line| dated(line).1)
            .collect();
        assert_eq!(texts, ["one", "two", "wrong", bold]);
        let answer = http::ask_with(
            stage.address,
            "GET",
            "/container/a/logs?tail=1",
            "Accept: application/x-ndjson\r\n",
            "",
        );
        let record: Value = serde_json::from_str(&whole(&answer)).unwrap();
        assert_eq!(
            (&record["stream"], &record["line"]),
            (&json!("stdout"), &json!(bold))
        );
    });
}

/// Lines that dockerd keeps in parts come in one piece, and longer ones in parts that say so.
#[test]
fn long_lines() {
    on_each_engine(ONE, |stage| {
        let long = |length: usize| "x".repeat(length) + "\n";
        let lines = [40_000, 16_384, 16_385, 65_536, 65_537, 200_000].map(long);
        let print: Vec<_> = lines
            .iter()
            .map(|line| (Output::Stdout, line.as_str()))
            .collect();
        let print = [&print[..], &[(Output::Stdout, "end\n")]].concat();
        for is_terminal in [false, true] {
            let id = stage.printing("a", is_terminal, &print);
            let end = if is_terminal { "\r\n" } else { "\n" };
            let expected = lines.concat().replace('\n', end) + "end" + end;
            assert_eq!(
                stage.told("tail=all").len(),
                expected.len(),
                "{}",
                stage.kind
            );
            assert!(stage.told("tail=all") == expected);
            let dates = stage.told("tail=all&timestamps=true");
            let texts: String = dates
                .split_inclusive('\n')
                .map(|line| dated(line).1)
                .collect();
            assert_eq!(texts.len(), expected.len());
            assert!(texts == expected);
            let answer = http::ask_with(
                stage.address,
                "GET",
                "/container/a/logs?tail=all",
                "Accept: application/x-ndjson\r\n",
                "",
            );
            let mut texts = String::new();
            for record in whole(&answer).lines() {
                let record: Value = serde_json::from_str(record).unwrap();
                let line = record["line"].as_str().unwrap();
                assert!(line.len() <= 65_536);
                texts.push_str(line);
                if record.get("partial").is_none() {
                    texts.push('\n');
                } else {
                    assert_eq!(record["partial"], true);
                }
            }
            let texts = texts.replace("pretend: started\n", "");
            assert!(
                texts == lines.concat() + "end\n",
                "{} {is_terminal}",
                stage.kind
            );
            stage.engine.remove(&id);
        }
    });
}

#[test]
fn what_is_refused() {
    on_each_engine(ONE, |stage| {
        stage.running("a");
        stage.running("b");
        stage.running("unmanaged");
        stage.record.take();
        let tail =
            "Bad parameter: tail: a tail is a whole number of lines up to 4294967295, or `all`";
        let time = |key: &str| {
            format!(
                "Bad parameter: {key}: a time is RFC 3339 such as `2026-11-23T09:50:52Z` or `2026-11-23T10:50:52.5+01:00`, \
                 Unix seconds such as `1795427452` or `1795427452.5`, or a duration ago such as `10m` or `1h30m`"
            )
        };
        let switch = |key: &str| format!("Bad parameter: {key}: it is `true` or `false`");
        let mut table: Vec<(String, u16, String)> = Vec::new();
        for bad in ["many", "", "-1", "%2B5", "1.5", "ALL", "4294967296", "0x1"] {
            table.push((format!("a/logs?tail={bad}"), 400, tail.to_owned()));
        }
        for bad in [
            "yesterday",
            "",
            "-5",
            "5.",
            ".5",
            "1e3",
            "2026-11-23",
            "2026-13-01T00:00:00Z",
            "99999999999999999999",
            "5m5",
        ] {
            table.push((format!("a/logs?since={bad}"), 400, time("since")));
            table.push((format!("a/logs?until={bad}"), 400, time("until")));
        }
        for key in ["follow", "timestamps"] {
            for bad in ["yes", "", "TRUE", "2"] {
                table.push((format!("a/logs?{key}={bad}"), 400, switch(key)));
            }
        }
        let stream = "Bad parameter: stream: a stream is `stdout`, `stderr` or `both`";
        for (path, status, error) in [
            ("a/logs?stream=stdin", 400, stream),
            ("a/logs?stream=stdout,stderr", 400, stream),
            (
                "a/logs?follow=true&until=1h",
                400,
                "Bad parameter: until: what is followed has no end; leave out `until` or `follow`",
            ),
            ("a/logs?details=1", 400, "Unknown parameter: details"),
            ("a/logs?tail=1&tail=2", 400, "Parameter given twice: tail"),
            ("b/logs", 403, "Forbidden: logs is not allowed on b"),
            ("unmanaged/logs", 404, "Container not found: unmanaged"),
            ("nowhere/logs?follow=1", 404, "Container not found: nowhere"),
        ] {
            table.push((path.to_owned(), status, error.to_owned()));
        }
        for (path, status, error) in table {
            stage.check(
                "GET",
                &format!("/container/{path}"),
                status,
                &json!({ "error": error }).to_string(),
            );
        }
        assert_eq!(stage.record.take(), Vec::<String>::new());
        stage.check(
            "GET",
            "/container/mute/logs",
            404,
            r#"{"error":"Container not found: mute"}"#,
        );
        stage.check(
            "POST",
            "/container/a/logs",
            405,
            r#"{"error":"Method not allowed"}"#,
        );
        let headers = "Accept: text/event-stream\r\nLast-Event-ID: 7\r\n";
        let answer = http::ask_with(stage.address, "GET", "/container/a/logs", headers, "");
        assert_eq!(answer.status, 400, "{answer:?}");
    });
}

/// HEAD says as much as GET before its body, and follows nothing.
#[test]
fn head() {
    on_each_engine(ONE, |stage| {
        stage.running("a");
        stage.record.take();
        let answer = http::ask(stage.address, "HEAD", "/container/a/logs?follow=true");
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(
            http::ask(stage.address, "HEAD", "/container/mute/logs").status,
            404
        );
        assert!(
            !stage
                .record
                .take()
                .iter()
                .any(|request| request.contains("/logs"))
        );
    });
}

/// Begins to read, as a client that closes when it has all.
pub(crate) fn begin(stage: &Stage, parameters: &str, headers: &str) -> TcpStream {
    let mut stream = connect(stage.address);
    let request = format!(
        "GET /container/a/logs?{parameters} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// How many bytes of memory this process has, engine and all.
pub(crate) fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}
