//! `serve`: the gateway in front of a Docker engine.

use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{MISTAKE, NO, YES, complain, confine, report};
use crate::app::{App, Source};
use crate::audit::Ending;
use crate::config::{self, Config, Environment};
use crate::engine::{ContainerId, Error, OwnContainer};
use crate::server::Listen;
use crate::telemetry;

/// The most worker threads where the configuration does not say how many.
const MOST_WORKERS: usize = 4;

/// How long what is in flight has to break off, after it had its time to end.
const BREAK_OFF: Duration = Duration::from_secs(1);

/// How long the audit trail has to write what is still to be written at the end.
const LAST_RECORDS: Duration = Duration::from_secs(2);

/// How long the log has at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The exit code, and what to wait for before the process ends with it.
pub(super) type Ended = (u8, Ending);

pub(super) fn run(file: &Path) -> u8 {
    let source = Source {
        file: file.to_owned(),
        environment: Environment::of_process(),
    };
    let config = match config::load(file, &source.environment) {
        Ok(config) => config,
        Err(mistakes) => return report(&mistakes),
    };
    let log = telemetry::start(&config.log);
    raise_file_limit();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        file = ?file,
        revision = %config.revision,
        prefix = %config.policy.prefix(),
        containers = config.containers.len(),
        engine = %config.engine.host,
        "starting"
    );
    // What is read here is out of reach afterwards.
    let own = OwnContainer::of_process();
    let config = match confine::run(&source, config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    // Not before: what leaves root does so while there is one thread.
    if let Err(error) = log.detach() {
        warn!(%error, "there is no thread for the log: whoever is slow to read it holds up requests");
    }
    let code = with_runtime(config.server.workers, serve(config, source, own));
    log.flush(LAST_LINES);
    code
}

async fn serve(config: Config, source: Source, own: OwnContainer) -> Ended {
    let asks = config.policy.has_principals();
    let audit = config.audit.clone();
    let app = match App::bind(config, own.clone()).await {
        Ok(app) => app,
        Err(error) => {
            complain(&error.to_string());
            return (MISTAKE, Ending::default());
        }
    };
    if let Some(output) = &audit.output {
        info!(%output, required = audit.required, "recording changes and denials");
    }
    announce(&app.addresses(), own.id(), asks);
    until_signalled(app, Some(source)).await
}

/// Says where the gateway listens and what a deployer may not have meant.
fn announce(listeners: &[Listen], own: Option<&ContainerId>, asks_who: bool) {
    for listen in listeners {
        info!(%listen, "listening");
    }
    if let Some(own) = own {
        info!(container = %own, "running in this container, which no verb changes");
    }
    let is_public = listeners.iter().any(|listen| !listen.is_local());
    let is_loopback = |listen: &Listen| matches!(listen, Listen::Tcp(_)) && listen.is_local();
    if is_public && !asks_who {
        warn!(
            "every caller that reaches a listener is `anonymous` and may do all that the file allows: there are no [principals]"
        );
    } else if own.is_some() && listeners.iter().all(is_loopback) {
        warn!(
            "listening on this container's loopback only, which nothing outside it can reach: see `server.listen`"
        );
    }
}

/// Runs the gateway until SIGTERM or SIGINT; a second one does not wait for what is in flight. Meanwhile follows the
/// source of its configuration, where it has one; without, SIGHUP means nothing.
pub(super) async fn until_signalled(mut app: App, source: Option<Source>) -> Ended {
    let audit = app.audit_ending();
    (run_until_signalled(app, source).await, audit)
}

async fn run_until_signalled(app: App, source: Option<Source>) -> u8 {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        complain("the kernel gives no notice of signals");
        return NO;
    };
    let stop = CancellationToken::new();
    let ready = stop.run_until_cancelled(say_whether_ready(app.ready()));
    let follow = source.map(|source| app.follow(source, hangup));
    let follow = stop.run_until_cancelled(async {
        if let Some(follow) = follow {
            follow.await;
        }
    });
    let run = async { tokio::join!(app.run(stop.clone()), ready, follow).0 };
    let mut running = Box::pin(run);
    loop {
        let name = tokio::select! {
            drained = running.as_mut() => {
                if drained {
                    info!("stopped");
                    return YES;
                }
                warn!("stopped; requests were still in flight after `server.shutdown_timeout`");
                return NO;
            }
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if stop.is_cancelled() {
            warn!(signal = name, "stopped at once");
            return NO;
        }
        info!(signal = name, "stopping: what is in flight ends first");
        stop.cancel();
    }
}

/// Says in the log whether the engine answers at the start; nothing waits for it.
async fn say_whether_ready(ready: impl Future<Output = Result<(), Error>>) {
    match ready.await {
        Ok(()) => info!("the engine answers"),
        Err(error) => {
            let error = error.to_string();
            warn!(
                ?error,
                "the engine does not answer yet; serving all the same"
            );
        }
    }
}

/// Runs a future on a runtime of its own with this many workers, or as many as there are cores.
pub(super) fn with_runtime(workers: Option<usize>, run: impl Future<Output = Ended>) -> u8 {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let workers = workers.unwrap_or_else(|| cores().min(MOST_WORKERS));
    match Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let (code, audit) = runtime.block_on(run);
            // What is still in flight was given its time. It leaves word in the audit trail that it was broken off.
            runtime.shutdown_timeout(BREAK_OFF);
            if !audit.wait(LAST_RECORDS) {
                warn!("the last audit records may not have been written");
            }
            code
        }
        Err(error) => {
            complain(&format!("cannot start {workers} worker threads: {error}"));
            NO
        }
    }
}

/// Allows this process as many open files as it may have: a connection is one, and many systems begin with 1024.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "the limit of open files could not be raised");
    }
}
