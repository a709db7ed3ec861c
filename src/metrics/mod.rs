//! Edge: what is counted, and the text in which Prometheus reads it.
//!
//! Memory is bounded: every label has few values, and none of them is a caller's text or a container's name.

mod label;
mod stream;
mod text;

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use stream::{OpenStream, StreamKind};
pub use text::Format;

use label::{
    CallLabels, DecisionLabels, EngineLabels, ReloadLabels, RequestLabels, RouteLabels,
    StreamLabels,
};

use crate::policy::{Denial, Principal, Verb};

/// What the name of everything that is the gateway's own begins with.
const PREFIX: &str = "relayer_controller";

/// The upper limits of the latencies that are told apart, in seconds.
const BUCKETS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Everything that is counted while the process runs.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_duration: Family<RouteLabels, Histogram>,
    decisions: Family<DecisionLabels, Counter>,
    /// Of these decisions each yes to `anonymous`, by the verb's place in [`Verb::ALL`]: where nobody has to say who they
    /// are, there is no other, and it need not be looked up.
    allowed_to_anonymous: [OnceLock<Counter>; Verb::ALL.len()],
    engine_calls: Family<EngineLabels, Counter>,
    engine_call_duration: Family<CallLabels, Histogram>,
    engine_up: Gauge,
    reloads: Family<ReloadLabels, Counter>,
    unrecorded: Counter,
    open_streams: Family<StreamLabels, Gauge>,
}

/// What is not counted but looked up when somebody asks.
#[derive(Clone, Copy, Debug)]
pub struct Now<'config> {
    /// How many connections are open.
    pub connections: usize,
    /// Whether state is served from memory.
    pub mirror_current: bool,
    /// The revision of the configuration in force.
    pub revision: &'config str,
}

/// What a request is counted as.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'tally> {
    /// A method, or `other`.
    pub method: &'static str,
    /// A row's path, or `other`; never the path that was asked for.
    pub route: &'static str,
    /// Where such requests are counted without looking it up, where somebody keeps that.
    pub tally: Option<&'tally Tally>,
}

