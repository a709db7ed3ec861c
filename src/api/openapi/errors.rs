//! Which errors a row can give, and how each is told.

use std::time::Duration;

use super::about::About;
use crate::api::problem::Problem;
use crate::api::route::{Action, Endpoint, Need, Row};
use crate::config::BadParameter;
use crate::engine;
use crate::engine::{CommandOutput, State};
use crate::gateway::{Failure, Missed, TookTooLong, Unreached, Until};
use crate::limits::Wait;
use crate::policy::{ContainerName, Facility, Principal};
use crate::server::Refusal;

/// One thing that can go wrong, by an example.
pub(super) struct Sample {
    /// Its name in the document; letters and digits, the first of them small.
    pub(super) name: String,
    /// When it does.
    pub(super) when: &'static str,
    pub(super) problem: Problem,
    /// Whether it is told in other words for each row.
    pub(super) is_of_its_row: bool,
}

/// All that can go wrong with a request for this row.
pub(super) fn of(row: &Row, about: &About) -> Vec<Sample> {
    let parameters = about.parameters.iter().filter_map(|parameter| {
        let problem = Problem::Input(parameter.refusal.clone()?);
        let name = format!("{}Parameter", parameter.name);
        let when = "A parameter is not as it should be.";
        Some(Sample::of_its_row(&name, when, problem))
    });
    let mut samples = of_the_caller(row);
    samples.extend(parameters);
    samples.extend(of_the_request());
    samples.extend(of_the_engine());
    samples.extend(of_the_gateway());
    samples.extend(of_commands());
    samples.extend(of_waiting());
    samples.retain(|sample| can_come(&sample.problem, row));
    samples
}

/// Whether a request for this row can come to this. A problem that is new needs a sample below besides.
fn can_come(problem: &Problem, row: &Row) -> bool {
    let has_name = row.path.contains("{name}");
    let is_change = row.method != "GET";
    // Its names are in the query.
    let is_events = row.endpoint == Endpoint::Events;
    match problem {
        // Of no row.
        Problem::NoSuchPath | Problem::OtherMethod(_) => false,
        Problem::Unauthorized | Problem::Input(_) | Problem::Refused(_) => true,
        Problem::CrossSite => is_change,
        Problem::CrossSiteSocket | Problem::OtherVersion => is_events,
        Problem::ForeignHost(_) | Problem::AddressLimit(_) => row.endpoint != Endpoint::Health,
        Problem::PrincipalLimit(..) => row.needs != Need::Nothing,
        Problem::Failed(failure) => match failure {
            Failure::NotFound(_) => has_name || is_events,
            Failure::Forbidden { .. } => {
                (has_name || is_events) && matches!(row.needs, Need::Verb(_))
            }
            Failure::FacilityForbidden(_) => matches!(row.needs, Need::Facility(_)),
            Failure::AlreadyRunning => row.endpoint == Endpoint::Container(Action::Start),
            Failure::AlreadyStopped => row.endpoint == Endpoint::Container(Action::Stop),
            Failure::NotRunning => matches!(row.endpoint, Endpoint::Stats | Endpoint::Command),
            Failure::NoSuchCommand(_) | Failure::BadParameter(_) | Failure::TookTooLong(_) => {
                row.endpoint == Endpoint::Command
            }
            Failure::NoHealthCheck(_) => {
                let endpoint = row.endpoint;
                endpoint == Endpoint::Container(Action::Start)
                    || endpoint == Endpoint::Container(Action::Restart)
            }
            Failure::Unreached(_) | Failure::NotAwaited(..) => can_wait(row),
            // Of one item of a batch alone.
            Failure::Cycle(_) | Failure::Unmet(_) | Failure::Stopping => false,
            // What happens is told from memory.
            Failure::Engine(_) => matches!(row.needs, Need::Verb(_)) && !is_events,
            Failure::Busy | Failure::Broken => is_change,
            Failure::CoolingDown { .. } => {
                matches!(row.endpoint, Endpoint::Container(_)) && is_change
            }
            Failure::Unrecorded => has_name && is_change,
        },
    }
}

