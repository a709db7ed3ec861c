//! Commands: which there are, what comes of them, what is refused, and that nothing of them is left.

use serde_json::{Value, json};

use crate::http::{self, Answer};
use crate::stage::{Stage, on_each_engine};

/// `c0` has commands; `c1` has none, and neither verb nor command is there for `c2`.
pub(crate) const TABLES: &str = r#"
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

pub(crate) fn run(stage: &Stage, command: &str, body: &str) -> Answer {
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

pub(crate) fn check(stage: &Stage, command: &str, body: &str, expected: &Value) {
    let told = outcome(&run(stage, command, body));
    assert_eq!(&told, expected, "{command} {body} on {}", stage.kind);
}

pub(crate) fn check_error(stage: &Stage, command: &str, body: &str, status: u16, error: &str) {
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
pub(crate) fn top(stage: &Stage, id: &str) -> Vec<String> {
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
