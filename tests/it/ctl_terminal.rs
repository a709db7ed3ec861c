//! `ctl` on a terminal: what is drawn anew, and what a shell completes.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::canned::{Canned, json, pieces};
use crate::ctl::{check, ctl};
use crate::ctl_answers::{NDJSON, SAMPLE};
use crate::program::program;

/// What a command line draws on a terminal of this kind, where it is to end well.
fn drawn(term: &str, arguments: &str, url: &str) -> String {
    let program = env!("CARGO_BIN_EXE_relayer-controller");
    let line = format!("exec '{program}' ctl {arguments} --url {url}");
    // Of util-linux: gives the command a terminal, and what is drawn on that to us.
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", term)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .expect("`script` of util-linux");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

/// Figures that follow each other are drawn in the same place; what has ended has none.
#[test]
fn a_live_table() {
    let server = Canned::start(&[
        (
            "GET /container/a/stats",
            &pieces(NDJSON, &[SAMPLE, "\n"], true),
        ),
        (
            "GET /containers",
            &json(
                200,
                r#"{"containers":[{"container":"a","status":"running","running":true}]}"#,
            ),
        ),
    ]);
    let table = drawn("xterm", "stats -f a", &server.url());
    let frame = "\u{1b}[H\u{1b}[?7lCONTAINER   CPU %   MEM USAGE / LIMIT   MEM %   NET I/O   BLOCK I/O   PIDS\u{1b}[K\r\n\
                 a           -       -                   -       -         -           -\u{1b}[K\r\n\u{1b}[J\u{1b}[?7h";
    assert!(table.ends_with(frame), "{table:?}");
    let list = drawn("xterm", "ls", &server.url());
    assert_eq!(
        list,
        "CONTAINER   STATUS\r\na           \u{1b}[32mrunning\u{1b}[0m\r\n"
    );
    let plain = drawn("dumb", "ls", &server.url());
    assert_eq!(plain, "CONTAINER   STATUS\r\na           running\r\n");
}

/// On a terminal a line says what takes long, and is gone when it is over.
#[test]
fn the_live_line() {
    let server = Canned::start_slow(
        Duration::from_millis(700),
        &[(
            "POST /container/a/stop",
            &json(200, r#"{"status":"stopped","container":"a"}"#),
        )],
    );
    let line = drawn("xterm", "stop a", &server.url());
    let count = line.matches("\r\u{1b}[?7lstopping a \u{2026} 0.").count();
    assert!((2..=5).contains(&count), "{count} {line:?}");
    assert!(line.ends_with("\r\u{1b}[Ka: stopped\r\n"), "{line:?}");
    assert_eq!(drawn("dumb", "stop a", &server.url()), "a: stopped\r\n");
    check(&ctl(&server.url(), &["stop", "a"]), 0, "a: stopped\n", "");
}

/// Scripts that the shells themselves find right.
#[test]
fn completions() {
    let script = |shell: &str| {
        let output = program().args(["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = TempDir::new().unwrap();
    for (shell, word) in [
        ("zsh", "#compdef relayer-controller"),
        ("fish", "relayer-controller"),
    ] {
        assert!(script(shell).contains(word), "{shell}");
    }
    let file = folder.path().join("completions.bash");
    let bash = script("bash");
    fs::write(&file, &bash).unwrap();
    let (_, rest) = bash.split_once("complete -F ").unwrap();
    let function = rest.split(' ').next().unwrap();
    let complete = |words: &str| {
        let line = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             {function} relayer-controller \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             echo \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &line])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("relayer-controller ct"), "ctl");
    assert_eq!(complete("relayer-controller ctl sta"), "status start stats");
    assert_eq!(complete("relayer-controller ctl start --wait h"), "healthy");
    assert_eq!(complete("relayer-controller completions ba"), "bash");
    let unknown = program().args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}
