//! What becomes of batches: on record, without their callers, when the gateway stops, and after a reload.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use relayer_controller::engine::OwnContainer;
use relayer_controller::pretend::Fault;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::audit::{Trail, records, told};
use crate::batch::{FEW, ask, bad, check, composed, good, labels};
use crate::gateway::Gateway;
use crate::http::{self, connect, parse, read_all};
use crate::program::{Running, with_file};
use crate::running::wait;
use crate::stage::{Stage, on_each_engine};

/// Makes and starts a container of a service that takes a second to stop.
fn slow(stage: &Stage, name: &str, depends_on: &str) -> String {
    let mut labels = labels(stage, name, depends_on);
    labels["pretend.stop-delay"] = json!("1000");
    let program = "trap 'sleep 1; exit 0' TERM; while :; do sleep 1 & wait $!; done";
    let full_name = format!("{}{name}", stage.prefix);
    let id = stage.engine.create_with(&full_name, program, &labels);
    stage.engine.post(&format!("/containers/{id}/start"));
    id
}

/// Asks for a batch and waits until the engine has been told of its first stop.
fn begin(stage: &Stage, address: SocketAddr, containers: &Value) -> TcpStream {
    let body = json!({ "containers": containers }).to_string();
    let length = body.len();
    let mut stream = connect(address);
    let request = format!(
        "POST /containers/stop HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    wait(|| !stage.record.take_changes().is_empty());
    stream
}

/// A caller that hangs up does not end what it began, and a stop of the gateway waits for what has begun.
#[test]
fn a_batch_outlives_its_caller() {
    on_each_engine(FEW, |stage| {
        let ids = [slow(stage, "a", "b"), slow(stage, "b", "")];
        drop(begin(stage, stage.address, &json!(["b", "a"])));
        wait(|| ids.iter().all(|id| stage.engine.state(id) == "exited"));
    });
}

#[test]
fn a_stop_of_the_gateway_begins_nothing_more() {
    on_each_engine(FEW, |stage| {
        let (a, b) = (slow(stage, "a", "b"), slow(stage, "b", "c"));
        composed(stage, "c", "");
        let mut caller = begin(stage, stage.address, &json!(["a", "b", "c"]));
        assert!(stage.stop(), "drained in time");
        let stopping = "Nothing was done: relayer-controller is stopping";
        let results = json!({ "results": [
            good("a", "stopped", true), bad("b", stopping, 503), bad("c", stopping, 503),
        ] });
        let answer = parse(&read_all(&mut caller)).unwrap();
        assert_eq!(
            (answer.status, answer.json()),
            (207, results),
            "{}",
            stage.kind
        );
        assert_eq!(stage.engine.state(&a), "exited");
        assert_eq!(stage.engine.state(&b), "running");
    });
}

/// A request goes by the configuration of its beginning, and so does a batch; the next one goes by the new one.
#[test]
fn a_reload_between() {
    let stage = Stage::pretend(FEW);
    let (_a, b) = (slow(&stage, "a", "b"), slow(&stage, "b", ""));
    let text = |allow: &str| {
        format!(
            "prefix = \"{}\"\n[server]\nlisten = \"127.0.0.1:0\"\n[engine]\nhost = \"{}\"\n\
             [containers.a]\nallow = [\"status\", \"start\", \"stop\"]\n[containers.b]\nallow = [{allow}]\n",
            stage.prefix, stage.host
        )
    };
    let (folder, mut command) = with_file(&text("\"status\", \"start\", \"stop\""));
    let (gateway, address) = Running::start(&mut command);
    let mut caller = begin(&stage, address, &json!(["b", "a"]));
    fs::write(
        folder.path().join("relayer-controller.toml"),
        text("\"status\""),
    )
    .unwrap();
    gateway.signal(Signal::HUP);
    let granted = || http::ask(address, "GET", "/whoami").json()["containers"]["b"].clone();
    wait(|| granted() == json!(["status"]));
    let answer = parse(&read_all(&mut caller)).unwrap();
    let results = json!({ "results": [good("b", "stopped", true), good("a", "stopped", true)] });
    assert_eq!((answer.status, answer.json()), (200, results));
    assert_eq!(stage.engine.state(&b), "exited");
    let body = r#"{"containers":["b"]}"#;
    let answer = http::ask_with(address, "POST", "/containers/start", "", body);
    let forbidden = bad("b", "Forbidden: start is not allowed on b", 403);
    assert_eq!(answer.json(), json!({ "results": [forbidden] }));
}

/// Where there are places for few changes, a batch takes its time, and no item is refused because of the others.
#[test]
fn a_batch_never_stands_in_its_own_way() {
    for changes in [1, 2, 3] {
        let stage = Stage::pretend(FEW);
        let limited = format!("{FEW}[limits]\nchanges = {changes}\n");
        let own = OwnContainer::default();
        let gateway = Gateway::start(&stage.prefix, &stage.host, own, &limited);
        for name in ["a", "b", "c", "d"] {
            stage.container(name);
        }
        for verb in ["start", "restart", "stop"] {
            let answer = ask(&gateway, verb, &json!("*"));
            assert_eq!(answer.status, 200, "{changes}: {answer:?}");
        }
    }
}

/// Batches that nobody waits for are not any number.
#[test]
fn not_any_number_of_batches() {
    let stage = Stage::pretend(FEW);
    stage.running("a");
    stage
        .pretend
        .as_ref()
        .unwrap()
        .set_fault_on("/stop", Fault::Stall);
    let mut first = begin(&stage, stage.address, &json!(["a"]));
    let body = r#"{"containers":["a"]}"#;
    let mut others = Vec::new();
    // One more each time: what asks in between takes a place for a moment, too.
    wait(|| {
        let mut stream = connect(stage.address);
        let request = format!(
            "POST /containers/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        others.push(stream);
        ask(&stage, "stop", &json!(["hidden"])).status == 429
    });
    assert!(others.len() >= 31, "{}", others.len());
    let answer = ask(&stage, "stop", &json!(["hidden"]));
    let error = json!({ "error": "Too many changes are under way: try again later" });
    assert_eq!((answer.json(), answer.header("retry-after")), (error, "1"));
    stage.pretend.as_ref().unwrap().set_fault(None);
    drop(others);
    let answer = parse(&read_all(&mut first)).unwrap();
    assert_eq!(
        answer.status, 207,
        "the engine did not answer in time: {answer:?}"
    );
    wait(|| ask(&stage, "stop", &json!(["hidden"])).status == 207);
}

#[test]
fn every_item_is_on_record() {
    let trail = Trail::new();
    on_each_engine(&trail.tables(""), |stage| {
        stage.running("c0");
        stage.running("c1");
        let answer = ask(stage, "stop", &json!(["c0", "c1", "hidden"]));
        assert_eq!(answer.status, 207, "{answer:?}");
        let mut taken = trail.take();
        for record in &taken {
            assert_eq!(record["request_id"], answer.header("x-request-id"));
        }
        taken.sort_by_key(|record| record["container"].as_str().map(ToOwned::to_owned));
        let expected = json!([
            ["admitted", "stop", "c0", "allow", null, null],
            ["ended", "stop", "c0", "allow", "done", 200],
            ["denied", "stop", "c1", "deny", null, 403],
            ["denied", "stop", "hidden", "deny", null, 404],
        ]);
        assert_eq!(told(&taken), expected, "{}", stage.kind);
    });
    let stage = Stage::pretend(&trail.tables(""));
    composed(&stage, "c0", "c0");
    ask(&stage, "start", &json!(["c0"]));
    let taken = trail.take();
    assert_eq!(
        told(&taken),
        json!([["denied", "start", "c0", "deny", null, 409]])
    );
    assert_eq!(taken[0]["error"], "Dependency cycle: c0 -> c0");
    assert_eq!(records(&trail.path).len(), 0);
}

#[test]
fn an_engine_that_does_not_say_the_order() {
    let stage = Stage::pretend(FEW);
    stage.running("a");
    let pretend = stage.pretend.as_ref().unwrap();
    pretend.set_fault_on("/containers/json", Fault::Fail);
    let why = "Docker error: the pretend engine was told to fail";
    let results = json!([
        bad("a", why, 500),
        bad("hidden", "Container not found: hidden", 404)
    ]);
    check(&stage, "stop", &json!(["a", "hidden"]), 207, &results);
    let answer = ask(&stage, "stop", &json!("*"));
    assert_eq!(
        (answer.status, answer.json()),
        (500, json!({ "error": why }))
    );
    pretend.set_fault(None);
    assert_eq!(stage.record.take_changes(), Vec::<String>::new());
}