/// Whether it can be answered only when the container is what it should be.
fn can_wait(row: &Row) -> bool {
    match row.endpoint {
        Endpoint::Container(Action::Start | Action::Stop | Action::Restart) => true,
        Endpoint::Container(
            Action::Status | Action::View | Action::Pause | Action::Unpause | Action::Kill,
        )
        | Endpoint::Health
        | Endpoint::Ready
        | Endpoint::Whoami
        | Endpoint::Metrics
        | Endpoint::OpenApi
        | Endpoint::Containers
        | Endpoint::Events
        | Endpoint::Logs
        | Endpoint::Stats
        | Endpoint::Commands
        | Endpoint::Command
        | Endpoint::Batch(_) => false,
    }
}

/// What is about who asks, from where, and for what.
fn of_the_caller(row: &Row) -> Vec<Sample> {
    let mut samples = vec![
        Sample::new(
            "unauthorized",
            "There are no credentials where some are needed, or wrong ones.",
            Problem::Unauthorized,
        ),
        Sample::new(
            "crossSite",
            "It comes from a page of another site.",
            Problem::CrossSite,
        ),
        Sample::new(
            "crossSiteSocket",
            "It asks for a WebSocket, and comes from a page of another site.",
            Problem::CrossSiteSocket,
        ),
        Sample::new(
            "otherVersion",
            "It asks for a WebSocket of another version than 13.",
            Problem::OtherVersion,
        ),
        Sample::new(
            "foreignHost",
            "Without credentials: `Host` is a name that the configuration does not list.",
            Problem::ForeignHost("relay.example.org".to_owned()),
        ),
    ];
    if let (Need::Verb(verb), Some(container)) = (row.needs, example_name()) {
        let problem = Failure::Forbidden { verb, container }.into();
        let when = "The caller may see the container, but not do this to it.";
        samples.push(Sample::of_its_row("forbidden", when, problem));
    }
    if let Need::Facility(facility) = row.needs {
        let when = match facility {
            Facility::Metrics => "The caller may not read the metrics.",
        };
        let problem = Failure::FacilityForbidden(facility).into();
        samples.push(Sample::of_its_row("forbidden", when, problem));
    }
    samples
}

/// What is about the request as such.
fn of_the_request() -> [Sample; 6] {
    [
        Sample::new(
            "unknownParameter",
            "There is a parameter or a body that this request does not take.",
            Problem::Input("Unknown parameter: colour".to_owned()),
        ),
        Sample::new(
            "malformed",
            "It is no HTTP/1.1 as it should be.",
            Refusal::Malformed("more than one Host header").into(),
        ),
        Sample::new(
            "notFound",
            "There is no such container, it is not managed, or the caller may not know of it.",
            Failure::NotFound(EXAMPLE.to_owned()).into(),
        ),
        Sample::new(
            "tooSlow",
            "The body does not come in time. The connection ends.",
            Refusal::TooSlow(Duration::from_secs(10)).into(),
        ),
        Sample::new(
            "bodyTooLarge",
            "The body is too large.",
            Refusal::BodyTooLarge.into(),
        ),
        Sample::new(
            "headTooLarge",
            "The request line and the headers are too large.",
            Refusal::HeadTooLarge.into(),
        ),
    ]
}

/// What the gateway itself says no to.
fn of_the_gateway() -> Vec<Sample> {
    let wait = Wait::new(Duration::from_secs(2));
    let mut samples = vec![
        Sample::new(
            "addressLimit",
            "There are too many requests from this address.",
            Problem::AddressLimit(wait),
        ),
        Sample::new(
            "principalLimit",
            "There are too many requests of this principal.",
            Problem::PrincipalLimit(Principal::anonymous(), wait),
        ),
        Sample::new(
            "busy",
            "There are too many changes at once.",
            Failure::Busy.into(),
        ),
        Sample::new(
            "unrecorded",
            "The audit trail, which is required, cannot be written to. Nothing was done.",
            Failure::Unrecorded.into(),
        ),
        Sample::new(
            "broken",
            "A fault of the gateway's own. What became of the request is not known.",
            Failure::Broken.into(),
        ),
    ];
    if let Some(container) = example_name() {
        let problem = Failure::CoolingDown { container, wait }.into();
        let when = "The container was changed too short a time ago.";
        samples.push(Sample::new("coolingDown", when, problem));
    }
    samples
}

