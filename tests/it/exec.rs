//! Commands: which there are, what comes of them, what is refused, and that nothing of them is left.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::engine::OwnContainer;
use relayer_controller::pretend::Fault;
use serde_json::{Value, json};

use crate::audit::{Trail, said};
use crate::gateway::Gateway;
use crate::http::{self, Answer, connect};
use crate::running::wait;
use crate::stage::{Stage, on_each_engine};

/// `c0` has commands; `c1` has none, and neither verb nor command is there for `c2`.
const TABLES: &str = r#"
[containers.c0]
allow = ["status", "stop", "pause", "unpause", "exec"]
cooldown = "1h"
[containers.c1]
allow = ["status", "exec"]
[containers.c2]
allow = ["status"]
[containers.c0.exec]
true = { argv = ["true"] }
false = { argv = ["false"] }
both = { argv = ["sh", "-c", "echo out; echo err >&2; exit 3"] }
say = { argv = ["echo", "<{what}>", "-n={what}", "{{}}"], params.what = "(?s).*" }
strict = { argv = ["echo", "{a}", "{b-1}"], params = { a = "[a-z]{1,3}", b-1 = "x|y.*" } }
bytes = { argv = ["printf", 'a\377b'] }
endless = { argv = ["yes"], timeout = "500ms", max_output = 10 }
sleep = { argv = ["sleep", "{n}"], params.n = "[0-9.]+", timeout = "500ms" }
family = { argv = ["sh", "-c", "sleep 301 & sleep 302"], timeout = "500ms" }
nobody = { argv = ["sleep", "303"], timeout = "500ms", user = "nobody" }
orphan = { argv = ["sh", "-c", "sleep 4 & echo started"], timeout = "3s" }
long = { argv = ["sleep", "1"], timeout = "20s" }
where = { argv = ["pwd"], workdir = "/tmp" }
who = { argv = ["id", "-u"], user = "65534:65534" }
env = { argv = ["env"], env = { A = "1", B = "x y $HOME" } }
cat = { argv = ["cat"] }
missing = { argv = ["nosuch", "-v"] }
absent = { argv = ["/bin/nosuch"] }
folder = { argv = ["/tmp"] }
nowhere = { argv = ["true"], workdir = "/nowhere" }
stranger = { argv = ["true"], user = "stranger" }
"#;

fn run(stage: &Stage, command: &str, body: &str) -> Answer {
    let path = format!("/container/c0/exec/{command}");
    http::ask_with(stage.address, "POST", &path, "", body)
}

/// Exit code, standard output, standard error and whether it was truncated.
fn outcome(answer: &Answer) -> Value {
    let told = answer.json();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(told["duration_ms"].is_u64(), "{answer:?}");
    assert_eq!(told.as_object().unwrap().len(), 7, "{answer:?}");
    json!([
        told["exit_code"],
        told["stdout"],
        told["stderr"],
        told["truncated"]
    ])
}

fn check(stage: &Stage, command: &str, body: &str, expected: &Value) {
    let told = outcome(&run(stage, command, body));
    assert_eq!(&told, expected, "{command} {body} on {}", stage.kind);
}

fn check_error(stage: &Stage, command: &str, body: &str, status: u16, error: &str) {
    let answer = run(stage, command, body);
    let told = (answer.status, answer.json());
    assert_eq!(
        told,
        (status, json!({ "error": error })),
        "{command} {body} on {}",
        stage.kind
    );
}

