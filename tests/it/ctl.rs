//! `ctl` as its user runs it, in front of a gateway: what it shows, what it asks, and the exit codes.

use std::fs;
use std::process::{Output, Stdio};

use crate::program::program;
use crate::stage::{Stage, on_each_engine};

pub(crate) const NOWHERE: &str = "unix:///nowhere/docker.sock";

pub(crate) const TABLES: &str = r#"
[containers.a]
allow = ["status", "start", "stop", "restart", "pause", "unpause", "kill"]
[containers.b]
allow = ["status"]
"#;

/// Runs it with these variables.
pub(crate) fn ctl_with(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = program();
    command.arg("ctl").args(arguments);
    command.envs(variables.iter().copied()).output().unwrap()
}

/// Runs it for the gateway at this URL.
pub(crate) fn ctl(url: &str, arguments: &[&str]) -> Output {
    ctl_with(&[("RELAYER_CONTROLLER_URL", url)], arguments)
}

/// Asserts the exit code, and all that is said on both streams.
pub(crate) fn check(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        (output.status.code(), &*said, &*complained),
        (Some(code), stdout, stderr)
    );
}

/// Asserts the exit code, that nothing else is said than a complaint, and a part of that.
pub(crate) fn check_complaint(output: &Output, code: i32, part: &str) {
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{complained}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(complained.starts_with("error: "), "{complained}");
    assert!(complained.contains(part), "{complained}");
}

pub(crate) fn url(stage: &Stage) -> String {
    format!("http://{}", stage.address)
}

#[test]
fn looks_and_changes() {
    on_each_engine(TABLES, |stage| {
        let url = url(stage);
        stage.running("a");
        stage.container("b");
        stage.wait_until_mirrored();
        let table = "CONTAINER   STATUS\na           running\nb           created\n";
        check(&ctl(&url, &["ls"]), 0, table, "");
        check(&ctl(&url, &["stop", "a"]), 0, "a: stopped\n", "");
        check(&ctl(&url, &["stop", "a"]), 0, "a: already stopped\n", "");
        check(&ctl(&url, &["start", "a"]), 0, "a: started\n", "");
        check(&ctl(&url, &["start", "a"]), 0, "a: already running\n", "");
        check(&ctl(&url, &["restart", "a"]), 0, "a: restarted\n", "");
        check(&ctl(&url, &["pause", "a"]), 0, "a: paused\n", "");
        let paused = "CONTAINER   STATUS\na           paused\nb           created\n";
        check(&ctl(&url, &["ls"]), 0, paused, "");
        check(&ctl(&url, &["unpause", "a"]), 0, "a: unpaused\n", "");
        let kill = ctl(&url, &["kill", "-s", "KILL", "a"]);
        check(&kill, 0, "a: killed\n", "");
        // As a whole is no success where a part is none.
        let both = ctl(&url, &["pause", "b", "c"]);
        check(
            &both,
            1,
            "",
            "error: Forbidden: pause is not allowed on b\nerror: Container not found: c\n",
        );
        let signal = ctl(&url, &["kill", "-s", "&x=", "a"]);
        check_complaint(&signal, 1, "signal");
    });
}

#[test]
fn how_containers_are() {
    on_each_engine(TABLES, |stage| {
        let url = url(stage);
        stage.running("a");
        stage.container("b");
        stage.wait_until_mirrored();
        let all = ctl(&url, &["status"]);
        let said = String::from_utf8(all.stdout).unwrap();
        let lines: Vec<Vec<&str>> = said
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let [heading, a, b] = &lines[..] else {
            panic!("{said}")
        };
        assert_eq!(
            heading.join(" "),
            "CONTAINER STATUS HEALTH SINCE EXIT RESTARTS IMAGE"
        );
        assert_eq!(a[..3], ["a", "running", "-"]);
        assert!(a[3].ends_with('Z') && a[3].len() == 20, "{said}");
        assert_eq!(a[4..], ["-", "0", "busybox:latest"]);
        assert_eq!(b[..4], ["b", "created", "-", "-"]);
        let one = String::from_utf8(ctl(&url, &["status", "a"]).stdout).unwrap();
        for line in [
            "container   a\n",
            "status      running\n",
            "you may     status, start, stop, restart, pause, unpause, kill\n",
        ] {
            assert!(one.contains(line), "{one}");
        }
        let some = ctl(&url, &["status", "b", "c"]);
        assert_eq!(some.status.code(), Some(1));
        assert_eq!(String::from_utf8(some.stdout).unwrap().lines().count(), 2);
        let complaint = String::from_utf8(some.stderr).unwrap();
        assert_eq!(complaint, "error: Container not found: c\n");
        let whoami = String::from_utf8(ctl(&url, &["whoami"]).stdout).unwrap();
        assert!(whoami.starts_with("principal   anonymous\n"), "{whoami}");
        assert!(whoami.contains("\nb           status\n"), "{whoami}");
    });
}