/// What is about commands in a container, and what else needs one that runs.
fn of_commands() -> [Sample; 4] {
    let took_too_long = TookTooLong {
        container: EXAMPLE.to_owned(),
        command: "probe".to_owned(),
        limit: Duration::from_secs(10),
        is_left_running: false,
        printed: CommandOutput {
            stdout: String::new(),
            stderr: "still connecting\n".to_owned(),
            is_truncated: false,
            took: Duration::from_millis(10_021),
        },
    };
    let bad = BadParameter::NoMatch {
        name: "url".to_owned(),
        pattern: "rtmp://[a-z0-9./:-]{1,200}".to_owned(),
    };
    [
        Sample::new(
            "notRunning",
            "The container does not run.",
            Failure::NotRunning.into(),
        ),
        Sample::new(
            "noSuchCommand",
            "The container has no such command.",
            Failure::NoSuchCommand("probe".to_owned()).into(),
        ),
        Sample::new(
            "badParameter",
            "A parameter of the command is missing, unknown, no text, or does not match.",
            Failure::BadParameter(bad).into(),
        ),
        Sample::new(
            "tookTooLong",
            "The command took longer than it may, and was ended where the container has the means for that.",
            Failure::TookTooLong(Box::new(took_too_long)).into(),
        ),
    ]
}

/// What is about waiting for what a container becomes.
fn of_waiting() -> Vec<Sample> {
    let Some(container) = example_name() else {
        return Vec::new();
    };
    let missed = Missed {
        container: container.clone(),
        until: Until::Healthy,
        after: None,
        why: Some("exited with code 1".to_owned()),
    };
    let unreached = Unreached {
        missed,
        container: EXAMPLE.to_owned(),
        status: Some(State::Exited),
        health: Some("unhealthy".to_owned()),
        exit_code: Some(1),
        logs: Some(vec!["cannot open the input".to_owned()]),
    };
    vec![
        Sample::new(
            "noHealthCheck",
            "It shall become healthy, and has no health check. Nothing was done.",
            Failure::NoHealthCheck(container.clone()).into(),
        ),
        Sample::new(
            "unreached",
            "It was done, and the container did not become what it should in time, or cannot any more. The last lines that it printed are for those who may read its logs.",
            Failure::Unreached(Box::new(unreached)).into(),
        ),
        Sample::new(
            "notAwaited",
            "It was done, and the gateway stops before the container became what it should.",
            Failure::NotAwaited(container, Until::Healthy).into(),
        ),
    ]
}

/// What the engine says no to, or does not say.
fn of_the_engine() -> [Sample; 5] {
    let failed = |error| Problem::from(Failure::Engine(error));
    [
        Sample::new(
            "alreadyRunning",
            "The container runs already.",
            Failure::AlreadyRunning.into(),
        ),
        Sample::new(
            "alreadyStopped",
            "The container does not run.",
            Failure::AlreadyStopped.into(),
        ),
        Sample::new(
            "engineRefused",
            "The engine failed, or said no.",
            failed(engine::Error::Refused {
                status: 409,
                message: "Container 4c01db0b339c is not running".to_owned(),
            }),
        ),
        Sample::new(
            "engineAway",
            "The engine cannot be reached.",
            failed(engine::Error::Unreachable(
                "cannot reach the engine at unix:///var/run/docker.sock".to_owned(),
            )),
        ),
        Sample::new(
            "engineSilent",
            "The engine does not answer in time. It may still do what was asked.",
            failed(engine::Error::TimedOut(Duration::from_secs(30))),
        ),
    ]
}

/// The container in examples.
pub(super) const EXAMPLE: &str = "muxer";

fn example_name() -> Option<ContainerName> {
    EXAMPLE.parse().ok()
}

impl Sample {
    fn new(name: &str, when: &'static str, problem: Problem) -> Self {
        Self {
            name: name.to_owned(),
            when,
            problem,
            is_of_its_row: false,
        }
    }

    fn of_its_row(name: &str, when: &'static str, problem: Problem) -> Self {
        Self {
            is_of_its_row: true,
            ..Self::new(name, when, problem)
        }
    }
}
