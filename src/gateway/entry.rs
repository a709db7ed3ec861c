//! What the audit trail is told: that a change was admitted and what came of it, that a request was refused, and that
//! the configuration was read again.

use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime};

use tracing::warn;

use super::{Caller, Failure};
use crate::audit::{Decision, Event, Outcome, Place, Record, Trail, Unwritten};
use crate::config::Revision;
use crate::metrics::Metrics;
use crate::policy::{ContainerName, Denial, Facility, Operation, Permitted, Principal, Verb};
use crate::server::{Peer, RequestId};

/// A request that is refused before the law is asked, with as much as is known of it by then.
#[derive(Clone, Debug)]
pub struct Door {
    /// What the request is called in the log and in `X-Request-Id`.
    pub request_id: RequestId,
    /// By which configuration.
    pub revision: Revision,
    /// Where it comes from.
    pub peer: Peer,
    /// Who asks; none where that is not known.
    pub principal: Option<Principal>,
    /// What was asked.
    pub verb: Option<Verb>,
    /// Of which container, as it was written.
    pub container: Option<String>,
}

impl Door {
    /// The record of its refusal.
    pub(super) fn refused(&self, why: &str, status: u16) -> Record {
        Record {
            request_id: Some(self.request_id.to_string()),
            revision: Some(self.revision.to_string()),
            principal: self.principal.as_ref().map(ToString::to_string),
            peer: Some(self.peer.to_string()),
            verb: self.verb.map(Verb::as_str),
            container: self.container.clone(),
            decision: Some(Decision::Deny),
            status: Some(status),
            error: Some(why.to_owned()),
            ..Record::now(Event::Denied)
        }
    }
}

/// What it takes to tell the trail of something that was admitted, and has not begun.
#[must_use]
pub(super) struct Account {
    pub(super) trail: Trail,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status_of: fn(Result<(), &Failure>) -> u16,
    pub(super) admitted: Record,
}

impl Account {
    /// Tells the trail, and waits until that is written; to be called before it acts.
    ///
    /// # Errors
    ///
    /// [`Failure::Unrecorded`], where the trail is required and has not taken it.
    pub(super) async fn open(self) -> Result<Entry, Failure> {
        let opened = Entry::begin(&self.trail, self.admitted, self.status_of).await;
        if opened.is_err() {
            self.metrics.unrecorded();
        }
        opened
    }
}

/// An admitted change whose end the trail has yet to be told. However it comes to be dropped, the trail is told.
#[must_use]
pub(super) struct Entry {
    admitted: Record,
    begun: Instant,
    status_of: fn(Result<(), &Failure>) -> u16,
    /// Held from the beginning, so that the end can be told where nothing can be waited for. None once it is told, and
    /// where there was no place.
    place: Option<Place>,
}

impl Entry {
    /// Tells the trail that a change was admitted, and waits until that is written; to be called before it acts.
    ///
    /// # Errors
    ///
    /// [`Failure::Unrecorded`], where the trail is required and has not taken it.
    async fn begin(
        trail: &Trail,
        admitted: Record,
        status_of: fn(Result<(), &Failure>) -> u16,
    ) -> Result<Self, Failure> {
        let mut entry = Self {
            admitted,
            begun: Instant::now(),
            status_of,
            place: trail.place().await.ok(),
        };
        let written = match &entry.place {
            Some(_) => trail.record(&entry.admitted).await,
            None => Err(Unwritten),
        };
        let request_id = entry.admitted.request_id.clone().unwrap_or_default();
        match written {
            Ok(()) => Ok(entry),
            Err(Unwritten) if trail.is_required() => {
                warn!(%request_id, "refused: the audit record could not be written");
                // It may be written late. Then so is this.
                if let Some(place) = entry.place.take() {
                    place.leave(&entry.ended(Err(&Failure::Unrecorded)));
                }
                Err(Failure::Unrecorded)
            }
            Err(Unwritten) => {
                warn!(%request_id, "goes on, and the audit record could not be written");
                Ok(entry)
            }
        }
    }

