//! What logs, stats, exec and batches cost beside the engine's own work: run `benches/run`, which prepares all that this needs.
//!
//! What is compared is measured in turn, so that a machine that grows slower does so for both.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark that cannot go on has failed"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

mod stage;

use stage::{
    Gateway, PROGRAM, Stage, exchange, get, mebibytes, median, milliseconds, read_answer, resident,
    row,
};

/// How many containers are restarted at once.
const CROWD: usize = 20;

/// What the container that prints has printed: lines of 100 bytes.
const PRINTED: u64 = 64 * 1024 * 1024;

/// How often that is read in each way.
const READS: usize = 3;

/// The time between commands.
const REST: Duration = Duration::from_millis(50);

fn main() {
    let (program, engine) = stage::prepared();
    let names: Vec<_> = (0..CROWD).map(|number| format!("c{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let stage = Stage::new(&engine, &names, PROGRAM);
    let file = configure(&stage, &names);

    println!("| what | measured | to reach |");
    println!("|---|---|---|");
    logs(&program, &engine);
    let gateway = Gateway::start(&program, &stage, &engine, &file);
    stats(&gateway);
    exec(&gateway, &stage);
    batch(&gateway, &stage);
}

fn configure(stage: &Stage, names: &[&str]) -> PathBuf {
    let table = |name: &&str| {
        format!(
            "[containers.{name}]\nallow = [\"restart\", \"logs\", \"stats\", \"exec\"]\n[containers.{name}.exec.nothing]\nargv = [\"true\"]\n"
        )
    };
    let file = stage.folder.join("actions.toml");
    fs::write(&file, names.iter().map(table).collect::<String>()).unwrap();
    file
}

/// A log that is followed through the gateway and from the engine's socket, until all of it has come.
fn logs(program: &Path, engine: &Path) {
    let line = "x".repeat(99);
    let script = format!("yes {line} | head -c {PRINTED}");
    let stage = Stage::new(engine, &["printer"], &script);
    let file = configure(&stage, &["printer"]);
    let gateway = Gateway::start(program, &stage, engine, &file);
    let inspect = format!("/v1.41/containers/{}printer/json", stage.prefix);
    while ask(&mut UnixStream::connect(engine).unwrap(), &get(&inspect))
        .contains("\"Running\":true")
    {
        thread::sleep(Duration::from_millis(200));
    }
    let before = resident(&gateway);
    let direct = get(&format!(
        "/v1.41/containers/{}printer/logs?stdout=1&stderr=1&follow=1&tail=all",
        stage.prefix
    ));
    let ours = get("/container/printer/logs?tail=all&follow=true");
    let dated = direct.replace("tail=all", "tail=all&timestamps=1");
    let (mut theirs_took, mut dated_took, mut ours_took) = (Vec::new(), Vec::new(), Vec::new());
    let mut most = before;
    for _ in 0..READS {
        theirs_took.push(read_log(UnixStream::connect(engine).unwrap(), &direct));
        dated_took.push(read_log(UnixStream::connect(engine).unwrap(), &dated));
        ours_took.push(read_log(
            TcpStream::connect(gateway.address).unwrap(),
            &ours,
        ));
        most = most.max(resident(&gateway));
    }
    let (theirs, ours) = (median(theirs_took), median(ours_took));
    row(
        "64 MiB of log in lines of 100 bytes followed, from the engine's socket, median of 3",
        &milliseconds(theirs),
        "",
    );
    row(
        "the same with their times, which the gateway needs to go on after a restart",
        &milliseconds(median(dated_took)),
        "",
    );
    row(
        "the same through the gateway, in turn with it",
        &milliseconds(ours),
        "",
    );
    row(
        "throughput of the gateway to that of the engine's socket",
        &format!("{:.2}", theirs.as_secs_f64() / ours.as_secs_f64()),
        "≥ 0.9",
    );
    row(
        "memory that 192 MiB of log added",
        &format!("{:.2} MiB", mebibytes(most - before)),
        "≤ 4 MiB",
    );
}

/// Reads until all that was printed has come: its letters are counted, of which there are 99 in each line.
fn read_log(mut stream: impl Read + Write, request: &str) -> Duration {
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let lines = PRINTED / 100;
    let mut missing = usize::try_from(lines * 99).unwrap();
    // The answer's head has none but in the names of headers.
    let mut head = Vec::new();
    let after = loop {
        let length = stream.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "closed");
        head.extend_from_slice(buffer.get(..length).unwrap());
        if let Some(at) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break head.split_off(at);
        }
    };
    let letters = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| usize::from(*byte == b'x'))
            .sum::<usize>()
    };
    missing -= letters(&after);
    while missing > 0 {
        let length = stream.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "closed, and {missing} bytes are missing");
        missing = missing.saturating_sub(letters(buffer.get(..length).unwrap()));
    }
    begun.elapsed()
}

