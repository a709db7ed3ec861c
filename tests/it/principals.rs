//! Who may do what, from outside: every kind of caller on every row, for containers that it sees and that are hidden.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};

use relayer_controller::api::{Endpoint, Need, ROWS, Row};
use relayer_controller::authn::TokenHash;
use relayer_controller::engine::OwnContainer;
use relayer_controller::policy::Verb;
use serde_json::json;
use tempfile::TempDir;

use crate::authority::{self, Authority};
use crate::gateway::Gateway;
use crate::http::{self, Answer};
use crate::principals_unix::ask_over;
use crate::stage::{Stage, on_each_engine};
use crate::stats::until;

const CHANGES: [Verb; 6] = [
    Verb::Start,
    Verb::Stop,
    Verb::Restart,
    Verb::Pause,
    Verb::Unpause,
    Verb::Kill,
];

/// The rules of these tests. Everybody in it has the token `<name>-token`.
pub(crate) fn tables(more: &str) -> String {
    let hash = |name: &str| TokenHash::of(&format!("{name}-token")).written();
    let mut text = String::from(
        r#"
[containers.a]
allow = ["status", "start", "stop", "restart", "pause", "unpause", "kill", "logs", "stats", "exec"]
exec.probe = { argv = ["true"] }
[containers.b]
allow = ["status", "start"]
[containers.mute]
allow = ["restart"]
[roles.viewer]
allow = ["status", "logs", "stats"]
[roles.operator]
allow = ["status", "start", "stop", "restart", "pause", "unpause", "kill", "exec"]
containers = ["a"]
[roles.starter]
allow = ["start"]
[roles.careful]
forbid = ["stop", "restart", "kill"]
containers = ["a*"]
[roles.blind]
forbid = ["status", "start"]
containers = ["b"]
[roles.ops]
gateway = ["metrics"]
"#,
    );
    for (name, roles) in [
        ("viewer", "viewer"),
        ("operator", "operator"),
        ("starter", "starter"),
        ("careful", "careful\", \"operator"),
        ("blind", "viewer\", \"blind"),
        ("ops", "ops"),
    ] {
        let hash = hash(name);
        let table = [
            "[principals.",
            name,
            "]\ntoken = \"",
            &hash,
            "\"\nroles = [\"",
            roles,
            "\"]\n",
        ];
        text.extend(table);
    }
    let rotating = format!(
        "[principals.rotating]\nroles = [\"viewer\"]\ntoken = [\"{}\", {{ hash = \"{}\", expires = \"2999-01-01\" }}, \
         {{ hash = \"{}\", expires = \"2020-01-01T00:00:00Z\" }}]\n{more}",
        hash("rotating"),
        hash("new"),
        hash("old"),
    );
    text + &rotating
}