    /// Tells the trail what came of it, and waits until that is written.
    pub(super) async fn end(mut self, answer: Result<(), &Failure>) {
        let Some(place) = self.place.take() else {
            return;
        };
        if let Err(error) = place.record(&self.ended(answer)).await {
            let request_id = self.admitted.request_id.as_deref().unwrap_or_default();
            warn!(%request_id, %error, "nothing on record of how it ended");
        }
    }

    fn ended(&self, answer: Result<(), &Failure>) -> Record {
        let outcome = match answer {
            Ok(()) => Outcome::Done,
            Err(Failure::AlreadyRunning) => Outcome::AlreadyRunning,
            Err(Failure::AlreadyStopped) => Outcome::AlreadyStopped,
            Err(
                Failure::NotFound(_)
                | Failure::NotRunning
                | Failure::NoSuchCommand(_)
                | Failure::BadParameter(_)
                | Failure::TookTooLong(_)
                | Failure::Forbidden { .. }
                | Failure::FacilityForbidden(_)
                | Failure::Engine(_)
                | Failure::Busy
                | Failure::CoolingDown { .. }
                | Failure::Unrecorded
                | Failure::Cycle(_)
                | Failure::Unmet(_)
                | Failure::Stopping
                | Failure::NoHealthCheck(_)
                | Failure::Unreached(_)
                | Failure::NotAwaited(..)
                | Failure::Broken,
            ) => Outcome::Failed,
        };
        let error = answer.err().filter(|_| outcome == Outcome::Failed);
        Record {
            outcome: Some(outcome),
            status: Some((self.status_of)(answer)),
            error: error.map(ToString::to_string),
            ..self.now(Event::Ended)
        }
    }

    fn interrupted(&self) -> Record {
        let (status, why) = if thread::panicking() {
            let status = (self.status_of)(Err(&Failure::Broken));
            (Some(status), Failure::Broken.to_string())
        } else {
            (None, "the gateway was stopped first".to_owned())
        };
        Record {
            outcome: Some(Outcome::Interrupted),
            status,
            error: Some(why),
            ..self.now(Event::Ended)
        }
    }

    fn now(&self, event: Event) -> Record {
        let took = self.begun.elapsed().as_millis();
        Record {
            event,
            time: SystemTime::now(),
            duration_ms: Some(u64::try_from(took).unwrap_or(u64::MAX)),
            ..self.admitted.clone()
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.leave(&self.interrupted());
        }
    }
}

/// The record that the law said yes to a change.
pub(super) fn admitted<T: Operation>(caller: &Caller, permitted: &Permitted<'_, T>) -> Record {
    Record {
        decision: Some(Decision::Allow),
        rule: Some(permitted.by().to_string()),
        ..asked(
            caller,
            Event::Admitted,
            permitted.operation().verb(),
            permitted.container(),
        )
    }
}

/// The record that the law said no.
pub(super) fn denied(
    caller: &Caller,
    verb: Verb,
    container: &ContainerName,
    denial: &Denial,
    failure: &Failure,
) -> Record {
    Record {
        decision: Some(Decision::Deny),
        rule: Some(denial.to_string()),
        status: Some((caller.status_of)(Err(failure))),
        ..asked(caller, Event::Denied, verb, container)
    }
}

/// The record that the law said no to something of the gateway itself.
pub(super) fn facility_denied(
    caller: &Caller,
    facility: Facility,
    denial: &Denial,
    failure: &Failure,
) -> Record {
    Record {
        verb: Some(facility.as_str()),
        decision: Some(Decision::Deny),
        rule: Some(denial.to_string()),
        status: Some((caller.status_of)(Err(failure))),
        ..of_caller(caller, Event::Denied)
    }
}

/// The record that there is no place for one more batch; the law was not asked.
pub(super) fn no_batch(caller: &Caller, verb: Verb, failure: &Failure) -> Record {
    Record {
        verb: Some(verb.as_str()),
        decision: Some(Decision::Deny),
        status: Some((caller.status_of)(Err(failure))),
        error: Some(failure.to_string()),
        ..of_caller(caller, Event::Denied)
    }
}

