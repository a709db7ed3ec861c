//! A gateway in this process, configured as a deployer would, and asked over TCP.

use std::net::SocketAddr;

use relayer_controller::app::App;
use relayer_controller::config::{self, Environment};
use relayer_controller::engine::OwnContainer;
use relayer_controller::server::Listen;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::{self, Answer};

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

    pub(crate) fn get(&self, path: &str) -> Answer {
        http::ask(self.address, "GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Answer {
        http::ask(self.address, "POST", path)
    }

    /// Asserts an answer's status and, to the exact JSON, its body.
    pub(crate) fn check(&self, method: &str, path: &str, status: u16, body: &str) {
        let answer = http::ask(self.address, method, path);
        let said = (answer.status, answer.body.as_str());
        assert_eq!(
            said,
            (status, body),
            "{method} {path} before {}",
            self.engine
        );
    }

    /// Tells it to stop, as a signal does, and waits; answers whether it drained in time.
    pub(crate) fn stop(&mut self) -> bool {
        self.stop.cancel();
        let served = self.served.take().expect("not stopped before");
        self.runtime.block_on(served).unwrap()
    }
}
