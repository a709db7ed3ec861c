//! The program as it serves: listeners, signals, the health check, and what it goes on without.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::http;

pub(crate) const GOOD: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[engine]\nhost = \"unix:///nowhere/docker.sock\"\n[containers.a]\nallow = [\"status\"]\n";

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayer-controller"));
    command.env_clear();
    command
}

pub(crate) fn with_file(text: &str) -> (TempDir, Command) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("relayer-controller.toml"), text).unwrap();
    let mut command = program();
    command.current_dir(folder.path());
    (folder, command)
}

pub(crate) fn check(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}{complained}");
    assert!(said.contains(stdout), "{said}");
    assert!(complained.contains(stderr), "{complained}");
}

/// A running gateway, killed at the end.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts it and reads its log to the line that says where it listens.
    pub(crate) fn start(command: &mut Command) -> (Self, SocketAddr) {
        Self::start_as_is(command.stdout(Stdio::piped()))
    }

    /// The same with standard output as the command says.
    pub(crate) fn start_as_is(command: &mut Command) -> (Self, SocketAddr) {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(
                log.read_line(&mut line).unwrap(),
                0,
                "ended without listening"
            );
            if let Some((_, address)) = line.trim_end().split_once("listening listen=") {
                break address.parse().unwrap();
            }
        };
        // Somebody has to read on, or the log stops the gateway.
        std::thread::spawn(move || log.read_to_string(&mut String::new()));
        (Self(child), address)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> Option<i32> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(since.elapsed() < Duration::from_secs(10), "does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_broken_file_starts_nothing() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (_folder, mut command) =
        with_file(&format!("{GOOD}prefx = \"\"\n").replace("127.0.0.1:0", &port.to_string()));
    check(&command.output().unwrap(), 2, "", "prefx");
    assert!(TcpListener::bind(port).is_ok());
}

#[test]
fn a_listener_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_folder, mut command) = with_file(&GOOD.replace("127.0.0.1:0", &address));
    check(
        &command.output().unwrap(),
        2,
        "",
        &format!("cannot listen on {address}: Address already in use"),
    );
}

#[test]
fn serves_without_an_engine_and_stops_on_a_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let (folder, mut command) = with_file(GOOD);
        let (mut gateway, address) = Running::start(&mut command);
        assert_eq!(http::ask(address, "GET", "/health").body, "\"ok\"");
        assert_eq!(http::ask(address, "GET", "/ready").status, 503);
        let error = http::ask(address, "GET", "/containers").body;
        assert!(
            error.contains("cannot reach the engine at unix:///nowhere/docker.sock"),
            "{error}"
        );

        let health = |address: &str| {
            let mut command = program();
            command
                .current_dir(folder.path())
                .env("RELAYER_CONTROLLER_SERVER__LISTEN", address)
                .arg("healthcheck");
            command.output().unwrap()
        };
        check(&health(&address.to_string()), 0, "healthy", "");
        // A file that somebody broke meanwhile does not make a running gateway ill.
        fs::write(folder.path().join("relayer-controller.toml"), "broken = [").unwrap();
        check(&health(&address.to_string()), 0, "healthy", "");

        let _idle = http::connect(address);
        let told = Instant::now();
        gateway.signal(signal);
        assert_eq!(gateway.wait(), Some(0));
        assert!(
            told.elapsed() < Duration::from_secs(2),
            "an idle connection held it up"
        );
        check(&health(&address.to_string()), 1, "", "refused");
    }
}

/// An engine that accepts and says nothing delays neither the first answer nor the end.
#[test]
fn does_not_wait_for_the_engine() {
    let (folder, mut command) = with_file(GOOD);
    let socket = folder.path().join("docker.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    command.env(
        "RELAYER_CONTROLLER_ENGINE__HOST",
        format!("unix://{}", socket.display()),
    );
    let (mut gateway, address) = Running::start(&mut command);
    let started = Instant::now();
    assert_eq!(http::ask(address, "GET", "/health").body, "\"ok\"");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait(), Some(0));
    assert!(
        started.elapsed() < Duration::from_millis(1500),
        "{:?}",
        started.elapsed()
    );
}

/// A log that nobody reads holds up neither requests nor the end.
#[test]
fn a_log_that_nobody_reads() {
    let (folder, mut command) = with_file(GOOD);
    let socket = folder.path().join("gateway.sock");
    command.env(
        "RELAYER_CONTROLLER_SERVER__LISTEN",
        format!("unix:{}", socket.display()),
    );
    command.env("RELAYER_CONTROLLER_LOG__FILTER", "trace");
    let mut child = command.stderr(Stdio::piped()).spawn().map(Running).unwrap();
    wait_for_socket(&socket);
    let ask = |path: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        http::parse(&answer).unwrap().status
    };
    // Far more lines than the pipe takes, and than may wait.
    for _ in 0..5000 {
        assert_eq!(ask("/container/hidden/status"), 404);
    }
    assert_eq!(ask("/health"), 200);
    child.signal(Signal::TERM);
    assert_eq!(child.wait(), Some(0));
}

/// Whoever does not listen gets no answer, and no panic either.
#[test]
fn output_that_nobody_takes() {
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let (_folder, mut command) = with_file(GOOD);
    let status = command
        .args(["explain", "status", "a"])
        .stdout(full())
        .status();
    assert_eq!(status.unwrap().code(), Some(0));
    let (_folder, mut command) = with_file("prefx = 1");
    let status = command.arg("check").stderr(full()).status();
    assert_eq!(status.unwrap().code(), Some(2));
}

