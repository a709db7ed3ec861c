//! Following: through restarts, breaks and replacements, none lost and none twice, until it ends.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::engine::OwnContainer;
use relayer_controller::pretend::Output;
use serde_json::{Value, json};

use crate::gateway;
use crate::http::{self, connect};
use crate::logs::{ONE, begin, whole};
use crate::stage::{Stage, on_each_engine};

/// Prints numbered lines in bursts, as fast as it can, on both streams, and goes on counting where it was stopped. The
/// pauses keep a slow machine from drowning in lines.
const COUNTING: &str = "trap 't=1' TERM; n=$(cat /n 2>/dev/null || echo 0); \
    while [ -z \"$t\" ]; do n=$((n+1)); echo \"line $n\"; [ $((n % 7)) = 0 ] && echo \"error $n\" >&2; \
    [ $((n % 200)) = 0 ] && sleep 0.02; done; \
    echo $n > /n; printf 'no end'";

/// A client that reads on until it is told the end.
struct Follower {
    stream: TcpStream,
    read: Arc<Mutex<Vec<u8>>>,
    reading: Option<thread::JoinHandle<()>>,
}

impl Follower {
    fn of(stage: &Stage, parameters: &str, headers: &str) -> Self {
        let follower = Self::on(begin(stage, &format!("follow=true&{parameters}"), headers));
        follower.wait(|text| text.contains("\r\n\r\n"));
        follower
    }

    fn on(stream: TcpStream) -> Self {
        let read = Arc::new(Mutex::new(Vec::new()));
        let (mut from, into) = (stream.try_clone().unwrap(), Arc::clone(&read));
        let reading = thread::spawn(move || {
            let mut chunk = vec![0; 1 << 16];
            while let Ok(length @ 1..) = from.read(&mut chunk) {
                into.lock().unwrap().extend(&chunk[..length]);
            }
        });
        Self {
            stream,
            read,
            reading: Some(reading),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read.lock().unwrap()).into_owned()
    }

    /// The body as far as it came.
    fn body(&self) -> String {
        let text = self.text();
        let (_, mut rest) = text.split_once("\r\n\r\n").unwrap();
        let mut body = String::new();
        while let Some((length, after)) = rest.split_once("\r\n") {
            let length = usize::from_str_radix(length, 16).unwrap();
            let Some(chunk) = after.get(..length) else {
                break;
            };
            body.push_str(chunk);
            rest = after[length..].strip_prefix("\r\n").unwrap_or_default();
        }
        body
    }

