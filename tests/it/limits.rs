//! Limits: connections beyond the most wait, a process without files goes on, a client that does not read is let go.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use relayer_controller::engine::OwnContainer;

use crate::gateway::Gateway;
use crate::http::{connect, parse};
use crate::stage::new_prefix;

const NOWHERE: &str = "unix:///nowhere/docker.sock";
const ONE: &str = "[containers.a]\nallow = [\"status\"]\n";
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_connection_too_many_waits_for_a_place() {
    let lines = "listen = \"127.0.0.1:0\"\nmax_connections = 2\n";
    let gateway = Gateway::start_with(lines, &new_prefix(), NOWHERE, OwnContainer::default(), ONE);
    let mut buffer = [0; 4096];
    let mut status = |stream: &mut std::net::TcpStream| {
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        match stream.read(&mut buffer) {
            Ok(length) => {
                parse(&String::from_utf8_lossy(&buffer[..length]))
                    .unwrap()
                    .status
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                0
            }
        }
    };
    let mut streams: Vec<_> = (0..3).map(|_| connect(gateway.address)).collect();
    for stream in &mut streams {
        stream.write_all(HEALTH).unwrap();
    }
    assert_eq!(
        streams.iter_mut().map(&mut status).collect::<Vec<_>>(),
        [200, 200, 0]
    );
    drop(streams.remove(0));
    let since = Instant::now();
    while status(&mut streams[1]) != 200 {
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "its turn never came"
        );
    }
}

/// A listener that nobody uses keeps no place from the others.
#[test]
fn every_place_can_be_on_one_listener() {
    let lines = "listen = [\"127.0.0.1:0\", \"[::1]:0\"]\nmax_connections = 2\n";
    let gateway = Gateway::start_with(lines, &new_prefix(), NOWHERE, OwnContainer::default(), ONE);
    let _first = connect(gateway.address);
    gateway.check("GET", "/health", 200, r#""ok""#);
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let gateway = Gateway::start(&new_prefix(), NOWHERE, OwnContainer::default(), ONE);
    let mut stream = connect(gateway.address);
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let begun = Instant::now();
    // Answers that nobody takes fill every buffer on the way; then nothing more is read of us, and at last we are let go.
    let requests = HEALTH.repeat(1000);
    let error = loop {
        assert!(begun.elapsed() < Duration::from_secs(20), "still held");
        if let Err(error) = stream.write_all(&requests) {
            break error;
        }
    };
    assert!(
        matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ),
        "{error}"
    );
    gateway.check("GET", "/health", 200, r#""ok""#);
}
