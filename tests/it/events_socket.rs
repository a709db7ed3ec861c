//! What happens, over a WebSocket: the same messages, for those who may, and nothing that the client sends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use hyper_tungstenite::tungstenite::protocol::{Role, WebSocket};
use hyper_tungstenite::tungstenite::{Bytes, Message};
use relayer_controller::engine::OwnContainer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::{self, Authority};
use crate::events::{TABLES, settled, summary};
use crate::gateway;
use crate::http::{self, Answer};
use crate::reload::{Gateway, TOKEN, rules};
use crate::stage::{Stage, on_each_engine};
use crate::stats::until;

const UPGRADE: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const CROSS_SITE: &str = "Forbidden: a page of another site cannot open a WebSocket unless server.cors of the \
    configuration lists its origin";

/// An open WebSocket.
struct Socket {
    head: Answer,
    web: WebSocket<TcpStream>,
}

/// Sends a request for a WebSocket, and what is to come after it; the answer's head, and the connection behind it.
fn ask(address: SocketAddr, query: &str, headers: &str, early: &[u8]) -> (Answer, TcpStream) {
    let mut stream = http::connect(address);
    let head = shake_hands(&mut stream, query, headers, early);
    (head, stream)
}

fn shake_hands(
    stream: &mut (impl Read + Write),
    query: &str,
    headers: &str,
    early: &[u8],
) -> Answer {
    let request = format!("GET /events{query} HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
    stream
        .write_all(&[request.as_bytes(), early].concat())
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    http::parse(&String::from_utf8(head).unwrap()).unwrap()
}

impl Socket {
    fn open(address: SocketAddr, query: &str, headers: &str) -> Self {
        let (head, stream) = ask(address, query, &format!("{UPGRADE}{headers}"), b"");
        assert_eq!(head.status, 101, "{headers}: {head:?}");
        let web = WebSocket::from_raw_socket(stream, Role::Client, None);
        Self { head, web }
    }

    /// The next message.
    fn next(&mut self) -> Value {
        let since = Instant::now();
        loop {
            // Signs of life come all the while.
            assert!(since.elapsed() < Duration::from_secs(20), "nothing");
            let message = self.web.read().unwrap();
            assert!(message.is_text() || message.is_ping(), "{message:?}");
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    fn snapshot(&mut self) -> Value {
        summary(&self.next())
    }

    /// Why the gateway closes; what comes before is passed over.
    fn closed(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.web.read().unwrap() {
                // The answer to it, and then the end.
                while self.web.read().is_ok() {}
                return frame.expect("a reason").code.into();
            }
        }
    }
}

/// The answer to a request that is refused, which is the last on its connection.
fn refused(address: SocketAddr, headers: &str) -> Answer {
    // What comes after it is never taken for a request.
    let early = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n";
    let (mut answer, mut stream) = ask(address, "", headers, early);
    answer.body = http::read_all(&mut stream);
    assert_eq!(answer.header("connection"), "close", "{headers}");
    let length: usize = answer.header("content-length").parse().unwrap();
    assert_eq!(answer.body.len(), length, "{answer:?}");
    answer
}

#[test]
fn the_same_as_server_sent_events() {
    on_each_engine(TABLES, |stage| {
        let id = stage.running("a");
        stage.running("b");
        settled(stage, &json!({"a": "running", "b": "running"}));
        let mut all = Socket::open(stage.address, "", "");
        let accept = all.head.header("sec-websocket-accept");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!all.head.headers.contains_key("sec-websocket-protocol"));
        assert!(!all.head.headers.contains_key("content-length"));
        assert_eq!(all.head.header("x-request-id").len(), 16);
        let mut one = Socket::open(stage.address, "?container=b", "");
        assert_eq!(all.snapshot(), json!({"a": "running", "b": "running"}));
        assert_eq!(one.snapshot(), json!({"b": "running"}));
        stage.engine.post(&format!("/containers/{id}/pause"));
        let mut told = all.next();
        assert!(told["time"].is_string());
        told.as_object_mut().unwrap().remove("time");
        let paused =
            json!({"container": "a", "status": "paused", "running": false, "health": null});
        assert_eq!(told, paused);
        stage.engine.remove(&id);
        while all.next()["gone"] != true {}
        let full_name = format!("{}b", stage.prefix);
        stage.engine.remove(&full_name);
        while one.next()["gone"] != true {}
        all.web
            .send(Message::Ping(Bytes::from_static(b"?")))
            .unwrap();
        while all.web.read().unwrap() != Message::Pong(Bytes::from_static(b"?")) {}
        for socket in [&mut all, &mut one] {
            socket.web.close(None).unwrap();
            while socket.web.read().unwrap() != Message::Close(None) {}
            assert!(socket.web.read().is_err());
        }
    });
}

#[test]
fn an_interruption_and_a_large_snapshot() {
    let names: Vec<_> = (100..300).map(|number| format!("many{number}")).collect();
    let tables: Vec<_> = names
        .iter()
        .map(|name| format!("[containers.{name}]\nallow = [\"status\"]\n"))
        .collect();
    let stage = Stage::pretend(&tables.concat());
    let pretend = stage.pretend.clone().unwrap();
    for name in &names {
        let full_name = format!("{}{name}", stage.prefix);
        pretend.add(&full_name, &[], true).unwrap();
    }
    let expected = names.iter().map(|name| (name.clone(), "running".into()));
    let expected = Value::Object(expected.collect());
    settled(&stage, &expected);
    let mut socket = Socket::open(stage.address, "", "");
    assert_eq!(socket.snapshot(), expected);
    pretend.cut_events();
    assert_eq!(socket.next()["current"], false);
    assert_eq!(socket.snapshot(), expected);
}

/// SECURITY: a browser lets every page open a WebSocket to wherever it likes, and read what comes.
#[test]
fn pages_of_other_sites_are_refused() {
    let stage = Stage::pretend(TABLES);
    let lines = "listen = \"127.0.0.1:0\"\ncors = [\"https://dash.example.org\"]\n";
    let own = OwnContainer::default();
    let gateway = gateway::Gateway::start_with(lines, &stage.prefix, &stage.host, own, TABLES);
    for origin in [
        "",
        "Origin: http://test\r\n",
        "Origin: https://test\r\n",
        "Origin: https://dash.example.org\r\n",
        "Origin: https://dash.example.org\r\nSec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
    ] {
        Socket::open(gateway.address, "", origin);
    }
    for origin in [
        "Origin: https://evil.example\r\n",
        "Origin: http://dash.example.org\r\n",
        "Origin: https://dash.example.org.evil.example\r\n",
        "Origin: null\r\n",
        "Origin: \r\n",
        "Origin: http://test:8089\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: https://evil.example\r\nSec-Fetch-Site: same-site\r\n",
    ] {
        let answer = refused(gateway.address, &format!("{UPGRADE}{origin}"));
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (403, &CROSS_SITE.into()),
            "{origin}"
        );
        // However it is written.
        let other = UPGRADE.replace("Upgrade: websocket", "uPGRADE: h2c, WebSocket");
        let answer = refused(gateway.address, &format!("{other}{origin}"));
        assert_eq!(answer.status, 403, "{origin}");
    }
}