#[test]
fn listens_on_a_unix_socket_and_takes_over_a_stale_one() {
    let (folder, mut command) = with_file(GOOD);
    let socket = folder.path().join("gateway.sock");
    let listen = format!("unix:{},127.0.0.1:0", socket.display());
    command.env("RELAYER_CONTROLLER_SERVER__LISTEN", &listen);
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut child = command.stderr(Stdio::piped()).spawn().map(Running).unwrap();
    wait_for_socket(&socket);
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o660
    );
    let healthcheck = |listen: &str| {
        let mut command = program();
        command
            .current_dir(folder.path())
            .env("RELAYER_CONTROLLER_SERVER__LISTEN", listen)
            .arg("healthcheck");
        command.output().unwrap()
    };
    check(
        &healthcheck(&format!("unix:{}", socket.display())),
        0,
        "healthy",
        "",
    );

    // A second one finds it in use.
    let (_other, mut second) = with_file(GOOD);
    let output = second
        .env(
            "RELAYER_CONTROLLER_SERVER__LISTEN",
            format!("unix:{}", socket.display()),
        )
        .output();
    check(&output.unwrap(), 2, "", "another program listens there");

    child.signal(Signal::TERM);
    assert_eq!(child.wait(), Some(0));
    assert!(!socket.exists(), "its file is left behind");

    // A file that is no socket is not removed.
    fs::write(&socket, "precious").unwrap();
    let (_other, mut third) = with_file(GOOD);
    let output = third
        .env(
            "RELAYER_CONTROLLER_SERVER__LISTEN",
            format!("unix:{}", socket.display()),
        )
        .output();
    check(
        &output.unwrap(),
        2,
        "",
        "a file that is no socket is in the way",
    );
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

fn wait_for_socket(path: &Path) {
    let since = Instant::now();
    let answers = || std::os::unix::net::UnixStream::connect(path).is_ok();
    while !(path
        .metadata()
        .is_ok_and(|file| file.file_type().is_socket())
        && answers())
    {
        assert!(since.elapsed() < Duration::from_secs(10), "no socket");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_socket_that_is_closed_to_us() {
    let folder = TempDir::new_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("docker.sock");
    let _engine = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    let text = GOOD.replace("/nowhere/docker.sock", socket.to_str().unwrap());
    fs::write(folder.path().join("relayer-controller.toml"), text).unwrap();
    let mut command = program();
    command.current_dir(folder.path());
    if rustix::process::geteuid().is_root() {
        // Nothing is closed to root.
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
    }
    let (_gateway, address) = Running::start(&mut command);
    let error = http::ask(address, "GET", "/containers").body;
    let us = rustix::process::geteuid().as_raw();
    for part in [
        "Permission denied",
        &format!("the socket belongs to uid {us}"),
        "mode 000",
        "group_add",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

/// With no files left it cannot accept; it waits, and goes on when there are some again.
#[test]
fn a_process_without_files_goes_on() {
    let (folder, _) = with_file(GOOD);
    let mut command = Command::new("/bin/sh");
    let script = format!(
        "ulimit -n 32; exec '{}'",
        env!("CARGO_BIN_EXE_relayer-controller")
    );
    command.args(["-c", &script]).current_dir(folder.path());
    let (_gateway, address) = Running::start(&mut command);
    let crowd: Vec<_> = (0..64).map(|_| http::connect(address)).collect();
    drop(crowd);
    assert_eq!(http::ask(address, "GET", "/health").body, "\"ok\"");
}

#[test]
fn the_demo_says_what_it_is() {
    let mut child = program()
        .args(["demo", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut demo = Running(child);
    let lines: Vec<String> = lines.take(9).map(Result::unwrap).collect();
    for line in &lines {
        assert!(line.starts_with("[demo, pretend engine]"), "{line}");
    }
    let (_, rest) = lines
        .iter()
        .find_map(|line| line.split_once("curl http://"))
        .unwrap();
    let address: SocketAddr = rest.split('/').next().unwrap().parse().unwrap();
    let all = http::ask(address, "GET", "/containers").json();
    assert_eq!(all["containers"].as_array().unwrap().len(), 5);
    let stopped = http::ask(address, "POST", "/container/ffmpeg-kick/stop").body;
    assert_eq!(stopped, r#"{"status":"stopped","container":"ffmpeg-kick"}"#);
    let status = http::ask(address, "GET", "/container/ffmpeg-kick/status").body;
    assert_eq!(
        status,
        r#"{"container":"ffmpeg-kick","status":"exited","running":false}"#
    );
    // Everything that it names can be tried.
    let tried = lines.iter().filter_map(|line| line.split_once("curl "));
    for (_, tried) in tried {
        let method = if tried.starts_with("-X POST") {
            "POST"
        } else {
            "GET"
        };
        let (_, path) = tried.split_once(&address.to_string()).unwrap();
        let path = path.trim_end_matches('\'').replace("?follow=true", "");
        let status = http::ask(address, method, &path).status;
        assert!([200, 409].contains(&status), "{tried}: {status}");
    }
    demo.signal(Signal::INT);
    assert_eq!(demo.wait(), Some(0));
}
