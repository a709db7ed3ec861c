//! The confinement: who the program is after its start, read back from the kernel, and what it still reaches.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use relayer_controller::pretend::Pretend;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::http;

const PROGRAM: &str = env!("CARGO_BIN_EXE_relayer-controller");

/// A group that no machine has.
const GROUP: u32 = 4711;

/// Whether this test can be done, because root runs it. Who cannot be root has to say so.
fn is_root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    let is_left_out = std::env::var("RELAYER_TEST_ROOT").is_ok_and(|said| said == "none");
    assert!(
        is_left_out,
        "only root can leave root: run this as root, or with RELAYER_TEST_ROOT=none to leave it out"
    );
    println!("left out, for it takes root: {test}");
    false
}

/// A directory that everybody may enter, with a configuration that everybody may read, and an engine's socket.
struct Place {
    folder: TempDir,
    _pretend: Pretend,
    _runtime: Runtime,
}

impl Place {
    fn new() -> Self {
        let (folder, runtime) = (TempDir::new_in("/tmp").unwrap(), Runtime::new().unwrap());
        mode(folder.path(), 0o755);
        let socket = folder.path().join("docker.sock");
        let pretend = runtime.block_on(Pretend::serve(&socket)).unwrap();
        pretend.add("relayer-a", &[], true).unwrap();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[engine]\nhost = \"unix://{}\"\n[containers.a]\nallow = [\"status\"]\n",
            socket.display()
        );
        fs::write(folder.path().join("relayer-controller.toml"), text).unwrap();
        mode(&folder.path().join("relayer-controller.toml"), 0o644);
        Self {
            folder,
            _pretend: pretend,
            _runtime: runtime,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The engine's socket belongs to root and this group, with this mode.
    fn socket(&self, group: u32, bits: u32) {
        let socket = self.path("docker.sock");
        chown(&socket, Some(0), Some(group)).unwrap();
        mode(&socket, bits);
    }

    /// The program, started by root with this `server.user`; `through` is a command that starts it.
    fn program(&self, through: &[&str], user: &str) -> Command {
        let mut words = through.iter().copied().chain([PROGRAM]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("RELAYER_CONTROLLER_SERVER__USER", user)
            .current_dir(self.folder.path());
        command
    }
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// A running gateway, killed at the end.
struct Running {
    child: Child,
    address: SocketAddr,
    /// What it said up to where it listens.
    said: String,
    rest: Option<JoinHandle<String>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            assert_ne!(log.read_line(&mut said).unwrap(), 0, "ended: {said}");
            if let Some((_, address)) = said[before..].trim_end().split_once("listening listen=") {
                // The others come later.
                if let Ok(address) = address.parse() {
                    break address;
                }
            }
        };
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            log.read_to_string(&mut rest).unwrap();
            rest
        });
        Self {
            child,
            address,
            said,
            rest: Some(rest),
        }
    }

    /// What the kernel says of this in every thread of the process, where they all agree.
    fn status(&self, name: &str) -> String {
        let threads = format!("/proc/{}/task", self.child.id());
        let mut values = fs::read_dir(threads).unwrap().map(|thread| {
            let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let words: Vec<&str> = line.unwrap().split_whitespace().collect();
            words.join(" ")
        });
        let first = values.next().unwrap();
        let others: Vec<String> = values.collect();
        assert!(!others.is_empty(), "there are no workers");
        assert!(others.iter().all(|other| *other == first), "{others:?}");
        first
    }

    fn lists_a_container(&self) {
        let answer = http::ask(self.address, "GET", "/containers").body;
        let expected = r#"{"containers":[{"container":"a","status":"running","running":true}]}"#;
        assert_eq!(answer, expected);
    }

    /// Ends it; answers its exit code and what it said since it listened.
    fn end(mut self) -> (Option<i32>, String) {
        // Only when it answers does it listen to signals.
        let health = http::ask(self.address, "GET", "/health").body;
        assert_eq!(health, "\"ok\"");
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, self.rest.take().unwrap().join().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

const NOTHING: &str = "0000000000000000";

/// A start by root: with which user, who it is afterwards, and what it says of that.
struct Case {
    through: &'static [&'static str],
    user: &'static str,
    socket: Option<u32>,
    uid: &'static str,
    gid: &'static str,
    groups: &'static str,
    says: &'static str,
}

