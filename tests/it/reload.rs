//! Reload: by a signal and by watching, whole or not at all, under load, and what cannot change while running.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use relayer_controller::authn::TokenHash;
use relayer_controller::config::{self, Environment};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::audit::{records, said};
use crate::http;
use crate::stage::Stage;
use crate::stats::{NDJSON, Watcher};

const PROGRAM: &str = env!("CARGO_BIN_EXE_relayer-controller");

pub(crate) const TOKEN: &str =
    "rlc_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The program with a file of its own, and its log in another.
pub(crate) struct Gateway {
    child: Child,
    folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl Gateway {
    /// Starts it with this text for a configuration.
    pub(crate) fn start(text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("relayer-controller.toml");
        fs::write(&file, text).unwrap();
        Self::start_on(folder, &file, "info")
    }

    fn start_on(folder: TempDir, file: &Path, filter: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(file);
        Self::launch(folder, command, filter)
    }

    fn launch(folder: TempDir, mut command: Command, filter: &str) -> Self {
        let log = File::create(folder.path().join("log")).unwrap();
        let child = command
            .env_clear()
            .env("RELAYER_CONTROLLER_LOG__FILTER", filter)
            .stderr(log)
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Self {
            child,
            folder,
            address,
        };
        let line = gateway.wait_for("listening listen=");
        let (_, address) = line.split_once("listening listen=").unwrap();
        gateway.address = address.trim().parse().unwrap();
        // Signals and changes count from when it looks out for them.
        gateway.wait_for("the engine ");
        gateway
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until so many lines of the log have this in them: a thread of its own writes it.
    pub(crate) fn wait_for_lines(&self, part: &str, count: usize) {
        let since = Instant::now();
        while self.log().matches(part).count() < count {
            let told = self.log();
            assert!(since.elapsed() < Duration::from_secs(10), "{told}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for a line of the log with this in it.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let since = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            assert!(
                since.elapsed() < Duration::from_secs(10),
                "no {part:?} in {log}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Puts another file in the place of the configuration, as careful editors do.
    pub(crate) fn replace(&self, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.folder.path().join("relayer-controller.toml")).unwrap();
    }

    pub(crate) fn hang_up(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    pub(crate) fn ask(&self, path: &str) -> http::Answer {
        ask(self.address, path)
    }

    /// Waits until a path is answered with this status.
    pub(crate) fn wait_for_status(&self, path: &str, status: u16) {
        let since = Instant::now();
        while self.ask(path).status != status {
            assert!(since.elapsed() < Duration::from_secs(10), "{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn ask(address: SocketAddr, path: &str) -> http::Answer {
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    http::ask_with(address, "GET", path, &headers, "")
}

/// A configuration in which the bearer of the token sees these containers of `a` and `b`, and the metrics.
pub(crate) fn rules(host: &str, prefix: &str, visible: &[&str]) -> String {
    let hash = TokenHash::of(TOKEN).written();
    format!(
        "prefix = \"{prefix}\"\n[server]\nlisten = \"127.0.0.1:0\"\n[engine]\nhost = \"{host}\"\n\
         [containers.a]\nallow = [\"status\"]\n[containers.b]\nallow = [\"status\"]\n\
         [roles.viewer]\nallow = [\"status\"]\ngateway = [\"metrics\"]\ncontainers = {visible:?}\n\
         [principals.bot]\ntoken = \"{hash}\"\nroles = [\"viewer\"]\n"
    )
}

const NOWHERE: &str = "unix:///nowhere/docker.sock";

#[test]
fn by_watching_and_by_a_signal() {
    let gateway = Gateway::start(&rules(NOWHERE, "x-", &["a"]));
    assert_eq!(gateway.ask("/container/b").status, 404);
    gateway.replace(&rules(NOWHERE, "x-", &["a", "b"]));
    // The engine is nowhere: whoever may ask is told so.
    gateway.wait_for_status("/container/b", 500);
    assert!(
        gateway
            .wait_for("configuration reloaded")
            .contains("principals=1")
    );
    // In place, and at once by a signal.
    let file = gateway.folder.path().join("relayer-controller.toml");
    fs::write(file, rules(NOWHERE, "x-", &["b"])).unwrap();
    gateway.hang_up();
    gateway.wait_for_status("/container/a", 404);
    assert_eq!(gateway.ask("/container/b").status, 500);
}

#[test]
fn a_file_with_mistakes_changes_nothing() {
    let good = rules(NOWHERE, "x-", &["a"]);
    let gateway = Gateway::start(&good);
    let before = gateway.ask("/whoami").body;
    gateway.replace(
        &good
            .replace("[roles.viewer]\nallow", "[roles.viewer]\nalow")
            .replace("\"bot", "")
            .replace("listen", "lisen"),
    );
    gateway.hang_up();
    gateway.wait_for("configuration not reloaded");
    for part in [
        "`alow` is not known",
        "`lisen` is not known",
        "did you mean `allow`?",
        "3:1",
    ] {
        gateway.wait_for(part);
    }
    assert_eq!(gateway.ask("/whoami").body, before);
    // A file that is gone is a mistake like any other.
    fs::remove_file(gateway.folder.path().join("relayer-controller.toml")).unwrap();
    gateway.wait_for("there is no such file");
    assert_eq!(gateway.ask("/whoami").body, before);
}

/// What goes on is asked about again: it ends when the answer has become no, and not before.
#[test]
fn a_stream_ends_when_it_is_no_longer_permitted() {
    let stage = Stage::pretend("[containers.a]\nallow = [\"status\"]\n");
    stage.running("a");
    let rules = |visible: &[&str], allow: &str| {
        rules(&stage.host, &stage.prefix, visible).replace("[\"status\"]", allow)
    };
    let watching = r#"["status", "stats"]"#;
    for (then, ends) in [
        (rules(&["a"], watching) + "# the same\n", false),
        (rules(&["a"], r#"["status"]"#), true),
        (rules(&["b"], watching), true),
        (rules(&["a"], watching).replace("bot", "other"), true),
    ] {
        let gateway = Gateway::start(&rules(&["a"], watching));
        let revision = gateway.ask("/whoami").body;
        let mut watcher = Watcher::new(gateway.address, "a", NDJSON, Some(TOKEN));
        assert_eq!(watcher.next().unwrap()["container"], "a");
        gateway.replace(&then);
        gateway.wait_for("configuration reloaded");
        if ends {
            gateway.wait_for("a stream is closed");
            while watcher.next().is_some() {}
        } else {
            assert_ne!(gateway.ask("/whoami").body, revision);
            assert!(watcher.next().is_some() && watcher.next().is_some());
        }
    }
}

/// Half a file may be a whole one in which nobody is asked who they are.
#[test]
fn principals_do_not_vanish_by_themselves() {
    let good = rules(NOWHERE, "x-", &["a"]);
    let gateway = Gateway::start(&good);
    let half = good.split("[roles.viewer]").next().unwrap();
    gateway.replace(half);
    gateway.wait_for("the principals are gone");
    assert_eq!(http::ask(gateway.address, "GET", "/whoami").status, 401);
    assert_eq!(gateway.ask("/whoami").status, 200);
    // Whoever means it says so.
    gateway.hang_up();
    gateway.wait_for("configuration reloaded");
    let whoami = http::ask(gateway.address, "GET", "/whoami").json();
    assert_eq!(whoami["principal"], "anonymous");
}

/// A setting that waits for the next start is named at every reload, and no more once it is as it was.
#[test]
fn what_waits_for_the_next_start_is_held_against_the_start() {
    let good = rules(NOWHERE, "x-", &["a"]);
    let gateway = Gateway::start(&good);
    let other = good.replace("127.0.0.1:0", "127.0.0.1:1");
    let named = || gateway.log().matches("key=\"server.listen\"").count();
    for (text, count, expected) in [
        (other.clone(), 1, 1),
        (format!("{other}# the same\n"), 2, 2),
        (format!("{good}# as it was\n"), 3, 2),
    ] {
        // Not told of it as well: that may be a second reload.
        gateway.replace(&text);
        wait_for_reloads(&gateway, "good", count);
        // The last line of each.
        gateway.wait_for_lines("configuration reloaded", count);
        assert_eq!(named(), expected);
    }
}

/// What changes between the reading at the start and the watching is noticed, although nobody tells of it any more.
#[test]
fn a_change_at_the_very_start_is_noticed() {
    for delay in [2, 4, 6, 9, 13, 18] {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("relayer-controller.toml");
        fs::write(&file, rules(NOWHERE, "x-", &["a"])).unwrap();
        let (new, place) = (folder.path().join("new"), file.clone());
        fs::write(&new, rules(NOWHERE, "x-", &["b"])).unwrap();
        let editor = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(delay));
            fs::rename(new, place).unwrap();
        });
        let gateway = Gateway::start_on(folder, &file, "info");
        editor.join().unwrap();
        gateway.wait_for_status("/container/b", 500);
    }
}

/// A file of tokens that comes later is noticed.
#[test]
fn a_file_that_was_not_there_yet_is_noticed() {
    let good = rules(NOWHERE, "x-", &["a"]);
    let gateway = Gateway::start(&good);
    let secret = gateway.folder.path().join("secret");
    let hash = TokenHash::of(TOKEN).written();
    let late = good
        .replace(
            &format!("token = \"{hash}\""),
            &format!("token_file = {secret:?}"),
        )
        .replace("[\"a\"]\n[principals", "[\"b\"]\n[principals");
    gateway.replace(&late);
    gateway.wait_for("there is no such file");
    assert_eq!(gateway.ask("/container/b").status, 404);
    fs::write(&secret, TOKEN).unwrap();
    gateway.wait_for_status("/container/b", 500);
}

/// To swap a link on the way is a way to change the file, also for a program that confines itself.
#[test]
fn a_link_on_the_way_that_is_swapped() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, visible) in [("v1", "a"), ("v2", "b")] {
        fs::create_dir(at(version)).unwrap();
        let text = rules(NOWHERE, "x-", &[visible]);
        fs::write(at(version).join("relayer-controller.toml"), text).unwrap();
    }
    symlink("v1", at("current")).unwrap();
    symlink("v2", at("next")).unwrap();
    let (file, next, current) = (
        at("current/relayer-controller.toml"),
        at("next"),
        at("current"),
    );
    let gateway = Gateway::start_on(folder, &file, "info");
    assert_eq!(gateway.ask("/container/b").status, 404);
    fs::rename(next, current).unwrap();
    gateway.wait_for_status("/container/b", 500);
}

/// Who put which text in force, and what was tried and refused, is on record.
#[test]
fn reloads_are_on_record() {
    let folder = TempDir::new().unwrap();
    let trail = folder.path().join("audit.jsonl");
    let good = rules(NOWHERE, "x-", &["a"]).replace(
        "[engine]",
        &format!("[audit]\noutput = {trail:?}\n[engine]"),
    );
    let other = format!("{good}# another text\n");
    let gateway = Gateway::start(&good);
    gateway.replace(&other);
    gateway.wait_for("configuration reloaded");
    gateway.replace(&format!("{other}\n[serve]\n"));
    gateway.wait_for("configuration not reloaded");
    let revision = config::parse("x", &other, &Environment::default())
        .unwrap()
        .revision;
    let told: Vec<_> = records(&trail)
        .iter()
        .map(|record| said(record, &["event", "revision", "error"]))
        .collect();
    let mistake = "`serve` is not known at the top of the file";
    let expected = [
        json!(["reloaded", revision.as_str(), null]),
        json!(["reload_failed", revision.as_str(), mistake]),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_cannot_change_while_running_is_named() {
    let good = rules(NOWHERE, "x-", &["a"]);
    let gateway = Gateway::start(&good);
    let other = good
        .replace("127.0.0.1:0", "127.0.0.1:1")
        .replace("[engine]\n", "[engine]\ntimeout = \"9s\"\n")
        .replace("\"a\"]", "\"b\"]");
    gateway.replace(&other);
    gateway.hang_up();
    for key in ["server.listen", "engine"] {
        let line = gateway.wait_for(&format!("key=\"{key}\""));
        assert!(line.contains("counts from the next start on"), "{line}");
    }
    // What can change does.
    assert_eq!(gateway.ask("/container/b").status, 500);
    assert_eq!(gateway.ask("/container/a").status, 404);
}

/// A token that was put into its file a moment ago is good, and the one before is not.
#[test]
fn files_with_tokens_are_watched_too() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "0123456789abcdef-old\n").unwrap();
    let hash = TokenHash::of(TOKEN).written();
    let rules = rules(NOWHERE, "x-", &["a"]);
    let rules = rules.replace(
        &format!("token = \"{hash}\""),
        &format!("token_file = {secret:?}"),
    );
    let gateway = Gateway::start(&rules);
    assert_eq!(gateway.ask("/whoami").status, 401);
    fs::write(
        &secret,
        format!("# both, until the client has the new one\n0123456789abcdef-old\n{TOKEN}\n"),
    )
    .unwrap();
    gateway.wait_for_status("/whoami", 200);
}

/// A single file that is mounted into a container keeps its inode when the host puts a new one in its place.
#[test]
fn a_mounted_file_that_went_stale_is_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mounted");
    fs::write(&path, rules(NOWHERE, "x-", &["a"])).unwrap();
    // As a mount does, an open file leads to its inode whatever becomes of its name.
    let mut command = Command::new("/bin/sh");
    let script = "exec \"$0\" -c /proc/self/fd/9 9<\"$1\"";
    command.args(["-c", script, PROGRAM]).arg(&path);
    let gateway = Gateway::launch(folder, command, "info");
    fs::remove_file(gateway.folder.path().join("mounted")).unwrap();
    gateway.wait_for("mount its directory instead");
    assert_eq!(gateway.ask("/whoami").status, 200);
}

/// Nothing that the program writes has a token in it, however much it is told to write.
#[test]
fn tokens_are_not_logged() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("relayer-controller.toml");
    fs::write(&file, rules(NOWHERE, "x-", &["a"])).unwrap();
    let gateway = Gateway::start_on(folder, &file, "trace");
    let wrong = "rlc_wrongwrongwrong";
    for (headers, status) in [
        (format!("Authorization: Bearer {TOKEN}\r\n"), 200),
        (format!("Authorization: Bearer {wrong}\r\n"), 401),
        (format!("Authorization: {wrong}\r\n"), 401),
        // bot:rlc_wrongwrongwrong
        (
            "Authorization: Basic Ym90OnJsY193cm9uZ3dyb25nd3Jvbmc=\r\n".to_owned(),
            401,
        ),
    ] {
        let answer = http::ask_with(gateway.address, "GET", "/whoami", &headers, "");
        assert_eq!(answer.status, status, "{headers}");
        assert!(!format!("{answer:?}").contains("rlc_"));
    }
    gateway.replace(&rules(NOWHERE, "x-", &["a"]).replace("sha256:", "rlc_pasted"));
    gateway.wait_for("configuration not reloaded");
    let log = gateway.log();
    let hash = TokenHash::of(TOKEN).written();
    let digits = hash.strip_prefix("sha256:").unwrap();
    for secret in ["rlc_", "wrongwrong", "Ym90Onw", digits] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

pub(crate) fn wait_for_reloads(gateway: &Gateway, outcome: &str, count: usize) {
    let line = format!("relayer_controller_reloads_total{{outcome=\"{outcome}\"}} {count}\n");
    let since = Instant::now();
    while !gateway.ask("/metrics").body.contains(&line) {
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "{}",
            gateway.log()
        );
    }
}