/// Where the requests of one method and route are counted, from the first of them on.
#[derive(Debug, Default)]
pub struct Tally {
    good: OnceLock<Counter>,
    took: OnceLock<Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet; the process counts as started now.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(histogram),
            decisions: Family::default(),
            allowed_to_anonymous: Default::default(),
            engine_calls: Family::default(),
            engine_call_duration: Family::new_with_constructor(histogram),
            engine_up: Gauge::default(),
            reloads: Family::default(),
            unrecorded: Counter::default(),
            open_streams: Family::default(),
        };
        metrics.register_process();
        metrics.register_own();
        // Without a zero to begin with, the first of its kind would not show as an increase.
        for outcome in [ReloadLabels::GOOD, ReloadLabels::BAD] {
            drop(metrics.reloads.get_or_create(&outcome));
        }
        for kind in StreamKind::ALL {
            drop(metrics.open_streams.get_or_create(&StreamLabels::of(kind)));
        }
        metrics
    }

    fn register_process(&mut self) {
        // A clock that is set before 1970 is told as 0.
        let started_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.registry.register_with_unit(
            "process_start_time",
            "Says when the process started, as a Unix time",
            Unit::Seconds,
            ConstGauge::new(started_at.as_secs_f64()),
        );
    }

    fn register_own(&mut self) {
        let own = self.registry.sub_registry_with_prefix(PREFIX);
        own.register(
            "build_info",
            "Says which version of the gateway this is",
            info("version", env!("CARGO_PKG_VERSION")),
        );
        own.register(
            "requests",
            "Counts the requests that were answered; a path that is in no row of the API counts as `other`",
            self.requests.clone(),
        );
        own.register_with_unit(
            "request_duration",
            "Says how long requests took, from their head to their answer",
            Unit::Seconds,
            self.request_duration.clone(),
        );
        own.register(
            "decisions",
            "Counts what the policy decided; `hidden` is also its answer for a container that is not managed",
            self.decisions.clone(),
        );
        own.register(
            "engine_calls",
            "Counts calls to the engine by how they ended; `refused` is the engine's own no, `abandoned` that nobody waited any more",
            self.engine_calls.clone(),
        );
        own.register_with_unit(
            "engine_call_duration",
            "Says how long calls to the engine took, however they ended",
            Unit::Seconds,
            self.engine_call_duration.clone(),
        );
        own.register(
            "engine_up",
            "Is 1 if the engine answered the last call, and 0 if it did not or was not called yet",
            self.engine_up.clone(),
        );
        own.register(
            "reloads",
            "Counts how often the configuration was read again; after a `bad` one the last good one stays in force",
            self.reloads.clone(),
        );
        own.register(
            "unwritten_audit_records",
            "Counts the audit records that could not be written in time; while it grows, changes are refused unless the configuration says otherwise",
            self.unrecorded.clone(),
        );
        own.register(
            "open_streams",
            "Counts the answers that go on for as long as their callers listen",
            self.open_streams.clone(),
        );
    }

    /// Counts an answered request.
    pub fn request(&self, counted: &Counted<'_>, status: u16, took: Duration) {
        let Counted {
            method,
            route,
            tally,
        } = *counted;
        let requests = || {
            let labels = RequestLabels {
                method,
                route,
                status,
            };
            self.requests.get_or_create_owned(&labels)
        };
        let durations = || {
            let labels = RouteLabels { method, route };
            self.request_duration.get_or_create_owned(&labels)
        };
        let took = took.as_secs_f64();
        match tally {
            // Most of those that come thick and fast.
            Some(tally) if status == 200 => {
                tally.good.get_or_init(requests).inc();
                tally.took.get_or_init(durations).observe(took);
            }
            Some(_) | None => {
                requests().inc();
                durations().observe(took);
            }
        }
    }

    /// Counts what the law said; yes where there is no denial.
    pub fn decided(&self, principal: &Principal, verb: Verb, denial: Option<&Denial>) {
        let labels = || DecisionLabels::new(principal, verb, denial);
        match self.allowed_to_anonymous.get(verb as usize) {
            Some(known) if principal.is_anonymous() && denial.is_none() => {
                let counter = || self.decisions.get_or_create_owned(&labels());
                known.get_or_init(counter).inc();
            }
            Some(_) | None => {
                self.decisions.get_or_create(&labels()).inc();
            }
        }
    }

    /// Forgets what was counted of a principal that is none any more, unless it is `anonymous`: of that there is but one.
    pub fn forget(&self, principal: &Principal) {
        if principal.is_anonymous() {
            return;
        }
        for verb in Verb::ALL {
            for labels in DecisionLabels::all(principal, verb) {
                self.decisions.remove(&labels);
            }
        }
    }

    /// Counts an audit record that could not be written.
    pub fn unrecorded(&self) {
        self.unrecorded.inc();
    }

    /// Counts a call to the engine.
    pub fn engine_call(&self, call: &'static str, outcome: &'static str, took: Duration) {
        self.engine_calls
            .get_or_create(&EngineLabels { call, outcome })
            .inc();
        self.engine_call_duration
            .get_or_create(&CallLabels { call })
            .observe(took.as_secs_f64());
    }

    /// Notes whether the engine answered the last call.
    pub fn engine_up(&self, is_up: bool) {
        self.engine_up.set(i64::from(is_up));
    }

    /// Counts a reload; a bad one changed nothing.
    pub fn reload(&self, is_good: bool) {
        let outcome = if is_good {
            ReloadLabels::GOOD
        } else {
            ReloadLabels::BAD
        };
        self.reloads.get_or_create(&outcome).inc();
    }

    /// Counts a stream as open for as long as what this gives is kept.
    pub fn stream(&self, kind: StreamKind) -> OpenStream {
        let labels = StreamLabels::of(kind);
        OpenStream::new(self.open_streams.get_or_create_owned(&labels))
    }

    /// All of it as text.
    ///
    /// # Errors
    ///
    /// None that is known: a `String` takes whatever is written to it.
    pub fn render(&self, now: Now<'_>, format: Format) -> Result<String, fmt::Error> {
        let mut momentary = Registry::with_prefix(PREFIX);
        let connections = u64::try_from(now.connections).unwrap_or(u64::MAX);
        momentary.register(
            "connections",
            "Counts the connections that are open, the one that asks for this among them",
            ConstGauge::new(connections),
        );
        momentary.register(
            "mirror_current",
            "Says whether state is served from memory; where it is 0, each read goes to the engine",
            ConstGauge::new(u64::from(now.mirror_current)),
        );
        momentary.register(
            "config_info",
            "Says which configuration is in force, by the first digits of its SHA-256",
            info("revision", now.revision),
        );
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &momentary)?;
        encode_eof(&mut text)?;
        Ok(format.of(text))
    }
}

