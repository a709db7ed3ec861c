//! A gateway in this process, configured as a deployer would, and asked over TCP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use relayer_controller::app::App;
use relayer_controller::config::{self, Environment};
use relayer_controller::engine::OwnContainer;
use relayer_controller::server::Listen;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::{self, Answer};
use crate::stats::until;

/// What is short for the tests' sake.
const SERVER: &str = "listen = \"127.0.0.1:0\"\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"\n";

/// A running gateway.
pub(crate) struct Gateway {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    served: Option<JoinHandle<bool>>,
    runtime: Runtime,
    engine: String,
}

impl Gateway {
    /// Starts one in front of the engine at `host`, in the container `own`. `tables` are those of the
    /// containers; lines before the first of them are of `[engine]`.
    pub(crate) fn start(prefix: &str, host: &str, own: OwnContainer, tables: &str) -> Self {
        Self::start_with(SERVER, prefix, host, own, tables)
    }

    /// The same with these lines in `[server]`.
    pub(crate) fn start_with(
        lines: &str,
        prefix: &str,
        host: &str,
        own: OwnContainer,
        tables: &str,
    ) -> Self {
        let timeout = if tables.starts_with("timeout = ") {
            ""
        } else {
            "timeout = \"3s\"\n"
        };
        let text = format!(
            "prefix = \"{prefix}\"\n[server]\n{lines}[engine]\nhost = \"{host}\"\n{timeout}{tables}"
        );
        let config = config::parse("test.toml", &text, &Environment::default())
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let (runtime, stop) = (Runtime::new().unwrap(), CancellationToken::new());
        let (address, served) = runtime.block_on(async {
            let app = App::bind(config, own).await.unwrap();
            let Some(Listen::Tcp(address)) = app.addresses().into_iter().next() else {
                panic!("a TCP listener first")
            };
            (address, tokio::spawn(app.run(stop.clone())))
        });
        let (served, engine) = (Some(served), host.to_owned());
        Self {
            address,
            stop,
            served,
            runtime,
            engine,
        }
    }

    /// Waits until its mirror is current.
    pub(crate) fn wait_until_current(&self) {
        let begun = Instant::now();
        loop {
            let answer = http::ask(self.address, "GET", "/ready");
            if answer.body == r#"{"ready":true}"# {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{answer:?}");
        }
    }

    /// Waits until all that a test did beside the gateway is in memory.
    pub(crate) fn wait_until_mirrored(&self) {
        until("in memory", || {
            self.get_mirrored("/containers").body == self.get("/containers").body
        });
    }

    /// What the engine says now: the mirror may be a moment behind what a test does beside the gateway.
    pub(crate) fn get(&self, path: &str) -> Answer {
        http::ask_with(self.address, "GET", path, "Cache-Control: no-cache\r\n", "")
    }

    /// The same as the gateway has it in memory.
    pub(crate) fn get_mirrored(&self, path: &str) -> Answer {
        http::ask(self.address, "GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Answer {
        http::ask(self.address, "POST", path)
    }

    /// Asserts an answer's status and, to the exact JSON, its body. What is read is read twice: from the engine, and as
    /// it soon is in memory.
    pub(crate) fn check(&self, method: &str, path: &str, status: u16, body: &str) {
        let fresh = if method == "GET" {
            self.get(path)
        } else {
            http::ask(self.address, method, path)
        };
        let said = (fresh.status, fresh.body.as_str());
        let engine = &self.engine;
        assert_eq!(said, (status, body), "{method} {path} before {engine}");
        let is_state = path == "/containers" || path.starts_with("/container/");
        let begun = Instant::now();
        if method != "GET" || !is_state {
            return;
        }
        loop {
            let answer = self.get_mirrored(path);
            if (answer.status, answer.body.as_str()) == (status, body) {
                return;
            }
            let (status, body) = (answer.status, answer.body);
            assert!(
                begun.elapsed() < Duration::from_secs(2),
                "{path} in memory: {status} {body}"
            );
        }
    }

    /// Tells it to stop, as a signal does, and waits; answers whether it drained in time.
    pub(crate) fn stop(&mut self) -> bool {
        self.stop.cancel();
        let served = self.served.take().expect("not stopped before");
        self.runtime.block_on(served).unwrap()
    }
}
