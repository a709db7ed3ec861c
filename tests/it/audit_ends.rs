//! The audit trail of the real program, however it ends: told to stop, told twice, killed, or with nobody who reads.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, PipeReader, Read, Write, pipe};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::pretend::Fault;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::audit::{Trail, records, told};
use crate::http::{self, connect};
use crate::program::{Running, check, with_file};
use crate::running::wait;
use crate::stage::Stage;
use crate::stats::until;

/// The program in front of the engine of a stage, with these tables.
fn in_front_of(stage: &Stage, shutdown_timeout: &str, tables: &str) -> (TempDir, Command) {
    with_file(&format!(
        "prefix = \"{}\"\n[server]\nlisten = \"127.0.0.1:0\"\nshutdown_timeout = \"{shutdown_timeout}\"\n\
         [engine]\nhost = \"{}\"\n{tables}",
        stage.prefix, stage.host
    ))
}

fn begin(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = connect(address);
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Stops the program by these signals while the engine says nothing to a restart, and asserts that the trail tells.
fn check_interrupted(shutdown_timeout: &str, signals: &[Signal]) {
    let (stage, trail) = (Stage::pretend(&Trail::new().tables("")), Trail::new());
    stage.running("c0");
    stage
        .pretend
        .as_ref()
        .unwrap()
        .set_fault_on("restart", Fault::Stall);
    let (_folder, mut command) = in_front_of(&stage, shutdown_timeout, &trail.tables(""));
    let (mut gateway, address) = Running::start(&mut command);
    // One acts, and one waits for its turn.
    let _callers = [0, 1].map(|_| begin(address, "/container/c0/restart"));
    wait(|| records(&trail.path).len() == 2 && !stage.record.take_changes().is_empty());
    for signal in signals {
        gateway.signal(*signal);
        // The listeners close when the first signal has been seen; the second must not come before.
        wait(|| TcpStream::connect(address).is_err());
    }
    assert_eq!(gateway.wait(), Some(1));
    let ended = json!(["ended", "restart", "c0", "allow", "interrupted", null]);
    let records = records(&trail.path);
    assert_eq!(told(&records[2..]), json!([ended, ended]));
    for record in &records[2..] {
        assert_eq!(record["error"], "the gateway was stopped first");
    }
}

#[test]
fn a_change_that_a_stop_breaks_off_is_on_record() {
    check_interrupted("200ms", &[Signal::TERM]);
    check_interrupted("1m", &[Signal::TERM, Signal::TERM]);
    check_interrupted("1m", &[Signal::INT, Signal::TERM]);
}

/// Whatever the engine saw has its admitted record, whenever the program is killed.
#[test]
fn killed_at_any_moment() {
    const VERBS: [&str; 3] = ["restart", "stop", "start"];
    let (stage, trail) = (Stage::pretend(&Trail::new().tables("")), Trail::new());
    let names: Vec<_> = (0..4).map(|i| format!("c{i}")).collect();
    let ids: Vec<_> = names.iter().map(|name| stage.running(name)).collect();
    let table = |name| format!("[containers.{name}]\nallow = [\"start\", \"stop\", \"restart\"]\n");
    let audit = [format!("[audit]\noutput = \"{}\"\n", trail.path.display())]
        .into_iter()
        .chain(names.iter().map(table))
        .collect::<String>();
    let (_folder, mut command) = in_front_of(&stage, "1s", &audit);
    let (mut changes, mut seen) = (Vec::new(), 0);
    for round in 0..20_usize {
        let (mut gateway, address) = Running::start(&mut command);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for name in &names {
                let is_over = &is_over;
                scope.spawn(move || {
                    for verb in VERBS.iter().cycle() {
                        if is_over.load(Ordering::Relaxed) {
                            return;
                        }
                        let path = format!("/container/{name}/{verb}");
                        ask_the_dying(address, &path);
                    }
                });
            }
            let most = 1 + round * 7 % 23;
            wait(|| {
                changes.extend(stage.record.take_changes());
                changes.len() >= most
            });
            gateway.signal(Signal::KILL);
            gateway.wait();
            is_over.store(true, Ordering::Relaxed);
        });
        changes.extend(stage.record.take_changes());
        // Each round by itself: what was admitted in one and never done must not stand in for another.
        check_all_admitted(&changes, &trail.take(), &ids);
        seen += changes.len();
        changes.clear();
    }
    assert!(seen > 100, "{seen}");
}

/// Asks something of a program that may be gone.
fn ask_the_dying(address: SocketAddr, path: &str) {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return;
    };
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let _gone = stream.write_all(request.as_bytes());
    let _gone = stream.read_to_end(&mut Vec::new());
}

