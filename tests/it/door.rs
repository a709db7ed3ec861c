//! The door: credentials of every kind, failures that are slowed, and a record of everybody who is turned away.

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown};
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::authn::TokenHash;
use relayer_controller::engine::OwnContainer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::audit::{Trail, records, said};
use crate::authority::{self, Authority};
use crate::gateway::Gateway;
use crate::http;
use crate::running::wait;
use crate::stage::new_prefix;

const NOWHERE: &str = "unix:///nowhere/docker.sock";
const RIGHT: &str = "Authorization: Bearer the-right-token\r\n";
const WRONG: &str = "Authorization: Bearer a-wrong-token\r\n";

/// One principal who sees everything, by this credential.
fn principal(name: &str, credential: &str) -> String {
    format!(
        "[roles.viewer]\nallow = [\"status\"]\n[principals.{name}]\n{credential}\nroles = [\"viewer\"]\n"
    )
}

fn by_token() -> String {
    let hash = TokenHash::of("the-right-token").written();
    principal("bot", &format!("token = \"{hash}\""))
}

/// Ten wrong ones pass undelayed; then each answer is held. A right one from there passes in between, and other addresses
/// notice nothing.
#[test]
fn wrong_credentials_are_slowed() {
    let tables = format!("[containers.a]\nallow = [\"status\"]\n{}", by_token());
    let gateway = Gateway::start(&new_prefix(), NOWHERE, OwnContainer::default(), &tables);
    let (guesser, other) = (Ipv4Addr::new(127, 0, 0, 7), Ipv4Addr::new(127, 0, 0, 8));
    let address = gateway.address;
    let ask = |from, headers| http::ask_from(from, address, "GET", "/whoami", headers);
    let held = |from| {
        let begun = Instant::now();
        assert_eq!(ask(from, WRONG).status, 401);
        begun.elapsed() >= Duration::from_secs(1)
    };
    // They come back one by one a second, so a slow machine may have more than ten.
    let undelayed = (0..100).take_while(|_| !held(guesser)).count();
    assert!((10..50).contains(&undelayed), "{undelayed}");
    let crowd: Vec<_> = (0..40)
        .map(|_| thread::spawn(move || http::ask_from(guesser, address, "GET", "/whoami", WRONG)))
        .collect();
    let begun = Instant::now();
    assert_eq!(ask(guesser, RIGHT).status, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "a guesser shuts the others out"
    );
    for one in crowd {
        assert_eq!(one.join().unwrap().status, 401);
    }
    assert!(!held(other));
    // Whoever shows nothing cannot guess, and is not slowed.
    assert_eq!(ask(guesser, "").status, 401);
}

/// Whoever hangs up before the answer is on record all the same.
#[test]
fn a_guesser_who_hangs_up_is_on_record() {
    const GUESSES: usize = 30;
    let trail = Trail::new();
    let tables = trail.tables("") + &by_token();
    let gateway = Gateway::start(&new_prefix(), NOWHERE, OwnContainer::default(), &tables);
    let request = format!("GET /whoami HTTP/1.1\r\nHost: x\r\n{WRONG}\r\n");
    for guess in 0..GUESSES {
        let mut stream = http::connect(gateway.address);
        stream.write_all(request.as_bytes()).unwrap();
        // Some hang up at once: the gateway may hear of it together with what they ask.
        if guess % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        // Waits for the record, not for the answer.
        wait(|| records(&trail.path).len() > guess);
    }
    assert_eq!(records(&trail.path).len(), GUESSES);
}