/// The gateway's own words, on the stream that the exit code says.
#[test]
fn json_is_as_it_came() {
    let stage = Stage::pretend(TABLES);
    let url = url(&stage);
    stage.running("a");
    for (arguments, code, stdout, stderr) in [
        (
            &["ls"][..],
            0,
            r#"{"containers":[{"container":"a","status":"running","running":true}]}"#,
            "",
        ),
        (
            &["stop", "a"],
            0,
            r#"{"status":"stopped","container":"a"}"#,
            "",
        ),
        (
            &["stop", "a"],
            0,
            r#"{"error":"Container already stopped"}"#,
            "",
        ),
        (
            &["stop", "b"],
            1,
            "",
            r#"{"error":"Forbidden: stop is not allowed on b"}"#,
        ),
    ] {
        let output = ctl(&url, &[&["--json"], arguments].concat());
        let line = |text: &str| match text {
            "" => String::new(),
            text => format!("{text}\n"),
        };
        check(&output, code, &line(stdout), &line(stderr));
    }
    let views = ctl(&url, &["status", "--json"]).stdout;
    let view: serde_json::Value = serde_json::from_slice(&views).unwrap();
    assert_eq!(
        (&view["container"], &view["status"]),
        (&"a".into(), &"exited".into())
    );
    // What is ours is no less JSON.
    let nobody = ctl("http://127.0.0.1:1", &["--json", "ls"]);
    assert_eq!(nobody.status.code(), Some(2));
    let told: serde_json::Value = serde_json::from_slice(&nobody.stderr).unwrap();
    let told = told["error"].as_str().unwrap();
    assert!(
        told.starts_with("cannot connect to http://127.0.0.1:1: "),
        "{told}"
    );
}

#[test]
fn where_there_is_no_gateway() {
    let refused = ctl("http://127.0.0.1:1", &["ls"]);
    check_complaint(
        &refused,
        2,
        "cannot connect to http://127.0.0.1:1: Connection refused (os error 111); is relayer-controller running \
         there? see `--url` (`RELAYER_CONTROLLER_URL`)",
    );
    let socket = ctl("unix:///nowhere/x.sock", &["ls"]);
    check_complaint(
        &socket,
        2,
        "cannot connect to unix:///nowhere/x.sock: No such file",
    );
    for (arguments, variables, part) in [
        (
            &["ls", "--url", "localhost:8089"][..],
            &[][..],
            "`--url` is no address of a gateway: a gateway is reached by `http://host:port`, `https://host:port` or \
             `unix:///path/of/a.sock`; did you mean `http://localhost:8089`?",
        ),
        (
            &["ls"],
            &[("RELAYER_CONTROLLER_URL", "http://u:secret@x")],
            "`RELAYER_CONTROLLER_URL` is no address of a gateway: a URL has no user and no password",
        ),
        (
            &["ls", "--cert", "x.pem"],
            &[],
            "`--cert` is shown over TLS only, and http://127.0.0.1:8089 has none",
        ),
        (
            &["start", "a", "b", "--wait", "running"],
            &[],
            "`--wait` is for one container at a time",
        ),
        (
            &["ls"],
            &[
                ("RELAYER_CONTROLLER_TOKEN", "x"),
                ("RELAYER_CONTROLLER_TOKEN_FILE", "y"),
            ],
            "are both set",
        ),
        (
            &["ls", "--token-file", "/nowhere/token"],
            &[],
            "the token cannot be read from `/nowhere/token` (`--token-file`): No such file",
        ),
    ] {
        let output = ctl_with(variables, arguments);
        check_complaint(&output, 2, part);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
    }
    // What is missing is said by clap, in its own words.
    for arguments in [
        &["start"][..],
        &["stop", "a", "--all"],
        &["stop", "a/b"],
        &["ls", "--key", "x"],
        &[],
    ] {
        assert_eq!(
            ctl_with(&[], arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
    // An empty variable is one that compose passes on for what nobody has set.
    let empty = [
        ("RELAYER_CONTROLLER_URL", ""),
        ("RELAYER_CONTROLLER_TOKEN", ""),
    ];
    let output = ctl_with(&empty, &["ls", "--url", "http://127.0.0.1:1"]);
    check_complaint(&output, 2, "Connection refused");
}

/// Whoever reads no further has what they wanted.
#[test]
fn a_reader_that_leaves() {
    let stage = Stage::pretend(TABLES);
    stage.running("a");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program();
    command.args(["ctl", "ls", "--url", &url(&stage)]);
    let output = command.stdout(writer).stderr(Stdio::piped()).output();
    check(&output.unwrap(), 0, "", "");
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = program();
    command.args(["ctl", "ls", "--url", &url(&stage)]);
    let output = command.stdout(full).stderr(Stdio::piped()).output();
    check_complaint(
        &output.unwrap(),
        1,
        "cannot write to standard output: No space left",
    );
}
