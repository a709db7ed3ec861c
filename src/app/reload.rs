//! Reload: the file is read again when it changes or somebody asks for it, and is taken whole or not at all.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tracing::{error, info, warn};

use crate::config;
use crate::config::{Config, Environment, Mistake, Mistakes, Place, Watch};
use crate::gateway::Gateway;

/// Where the configuration came from.
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// What lies over it. It stays as it was at the start.
    pub environment: Environment,
}

impl Source {
    /// Reads the configuration again on every change of its files and on every SIGHUP. Never ends.
    pub(super) async fn follow(self, gateway: Arc<Gateway>, mut hangup: Signal) {
        let source = Arc::new(self);
        let mut watch = source.watch(&gateway.snapshot());
        loop {
            tokio::select! {
                () = watch.changed() => {}
                Some(()) = hangup.recv() => watch.note(),
            }
            let reading = Arc::clone(&source);
            let read = move || config::load(&reading.file, &reading.environment);
            // Reading takes as long as the disk does, which shall hold nobody up.
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok(config)) => {
                    let is_other = config.files != gateway.snapshot().files;
                    take(&gateway, config).await;
                    if is_other {
                        watch = source.watch(&gateway.snapshot());
                    }
                }
                Ok(Err(mistakes)) => refuse(&gateway, &mistakes).await,
                Err(fault) => error!(%fault, "reading the configuration broke off"),
            }
        }
    }

    fn watch(&self, config: &Config) -> Watch {
        let own = std::iter::once(self.file.clone());
        Watch::new(own.chain(config.files.iter().cloned()).collect())
    }
}

async fn take(gateway: &Gateway, config: Config) {
    let old = gateway.snapshot();
    for key in config.differs_at_the_start(&old) {
        warn!(
            key,
            "this setting is other than at the start; it counts from the next start on"
        );
    }
    info!(
        revision = %config.revision,
        before = %old.revision,
        containers = config.containers.len(),
        principals = config.policy.principals().count(),
        "configuration reloaded"
    );
    gateway.reload(config).await;
}

/// The old configuration stays in force. One line of the log a mistake, so that each is found.
async fn refuse(gateway: &Gateway, mistakes: &Mistakes) {
    let revision = &gateway.snapshot().revision;
    for mistake in mistakes.list() {
        let (key, hint) = (mistake.key(), mistake.hint());
        let place = match mistake.place() {
            Place::File => "the file".to_owned(),
            Place::Text { line, column, .. } => format!("{line}:{column}"),
            Place::Variable(name) => name.clone(),
        };
        error!(
            place,
            key,
            what = mistake.what(),
            hint,
            "mistake in the configuration"
        );
    }
    let all = mistakes.list().iter().map(Mistake::what);
    let all: Vec<_> = all.collect();
    gateway.not_reloaded(&all.join("; ")).await;
    error!(
        mistakes = mistakes.list().len(),
        %revision,
        "configuration not reloaded: the old one stays in force"
    );
}
