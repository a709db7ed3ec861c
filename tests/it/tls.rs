//! TLS on the listeners: the handshake, its limits, and clients' certificates.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Response;
use relayer_controller::engine::OwnContainer;
use relayer_controller::server::{
    Body, ClientAuth, ClientCertificates, Listen, Request, RequestBody, Server, Settings,
    TlsSettings, whole,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, ask, connect};
use crate::gateway::Gateway;
use crate::http;
use crate::stage::new_prefix;

const NOWHERE: &str = "unix:///nowhere/docker.sock";
const ONE: &str = "[containers.a]\nallow = [\"status\"]\n";
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
const LOCALHOST: [&str; 2] = ["localhost", "127.0.0.1"];

/// A gateway with a certificate for `localhost`, and what it was made of.
struct Secure {
    gateway: Gateway,
    authority: Authority,
    folder: TempDir,
}

impl Secure {
    fn start(lines: &str) -> Self {
        let (authority, folder) = (Authority::new("ours"), TempDir::new().unwrap());
        let (certificate, key) = authority.issue(&LOCALHOST).write(folder.path(), "server");
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let lines = format!(
            "listen = \"127.0.0.1:0\"\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"\n{lines}[server.tls]\n\
             certificate = \"{}\"\nkey = \"{}\"\n",
            certificate.display(),
            key.display()
        );
        let own = OwnContainer::default();
        Self {
            gateway: Gateway::start_with(&lines, &new_prefix(), NOWHERE, own, ONE),
            authority,
            folder,
        }
    }
}

#[test]
fn requests_over_tls() {
    let secure = Secure::start("");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = secure.authority.client(None);
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut stream = connect(secure.gateway.address, &client);
        stream.write_all(HEALTH).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(secure.authority.der()).unwrap();
        let only = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let answer = ask(secure.gateway.address, &only, "/health").unwrap();
        let answer = http::parse(&answer).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "\"ok\""));
    }
    let mut client = secure.authority.client(None);
    client.alpn_protocols = vec![b"h2".to_vec()];
    let error = ask(secure.gateway.address, &client, "/health").unwrap_err();
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
}

/// Runs a program that must be there: a test must not pass because it is missing.
fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("this test needs `{program}`: {error}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn curl_and_openssl_speak_with_it() {
    let secure = Secure::start("");
    let ca = secure.folder.path().join("ca.pem");
    let (ca, port) = (ca.to_str().unwrap(), secure.gateway.address.port());
    let url = format!("https://localhost:{port}/health");
    let output = run(
        "curl",
        &["-sS", "--noproxy", "*", "-4", "--cacert", ca, &url],
        "",
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "\"ok\"",
        "{output:?}"
    );
    let output = run("curl", &["-sS", "--noproxy", "*", "-4", &url], "");
    assert_eq!(output.status.code(), Some(60), "{output:?}");

    let address = secure.gateway.address.to_string();
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [
            "s_client",
            "-connect",
            &address,
            "-servername",
            "localhost",
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
            "-CAfile",
            ca,
            "-quiet",
            version,
        ];
        let output = run("openssl", &arguments, request);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\"ok\""),
            "{output:?}"
        );
    }
    let arguments = [
        "s_client",
        "-connect",
        &address,
        "-tls1_1",
        "-cipher",
        "DEFAULT@SECLEVEL=0",
    ];
    assert!(!run("openssl", &arguments, "").status.success());
}

#[test]
fn time_limits_hold_over_tls() {
    let secure = Secure::start("");
    let client = secure.authority.client(None);
    let end = |sent: &[u8]| {
        let mut stream = connect(secure.gateway.address, &client);
        stream.write_all(sent).unwrap();
        let mut answer = String::new();
        // Without `close_notify` this is an error.
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(end(b"GET /health HT").starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    let answer = end(HEALTH);
    assert!(
        answer.ends_with("\r\n\r\n\"ok\""),
        "an idle connection is closed without a word: {answer}"
    );

    // Whoever takes no answers is let go.
    let mut stream = connect(secure.gateway.address, &client);
    stream
        .sock
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let (begun, requests) = (Instant::now(), HEALTH.repeat(1000));
    while stream.write_all(&requests).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "still held");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "still held");
}

#[test]
fn a_stop_ends_idle_connections_properly() {
    let mut secure = Secure::start("");
    let client = secure.authority.client(None);
    let mut stream = connect(secure.gateway.address, &client);
    stream.write_all(HEALTH).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    // One that never got as far as a handshake holds nothing up either.
    let mut silent = http::connect(secure.gateway.address);
    assert!(secure.gateway.stop());
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(http::read_all(&mut silent), "");
}

