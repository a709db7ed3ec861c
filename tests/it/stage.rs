//! A stage: an engine, containers of this test's own on it, and the gateway in front of them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use relayer_controller::app::App;
use relayer_controller::config::{self, Environment};
use relayer_controller::pretend::Pretend;
use relayer_controller::server::Listen;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::engines::{self, Direct};
use crate::http::{self, Answer};
use crate::recorder::{self, Record};

/// A stage; what it made is removed with it.
pub(crate) struct Stage {
    /// What the full names of this test's containers begin with.
    pub(crate) prefix: String,
    /// Where the gateway listens.
    pub(crate) address: SocketAddr,
    /// The engine, for a look behind the gateway.
    pub(crate) engine: Direct,
    /// What reached the engine through the gateway.
    pub(crate) record: Record,
    /// The pretend engine, where it is one.
    pub(crate) pretend: Option<Pretend>,
    /// Its name in failures.
    pub(crate) kind: &'static str,
    stop: CancellationToken,
    served: Option<tokio::task::JoinHandle<bool>>,
    runtime: Runtime,
    _folder: TempDir,
}

/// Runs a test on every engine that there is. `tables` is what follows `prefix`, `[server]` and `[engine]` in the TOML.
pub(crate) fn on_each_engine(tables: &str, test: impl Fn(&mut Stage)) {
    test(&mut Stage::pretend(tables));
    if let Some(socket) = engines::real() {
        test(&mut Stage::real(&socket, tables));
    }
}

impl Stage {
    /// The gateway in front of a pretend engine.
    pub(crate) fn pretend(tables: &str) -> Self {
        let (runtime, folder) = (Runtime::new().unwrap(), TempDir::new().unwrap());
        let socket = folder.path().join("pretend.sock");
        let pretend = runtime.block_on(Pretend::serve(&socket)).unwrap();
        Self::new(runtime, folder, &socket, Some(pretend), tables)
    }

    /// The gateway in front of a real engine.
    pub(crate) fn real(socket: &Path, tables: &str) -> Self {
        Self::new(
            Runtime::new().unwrap(),
            TempDir::new().unwrap(),
            socket,
            None,
            tables,
        )
    }

    fn new(
        runtime: Runtime,
        folder: TempDir,
        engine: &Path,
        pretend: Option<Pretend>,
        tables: &str,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!(
            "rct-{}-{}-",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let record = Record::default();
        let relay = folder.path().join("relay.sock");
        let text = format!(
            "prefix = \"{prefix}\"\n[server]\nlisten = \"127.0.0.1:0\"\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"\n\
             [engine]\nhost = \"unix://{}\"\ntimeout = \"3s\"\n{tables}",
            relay.display()
        );
        let config = config::parse("test.toml", &text, &Environment::default())
            .unwrap_or_else(|e| panic!("{e}"));
        let stop = CancellationToken::new();
        let (address, served) = runtime.block_on(async {
            let listener = UnixListener::bind(&relay).unwrap();
            tokio::spawn(recorder::relay(listener, engine.to_owned(), record.clone()));
            let app = App::bind(config, None).await.unwrap();
            let [Listen::Tcp(address)] = app.addresses()[..] else {
                panic!("one TCP listener")
            };
            (address, tokio::spawn(app.run(stop.clone())))
        });
        Self {
            prefix,
            address,
            engine: Direct::new(engine),
            record,
            kind: if pretend.is_some() { "pretend" } else { "real" },
            pretend,
            stop,
            served: Some(served),
            runtime,
            _folder: folder,
        }
    }

    /// Makes a container by its short name; answers its id.
    pub(crate) fn container(&self, name: &str) -> String {
        self.engine
            .create(&format!("{}{name}", self.prefix), &json!({}))
    }

    /// Makes and starts a container by its short name; answers its id.
    pub(crate) fn running(&self, name: &str) -> String {
        let id = self.container(name);
        self.engine.post(&format!("/containers/{id}/start"));
        id
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
            "{method} {path} on the {} engine",
            self.kind
        );
    }

    /// Tells the gateway to stop, as a signal does, and waits; answers whether it drained in time.
    pub(crate) fn stop(&mut self) -> bool {
        self.stop.cancel();
        let served = self.served.take().expect("not stopped before");
        self.runtime.block_on(served).unwrap()
    }

    /// Runs something of this test beside the gateway.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.pretend.is_none() {
            for id in self.engine.with_prefix(&self.prefix) {
                self.engine.remove(&id);
            }
        }
    }
}