/// A text that is told as a label, because a value is always a number.
fn info(key: &'static str, text: &str) -> Family<[(&'static str, String); 1], Gauge> {
    let family = Family::<_, Gauge>::default();
    family.get_or_create(&[(key, text.to_owned())]).set(1);
    family
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::{Format, Metrics, Now, StreamKind};
    use crate::policy::{Denial, Principal, Rule, Verb};

    fn check(metrics: &Metrics, lines: &[&str]) {
        let now = Now {
            connections: 3,
            mirror_current: true,
            revision: "0a1b2c",
        };
        let text = metrics.render(now, Format::Prometheus).unwrap();
        for line in lines {
            let line = format!("relayer_controller_{line}");
            assert!(text.lines().any(|said| said == line), "{line} in {text}");
        }
    }

    #[test]
    fn what_is_looked_up() {
        let lines = [
            "connections 3",
            "mirror_current 1",
            "config_info{revision=\"0a1b2c\"} 1",
        ];
        check(&Metrics::new(), &lines);
    }

    #[test]
    fn reloads() {
        let metrics = Metrics::new();
        for is_good in [true, false, true] {
            metrics.reload(is_good);
        }
        let lines = [
            "reloads_total{outcome=\"good\"} 2",
            "reloads_total{outcome=\"bad\"} 1",
        ];
        check(&metrics, &lines);
    }

    #[test]
    fn streams_count_while_they_are_kept() {
        let metrics = Metrics::new();
        let logs = [
            metrics.stream(StreamKind::Logs),
            metrics.stream(StreamKind::Logs),
        ];
        let events = metrics.stream(StreamKind::Events);
        let [first, _second] = logs;
        drop((first, events));
        let lines = [
            "open_streams{kind=\"logs\"} 1",
            "open_streams{kind=\"stats\"} 0",
            "open_streams{kind=\"events\"} 0",
        ];
        check(&metrics, &lines);
    }

    #[test]
    fn who_is_no_principal_any_more_is_forgotten() {
        let (metrics, bot) = (Metrics::new(), "bot".parse().unwrap());
        let anonymous = Principal::anonymous();
        let count = || {
            for principal in [&bot, &anonymous] {
                metrics.decided(principal, Verb::Stop, None);
            }
        };
        count();
        for principal in [&bot, &anonymous] {
            metrics.forget(principal);
        }
        count();
        let lines = [("bot", 1), ("anonymous", 2)].map(|(principal, count)| {
            format!(
                "decisions_total{{principal=\"{principal}\",verb=\"stop\",decision=\"allow\"}} {count}"
            )
        });
        check(&metrics, &lines.each_ref().map(String::as_str));
    }

    #[test]
    fn every_decision_has_its_word() {
        let (metrics, principal) = (Metrics::new(), Principal::anonymous());
        let by = Rule::new("roles.careful.forbid", "test.toml:1:1");
        let denials = [
            None,
            Some(Denial::NotGranted { by: by.clone() }),
            Some(Denial::Forbidden { by }),
            Some(Denial::Hidden { by: None }),
        ];
        for denial in &denials {
            metrics.decided(&principal, Verb::Exec, denial.as_ref());
        }
        let lines = ["allow", "not_granted", "forbidden", "hidden"].map(|decision| {
            format!(
                "decisions_total{{principal=\"anonymous\",verb=\"exec\",decision=\"{decision}\"}} 1"
            )
        });
        check(&metrics, &lines.each_ref().map(String::as_str));
    }
}