/// What a caller may do, as somebody who reads the rules above would say.
#[derive(Clone, Copy)]
pub(crate) enum May {
    /// It is not let in.
    Nobody,
    /// By container: these verbs.
    Do(&'static [(&'static str, &'static [Verb])]),
    /// Nothing but read the metrics.
    ReadMetrics,
}

const VIEWER: May = May::Do(&[
    ("a", &[Verb::Status, Verb::Logs, Verb::Stats]),
    ("b", &[Verb::Status]),
]);

const CAREFUL: May = May::Do(&[(
    "a",
    &[
        Verb::Status,
        Verb::Start,
        Verb::Pause,
        Verb::Unpause,
        Verb::Exec,
    ],
)]);

const OPERATOR: May = May::Do(&[(
    "a",
    &[
        Verb::Status,
        Verb::Start,
        Verb::Stop,
        Verb::Restart,
        Verb::Pause,
        Verb::Unpause,
        Verb::Kill,
        Verb::Exec,
    ],
)]);

/// Header lines, and what whoever sends them may do. Where `anonymous` is a principal, it is a viewer.
pub(crate) fn callers(is_anonymous_known: bool) -> Vec<(&'static str, May)> {
    let anonymous = if is_anonymous_known {
        VIEWER
    } else {
        May::Nobody
    };
    vec![
        ("", anonymous),
        (
            "X-Forwarded-User: operator\r\nCookie: token=operator-token\r\n",
            anonymous,
        ),
        ("Authorization: Bearer viewer-token\r\n", VIEWER),
        ("Authorization: Bearer operator-token\r\n", OPERATOR),
        ("authorization: bearer operator-token\r\n", OPERATOR),
        // operator:operator-token
        (
            "Authorization: Basic b3BlcmF0b3I6b3BlcmF0b3ItdG9rZW4=\r\n",
            OPERATOR,
        ),
        (
            "Authorization: Bearer starter-token\r\n",
            May::Do(&[("a", &[Verb::Start]), ("b", &[Verb::Start])]),
        ),
        ("Authorization: Bearer careful-token\r\n", CAREFUL),
        (
            "Authorization: Bearer blind-token\r\n",
            May::Do(&[("a", &[Verb::Status, Verb::Logs, Verb::Stats])]),
        ),
        ("Authorization: Bearer ops-token\r\n", May::ReadMetrics),
        ("Authorization: Bearer rotating-token\r\n", VIEWER),
        ("Authorization: Bearer new-token\r\n", VIEWER),
        // Wrong is never taken for nothing, also where `anonymous` is a principal.
        ("Authorization: Bearer old-token\r\n", May::Nobody),
        ("Authorization: Bearer Operator-token\r\n", May::Nobody),
        ("Authorization: Bearer operator\r\n", May::Nobody),
        ("Authorization: Bearer \r\n", May::Nobody),
        ("Authorization:\r\n", May::Nobody),
        ("Authorization: operator-token\r\n", May::Nobody),
        ("Authorization: Digest operator-token\r\n", May::Nobody),
        // viewer:operator-token
        (
            "Authorization: Basic dmlld2VyOm9wZXJhdG9yLXRva2Vu\r\n",
            May::Nobody,
        ),
        (
            "Authorization: Bearer operator-token\r\nAuthorization: Bearer viewer-token\r\n",
            May::Nobody,
        ),
    ]
}

/// Another address for each request: this is not about how wrong credentials are slowed.
pub(crate) fn next_address() -> Ipv4Addr {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let [high, low] = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// Asserts what one caller gets for one row, and that what is refused never reaches the engine.
fn check_row(stage: &Stage, row: &Row, headers: &str, may: May) {
    check_asked(stage, row, headers, may, |method, path| {
        http::ask_from(next_address(), stage.address, method, path, headers)
    });
}

/// The same for a caller who asks in this way; `headers` say who it is.
fn check_asked(
    stage: &Stage,
    row: &Row,
    headers: &str,
    may: May,
    ask: impl Fn(&str, &str) -> Answer,
) {
    // A batch takes a body: see `batch`.
    if matches!(row.endpoint, Endpoint::Batch(_)) {
        return;
    }
    for container in ["a", "b", "mute", "hidden"] {
        let expected = match (may, row.needs) {
            (May::Nobody, Need::Nothing) if headers.contains("uthorization") => 401,
            (May::Do(_) | May::ReadMetrics, Need::Principal)
            | (May::ReadMetrics, Need::Facility(_))
            | (_, Need::Nothing) => 200,
            (May::Nobody, Need::Principal | Need::Facility(_) | Need::Verb(_)) => 401,
            (May::Do(_), Need::Facility(_)) => 403,
            (May::ReadMetrics, Need::Verb(verb)) => verb_row(row, &[], container, verb),
            (May::Do(rights), Need::Verb(verb)) => verb_row(row, rights, container, verb),
        };
        let (mut method, mut path) = (row.method, row.path.replace("{name}", container));
        if row.endpoint == Endpoint::Events {
            path = format!("{path}?container={container}");
            if expected == 200 {
                // What happens has no end.
                method = "HEAD";
            }
        }
        let path = path.replace("{command}", "probe");
        let answer = ask(method, &path);
        let reached = stage.record.take();
        let who = format!(
            "{method} {path} of {headers:?} on the {} engine",
            stage.kind
        );
        // What the engine makes of it is not the matter here: 409 and 500 are its answers.
        let status = match answer.status {
            409 | 500 if expected == 200 => 200,
            status => status,
        };
        assert_eq!(status, expected, "{who}: {answer:?}");
        match status {
            401 => {
                assert_eq!(answer.body, r#"{"error":"Unauthorized"}"#, "{who}");
                assert_eq!(answer.header("www-authenticate"), "Bearer", "{who}");
            }
            404 => {
                let error = json!({ "error": format!("Container not found: {container}") });
                assert_eq!(answer.json(), error, "{who}");
            }
            _ => {}
        }
        if status != 200 {
            assert_eq!(reached, Vec::<String>::new(), "{who}");
        }
        if !is_of_one(row) {
            break;
        }
    }
}

/// Whether a request for a row is about one container.
fn is_of_one(row: &Row) -> bool {
    row.path.contains("{name}") || row.endpoint == Endpoint::Events
}

fn verb_row(row: &Row, rights: &[(&str, &[Verb])], container: &str, verb: Verb) -> u16 {
    if !is_of_one(row) {
        return 200;
    }
    match rights.iter().find(|(name, _)| *name == container) {
        None => 404,
        Some((_, verbs)) if verbs.contains(&verb) => 200,
        Some(_) => 403,
    }
}

#[test]
fn every_caller_on_every_row() {
    for is_anonymous_known in [false, true] {
        let more = if is_anonymous_known {
            "[principals.anonymous]\nroles = [\"viewer\"]\n"
        } else {
            ""
        };
        on_each_engine(&tables(more), |stage| {
            for name in ["a", "b", "mute", "hidden"] {
                stage.running(name);
            }
            for (headers, may) in callers(is_anonymous_known) {
                for row in ROWS {
                    check_row(stage, row, headers, may);
                }
            }
        });
    }
}

/// The same for callers who are known by a certificate, or by their user on a Unix listener.
#[test]
fn every_row_by_certificate_and_by_user() {
    let uid = rustix::process::geteuid().as_raw();
    let more = format!(
        "[principals.screen]\ncertificate = \"screen.example.org\"\nroles = [\"viewer\"]\n\
         [principals.local]\nuid = {uid}\nroles = [\"careful\", \"operator\"]\n"
    );
    on_each_engine(&tables(""), |stage| {
        for name in ["a", "b", "mute", "hidden"] {
            stage.running(name);
        }
        let (ours, folder) = (Authority::new("ours"), TempDir::new().unwrap());
        let (certificate, key) = ours.issue(&["localhost"]).write(folder.path(), "server");
        let [ca, socket] = ["ca.pem", "gateway.sock"].map(|name| folder.path().join(name));
        std::fs::write(&ca, ours.pem()).unwrap();
        let lines = format!(
            "listen = [\"127.0.0.1:0\", \"unix:{}\"]\n[server.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n\
             client_ca = {ca:?}\n",
            socket.display()
        );
        let own = OwnContainer::default();
        let gateway = Gateway::start_with(&lines, &stage.prefix, &stage.host, own, &tables(&more));
        let over_tls = |name: &str| ours.client(Some(&ours.issue(&[name])));
        let (screen, stranger) = (over_tls("screen.example.org"), over_tls("stranger"));
        for row in ROWS {
            for (headers, client, may) in [
                ("screen", &screen, VIEWER),
                (
                    "uthorization by a stranger's certificate",
                    &stranger,
                    May::Nobody,
                ),
            ] {
                check_asked(stage, row, headers, may, |method, path| {
                    authority::send(gateway.address, client, method, path, "").unwrap()
                });
            }
            check_asked(stage, row, "local", CAREFUL, |method, path| {
                ask_over(&socket, method, "", path)
            });
        }
    });
}

/// The whole answers of the rows that are about all containers.
#[test]
fn what_each_caller_is_shown() {
    on_each_engine(&tables(""), |stage| {
        for name in ["a", "b", "mute", "hidden"] {
            stage.running(name);
        }
        let list = |header| {
            let headers = format!("Authorization: Bearer viewer-token\r\n{header}");
            http::ask_with(stage.address, "GET", "/containers", &headers, "").body
        };
        until("in memory", || {
            list("") == list("Cache-Control: no-cache\r\n")
        });
        let all = [
            "status", "start", "stop", "restart", "pause", "unpause", "kill", "exec",
        ];
        for (name, roles, containers, listed) in [
            (
                "viewer",
                json!(["viewer"]),
                json!({"a": ["status", "logs", "stats"], "b": ["status"]}),
                &["a", "b"][..],
            ),
            (
                "operator",
                json!(["operator"]),
                json!({ "a": all }),
                &["a"][..],
            ),
            (
                "starter",
                json!(["starter"]),
                json!({"a": ["start"], "b": ["start"]}),
                &[][..],
            ),
            (
                "careful",
                json!(["careful", "operator"]),
                json!({"a": ["status", "start", "pause", "unpause", "exec"]}),
                &["a"][..],
            ),
            (
                "blind",
                json!(["blind", "viewer"]),
                json!({"a": ["status", "logs", "stats"]}),
                &["a"][..],
            ),
            ("ops", json!(["ops"]), json!({}), &[][..]),
        ] {
            let headers = format!("Authorization: Bearer {name}-token\r\n");
            let get = |path| http::ask_with(stage.address, "GET", path, &headers, "").json();
            let mut whoami = get("/whoami");
            whoami.as_object_mut().unwrap().remove("revision");
            let expected = json!({"principal": name, "roles": roles, "containers": containers});
            assert_eq!(whoami, expected);
            let shown = get("/containers");
            let shown = shown["containers"].as_array().unwrap().iter();
            let shown: Vec<_> = shown
                .map(|one| one["container"].as_str().unwrap())
                .collect();
            assert_eq!(shown, listed, "{name}");
            if listed.contains(&"a") {
                assert_eq!(get("/container/a")["verbs"], containers["a"], "{name}");
            }
        }
    });
}

/// A container that is hidden, one that is not managed and one that does not exist cannot be told apart.
#[test]
fn hidden_is_as_if_it_were_not_there() {
    on_each_engine(&tables(""), |stage| {
        for name in ["mute", "unmanaged"] {
            stage.running(name);
        }
        let ask = |method: &str, name: &str, rest: &str| {
            let headers = "Authorization: Bearer operator-token\r\n";
            let path = format!("/container/{name}{rest}");
            let mut answer = http::ask_with(stage.address, method, &path, headers, "");
            answer.headers.remove("x-request-id");
            answer.headers.remove("date");
            answer.headers.remove("content-length");
            answer.body = answer.body.replace(name, "NAME");
            format!("{answer:?}")
        };
        for (method, rest) in [
            ("GET", ""),
            ("GET", "/status"),
            ("GET", "/exec"),
            ("HEAD", ""),
            ("GET", "/logs"),
            ("HEAD", "/logs"),
        ] {
            let hidden = ask(method, "mute", rest);
            assert_eq!(hidden, ask(method, "unmanaged", rest));
            assert_eq!(hidden, ask(method, "nowhere", rest));
        }
        let changes = CHANGES.map(|verb| format!("/{verb}"));
        for rest in changes.into_iter().chain(["/exec/probe".to_owned()]) {
            let rest = rest.as_str();
            let hidden = ask("POST", "mute", rest);
            assert!(hidden.contains("status: 404"), "{hidden}");
            assert_eq!(hidden, ask("POST", "unmanaged", rest));
            assert_eq!(hidden, ask("POST", "nowhere", rest));
        }
        assert_eq!(stage.record.take(), Vec::<String>::new());
    });
}

/// Without principals nobody is asked who they are, so no credential is wrong.
#[test]
fn without_principals_everybody_is_anonymous() {
    let stage = Stage::pretend("[containers.a]\nallow = [\"status\", \"start\"]\n");
    for headers in [
        "",
        "Authorization: Bearer x\r\n",
        "Authorization: Digest y\r\n",
    ] {
        let answer = http::ask_with(stage.address, "GET", "/whoami", headers, "");
        assert_eq!(
            (answer.status, &answer.json()["principal"]),
            (200, &json!("anonymous"))
        );
        let metrics = http::ask_with(stage.address, "GET", "/metrics", headers, "");
        assert_eq!(metrics.status, 200);
    }
}

/// A token stands in a header and nowhere else.
#[test]
fn tokens_are_not_taken_from_elsewhere() {
    let stage = Stage::pretend(&tables(""));
    for path in [
        "/whoami?token=operator-token",
        "/whoami?access_token=operator-token",
    ] {
        assert_eq!(stage.get(path).status, 401, "{path}");
    }
    let known = "Authorization: Bearer operator-token\r\n";
    let answer = http::ask_with(
        stage.address,
        "GET",
        "/whoami?token=viewer-token",
        known,
        "",
    );
    assert_eq!(answer.body, r#"{"error":"Unknown parameter: token"}"#);
}
