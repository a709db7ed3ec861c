//! What happens, as it is told to those who follow along: a snapshot, each change, and nothing that is not theirs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http;
use crate::stage::{Stage, on_each_engine};
use crate::stats::{EVENTS, NDJSON, until};

pub(crate) const TABLES: &str = r#"
[containers.a]
allow = ["status", "start", "stop"]
[containers.b]
allow = ["status", "start"]
[containers.mute]
allow = ["restart"]
"#;

/// One who follows along.
pub(crate) struct Follower {
    pub(crate) head: String,
    stream: BufReader<TcpStream>,
    /// What came and was not taken yet.
    text: String,
    is_ended: bool,
}

impl Follower {
    pub(crate) fn new(address: SocketAddr, query: &str, headers: &str) -> Self {
        Self::over(http::connect(address), query, headers)
    }

    pub(crate) fn over(mut stream: TcpStream, query: &str, headers: &str) -> Self {
        write!(
            stream,
            "GET /events{query} HTTP/1.1\r\nHost: test\r\n{headers}\r\n"
        )
        .unwrap();
        let mut stream = BufReader::with_capacity(512, stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        Self {
            head,
            stream,
            text: String::new(),
            is_ended: false,
        }
    }

    /// One who has seen the snapshot, which is to be this.
    pub(crate) fn at(address: SocketAddr, headers: &str, snapshot: &Value) -> Self {
        let mut follower = Self::new(address, "", headers);
        assert_eq!(follower.snapshot(), *snapshot);
        follower
    }

    /// The next event: its name and what it says. None at the end, which must be a proper one.
    pub(crate) fn next(&mut self) -> Option<(String, Value)> {
        let since = Instant::now();
        loop {
            // Signs of life come all the while.
            assert!(since.elapsed() < Duration::from_secs(20), "nothing");
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let mut name = String::new();
                for line in block.lines() {
                    if let Some(given) = line.strip_prefix("event: ") {
                        given.clone_into(&mut name);
                    } else if let Some(data) = line.strip_prefix("data: ") {
                        return Some((name, serde_json::from_str(data).unwrap()));
                    }
                }
            }
            if !self.read_chunk() {
                assert_eq!(self.text, "", "an event that breaks off");
                return None;
            }
        }
    }

    /// Takes the next chunk in; answers whether there was one.
    fn read_chunk(&mut self) -> bool {
        if self.is_ended {
            return false;
        }
        let mut size = String::new();
        assert_ne!(
            self.stream.read_line(&mut size).unwrap(),
            0,
            "the answer breaks off"
        );
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        chunk.truncate(size);
        self.text.push_str(&String::from_utf8(chunk).unwrap());
        self.is_ended = size == 0;
        size > 0
    }

    /// The next event, which has this name, without its time.
    pub(crate) fn expect(&mut self, name: &str) -> Value {
        let (named, mut told) = self.next().unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(named, name, "{told}");
        if let Some(told) = told.as_object_mut() {
            told.remove("time");
        }
        told
    }

    /// The next event, which is a snapshot: status and health by name.
    pub(crate) fn snapshot(&mut self) -> Value {
        let told = self.expect("snapshot");
        summary(&told)
    }

    /// Waits for a change to this status; what comes before is passed over.
    pub(crate) fn until(&mut self, container: &str, status: &str) -> Value {
        loop {
            let (name, told) = self.next().unwrap_or_else(|| panic!("never {status}"));
            if name.is_empty() && told["container"] == container && told["status"] == status {
                return told;
            }
        }
    }

    /// Waits for the end; what comes before is passed over.
    pub(crate) fn end(&mut self) {
        while self.next().is_some() {}
    }
}

/// What a snapshot says, by name.
pub(crate) fn summary(snapshot: &Value) -> Value {
    let containers = snapshot["containers"].as_array().unwrap();
    let names: Vec<_> = containers
        .iter()
        .map(|one| one["container"].as_str())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    let each = containers.iter().map(|one| {
        assert_eq!(one["running"], one["status"] == "running", "{one}");
        assert!(one["time"].is_string(), "{one}");
        let name = one["container"].as_str().unwrap().to_owned();
        (name, one["status"].clone())
    });
    Value::Object(each.collect())
}

/// Waits until the mirror shows what there is.
pub(crate) fn settled(stage: &Stage, expected: &Value) {
    until("seen", || {
        let mut follower = Follower::new(stage.address, "", "");
        loop {
            let Some((name, told)) = follower.next() else {
                panic!("an end");
            };
            if name == "snapshot" {
                return summary(&told) == *expected;
            }
        }
    });
}