/// The commands that a container's processes are, as `docker top` shows them.
fn top(stage: &Stage, id: &str) -> Vec<String> {
    let path = format!("/containers/{id}/top?ps_args=-ef");
    let said = stage.engine.ask("GET", &path, None).body;
    let rows = said["Processes"].as_array().unwrap().clone();
    rows.iter()
        .map(|row| row[7].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn which_commands_there_are() {
    let tables = r#"
[containers.c0]
allow = ["exec"]
[containers.c0.exec.probe]
argv = ["ffprobe", "{url}", "{n}"]
params = { url = "rtmp://[a-z]+", n = "[0-9]" }
timeout = "1m 30s"
[containers.c0.exec.a-b]
argv = ["true"]
[containers.c1]
allow = ["exec"]
"#;
    on_each_engine(tables, |stage| {
        stage.running("c0");
        stage.container("c1");
        let told = stage.get("/container/c0/exec").json();
        let expected = json!({ "container": "c0", "commands": [
            { "command": "a-b", "params": {}, "timeout": "10s" },
            { "command": "probe", "params": { "n": "[0-9]", "url": "rtmp://[a-z]+" }, "timeout": "1m 30s" },
        ] });
        assert_eq!(told, expected, "{}", stage.kind);
        stage.check(
            "GET",
            "/container/c1/exec",
            200,
            r#"{"container":"c1","commands":[]}"#,
        );
    });
}

#[test]
fn what_comes_of_them() {
    on_each_engine(TABLES, |stage| {
        stage.running("c0");
        let whole = run(stage, "both", "").json();
        assert_eq!(
            (&whole["container"], &whole["command"]),
            (&json!("c0"), &json!("both"))
        );
        check(stage, "both", "", &json!([3, "out\n", "err\n", false]));
        check(stage, "true", "", &json!([0, "", "", false]));
        check(stage, "true", "{}", &json!([0, "", "", false]));
        check(stage, "false", " ", &json!([1, "", "", false]));
        // Its input is empty, and not ours.
        check(stage, "cat", "", &json!([0, "", "", false]));
        check(stage, "bytes", "", &json!([0, "a\u{fffd}b", "", false]));
        check(stage, "where", "", &json!([0, "/tmp\n", "", false]));
        check(stage, "who", "", &json!([0, "65534\n", "", false]));
        let told = outcome(&run(stage, "env", ""));
        let env: Vec<_> = told[1].as_str().unwrap().lines().collect();
        assert!(
            env.contains(&"A=1") && env.contains(&"B=x y $HOME"),
            "{env:?}"
        );
        let is_marker = |line: &&&str| line.starts_with("RELAYER_EXEC=");
        let marker = env.iter().find(is_marker).unwrap();
        assert_eq!(marker.len(), 13 + 32, "{marker}");
    });
}

/// A value is one argument, or a part of one, whatever stands in it.
#[test]
fn no_value_becomes_a_command() {
    on_each_engine(TABLES, |stage| {
        stage.running("c0");
        for value in [
            "",
            "a",
            "$(id)",
            "`id`",
            "; id",
            "a\nid",
            "| id",
            "&& id",
            "> /tmp/x",
            "'; id; '",
            "\"",
            "\\",
            "-e",
            "--help",
            "{what}",
            "{{",
            "*",
            "$HOME",
            "~",
            "ä€😀",
            "\u{1}\u{1b}[31m",
        ] {
            let body = json!({ "what": value }).to_string();
            let expected = format!("<{value}> -n={value} {{}}\n");
            check(stage, "say", &body, &json!([0, expected, "", false]));
        }
    });
}

#[test]
fn what_is_refused() {
    const NO_OBJECT: &str =
        "Bad body: it has to be empty, or a JSON object with the parameters by name";
    on_each_engine(TABLES, |stage| {
        stage.running("c0");
        stage.record.take();
        let good = r#"{"a":"abc","b-1":"x"}"#;
        for (command, body, status, error) in [
            ("nope", "", 404, "Command not found: nope"),
            ("True", "", 404, "Command not found: True"),
            ("%74rue%00", "", 404, "Command not found: true\0"),
            ("..%2ftrue", "", 404, "Command not found: ../true"),
            ("true?x=1", "", 400, "Unknown parameter: x"),
            ("strict?a=abc", good, 400, "Unknown parameter: a"),
            ("true", r#"{"a":"b"}"#, 400, "Unknown parameter: a"),
            (
                "strict",
                "",
                400,
                "Missing parameter: a: a text that matches `[a-z]{1,3}`",
            ),
            (
                "strict",
                r#"{"a":"abc"}"#,
                400,
                "Missing parameter: b-1: a text that matches `x|y.*`",
            ),
            (
                "strict",
                r#"{"a":"abcd","b-1":"x"}"#,
                400,
                "Bad parameter: a: the whole value must match `[a-z]{1,3}`",
            ),
            (
                "strict",
                r#"{"a":"abc\n","b-1":"x"}"#,
                400,
                "Bad parameter: a: the whole value must match `[a-z]{1,3}`",
            ),
            (
                "strict",
                r#"{"a":"abc","b-1":"xy"}"#,
                400,
                "Bad parameter: b-1: the whole value must match `x|y.*`",
            ),
            (
                "strict",
                r#"{"a":7,"b-1":"x"}"#,
                400,
                "Bad parameter: a: a text that matches `[a-z]{1,3}` is expected, not a number",
            ),
            (
                "strict",
                r#"{"a":"abc","b-1":"x","a":"abc"}"#,
                400,
                "Parameter given twice: a",
            ),
            (
                "strict",
                r#"{"a":"abc","b-1":"x","c":""}"#,
                400,
                "Unknown parameter: c",
            ),
            (
                "say",
                r#"{"what":"a\u0000b"}"#,
                400,
                "Bad parameter: what: the whole value must match `(?s).*`",
            ),
            ("strict", "[]", 400, NO_OBJECT),
            ("strict", "a=abc&b-1=x", 400, NO_OBJECT),
            ("true", "null", 400, NO_OBJECT),
        ] {
            check_error(stage, command, body, status, error);
        }
        let long = json!({ "what": "x".repeat(5000) }).to_string();
        let error = "Bad parameter: what: more than 4096 bytes";
        check_error(stage, "say", &long, 400, error);
        let vast = json!({ "what": "x".repeat(70_000) }).to_string();
        assert_eq!(run(stage, "say", &vast).status, 413);
        assert_eq!(stage.record.take(), Vec::<String>::new(), "{}", stage.kind);
    });
}

#[test]
fn whom_it_is_refused() {
    on_each_engine(TABLES, |stage| {
        stage.running("c0");
        stage.running("c2");
        stage.running("hidden");
        stage.record.take();
        let forbidden = r#"{"error":"Forbidden: exec is not allowed on c2"}"#;
        for (method, path, status, body) in [
            ("GET", "/container/c2/exec", 403, forbidden),
            // Whether there is such a command is nobody's business.
            ("POST", "/container/c2/exec/true", 403, forbidden),
            ("POST", "/container/c2/exec/nope", 403, forbidden),
            (
                "GET",
                "/container/hidden/exec",
                404,
                r#"{"error":"Container not found: hidden"}"#,
            ),
            (
                "POST",
                "/container/hidden/exec/true",
                404,
                r#"{"error":"Container not found: hidden"}"#,
            ),
            (
                "POST",
                "/container/-/exec/true",
                404,
                r#"{"error":"Container not found: -"}"#,
            ),
            (
                "POST",
                "/container/c1/exec/true",
                404,
                r#"{"error":"Command not found: true"}"#,
            ),
            (
                "GET",
                "/container/c0/exec/true",
                405,
                r#"{"error":"Method not allowed"}"#,
            ),
            (
                "POST",
                "/container/c0/exec",
                405,
                r#"{"error":"Method not allowed"}"#,
            ),
            (
                "POST",
                "/container/c0/exec/",
                404,
                r#"{"error":"Not found"}"#,
            ),
        ] {
            stage.check(method, path, status, body);
        }
        assert_eq!(stage.record.take(), Vec::<String>::new(), "{}", stage.kind);
        // Managed and granted, and not there.
        let absent = r#"{"error":"Container not found: c1"}"#;
        stage.check("GET", "/container/c1/exec", 404, absent);
    });
}

#[test]
fn what_cannot_be_started() {
    on_each_engine(TABLES, |stage| {
        let id = stage.container("c0");
        check_error(stage, "true", "", 409, "Container not running");
        stage.engine.post(&format!("/containers/{id}/start"));
        for (command, error) in [
            (
                "missing",
                "Docker error: cannot run `nosuch`: exec: \"nosuch\": executable file not found in $PATH",
            ),
            (
                "absent",
                "Docker error: cannot run `/bin/nosuch`: exec: \"/bin/nosuch\": stat /bin/nosuch: no such file or directory",
            ),
            (
                "folder",
                "Docker error: cannot run `/tmp`: exec: \"/tmp\": permission denied",
            ),
            (
                "nowhere",
                "Docker error: cannot run `true`: chdir to cwd (\"/nowhere\") set in config.json failed: no such file or directory",
            ),
            (
                "stranger",
                "Docker error: cannot run `true`: unable to find user stranger: no matching entries in passwd file",
            ),
        ] {
            check_error(stage, command, "", 500, error);
        }
        stage.engine.post(&format!("/containers/{id}/pause"));
        let error =
            format!("Docker error: Container {id} is paused, unpause the container before exec");
        check_error(stage, "true", "", 500, &error);
        stage.engine.post(&format!("/containers/{id}/unpause"));
        stage.engine.post(&format!("/containers/{id}/kill"));
        check_error(stage, "true", "", 409, "Container not running");
        stage.engine.remove(&id);
        check_error(stage, "true", "", 404, "Container not found: c0");
    });
}

/// However much is printed, what is kept is what may be, and the program is not held back.
#[test]
fn more_than_is_kept() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        let answer = run(stage, "endless", "");
        let told = answer.json();
        assert_eq!(answer.status, 504, "{answer:?}");
        assert_eq!(told["stdout"], "y\ny\ny\ny\ny\n", "{}", stage.kind);
        assert_eq!(told["truncated"], true, "{}", stage.kind);
        assert_eq!(told["left_running"], false, "{}", stage.kind);
        assert!(!top(stage, &id).contains(&"yes".to_owned()));
    });
}

