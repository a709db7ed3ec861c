//! The program as a whole: its parts built, started, and drained when it is told to stop.

mod reload;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

pub use reload::Source;

use reload::Following;

use crate::api::Api;
use crate::audit::{self, Trail};
use crate::config::Config;
use crate::engine::{Engine, Error, Observation, OwnContainer};
use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::server::{BindError, Listen, Server};

/// The gateway with its listeners bound; serves when it is run.
pub struct App {
    server: Server,
    api: Api,
    gateway: Arc<Gateway>,
    audit: audit::Ending,
    shutdown_timeout: Duration,
}

/// Why the gateway did not start.
#[derive(Debug)]
pub enum StartError {
    /// The audit trail cannot be written to.
    Audit(audit::OpenError),
    /// A listener could not be bound.
    Bind(BindError),
    /// The engine's address cannot be used.
    Engine(Error),
    /// The table of routes contradicts itself.
    Routes(matchit::InsertError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audit(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
            Self::Engine(error) => error.fmt(f),
            Self::Routes(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl App {
    /// Builds the parts and binds the listeners. The engine may come later. The gateway will not act on the container
    /// `own`, which is the one that it runs in.
    ///
    /// # Errors
    ///
    /// The first part that cannot be had.
    pub async fn bind(config: Config, own: OwnContainer) -> Result<Self, StartError> {
        let (trail, audit) = Trail::open(&config.audit).map_err(StartError::Audit)?;
        let server = Server::bind(config.server.clone())
            .await
            .map_err(StartError::Bind)?;
        let metrics = Arc::new(Metrics::new());
        let counting = Arc::clone(&metrics);
        let observer = move |call: &Observation| count(&counting, call);
        let engine =
            Engine::new(&config.engine, own, Box::new(observer)).map_err(StartError::Engine)?;
        let shutdown_timeout = config.server.shutdown_timeout;
        let config = Arc::new(config);
        let gateway = Gateway::new(config, engine, trail, Arc::clone(&metrics));
        let gateway = Arc::new(gateway);
        let api = Api::new(Arc::clone(&gateway), metrics, server.connections())
            .map_err(StartError::Routes)?;
        Ok(Self {
            server,
            api,
            gateway,
            audit,
            shutdown_timeout,
        })
    }

    /// Where it listens; for port 0 the port that the kernel gave.
    #[must_use]
    pub fn addresses(&self) -> Vec<Listen> {
        self.server.addresses()
    }

    /// Asks the engine whether it is there.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn ready(&self) -> impl Future<Output = Result<(), Error>> + use<> {
        let gateway = Arc::clone(&self.gateway);
        async move { gateway.ready().await }
    }

    /// Reads the configuration again whenever it changes and on every signal of `hangup`; never ends.
    pub fn follow(&self, source: Source, hangup: Signal) -> impl Future<Output = ()> + use<> {
        let certificates = self.server.certificates();
        Following::new(source, Arc::clone(&self.gateway), certificates).run(hangup)
    }

    /// The end of the audit trail, which comes when everything of this has been dropped; to be waited for before the
    /// process ends. Only who takes it first gets it.
    pub fn audit_ending(&mut self) -> audit::Ending {
        std::mem::take(&mut self.audit)
    }

    /// Serves until `stop` is cancelled; then lets what is in flight end. Answers whether all of it did in time.
    pub async fn run(self, stop: CancellationToken) -> bool {
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(self.shutdown_timeout).await;
        };
        let closing = async {
            stop.cancelled().await;
            self.gateway.close_streams();
        };
        let drained = async {
            tokio::join!(self.server.serve(self.api, stop.clone()), closing);
            // Callers that hung up have no connection left to wait for; what they asked for still runs.
            self.gateway.drain().await;
        };
        tokio::select! {
            () = drained => true,
            () = deadline => false,
            // Until the last request has ended.
            () = self.gateway.keep_mirror() => false,
        }
    }
}

fn count(metrics: &Metrics, call: &Observation) {
    metrics.engine_call(call.call, call.end.as_str(), call.took);
    if let Some(is_up) = call.end.is_answer() {
        metrics.engine_up(is_up);
    }
}
