//! Figures that go on: their forms, who shares them, and what they outlive.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use relayer_controller::authn::TokenHash;
use relayer_controller::engine::OwnContainer;
use relayer_controller::pretend::Pretend;
use tempfile::TempDir;

use crate::gateway::Gateway;
use crate::stage::{Stage, on_each_engine};
use crate::stats::{A_WHILE, EVENTS, NDJSON, TABLES, Watcher, busy, until};

#[test]
fn a_stream_has_the_form_that_is_asked_for() {
    on_each_engine(TABLES, |stage| {
        busy(stage, "a");
        for accept in [EVENTS, NDJSON] {
            let mut watcher = Watcher::new(stage.address, "a", accept, None);
            let head = watcher.head.to_lowercase();
            assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
            assert!(
                head.contains(&format!("content-type: {accept}\r\n")),
                "{head}"
            );
            let times: Vec<_> = (0..2)
                .map(|_| watcher.next().unwrap()["time"].clone())
                .collect();
            assert_ne!(times[0], times[1]);
            let mut byte = [0];
            watcher.stream.read_exact(&mut byte).unwrap();
        }
    });
}

#[test]
fn all_who_watch_share_one_stream() {
    on_each_engine(TABLES, |stage| {
        busy(stage, "a");
        stage.record.take();
        let mut watchers: Vec<_> = (0..20)
            .map(|n| {
                Watcher::new(
                    stage.address,
                    "a",
                    if n % 2 == 0 { EVENTS } else { NDJSON },
                    None,
                )
            })
            .collect();
        // One that does not read holds nobody up.
        let mut idle = watchers.pop().unwrap();
        for _ in 0..3 {
            for watcher in &mut watchers {
                assert_eq!(watcher.next().unwrap()["container"], "a");
            }
        }
        let streams = || {
            let asked = stage.record.take().into_iter();
            asked.filter(|line| line.contains("stream=true")).count()
        };
        assert_eq!(streams(), 1, "{}", stage.kind);
        assert!(idle.next().is_some());
        watchers.truncate(1);
        assert!(watchers[0].next().is_some());
        let gauge = |count: usize| {
            let line = format!("open_streams{{kind=\"stats\"}} {count}\n");
            until(&line, || stage.get("/metrics").body.contains(&line));
        };
        gauge(2);
        assert_eq!(streams(), 0, "{}", stage.kind);
        // Others are kept for whoever asks next; this one is read from.
        let open = stage.pretend.as_ref().map(Pretend::connections);
        drop((watchers, idle));
        gauge(0);
        if let (Some(pretend), Some(open)) = (&stage.pretend, open) {
            until("closed", || pretend.connections() < open);
        }
        // The next who comes opens another.
        let mut again = Watcher::new(stage.address, "a", NDJSON, None);
        assert!(again.next().is_some());
        assert_eq!(streams(), 1, "{}", stage.kind);
    });
}

#[test]
fn a_stream_outlives_its_container() {
    on_each_engine(TABLES, |stage| {
        let id = stage.container("a");
        let full_name = format!("{}a", stage.prefix);
        let mut watcher = Watcher::new(stage.address, "a", EVENTS, None);
        for _ in 0..2 {
            stage.engine.post(&format!("/containers/{id}/start"));
            watcher.next().unwrap();
            stage.engine.post(&format!("/containers/{id}/stop?t=0"));
        }
        stage.engine.post(&format!("/containers/{id}/start"));
        watcher.next().unwrap();
        stage.engine.post(&format!("/containers/{id}/restart?t=0"));
        // What was under way may still come.
        for _ in 0..3 {
            let stats = watcher.next().unwrap();
            assert!(
                (0.0..125.0).contains(&stats["cpu_percent"].as_f64().unwrap()),
                "{stats}"
            );
        }
        // Another takes the name over while it goes on running under another.
        stage.record.take();
        stage
            .engine
            .post(&format!("/containers/{id}/rename?name={full_name}-old"));
        let other = stage.running("a");
        let theirs = format!("/containers/{other}/stats?stream=true");
        let since = Instant::now();
        while !stage
            .record
            .take()
            .iter()
            .any(|line| line.ends_with(&theirs))
        {
            watcher.next().unwrap();
            assert!(since.elapsed() < Duration::from_secs(20), "{}", stage.kind);
        }
        watcher.next().unwrap();
        stage.engine.remove(&other);
        stage.engine.remove(&id);
        let since = Instant::now();
        while watcher.next().is_some() {}
        assert!(since.elapsed() > Duration::from_secs(5), "it may come back");
        assert_eq!(stage.get("/container/a/stats").status, 404);
    });
}