fn check(case: &Case) {
    let place = Place::new();
    match case.socket {
        Some(bits) => place.socket(GROUP, bits),
        None => fs::remove_file(place.path("docker.sock")).unwrap(),
    }
    let gateway = Running::start(place.program(case.through, case.user));
    assert!(gateway.said.contains(case.says), "{}", gateway.said);
    for (name, expected) in [
        ("Uid:", [case.uid; 4].join(" ")),
        ("Gid:", [case.gid; 4].join(" ")),
        ("NoNewPrivs:", "1".to_owned()),
    ] {
        assert_eq!(gateway.status(name), expected, "{name} {}", gateway.said);
    }
    if case.uid != "0" {
        assert_eq!(gateway.status("Groups:"), case.groups);
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(gateway.status(set), NOTHING, "{set}");
        }
    }
    if case.socket.is_some() {
        gateway.lists_a_container();
    }
    let (code, said) = gateway.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn root_is_left_where_the_socket_can_be_kept() {
    const LEFT: Case = Case {
        through: &[],
        user: "65532",
        socket: Some(0o660),
        uid: "65532",
        gid: "65532",
        groups: "4711",
        says: "left root; the group is that of the engine's socket user=65532:65532 group=4711",
    };
    const STAYS: Case = Case {
        uid: "0",
        gid: "0",
        ..LEFT
    };
    if !is_root("who the program is after its start") {
        return;
    }
    for case in [
        LEFT,
        Case {
            user: "1234:5678",
            uid: "1234",
            gid: "5678",
            says: "user=1234:5678 group=4711",
            ..LEFT
        },
        Case {
            socket: Some(0o666),
            groups: "",
            says: "left root; the engine needs no group of it user=65532:65532",
            ..LEFT
        },
        Case {
            socket: None,
            groups: "",
            says: "left root without the group of the engine's socket",
            ..LEFT
        },
        // The two capabilities are enough.
        Case {
            through: &["setpriv", "--bounding-set=-all,+setuid,+setgid"],
            ..LEFT
        },
        // What whoever starts it wants to keep for it is given up all the same.
        Case {
            through: &[
                "setpriv",
                "--securebits=+no_setuid_fixup,+noroot",
                "--inh-caps=+net_raw,+setuid,+setgid",
                "--ambient-caps=+net_raw,+setuid,+setgid",
            ],
            ..LEFT
        },
        Case {
            socket: Some(0o600),
            says: "the engine's socket would be closed to `server.user`",
            ..STAYS
        },
        Case {
            through: &["setpriv", "--bounding-set=-all,+dac_override"],
            says: "cap_add: [SETUID, SETGID]",
            ..STAYS
        },
        Case {
            through: &["setpriv", "--bounding-set=-setuid"],
            says: "cap_add: [SETUID, SETGID]",
            ..STAYS
        },
        Case {
            user: "",
            says: "running as root: name another user in `server.user`",
            ..STAYS
        },
    ] {
        check(&case);
    }
}

#[test]
fn another_user_stays_who_it_is() {
    if !is_root("another user than root starts the program") {
        return;
    }
    let place = Place::new();
    place.socket(GROUP, 0o660);
    let mut command = place.program(&[], "65532");
    command.uid(1234).gid(GROUP);
    let gateway = Running::start(command);
    let says = "not started as root, so it stays this user whatever `server.user` says uid=1234";
    assert!(gateway.said.contains(says), "{}", gateway.said);
    assert_eq!(gateway.status("Uid:"), "1234 1234 1234 1234");
    assert_eq!(gateway.status("NoNewPrivs:"), "1");
    gateway.lists_a_container();
}