/// Asserts that there are at least as many admitted records of each verb on each container as changes.
fn check_all_admitted(changes: &[String], records: &[Value], ids: &[String]) {
    let mut left = BTreeMap::<(usize, String), i64>::new();
    for change in changes {
        let (path, _) = change.split_once('?').unwrap_or((change, ""));
        let (rest, verb) = path.rsplit_once('/').unwrap();
        let of = ids.iter().position(|id| rest.ends_with(id.as_str()));
        *left.entry((of.unwrap(), verb.to_owned())).or_default() += 1;
    }
    for record in records
        .iter()
        .filter(|record| record["event"] == "admitted")
    {
        let name = record["container"].as_str().unwrap();
        let of = name[1..].parse().unwrap();
        let verb = record["verb"].as_str().unwrap().to_owned();
        *left.entry((of, verb)).or_default() -= 1;
    }
    assert!(
        left.values().all(|left| *left <= 0),
        "without record: {left:?}"
    );
}

#[test]
fn a_trail_that_cannot_be_opened_stops_the_start() {
    let stage = Stage::pretend(&Trail::new().tables(""));
    for (output, parts) in [
        (
            "/nowhere/audit.jsonl",
            [
                "cannot write the audit trail to /nowhere/audit.jsonl: No such file",
                "make its directory",
            ],
        ),
        (
            "/dev/full",
            [
                "it is not an ordinary file",
                "\"stdout\" for standard output (audit.output)",
            ],
        ),
    ] {
        let tables =
            format!("[audit]\noutput = \"{output}\"\n[containers.c0]\nallow = [\"stop\"]\n");
        let (_folder, mut command) = in_front_of(&stage, "1s", &tables);
        let told = command.output().unwrap();
        for part in parts {
            check(&told, 2, "", part);
        }
    }
}

const STDOUT: &str =
    "[audit]\noutput = \"stdout\"\n[containers.c0]\nallow = [\"status\", \"restart\"]\n";

/// The program with its records going into a pipe.
fn into_a_pipe(stage: &Stage) -> (TempDir, Running, SocketAddr, PipeReader, File) {
    let (reader, writer) = pipe().unwrap();
    // Another opening of the same pipe, whose own way of not waiting is not the program's.
    let own = OpenOptions::new()
        .write(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(format!("/proc/self/fd/{}", writer.as_raw_fd()))
        .unwrap();
    let (folder, mut command) = in_front_of(stage, "1s", STDOUT);
    command.stdout(Stdio::from(writer));
    let (gateway, address) = Running::start_as_is(&mut command);
    (folder, gateway, address, reader, own)
}

#[test]
fn standard_output_has_one_record_a_line() {
    let stage = Stage::pretend(&Trail::new().tables(""));
    stage.running("c0");
    let (_folder, mut gateway, address, mut reader, own) = into_a_pipe(&stage);
    drop(own);
    assert_eq!(
        http::ask(address, "POST", "/container/c0/restart").status,
        200
    );
    assert_eq!(http::ask(address, "POST", "/container/c0/stop").status, 403);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait(), Some(0));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let records: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        told(&records),
        json!([
            ["admitted", "restart", "c0", "allow", null, null],
            ["ended", "restart", "c0", "allow", "done", 200],
            ["denied", "stop", "c0", "deny", null, 403]
        ])
    );
}

/// Whoever does not read the records stops changes, and neither looks nor the end.
#[test]
fn a_pipe_that_nobody_reads() {
    let stage = Stage::pretend(&Trail::new().tables(""));
    stage.running("c0");
    let (_folder, mut gateway, address, mut reader, mut own) = into_a_pipe(&stage);
    let mut filled = 0;
    loop {
        match own.write(&[b'\n'; 512]) {
            Ok(length) => filled += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    let asked = Instant::now();
    let callers: Vec<_> = (0..8)
        .map(|_| begin(address, "/container/c0/restart"))
        .collect();
    for _ in 0..20 {
        assert_eq!(
            http::ask(address, "GET", "/container/c0/status").status,
            200
        );
    }
    assert!(asked.elapsed() < Duration::from_secs(4), "looks wait, too");
    for mut caller in callers {
        let mut answer = [0; 12];
        caller.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503");
    }
    assert_eq!(stage.record.take_changes(), Vec::<String>::new());

    // Somebody reads on: what waited comes first, and as soon as that is on its way, what is asked now.
    reader.read_exact(&mut vec![0; filled]).unwrap();
    until("changes are made again", || {
        http::ask(address, "POST", "/container/c0/restart").status == 200
    });

    while own.write(b"\n").is_ok() {}
    let _caller = begin(address, "/container/c0/restart");
    gateway.signal(Signal::TERM);
    let told = Instant::now();
    gateway.wait();
    assert!(
        told.elapsed() < Duration::from_secs(6),
        "{:?}",
        told.elapsed()
    );
}
