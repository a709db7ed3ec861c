//! `ctl` and the answers of a gateway that a test can dictate: what is strange, what breaks off, what goes on.

use std::fs;

use tempfile::TempDir;

use crate::canned::{Canned, answer, json, pieces};
use crate::ctl::{check, check_complaint, ctl};
use crate::program::program;

pub(crate) const NDJSON: &str = "application/x-ndjson";

/// What is asked of several at once, and what became of each.
#[test]
fn several_at_once() {
    let results = r#"{"results":[{"container":"a","status":"stopped","changed":true},
        {"container":"b","status":"stopped","changed":false},
        {"container":"c","error":"Forbidden: stop is not allowed on c","code":403}]}"#;
    let good = r#"{"results":[{"container":"a","status":"started","changed":true}]}"#;
    let server = Canned::start(&[
        ("POST /containers/stop", &json(207, results)),
        ("POST /containers/start", &json(200, good)),
    ]);
    let url = server.url();
    check(
        &ctl(&url, &["stop", "a", "b", "c"]),
        1,
        "a: stopped\nb: already stopped\n",
        "error: c: Forbidden: stop is not allowed on c\n",
    );
    check(&ctl(&url, &["start", "--all"]), 0, "a: started\n", "");
    check(
        &ctl(&url, &["start", "--all", "--json"]),
        0,
        &format!("{good}\n"),
        "",
    );
    // Some of it went well, so that it is an answer.
    let json = ctl(&url, &["stop", "a", "b", "c", "--json"]);
    assert_eq!((json.status.code(), json.stderr.len()), (Some(1), 0));
    assert_eq!(String::from_utf8(json.stdout).unwrap().lines().count(), 1);
    assert_eq!(
        server.asked(),
        [
            r#"POST /containers/stop application/json {"containers":["a","b","c"]}"#,
            r#"POST /containers/start application/json {"containers":"*"}"#,
            r#"POST /containers/start application/json {"containers":"*"}"#,
            r#"POST /containers/stop application/json {"containers":["a","b","c"]}"#,
        ]
    );
}

