//! `ctl` and what the gateway does for it on both engines: logs, figures, commands, batches, waiting.

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use relayer_controller::pretend::Output as Printed;
use serde_json::Value;

use crate::ctl::{check, check_complaint, ctl, url};
use crate::program::{Running, program};
use crate::stage::{Stage, on_each_engine};

const TABLES: &str = r#"
[containers.a]
allow = ["status", "start", "stop", "restart", "logs", "stats", "exec"]
[containers.a.exec]
say = { argv = ["echo", "<{what}>"], params.what = "[a-z]+" }
fail = { argv = ["false"] }
slow = { argv = ["sleep", "60"], timeout = "300ms" }
[containers.b]
allow = ["status", "start", "stop"]
[containers.c]
allow = ["status"]
"#;

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn commands() {
    on_each_engine(TABLES, |stage| {
        let url = url(stage);
        stage.running("a");
        check(
            &ctl(&url, &["exec", "a", "say", "what=hello"]),
            0,
            "<hello>\n",
            "",
        );
        check(&ctl(&url, &["exec", "a", "fail"]), 1, "", "");
        let list = said(&ctl(&url, &["exec", "a"]));
        assert!(list.contains("say") && list.contains("what"), "{list}");
        let refused = ctl(&url, &["exec", "a", "say", "what=HELLO"]);
        check_complaint(&refused, 125, "what: the whole value must match `[a-z]+`");
        check_complaint(
            &ctl(&url, &["exec", "a", "nothing"]),
            125,
            "Command not found: nothing",
        );
        check_complaint(
            &ctl(&url, &["exec", "a", "slow"]),
            124,
            "slow took longer than 300ms and was ended",
        );
    });
}

#[test]
fn several_at_once_and_waiting() {
    on_each_engine(TABLES, |stage| {
        let url = url(stage);
        stage.running("a");
        stage.container("b");
        stage.container("c");
        check(
            &ctl(&url, &["stop", "a", "b"]),
            0,
            "a: stopped\nb: already stopped\n",
            "",
        );
        let forbidden = "error: c: Forbidden: start is not allowed on c\n";
        check(
            &ctl(&url, &["start", "a", "c"]),
            1,
            "a: started\n",
            forbidden,
        );
        check(
            &ctl(&url, &["start", "--all"]),
            0,
            "a: already running\nb: started\n",
            "",
        );
        check(
            &ctl(&url, &["restart", "a", "--wait", "running"]),
            0,
            "a: restarted\n",
            "",
        );
        let unchecked = ctl(&url, &["restart", "a", "--wait", "healthy"]);
        check_complaint(&unchecked, 1, "a has no health check");
    });
}

#[test]
fn logs_and_figures() {
    on_each_engine(TABLES, |stage| {
        let url = url(stage);
        print_numbers(stage);
        let numbers = "line 1\nline 2\nline 3\n";
        let told = ctl(&url, &["logs", "-n", "3", "a"]);
        check(&told, 0, numbers, "");
        check(
            &ctl(&url, &["logs", "-n", "1", "--stream", "stdout", "a"]),
            0,
            "line 3\n",
            "",
        );
        let line: Value =
            serde_json::from_str(&said(&ctl(&url, &["logs", "-n", "1", "--json", "a"]))).unwrap();
        assert_eq!(
            (&line["stream"], &line["line"]),
            (&"stdout".into(), &"line 3".into())
        );
        check_complaint(
            &ctl(&url, &["logs", "b"]),
            1,
            "Forbidden: logs is not allowed on b",
        );

        let stats: Value =
            serde_json::from_str(&said(&ctl(&url, &["stats", "--json", "a"]))).unwrap();
        assert_eq!(stats["container"], "a");
        let table = said(&ctl(&url, &["stats", "a"]));
        assert!(
            table.starts_with("CONTAINER") && table.contains("iB / "),
            "{table}"
        );
    });
}

#[test]
fn logs_that_go_on() {
    on_each_engine(TABLES, |stage| {
        print_numbers(stage);
        let mut child = program()
            .args(["ctl", "--url", &url(stage), "logs", "-f", "-n", "1", "a"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut following = Running(child);
        assert_eq!(lines.next().unwrap().unwrap(), "line 3");
        check(
            &ctl(&url(stage), &["restart", "a"]),
            0,
            "a: restarted\n",
            "",
        );
        // Each run prints its lines anew; the pretend one says that it was started.
        let first = if stage.pretend.is_some() {
            "pretend: started"
        } else {
            "line 1"
        };
        assert!(
            lines.by_ref().map(Result::unwrap).any(|line| line == first),
            "{}",
            stage.kind
        );
        following.signal(rustix::process::Signal::INT);
        // By the signal itself.
        assert_eq!(following.wait(), None);
    });
}

/// Lets a container run that has printed three lines.
fn print_numbers(stage: &Stage) {
    let lines: [_; 3] = ["line 1\n", "line 2\n", "line 3\n"];
    stage.printing("a", false, &lines.map(|line| (Printed::Stdout, line)));
}
