//! How much of a log is on its way: readers that pause, lines without an end, engines that fail.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::pretend::Output;
use serde_json::json;

use crate::http;
use crate::logs::{ONE, begin, resident};
use crate::stage::{Stage, on_each_engine};
use crate::stats::until;

/// What an engine says that cannot read a log is told; one that breaks in the middle leaves no answer that looks whole.
#[test]
fn an_engine_that_fails() {
    use relayer_controller::pretend::Fault;
    let stage = Stage::pretend(ONE);
    stage.running("a");
    let pretend = stage.pretend.as_ref().unwrap();
    for (fault, contains) in [
        (Fault::Fail, "told to fail"),
        (Fault::Stall, "no answer"),
        (Fault::Garbage, ""),
    ] {
        pretend.set_fault_on("/logs", fault);
        for follow in ["false", "true"] {
            let answer = stage.get(&format!("/container/a/logs?follow={follow}"));
            assert_eq!(answer.status, 500, "{fault:?}: {answer:?}");
            assert!(answer.body.contains(contains), "{fault:?}: {answer:?}");
        }
    }
    for fault in [Fault::Cut, Fault::NotJson] {
        pretend.set_fault_on("/logs", fault);
        let request = b"GET /container/a/logs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = http::exchange(stage.address, request);
        assert!(!answer.ends_with("0\r\n\r\n"), "{fault:?}: {answer}");
    }
}

/// A reader that stops reading holds the engine back: little is kept for it here. One that leaves is gone at once.
#[test]
fn a_reader_that_stops_reading() {
    let stage = Stage::pretend(ONE);
    stage.running("a");
    let status = "/container/a/status";
    until("in memory", || {
        stage.get_mirrored(status).body == stage.get(status).body
    });
    let pretend = stage.pretend.as_ref().unwrap();
    let text = "0123456789abcdef".repeat(1 << 16) + "\n";
    let full_name = format!("{}a", stage.prefix);
    for _ in 0..64 {
        pretend
            .print(&full_name, Output::Stdout, text.as_bytes())
            .unwrap();
    }
    for parameters in ["tail=all", "tail=all&follow=true"] {
        let mut stream = begin(&stage, parameters, "");
        let before = resident();
        let mut some = [0; 1000];
        stream.read_exact(&mut some).unwrap();
        thread::sleep(Duration::from_millis(500));
        let more = resident().saturating_sub(before);
        assert!(
            more < 16 << 20,
            "{more} bytes more for one who does not read"
        );
        // Others are kept for whoever asks next; this one is read from.
        let open = pretend.connections();
        drop(stream);
        let since = Instant::now();
        while pretend.connections() >= open {
            assert!(
                since.elapsed() < Duration::from_secs(1),
                "the connection to the engine stays open"
            );
        }
    }
}

/// A hundred megabytes without an end of the line, in each form.
#[test]
fn a_line_without_an_end() {
    const LENGTH: usize = 100_000_000;
    on_each_engine(ONE, |stage| {
        let full_name = format!("{}a", stage.prefix);
        let program = "head -c 100000000 /dev/zero | tr '\\0' x";
        let id = stage.engine.create_with(&full_name, program, &json!({}));
        stage.engine.post(&format!("/containers/{id}/start"));
        match &stage.pretend {
            Some(pretend) => pretend
                .print(&full_name, Output::Stdout, &vec![b'x'; LENGTH])
                .unwrap(),
            None => stage.engine.post(&format!("/containers/{id}/wait")),
        }
        for accept in [
            "",
            "Accept: application/x-ndjson\r\n",
            "Accept: text/event-stream\r\n",
        ] {
            let mut stream = begin(stage, "tail=all", accept);
            let before = resident();
            let (mut chunk, mut count, mut most) = (vec![0; 1 << 20], 0, 0);
            loop {
                let length = stream.read(&mut chunk).unwrap();
                if length == 0 {
                    break;
                }
                let text = String::from_utf8_lossy(&chunk[..length]);
                count += text.matches('x').count();
                most = most.max(resident().saturating_sub(before));
            }
            assert!(
                count >= LENGTH,
                "{count} {accept} on the {} engine",
                stage.kind
            );
            assert!(
                most < 16 << 20,
                "{most} bytes more {accept} on the {} engine",
                stage.kind
            );
        }
    });
}