/// What takes too long is gone when that is answered, with its children and whoever's it is.
#[test]
fn a_time_limit_ends_what_it_is_about() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        for (command, body) in [("sleep", r#"{"n":"300"}"#), ("family", ""), ("nobody", "")] {
            let since = Instant::now();
            let answer = run(stage, command, body);
            let mut told = answer.json();
            let took = told["duration_ms"].take();
            let expected = json!({
                "error": format!("{command} took longer than 500ms and was ended"),
                "container": "c0", "command": command, "left_running": false,
                "stdout": "", "stderr": "", "truncated": false, "duration_ms": null,
            });
            assert_eq!((answer.status, told), (504, expected), "{}", stage.kind);
            assert!((500..4000).contains(&took.as_u64().unwrap()), "{took}");
            assert!(since.elapsed() < Duration::from_secs(5), "{command}");
            let left = top(stage, &id);
            let is_sleeper = |process: &&String| process.contains("sleep 30");
            assert_eq!(left.iter().find(is_sleeper), None, "{}", stage.kind);
        }
        // Nothing else was touched.
        assert_eq!(stage.engine.state(&id), "running");
        check(stage, "sleep", r#"{"n":"0.1"}"#, &json!([0, "", "", false]));
        let accept = "Accept: application/problem+json\r\n";
        let path = "/container/c0/exec/family";
        let answer = http::ask_with(stage.address, "POST", path, accept, "");
        let told = answer.json();
        assert_eq!(told["title"], "Gateway Timeout", "{told}");
        assert_eq!(told["details"]["left_running"], false, "{told}");
    });
}

