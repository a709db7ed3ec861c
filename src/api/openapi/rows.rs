//! What there is to say of each row. Where a row is missing here, it does not compile.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde_json::json;

use super::about::{About, Answer, Parameter, Tag};
use super::actions;
use super::errors::EXAMPLE;
use crate::api::reply::{Changed, Container, Containers, NOT_CURRENT, Ready, Whoami};
use crate::api::route::{Action, Endpoint};
use crate::engine::{InvalidSignal, Signal, State, Status, View};
use crate::metrics::Format;
use crate::policy::Verb;

/// What there is to say of a row that leads there.
pub(super) fn about(endpoint: Endpoint) -> About {
    match endpoint {
        Endpoint::Health => About::new(
            "getHealth",
            Tag::Gateway,
            "Whether the process serves",
            "Does not depend on the engine.",
        )
        .gives(
            Answer::ok("It serves.")
                .json(&"ok")
                .narrowed(json!({"const": "ok"})),
        ),
        Endpoint::Ready => ready(),
        Endpoint::Whoami => whoami(),
        Endpoint::Metrics => About::new(
            "getMetrics",
            Tag::Gateway,
            "What was counted",
            "As `OpenMetrics` where `Accept` names `application/openmetrics-text`.",
        )
        .gives(
            Answer::ok("The metrics.")
                .text(Format::Prometheus.media_type(), METRICS)
                .text(
                    Format::OpenMetrics.media_type(),
                    "# TYPE relayer_controller_engine_up gauge\nrelayer_controller_engine_up 1\n# EOF\n",
                ),
        ),
        Endpoint::OpenApi => About::new(
            "getOpenApi",
            Tag::Gateway,
            "This document",
            "The same from every gateway of this version: it tells nothing of the containers here.",
        )
        .gives(
            Answer::ok("The document.")
                .json(&BTreeMap::from([
                    ("openapi", json!("3.1.0")),
                    ("info", json!({"title": "relayer-controller", "version": "0.1.0"})),
                    ("paths", json!({})),
                ]))
                .narrowed(json!({"required": ["openapi", "info", "paths"]})),
        ),
        Endpoint::Containers => About::new(
            "listContainers",
            Tag::Containers,
            "The status of all containers",
            "Every managed container that exists and that the caller may see.",
        )
        .conditional(Answer::ok("They are these.").json(&Containers {
            containers: vec![
                Status::new(EXAMPLE, State::Running),
                Status::new("nginx-rtmp", State::Exited),
            ],
        })),
        Endpoint::Events => actions::events(),
        Endpoint::Logs => actions::logs(),
        Endpoint::Stats => actions::stats(),
        Endpoint::Commands => actions::commands(),
        Endpoint::Command => actions::command(),
        Endpoint::Batch(verb) => actions::batch(verb),
        Endpoint::Container(action) => about_one(action),
    }
}

const METRICS: &str = "# TYPE relayer_controller_engine_up gauge\nrelayer_controller_engine_up 1\n";

fn about_one(action: Action) -> About {
    match action {
        Action::View => view(),
        Action::Status => About::new(
            "getStatus",
            Tag::Containers,
            "The status of a container",
            "Docker's word for it, and whether that word is `running`.",
        )
        .conditional(Answer::ok("It is this.").json(&Status::new(EXAMPLE, State::Running))),
        Action::Start => actions::waiting(
            changes(
                "startContainer",
                "Start a container",
                "Of several at once, one starts it, and the others find it running.",
                "started",
            ),
            false,
        ),
        Action::Stop => actions::waiting(
            changes(
                "stopContainer",
                "Stop a container",
                "By its stop signal, and after its stop timeout by SIGKILL. Answered when it has stopped.",
                "stopped",
            ),
            true,
        ),
        Action::Restart => actions::waiting(
            changes(
                "restartContainer",
                "Restart a container",
                "Stops it as a stop does, and starts it. One that does not run is started.",
                "restarted",
            ),
            false,
        ),
        Action::Pause => changes(
            "pauseContainer",
            "Freeze a container",
            "Its processes stay where they are.",
            "paused",
        ),
        Action::Unpause => changes(
            "unpauseContainer",
            "Let a frozen container go on",
            "Its processes go on where they were.",
            "unpaused",
        ),
        Action::Kill => changes(
            "killContainer",
            "Send a signal to a container",
            "To its first process. With another signal than SIGKILL it may go on running.",
            "killed",
        )
        .takes(signal()),
    }
}

