//! `demo`: the same gateway in front of a pretend engine, for somebody who has no Docker at hand.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::serve::{Ended, until_signalled, with_runtime};
use super::{MISTAKE, NO, complain, report, say};
use crate::app::App;
use crate::audit::Ending;
use crate::config::{self, Config, Environment};
use crate::engine::OwnContainer;
use crate::pretend::Pretend;
use crate::server::{Listen, RequestId};
use crate::telemetry;

/// The containers of the shipped file, with logs, figures and commands besides.
const RULES: &str = include_str!("demo.toml");

/// What every line of the start begins with: nobody shall take this for the real thing.
const MARK: &str = "[demo, pretend engine]";

/// The containers print something, now and then.
const LABELS: [(&str, &str); 1] = [("pretend.print-every", "1000")];

pub(super) fn run(listen: &Listen) -> u8 {
    let folder = match Folder::new() {
        Ok(folder) => folder,
        Err(error) => {
            complain(&format!(
                "cannot make a folder for the pretend engine's socket: {error}"
            ));
            return NO;
        }
    };
    let socket = folder.0.join("docker.sock");
    // Of the environment nothing counts here: a demo looks the same everywhere.
    let settings = [
        ("SERVER__LISTEN", listen.to_string()),
        ("ENGINE__HOST", format!("unix://{}", socket.display())),
        ("LOG__FILTER", "warn".to_owned()),
    ];
    let environment = settings.map(|(key, value)| (format!("RELAYER_CONTROLLER_{key}"), value));
    let config = match config::parse("demo.toml", RULES, &Environment::from_iter(environment)) {
        Ok(config) => config,
        Err(mistakes) => return report(&mistakes),
    };
    let _log = telemetry::start(&config.log);
    with_runtime(config.server.workers, serve(config, socket))
}

async fn serve(config: Config, socket: PathBuf) -> Ended {
    let pretend = match Pretend::serve(&socket).await {
        Ok(pretend) => pretend,
        Err(error) => {
            complain(&format!(
                "the pretend engine cannot listen on {}: {error}",
                socket.display()
            ));
            return (NO, Ending::default());
        }
    };
    for name in config.containers.keys() {
        let full_name = config.policy.prefix().full(name);
        if let Err(error) = pretend.add(full_name.as_str(), &LABELS, true) {
            complain(&format!(
                "the pretend engine has no room for {full_name}: {error}"
            ));
            return (NO, Ending::default());
        }
    }
    let count = config.containers.len();
    let app = match App::bind(config, OwnContainer::default()).await {
        Ok(app) => app,
        Err(error) => {
            complain(&error.to_string());
            complain("`relayer-controller demo --listen 127.0.0.1:PORT` takes another port");
            return (MISTAKE, Ending::default());
        }
    };
    introduce(&app.addresses(), count);
    until_signalled(app, None).await
}

fn introduce(listeners: &[Listen], count: usize) {
    let curl = match listeners.first() {
        Some(Listen::Tcp(address)) => format!("http://{address}"),
        Some(Listen::Unix(path)) => format!("--unix-socket {} http://localhost", path.display()),
        None => return,
    };
    say(&format!(
        "{MARK} this is not Docker: {count} made-up containers, and nothing on this machine is touched"
    ));
    say(&format!(
        "{MARK} everybody may do with them what the verbs in /whoami say; try:"
    ));
    say(&format!("{MARK}   curl {curl}/containers"));
    say(&format!(
        "{MARK}   curl -X POST {curl}/container/ffmpeg-kick/stop"
    ));
    say(&format!("{MARK}   curl {curl}/container/ffmpeg-kick"));
    say(&format!(
        "{MARK}   curl -N '{curl}/container/muxer/logs?follow=true'"
    ));
    say(&format!("{MARK}   curl {curl}/container/muxer/stats"));
    say(&format!(
        "{MARK}   curl -X POST {curl}/container/nginx-rtmp/exec/reload"
    ));
    say(&format!("{MARK} Ctrl-C ends it"));
}

/// A folder that nobody else can enter, removed with everything in it at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path =
            std::env::temp_dir().join(format!("relayer-controller-demo-{}", RequestId::next()));
        // SECURITY: refuses a folder that is there already, which somebody else may have planted.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What the system's own cleaning of temporary files will do otherwise.
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}