/// What a container offers no means to end is said to be left.
#[test]
fn where_there_is_no_shell() {
    let tables = "[containers.c0]\nallow = [\"exec\"]\n[containers.c0.exec.sleep]\nargv = [\"/tmp/sleep\", \"3\"]\ntimeout = \"500ms\"\n";
    on_each_engine(tables, |stage| {
        let name = format!("{}c0", stage.prefix);
        // It has thrown its shells away by the time that it is what it is.
        let program = "cp /bin/busybox /tmp/sleep; rm -rf /bin; exec /tmp/sleep 1000";
        let id = stage
            .engine
            .create_with(&name, program, &json!({ "pretend.no-shell": "" }));
        stage.engine.post(&format!("/containers/{id}/start"));
        let is_ready = |process: &String| process.contains("sleep 1000");
        wait(|| top(stage, &id).iter().any(is_ready));
        let answer = run(stage, "sleep", "");
        let told = answer.json();
        assert_eq!(answer.status, 504, "{answer:?}");
        assert_eq!(told["left_running"], true, "{}", stage.kind);
        let error = "sleep took longer than 500ms and may be running still: the container has no means to end it";
        assert_eq!(told["error"], error);
        assert!(top(stage, &id).contains(&"/tmp/sleep 3".to_owned()));
        wait(|| !top(stage, &id).contains(&"/tmp/sleep 3".to_owned()));
    });
}

