//! The figures of the README, measured on a real engine: run `benches/run`, which prepares all that this needs.
//!
//! What is compared is measured in turn, pair by pair, so that a machine that grows slower does so for both.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark that cannot go on has failed"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

mod stage;

use relayer_controller::authn::TokenHash;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use stage::{
    Gateway, PROGRAM, Stage, exchange, get, mebibytes, median, milliseconds, read_answer, resident,
    row,
};

const NAMES: [&str; 5] = [
    "ffmpeg-kick",
    "ffmpeg-offline",
    "ffmpeg-cam-dev",
    "muxer",
    "nginx-rtmp",
];

/// The shipped configuration.
const SHIPPED: &str = "relayer-controller.toml";

const RESTART: &str = "POST /container/muxer/restart HTTP/1.1\r\nHost: x\r\n\r\n";

fn main() {
    let (program, engine) = stage::prepared();
    let stage = Stage::new(&engine, &NAMES, PROGRAM);

    println!("| what | measured | to reach |");
    println!("|---|---|---|");
    let size = fs::metadata(&program).unwrap().len();
    row(
        "binary, static",
        &format!("{:.2} MiB", mebibytes(size)),
        "≤ 8 MiB",
    );
    let starts = (0..21)
        .map(|_| start_to_first_answer(&program, &stage))
        .collect();
    row(
        "start to first answer, median of 21",
        &milliseconds(median(starts)),
        "≤ 20 ms",
    );
    row(
        "idle memory after a thousand requests",
        &format!("{:.2} MiB", mebibytes(idle_memory(&program, &stage))),
        "≤ 8 MiB",
    );
    status(&program, &stage);
    restart(&program, &stage);
    row(
        "idle memory with TLS, principals and an audit trail",
        &format!("{:.2} MiB", mebibytes(secure_idle_memory(&program, &stage))),
        "≤ 10 MiB",
    );
}

/// The engine's own inspect and our status, each over one connection that is kept, one after the other.
fn status(program: &Path, stage: &Stage) {
    let gateway = Gateway::start(program, stage, &stage.engine, Path::new(SHIPPED));
    let mut direct = UnixStream::connect(&stage.engine).unwrap();
    let mut ours = TcpStream::connect(gateway.address).unwrap();
    ours.set_nodelay(true).unwrap();
    let inspect = get(&format!("/v1.41/containers/{}muxer/json", stage.prefix));
    let status = get("/container/muxer/status");
    let fresh = status.replace("\r\n\r\n", "\r\nCache-Control: no-cache\r\n\r\n");
    let (mut theirs_took, mut ours_took) = (Vec::new(), Vec::new());
    let mut mirrored_took = Vec::new();
    for _ in 0..3000 {
        theirs_took.push(exchange(&mut direct, &inspect));
        ours_took.push(exchange(&mut ours, &fresh));
        mirrored_took.push(exchange(&mut ours, &status));
    }
    let (theirs, ours) = (median(theirs_took), median(ours_took));
    row(
        "the engine's own inspect, median of 3,000",
        &milliseconds(theirs),
        "",
    );
    row(
        "`GET /container/x/status` with `Cache-Control: no-cache`, in turn with it",
        &milliseconds(ours),
        "",
    );
    row(
        "added by the gateway",
        &milliseconds(ours.saturating_sub(theirs)),
        "≤ 0.15 ms",
    );
    row(
        "`GET /container/x/status` from memory, in turn with both",
        &milliseconds(median(mirrored_took)),
        "",
    );
}

/// What a restart takes beside the engine's own work on it.
///
/// A restart takes the engine a long and uneven time, so the two cannot just be compared: a relay in between measures
/// the engine's part in the same request. What the relay itself costs is measured beside it, on the same look at a
/// container with and without it, and taken off once for each of the two calls that the gateway makes.
fn restart(program: &Path, stage: &Stage) {
    let (relay, engine_took) = relay(stage);
    let gateway = Gateway::start(program, stage, &relay, Path::new(SHIPPED));
    let mut ours = TcpStream::connect(gateway.address).unwrap();
    ours.set_nodelay(true).unwrap();
    let mut direct = UnixStream::connect(&stage.engine).unwrap();
    let mut relayed = UnixStream::connect(&relay).unwrap();
    let inspect = get(&format!("/v1.41/containers/{}muxer/json", stage.prefix));
    let (mut wholes, mut beside) = (Vec::new(), Vec::new());
    let (mut directly, mut through_relay) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let whole = exchange(&mut ours, RESTART);
        let theirs: Duration = engine_took.try_iter().sum();
        wholes.push(whole);
        beside.push(whole.saturating_sub(theirs));
        for _ in 0..5 {
            directly.push(exchange(&mut direct, &inspect));
            through_relay.push(exchange(&mut relayed, &inspect));
        }
    }
    let hop = median(through_relay).saturating_sub(median(directly));
    let (whole, beside) = (median(wholes), median(beside));
    row(
        "`POST /container/x/restart`, median of 60",
        &milliseconds(whole),
        "",
    );
    row(
        "of that, neither the engine's restart nor the relay that measures it",
        &milliseconds(beside.saturating_sub(2 * hop)),
        "≤ 1 ms",
    );
}

