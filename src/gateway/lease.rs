//! Leases: what goes on after it was permitted is asked about again, and ends when the answer has become no.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{Stream, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Caller, Gateway};
use crate::config::Config;
use crate::metrics::{OpenStream, StreamKind};
use crate::policy::{ContainerName, Decision, Operation, Permitted, Principal, Verb};
use crate::server::RequestId;

/// How often it is asked again in any case: the clock that tokens expire by can be set.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// What the caller of a stream showed, kept so that it can be judged by a later configuration too. Cheap to clone.
#[derive(Clone)]
pub struct Credentials(Arc<Judge>);

/// Who shows them, by a configuration and now; none where nobody does.
type Judge = dyn Fn(&Config) -> Option<Standing> + Send + Sync;

/// Who a caller is, and for how long.
pub struct Standing {
    /// Who.
    pub principal: Principal,
    /// When what it shows expires; none where it does not.
    pub until: Option<SystemTime>,
}

impl Credentials {
    /// Credentials that this function judges: who shows them, by a configuration and now; none where nobody does.
    pub fn new(judge: impl Fn(&Config) -> Option<Standing> + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Why a lease has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The gateway stops.
    Stopping,
    /// The answer has become no.
    Revoked,
}

/// The permission for one stream, for as long as it lasts.
#[must_use]
pub(super) struct Lease {
    request_id: RequestId,
    principal: Principal,
    credentials: Credentials,
    /// What the caller does to which container; none where it is enough that it is the caller.
    subject: Option<(Verb, ContainerName)>,
    config: watch::Receiver<Arc<Config>>,
    closing: CancellationToken,
    /// When it is asked again at the latest.
    again: Instant,
    _open: OpenStream,
}

impl Gateway {
    /// A lease on a stream that was permitted by the caller's configuration.
    pub(super) fn lease<T: Operation>(
        &self,
        caller: &Caller,
        credentials: Credentials,
        kind: StreamKind,
        permitted: &Permitted<'_, T>,
    ) -> Lease {
        let subject = (permitted.operation().verb(), permitted.container().clone());
        Lease {
            subject: Some(subject),
            ..self.lease_of_caller(caller, credentials, kind)
        }
    }

    /// A lease that lasts for as long as the caller is who it is; of what else may be, whoever holds it takes care.
    pub(super) fn lease_of_caller(
        &self,
        caller: &Caller,
        credentials: Credentials,
        kind: StreamKind,
    ) -> Lease {
        let mut config = self.config.subscribe();
        // It may have been replaced since the caller's was taken.
        config.mark_changed();
        Lease {
            request_id: caller.request_id,
            principal: caller.principal.clone(),
            credentials,
            subject: None,
            config,
            closing: self.closing.clone(),
            again: Instant::now() + ASK_AGAIN,
            _open: self.metrics.stream(kind),
        }
    }
}

impl Lease {
    /// Whose it is.
    pub(super) const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The stream for as long as it is permitted. It is counted as open until what this gives is dropped.
    pub(super) fn hold<S: Stream>(mut self, stream: S) -> impl Stream<Item = S::Item> {
        stream.take_until(async move { while self.renewed().await.is_ok() {} })
    }

    /// Waits until it is asked again, at first at once, and gives the configuration by which the answer is yes still.
    /// May be broken off, and called again.
    ///
    /// # Errors
    ///
    /// Why it has ended.
    pub(super) async fn renewed(&mut self) -> Result<Arc<Config>, Ended> {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => return Err(Ended::Stopping),
            changed = self.config.changed() => changed.map_err(|_| Ended::Stopping)?,
            () = sleep_until(self.again) => {}
        }
        let config = Arc::clone(&self.config.borrow_and_update());
        let until = match self.ask(&config) {
            Ok(until) => until,
            Err(why) => {
                let (request_id, principal) = (self.request_id, &self.principal);
                let subject = self.subject.as_ref();
                let verb = subject.map(|(verb, _)| verb.as_str());
                let container = subject.map(|(_, container)| container.as_str());
                tracing::info!(%request_id, %principal, verb, container, why, "a stream is closed");
                return Err(Ended::Revoked);
            }
        };
        let left = until.map(|until| {
            let left = until.duration_since(SystemTime::now());
            left.unwrap_or_default()
        });
        self.again = Instant::now() + left.unwrap_or(ASK_AGAIN).min(ASK_AGAIN);
        Ok(config)
    }

    /// Asks the configuration in force; the answer is when the credentials expire, where they do.
    fn ask(&self, config: &Config) -> Result<Option<SystemTime>, String> {
        let until = match (self.credentials.0)(config) {
            Some(Standing { principal, until }) if principal == self.principal => until,
            Some(_) | None => return Err("the credentials are no longer the caller's".to_owned()),
        };
        let Some((verb, container)) = &self.subject else {
            return Ok(until);
        };
        match config.policy.decide(&self.principal, *verb, container) {
            Decision::Allow { .. } => Ok(until),
            Decision::Deny(denial) => Err(denial.to_string()),
        }
    }
}
