//! What there is to say of rows that read on, run commands, or change many at once.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde_json::json;

use super::about::{About, Answer, Parameter, Sent, Tag};
use super::errors::EXAMPLE;
use crate::api::batch::Wanted;
use crate::api::event_form::LiveEvent;
use crate::api::events::CONTAINER_FORMS;
use crate::api::exec::{Commands, Executed, Offered, Output};
use crate::api::log_form::Record;
use crate::api::logs::{STREAM_FORMS, SWITCH_FORMS, TAIL_FORMS, TIME_FORMS};
use crate::api::media::TEXT;
use crate::api::reply::{ItemResult, Results};
use crate::engine::{Figures, Live, State, Stats};
use crate::gateway::BatchVerb;
use crate::policy::ContainerName;

pub(super) fn logs() -> About {
    let line = Record {
        stream: "stderr",
        time: Some("2026-01-31T18:00:00.123456789Z"),
        line: "frame=  250 fps= 25 q=28.0",
        partial: false,
    };
    let about = About::new(
        "getLogs",
        Tag::Containers,
        "What a container prints",
        "With `follow` it goes on for as long as the container is there and the caller may read it, also when the \
         container stops and starts meanwhile; then no line is lost or told twice. Where it does not run, its start is \
         waited for. An `EventSource` that connects again goes on where it was (`Last-Event-ID`).",
    );
    log_parameters(about).gives(
        Answer::ok("The lines, the oldest first; as plain text, just as they were printed.")
            .text(TEXT, "frame=  250 fps= 25 q=28.0\n")
            .lines(&line)
            .events(&line),
    )
}

fn log_parameters(about: About) -> About {
    let switch = json!({"type": "string", "enum": ["true", "false", "1", "0"], "default": "false"});
    let time = || {
        json!({"type": "string", "anyOf": [
            {"pattern": "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-2]):[0-5][0-9])$"},
            {"pattern": "^[0-9]{1,10}(\\.[0-9]{1,9})?$"},
            {"pattern": "^[1-9][0-9]{0,3}(s|m|h|d)$"},
        ]})
    };
    about
        .takes(
            Parameter::new(
                "tail",
                "How many lines from the end to begin with, or `all`.",
                json!({"type": "string", "pattern": "^(all|[0-9]{1,9})$", "default": "100"}),
                "20",
            )
            .or_else(format!("Bad parameter: tail: {TAIL_FORMS}")),
        )
        .takes(Parameter::new(
            "since",
            "From when on: RFC 3339, Unix seconds, or a duration ago such as `10m`.",
            time(),
            "10m",
        ))
        .takes(
            Parameter::new(
                "until",
                "Until when, in the same words. Not with `follow`.",
                time(),
                "2026-01-28T18:00:00Z",
            )
            .or_else(format!("Bad parameter: until: {TIME_FORMS}")),
        )
        .takes(Parameter::new(
            "timestamps",
            "Whether each line of plain text begins with the time at which it was printed.",
            switch.clone(),
            "true",
        ))
        .takes(
            Parameter::new(
                "follow",
                "Whether it goes on with what comes.",
                switch,
                "false",
            )
            .or_else(format!("Bad parameter: follow: {SWITCH_FORMS}")),
        )
        .takes(
            Parameter::new(
                "stream",
                "Which of its outputs.",
                json!({"type": "string", "enum": ["stdout", "stderr", "both"], "default": "both"}),
                "stderr",
            )
            .or_else(format!("Bad parameter: stream: {STREAM_FORMS}")),
        )
}

pub(super) fn events() -> About {
    let name = ContainerName::PATTERN.trim_matches(['^', '$']);
    let pattern = format!("^{name}(,{name}){{0,20}}$");
    About::new(
        "followEvents",
        Tag::Containers,
        "What happens to the containers",
        "First a snapshot of all that the caller may see, then each change, for as long as the caller is who it is. A \
         snapshot can come again, and stands for whatever was missed: after a reload of the configuration, when the \
         engine is back, and where the caller reads too slowly. Who connects again gets one too.\n\n\
         Where the request asks for a WebSocket (RFC 6455), the same JSON comes over that, each in a message, and nothing \
         is to be sent there. A browser lets a page send a token only among the subprotocols: it offers \
         `relayer-controller.events`, and beside it `base64url.bearer.authorization.relayer-controller.` with the token's \
         Base64 for URLs, without padding, after the dot.",
    )
    .takes(
        Parameter::new(
            "container",
            "Only these, by their names with commas between them; also given several times.",
            json!({"type": "string", "pattern": pattern}),
            "muxer,nginx-rtmp",
        )
        .or_else(format!("Bad parameter: container: {CONTAINER_FORMS}")),
    )
    .gives(Answer::new(
        StatusCode::SWITCHING_PROTOCOLS,
        "It goes on as a WebSocket.",
    ))
    .gives(
        Answer::ok("What happens; as lines where `Accept` names them and no server-sent events.")
            .told(&live_events()),
    )
}