#[test]
fn a_handshake_has_a_time_limit_and_holds_nobody_up() {
    let secure = Secure::start("max_connections = 8\nworkers = 1\n");
    let client = secure.authority.client(None);
    let begun = Instant::now();
    let beginnings: [&[u8]; 4] = [
        b"",
        b"\x16",
        b"\x16\x03\x01\x02\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ];
    let silent: Vec<_> = beginnings
        .iter()
        .map(|beginning| {
            let mut stream = http::connect(secure.gateway.address);
            stream.write_all(beginning).unwrap();
            stream
        })
        .collect();
    ask(secure.gateway.address, &client, "/health").unwrap();
    assert!(begun.elapsed() < Duration::from_millis(900), "held up");
    for mut stream in silent {
        assert_eq!(http::read_all(&mut stream), "");
    }
    let taken = begun.elapsed();
    assert!(
        taken > Duration::from_millis(900) && taken < Duration::from_secs(10),
        "{taken:?}"
    );

    // They give their places back.
    let _silent: Vec<_> = (0..8)
        .map(|_| http::connect(secure.gateway.address))
        .collect();
    ask(secure.gateway.address, &client, "/health").unwrap();
}

#[test]
fn what_is_no_tls_is_told_so() {
    let secure = Secure::start("");
    let answer = http::ask(secure.gateway.address, "GET", "/containers");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        r#"{"error":"This port speaks TLS: use https"}"#
    );
    assert_eq!(answer.header("x-request-id").len(), 16);
    // Begins like TLS, and is none.
    for nonsense in [
        b"\x16\x03\x01\x00\x05hello".as_slice(),
        b"\x16\xff\xff\xff\xff\xff",
    ] {
        let answer = http::exchange(secure.gateway.address, nonsense);
        assert!(!answer.contains("HTTP"), "{answer}");
    }
    let client = secure.authority.client(None);
    ask(secure.gateway.address, &client, "/health").unwrap();
}

/// A server that answers with the names in the certificate of its client.
struct Echo {
    address: SocketAddr,
    runtime: Runtime,
    stop: CancellationToken,
}

impl Echo {
    fn start(folder: &Path, authority: &Authority, auth: Option<ClientAuth>) -> Self {
        let (certificate, key) = authority.issue(&LOCALHOST).write(folder, "server");
        let ca = folder.join("ca.pem");
        fs::write(&ca, authority.pem()).unwrap();
        let settings = Settings {
            listen: vec![Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into())],
            tls: Some(TlsSettings {
                certificate,
                key,
                clients: auth.map(|auth| ClientCertificates { ca, auth }),
            }),
            ..Settings::default()
        };
        let (runtime, stop) = (Runtime::new().unwrap(), CancellationToken::new());
        let server = runtime.block_on(Server::bind(settings)).unwrap();
        let Some(Listen::Tcp(address)) = server.addresses().into_iter().next() else {
            panic!("a TCP listener")
        };
        runtime.spawn(server.serve(echo, stop.clone()));
        Self {
            address,
            runtime,
            stop,
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.cancel();
        let _still_there = self.runtime.enter();
    }
}

async fn echo(request: Request, _: RequestBody) -> Response<Body> {
    let names = request.peer.certificate.map(|names| names.join("|"));
    Response::new(whole(names.unwrap_or_else(|| "nobody".to_owned())))
}

#[test]
fn only_clients_with_a_good_certificate_come_in() {
    let (authority, other) = (Authority::new("ours"), Authority::new("other"));
    let good = authority.issue(&["bot.test", "10.0.0.2"]);
    let expired = authority.issue_expired(&["bot.test"]);
    let foreign = other.issue(&["bot.test"]);
    let forged = Authority::new("ours").issue(&["bot.test"]);
    let known = Ok("bot.test|10.0.0.2|bot.test (common)");
    let table = [
        (Some(ClientAuth::Required), Some(&good), known),
        (Some(ClientAuth::Required), None, Err("CertificateRequired")),
        (
            Some(ClientAuth::Required),
            Some(&expired),
            Err("CertificateExpired"),
        ),
        (Some(ClientAuth::Required), Some(&foreign), Err("UnknownCA")),
        (
            Some(ClientAuth::Required),
            Some(&forged),
            Err("DecryptError"),
        ),
        (Some(ClientAuth::Optional), Some(&good), known),
        (Some(ClientAuth::Optional), None, Ok("nobody")),
        (
            Some(ClientAuth::Optional),
            Some(&expired),
            Err("CertificateExpired"),
        ),
        (Some(ClientAuth::Optional), Some(&foreign), Err("UnknownCA")),
        (None, None, Ok("nobody")),
        // Nobody asks for it, so it is not shown, and not believed.
        (None, Some(&good), Ok("nobody")),
        (None, Some(&foreign), Ok("nobody")),
    ];
    for (auth, shown, expected) in table {
        let folder = TempDir::new().unwrap();
        let echo = Echo::start(folder.path(), &authority, auth);
        let client = authority.client(shown);
        // Twice by one client: the second time it may resume.
        for _ in 0..2 {
            match (ask(echo.address, &client, "/"), expected) {
                (Ok(answer), Ok(names)) => assert_eq!(http::parse(&answer).unwrap().body, names),
                (Err(error), Err(alert)) => {
                    assert!(error.to_string().contains(alert), "{auth:?}: {error}");
                }
                (told, _) => panic!("{auth:?}, {expected:?}: {told:?}"),
            }
        }
    }
}

#[test]
fn a_look_can_be_asked_for() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let (certificate, key) = authority.issue(&LOCALHOST).write(folder.path(), "server");
    let settings = Settings {
        listen: vec![Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into())],
        tls: Some(TlsSettings {
            certificate,
            key,
            clients: None,
        }),
        ..Settings::default()
    };
    let (runtime, stop) = (Runtime::new().unwrap(), CancellationToken::new());
    let server = runtime.block_on(Server::bind(settings)).unwrap();
    let Some(Listen::Tcp(address)) = server.addresses().into_iter().next() else {
        panic!("a TCP listener")
    };
    let certificates = server.certificates().unwrap();
    runtime.spawn(server.serve(echo, stop.clone()));
    let other = Authority::new("other");
    other.issue(&LOCALHOST).write(folder.path(), "server");
    let asked = Instant::now();
    certificates.look_now();
    let client = other.client(None);
    while ask(address, &client, "/").is_err() {
        assert!(
            asked.elapsed() < Duration::from_millis(1800),
            "not before the next look"
        );
    }
    stop.cancel();
}
