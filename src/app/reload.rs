//! Reload: the file is read again when it changes or somebody asks for it, and is taken whole or not at all.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tracing::{error, info, warn};

use crate::config;
use crate::config::{Config, Environment, Mistake, Mistakes, Place, Watch};
use crate::gateway::Gateway;
use crate::server::Certificates;

/// Where the configuration came from.
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// What lies over it. It stays as it was at the start.
    pub environment: Environment,
}

/// Why the configuration is read again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// A file is other than it was.
    Changed,
    /// Somebody asked for it.
    Asked,
}

/// The configuration of a running gateway, which follows its source.
pub(super) struct Following {
    source: Arc<Source>,
    gateway: Arc<Gateway>,
    /// What the parts that cannot change were started with.
    at_start: Arc<Config>,
    certificates: Option<Certificates>,
}

impl Following {
    /// Follows this source from the configuration that is in force now.
    pub(super) fn new(
        source: Source,
        gateway: Arc<Gateway>,
        certificates: Option<Certificates>,
    ) -> Self {
        Self {
            source: Arc::new(source),
            at_start: Arc::clone(&gateway.snapshot()),
            gateway,
            certificates,
        }
    }

    /// Reads the configuration again on every change of its files and on every SIGHUP. Never ends.
    pub(super) async fn run(self, mut hangup: Signal) {
        let mut watch = self.watch(&self.at_start.files).await;
        // What changed between the reading at the start and the watching has told nobody.
        let mut cause = Some(Cause::Changed);
        loop {
            if let Some(cause) = cause {
                let files = self.read_again(cause).await;
                if !watch.covers(&self.source.file, &files) {
                    watch = self.watch(&files).await;
                }
            }
            cause = tokio::select! {
                () = watch.changed() => Some(Cause::Changed),
                Some(()) = hangup.recv() => {
                    watch.note().await;
                    if let Some(certificates) = &self.certificates {
                        certificates.look_now();
                    }
                    Some(Cause::Asked)
                }
            };
        }
    }

    async fn watch(&self, files: &[PathBuf]) -> Watch {
        let own = std::iter::once(self.source.file.clone());
        Watch::new(own.chain(files.iter().cloned()).collect()).await
    }

    /// Reads it, and answers the other files that it names.
    async fn read_again(&self, cause: Cause) -> Vec<PathBuf> {
        let source = Arc::clone(&self.source);
        let read = move || config::load(&source.file, &source.environment);
        // Reading takes as long as the disk does, which shall hold nobody up.
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(config)) => {
                let files = config.files.clone();
                self.take(config, cause).await;
                files
            }
            Ok(Err(mistakes)) => {
                self.refuse(&mistakes).await;
                mistakes.files().to_vec()
            }
            Err(fault) => {
                error!(%fault, "reading the configuration broke off");
                self.gateway.snapshot().files.clone()
            }
        }
    }

    async fn take(&self, config: Config, cause: Cause) {
        let old = self.gateway.snapshot();
        if cause == Cause::Changed && config.is_same_as(&old) {
            return;
        }
        if old.policy.has_principals() && !config.policy.has_principals() {
            const OPEN: &str =
                "the principals are gone, so that everybody could do what the containers allow";
            // SECURITY: this is also what half a file looks like, of which somebody is still writing the other half.
            if cause == Cause::Changed {
                error!(
                    "configuration not reloaded: {OPEN}; if that is meant, send SIGHUP or start again"
                );
                return self.gateway.not_reloaded(OPEN).await;
            }
            warn!("{OPEN}");
        }
        for key in config.differs_at_the_start(&self.at_start) {
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
        self.gateway.reload(config).await;
    }

    /// The old configuration stays in force. One line of the log a mistake, so that each is found.
    async fn refuse(&self, mistakes: &Mistakes) {
        let revision = &self.gateway.snapshot().revision;
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
        let all: Vec<_> = mistakes.list().iter().map(Mistake::what).collect();
        self.gateway.not_reloaded(&all.join("; ")).await;
        error!(
            mistakes = mistakes.list().len(),
            %revision,
            "configuration not reloaded: the old one stays in force"
        );
    }
}