/// What a command starts and leaves behind does not hold its answer up, nor does it count as too long.
#[test]
fn a_child_that_stays_is_not_waited_for() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        let since = Instant::now();
        check(stage, "orphan", "", &json!([0, "started\n", "", false]));
        let took = since.elapsed();
        assert!(
            took < Duration::from_millis(1900),
            "{took:?} on {}",
            stage.kind
        );
        assert!(top(stage, &id).contains(&"sleep 4".to_owned()));
    });
}

/// A caller that hangs up ends nothing, and a stop of the gateway waits for what it began.
#[test]
fn a_command_outlives_its_caller() {
    let trail = Trail::new();
    let tables = format!("[audit]\noutput = \"{}\"\n{TABLES}", trail.path.display());
    on_each_engine(&tables, |stage| {
        stage.running("c0");
        let mut stream = connect(stage.address);
        stream
            .write_all(b"POST /container/c0/exec/long HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let is_start = |request: &String| request.contains("/exec/");
        wait(|| stage.record.take_changes().iter().any(is_start));
        drop(stream);
        assert!(stage.stop(), "drained in time");
        let keys = ["event", "command", "outcome", "status"];
        let told: Vec<_> = trail
            .take()
            .iter()
            .map(|record| said(record, &keys))
            .collect();
        let expected = [
            json!(["admitted", "long", null, null]),
            json!(["ended", "long", "done", 200]),
        ];
        assert_eq!(told, expected, "{}", stage.kind);
    });
}

#[test]
fn every_command_is_on_record() {
    let trail = Trail::new();
    let tables = format!("[audit]\noutput = \"{}\"\n{TABLES}", trail.path.display());
    on_each_engine(&tables, |stage| {
        stage.running("c0");
        stage.running("c2");
        for (path, body) in [
            ("c0/exec/false", ""),
            ("c0/exec/say", r#"{"what":"secret"}"#),
            ("c0/exec/nope", ""),
            ("c0/exec/strict", r#"{"a":"secret"}"#),
            ("c0/exec/missing", ""),
            ("c0/exec/sleep", r#"{"n":"9"}"#),
            ("c2/exec/true", ""),
            ("hidden/exec/true", ""),
        ] {
            let path = format!("/container/{path}");
            http::ask_with(stage.address, "POST", &path, "", body);
        }
        stage.get("/container/c0/exec");
        let keys = [
            "event",
            "verb",
            "container",
            "command",
            "decision",
            "outcome",
            "status",
        ];
        let records = trail.take();
        let told: Vec<_> = records.iter().map(|record| said(record, &keys)).collect();
        let c0 = |event: &str,
                  command: &str,
                  decision: &str,
                  outcome: Option<&str>,
                  status: Option<u16>| {
            json!([event, "exec", "c0", command, decision, outcome, status])
        };
        let expected = [
            c0("admitted", "false", "allow", None, None),
            c0("ended", "false", "allow", Some("done"), Some(200)),
            c0("admitted", "say", "allow", None, None),
            c0("ended", "say", "allow", Some("done"), Some(200)),
            c0("denied", "nope", "deny", None, Some(404)),
            c0("denied", "strict", "deny", None, Some(400)),
            c0("admitted", "missing", "allow", None, None),
            c0("ended", "missing", "allow", Some("failed"), Some(500)),
            c0("admitted", "sleep", "allow", None, None),
            c0("ended", "sleep", "allow", Some("failed"), Some(504)),
            json!(["denied", "exec", "c2", "true", "deny", null, 403]),
            json!(["denied", "exec", "hidden", "true", "deny", null, 404]),
        ];
        assert_eq!(told, expected, "{}", stage.kind);
        let all = serde_json::to_string(&records).unwrap();
        assert!(!all.contains("secret"), "{all}");
        assert_eq!(
            records[9]["error"], "sleep took longer than 500ms and was ended",
            "{}",
            stage.kind
        );
    });
}

/// The gateway runs nothing in its own container.
#[test]
fn not_in_its_own_container() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        let own = OwnContainer::with_id(id.parse().unwrap());
        let inside = Gateway::start(&stage.prefix, &stage.host, own, TABLES);
        stage.record.take();
        inside.check(
            "POST",
            "/container/c0/exec/true",
            403,
            r#"{"error":"Forbidden: exec is not allowed on c0"}"#,
        );
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
    });
}

/// A command has a place among the changes, and waits for no turn: a stop that takes long does not keep it.
#[test]
fn commands_count_as_changes() {
    let tables = format!("[limits]\nchanges = 1\n{TABLES}");
    on_each_engine(&tables, |stage| {
        stage.running("c0");
        thread::scope(|scope| {
            let long = scope.spawn(|| run(stage, "long", "").status);
            let is_start = |request: &String| request.contains("/exec/");
            wait(|| stage.record.take_changes().iter().any(is_start));
            let error = "Too many changes are under way: try again later";
            check_error(stage, "true", "", 429, error);
            assert_eq!(long.join().unwrap(), 200);
        });
        check(stage, "true", "", &json!([0, "", "", false]));
        // It begins no cool-down, and waits for none.
        assert_eq!(stage.post("/container/c0/stop").status, 200);
        assert_eq!(stage.post("/container/c0/stop").status, 429);
        check_error(stage, "true", "", 409, "Container not running");
    });
}

/// An engine that breaks off in the middle is an error, and what it had begun is ended.
#[test]
fn an_engine_that_fails() {
    let stage = Stage::pretend(TABLES);
    let id = stage.running("c0");
    let pretend = stage.pretend.as_ref().unwrap();
    for (path, fault, error) in [
        (
            "/exec",
            Fault::Fail,
            "Docker error: the pretend engine was told to fail",
        ),
        (
            "/start",
            Fault::Fail,
            "Docker error: the pretend engine was told to fail",
        ),
        (
            "/start",
            Fault::Stall,
            "Docker error: no answer from the engine within 3s",
        ),
        (
            "/start",
            Fault::NotJson,
            "Docker error: the engine's answer makes no sense: the output of a command is not framed as it should be",
        ),
    ] {
        pretend.set_fault_on(path, fault);
        check_error(&stage, "true", "", 500, error);
        pretend.set_fault(None);
    }
    pretend.set_fault_on("/start", Fault::Cut);
    let answer = run(&stage, "true", "");
    assert_eq!(answer.status, 500, "{answer:?}");
    pretend.set_fault(None);
    // What runs when the engine can no longer be asked how it is.
    thread::scope(|scope| {
        let broken = scope.spawn(|| run(&stage, "long", ""));
        wait(|| top(&stage, &id).contains(&"sleep 1".to_owned()));
        pretend.set_fault_on("/json", Fault::Fail);
        wait(|| !top(&stage, &id).contains(&"sleep 1".to_owned()));
        assert_eq!(broken.join().unwrap().status, 500);
    });
}

/// Many at once and many in a row leave nothing behind: no process, and no connection to the engine.
#[test]
fn nothing_is_left() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("c0");
        let before = top(stage, &id).len();
        let (rounds, crowd) = if stage.pretend.is_some() {
            (20, 50)
        } else {
            (2, 50)
        };
        for _ in 0..rounds {
            thread::scope(|scope| {
                let one = || check(stage, "both", "", &json!([3, "out\n", "err\n", false]));
                (0..crowd).for_each(|_| drop(scope.spawn(one)));
            });
        }
        for _ in 0..(crowd * rounds / 10) {
            check(stage, "true", "", &json!([0, "", "", false]));
        }
        wait(|| top(stage, &id).len() <= before);
        if let Some(pretend) = &stage.pretend {
            // The most that are kept, and the test's own.
            wait(|| pretend.connections() <= 16 + 1);
        }
        assert!(stage.stop(), "no task is left");
    });
}
