//! How the engine is reached: its API version, TCP, and the one container on which the gateway never acts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use relayer_controller::engine::OwnContainer;
use tempfile::TempDir;

use crate::engines;
use crate::gateway::Gateway;
use crate::stage::{Stage, new_prefix, on_each_engine};

const ONE: &str =
    "[containers.a]\nallow = [\"status\", \"start\", \"stop\", \"restart\", \"kill\"]\n";

/// An engine that knows nothing but its own version, and says 404 to all else.
struct Versioned {
    version: Mutex<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl Versioned {
    /// Serves connections until each has answered `per_connection` requests; then it closes it, as a restart does.
    fn serve(self: &Arc<Self>, listener: UnixListener, per_connection: usize) {
        let engine = Arc::clone(self);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (engine, stream) = (Arc::clone(&engine), stream.unwrap());
                thread::spawn(move || (0..per_connection).try_for_each(|_| engine.answer(&stream)));
            }
        });
    }

    fn answer(&self, stream: &UnixStream) -> Option<()> {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let line = lines.next()?;
        lines.find(String::is_empty)?;
        let version = *self.version.lock().unwrap();
        let status = if line.starts_with("GET /_ping ") {
            "200 OK"
        } else {
            "404 Not Found"
        };
        self.asked.lock().unwrap().push(line);
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 {status}\r\nApi-Version: {version}\r\nContent-Length: 2\r\n\r\n{{}}"
        )
        .ok()
    }
}

#[test]
fn the_version_is_the_engines_and_asked_again_on_each_connection() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("engine.sock");
    let engine = Arc::new(Versioned {
        version: Mutex::new("1.30"),
        asked: Mutex::default(),
    });
    // A ping and one request on each connection: every second request finds its connection closed.
    engine.serve(UnixListener::bind(&socket).unwrap(), 2);
    let stage = Gateway::start(
        &new_prefix(),
        &format!("unix://{}", socket.display()),
        OwnContainer::default(),
        ONE,
    );
    for (version, spoken) in [
        ("1.30", "/v1.30/"),
        ("1.41", "/v1.41/"),
        ("1.99", "/v1.53/"),
    ] {
        *engine.version.lock().unwrap() = version;
        assert_eq!(stage.get("/containers").status, 500);
        let asked = std::mem::take(&mut *engine.asked.lock().unwrap());
        // What the caller asked; the mirror tries again and again by itself.
        let is_asked = |line: &&String| line.contains("all=true");
        let asked: Vec<_> = asked.iter().filter(is_asked).collect();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].contains(spoken), "{version}: {asked:?}");
    }
    *engine.version.lock().unwrap() = "";
    let error = stage.get("/containers").body;
    assert!(error.contains("is it a Docker engine?"), "{error}");
}

/// Forwards TCP to a Unix socket. When the generation changes, connections of the old one swallow what they get, as a
/// firewall does that has forgotten them.
fn forward(socket: PathBuf, generation: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let born = generation.load(Ordering::Relaxed);
            let (mut from_client, generation) = (client.unwrap(), Arc::clone(&generation));
            let mut to_engine = UnixStream::connect(&socket).unwrap();
            let mut to_client = from_client.try_clone().unwrap();
            let mut from_engine = to_engine.try_clone().unwrap();
            thread::spawn(move || std::io::copy(&mut from_engine, &mut to_client));
            thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = from_client.read(&mut buffer) {
                    if generation.load(Ordering::Relaxed) == born {
                        to_engine.write_all(&buffer[..length]).unwrap();
                    }
                }
            });
        }
    });
    address
}

#[test]
fn an_engine_on_tcp() {
    let pretend = Stage::pretend(ONE);
    pretend.running("a");
    let socket = pretend.pretend.as_ref().unwrap().socket().to_owned();
    let address = forward(socket, Arc::default());
    for host in [
        format!("tcp://{address}"),
        format!("tcp://localhost:{}", address.port()),
    ] {
        let stage = Gateway::start(&pretend.prefix, &host, OwnContainer::default(), ONE);
        stage.wait_until_current();
        stage.check(
            "POST",
            "/container/a/restart",
            200,
            r#"{"status":"restarted","container":"a"}"#,
        );
        stage.check(
            "GET",
            "/containers",
            200,
            r#"{"containers":[{"container":"a","status":"running","running":true}]}"#,
        );
    }
    let nobody = Gateway::start(
        &new_prefix(),
        "tcp://127.0.0.1:1",
        OwnContainer::default(),
        ONE,
    );
    let error = nobody.get("/containers").body;
    assert!(
        error.contains("cannot reach the engine at tcp://127.0.0.1:1: Connection refused"),
        "{error}"
    );
}

/// One request finds out that the connections lead nowhere; the next is served on a new one.
#[test]
fn connections_that_fall_silent_are_forgotten() {
    let pretend = Stage::pretend(ONE);
    pretend.running("a");
    let socket = pretend.pretend.as_ref().unwrap().socket().to_owned();
    let generation = Arc::<AtomicUsize>::default();
    let host = format!("tcp://{}", forward(socket, Arc::clone(&generation)));
    let gateway = Gateway::start(&pretend.prefix, &host, OwnContainer::default(), ONE);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(gateway.get("/containers").status, 200));
        }
    });
    generation.fetch_add(1, Ordering::Relaxed);
    let lost = gateway.get("/container/a/status");
    assert_eq!(
        (lost.status, lost.header("retry-after")),
        (500, "1"),
        "{lost:?}"
    );
    assert_eq!(gateway.get("/container/a/status").status, 200);
}

/// The gateway looks at its own container, and does nothing to it, whatever the file allows.
#[test]
fn the_gateways_own_container() {
    on_each_engine(ONE, |stage| {
        let own = stage.running("a");
        let inside = Gateway::start(
            &stage.prefix,
            &stage.host,
            OwnContainer::with_id(own.parse().unwrap()),
            ONE,
        );
        inside.check(
            "GET",
            "/container/a/status",
            200,
            r#"{"container":"a","status":"running","running":true}"#,
        );
        stage.record.take();
        for verb in ["stop", "restart", "kill", "start"] {
            let error = format!(r#"{{"error":"Forbidden: {verb} is not allowed on a"}}"#);
            inside.check("POST", &format!("/container/a/{verb}"), 403, &error);
        }
        assert_eq!(stage.record.take_changes(), Vec::<String>::new());
        assert_eq!(stage.engine.state(&own), "running");
    });
}

/// Once more with what the tests themselves need: that a real engine is not just assumed.
#[test]
fn the_real_engine_is_real() {
    if let Some(socket) = engines::real() {
        let version = engines::Direct::new(&socket)
            .ask("GET", "/version", None)
            .body;
        assert!(version["KernelVersion"].is_string(), "{version}");
    }
}
