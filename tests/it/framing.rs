//! Requests that are framed in ways that have fooled servers: one request is one answer, and never two.

use crate::http::{self, exchange, parse};
use crate::stage::on_each_engine;

const ONE: &str = "[containers.a]\nallow = [\"status\", \"stop\", \"start\"]\n";

/// How many answers a text holds.
fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

/// Each of these hides a second request, `POST /container/a/stop`, where a proxy may not see it.
#[test]
fn nothing_is_smuggled() {
    on_each_engine(ONE, |stage| {
        let id = stage.running("a");
        let hidden = "POST /container/a/stop HTTP/1.1\r\nHost: x\r\n\r\n";
        let with_body = |headers: &str, body: &str| {
            format!("POST /health HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}")
        };
        let cases = [
            with_body(
                "Content-Length: 6\r\nTransfer-Encoding: chunked",
                &format!("0\r\n\r\n{hidden}"),
            ),
            with_body(
                "Transfer-Encoding: chunked\r\nContent-Length: 6",
                &format!("0\r\n\r\n{hidden}"),
            ),
            with_body(
                &format!("Content-Length: 0\r\nContent-Length: {}", hidden.len()),
                hidden,
            ),
            with_body(&format!("Content-Length: {}, 0", hidden.len()), hidden),
            with_body("Content-Length: +0", hidden),
            with_body("Content-Length: -1", hidden),
            with_body("Content-Length: 0x0", hidden),
            with_body("Transfer-Encoding: chunked, identity", hidden),
            with_body("Transfer-Encoding: xchunked", hidden),
            with_body("Transfer-Encoding : chunked", &format!("0\r\n\r\n{hidden}")),
            with_body("Content-Length : 0", hidden),
            with_body("X: y\r\n folded: 1", hidden),
            with_body(
                "Transfer-Encoding: chunked",
                &format!("0x0\r\n\r\n{hidden}"),
            ),
            with_body("Transfer-Encoding: chunked", &format!("-1\r\n\r\n{hidden}")),
            format!(
                "GET http://x/health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ];
        for case in cases {
            let text = exchange(stage.address, case.as_bytes());
            assert!(answers(&text) <= 1, "{case:?} on {}: {text:?}", stage.kind);
            assert!(!text.contains("stopped"), "{case:?}: {text:?}");
        }
        assert_eq!(stage.record.take(), Vec::<String>::new(), "{}", stage.kind);
        assert_eq!(stage.engine.state(&id), "running");
    });
}

/// What a request line and headers can look like, and the status that they get.
#[test]
fn heads() {
    on_each_engine(ONE, |stage| {
        let many = "X-Many: 1\r\n".repeat(101);
        let long = format!("X-Long: {}\r\n", "x".repeat(8 * 1024));
        let too_long = format!("X-Long: {}\r\n", "x".repeat(17 * 1024));
        let far_too_long = format!("X-Long: {}\r\n", "x".repeat(100 * 1024));
        let long_path = format!(
            "GET /container/{} HTTP/1.1\r\nHost: x\r\n",
            "a".repeat(17 * 1024)
        );
        let get = "GET /health HTTP/1.1\r\nHost: x\r\n";
        let cases: [(String, u16); 24] = [
            (get.to_owned(), 200),
            (format!("{get}{long}"), 200),
            (format!("{get}{too_long}"), 431),
            (format!("{get}{far_too_long}"), 431),
            (format!("{get}{many}"), 431),
            (long_path, 431),
            ("GET /health HTTP/1.1\r\n".to_owned(), 400),
            (format!("{get}Host: y\r\n"), 400),
            ("GET /health HTTP/1.0\r\n".to_owned(), 200),
            (
                "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n".to_owned(),
                200,
            ),
            (
                "GET http://elsewhere/health HTTP/1.1\r\nHost: x\r\n".to_owned(),
                200,
            ),
            (
                "GET http://elsewhere/container/b HTTP/1.1\r\nHost: x\r\n".to_owned(),
                404,
            ),
            ("OPTIONS * HTTP/1.1\r\nHost: x\r\n".to_owned(), 404),
            (
                "CONNECT elsewhere:80 HTTP/1.1\r\nHost: x\r\n".to_owned(),
                404,
            ),
            ("TRACE /health HTTP/1.1\r\nHost: x\r\n".to_owned(), 405),
            ("get /health HTTP/1.1\r\nHost: x\r\n".to_owned(), 405),
            (
                "POST /health HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: GET\r\n".to_owned(),
                405,
            ),
            (
                format!(
                    "{get}X-HTTP-Method-Override: DELETE\r\nX-Forwarded-For: 127.0.0.1\r\nX-Original-URL: /x\r\n"
                ),
                200,
            ),
            (
                format!(
                    "{get}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
                ),
                200,
            ),
            (
                format!("{get}Upgrade: websocket\r\nConnection: Upgrade\r\n"),
                200,
            ),
            (format!("{get}Bad Header: 1\r\n"), 400),
            (format!("{get}X: a\0b\r\n"), 400),
            ("GET /hea lth HTTP/1.1\r\nHost: x\r\n".to_owned(), 400),
            ("PRI * HTTP/2.0\r\n".to_owned(), 400),
        ];
        for (head, expected) in cases {
            let shown: String = head.chars().take(80).collect();
            let text = exchange(
                stage.address,
                format!("{head}Connection: close\r\n\r\n").as_bytes(),
            );
            let answer = parse(&text).unwrap_or_else(|| panic!("{shown:?}: {text:?}"));
            assert_eq!(answer.status, expected, "{shown:?}: {text:?}");
            assert!(answers(&text) <= 1, "{shown:?}: {text:?}");
        }
        assert_eq!(stage.record.take(), Vec::<String>::new());
    });
}

#[test]
fn bodies() {
    on_each_engine(ONE, |stage| {
        let id = stage.running("a");
        let stop = "/container/a/stop";
        let too_large = "x".repeat(65 * 1024);
        let large = " ".repeat(64 * 1024);
        let cases = [
            (
                too_large.as_str(),
                413,
                "Body too large: at most 65536 bytes",
            ),
            ("{\"t\":1}", 400, "Unknown parameter: t"),
            ("t=1", 400, "Bad body: this request takes none"),
            ("[1]", 400, "Bad body: this request takes none"),
        ];
        for (body, status, error) in cases {
            let answer = http::ask_with(stage.address, "POST", stop, "", body);
            assert_eq!(
                (answer.status, answer.body),
                (status, format!("{{\"error\":\"{error}\"}}"))
            );
        }
        // What is announced is not waited for, and the connection is not used for anything else.
        for (method, path, expected) in [
            ("GET", "/container/a/status", 413),
            ("GET", "/containers", 413),
            ("POST", stop, 413),
            ("POST", "/containers", 405),
            ("GET", "/nothing", 404),
        ] {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n");
            let text = exchange(
                stage.address,
                format!("{head}Content-Length: 99999999\r\n\r\n").as_bytes(),
            );
            let answer = parse(&text).unwrap_or_else(|| panic!("{method} {path}: {text:?}"));
            assert_eq!(answer.status, expected, "{text}");
            assert_eq!(answer.header("connection"), "close", "{text}");
        }
        // In chunks nothing is announced; the limit holds all the same.
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(20);
        let head = format!("POST {stop} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let text = exchange(stage.address, format!("{head}{chunk}0\r\n\r\n").as_bytes());
        assert_eq!(parse(&text).unwrap().status, 413, "{text}");
        let text = exchange(stage.address, format!("{head}zz\r\n").as_bytes());
        assert_eq!(parse(&text).unwrap().status, 400, "{text}");
        assert_eq!(stage.record.take(), Vec::<String>::new());
        assert_eq!(stage.engine.state(&id), "running");

        // A body of nothing much is none.
        assert_eq!(
            http::ask_with(stage.address, "POST", stop, "", &large).status,
            200
        );
        assert_eq!(
            http::ask_with(stage.address, "POST", "/container/a/start", "", "{}").status,
            200
        );
    });
}
