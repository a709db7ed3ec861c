//! The record of one request: who asked for what, what the law said, what came of it.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::{Door, Failure, Snapshot};
use crate::config::Revision;
use crate::engine::Error;
use crate::limits::Wait;
use crate::policy::{ContainerName, Denial, Facility, Operation, Permitted, Principal, Verb};
use crate::server::{Peer, RequestId};

/// Who asks, and under which rules: one for each request.
#[derive(Clone)]
pub struct Caller {
    /// What the request is called in the log and in `X-Request-Id`.
    pub request_id: RequestId,
    /// Where it comes from, for the record.
    pub peer: Peer,
    /// Who it is.
    pub principal: Principal,
    /// The configuration that holds for this request.
    pub config: Snapshot,
    /// The HTTP status that the face answers with, by what came of the request; for the record.
    pub status_of: fn(Result<(), &Failure>) -> u16,
}

impl Caller {
    /// What every line of the log says of a request: its id, the revision, who asks, and from where.
    fn told(&self) -> (RequestId, &Revision, &Principal, &Peer) {
        let revision = &self.config.revision;
        (self.request_id, revision, &self.principal, &self.peer)
    }
}

/// An admitted request that has not ended yet.
#[must_use]
pub(super) struct Receipt<'law> {
    request_id: RequestId,
    verb: Verb,
    container: Cow<'law, ContainerName>,
    /// Only where the log tells how long it took.
    admitted_at: Option<Instant>,
}

impl<'law> Receipt<'law> {
    /// Records that the law said yes; to be called before anything happens.
    pub(super) fn admitted<T: Operation>(caller: &Caller, permitted: &Permitted<'law, T>) -> Self {
        let verb = permitted.operation().verb();
        let (request_id, revision, principal, peer) = caller.told();
        let (container, rule) = (permitted.container(), permitted.by());
        if is_quiet(verb) {
            debug!(%request_id, %revision, %principal, %peer, %verb, %container, %rule, "admitted");
        } else {
            info!(%request_id, %revision, %principal, %peer, %verb, %container, %rule, "admitted");
        }
        // Reads come thick and fast, and the clock takes longer than the rest of this.
        let is_told = !is_quiet(verb) || tracing::enabled!(tracing::Level::DEBUG);
        Self {
            request_id,
            verb,
            container: permitted.shared_container(),
            admitted_at: is_told.then(Instant::now),
        }
    }

    /// The same, on its own.
    pub(super) fn into_owned(self) -> Receipt<'static> {
        Receipt {
            container: Cow::Owned(self.container.into_owned()),
            ..self
        }
    }

    /// Records what came of it.
    pub(super) fn close<T>(self, answer: Result<T, Error>) -> Result<T, Failure> {
        let Self {
            request_id,
            verb,
            container,
            admitted_at,
        } = self;
        let took = admitted_at.map_or(Duration::ZERO, |admitted_at| admitted_at.elapsed());
        match answer {
            Ok(value) if is_quiet(verb) => {
                debug!(%request_id, %verb, %container, ?took, "done");
                Ok(value)
            }
            Ok(value) => {
                info!(%request_id, %verb, %container, ?took, "done");
                Ok(value)
            }
            Err(error) => {
                // Debug form: the engine's words may hold control characters, which must not forge a line.
                let reason = error.to_string();
                if is_quiet(verb) {
                    debug!(%request_id, %verb, %container, ?took, ?reason, "failed");
                } else {
                    warn!(%request_id, %verb, %container, ?took, ?reason, "failed");
                }
                Err(match error {
                    Error::NotFound => Failure::NotFound(container.as_str().to_owned()),
                    Error::OwnContainer => Failure::Forbidden {
                        verb,
                        container: container.into_owned(),
                    },
                    Error::Refused { .. }
                    | Error::Unreachable(_)
                    | Error::Broken(_)
                    | Error::TimedOut(_)
                    | Error::Garbled(_) => Failure::Engine(error),
                })
            }
        }
    }
}

