//! Events on the wire: when they come, who gets them, and how a stream can go wrong.

use std::time::Duration;

use bollard::models::EventMessage;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::ear::Ear;
use super::{A_MOMENT, Client, Fault, pretend, until};

/// Some of what nobody may take for an event, and what nobody may choke on.
const GARBAGE: [&str; 5] = [
    "{\"Type\":\"nosuch\",\"Action\":7}",
    "",
    "}{ \u{1}",
    "{\"status\":\"start\"",
    "null",
];

/// The answer of an engine that works.
const PONG: &str = "200 OK api-version=1.41 ostype=linux docker-experimental=false";

/// The action of the next line, and its date in nanoseconds.
async fn next(ear: &mut Ear) -> (String, u64) {
    let event: Value = serde_json::from_str(&ear.line().await.unwrap().unwrap()).unwrap();
    let date = event["timeNano"].as_u64().unwrap();
    (event["Action"].as_str().unwrap().to_owned(), date)
}

#[tokio::test]
async fn what_happens_by_itself_is_told_when_it_is_due() {
    for (label, value, expected) in [
        ("pretend.exit", "3:150", &["die"][..]),
        ("pretend.oom", "150", &["oom", "die"]),
        ("pretend.health", "healthy:150", &["health_status: healthy"]),
        (
            "pretend.health",
            "unhealthy:150",
            &["health_status: unhealthy"],
        ),
    ] {
        let (_folder, pretend, client) = pretend().await;
        let mut ear = client.listen("").await;
        pretend.add("muxer", &[(label, value)], true).unwrap();
        assert_eq!(next(&mut ear).await.0, "create");
        let (action, started) = next(&mut ear).await;
        assert_eq!(action, "start");
        // Nobody asks the engine anything meanwhile.
        for expected in expected {
            let (action, date) = next(&mut ear).await;
            assert_eq!(action, *expected, "{label}");
            assert_eq!(date - started, 150_000_000, "{label}");
        }
    }
}