/// A relay to the engine for one connection at a time; tells how long each restart took the engine.
fn relay(stage: &Stage) -> (PathBuf, Receiver<Duration>) {
    let path = stage.folder.join("relay.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (tell, told) = channel();
    let engine = stage.engine.clone();
    thread::spawn(move || {
        for accepted in listener.incoming() {
            let (engine, tell) = (UnixStream::connect(&engine).unwrap(), tell.clone());
            thread::spawn(move || pass(accepted.unwrap(), engine, &tell));
        }
    });
    (path, told)
}

fn pass(mut client: UnixStream, mut engine: UnixStream, tell: &Sender<Duration>) {
    let mut buffer = vec![0; 64 * 1024];
    // The gateway sends one request, whole, and waits for its answer.
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let request = String::from_utf8_lossy(buffer.get(..length).unwrap()).into_owned();
        let sent = Instant::now();
        engine.write_all(request.as_bytes()).unwrap();
        if request.contains("/events?") {
            // It has no end.
            let _ended = std::io::copy(&mut engine, &mut client);
            return;
        }
        let answer = read_answer(&mut engine);
        if request.starts_with("POST ") {
            tell.send(sent.elapsed()).unwrap();
        }
        if client.write_all(&answer).is_err() {
            return;
        }
    }
}

fn start_to_first_answer(program: &Path, stage: &Stage) -> Duration {
    let begun = Instant::now();
    let gateway = Gateway::start(program, stage, &stage.engine, Path::new(SHIPPED));
    let took = begun.elapsed();
    drop(gateway);
    took
}

fn idle_memory(program: &Path, stage: &Stage) -> u64 {
    let gateway = Gateway::start(program, stage, &stage.engine, Path::new(SHIPPED));
    let mut connection = TcpStream::connect(gateway.address).unwrap();
    for path in [
        "/containers",
        "/container/muxer",
        "/container/muxer/status",
        "/health",
    ] {
        for _ in 0..250 {
            exchange(&mut connection, &get(path));
        }
    }
    drop(connection);
    resident(&gateway)
}

/// Over TLS with a token, beside a record of every restart.
fn secure_idle_memory(program: &Path, stage: &Stage) -> u64 {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| format!("{}/{name}", stage.folder.display());
    fs::write(path("cert.pem"), key.cert.pem()).unwrap();
    fs::write(path("key.pem"), key.signing_key.serialize_pem()).unwrap();
    let secret = "rlc_of_the_benchmark";
    let text = format!(
        "{}\n[server.tls]\ncertificate = {:?}\nkey = {:?}\n[audit]\noutput = {:?}\n[roles.all]\n\
         allow = [\"status\", \"restart\"]\n[principals.bench]\ntoken = \"{}\"\nroles = [\"all\"]\n",
        NAMES
            .map(|name| format!("[containers.{name}]\nallow = [\"status\", \"restart\"]\n"))
            .concat(),
        path("cert.pem"),
        path("key.pem"),
        path("audit.jsonl"),
        TokenHash::of(secret).written(),
    );
    fs::write(path("secure.toml"), text).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Arc::new(client);
    let connect = |address: SocketAddr| {
        let name = "localhost".try_into().unwrap();
        let tls = ClientConnection::new(Arc::clone(&client), name).unwrap();
        StreamOwned::new(tls, TcpStream::connect(address).unwrap())
    };
    let ready = |address: SocketAddr| {
        TcpStream::connect(address)
            .map(|_| exchange(&mut connect(address), &get("/health")))
            .is_ok()
    };
    let gateway = Gateway::start_at(
        program,
        (stage, &stage.engine),
        Path::new(&path("secure.toml")),
        ready,
    );
    let mut connection = connect(gateway.address);
    let with_token = |request: &str| {
        request.replace(
            "Host: x",
            &format!("Host: x\r\nAuthorization: Bearer {secret}"),
        )
    };
    for _ in 0..500 {
        exchange(
            &mut connection,
            &with_token(&get("/container/muxer/status")),
        );
        exchange(&mut connection, &with_token(&get("/containers")));
    }
    exchange(&mut connection, &with_token(RESTART));
    drop(connection);
    resident(&gateway)
}
