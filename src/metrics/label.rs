//! Labels: by what is counted apart. Each has few values, all of them known from the code or the configuration.

use std::fmt::{self, Write};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use super::StreamKind;
use crate::policy::{Denial, Principal, Verb};

/// Requests, by what was asked and answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) status: u16,
}

/// Requests, by what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RouteLabels {
    pub(super) method: &'static str,
    pub(super) route: &'static str,
}

/// Decisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DecisionLabels {
    principal: Name,
    verb: &'static str,
    decision: &'static str,
}

impl DecisionLabels {
    /// Those of every decision about a principal and a verb.
    pub(super) fn all(principal: &Principal, verb: Verb) -> impl Iterator<Item = Self> {
        let decisions = ["allow", "not_granted", "forbidden", "hidden"];
        decisions.into_iter().map(move |decision| Self {
            principal: Name(principal.clone()),
            verb: verb.as_str(),
            decision,
        })
    }

    pub(super) fn new(principal: &Principal, verb: Verb, denial: Option<&Denial>) -> Self {
        let decision = match denial {
            None => "allow",
            Some(Denial::NotGranted { .. }) => "not_granted",
            Some(Denial::Forbidden { .. }) => "forbidden",
            Some(Denial::Hidden { .. }) => "hidden",
        };
        Self {
            principal: Name(principal.clone()),
            verb: verb.as_str(),
            decision,
        }
    }
}

/// A principal as a label's value; the encoder escapes what has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name(Principal);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        write!(encoder, "{}", self.0)
    }
}

/// Calls to the engine, by what was called and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EngineLabels {
    pub(super) call: &'static str,
    pub(super) outcome: &'static str,
}

/// Calls to the engine, by what was called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    pub(super) call: &'static str,
}

/// Reloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReloadLabels {
    outcome: &'static str,
}

impl ReloadLabels {
    pub(super) const GOOD: Self = Self { outcome: "good" };
    pub(super) const BAD: Self = Self { outcome: "bad" };
}

/// Open streams.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StreamLabels {
    kind: &'static str,
}

impl StreamLabels {
    pub(super) const fn of(kind: StreamKind) -> Self {
        Self {
            kind: kind.as_str(),
        }
    }
}
