//! A stage: an engine, containers of this test's own on it, and the gateway in front of them.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use relayer_controller::engine::OwnContainer;
use relayer_controller::pretend::Pretend;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

use crate::engines::{self, Direct};
use crate::gateway::Gateway;
use crate::recorder::{self, Record};

/// A stage, with everything of its gateway's; what it made is removed with it.
pub(crate) struct Stage {
    /// What the full names of this test's containers begin with.
    pub(crate) prefix: String,
    /// The address at which the engine is reached and what reaches it is recorded.
    pub(crate) host: String,
    /// The engine, for a look behind the gateway.
    pub(crate) engine: Direct,
    /// What reached the engine through the gateway.
    pub(crate) record: Record,
    /// The pretend engine, where it is one.
    pub(crate) pretend: Option<Pretend>,
    /// Its name in failures.
    pub(crate) kind: &'static str,
    gateway: Gateway,
    runtime: Runtime,
    _folder: TempDir,
}

/// Runs a test on every engine that there is. `tables` are those of the containers in the TOML.
pub(crate) fn on_each_engine(tables: &str, test: impl Fn(&mut Stage)) {
    test(&mut Stage::pretend(tables));
    if let Some(socket) = engines::real() {
        test(&mut Stage::real(&socket, tables));
    }
}

/// A prefix that no other test has.
pub(crate) fn new_prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("rct-{}-{count}-", std::process::id())
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
        let (runtime, folder) = (Runtime::new().unwrap(), TempDir::new().unwrap());
        Self::new(runtime, folder, socket, None, tables)
    }

    fn new(
        runtime: Runtime,
        folder: TempDir,
        engine: &Path,
        pretend: Option<Pretend>,
        tables: &str,
    ) -> Self {
        let (prefix, record) = (new_prefix(), Record::default());
        let relay = folder.path().join("relay.sock");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&relay).unwrap()
        };
        runtime.spawn(recorder::relay(listener, engine.to_owned(), record.clone()));
        let host = format!("unix://{}", relay.display());
        let gateway = Gateway::start(&prefix, &host, OwnContainer::default(), tables);
        gateway.wait_until_current();
        Self {
            gateway,
            prefix,
            host,
            engine: Direct::new(engine),
            record,
            kind: if pretend.is_some() { "pretend" } else { "real" },
            pretend,
            runtime,
            _folder: folder,
        }
    }

    /// Makes a container by its short name; answers its id.
    pub(crate) fn container(&self, name: &str) -> String {
        let full_name = format!("{}{name}", self.prefix);
        self.engine.create(&full_name, &json!({}))
    }

    /// Makes and starts a container by its short name; answers its id.
    pub(crate) fn running(&self, name: &str) -> String {
        let id = self.container(name);
        self.engine.post(&format!("/containers/{id}/start"));
        id
    }

    /// Runs something of this test beside the gateway.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

impl Deref for Stage {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut Gateway {
        &mut self.gateway
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