/// One of each, with its name as a server-sent event.
fn live_events() -> [(&'static str, LiveEvent<'static>); 6] {
    let time = "2026-01-31T18:00:00.123456789Z";
    let live = |status, health| Live {
        container: EXAMPLE,
        status,
        running: status == State::Running,
        health,
        time,
    };
    let container = EXAMPLE;
    [
        (
            "snapshot",
            LiveEvent::Snapshot {
                containers: vec![live(State::Running, Some("starting"))],
            },
        ),
        (
            "",
            LiveEvent::Changed(live(State::Running, Some("healthy"))),
        ),
        (
            "oom",
            LiveEvent::OutOfMemory {
                container,
                oom_killed: true,
                time,
            },
        ),
        ("", LiveEvent::Changed(live(State::Exited, None))),
        (
            "gone",
            LiveEvent::Gone {
                container,
                gone: true,
                time,
            },
        ),
        (
            "interrupted",
            LiveEvent::Interrupted {
                current: false,
                time,
            },
        ),
    ]
}

pub(super) fn stats() -> About {
    let stats = Stats {
        container: EXAMPLE.to_owned(),
        figures: Figures {
            time: "2026-01-31T18:00:00.123456789Z".to_owned(),
            cpu_percent: 12.5,
            memory_bytes: 52_428_800,
            memory_limit_bytes: 2_147_483_648,
            network_rx_bytes: 1_048_576,
            network_tx_bytes: 524_288,
            block_read_bytes: 0,
            block_write_bytes: 4_096,
            pids: 7,
        },
    };
    About::new(
        "getStats",
        Tag::Containers,
        "What a container consumes",
        "Once as JSON. Where `Accept` names a stream, again each second for as long as the container is there and the \
         caller may read it, also when it stops and starts meanwhile.",
    )
    .gives(
        Answer::ok("It is this.")
            .json(&stats)
            .lines(&stats)
            .events(&stats),
    )
}

pub(super) fn commands() -> About {
    let commands = Commands {
        container: EXAMPLE,
        commands: vec![Offered {
            command: "probe",
            params: BTreeMap::from([("url", "rtmp://[a-z0-9./:-]{1,200}")]),
            timeout: "10s".to_owned(),
        }],
    };
    About::new(
        "listCommands",
        Tag::Containers,
        "The commands that can be run in a container",
        "As the configuration names them.",
    )
    .gives(Answer::ok("They are these.").json(&commands))
}

pub(super) fn command() -> About {
    let executed = Executed {
        container: EXAMPLE,
        command: "probe",
        exit_code: 0,
        output: Output {
            stdout: "rtmp://nginx-rtmp/live: h264, 30 fps\n",
            stderr: "",
            truncated: false,
            duration_ms: 184,
        },
    };
    About::new(
        "runCommand",
        Tag::Containers,
        "Run a command in a container",
        "Answered when its process has ended, whatever it ended with.",
    )
    .reads(
        Sent::json::<BTreeMap<String, String>>(
            "Its parameters by name. Each must match, as a whole, the pattern that the list of commands gives.",
            json!({"url": "rtmp://nginx-rtmp/live"}),
        )
        .or_nothing(),
    )
    .gives(Answer::ok("It has ended.").json(&executed))
}

pub(super) fn batch(verb: BatchVerb) -> About {
    let (id, summary, order, done) = match verb {
        BatchVerb::Start => (
            "startContainers",
            "Start containers",
            "What others depend on is started first.",
            "started",
        ),
        BatchVerb::Stop => (
            "stopContainers",
            "Stop containers",
            "What depends on others is stopped first.",
            "stopped",
        ),
        BatchVerb::Restart => (
            "restartContainers",
            "Restart containers",
            "What others depend on is restarted first.",
            "restarted",
        ),
    };
    let good = |container| ItemResult::Good {
        container,
        status: done,
        changed: true,
    };
    let all = Results {
        results: vec![good("ffmpeg-kick"), good(EXAMPLE)],
    };
    let some = Results {
        results: vec![
            good("ffmpeg-kick"),
            ItemResult::Bad {
                container: "nowhere",
                error: "Container not found: nowhere".to_owned(),
                code: StatusCode::NOT_FOUND.as_u16(),
            },
        ],
    };
    About::new(id, Tag::Containers, summary, order)
        .reads(Sent::json::<Wanted>(
            "Which of them: names, or `*` for all on which the caller may do it.",
            json!({"containers": ["ffmpeg-kick", EXAMPLE]}),
        ))
        .gives(Answer::ok("All of it went well.").json(&all))
        .gives(
            Answer::new(
                StatusCode::MULTI_STATUS,
                "Something went wrong with one of them at least. Each says what, with the status of an answer to it alone.",
            )
            .json(&some),
        )
}

/// The parameters that say what to wait for after a change.
pub(super) fn waiting(about: About, is_stop: bool) -> About {
    let states = if is_stop {
        json!({"enum": ["exited"]})
    } else {
        json!({"enum": ["healthy", "running", "exited"]})
    };
    about
        .takes(
            Parameter::new(
                "wait",
                "What the container shall be when this is answered.",
                states,
                "exited",
            )
            .or_else("Bad parameter: wait: it is `healthy`, `running` or `exited`"),
        )
        .takes(
            Parameter::new(
                "timeout",
                "How long to wait for that, such as `30s`; at most `10m`. Goes with `wait`.",
                json!({"type": "string", "default": "30s", "pattern": "^[1-9][0-9]{0,2}(ms|s)$|^[1-9]m$|^10m$"}),
                "30s",
            )
            .or_else("Bad parameter: timeout: it is a duration such as `30s` or `2m`, at most `10m`"),
        )
}