#[test]
fn waiting() {
    let vain = r#"{"error":"a did not become healthy after 30s: exited with code 1","container":"a",
        "status":"exited","health":null,"exit_code":1,"logs":["starting","no \u001b[31mkey\u0007\r\n"]}"#;
    let server = Canned::start(&[
        ("POST /container/a/start", &json(504, vain)),
        (
            "POST /container/b/start",
            &json(409, r#"{"error":"Container already running"}"#),
        ),
        (
            "POST /container/b/stop",
            &json(409, r#"{"error":"Container already stopped"}"#),
        ),
        (
            "GET /container/b",
            &json(
                200,
                r#"{"container":"b","status":"running","health":"healthy"}"#,
            ),
        ),
        (
            "POST /container/c/start",
            &json(409, r#"{"error":"Container already running"}"#),
        ),
        (
            "GET /container/c",
            &json(
                200,
                r#"{"container":"c","status":"running","health":"starting"}"#,
            ),
        ),
        (
            "POST /container/d/start",
            &json(409, r#"{"error":"It depends on itself"}"#),
        ),
    ]);
    let url = server.url();
    check(
        &ctl(
            &url,
            &["start", "a", "--wait", "healthy", "--timeout", "1m 30s"],
        ),
        1,
        "",
        "error: a did not become healthy after 30s: exited with code 1; the last that it printed:\n  starting\n  \
         no \\u{1b}[31mkey\\u{7}\n",
    );
    let asked = "POST /container/a/start?wait=healthy&timeout=1m%2030s application/json";
    assert_eq!(server.asked(), [asked]);
    for (arguments, code, stdout, stderr) in [
        (
            &["start", "b", "--wait", "healthy"][..],
            0,
            "b: already running\n",
            "",
        ),
        (
            &["start", "b", "--wait", "running"],
            0,
            "b: already running\n",
            "",
        ),
        (
            &["stop", "b", "--wait", "exited"],
            0,
            "b: already stopped\n",
            "",
        ),
        (
            &["start", "b", "--wait", "exited"],
            1,
            "",
            "error: b: Container already running\n",
        ),
        (
            &["start", "c", "--wait", "healthy"],
            1,
            "",
            "error: c: Container already running\n",
        ),
        (&["start", "d"], 1, "", "error: d: It depends on itself\n"),
    ] {
        check(&ctl(&url, arguments), code, stdout, stderr);
    }
}

#[test]
fn lines_of_both_streams() {
    let lines = concat!(
        r#"{"stream":"stdout","time":"2026-11-23T13:04:05Z","line":"one"}"#,
        "\n",
        r#"{"stream":"stderr","time":"2026-11-23T13:04:06Z","line":"two"}"#,
        "\n",
        r#"{"stream":"stdout","time":"2026-11-23T13:04:07Z","line":"long ","partial":true}"#,
        "\n",
        r#"{"stream":"stderr","time":null,"line":"\u001b[31mred"}"#,
        "\n",
        r#"{"stream":"stdout","time":"2026-11-23T13:04:07Z","line":"line"}"#,
        "\n",
    );
    let (first, rest) = lines.split_at(100);
    let server = Canned::start(&[
        (
            "GET /container/a/logs",
            &pieces(NDJSON, &[first, rest], true),
        ),
        (
            "GET /container/b/logs",
            &pieces("text/plain", &["a\n", "b\u{e4}"], true),
        ),
    ]);
    let url = server.url();
    // Into two pipes, so that they have to be told apart.
    let output = ctl(&url, &["logs", "a", "-n", "5", "--since", "10m"]);
    check(&output, 0, "one\nlong line\n", "two\n\u{1b}[31mred\n");
    let output = ctl(&url, &["logs", "-t", "a"]);
    check(
        &output,
        0,
        "2026-11-23T13:04:05Z one\n2026-11-23T13:04:07Z long line\n",
        "2026-11-23T13:04:06Z two\n\u{1b}[31mred\n",
    );
    check(&ctl(&url, &["logs", "a", "--json", "-f"]), 0, lines, "");
    // One stream comes as it is, to where it belongs.
    check(
        &ctl(&url, &["logs", "b", "--stream", "stdout", "-t"]),
        0,
        "a\nb\u{e4}",
        "",
    );
    check(
        &ctl(&url, &["logs", "b", "--stream", "stderr", "--until", "1"]),
        0,
        "",
        "a\nb\u{e4}",
    );
    assert_eq!(
        server.asked(),
        [
            "GET /container/a/logs?tail=5&since=10m application/x-ndjson",
            "GET /container/a/logs application/x-ndjson",
            "GET /container/a/logs?follow=true application/x-ndjson",
            "GET /container/b/logs?timestamps=true&stream=stdout text/plain",
            "GET /container/b/logs?until=1&stream=stderr text/plain",
        ]
    );
    // Where both lead to the same place there is nothing to tell apart.
    let folder = TempDir::new().unwrap();
    let file = fs::File::create(folder.path().join("both")).unwrap();
    let mut command = program();
    command.args(["ctl", "logs", "b", "--url", &url]);
    let status = command
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .status();
    assert_eq!(status.unwrap().code(), Some(0));
    assert_eq!(
        fs::read_to_string(folder.path().join("both")).unwrap(),
        "a\nb\u{e4}"
    );
}

#[test]
fn what_breaks_off_is_no_end() {
    let line = "{\"stream\":\"stdout\",\"time\":null,\"line\":\"one\"}\n";
    let server = Canned::start(&[
        ("GET /container/a/logs", &pieces(NDJSON, &[line], false)),
        (
            "GET /container/b/logs",
            &pieces(NDJSON, &[line, "{\"stream\":"], true),
        ),
        (
            "GET /container/c/logs",
            &pieces("text/plain", &["one\n"], false),
        ),
        (
            "GET /containers",
            &pieces("application/json", &["{\"containers\":["], false),
        ),
        (
            "GET /container/a/stats",
            &pieces(NDJSON, &["{\"container\":\"a\"}\n"], false),
        ),
        ("POST /container/a/stop", ""),
    ]);
    let url = server.url();
    let broken = "error: the answer broke off: ";
    for (arguments, stdout, stderr) in [
        (&["logs", "a"][..], "one\n", broken),
        (
            &["logs", "a", "--json"],
            line,
            "{\"error\":\"the answer broke off: ",
        ),
        (
            &["logs", "b"],
            "one\n",
            "error: the answer broke off within a line",
        ),
        (&["logs", "c", "--stream", "stdout"], "one\n", broken),
        (&["ls"], "", broken),
        (
            &["stats", "--watch", "--json", "a"],
            "{\"container\":\"a\"}\n",
            "{\"error\":\"a: the answer broke off: ",
        ),
        (&["stop", "a"], "", "error: a: http://"),
    ] {
        let output = ctl(&url, arguments);
        let (said, complained) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(1), stdout),
            "{complained}"
        );
        assert!(complained.starts_with(stderr), "{complained}");
    }
    let stop = ctl(&url, &["stop", "a"]);
    check_complaint(&stop, 1, "it may have been done all the same");
}

pub(crate) const SAMPLE: &str = r#"{"container":"a","time":"2026-11-23T13:04:05Z","cpu_percent":1.5,"memory_bytes":1048576,"memory_limit_bytes":4194304,"network_rx_bytes":1,"network_tx_bytes":2,"block_read_bytes":3,"block_write_bytes":4,"pids":5}"#;

#[test]
fn figures() {
    let whoami = r#"{"principal":"x","roles":[],"containers":{"a":["status","stats"],"b":["status"],"c":["stats"]}}"#;
    let containers = r#"{"containers":[{"container":"a","status":"running","running":true},
        {"container":"b","status":"running","running":true},{"container":"c","status":"exited","running":false}]}"#;
    let two = format!("{SAMPLE}\n{SAMPLE}\n");
    let once = Canned::start(&[
        ("GET /whoami", &json(200, whoami)),
        ("GET /containers", &json(200, containers)),
        ("GET /container/a/stats", &json(200, SAMPLE)),
        (
            "GET /container/c/stats",
            &json(409, r#"{"error":"Container not running"}"#),
        ),
    ]);
    let heading = "CONTAINER   CPU %   MEM USAGE / LIMIT   MEM %    NET I/O   BLOCK I/O   PIDS\n";
    let row = "a           1.50%   1MiB / 4MiB         25.00%   1B / 2B   3B / 4B     5\n";
    let url = once.url();
    check(&ctl(&url, &["stats"]), 0, &format!("{heading}{row}"), "");
    check(
        &ctl(&url, &["stats", "a", "--json"]),
        0,
        &format!("{SAMPLE}\n"),
        "",
    );
    check(
        &ctl(&url, &["stats", "c", "a"]),
        1,
        &format!("{heading}{row}"),
        "error: c: Container not running\n",
    );
    let live = Canned::start(&[
        ("GET /container/a/stats", &pieces(NDJSON, &[&two], true)),
        (
            "GET /container/c/stats",
            &json(409, r#"{"error":"Container not running"}"#),
        ),
    ]);
    let url = live.url();
    check(&ctl(&url, &["stats", "-f", "--json", "a"]), 0, &two, "");
    let output = ctl(&url, &["stats", "--watch", "a", "c"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: c: Container not running\n"
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let words: Vec<Vec<&str>> = said
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(words.len(), 3, "{said}");
    assert_eq!((words[1][0], words[2][1]), ("a", "1.50%"), "{said}");
    assert_eq!(
        live.asked()[0],
        "GET /container/a/stats application/x-ndjson"
    );
    let names: Vec<String> = (0..65).map(|n| format!("a{n}")).collect();
    let many: Vec<&str> = ["stats", "-f"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .collect();
    check_complaint(&ctl(&url, &many), 2, "65 containers are too many");
}

#[test]
fn commands_of_the_gateway() {
    let list = r#"{"container":"a","commands":[{"command":"probe","params":{"url":"rtmp://[a-z]+"},"timeout":"10s"},
        {"command":"reload","params":{},"timeout":"1m"}]}"#;
    let ended = |code: i32, truncated: bool| {
        let body = serde_json::json!({ "container": "a", "command": "x", "exit_code": code, "stdout": "out\n",
            "stderr": "err", "truncated": truncated, "duration_ms": 3 });
        json(200, &body.to_string())
    };
    let slow = r#"{"error":"slow took longer than 1s and was ended","container":"a","command":"slow",
        "left_running":false,"stdout":"so far\n","stderr":"","truncated":false,"duration_ms":1000}"#;
    let server = Canned::start(&[
        ("GET /container/a/exec", &json(200, list)),
        ("POST /container/a/exec/probe", &ended(0, false)),
        ("POST /container/a/exec/fails", &ended(42, true)),
        ("POST /container/a/exec/odd", &ended(-1, false)),
        ("POST /container/a/exec/slow", &json(504, slow)),
        (
            "POST /container/a/exec/x%2F..%2Fy",
            &json(404, r#"{"error":"Command not found: x/../y"}"#),
        ),
    ]);
    let url = server.url();
    let table = "COMMAND   TIMEOUT   PARAMETERS\nprobe     10s       url=rtmp://[a-z]+\nreload    1m        -\n";
    check(&ctl(&url, &["exec", "a"]), 0, table, "");
    check(
        &ctl(&url, &["exec", "a", "probe", "url=rtmp://x?a=b", "n="]),
        0,
        "out\n",
        "err",
    );
    let cut = "errwarning: the command printed more, which the gateway cut off\n";
    check(&ctl(&url, &["exec", "a", "fails"]), 42, "out\n", cut);
    check(&ctl(&url, &["exec", "a", "odd"]), 125, "out\n", "err");
    let told = "error: slow took longer than 1s and was ended\n";
    check(&ctl(&url, &["exec", "a", "slow"]), 124, "so far\n", told);
    check_complaint(
        &ctl(&url, &["exec", "a", "x/../y"]),
        125,
        "Command not found: x/../y",
    );
    check_complaint(
        &ctl(&url, &["exec", "a", "probe", "n=1", "n=2"]),
        125,
        "`n` is given twice",
    );
    check_complaint(
        &ctl("http://127.0.0.1:1", &["exec", "a", "probe"]),
        125,
        "cannot connect",
    );
    assert_eq!(
        ctl(&url, &["exec", "a", "probe", "n"]).status.code(),
        Some(2)
    );
    let sent = r#"POST /container/a/exec/probe application/json {"n":"","url":"rtmp://x?a=b"}"#;
    assert_eq!(server.asked()[1], sent);
}

/// SECURITY: what answers may be anybody.
#[test]
fn strangers() {
    let redirect = "HTTP/1.1 307 X\r\nLocation: http://evil.example/\u{1b}]0;x\u{7}\r\nContent-Length: 0\r\n\r\n";
    let busy = "HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{\"error\":\"Busy\"}";
    let table = r#"{"containers":[{"container":"\u001b[2J","status":"run\nning","running":true}]}"#;
    let bad = r#"{"error":"Docker error: \u001b]0;owned\u0007\nerror: done"}"#;
    let long = format!("\"{}\"", "x".repeat(17 << 20));
    let line = format!("{}\n", "x".repeat(5 << 20));
    for (answer, code, part) in [
        (
            answer(200, "text/html", "<html>"),
            1,
            "(200 OK) is no relayer-controller; see `--url`",
        ),
        (
            answer(502, "text/html", "<html>"),
            1,
            "(502 Bad Gateway) is no relayer-controller",
        ),
        (
            json(200, r#"{"pods":[]}"#),
            1,
            "not what a relayer-controller of this version says: missing field",
        ),
        (
            json(404, r#"{"error":"Not found"}"#),
            1,
            "is it of an older version?",
        ),
        (
            redirect.replace(['\u{1b}', '\u{7}'], ""),
            1,
            "sends us on to `http://evil.example/]0;x`, where we do not go",
        ),
        (busy.to_owned(), 1, "Busy; try again in 7s"),
        (
            json(500, bad),
            1,
            "Docker error: \\u{1b}]0;owned\\u{7}\\nerror: done\n",
        ),
        (json(200, &long), 1, "longer than 16 MiB"),
        ("SSH-2.0-OpenSSH\r\n".to_owned(), 1, "does not speak HTTP"),
        (String::new(), 1, "closed the connection without an answer"),
    ] {
        let server = Canned::start(&[("GET /containers", &answer)]);
        check_complaint(&ctl(&server.url(), &["ls"]), code, part);
    }
    let server = Canned::start(&[
        ("GET /containers", &json(200, table)),
        ("GET /container/a/logs", &pieces(NDJSON, &[&line], true)),
        ("GET /container/b/logs", &answer(200, "text/plain", "plain")),
    ]);
    let shown = "CONTAINER   STATUS\n\\u{1b}[2J   run\\nning\n";
    check(&ctl(&server.url(), &["ls"]), 0, shown, "");
    check_complaint(&ctl(&server.url(), &["logs", "a"]), 1, "longer than 4 MiB");
    check_complaint(
        &ctl(&server.url(), &["logs", "b"]),
        1,
        "does not come line by line",
    );
}