/// Records that the law said no.
pub(super) fn denied(
    caller: &Caller,
    verb: Verb,
    container: &ContainerName,
    denial: &Denial,
) -> Failure {
    let (request_id, revision, principal, peer) = caller.told();
    info!(%request_id, %revision, %principal, %peer, %verb, %container, %denial, "denied");
    match denial {
        Denial::Hidden { .. } => Failure::NotFound(container.as_str().to_owned()),
        Denial::NotGranted { .. } | Denial::Forbidden { .. } => Failure::Forbidden {
            verb,
            container: container.clone(),
        },
    }
}

/// Records that a request was refused before the law was asked.
pub(super) fn at_the_door(door: &Door, why: &str) {
    let Door {
        request_id,
        revision,
        peer,
        ..
    } = door;
    let verb = door.verb.map(Verb::as_str);
    // Debug form: what a client wrote may hold control characters.
    let container = door.container.as_deref();
    info!(%request_id, %revision, %peer, verb, ?container, why, "refused");
}

/// Records that the law said no to something of the gateway itself.
pub(super) fn facility_denied(caller: &Caller, facility: Facility, denial: &Denial) -> Failure {
    let (request_id, revision, principal, peer) = caller.told();
    let asked = facility.as_str();
    info!(%request_id, %revision, %principal, %peer, asked, %denial, "denied");
    Failure::FacilityForbidden(facility)
}

/// Records that the law said yes, and that there is no place for one more change.
pub(super) fn refused<T: Operation>(caller: &Caller, permitted: &Permitted<'_, T>) -> Failure {
    let (request_id, revision, principal, peer) = caller.told();
    let (verb, container) = (permitted.operation().verb(), permitted.container());
    warn!(%request_id, %revision, %principal, %peer, %verb, %container, "too many changes are under way");
    Failure::Busy
}

/// Records that there is no place for one more batch.
pub(super) fn no_batch(caller: &Caller, verb: Verb) -> Failure {
    let (request_id, revision, principal, peer) = caller.told();
    warn!(%request_id, %revision, %principal, %peer, %verb, "too many batches are under way");
    Failure::Busy
}

/// Records that the law said yes, and why it is not acted upon.
pub(super) fn stood_down<T: Operation>(
    caller: &Caller,
    permitted: &Permitted<'_, T>,
    failure: &Failure,
) {
    let (request_id, revision, principal, peer) = caller.told();
    let (verb, container) = (permitted.operation().verb(), permitted.container());
    // Debug form: the engine's words may be in it, and a client's.
    let reason = failure.to_string();
    info!(%request_id, %revision, %principal, %peer, %verb, %container, ?reason, "not done");
}

/// Records that the law said yes, and that the container was changed too short a time ago.
pub(super) fn cooling_down<T: Operation>(
    caller: &Caller,
    permitted: &Permitted<'_, T>,
    wait: Wait,
) -> Failure {
    let (request_id, revision, principal, peer) = caller.told();
    let (verb, container) = (permitted.operation().verb(), permitted.container().clone());
    info!(%request_id, %revision, %principal, %peer, %verb, %container, %wait, "cooling down");
    Failure::CoolingDown { container, wait }
}

/// Records that the law let so many containers be listed.
pub(super) fn listed(caller: &Caller, containers: usize) {
    let (request_id, revision, principal, peer) = caller.told();
    debug!(%request_id, %revision, %principal, %peer, containers, "admitted to a listing");
}

/// Records that the law lets a caller follow what happens to the containers that it may see.
pub(super) fn followed(caller: &Caller) {
    let (request_id, revision, principal, peer) = caller.told();
    debug!(%request_id, %revision, %principal, %peer, "admitted to the events");
}

/// Whether a verb only reads: dashboards do that all day long.
const fn is_quiet(verb: Verb) -> bool {
    match verb {
        Verb::Status | Verb::Logs | Verb::Stats => true,
        Verb::Start
        | Verb::Stop
        | Verb::Restart
        | Verb::Pause
        | Verb::Unpause
        | Verb::Kill
        | Verb::Exec => false,
    }
}
