//! TLS of the program as its user runs it: what is swapped while it runs, a start without files, the health check.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use relayer_controller::engine::OwnContainer;
use tempfile::TempDir;

use crate::authority::{Authority, ask, connect};
use crate::gateway::Gateway;
use crate::stage::new_prefix;

const NOWHERE: &str = "unix:///nowhere/docker.sock";
const ONE: &str = "[containers.a]\nallow = [\"status\"]\n";
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
const LOCALHOST: [&str; 2] = ["localhost", "127.0.0.1"];

/// A running program whose log is read line by line.
struct Program {
    child: Child,
    log: Receiver<String>,
    address: SocketAddr,
}

impl Program {
    fn start(folder: &Path) -> Self {
        let mut child = command(folder).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut program = Self {
            child,
            log,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
        };
        let line = program.wait_for("listening listen=");
        let (_, address) = line.split_once("listening listen=").unwrap();
        program.address = address.parse().unwrap();
        program
    }

    fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(Duration::from_secs(20));
            let line = line.unwrap_or_else(|_| panic!("the log never said `{text}`"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayer-controller"));
    command.env_clear().current_dir(folder);
    command
}

/// Writes a configuration with `[server.tls]`, whose files are in `tls/`.
fn configure(folder: &Path, listen: &str, rest: &str) {
    let text = format!(
        "[server]\nlisten = \"{listen}\"\n[server.tls]\ncertificate = \"tls/server.pem\"\nkey = \"tls/server.key\"\n\
         {rest}[engine]\nhost = \"{NOWHERE}\"\n{ONE}"
    );
    fs::write(folder.join("relayer-controller.toml"), text).unwrap();
}

#[test]
fn certificates_are_swapped_while_it_runs() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let authorities = [Authority::new("first"), Authority::new("second")];
    for (authority, version) in authorities.iter().zip(["1", "2"]) {
        fs::create_dir(at(version)).unwrap();
        authority.issue(&LOCALHOST).write(&at(version), "server");
    }
    let [first, second] = authorities
        .each_ref()
        .map(|authority| authority.client(None));
    let link_to = |version: &str| {
        symlink(version, at("new")).unwrap();
        fs::rename(at("new"), at("tls")).unwrap();
    };
    link_to("1");
    configure(folder.path(), "127.0.0.1:0", "");
    let mut program = Program::start(folder.path());
    let address = program.address;
    ask(address, &first, "/health").unwrap();
    let mut open = connect(address, &first);
    open.write_all(HEALTH).unwrap();

    link_to("2");
    program.wait_for("changed TLS files were taken over");
    ask(address, &second, "/health").unwrap();
    assert!(
        ask(address, &first, "/health").is_err(),
        "the old one is still shown"
    );

    fs::write(at("2/server.key"), "no key").unwrap();
    let line = program.wait_for("changed TLS files are wrong; the old ones stay in force");
    assert!(
        line.contains("`server.tls.key` cannot be used: `tls/server.key`: there is no private key"),
        "{line}"
    );
    ask(address, &second, "/health").unwrap();

    link_to("1");
    program.wait_for("changed TLS files were taken over");
    ask(address, &first, "/health").unwrap();
    let warned_again = program
        .log
        .try_iter()
        .any(|line| line.contains("are wrong"));
    assert!(!warned_again);

    // The connection from before it all still works.
    open.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answers = String::new();
    open.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

#[test]
fn a_start_without_its_files_says_why() {
    let folder = TempDir::new().unwrap();
    let tls = folder.path().join("tls");
    fs::create_dir(&tls).unwrap();
    configure(folder.path(), "127.0.0.1:0", "client_ca = \"tls/ca.pem\"\n");
    let check = |part: &str| {
        let output = command(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    };
    check(
        "error: `server.tls.certificate` cannot be used: `tls/server.pem`: there is no such file; correct the path",
    );
    let authority = Authority::new("ours");
    authority.issue(&LOCALHOST).write(&tls, "server");
    check("error: `server.tls.client_ca` cannot be used: `tls/ca.pem`: there is no such file");
    fs::write(tls.join("ca.pem"), "").unwrap();
    check(
        "error: `server.tls.client_ca` cannot be used: `tls/ca.pem`: there is no certificate in it",
    );
    fs::write(tls.join("ca.pem"), authority.pem()).unwrap();
    fs::write(tls.join("server.key"), authority.issue(&LOCALHOST).key).unwrap();
    check(
        "error: `server.tls.key` cannot be used: `tls/server.key`: it is not the key of the first certificate in `tls/server.pem`",
    );
    let checked = command(folder.path()).arg("check").output().unwrap();
    assert_eq!(
        checked.status.code(),
        Some(0),
        "`check` needs no secrets: {checked:?}"
    );
}

#[test]
fn the_health_check_over_tls() {
    let folder = TempDir::new().unwrap();
    let (tls, authority) = (folder.path().join("tls"), Authority::new("ours"));
    fs::create_dir(&tls).unwrap();
    fs::write(tls.join("ca.pem"), authority.pem()).unwrap();
    // Expired and for another name: that is for clients elsewhere to mind.
    let own = authority.issue_expired(&["elsewhere.test"]);
    own.write(&tls, "server");
    let check = |code: i32, part: &str| {
        let output = command(folder.path()).arg("healthcheck").output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(part), "{said}");
    };
    for rest in [
        "",
        "client_ca = \"tls/ca.pem\"\nclient_auth = \"optional\"\n",
        "client_ca = \"tls/ca.pem\"\n",
    ] {
        configure(folder.path(), "127.0.0.1:0", rest);
        let program = Program::start(folder.path());
        let listen = program.address.to_string();
        configure(folder.path(), &listen, rest);
        check(0, "healthy");
        // Broken elsewhere.
        configure(folder.path(), &listen, "client_auth = 5\nx = [\n");
        check(0, "healthy");
        // A renewal that is not whole leaves the certificate in force that was, and the gateway well.
        authority
            .issue_expired(&["elsewhere.test"])
            .write(&tls, "server");
        check(0, "healthy");
        fs::remove_file(tls.join("server.pem")).unwrap();
        check(0, "healthy");
        // So does an edit that waits for the next start.
        fs::write(
            folder.path().join("relayer-controller.toml"),
            format!("[server]\nlisten = \"{listen}\"\n"),
        )
        .unwrap();
        check(0, "healthy");
        own.write(&tls, "server");
        drop(program);
        check(1, "refused");
    }
    // Anybody can have our certificate, and without its key show it, or say that strangers are not let in.
    let der = vec![own.der()];
    let key = authority.issue(&["other"]).key_der();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let stolen = rustls::sign::CertifiedKey::new(der, key);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(stolen)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    configure(
        folder.path(),
        &listener.local_addr().unwrap().to_string(),
        "",
    );
    let impostor = std::thread::spawn(move || {
        // Each time it is asked once more without TLS.
        let (mut tcp, _) = listener.accept().unwrap();
        let mut server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        assert!(server.complete_io(&mut tcp).is_err());
        drop(listener.accept().unwrap());
        let (mut tcp, _) = listener.accept().unwrap();
        let _hello = tcp.read(&mut [0; 4096]).unwrap();
        tcp.write_all(b"\x15\x03\x03\x00\x02\x02\x74").unwrap();
        drop(listener.accept().unwrap());
    });
    check(
        1,
        "it does not have the key of the certificate that it shows",
    );
    check(1, "CertificateRequired");
    impostor.join().unwrap();
    // One that was started before it was given certificates.
    let plain = Gateway::start(&new_prefix(), NOWHERE, OwnContainer::default(), ONE);
    configure(folder.path(), &plain.address.to_string(), "");
    check(0, "healthy");
}