/// Root could read it, and its first reload could not.
#[test]
fn a_file_that_is_closed_to_the_user_stops_the_start() {
    if !is_root("a configuration that only root may read") {
        return;
    }
    let place = Place::new();
    place.socket(GROUP, 0o660);
    mode(&place.path("relayer-controller.toml"), 0o600);
    // A program that serves instead is ended.
    let mut program = place.program(&["timeout", "10"], "65532");
    let output = program.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let says = "it belongs to 0:0 with mode 0600, and this process is 65532:65532";
    assert!(said.contains(says), "{said}");
}

/// The health check is started as the image is, by root without a way around modes.
#[test]
fn the_health_check_gets_in() {
    if !is_root("a health check by root without capabilities") {
        return;
    }
    let place = Place::new();
    place.socket(GROUP, 0o660);
    fs::create_dir(place.path("open")).unwrap();
    mode(&place.path("open"), 0o777);
    let listen = format!("127.0.0.1:0,unix:{}", place.path("open/x.sock").display());
    let variable = "RELAYER_CONTROLLER_SERVER__LISTEN";
    let mut command = place.program(&[], "65532");
    command.env(variable, &listen);
    let _gateway = Running::start(command);
    for (capabilities, code) in [("-all,+setuid,+setgid", 0), ("-all", 1)] {
        let set = format!("--bounding-set={capabilities}");
        let mut check = place.program(&["setpriv", &set], "65532");
        let listen = listen.trim_start_matches("127.0.0.1:0,");
        let output = check.env(variable, listen).arg("healthcheck").output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

/// What the running program still does with files is to remove its socket. A link that led into its own directory at
/// the start, and elsewhere at the end, leads it to nothing.
#[test]
fn the_program_reaches_no_file_elsewhere() {
    let place = Place::new();
    for name in ["own", "elsewhere"] {
        fs::create_dir(place.path(name)).unwrap();
    }
    fs::write(place.path("elsewhere/x.sock"), "precious").unwrap();
    symlink("own", place.path("link")).unwrap();
    let listen = format!("unix:{},127.0.0.1:0", place.path("link/x.sock").display());
    let mut command = place.program(&[], "");
    command.env("RELAYER_CONTROLLER_SERVER__LISTEN", listen);
    let gateway = Running::start(command);
    if !has_landlock(&gateway.said) {
        return;
    }
    symlink("elsewhere", place.path("new")).unwrap();
    fs::rename(place.path("new"), place.path("link")).unwrap();
    let (code, said) = gateway.end();
    assert_eq!(code, Some(0), "{said}");
    let denied = "the socket's file could not be removed";
    assert!(
        said.contains(denied) && said.contains("Permission denied"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(place.path("elsewhere/x.sock")).unwrap(),
        "precious"
    );
}

/// Names are resolved by files and libraries that are read while it serves.
#[test]
fn an_engine_with_a_name_is_reached() {
    let engine = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let mut command = place.program(&[], "");
    let host = format!("tcp://localhost:{}", engine.local_addr().unwrap().port());
    command.env("RELAYER_CONTROLLER_ENGINE__HOST", host);
    let gateway = Running::start(command);
    // It accepts, and hangs up; unlike that, what is out of reach is told as such.
    std::thread::spawn(move || engine.incoming().for_each(drop));
    let answer = http::ask(gateway.address, "GET", "/ready").body;
    assert!(
        answer.contains("\"ready\":false") && !answer.contains("cannot reach the engine"),
        "{answer}"
    );
}

/// Whether the kernel confines the program. Who has an older one has to say so.
pub(crate) fn has_landlock(said: &str) -> bool {
    if said.contains("Landlock: nothing is in reach but what the configuration names abi=") {
        return true;
    }
    let is_left_out = std::env::var("RELAYER_TEST_LANDLOCK").is_ok_and(|said| said == "none");
    assert!(
        is_left_out,
        "needs Linux 6.12 with Landlock, or RELAYER_TEST_LANDLOCK=none to leave it out: {said}"
    );
    println!("left out, for this kernel has no Landlock of version 6: what is out of reach");
    false
}