fn stats(gateway: &Gateway) {
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    let request = get("/container/c0/stats");
    row(
        "`GET /container/x/stats`, the first",
        &milliseconds(exchange(&mut stream, &request)),
        "",
    );
    let mut took = Vec::new();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(300));
        took.push(exchange(&mut stream, &request));
    }
    row(
        "further ones, 300 ms apart, median of 20",
        &milliseconds(median(took)),
        "≤ 10 ms",
    );
}

/// A command that does nothing, and the three calls of the engine that it takes.
///
/// The engine takes up to a fifth longer for them after a millisecond of rest than right after the ones before, which is
/// more than the gateway adds: so it gets the same rest before each.
fn exec(gateway: &Gateway, stage: &Stage) {
    let mut ours = TcpStream::connect(gateway.address).unwrap();
    ours.set_nodelay(true).unwrap();
    let request = post("/container/c0/exec/nothing", "");
    let mut engine = UnixStream::connect(&stage.engine).unwrap();
    let (mut theirs_took, mut ours_took) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        thread::sleep(REST);
        theirs_took.push(exec_directly(&mut engine, stage));
        thread::sleep(REST);
        ours_took.push(exchange(&mut ours, &request));
    }
    let (theirs, ours) = (median(theirs_took), median(ours_took));
    row(
        "the engine's three calls to run `true`, each time after 50 ms of rest, median of 100",
        &milliseconds(theirs),
        "",
    );
    row(
        "`POST /container/x/exec/nothing`, in turn with them",
        &milliseconds(ours),
        "",
    );
    row(
        "added by the gateway",
        &milliseconds(ours.saturating_sub(theirs)),
        "≤ 3 ms",
    );
}

fn exec_directly(engine: &mut UnixStream, stage: &Stage) -> Duration {
    let begun = Instant::now();
    let create = post(
        &format!("/v1.41/containers/{}c0/exec", stage.prefix),
        r#"{"AttachStdout":true,"AttachStderr":true,"Cmd":["true"]}"#,
    );
    let made = ask(engine, &create);
    let (_, id) = made.split_once("\"Id\":\"").unwrap();
    let id = id.get(..64).unwrap();
    let start = post(
        &format!("/v1.41/exec/{id}/start"),
        r#"{"Detach":false,"Tty":false}"#,
    );
    // What a command prints comes on a connection of its own, to its end.
    let mut output = UnixStream::connect(&stage.engine).unwrap();
    output.write_all(start.as_bytes()).unwrap();
    output.read_to_end(&mut Vec::new()).unwrap();
    let ended = ask(engine, &get(&format!("/v1.41/exec/{id}/json")));
    assert!(ended.contains("\"ExitCode\":0"), "{ended}");
    begun.elapsed()
}

/// Twenty restarts at once, through the gateway and directly, and the slowest of them alone.
fn batch(gateway: &Gateway, stage: &Stage) {
    let mut ours = TcpStream::connect(gateway.address).unwrap();
    let request = post("/containers/restart", r#"{"containers":"*"}"#);
    let (mut alone_took, mut at_once_took, mut ours_took) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..3 {
        let mut engine = UnixStream::connect(&stage.engine).unwrap();
        let alone = (0..4).map(|number| exchange(&mut engine, &restart(stage, 4 * round + number)));
        alone_took.push(alone.max().unwrap());
        let begun = Instant::now();
        thread::scope(|scope| {
            for number in 0..CROWD {
                scope.spawn(move || {
                    let mut engine = UnixStream::connect(&stage.engine).unwrap();
                    exchange(&mut engine, &restart(stage, number));
                });
            }
        });
        at_once_took.push(begun.elapsed());
        ours_took.push(exchange(&mut ours, &request));
    }
    let (alone, theirs, ours) = (median(alone_took), median(at_once_took), median(ours_took));
    row(
        "one restart alone at the engine, the slowest of four",
        &milliseconds(alone),
        "",
    );
    row(
        "20 restarts at once at the engine",
        &milliseconds(theirs),
        "",
    );
    row(
        "`POST /containers/restart` of the same 20",
        &milliseconds(ours),
        "",
    );
    row(
        "the gateway's to the engine's own",
        &format!("{:.2}", ours.as_secs_f64() / theirs.as_secs_f64()),
        "≤ 1.3",
    );
}

fn restart(stage: &Stage, number: usize) -> String {
    post(
        &format!("/v1.41/containers/{}c{number}/restart", stage.prefix),
        "",
    )
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request and gives its whole answer.
fn ask(stream: &mut (impl Read + Write), request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    String::from_utf8_lossy(&read_answer(stream)).into_owned()
}