/// The record that the law said yes to a change, and why it is not made all the same.
pub(super) fn refused<T: Operation>(
    caller: &Caller,
    permitted: &Permitted<'_, T>,
    failure: &Failure,
) -> Record {
    Record {
        event: Event::Denied,
        decision: Some(Decision::Deny),
        status: Some((caller.status_of)(Err(failure))),
        error: Some(failure.to_string()),
        ..admitted(caller, permitted)
    }
}

fn asked(caller: &Caller, event: Event, verb: Verb, container: &ContainerName) -> Record {
    Record {
        verb: Some(verb.as_str()),
        container: Some(container.to_string()),
        ..of_caller(caller, event)
    }
}

fn of_caller(caller: &Caller, event: Event) -> Record {
    Record {
        request_id: Some(caller.request_id.to_string()),
        revision: Some(caller.config.revision.to_string()),
        principal: Some(caller.principal.to_string()),
        peer: Some(caller.peer.to_string()),
        ..Record::now(event)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::future::pending;
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::runtime::Runtime;

    use super::Entry;
    use crate::audit::{Event, Output, Record, Settings, Trail};
    use crate::engine::Error;
    use crate::gateway::Failure;

    const fn status_of(answer: Result<(), &Failure>) -> u16 {
        if answer.is_ok() { 200 } else { 599 }
    }

    /// Runs something with an entry, and asserts event, outcome, status and error of the records.
    fn check<F: Future<Output = ()> + Send + 'static>(
        run: impl FnOnce(Entry) -> F + Send + 'static,
        expected: &Value,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let settings = Settings {
            output: Some(Output::File(path.clone())),
            required: true,
        };
        let (trail, ending) = Trail::open(&settings).unwrap();
        let runtime = Runtime::new().unwrap();
        let admitted = Record::now(Event::Admitted);
        let entry = runtime.block_on(Entry::begin(&trail, admitted, status_of));
        let entry = entry.unwrap();
        drop(trail);
        let task = runtime.spawn(async move { run(entry).await });
        if expected[3] != "the gateway was stopped first" {
            let _panicked_or_not = runtime.block_on(task);
        }
        runtime.shutdown_timeout(Duration::from_secs(10));
        assert!(ending.wait(Duration::from_secs(10)));
        let text = fs::read_to_string(path).unwrap();
        let records: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(records.len(), 2, "{text}");
        let told = |record: &Value| {
            ["event", "outcome", "status", "error"]
                .map(|key| record[key].clone())
                .to_vec()
        };
        assert_eq!(
            told(&records[0]),
            ["admitted".into(), Value::Null, Value::Null, Value::Null]
        );
        assert_eq!(&Value::from(told(&records[1])), expected);
        assert!(records[1]["duration_ms"].is_u64(), "{text}");
    }

    #[test]
    fn every_end_is_told_once() {
        check(
            |entry| async move { entry.end(Ok(())).await },
            &json!(["ended", "done", 200, null]),
        );
        check(
            |entry| async move { entry.end(Err(&Failure::AlreadyRunning)).await },
            &json!(["ended", "already_running", 599, null]),
        );
        check(
            |entry| async move { entry.end(Err(&Failure::AlreadyStopped)).await },
            &json!(["ended", "already_stopped", 599, null]),
        );
        check(
            |entry| async move {
                let failure = Failure::Engine(Error::Unreachable("gone".to_owned()));
                entry.end(Err(&failure)).await;
            },
            &json!(["ended", "failed", 599, "Docker error: gone"]),
        );
    }

    #[test]
    fn a_panic_is_told() {
        check(
            |entry| async move {
                let _entry = entry;
                panic!("for the test");
            },
            &json!([
                "ended",
                "interrupted",
                599,
                "Internal error: see the log of relayer-controller"
            ]),
        );
    }

    #[test]
    fn a_stop_is_told() {
        check(
            |entry| async move {
                let _entry = entry;
                pending::<()>().await;
            },
            &json!([
                "ended",
                "interrupted",
                null,
                "the gateway was stopped first"
            ]),
        );
    }
}
