//! One record: what happened, to whose order, on what, by which rule, and what came of it.

use std::time::SystemTime;

use serde::{Serialize, Serializer};

/// One record. Every key is always written, in this order; what is absent is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// What happened.
    pub event: Event,
    /// When it was noted: UTC, written to the millisecond.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// What the request is called in the log and in `X-Request-Id`.
    pub request_id: Option<String>,
    /// The configuration that was gone by.
    pub revision: Option<String>,
    /// Who asked; absent where that is not known.
    pub principal: Option<String>,
    /// Where the request came from.
    pub peer: Option<String>,
    /// What was asked.
    pub verb: Option<&'static str>,
    /// Of which container, by its short name as it was asked.
    pub container: Option<String>,
    /// Which of its commands; absent where none was asked for.
    pub command: Option<String>,
    /// What was answered before anything happened.
    pub decision: Option<Decision>,
    /// Which rule decided so; of a no, how.
    pub rule: Option<String>,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// The HTTP status that it is answered with.
    pub status: Option<u16>,
    /// From the decision to the outcome, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Why it was refused, failed or broke off, in words.
    pub error: Option<String>,
}

impl Record {
    /// A record of something that happens now, with nothing else in it yet.
    #[must_use]
    pub fn now(event: Event) -> Self {
        Self {
            event,
            time: SystemTime::now(),
            request_id: None,
            revision: None,
            principal: None,
            peer: None,
            verb: None,
            container: None,
            command: None,
            decision: None,
            rule: None,
            outcome: None,
            status: None,
            duration_ms: None,
            error: None,
        }
    }
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something that changes a container may go on, and has not begun.
    Admitted,
    /// Something that was admitted has ended.
    Ended,
    /// Something was refused.
    Denied,
    /// Another configuration is in force.
    Reloaded,
    /// Another configuration was offered, and is not in force.
    ReloadFailed,
}

/// What was answered before anything happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny,
}

/// What came of something that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It ran already, so nothing was done.
    AlreadyRunning,
    /// It had stopped already, so nothing was done.
    AlreadyStopped,
    /// It could not be done, or nobody knows whether it was.
    Failed,
    /// It broke off: the gateway was stopped first, or has a fault. The engine may have done it.
    Interrupted,
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}
