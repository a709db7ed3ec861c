//! The file that is shipped is its own documentation, so it must be right, and say what the defaults are.

use crate::policy::{ContainerName, Verb};
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
    let kick = &config.containers[&"ffmpeg-kick".parse().unwrap()];
    assert_eq!(kick.stop_timeout, Some(std::time::Duration::from_secs(10)));
}

#[test]
fn what_it_shows_in_comments_are_the_defaults() {
    let setting = |line: &str| {
        let rest = line
            .strip_prefix("# ")
            .filter(|rest| rest.contains(" = ") && !rest.starts_with("workers"));
        rest.unwrap_or(line).to_owned()
    };
    let spelled_out: String = SHIPPED.lines().map(|line| setting(line) + "\n").collect();
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
    let listen = vec!["0.0.0.0:8089".parse().unwrap()];
    assert_eq!(
        same.server,
        server::Settings {
            listen,
            ..server::Settings::default()
        }
    );
}