/// Who is turned away before the law is asked is on record too, and why.
#[test]
fn whoever_is_turned_away_is_on_record() {
    let trail = Trail::new();
    let anonymous = "[principals.anonymous]\nroles = [\"viewer\"]\n";
    let tables = trail.tables("") + &by_token() + anonymous;
    let gateway = Gateway::start(&new_prefix(), NOWHERE, OwnContainer::default(), &tables);
    let cases: [(&str, &str, &str, Value); 7] = [
        (
            "GET",
            "/container/c0/status",
            WRONG,
            json!([
                "denied",
                null,
                "status",
                "c0",
                "deny",
                401,
                "a token that no principal has"
            ]),
        ),
        (
            "POST",
            "/container/c%30/stop",
            "Authorization: Digest x\r\n",
            json!([
                "denied",
                null,
                "stop",
                "c0",
                "deny",
                401,
                "neither Bearer nor Basic credentials"
            ]),
        ),
        (
            "GET",
            "/whoami",
            // viewer:the-right-token
            "Authorization: Basic dmlld2VyOnRoZS1yaWdodC10b2tlbg==\r\n",
            json!([
                "denied",
                null,
                null,
                null,
                "deny",
                401,
                "the token of bot with another user name"
            ]),
        ),
        (
            "POST",
            "/container/c0/start",
            "Origin: https://evil.example\r\n",
            json!([
                "denied",
                null,
                "start",
                "c0",
                "deny",
                403,
                "Forbidden: a page of another site cannot change anything"
            ]),
        ),
        (
            "GET",
            "/metrics",
            RIGHT,
            json!(["denied", "bot", "metrics", null, "deny", 403, null]),
        ),
        (
            "GET",
            "/container/x%0a%7b/status",
            WRONG,
            json!([
                "denied",
                null,
                "status",
                "x\n{",
                "deny",
                401,
                "a token that no principal has"
            ]),
        ),
        (
            "POST",
            "/container/..%2Fc0/stop",
            RIGHT,
            json!([
                "denied",
                "bot",
                "stop",
                "../c0",
                "deny",
                404,
                "no name of a container"
            ]),
        ),
    ];
    for (method, path, headers, expected) in cases {
        let answer = http::ask_with(gateway.address, method, path, headers, "");
        let records = trail.take();
        let keys = [
            "event",
            "principal",
            "verb",
            "container",
            "decision",
            "status",
            "error",
        ];
        let [record] = &records[..] else {
            panic!("{path}: {records:?}")
        };
        assert_eq!(said(record, &keys), expected, "{path}");
        assert_eq!(
            record["request_id"],
            answer.header("x-request-id"),
            "{path}"
        );
        assert!(
            record["peer"].as_str().unwrap().starts_with("127.0.0.1:"),
            "{path}"
        );
    }
    let answer = http::exchange(
        gateway.address,
        b"GET /containers HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let records = trail.take();
    let said = said(&records[0], &["principal", "status", "error"]);
    let why = "Forbidden: the host evil.example is not listed in server.hosts of the configuration";
    assert_eq!(said, json!(["anonymous", 403, why]));
}

/// A verified certificate is a credential: its names tell who comes. A token counts before it.
#[test]
fn known_by_a_certificate() {
    let (ours, folder) = (Authority::new("ours"), TempDir::new().unwrap());
    let (certificate, key) = ours.issue(&["localhost"]).write(folder.path(), "server");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, ours.pem()).unwrap();
    let lines = format!(
        "listen = \"127.0.0.1:0\"\n[server.tls]\ncertificate = {certificate:?}\nkey = {key:?}\nclient_ca = {ca:?}\n\
         client_auth = \"optional\"\n"
    );
    let token = TokenHash::of("the-right-token").written();
    let more = format!("[principals.other]\ntoken = \"{token}\"\nroles = [\"viewer\"]\n");
    let names = "certificate = [\"bot.example.org\", \"screen (common)\"]";
    let tables = format!(
        "[containers.a]\nallow = [\"status\"]\n{}{more}",
        principal("bot", names)
    );
    let own = OwnContainer::default();
    let gateway = Gateway::start_with(&lines, &new_prefix(), NOWHERE, own, &tables);
    let who = |shown: Option<&[&str]>, headers: &str| {
        let issued = shown.map(|names| ours.issue(names));
        let client = ours.client(issued.as_ref());
        let answer = authority::ask_with(gateway.address, &client, "/whoami", headers).unwrap();
        let answer = http::parse(&answer).unwrap();
        let principal = answer.json()["principal"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (answer.status, principal)
    };
    let bot = (200, "bot".to_owned());
    assert_eq!(who(Some(&["bot.example.org"]), ""), bot);
    assert_eq!(who(Some(&["else", "bot.example.org"]), ""), bot);
    assert_eq!(who(Some(&["screen"]), ""), bot);
    assert_eq!(who(Some(&["stranger.example.org"]), "").0, 401);
    assert_eq!(who(None, "").0, 401);
    assert_eq!(
        who(Some(&["bot.example.org"]), RIGHT),
        (200, "other".to_owned())
    );
    assert_eq!(who(Some(&["bot.example.org"]), WRONG).0, 401);
}