/// An engine that goes away ends no stream, and a gateway that stops ends all.
#[test]
fn a_stream_outlives_the_engine_and_not_the_gateway() {
    let mut stage = Stage::pretend(TABLES);
    busy(&stage, "a");
    let mut watcher = Watcher::new(stage.address, "a", NDJSON, None);
    watcher.next().unwrap();
    let pretend = stage.pretend.clone().unwrap();
    stage.block_on(pretend.go_down());
    stage.block_on(pretend.come_back()).unwrap();
    for _ in 0..3 {
        watcher.next().unwrap();
    }
    assert!(stage.stop());
    while watcher.next().is_some() {}
}

/// What is shown by a token ends when the token does, and not when it is looked at again.
#[test]
fn a_stream_ends_with_its_token() {
    let expires = SystemTime::now() + Duration::from_secs(3);
    let tables = format!(
        "{TABLES}[roles.viewer]\nallow = [\"stats\"]\n[principals.viewer]\nroles = [\"viewer\"]\n\
         token = {{ hash = \"{}\", expires = \"{}\" }}\n",
        TokenHash::of("secret").written(),
        humantime::format_rfc3339_millis(expires),
    );
    let stage = Stage::pretend(&tables);
    busy(&stage, "a");
    let mut watcher = Watcher::new(stage.address, "a", NDJSON, Some("secret"));
    while watcher.next().is_some() {
        let late = SystemTime::now().duration_since(expires);
        assert!(late.unwrap_or_default() < Duration::from_secs(3));
    }
    assert!(
        SystemTime::now() >= expires - Duration::from_millis(1),
        "early"
    );
}

/// Until API 1.41 the engine could only look twice, and wait in between.
#[test]
fn an_engine_that_knows_no_single_look() {
    on_each_engine(TABLES, |stage| {
        busy(stage, "a");
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("old.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let engine = stage.host.strip_prefix("unix://").unwrap().to_owned();
        thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                age(client, Path::new(&engine));
            }
        });
        let host = format!("unix://{}", socket.display());
        let gateway = Gateway::start(&stage.prefix, &host, OwnContainer::default(), TABLES);
        for _ in 0..2 {
            thread::sleep(A_WHILE);
            let answer = gateway.get("/container/a/stats");
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(
                answer.json()["cpu_percent"].as_f64().unwrap() > 5.0,
                "{answer:?}"
            );
        }
        let asked = stage.record.take();
        let looks: Vec<_> = asked
            .iter()
            .filter(|line| line.contains("/stats?"))
            .collect();
        assert_eq!(looks.len(), 2, "{looks:?}");
        assert!(
            looks.iter().all(|line| line.contains("/v1.40/")),
            "{looks:?}"
        );
    });
}

/// Lets a client of API 1.41 speak 1.40.
fn age(client: UnixStream, engine: &Path) {
    let engine = UnixStream::connect(engine).unwrap();
    let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client);
    let (mut from_engine, mut to_engine) = (engine.try_clone().unwrap(), engine);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from_client.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..count]).replace("/v1.41/", "/v1.40/");
            if to_engine.write_all(text.as_bytes()).is_err() {
                break;
            }
        }
        let _closed = to_engine.shutdown(std::net::Shutdown::Both);
    });
    thread::spawn(move || std::io::copy(&mut from_engine, &mut to_client));
}