    fn wait(&self, holds: impl Fn(&str) -> bool) {
        let since = Instant::now();
        while !holds(&self.text()) {
            let text = self.text();
            let end = text.char_indices().rev().nth(300).map_or(0, |(at, _)| at);
            assert!(
                since.elapsed() < Duration::from_mins(1),
                "never so: ...{}",
                &text[end..]
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end, which must be a clean one, and gives the body.
    fn ended(mut self) -> String {
        self.wait(|text| text.ends_with("0\r\n\r\n"));
        self.reading.take().unwrap().join().unwrap();
        self.body()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _gone = self.stream.shutdown(Shutdown::Both);
    }
}

/// Waits until a container prints something that it had not printed.
fn wait_for_more(stage: &Stage) {
    let count = || whole(&stage.get("/container/a/logs?tail=1"));
    let (before, since) = (count(), Instant::now());
    while count() == before {
        assert!(since.elapsed() < Duration::from_secs(20), "{before}");
    }
}

/// Asserts that two texts are the same, without writing megabytes.
fn check_same(told: &str, expected: &str, what: &str) {
    let differ = told.bytes().zip(expected.bytes()).position(|(a, b)| a != b);
    let at = differ.unwrap_or(told.len().min(expected.len()));
    let around = |text: &str| {
        text.get(at.saturating_sub(60)..(at + 60).min(text.len()))
            .map(ToOwned::to_owned)
    };
    assert!(
        told == expected,
        "{what}: {} and {} bytes, other from {at}: {:?} and {:?}",
        told.len(),
        expected.len(),
        around(told),
        around(expected)
    );
}

#[test]
fn through_restarts() {
    for is_terminal in [false, true] {
        on_each_engine(ONE, |stage| {
            let full_name = format!("{}a", stage.prefix);
            let settings = json!({ "Tty": is_terminal, "Labels": { "pretend.print-every": "1" } });
            let id = stage.engine.create_as(&full_name, COUNTING, settings);
            // It waits for the first start, too.
            let followers = [
                Follower::of(stage, "tail=all", ""),
                Follower::of(stage, "tail=0", ""),
                Follower::of(stage, "tail=all&stream=stdout", ""),
            ];
            let json = Follower::of(stage, "", "Accept: application/x-ndjson\r\n");
            stage.engine.post(&format!("/containers/{id}/start"));
            for _ in 0..4 {
                // The one prints a line in a millisecond, the other some hundred.
                for _ in 0..if stage.pretend.is_some() { 10 } else { 1 } {
                    wait_for_more(stage);
                }
                assert_eq!(stage.post("/container/a/restart").status, 200);
            }
            wait_for_more(stage);
            stage.engine.post(&format!("/containers/{id}/stop"));
            let all = whole(&stage.get("/container/a/logs?tail=all"));
            let stdout = whole(&stage.get("/container/a/logs?tail=all&stream=stdout"));
            let lines = all.matches("line ").count();
            assert!(lines > 100, "{lines} lines are no test");
            let expected = [&all, &all, &stdout];
            for (follower, expected) in followers.iter().zip(expected) {
                let since = Instant::now();
                while follower.body().len() < expected.len()
                    && since.elapsed() < Duration::from_secs(20)
                {
                    thread::sleep(Duration::from_millis(50));
                }
                let what = format!("terminal {is_terminal} on the {} engine", stage.kind);
                check_same(&follower.body(), expected, &what);
            }
            let last = all
                .lines()
                .rfind(|line| line.contains("line "))
                .unwrap()
                .trim_end();
            json.wait(|text| text.contains(&format!("\"{last}\"")));
            stage.engine.remove(&id);
            for (follower, expected) in followers.into_iter().zip(expected) {
                check_same(&follower.ended(), expected, "at the end");
            }
            check_numbers(&json.ended(), last);
        });
    }
}

/// Asserts that the numbered lines of JSON records are all there, in order, each once.
fn check_numbers(records: &str, last: &str) {
    let number = |line: &str| {
        line.split("line ")
            .nth(1)
            .map(|number| number.parse::<usize>().unwrap())
    };
    let mut expected = 0;
    for record in records.lines() {
        let record: Value = serde_json::from_str(record).unwrap();
        let line = record["line"].as_str().unwrap();
        if let Some(number) = number(line) {
            expected += 1;
            assert_eq!(number, expected, "{line}");
        }
    }
    assert_eq!(Some(expected), number(last));
}

/// Connections that are cut at any moment: among lines of one moment, in the middle of lines, and for a while.
#[test]
fn through_breaks() {
    for is_terminal in [false, true] {
        let stage = Stage::pretend(ONE);
        let full_name = format!("{}a", stage.prefix);
        let id = stage
            .engine
            .create_as(&full_name, "", json!({ "Tty": is_terminal }));
        stage.engine.post(&format!("/containers/{id}/start"));
        let pretend = stage.pretend.as_ref().unwrap();
        let followers = [
            Follower::of(&stage, "tail=all", ""),
            Follower::of(&stage, "tail=all&timestamps=true", ""),
        ];
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..400 {
                    let long = "x".repeat(number * 173 % 40_000);
                    // Many lines, and the parts of long ones, have one moment.
                    let text = format!("line {number}\nline {number}\n{long}\nalike\nalike\n");
                    pretend
                        .print(&full_name, Output::Stdout, text.as_bytes())
                        .unwrap();
                    pretend
                        .print(&full_name, Output::Stderr, b"alike\n")
                        .unwrap();
                    thread::sleep(Duration::from_millis(5));
                }
                is_done.store(true, Ordering::Relaxed);
            });
            while !is_done.load(Ordering::Relaxed) {
                stage.block_on(pretend.go_down());
                thread::sleep(Duration::from_millis(20));
                stage.block_on(pretend.come_back()).unwrap();
                thread::sleep(Duration::from_millis(130));
            }
        });
        for (follower, parameters) in followers.into_iter().zip(["", "&timestamps=true"]) {
            let expected = whole(&stage.get(&format!("/container/a/logs?tail=all{parameters}")));
            let since = Instant::now();
            while follower.body().len() < expected.len()
                && since.elapsed() < Duration::from_secs(20)
            {
                thread::sleep(Duration::from_millis(50));
            }
            check_same(&follower.body(), &expected, parameters);
        }
    }
}

/// Another container of the same name is followed from its beginning.
#[test]
fn through_a_replacement() {
    on_each_engine(ONE, |stage| {
        let first = stage.printing("a", false, &[(Output::Stdout, "first\n")]);
        let follower = Follower::of(stage, "tail=1", "");
        follower.wait(|text| text.contains("first\n"));
        stage.engine.remove(&first);
        stage.printing(
            "a",
            false,
            &[(Output::Stdout, "second\n"), (Output::Stderr, "third\n")],
        );
        follower.wait(|text| text.contains("third\n"));
        let body = follower.body();
        let lines: Vec<_> = body
            .lines()
            .filter(|line| !line.starts_with("pretend: "))
            .collect();
        assert_eq!(lines, ["first", "second", "third"], "{}", stage.kind);
    });
}

