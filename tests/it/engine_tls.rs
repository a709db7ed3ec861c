//! The engine over TLS: it works, and every fault is told with what to do about it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use relayer_controller::engine::OwnContainer;
use relayer_controller::pretend::Pretend;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, Issued};
use crate::engines::Direct;
use crate::gateway::Gateway;
use crate::stage::new_prefix;

const ONE: &str = "[containers.a]\nallow = [\"status\", \"start\", \"stop\"]\n";

/// A pretend engine behind TLS, with what its clients need in `ca.pem`, `client.pem` and `client.key`.
struct Front {
    port: u16,
    authority: Authority,
    folder: TempDir,
    runtime: Runtime,
    _pretend: Pretend,
}

impl Front {
    /// `shown` is its certificate; clients must have one of its own authority where `is_strict`.
    fn start(is_strict: bool, shown: impl FnOnce(&Authority) -> Issued) -> Self {
        let (runtime, folder) = (Runtime::new().unwrap(), TempDir::new().unwrap());
        let socket = folder.path().join("pretend.sock");
        let pretend = runtime.block_on(Pretend::serve(&socket)).unwrap();
        let authority = Authority::new("engines");
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        authority
            .issue(&["gateway.test"])
            .write(folder.path(), "client");

        let shown = shown(&authority);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if is_strict {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let config = builder
            .with_single_cert(vec![shown.der()], shown.key_der())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, socket) = (acceptor.clone(), socket.clone());
                tokio::spawn(async move {
                    let mut engine = UnixStream::connect(socket).await?;
                    copy_bidirectional(&mut acceptor.accept(tcp).await?, &mut engine).await
                });
            }
        });
        Self {
            port,
            authority,
            folder,
            runtime,
            _pretend: pretend,
        }
    }

    /// A gateway in front of it.
    fn gateway(&self, prefix: &str, host: &str, has_certificate: bool) -> Gateway {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let tls = format!("[engine.tls]\nca = \"{}\"\n", at("ca.pem"));
        let (certificate, key) = (at("client.pem"), at("client.key"));
        let client = if has_certificate {
            format!("certificate = \"{certificate}\"\nkey = \"{key}\"\n")
        } else {
            String::new()
        };
        let host = format!("tcp://{host}:{}", self.port);
        Gateway::start(
            prefix,
            &host,
            OwnContainer::default(),
            &(tls + &client + ONE),
        )
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asserts what is told of it.
    fn check(&self, host: &str, has_certificate: bool, expected: &str) {
        let gateway = self.gateway(&new_prefix(), host, has_certificate);
        let answer = gateway.get("/containers");
        let error = answer.json()["error"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let address = format!("tcp://{host}:{}", self.port);
        assert_eq!(
            error,
            format!("Docker error: cannot reach the engine at {address}: {expected}")
        );
        assert_eq!(answer.status, 500);
        // It is told alike on every try.
        assert_eq!(gateway.get("/containers").json()["error"], error);
    }
}

fn local(authority: &Authority) -> Issued {
    authority.issue(&["localhost", "127.0.0.1"])
}

#[test]
fn the_gateway_works_over_tls() {
    for (is_strict, host) in [
        (true, "127.0.0.1"),
        (true, "localhost"),
        (false, "localhost"),
    ] {
        let (front, prefix) = (Front::start(is_strict, local), new_prefix());
        let engine = Direct::new(&front.folder().join("pretend.sock"));
        engine.create(&format!("{prefix}a"), &serde_json::json!({}));
        let gateway = front.gateway(&prefix, host, is_strict);
        gateway.wait_until_current();
        gateway.check(
            "POST",
            "/container/a/start",
            200,
            r#"{"status":"started","container":"a"}"#,
        );
        gateway.check(
            "GET",
            "/container/a/status",
            200,
            r#"{"container":"a","status":"running","running":true}"#,
        );
    }
}

#[test]
fn an_engine_that_cannot_be_believed() {
    let expired =
        "its certificate has expired; renew it at the engine, or set this machine's clock right";
    let names = &["localhost", "127.0.0.1"];
    Front::start(false, |ours| ours.issue_expired(names)).check("localhost", false, expired);

    let unknown = "its certificate was not issued by an authority in `engine.tls.ca`; name the file with the one that issued it";
    for other in ["others", "engines"] {
        let front = Front::start(false, |_| Authority::new(other).issue(names));
        front.check("localhost", false, unknown);
    }

    let front = Front::start(false, |ours| ours.issue(&["engine.test"]));
    for host in ["localhost", "127.0.0.1"] {
        let told = format!(
            "its certificate is not for `{host}`, but for `engine.test`; have that name put into it, or write one that \
             is in it in `engine.host`"
        );
        front.check(host, false, &told);
    }
}

#[test]
fn an_engine_that_does_not_believe_us() {
    let front = Front::start(true, local);
    let demands = "it demands a client certificate; name one in `engine.tls.certificate` and `engine.tls.key`";
    front.check("localhost", false, demands);
    front
        .authority
        .issue_expired(&["gateway.test"])
        .write(front.folder(), "client");
    let expired = "it says that our client certificate has expired; renew `engine.tls.certificate`, or set the clocks right";
    front.check("localhost", true, expired);
    let refused = "it refuses our client certificate; `engine.tls.certificate` must be issued by an authority that the \
                   engine believes (dockerd: `--tlscacert`)";
    for other in ["others", "engines"] {
        Authority::new(other)
            .issue(&["gateway.test"])
            .write(front.folder(), "client");
        front.check("localhost", true, refused);
    }
}

#[test]
fn an_engine_without_tls() {
    let front = Front::start(false, local);
    let (port, socket) = (front.port, front.folder().join("pretend.sock"));
    let listener = front
        .runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let plain = Front {
        port: listener.local_addr().unwrap().port(),
        ..front
    };
    plain.runtime.spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut engine = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut tcp, &mut engine).await });
        }
    });
    let told = "what answers there does not speak TLS; is it the engine's plain port? the one with TLS is 2376 by custom";
    plain.check("localhost", false, told);

    // And the other way round.
    let host = format!("tcp://localhost:{port}");
    let gateway = Gateway::start(&new_prefix(), &host, OwnContainer::default(), ONE);
    let error = gateway.get("/containers").body;
    assert!(error.contains("Docker error: "), "{error}");
}

/// A client certificate that was renewed counts from the next connection on, and a broken one does not count at all.
#[test]
fn renewed_files_hold_for_the_next_connection() {
    let front = Front::start(true, local);
    let good = front.authority.issue(&["gateway.test"]);
    front
        .authority
        .issue_expired(&["gateway.test"])
        .write(front.folder(), "client");
    let gateway = front.gateway(&new_prefix(), "localhost", true);
    assert_eq!(gateway.get("/ready").status, 503);
    good.write(front.folder(), "client");
    assert_eq!(gateway.get("/ready").status, 200);
    fs::write(front.folder().join("client.key"), "broken").unwrap();
    assert_eq!(gateway.get("/ready").status, 200);
}

#[test]
fn a_start_without_its_files_says_why() {
    let folder = TempDir::new().unwrap();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[engine]\nhost = \"tcp://localhost\"\n[engine.tls]\nca = \"ca.pem\"\n{ONE}"
    );
    fs::write(folder.path().join("relayer-controller.toml"), text).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_relayer-controller"));
    let output = command
        .env_clear()
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = "error: cannot reach the engine at tcp://localhost:2376: `engine.tls.ca` cannot be used: `ca.pem`: there is no \
                such file; correct the path";
    assert!(said.contains(told), "{said}");
    assert_eq!(output.status.code(), Some(2), "{said}");
}