#[tokio::test]
async fn a_stop_and_a_program_end_when_they_are_due() {
    let (_folder, pretend, client) = pretend().await;
    let labels = [("pretend.stop-delay", "150")];
    pretend.add("muxer", &labels, true).unwrap();
    let mut ear = client.listen("").await;
    let id = client
        .make(r#"muxer {"Cmd":["sleep","0.1"],"AttachStdout":true}"#)
        .await;
    assert_eq!(next(&mut ear).await.0, "exec_create: sleep 0.1");
    // Who began it leaves at once.
    let line = format!("POST /exec/{id}/start {{}}");
    let request = client.request(&line);
    let stream = UnixStream::connect(&client.socket).await.unwrap();
    stream.writable().await.unwrap();
    assert_eq!(stream.try_write(request.as_bytes()).unwrap(), request.len());
    let (action, began) = next(&mut ear).await;
    assert_eq!(action, "exec_start: sleep 0.1");
    drop(stream);
    let (action, ended) = next(&mut ear).await;
    assert_eq!((action.as_str(), ended - began), ("exec_die", 100_000_000));
    assert_eq!(client.ask("POST /containers/muxer/stop").await, "204");
    let mut dates = Vec::new();
    for expected in ["kill", "die", "stop"] {
        let (action, date) = next(&mut ear).await;
        assert_eq!(action, expected);
        dates.push(date);
    }
    assert_eq!(dates[1] - dates[0], 150_000_000);
}

#[tokio::test]
async fn want_of_memory_shows_until_the_next_end() {
    let (_folder, pretend, client) = pretend().await;
    let mut ear = client.listen("").await;
    pretend
        .add("muxer", &[("pretend.oom", "100")], true)
        .unwrap();
    assert_eq!(
        ear.events_to("die").await.last().unwrap(),
        r#"die {"exitCode":"137","image":"busybox:latest","name":"muxer","pretend.oom":"100"}"#
    );
    let state = async |request: &str| {
        client.ask(request).await;
        let told: Value = client.get("/containers/muxer/json").await;
        let state = &told["State"];
        (state["OOMKilled"] == true, state["Running"] == true)
    };
    assert_eq!(state("GET /_ping").await, (true, false));
    assert_eq!(state("POST /containers/muxer/start").await, (true, true));
    assert_eq!(state("POST /containers/muxer/kill").await, (false, false));
}

#[tokio::test]
async fn a_cut_breaks_off_all_who_listen_in_the_middle_of_a_line() {
    let (_folder, pretend, client) = pretend().await;
    assert_eq!(pretend.event_streams(), 0);
    let mut ears = [client.listen("").await, client.listen("").await];
    assert_eq!(pretend.event_streams(), 2);
    pretend.cut_events();
    for ear in &mut ears {
        let part = ear.line().await.unwrap_err();
        assert!(part.starts_with("{\"status\":"), "{part}");
    }
    until(|| pretend.event_streams() == 0 && pretend.connections() == 0).await;
    let mut ear = client.listen("").await;
    pretend.add("muxer", &[], false).unwrap();
    assert_eq!(next(&mut ear).await.0, "create");
    drop(ear);
    until(|| pretend.event_streams() == 0 && pretend.connections() == 0).await;
}

#[tokio::test]
async fn an_engine_that_goes_down_breaks_off_all_who_listen() {
    let (_folder, pretend, client) = pretend().await;
    let mut ear = client.listen("").await;
    pretend.go_down().await;
    assert_eq!(ear.line().await, Err(String::new()));
    assert_eq!(pretend.event_streams(), 0);
    // As a dockerd that starts anew, it knows nothing of what was before.
    pretend.add("muxer", &[], false).unwrap();
    pretend.come_back().await.unwrap();
    assert_eq!(past(&client).await, Vec::<String>::new());
    let mut ear = client.listen("").await;
    assert_eq!(client.ask("DELETE /containers/muxer").await, "204");
    assert_eq!(next(&mut ear).await.0, "destroy");
}

#[tokio::test]
async fn lines_of_any_kind_can_be_sent() {
    let (_folder, pretend, client) = pretend().await;
    let mut ears = [
        client.listen("").await,
        client.listen("filters={\"type\":[\"image\"]}").await,
    ];
    let huge = "x".repeat(3 << 20);
    for line in GARBAGE.into_iter().chain([huge.as_str()]) {
        pretend.send_event(line);
    }
    for ear in &mut ears {
        for line in GARBAGE.into_iter().chain([huge.as_str()]) {
            assert!(ear.line().await.unwrap().unwrap() == line);
        }
    }
    // Those who come later are not told.
    assert_eq!(past(&client).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_deaf_engine_loses_its_events_for_good() {
    let (_folder, pretend, client) = pretend().await;
    let mut ear = client.listen("").await;
    pretend.set_deaf(true);
    pretend.add("lost", &[], true).unwrap();
    pretend.send_event("lost");
    assert_eq!(client.ask("POST /containers/lost/kill").await, "204");
    pretend.set_deaf(false);
    pretend.add("heard", &[], false).unwrap();
    let heard = r#"create {"image":"busybox:latest","name":"heard"}"#;
    assert_eq!(ear.event().await, heard);
    assert_eq!(past(&client).await, [heard]);
}

#[tokio::test]
async fn who_does_not_read_is_broken_off() {
    let (_folder, pretend, client) = pretend().await;
    let mut ear = client.listen("").await;
    let line = "x".repeat(8 << 20);
    pretend.send_event(&line);
    // More than the socket holds is on its way, so that nothing else is asked for before it is read.
    assert!(ear.read().await);
    for _ in 0..1100 {
        pretend.send_event("y");
    }
    // Not a line of it comes after what was missed.
    while let Ok(told) = ear.line().await {
        assert!(told.unwrap() == line);
    }
    until(|| pretend.event_streams() == 0).await;
}

#[tokio::test]
async fn a_fault_on_events_meets_those_who_come() {
    let (_folder, pretend, client) = pretend().await;
    let mut ear = client.listen("").await;
    for (fault, expected) in [
        (Fault::Fail, "500 the pretend engine was told to fail"),
        (Fault::NotJson, "200 <html>this is no JSON</html>"),
        (Fault::Redirect, "301  location=/elsewhere"),
        (Fault::Cut, r#"200 [{"Id":"4"#),
    ] {
        pretend.set_fault_on("/events", fault);
        for path in ["/events", "/v1.41/events?since=1"] {
            let answer = client.ask(&format!("GET {path}")).await;
            assert_eq!(answer, expected, "{fault:?} {path}");
        }
        assert_eq!(client.ask("GET /_ping").await, PONG);
    }
    for fault in [Fault::Stall, Fault::StallBody] {
        pretend.set_fault_on("/events", fault);
        let asking = client.ask("GET /events?until=1");
        assert!(timeout(A_MOMENT / 4, asking).await.is_err(), "{fault:?}");
    }
    assert_eq!(pretend.event_streams(), 1);
    // Who listened before is not concerned.
    pretend.add("muxer", &[], false).unwrap();
    assert_eq!(next(&mut ear).await.0, "create");
}

/// All that is told of the past, by names and actions.
async fn past(client: &Client) -> Vec<String> {
    let mut ear = client.listen("since=1&until=1.5").await;
    assert_eq!(ear.line().await, Ok(None));
    // The end of time is none where it is its beginning.
    let mut ear = client.listen("until=0").await;
    let mut past = Vec::new();
    while let Some(line) = ear.line().await.unwrap() {
        past.push(super::ear::view(&line));
    }
    past
}

#[tokio::test]
async fn the_past_is_told_as_far_as_it_is_kept() {
    let (_folder, pretend, client) = pretend().await;
    let name = |number: u32| format!("muxer-{number}");
    for number in 0..300 {
        pretend.add(&name(number), &[], false).unwrap();
    }
    let past = past(&client).await;
    let of = |number| {
        format!(
            r#"create {{"image":"busybox:latest","name":"{}"}}"#,
            name(number)
        )
    };
    let expected: Vec<_> = (44..300).map(of).collect();
    assert_eq!(past, expected);
    // After the past comes what happens.
    let mut ear = client.listen("since=0").await;
    pretend.add("last", &[], false).unwrap();
    let all = ear.events_to(r#"create {"image":"busybox:latest","name":"last"}"#);
    assert_eq!(all.await.len(), 257);
}

#[tokio::test]
async fn a_stream_ends_when_it_was_to_end() {
    let (_folder, pretend, client) = pretend().await;
    let begun = pretend.0.engine.with(|_, now| now);
    let end = begun + Duration::from_millis(300);
    let end = end.duration_since(std::time::UNIX_EPOCH).unwrap();
    let query = format!("until={}.{:09}", end.as_secs(), end.subsec_nanos());
    let mut ear = client.listen(&query).await;
    pretend.add("muxer", &[], false).unwrap();
    assert_eq!(next(&mut ear).await.0, "create");
    assert_eq!(ear.line().await, Ok(None));
    let took = pretend.0.engine.with(|_, now| now).duration_since(begun);
    assert!(took.unwrap() >= Duration::from_millis(300));
}

#[tokio::test]
async fn events_have_what_bollard_reads() {
    let (_folder, pretend, client) = pretend().await;
    let mut ear = client.listen("").await;
    let id = pretend.add("muxer", &[("a", "b")], false).unwrap();
    let line = ear.line().await.unwrap().unwrap();
    let event: EventMessage = serde_json::from_str(&line).unwrap();
    let actor = event.actor.unwrap();
    assert_eq!(event.action.as_deref(), Some("create"));
    assert_eq!(actor.id, Some(id));
    assert_eq!(actor.attributes.unwrap()["a"], "b");
}