/// While there is nothing to read, no connection to the engine is held for it.
#[test]
fn a_stopped_container_costs_no_connection() {
    let stage = Stage::pretend(ONE);
    let id = stage.running("a");
    let pretend = stage.pretend.as_ref().unwrap();
    let followers: Vec<_> = (0..8).map(|_| Follower::of(&stage, "", "")).collect();
    assert!(pretend.connections() >= 8);
    stage.engine.post(&format!("/containers/{id}/stop"));
    let since = Instant::now();
    // One or two are kept for looks.
    while pretend.connections() > 4 {
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "{} connections",
            pretend.connections()
        );
        thread::sleep(Duration::from_millis(10));
    }
    stage.engine.post(&format!("/containers/{id}/start"));
    for follower in &followers {
        follower.wait(|text| text.matches("pretend: started").count() == 2);
    }
    drop(followers);
    let since = Instant::now();
    while pretend.connections() > 8 {
        assert!(
            since.elapsed() < Duration::from_secs(2),
            "{} connections",
            pretend.connections()
        );
    }
}

#[test]
fn two_hundred_followers() {
    on_each_engine(ONE, |stage| {
        let id = stage.printing("a", false, &[(Output::Stdout, "first\n")]);
        let lines = "listen = \"127.0.0.1:0\"\n[limits]\nconnections_per_address = 300\n";
        let own = OwnContainer::default();
        let gateway = gateway::Gateway::start_with(lines, &stage.prefix, &stage.host, own, ONE);
        let request = b"GET /container/a/logs?follow=true HTTP/1.1\r\nHost: x\r\n\r\n";
        let followers: Vec<_> = (0..200)
            .map(|_| {
                let mut stream = connect(gateway.address);
                std::io::Write::write_all(&mut stream, request).unwrap();
                Follower::on(stream)
            })
            .collect();
        for follower in &followers {
            follower.wait(|text| text.contains("first\n"));
        }
        let metrics = http::ask(gateway.address, "GET", "/metrics").body;
        assert!(
            metrics.contains("open_streams{kind=\"logs\"} 200\n"),
            "{metrics}"
        );
        stage.engine.post(&format!("/containers/{id}/restart"));
        for follower in &followers {
            follower.wait(|text| {
                text.matches("first\n").count() == 2 || text.contains("pretend: stopping")
            });
        }
        drop(followers);
        let since = Instant::now();
        let none = "open_streams{kind=\"logs\"} 0\n";
        while !http::ask(gateway.address, "GET", "/metrics")
            .body
            .contains(none)
        {
            assert!(
                since.elapsed() < Duration::from_secs(5),
                "streams stay open"
            );
        }
    });
}

/// A stream ends when the gateway does, and it does not keep the gateway.
#[test]
fn the_gateway_stops() {
    on_each_engine(ONE, |stage| {
        stage.printing("a", false, &[(Output::Stdout, "first\n")]);
        let follower = Follower::of(stage, "", "");
        follower.wait(|text| text.contains("first\n"));
        let since = Instant::now();
        assert!(stage.stop());
        assert!(
            since.elapsed() < Duration::from_secs(2),
            "{:?}",
            since.elapsed()
        );
        assert!(follower.ended().ends_with("first\n"));
    });
}

/// A reload that takes the right away closes the stream, and one that does not leaves it alone.
#[test]
fn the_right_is_taken_away() {
    use crate::reload::Gateway;
    let stage = Stage::pretend(ONE);
    stage.running("a");
    let rules = |verbs: &str| {
        format!(
            "prefix = \"{}\"\n[server]\nlisten = \"127.0.0.1:0\"\n[engine]\nhost = \"{}\"\n[containers.a]\nallow = {verbs}\n",
            stage.prefix, stage.host
        )
    };
    let gateway = Gateway::start(&rules("[\"logs\", \"status\"]"));
    let mut stream = connect(gateway.address);
    let request =
        b"GET /container/a/logs?follow=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, request).unwrap();
    let follower = Follower::on(stream);
    follower.wait(|text| text.contains("pretend: started"));
    gateway.replace(&rules("[\"logs\"]"));
    gateway.wait_for_status("/container/a/status", 403);
    let pretend = stage.pretend.as_ref().unwrap();
    let full_name = format!("{}a", stage.prefix);
    pretend
        .print(&full_name, Output::Stdout, b"still\n")
        .unwrap();
    follower.wait(|text| text.contains("still\n"));
    gateway.replace(&rules("[\"status\"]"));
    assert!(follower.ended().ends_with("still\n"));
    gateway.wait_for("a stream is closed");
    let answer = gateway.ask("/container/a/logs?follow=true");
    assert_eq!(answer.status, 403, "{answer:?}");
}