#[test]
fn a_handshake_that_is_none() {
    let stage = Stage::pretend(TABLES);
    let with = |from: &str, to: &str| UPGRADE.replace(from, to);
    for (headers, status, error) in [
        (
            with("Version: 13", "Version: 12"),
            426,
            "Bad header: sec-websocket-version: 13 is the only version that there is",
        ),
        (
            with("Sec-WebSocket-Version: 13\r\n", ""),
            426,
            "Bad header: sec-websocket-version: 13 is the only version that there is",
        ),
        (
            with(", Upgrade", ""),
            400,
            "Bad header: connection: a WebSocket needs `Upgrade` in it",
        ),
        (
            with("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
            400,
            "Bad header: sec-websocket-key: it is the Base64 of 16 bytes that were chosen at random",
        ),
        (
            with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
            400,
            "Bad header: sec-websocket-key: it is the Base64 of 16 bytes that were chosen at random",
        ),
        (
            with(
                "Upgrade: websocket",
                "Sec-WebSocket-Protocol: chat, x\r\nUpgrade: websocket",
            ),
            400,
            "Bad header: sec-websocket-protocol: offer `relayer-controller.events`, which is what is spoken here",
        ),
    ] {
        let answer = refused(stage.address, &headers);
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (status, &error.into()),
            "{headers}"
        );
        if status == 426 {
            let told = [
                answer.header("upgrade"),
                answer.header("sec-websocket-version"),
            ];
            assert_eq!(told, ["websocket", "13"]);
        }
    }
    let head = http::ask_with(stage.address, "HEAD", "/events", UPGRADE, "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    // Elsewhere there is none, and what follows is not read all the same.
    let mut stream = http::connect(stage.address);
    write!(stream, "GET /health HTTP/1.1\r\nHost: test\r\n{UPGRADE}\r\nGET /ready HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let answer = http::parse(&http::read_all(&mut stream)).unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, r#""ok""#));
}

/// Browsers can send a token in no other way.
#[test]
fn a_token_among_the_subprotocols() {
    let stage = Stage::pretend(TABLES);
    stage.running("a");
    let gateway = Gateway::start(&rules(&stage.host, &stage.prefix, &["a"]));
    gateway.wait_for("the mirror is current");
    let offer = |token: &str| {
        let token = URL_SAFE_NO_PAD.encode(token);
        format!("base64url.bearer.authorization.relayer-controller.{token}")
    };
    let (good, own) = (offer(TOKEN), "relayer-controller.events");
    for offered in [
        format!("Sec-WebSocket-Protocol: {own}, {good}\r\n"),
        format!("Sec-WebSocket-Protocol: {good}\r\nSec-WebSocket-Protocol: {own}\r\n"),
    ] {
        let mut socket = Socket::open(gateway.address, "", &offered);
        assert_eq!(socket.head.header("sec-websocket-protocol"), own);
        assert_eq!(socket.snapshot(), json!({"a": "running"}));
        let error = "Container not found: b";
        let (answer, _) = ask(
            gateway.address,
            "?container=b",
            &format!("{UPGRADE}{offered}"),
            b"",
        );
        assert_eq!(answer.status, 404, "{error}");
    }
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    Socket::open(gateway.address, "", &bearer);
    let bad = offer(&TOKEN.replace('0', "1"));
    for (offered, status) in [
        (format!("Sec-WebSocket-Protocol: {good}\r\n"), 400),
        (format!("Sec-WebSocket-Protocol: {own}, {bad}\r\n"), 401),
        (
            format!("Sec-WebSocket-Protocol: {own}, {good}, {good}\r\n"),
            401,
        ),
        (
            format!("{bearer}Sec-WebSocket-Protocol: {own}, {good}\r\n"),
            401,
        ),
        (format!("Sec-WebSocket-Protocol: {own}, {good}=\r\n"), 401),
        (format!("Sec-WebSocket-Protocol: {own}\r\n"), 401),
        (String::new(), 401),
    ] {
        let answer = refused(gateway.address, &format!("{UPGRADE}{offered}"));
        assert_eq!(answer.status, status, "{offered}: {answer:?}");
    }
    let log = gateway.log();
    assert!(!log.contains(TOKEN) && !log.contains(&good), "{log}");
}

/// Nothing is to be sent, so that nothing that is sent costs anything.
#[test]
fn who_talks_is_shown_the_door() {
    let stage = Stage::pretend(TABLES);
    settled(&stage, &json!({}));
    let many = |_| Message::Ping(Bytes::from_static(&[0; 125]));
    for messages in [
        vec![Message::text("hello")],
        vec![Message::binary(vec![0; 1000])],
        vec![Message::text("x".repeat(1 << 20))],
        (0..200).map(many).collect(),
    ] {
        let mut socket = Socket::open(stage.address, "", "");
        assert_eq!(socket.snapshot(), json!({}));
        for message in messages {
            // It may have closed already.
            let _closed = socket.web.write(message);
        }
        let _closed = socket.web.flush();
        assert_eq!(socket.closed(), u16::from(CloseCode::Policy));
    }
    until("none", || {
        let metrics = stage.get("/metrics").body;
        metrics.contains("open_streams{kind=\"events\"} 0\n")
    });
}

/// What breaks the protocol ends the connection, and so does who leaves without a word.
#[test]
fn who_breaks_off_is_gone() {
    let stage = Stage::pretend(TABLES);
    settled(&stage, &json!({}));
    // Without a mask; of no known kind; a ping in parts.
    for bytes in [&b"\x81\x01x"[..], b"\x83\x80\0\0\0\0", b"\x09\x80\0\0\0\0"] {
        let mut socket = Socket::open(stage.address, "", "");
        let stream = socket.web.get_mut();
        stream.write_all(bytes).unwrap();
        http::read_all(stream);
    }
    // Sent with the request.
    let close = b"\x88\x80\x01\x02\x03\x04";
    let (head, mut stream) = ask(stage.address, "", UPGRADE, close);
    assert_eq!(head.status, 101);
    assert!(http::read_all(&mut stream).ends_with("\u{fffd}\0"));
    for _ in 0..20 {
        drop(Socket::open(stage.address, "", ""));
    }
    until("none", || {
        let metrics = stage.get("/metrics").body;
        metrics.contains("open_streams{kind=\"events\"} 0\n")
    });
}

/// A WebSocket has the place of its connection for as long as it lasts.
#[test]
fn it_keeps_its_seat() {
    let stage = Stage::pretend(TABLES);
    let lines = "listen = \"127.0.0.1:0\"\n[limits]\nconnections_per_address = 1\n";
    let own = OwnContainer::default();
    let gateway = gateway::Gateway::start_with(lines, &stage.prefix, &stage.host, own, TABLES);
    let mut socket = Socket::open(gateway.address, "", "");
    assert_eq!(
        http::exchange(gateway.address, b"GET /health HTTP/1.1\r\n\r\n"),
        ""
    );
    socket.web.close(None).unwrap();
    while socket.web.read().is_ok() {}
    drop(socket);
    until("free", || {
        let text = b"GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        http::exchange(gateway.address, text).contains("200 OK")
    });
}

#[test]
fn a_stop_and_a_reload_end_it() {
    let mut stage = Stage::pretend(TABLES);
    stage.running("a");
    settled(&stage, &json!({"a": "running"}));
    let gateway = Gateway::start(&rules(&stage.host, &stage.prefix, &["a"]));
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let mut socket = Socket::open(gateway.address, "", &token);
    gateway.replace(&rules(&stage.host, &stage.prefix, &["a"]).replace("bot", "other"));
    assert_eq!(socket.closed(), u16::from(CloseCode::Policy));
    let mut sockets: Vec<_> = (0..20)
        .map(|_| Socket::open(stage.address, "", ""))
        .collect();
    for socket in &mut sockets {
        assert_eq!(socket.snapshot(), json!({"a": "running"}));
    }
    let closing = std::thread::spawn(move || {
        for socket in &mut sockets {
            assert_eq!(socket.closed(), u16::from(CloseCode::Away));
        }
    });
    let since = Instant::now();
    assert!(stage.stop());
    closing.join().unwrap();
    assert!(since.elapsed() < Duration::from_secs(2));
}

/// One who does not read and does not answer holds the end up for no longer than it takes to say so.
#[test]
fn a_stop_does_not_wait_for_the_silent() {
    let mut stage = Stage::pretend(TABLES);
    settled(&stage, &json!({}));
    let _silent = Socket::open(stage.address, "", "");
    let since = Instant::now();
    assert!(stage.stop());
    assert!(since.elapsed() < Duration::from_secs(3));
}

#[test]
fn over_tls() {
    let mut stage = Stage::pretend(TABLES);
    stage.running("a");
    let (ours, folder) = (Authority::new("ours"), TempDir::new().unwrap());
    let (certificate, key) = ours.issue(&["localhost"]).write(folder.path(), "server");
    let lines = format!(
        "listen = \"127.0.0.1:0\"\n[server.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n"
    );
    let own = OwnContainer::default();
    let mut gateway = gateway::Gateway::start_with(&lines, &stage.prefix, &stage.host, own, TABLES);
    let mut stream = authority::connect(gateway.address, &ours.client(None));
    let head = shake_hands(&mut stream, "", UPGRADE, b"");
    assert_eq!(head.status, 101, "{head:?}");
    let mut web = WebSocket::from_raw_socket(stream, Role::Client, None);
    while !web.read().unwrap().to_text().unwrap().contains("running") {}
    let closing = std::thread::spawn(move || {
        while !web.read().unwrap().is_close() {}
        while web.read().is_ok() {}
        // What was taken leave of properly was not cut off.
        assert_eq!(web.get_mut().read(&mut [0]).unwrap(), 0);
    });
    assert!(gateway.stop());
    closing.join().unwrap();
    assert!(stage.stop());
}
