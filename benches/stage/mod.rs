//! What benchmarks share: containers on a real engine, a gateway in front of them, and a plain client for both.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// An image with a shell; `tests/engine` makes it.
const IMAGE: &str = "busybox:latest";
/// A label that tells which run of `benches/run` a container is from.
const LABEL: &str = "relayer-controller.bench";
/// A program that stops at once when it is told to.
pub(crate) const PROGRAM: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

pub(crate) fn row(what: &str, measured: &str, reach: &str) {
    println!("| {what} | {measured} | {reach} |");
}

/// The resident memory of an idle gateway, in bytes.
pub(crate) fn resident(gateway: &Gateway) -> u64 {
    thread::sleep(Duration::from_secs(1));
    resident_of(gateway.child.id())
}

/// The resident memory of a process, in bytes.
pub(crate) fn resident_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    resident
        .trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap()
        * 1024
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// Sends a request and reads its whole answer, which must be a good one.
pub(crate) fn exchange<S: Read + Write>(stream: &mut S, request: &str) -> Duration {
    let sent = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    let answer = read_answer(stream);
    let took = sent.elapsed();
    assert!(
        answer.starts_with(b"HTTP/1.1 2"),
        "{request}{}",
        String::from_utf8_lossy(&answer)
    );
    took
}

/// Reads one answer off a connection that stays open.
pub(crate) fn read_answer(stream: &mut impl Read) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = stream.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "closed");
        answer.extend_from_slice(buffer.get(..length).unwrap());
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let announced = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let complete = match announced {
            Some(announced) => body.len() >= announced,
            None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
        };
        if complete {
            return answer;
        }
    }
}

pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    *durations.get(durations.len() / 2).unwrap()
}

pub(crate) fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1024 * 1024)
}

/// Containers on the engine, removed at the end.
pub(crate) struct Stage {
    pub(crate) engine: PathBuf,
    pub(crate) prefix: String,
    pub(crate) folder: PathBuf,
    names: Vec<String>,
}

impl Stage {
    /// With containers of these names that run this shell script.
    pub(crate) fn new(engine: &Path, names: &[&str], script: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("rcb-{}-{count}-", std::process::id());
        let folder = env::temp_dir().join(&prefix);
        fs::create_dir(&folder).unwrap();
        let mut stage = Self {
            engine: engine.to_owned(),
            prefix,
            folder,
            names: Vec::new(),
        };
        stage.create(names, script);
        for name in names {
            stage.ask(
                "POST",
                &format!("/containers/{}{name}/start", stage.prefix),
                "",
            );
        }
        stage
    }

    /// More containers, which are not started.
    pub(crate) fn create(&mut self, names: &[&str], script: &str) {
        let run = env::var("RELAYER_BENCH_RUN").unwrap_or_default();
        let body = format!(
            r#"{{"Image":"{IMAGE}","Cmd":["/bin/sh","-c","{script}"],"Labels":{{"{LABEL}":"{run}"}},"HostConfig":{{"NetworkMode":"none"}}}}"#
        );
        self.names
            .extend(names.iter().map(|name| (*name).to_owned()));
        at_once(names, |name| {
            self.ask(
                "POST",
                &format!("/containers/create?name={}{name}", self.prefix),
                &body,
            );
        });
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) {
        let mut stream = UnixStream::connect(&self.engine).unwrap();
        let length = body.len();
        let head = format!(
            "{method} /v1.41{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        );
        exchange(
            &mut stream,
            &format!("{head}Content-Length: {length}\r\n\r\n{body}"),
        );
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // One that was never made does not keep the others: `benches/run` looks after all of them once more.
        at_once(&self.names, |name| {
            let request = format!(
                "DELETE /v1.41/containers/{}{name}?force=1 HTTP/1.1\r\nHost: x\r\n\r\n",
                self.prefix
            );
            let mut stream = UnixStream::connect(&self.engine).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            read_answer(&mut stream);
        });
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Does the same with each, a few at a time.
fn at_once<T: Sync>(all: &[T], act: impl Fn(&T) + Sync) {
    const HANDS: usize = 4;
    let (act, share) = (&act, all.len().div_ceil(HANDS).max(1));
    thread::scope(|scope| {
        for some in all.chunks(share) {
            scope.spawn(move || some.iter().for_each(act));
        }
    });
}

/// A running gateway that has answered once.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// The program and the engine that `benches/run` prepares.
pub(crate) fn prepared() -> (PathBuf, PathBuf) {
    let given = |name: &str| env::var(name).unwrap_or_else(|_| panic!("run `benches/run`"));
    let engine = given("RELAYER_TEST_ENGINE");
    let engine = PathBuf::from(engine.strip_prefix("unix://").unwrap());
    (PathBuf::from(given("RELAYER_BENCH_PROGRAM")), engine)
}

impl Gateway {
    /// Before this engine, with this configuration.
    pub(crate) fn start(program: &Path, stage: &Stage, engine: &Path, file: &Path) -> Self {
        Self::start_at(program, (stage, engine), file, is_healthy)
    }

    /// Starts one with this configuration, and waits until it is ready.
    pub(crate) fn start_at(
        program: &Path,
        (stage, engine): (&Stage, &Path),
        file: &Path,
        ready: impl Fn(SocketAddr) -> bool,
    ) -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let child = Command::new(program)
            .arg("--config")
            .arg(file)
            .env("RELAYER_CONTROLLER_PREFIX", &stage.prefix)
            .env("RELAYER_CONTROLLER_SERVER__LISTEN", address.to_string())
            .env(
                "RELAYER_CONTROLLER_ENGINE__HOST",
                format!("unix://{}", engine.display()),
            )
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut gateway = Self { child, address };
        while !ready(address) {
            let ended = gateway.child.try_wait().unwrap();
            assert!(ended.is_none(), "the gateway has ended: {ended:?}");
            thread::sleep(Duration::from_micros(200));
        }
        gateway
    }
}

/// Whether the gateway at that address answers, without TLS.
pub(crate) fn is_healthy(address: SocketAddr) -> bool {
    TcpStream::connect(address)
        .map(|mut stream| exchange(&mut stream, &get("/health")))
        .is_ok()
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
