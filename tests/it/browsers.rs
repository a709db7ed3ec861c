//! Browsers: names that are not ours, and pages of other sites that may ask because they are listed.

use relayer_controller::api::ROWS;
use relayer_controller::engine::OwnContainer;

use crate::gateway::Gateway;
use crate::http::{self, Answer, exchange, parse};
use crate::stage::{Stage, on_each_engine};

const A: &str = "[containers.a]\nallow = [\"status\", \"start\", \"stop\"]\n";
const LISTED: &str = "hosts = [\"relay.example.org\"]\ncors = [\"https://dash.example.org\", \"http://localhost:3000\"]\n";

/// Another gateway before the engine of a stage, with these lines in `[server]`.
fn with_lines(stage: &Stage, lines: &str) -> Gateway {
    let lines = format!("listen = \"127.0.0.1:0\"\n{lines}");
    Gateway::start_with(
        &lines,
        &stage.prefix,
        &stage.host,
        OwnContainer::default(),
        A,
    )
}

/// Asks by this name; `target` is a path or a whole address.
fn call(gateway: &Gateway, method: &str, target: &str, host: &str) -> Answer {
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = exchange(gateway.address, request.as_bytes());
    parse(&answer).unwrap_or_else(|| panic!("{request}: {answer:?}"))
}

#[test]
fn a_foreign_name_is_refused() {
    on_each_engine(A, |stage| {
        stage.running("a");
        let gateway = with_lines(stage, LISTED);
        for row in ROWS {
            let path = row.path.replace("{name}", "a");
            for host in ["evil.example", "evil.example:8089", "EVIL.example."] {
                let answer = call(&gateway, row.method, &path, host);
                if path == "/health" {
                    assert_eq!(answer.status, 200, "{host}");
                    continue;
                }
                assert_eq!(answer.status, 403, "{path} {host}: {answer:?}");
                let error = answer.json()["error"].to_string();
                assert!(error.contains("is not listed in server.hosts"), "{error}");
            }
            for broken in ["a b", "x@y", "evil.example@localhost"] {
                let answer = call(&gateway, row.method, &path, broken);
                let expected = if path == "/health" { 200 } else { 400 };
                assert_eq!(answer.status, expected, "{path} {broken}: {answer:?}");
            }
        }
        let whole = call(&gateway, "GET", "http://evil.example/whoami", "localhost");
        assert_eq!(whole.status, 403, "{whole:?}");
        assert_eq!(stage.record.take(), Vec::<String>::new());
        for own in [
            "relay.example.org",
            "Relay.Example.org.:443",
            "localhost:1",
            "a.localhost",
            "relay",
            "10.0.0.1",
            "[::1]:8089",
            "",
        ] {
            let answer = call(&gateway, "GET", "/container/a/status", own);
            assert_eq!(answer.status, 200, "{own}: {answer:?}");
        }
    });
}

/// The rebinding itself: the page is of the same origin as the name by which it calls.
#[test]
fn a_page_that_passes_for_our_own_changes_nothing() {
    on_each_engine(A, |stage| {
        let id = stage.running("a");
        let request = "POST /container/a/stop HTTP/1.1\r\nHost: evil.example:8089\r\n\
            Origin: http://evil.example:8089\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n\r\n";
        let answer = exchange(stage.address, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert_eq!(stage.record.take(), Vec::<String>::new());
        assert_eq!(stage.engine.state(&id), "running");
    });
}

/// The headers of an answer that browsers go by.
fn granted(answer: &Answer) -> String {
    let grants = answer
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("access-control-") || *name == "vary");
    let lines: Vec<_> = grants
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.join("\n")
}

#[test]
fn listed_pages_may_ask_and_read() {
    on_each_engine(A, |stage| {
        let id = stage.running("a");
        let gateway = with_lines(stage, LISTED);
        for origin in ["https://dash.example.org", "http://localhost:3000"] {
            let headers = format!("Origin: {origin}\r\nSec-Fetch-Site: cross-site\r\n");
            let expected = format!(
                "access-control-allow-origin: {origin}\naccess-control-expose-headers: X-Request-Id, Retry-After\nvary: Origin"
            );
            for (method, path, status) in [
                ("GET", "/health", 200),
                ("GET", "/containers", 200),
                ("GET", "/nothing", 404),
                ("DELETE", "/containers", 405),
                ("OPTIONS", "/containers", 405),
                ("GET", "/containers?x=1", 400),
                ("POST", "/container/a/kill", 403),
                ("POST", "/container/b/stop", 404),
                ("POST", "/container/a/stop", 200),
                ("POST", "/container/a/stop", 409),
                ("POST", "/container/a/start", 200),
            ] {
                let answer = http::ask_with(gateway.address, method, path, &headers, "");
                assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
                assert_eq!(granted(&answer), expected, "{method} {path}");
            }
        }
        assert_eq!(stage.engine.state(&id), "running");
    });
}

#[test]
fn other_pages_may_not() {
    on_each_engine(A, |stage| {
        stage.running("a");
        let gateway = with_lines(stage, LISTED);
        stage.record.take();
        for origin in [
            "https://evil.example",
            "http://dash.example.org",
            "https://dash.example.org:8443",
            "https://dash.example.org.evil.example",
            "https://xdash.example.org",
            "HTTPS://dash.example.org",
            "null",
            "",
        ] {
            let headers = format!("Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
            for (method, path, status) in [
                ("GET", "/health", 200),
                ("OPTIONS", "/container/a/stop", 405),
                ("POST", "/container/a/stop", 403),
            ] {
                let answer = http::ask_with(gateway.address, method, path, &headers, "");
                assert_eq!(
                    answer.status, status,
                    "{method} {path} {origin}: {answer:?}"
                );
                assert_eq!(granted(&answer), "vary: Origin", "{method} {path} {origin}");
            }
        }
        assert_eq!(stage.record.take(), Vec::<String>::new());
        // Without a list nothing depends on the page.
        let headers = "Origin: https://dash.example.org\r\nAccess-Control-Request-Method: POST\r\n";
        for (method, status) in [("OPTIONS", 405), ("POST", 403)] {
            let answer = http::ask_with(stage.address, method, "/container/a/stop", headers, "");
            assert_eq!(
                (answer.status, granted(&answer)),
                (status, String::new()),
                "{method}"
            );
        }
    });
}

#[test]
fn browsers_that_ask_beforehand() {
    let stage = Stage::pretend(A);
    let gateway = with_lines(&stage, LISTED);
    let headers = "Origin: https://dash.example.org\r\nAccess-Control-Request-Method: POST\r\n\
        Access-Control-Request-Headers: authorization\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n";
    for row in ROWS {
        let path = row.path.replace("{name}", "a");
        let methods = if row.method == "GET" {
            "GET, HEAD"
        } else {
            row.method
        };
        let answer = http::ask_with(gateway.address, "OPTIONS", &path, headers, "");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (204, ""),
            "{path}: {answer:?}"
        );
        let expected = format!(
            "access-control-allow-headers: authorization, content-type\naccess-control-allow-methods: {methods}\n\
             access-control-allow-origin: https://dash.example.org\n\
             access-control-expose-headers: X-Request-Id, Retry-After\naccess-control-max-age: 600\nvary: Origin"
        );
        assert_eq!(granted(&answer), expected, "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
    assert_eq!(
        http::ask_with(gateway.address, "OPTIONS", "/nothing", headers, "").status,
        404
    );
    assert_eq!(stage.record.take(), Vec::<String>::new());
}