/// A row that changes a container and answers with this word.
fn changes(
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    done: &'static str,
) -> About {
    let changed = Changed {
        status: done,
        container: EXAMPLE,
    };
    About::new(id, Tag::Containers, summary, description).gives(
        Answer::ok("It is done.")
            .json(&changed)
            .narrowed(json!({"properties": {"status": {"const": done}}})),
    )
}

fn signal() -> Parameter {
    let schema = json!({
        "default": "KILL",
        "anyOf": [
            {"enum": Signal::NAMES},
            {"type": "string", "pattern": "^RT(MIN\\+([1-9]|1[0-5])|MAX-([1-9]|1[0-4]))$"},
            {"type": "string", "pattern": "^([1-9]|[1-5][0-9]|6[0-4])$"},
        ],
    });
    Parameter::new(
        "signal",
        "The signal: its name or its number. Names may be in any letter case, and with `SIG` before them.",
        schema,
        "TERM",
    )
    .or_else(format!("Bad parameter: signal: {InvalidSignal}"))
}

fn ready() -> About {
    let (yes, no) = (
        Ready {
            ready: true,
            reason: None,
            mirror: None,
        },
        Ready {
            ready: false,
            reason: Some("no answer from the engine within 2s".to_owned()),
            mirror: Some(NOT_CURRENT),
        },
    );
    About::new(
        "getReady",
        Tag::Gateway,
        "Whether the engine answers",
        "Asks it, for at most two seconds.",
    )
    .gives(
        Answer::ok("It does.")
            .json(&yes)
            .narrowed(json!({"properties": {"ready": {"const": true}}})),
    )
    .gives(
        Answer::new(StatusCode::SERVICE_UNAVAILABLE, "It does not.")
            .json(&no)
            .narrowed(json!({"properties": {"ready": {"const": false}}, "required": ["reason"]})),
    )
}

fn whoami() -> About {
    About::new(
        "getWhoami",
        Tag::Gateway,
        "Who the caller is, and what it may do",
        "Of what the caller may not see, nothing is told.",
    )
    .gives(
        Answer::ok("It is this.").json(&Whoami {
            principal: "stream-bot".to_owned(),
            roles: vec!["operator"],
            revision: "9f86d081884c",
            containers: BTreeMap::from([(
                EXAMPLE,
                [Verb::Status, Verb::Start, Verb::Stop]
                    .map(Verb::as_str)
                    .to_vec(),
            )]),
        }),
    )
}

fn view() -> About {
    let view = View {
        status: Status::new(EXAMPLE, State::Exited),
        health: None,
        image: Some("linuxserver/ffmpeg:latest".to_owned()),
        created_at: Some("2026-01-31T17:00:00.123456789Z".to_owned()),
        started_at: Some("2026-01-31T18:00:00.123456789Z".to_owned()),
        finished_at: Some("2026-01-31T20:15:00.123456789Z".to_owned()),
        exit_code: Some(137),
        oom_killed: false,
        restart_count: 2,
    };
    let example = Container {
        view: &view,
        verbs: [Verb::Status, Verb::Start].map(Verb::as_str).to_vec(),
    };
    About::new(
        "getContainer",
        Tag::Containers,
        "All that is shown of a container",
        "Its environment, command and mounts are not: they hold secrets.",
    )
    .refreshable()
    .gives(Answer::ok("It is this.").json(&example))
}
