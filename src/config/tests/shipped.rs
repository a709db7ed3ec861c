//! The file that is shipped is its own documentation, so it must be right, and say what the defaults are.

use crate::limits;
use crate::policy::{ContainerName, Decision, Verb};
use crate::server;

const SHIPPED: &str = include_str!("../../../relayer-controller.toml");

#[test]
fn it_manages_five_containers() {
    let config = super::read(SHIPPED, &[]).unwrap();
    let names: Vec<&str> = config
        .containers
        .keys()
        .map(ContainerName::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "ffmpeg-cam-dev",
            "ffmpeg-kick",
            "ffmpeg-offline",
            "muxer",
            "nginx-rtmp"
        ]
    );
    let anonymous = crate::policy::Principal::anonymous();
    let verbs = [Verb::Status, Verb::Start, Verb::Stop, Verb::Restart];
    for (name, granted) in config.policy.visible(&anonymous) {
        assert_eq!(granted.iter().collect::<Vec<_>>(), verbs, "{name}");
    }
    assert_eq!(config.policy.visible(&anonymous).count(), 5);
    let kick = &config.containers["ffmpeg-kick"];
    assert_eq!(kick.stop_timeout, Some(std::time::Duration::from_secs(10)));
}

/// What is none unless it is said, or depends on the machine; the file shows an example.
const WITHOUT_DEFAULT: [&str; 7] = [
    "workers",
    "hosts",
    "cors",
    "per_principal",
    "per_address",
    "connections_per_address",
    "cooldown",
];

/// The file with what it shows in comments, but for these keys.
fn spelled_out(except: &[&str]) -> String {
    let setting = |line: &str| {
        let rest = line.strip_prefix("# ").filter(|rest| {
            let key = rest.split_once(" = ").map(|(key, _)| key);
            let is_key = |key: &str| key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            key.is_some_and(|key| is_key(key) && !except.contains(&key))
        });
        rest.unwrap_or(line).to_owned()
    };
    SHIPPED.lines().map(|line| setting(line) + "\n").collect()
}

#[test]
fn what_it_shows_in_comments_is_right() {
    let config = super::read(&spelled_out(&[]), &[]).unwrap();
    let browsers = &config.browsers;
    assert_eq!((browsers.hosts.len(), browsers.origins.len()), (1, 1));
    let (limits, kick) = (&config.limits, "ffmpeg-kick");
    assert!(limits.per_principal.is_some() && limits.per_address.is_some());
    assert_eq!(config.server.connections_per_address, Some(256));
    let cooldown = Some(std::time::Duration::from_secs(2));
    assert_eq!(config.containers[kick].cooldown, cooldown);
}

#[test]
fn what_it_shows_in_comments_are_the_defaults() {
    let spelled_out = spelled_out(&WITHOUT_DEFAULT);
    assert!(
        spelled_out.contains("\nmax_connections = "),
        "{spelled_out}"
    );
    let (config, same) = (
        super::read(SHIPPED, &[]).unwrap(),
        super::read(&spelled_out, &[]).unwrap(),
    );
    assert_eq!(config.policy.prefix(), same.policy.prefix());
    assert!(config.audit.output.is_none() && config.audit.required);
    assert!(same.audit.output.is_some() && same.audit.required);
    assert_eq!(
        (config.server, config.engine, config.log),
        (same.server.clone(), same.engine, same.log)
    );
    assert_eq!(config.limits, same.limits);
    assert_eq!(same.limits, limits::Settings::default());
    let listen = vec!["0.0.0.0:8089".parse().unwrap()];
    assert_eq!(
        same.server,
        server::Settings {
            listen,
            ..server::Settings::default()
        }
    );
}

#[test]
fn its_examples_are_right_too() {
    let example = |line: &str| {
        let rest = line.strip_prefix('#').filter(|rest| {
            rest.starts_with(|c: char| c == '[' || c == ']' || c.is_alphabetic())
                || rest.starts_with("    ")
        });
        rest.unwrap_or(line).to_owned() + "\n"
    };
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    std::fs::write(&secret, "0123456789abcdef\n").unwrap();
    let text: String = SHIPPED.lines().map(example).collect();
    // A command needs the verb.
    let text = text
        .replace("\"restart\"]", "\"restart\", \"exec\"]")
        .replace(
            "# host = \"unix:///var/run/docker.sock\"",
            "host = \"tcp://engine\"",
        )
        .replace("/run/secrets/prometheus-token", secret.to_str().unwrap());
    let config = super::read(&text, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let kick = &config.containers["ffmpeg-kick"];
    let probe = &kick.commands[&"probe".parse().unwrap()];
    let values = [("url".to_owned(), "rtmp://a/live".into())].into();
    let run = probe.filled(&values).unwrap();
    assert_eq!(run.argv, ["ffprobe", "-hide_banner", "rtmp://a/live"]);
    assert_eq!(run.env, ["LANG=C"]);
    let clients = config.server.tls.unwrap().clients;
    assert_eq!(clients.unwrap().auth, server::ClientAuth::Required);
    assert!(config.engine.tls.unwrap().client.is_some());
    let who: Vec<_> = config
        .policy
        .principals()
        .map(ToString::to_string)
        .collect();
    assert_eq!(who, ["anonymous", "prometheus", "stream-bot"]);
    let bot = "stream-bot".parse().unwrap();
    let may = |verb, name: &str| {
        let decision = config.policy.decide(&bot, verb, &name.parse().unwrap());
        matches!(decision, Decision::Allow { .. })
    };
    assert!(may(Verb::Stop, "ffmpeg-kick") && !may(Verb::Stop, "muxer"));
}