#[test]
fn a_snapshot_and_then_what_happens() {
    on_each_engine(TABLES, |stage| {
        stage.running("b");
        stage.running("mute");
        stage.running("foreign");
        settled(stage, &json!({"b": "running"}));
        let mut follower = Follower::new(stage.address, "", "");
        let head = follower.head.to_lowercase();
        assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"));
        assert!(head.contains("cache-control: no-store\r\n"));
        assert_eq!(follower.snapshot(), json!({"b": "running"}));
        let id = stage.container("a");
        let created =
            json!({"container": "a", "status": "created", "running": false, "health": null});
        assert_eq!(follower.expect(""), created, "{}", stage.kind);
        stage.post("/container/a/start");
        let live = follower.until("a", "running");
        assert_eq!(live["running"], true);
        let time = live["time"].as_str().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{live}");
        // Beside the gateway too.
        stage.engine.post(&format!("/containers/{id}/pause"));
        follower.until("a", "paused");
        stage.engine.post(&format!("/containers/{id}/unpause"));
        follower.until("a", "running");
        stage.engine.post(&format!("/containers/{id}/stop?t=0"));
        follower.until("a", "exited");
        stage.engine.remove(&id);
        let mut told = follower.next().unwrap();
        while told.0 != "gone" {
            told = follower.next().unwrap();
        }
        told.1.as_object_mut().unwrap().remove("time");
        assert_eq!(told.1, json!({"container": "a", "gone": true}));
        // What is of nobody's concern was not told in between.
        assert_eq!(follower.snapshot_of_now(stage), json!({"b": "running"}));
    });
}

impl Follower {
    /// What another sees who comes now; nothing more is to have been told to this one.
    fn snapshot_of_now(&mut self, stage: &Stage) -> Value {
        assert_eq!(self.text, "");
        Self::new(stage.address, "", "").snapshot()
    }
}

#[test]
fn a_renamed_container_leaves_at_once_and_a_new_one_is_new() {
    on_each_engine(TABLES, |stage| {
        let first = stage.running("a");
        settled(stage, &json!({"a": "running"}));
        let mut follower = Follower::at(stage.address, "", &json!({"a": "running"}));
        let full = |name: &str| format!("{}{name}", stage.prefix);
        stage
            .engine
            .post(&format!("/containers/{first}/rename?name={}", full("old")));
        assert_eq!(
            follower.expect("gone"),
            json!({"container": "a", "gone": true})
        );
        let second = stage.container("a");
        let created =
            json!({"container": "a", "status": "created", "running": false, "health": null});
        assert_eq!(follower.expect(""), created);
        // From one managed name to another.
        stage
            .engine
            .post(&format!("/containers/{second}/rename?name={}", full("b")));
        assert_eq!(
            follower.expect("gone"),
            json!({"container": "a", "gone": true})
        );
        assert_eq!(follower.expect("")["container"], "b");
        stage
            .engine
            .post(&format!("/containers/{first}/rename?name={}", full("a")));
        assert_eq!(
            follower.expect(""),
            json!({"container": "a", "status": "running", "running": true, "health": null})
        );
    });
}

