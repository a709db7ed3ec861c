//! `ctl events`: what happens, as it happens, for people and for scripts.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::canned::{Canned, json as answer, pieces};
use crate::ctl::{TABLES, check, ctl, url};
use crate::events::{settled, summary};
use crate::program::program;
use crate::stage::on_each_engine;
use crate::stats::EVENTS;

/// It, for as long as it is not ended.
struct Following {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Following {
    fn start(url: &str, arguments: &[&str]) -> Self {
        let mut child = program()
            .args(["ctl", "events"])
            .args(arguments)
            .env("RELAYER_CONTROLLER_URL", url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    /// The next line.
    fn line(&self) -> String {
        next_line(&self.stdout)
    }

    /// The next line beside that.
    fn remark(&self) -> String {
        next_line(&self.stderr)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let _nobody = sender.send(line.unwrap());
        }
    });
    lines
}

fn next_line(lines: &Receiver<String>) -> String {
    lines.recv_timeout(Duration::from_secs(20)).expect("a line")
}

#[test]
fn what_happens() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("a");
        stage.container("b");
        settled(stage, &json!({"a": "running", "b": "created"}));
        let url = url(stage);
        let people = Following::start(&url, &[]);
        let scripts = Following::start(&url, &["--json", "a", "b"]);
        let one = Following::start(&url, &["a"]);
        let words = |line: &str| line.split("  ").map(ToOwned::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&people.line())[1..], ["a", "running"]);
        assert_eq!(words(&people.line())[1..], ["b", "created"]);
        assert_eq!(words(&one.line())[1..], ["a", "running"]);
        let told: Value = serde_json::from_str(&scripts.line()).unwrap();
        assert_eq!(summary(&told), json!({"a": "running", "b": "created"}));
        stage.engine.post(&format!("/containers/{id}/pause"));
        let told: Value = serde_json::from_str(&scripts.line()).unwrap();
        assert_eq!([&told["container"], &told["status"]], ["a", "paused"]);
        for following in [&people, &one] {
            let line = words(&following.line());
            assert!(line[0].starts_with("20") && line[0].len() == 20, "{line:?}");
            assert_eq!(line[1..], ["a", "paused"]);
        }
        stage.engine.remove(&id);
        while words(&people.line())[1..] != ["a", "gone"] {}
        check(
            &ctl(&url, &["events", "hidden"]),
            1,
            "",
            "error: Container not found: hidden\n",
        );
    });
}

/// Where the connection breaks it is opened again, but not where there never was one.
#[test]
fn it_connects_again() {
    const SNAPSHOT: &str = "event: snapshot\ndata: {\"containers\":[{\"container\":\"a\",\"status\":\"running\",\
        \"running\":true,\"health\":null,\"time\":\"2026-01-31T18:00:00Z\"}]}\n\n:\n\n";
    let (first, rest) = SNAPSHOT.split_at(30);
    for (is_whole, remark) in [
        (true, "the gateway has ended it; connecting again"),
        (false, "the answer broke off"),
    ] {
        let server = Canned::start(&[("GET /events", &pieces(EVENTS, &[first, rest], is_whole))]);
        let following = Following::start(&server.url(), &[]);
        for _ in 0..2 {
            assert_eq!(following.line(), "2026-01-31T18:00:00Z  a  running");
            let said = following.remark();
            assert!(said.contains(remark), "{said}");
        }
        let mut following = Following::start(&server.url(), &["--json"]);
        let json = rest.trim_end_matches("\n\n:\n\n");
        for _ in 0..2 {
            assert!(following.line().ends_with(json));
        }
        following.child.kill().unwrap();
        assert!(following.stderr.iter().next().is_none());
    }
    let server = Canned::start(&[("GET /events", &answer(404, r#"{"error":"Not found"}"#))]);
    let output = ctl(&server.url(), &["events"]);
    assert_eq!(output.status.code(), Some(1));
    let server = Canned::start(&[("GET /events", &answer(200, r#"{"containers":[]}"#))]);
    check(
        &ctl(&server.url(), &["events"]),
        1,
        "",
        "error: the answer does not come line by line; is the gateway of an older version?\n",
    );
    assert_eq!(
        ctl("http://127.0.0.1:1", &["events"]).status.code(),
        Some(2)
    );
}
