//! Leases: what goes on after it was permitted is asked about again, and ends when the answer has become no.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Caller, Gateway};
use crate::config::Config;
use crate::metrics::{OpenStream, StreamKind};
use crate::policy::{ContainerName, Decision, Operation, Permitted, Principal, Verb};

/// How often it is asked again where the configuration does not change: tokens and certificates expire.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// What the caller of a stream showed, kept so that it can be judged by a later configuration too. Cheap to clone.
#[derive(Clone)]
pub struct Credentials(Arc<Judge>);

/// Who shows them, by a configuration and now; none where nobody does.
type Judge = dyn Fn(&Config) -> Option<Principal> + Send + Sync;

impl Credentials {
    /// Credentials that this function judges: who shows them, by a configuration and now; none where nobody does.
    pub fn new(judge: impl Fn(&Config) -> Option<Principal> + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// The permission for one stream, for as long as it lasts.
#[must_use]
pub(super) struct Lease {
    request_id: String,
    principal: Principal,
    credentials: Credentials,
    verb: Verb,
    container: ContainerName,
    config: watch::Receiver<Arc<Config>>,
    closing: CancellationToken,
    _open: OpenStream,
}

impl Gateway {
    /// A lease on a stream that was permitted by the caller's configuration.
    pub(super) fn lease<T: Operation>(
        &self,
        caller: &Caller,
        credentials: Credentials,
        kind: StreamKind,
        permitted: &Permitted<T>,
    ) -> Lease {
        let mut config = self.config.subscribe();
        // It may have been replaced since the caller's was taken.
        config.mark_changed();
        Lease {
            request_id: caller.request_id.clone(),
            principal: caller.principal.clone(),
            credentials,
            verb: permitted.operation().verb(),
            container: permitted.container().clone(),
            config,
            closing: self.closing.clone(),
            _open: self.metrics.stream(kind),
        }
    }
}

impl Lease {
    /// The stream for as long as it is permitted. It is counted as open until what this gives is dropped.
    pub(super) fn hold<S: Stream>(self, stream: S) -> impl Stream<Item = S::Item> {
        stream.take_until(self.ended())
    }

    /// Waits until the lease has ended.
    async fn ended(mut self) {
        let closing = self.closing.clone();
        let mut closing = pin!(closing.cancelled());
        let mut again = interval(ASK_AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut closing => return,
                changed = self.config.changed() => if changed.is_err() { return },
                _ = again.tick() => {}
            }
            if let Err(why) = self.ask() {
                let Self {
                    request_id,
                    principal,
                    verb,
                    container,
                    ..
                } = &self;
                tracing::info!(%request_id, %principal, %verb, %container, why, "a stream is closed");
                return;
            }
        }
    }

    /// Asks the configuration in force.
    fn ask(&mut self) -> Result<(), String> {
        let config = Arc::clone(&self.config.borrow_and_update());
        if (self.credentials.0)(&config).as_ref() != Some(&self.principal) {
            return Err("the credentials are no longer the caller's".to_owned());
        }
        match config
            .policy
            .decide(&self.principal, self.verb, &self.container)
        {
            Decision::Allow { .. } => Ok(()),
            Decision::Deny(denial) => Err(denial.to_string()),
        }
    }
}