#[test]
fn only_what_is_asked_for() {
    on_each_engine(TABLES, |stage| {
        stage.running("a");
        let b = stage.running("b");
        settled(stage, &json!({"a": "running", "b": "running"}));
        let mut both = Follower::new(stage.address, "?container=b,a&container=a", "");
        assert_eq!(both.snapshot(), json!({"a": "running", "b": "running"}));
        let mut one = Follower::new(stage.address, "?container=a", "");
        assert_eq!(one.snapshot(), json!({"a": "running"}));
        stage.engine.post(&format!("/containers/{b}/stop?t=0"));
        both.until("b", "exited");
        stage.post("/container/a/stop");
        // All that came to the one was about the other.
        while one.expect("")["status"] != "exited" {}
        for (path, status, error) in [
            (
                "/events?container=hidden",
                404,
                "Container not found: hidden",
            ),
            (
                "/events?container=a,hidden",
                404,
                "Container not found: hidden",
            ),
            (
                "/events?container=foreign",
                404,
                "Container not found: foreign",
            ),
            (
                "/events?container=mute",
                403,
                "Forbidden: status is not allowed on mute",
            ),
            (
                "/events?container=a,mute",
                403,
                "Forbidden: status is not allowed on mute",
            ),
            (
                "/events?container=",
                400,
                "Bad parameter: container: it is the names of containers with commas between them, at most 1000, such as `a,b`",
            ),
            ("/events?since=1", 400, "Unknown parameter: since"),
            ("/events?container=a&x", 400, "Unknown parameter: x"),
        ] {
            stage.check("GET", path, status, &json!({ "error": error }).to_string());
            let head = http::ask(stage.address, "HEAD", path);
            assert_eq!((head.status, head.body.as_str()), (status, ""), "{path}");
        }
        stage.check("POST", "/events", 405, r#"{"error":"Method not allowed"}"#);
    });
}

#[test]
fn as_lines_too() {
    on_each_engine(TABLES, |stage| {
        stage.running("a");
        settled(stage, &json!({"a": "running"}));
        for (accept, expected) in [
            ("", EVENTS),
            ("Accept: */*\r\n", EVENTS),
            ("Accept: application/json\r\n", EVENTS),
            (
                "Accept: application/x-ndjson, text/event-stream\r\n",
                EVENTS,
            ),
            ("Accept: application/x-ndjson\r\n", NDJSON),
            // Whatever was the last one, the first is a snapshot.
            ("Last-Event-ID: nonsense\r\n", EVENTS),
        ] {
            let mut follower = Follower::new(stage.address, "", accept);
            let kind = format!("content-type: {expected}\r\n");
            assert!(follower.head.contains(&kind), "{}", follower.head);
            if expected == NDJSON {
                while !follower.text.ends_with('\n') {
                    assert!(follower.read_chunk());
                }
                let told = serde_json::from_str(&follower.text).unwrap();
                assert_eq!(summary(&told), json!({"a": "running"}));
            } else {
                assert_eq!(follower.snapshot(), json!({"a": "running"}));
            }
            let head = http::ask_with(stage.address, "HEAD", "/events", accept, "");
            assert_eq!((head.status, head.header("content-type")), (200, expected));
        }
    });
}

/// A large snapshot comes piece by piece, and is one event.
#[test]
fn a_large_snapshot_is_whole() {
    let names: Vec<_> = (100..250).map(|number| format!("many{number}")).collect();
    let tables: Vec<_> = names
        .iter()
        .map(|name| format!("[containers.{name}]\nallow = [\"status\"]\n"))
        .collect();
    let stage = Stage::pretend(&tables.concat());
    let pretend = stage.pretend.clone().unwrap();
    for name in &names {
        let full_name = format!("{}{name}", stage.prefix);
        pretend.add(&full_name, &[], true).unwrap();
    }
    let expected = names.iter().map(|name| (name.clone(), "running".into()));
    let expected = Value::Object(expected.collect());
    settled(&stage, &expected);
    let mut follower = Follower::at(stage.address, "", &expected);
    pretend
        .add(&format!("{}other", stage.prefix), &[], true)
        .unwrap();
    stage.engine.remove(&format!("{}many100", stage.prefix));
    while follower.next().unwrap().0 != "gone" {}
}

/// Health changes and the want of memory are events too.
#[test]
fn health_and_want_of_memory() {
    let stage = Stage::pretend(TABLES);
    settled(&stage, &json!({}));
    let mut follower = Follower::at(stage.address, "", &json!({}));
    let full_name = format!("{}a", stage.prefix);
    let settings = json!({
        "Labels": {"pretend.health": "healthy:200"},
        "Healthcheck": {"Test": ["CMD", "true"]},
    });
    let id = stage.engine.create_as(&full_name, "sleep 60", settings);
    stage.engine.post(&format!("/containers/{id}/start"));
    let mut seen = Vec::new();
    while seen.last() != Some(&json!("healthy")) {
        let (_, told) = follower.next().unwrap();
        seen.push(told["health"].clone());
    }
    assert!(seen.contains(&json!("starting")), "{seen:?}");
    stage.engine.remove(&id);
    while follower.next().unwrap().0 != "gone" {}
    let label = json!({ "pretend.oom": "100" });
    let id = stage.engine.create(&full_name, &label);
    stage.engine.post(&format!("/containers/{id}/start"));
    let mut told = follower.next().unwrap();
    while told.0 != "oom" {
        assert_ne!(told.1["status"], "exited");
        told = follower.next().unwrap();
    }
    assert!(told.1["time"].is_string());
    told.1.as_object_mut().unwrap().remove("time");
    assert_eq!(told.1, json!({"container": "a", "oom_killed": true}));
    follower.until("a", "exited");
}

/// While the engine is away nobody takes for current what is not.
#[test]
fn the_engine_goes_and_comes_back() {
    let stage = Stage::pretend(TABLES);
    stage.running("a");
    settled(&stage, &json!({"a": "running"}));
    let mut follower = Follower::at(stage.address, "", &json!({"a": "running"}));
    let pretend = stage.pretend.clone().unwrap();
    stage.block_on(pretend.go_down());
    assert_eq!(follower.expect("interrupted"), json!({"current": false}));
    // Who comes meanwhile is told at once that there is nothing to tell.
    let since = Instant::now();
    let mut late = Follower::new(stage.address, "", "");
    assert_eq!(late.expect("interrupted"), json!({"current": false}));
    assert!(since.elapsed() < Duration::from_secs(1));
    stage.block_on(pretend.come_back()).unwrap();
    for follower in [&mut follower, &mut late] {
        assert_eq!(follower.snapshot(), json!({"a": "running"}));
    }
    // The stream of the engine's events alone.
    pretend.cut_events();
    assert_eq!(follower.expect("interrupted"), json!({"current": false}));
    assert_eq!(follower.snapshot(), json!({"a": "running"}));
}
