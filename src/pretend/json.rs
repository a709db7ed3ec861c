//! The engine's answers in JSON, with the fields that dockerd has and its clients read.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::container::{Config, Container};
use super::exec::Wish;
use super::health;
use super::program::Program;
use super::refusal::Refusal;
use super::route::{API_VERSION, MIN_API_VERSION};
use super::time::{in_words, rfc3339, unix_seconds};

/// The version that the engine gives as its own.
pub(super) const ENGINE_VERSION: &str = "20.10.24+pretend";
/// The one image that it has: its name, its tag and its id.
const IMAGE: &str = "busybox";
const IMAGE_TAGGED: &str = "busybox:latest";
const IMAGE_ID: &str = "sha256:7065746e6464206f6e6520696d61676520746861742077617320696d61676564";

pub(super) fn version() -> Value {
    json!({
        "Platform": { "Name": "pretend" },
        "Components": [{
            "Name": "Engine",
            "Version": ENGINE_VERSION,
            "Details": {
                "ApiVersion": API_VERSION,
                "Arch": "amd64",
                "Experimental": "false",
                "MinAPIVersion": MIN_API_VERSION,
                "Os": "linux",
            },
        }],
        "Version": ENGINE_VERSION,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": "pretend",
        "GoVersion": "none",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": "pretend",
    })
}

/// A container as `docker inspect` shows it.
pub(super) fn inspect(container: &Container, now: SystemTime) -> Value {
    let (path, arguments) = container
        .config
        .command
        .split_first()
        .map_or(("", [].as_slice()), |(path, rest)| (path, rest));
    json!({
        "Id": container.id,
        "Created": rfc3339(Some(container.created)),
        "Path": path,
        "Args": arguments,
        "State": state(container, now),
        "Image": IMAGE_ID,
        "Name": format!("/{}", container.name),
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": {
            "NetworkMode": "default",
            "RestartPolicy": { "Name": "", "MaximumRetryCount": 0 },
            "AutoRemove": false,
        },
        "Mounts": [],
        "Config": config(container),
        "NetworkSettings": { "Ports": {}, "Networks": {} },
    })
}

fn state(container: &Container, now: SystemTime) -> Value {
    let process = container.process.as_ref();
    let mut state = json!({
        "Status": container.status(),
        "Running": process.is_some(),
        "Paused": container.is_paused(),
        "Restarting": false,
        "OOMKilled": container.oom_killed,
        "Dead": false,
        "Pid": process.map_or(0, |process| process.pid),
        "ExitCode": container.exit_code,
        "Error": "",
        "StartedAt": rfc3339(container.started),
        "FinishedAt": rfc3339(container.finished),
    });
    if let (Some(word), Some(state)) = (health::word(container, now), state.as_object_mut()) {
        let health = json!({ "Status": word, "FailingStreak": 0, "Log": [] });
        state.insert("Health".to_owned(), health);
    }
    state
}

fn config(container: &Container) -> Value {
    let short_id: String = container.id.chars().take(12).collect();
    let mut config = json!({
        "Hostname": short_id,
        "Domainname": "",
        "User": "",
        "Tty": container.config.terminal,
        "Env": null,
        "Cmd": container.config.command,
        "Image": container.config.image,
        "WorkingDir": "",
        "Entrypoint": null,
        "Labels": container.config.labels,
    });
    if let (Some(seconds), Some(config)) = (container.config.stop_timeout, config.as_object_mut()) {
        config.insert("StopTimeout".to_owned(), seconds.into());
    }
    if let (Some(check), Some(config)) = (health::check(container), config.as_object_mut()) {
        config.insert("Healthcheck".to_owned(), check.into());
    }
    config
}

/// A container as `docker ps` shows it.
pub(super) fn summary(container: &Container, now: SystemTime) -> Value {
    json!({
        "Id": container.id,
        "Names": [format!("/{}", container.name)],
        "Image": container.config.image,
        "ImageID": IMAGE_ID,
        "Command": container.config.command.join(" "),
        "Created": unix_seconds(container.created),
        "Ports": [],
        "Labels": container.config.labels,
        "State": container.status(),
        "Status": status_line(container, now),
        "HostConfig": { "NetworkMode": "default" },
        "NetworkSettings": { "Networks": {} },
        "Mounts": [],
    })
}

fn status_line(container: &Container, now: SystemTime) -> String {
    let ago = |date: Option<SystemTime>| {
        let span = date.and_then(|date| now.duration_since(date).ok());
        in_words(span.unwrap_or_default())
    };
    match (&container.process, container.finished) {
        (Some(process), _) if process.paused => format!("Up {} (Paused)", ago(container.started)),
        (Some(_), _) => match health::word(container, now) {
            None => format!("Up {}", ago(container.started)),
            Some("starting") => format!("Up {} (health: starting)", ago(container.started)),
            Some(word) => format!("Up {} ({word})", ago(container.started)),
        },
        (None, None) => "Created".to_owned(),
        (None, finished) => format!("Exited ({}) {} ago", container.exit_code, ago(finished)),
    }
}

/// Reads the body of a create request: the image, the command, the labels, the stop timeout, the health check, and whether
/// it has a terminal.
///
/// All else in it is ignored: what it would set up has no effect on a pretend process. Where the body is no JSON, the
/// status is dockerd's and the words are not.
pub(super) fn read_config(body: &[u8]) -> Result<Config, Refusal> {
    let malformed = |reason: &str| Refusal::new(500, reason);
    // Like dockerd, read the first value and leave alone what follows.
    let value = match serde_json::Deserializer::from_slice(body)
        .into_iter()
        .next()
    {
        None => return Err(malformed("EOF")),
        Some(Err(error)) => return Err(malformed(&error.to_string())),
        Some(Ok(value)) => value,
    };
    let value: Value = value;
    if !value.is_object() && !value.is_null() {
        return Err(malformed(
            "json: cannot unmarshal the body: it is no object",
        ));
    }
    if !has_config(&value) {
        let message = "Config cannot be empty in order to create a container";
        return Err(Refusal::new(400, message));
    }
    let wrong = |key: &str| {
        malformed(&format!(
            "json: cannot unmarshal Go struct field ContainerConfigWrapper.{key}"
        ))
    };
    let config = Config {
        image: read_text(field(&value, "Image")).ok_or_else(|| wrong("Image"))?,
        command: read_command(field(&value, "Cmd")).ok_or_else(|| wrong("Cmd"))?,
        labels: serde_json::from_value::<Option<_>>(field(&value, "Labels").clone())
            .map_err(|_| wrong("Labels"))?
            .unwrap_or_default(),
        stop_timeout: serde_json::from_value(field(&value, "StopTimeout").clone())
            .map_err(|_| wrong("StopTimeout"))?,
        healthcheck: serde_json::from_value(field(&value, "Healthcheck").clone())
            .map_err(|_| wrong("Healthcheck"))?,
        terminal: serde_json::from_value::<Option<_>>(field(&value, "Tty").clone())
            .map_err(|_| wrong("Tty"))?
            .unwrap_or_default(),
    };
    check(config)
}

/// Reads the body of a request to make a program.
pub(super) fn read_wish(body: &[u8]) -> Result<Wish, Refusal> {
    let value = read_body(body)?;
    if !value.is_object() && !value.is_null() {
        let kind = if value.is_array() { "array" } else { "value" };
        let message =
            format!("json: cannot unmarshal {kind} into Go value of type types.ExecConfig");
        return Err(Refusal::new(400, message));
    }
    let wrong = |key: &str, kind: &str| {
        let message = format!(
            "json: cannot unmarshal string into Go struct field ExecConfig.{key} of type {kind}"
        );
        Refusal::new(400, message)
    };
    let words = |key: &str| {
        let words = serde_json::from_value::<Option<Vec<String>>>(field(&value, key).clone());
        words
            .map(Option::unwrap_or_default)
            .map_err(|_| wrong(key, "[]string"))
    };
    let text = |key: &str| read_text(field(&value, key)).ok_or_else(|| wrong(key, "string"));
    let flag = |key: &str| field(&value, key).as_bool().unwrap_or_default();
    if flag("AttachStdin") || flag("Tty") {
        let message = "the pretend engine gives no program an input or a terminal";
        return Err(Refusal::new(501, message));
    }
    Ok(Wish {
        program: Program {
            argv: words("Cmd")?,
            env: words("Env")?,
            user: text("User")?,
            workdir: text("WorkingDir")?,
            has_shell: true,
        },
        stdout: flag("AttachStdout"),
        stderr: flag("AttachStderr"),
        privileged: flag("Privileged"),
    })
}

/// Reads the body of a request to start a program: only in the foreground and without a terminal.
pub(super) fn read_start(body: &[u8]) -> Result<(), Refusal> {
    let value = read_body(body)?;
    let is_on = |key: &str| field(&value, key) == &Value::Bool(true);
    if is_on("Detach") || is_on("Tty") {
        let message = "the pretend engine starts nothing detached or with a terminal";
        return Err(Refusal::new(501, message));
    }
    Ok(())
}

fn read_body(body: &[u8]) -> Result<Value, Refusal> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter();
    match values.next() {
        None => Err(Refusal::new(400, "got EOF while reading request body")),
        Some(Err(_)) => {
            let first = String::from_utf8_lossy(body)
                .chars()
                .next()
                .unwrap_or_default();
            let message = format!("invalid character '{first}' looking for beginning of value");
            Err(Refusal::new(400, message))
        }
        Some(Ok(value)) => Ok(value),
    }
}

/// Whether anything in the body is about the container itself and not its host or network.
fn has_config(body: &Value) -> bool {
    let around = ["HostConfig", "NetworkingConfig"];
    body.as_object().is_some_and(|object| {
        object
            .keys()
            .any(|key| !around.iter().any(|other| key.eq_ignore_ascii_case(other)))
    })
}

/// The value of a key, whatever its case, as Go's decoder finds it; null if there is none.
fn field<'a>(body: &'a Value, name: &str) -> &'a Value {
    body.as_object()
        .and_then(|object| {
            object
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
        })
        .map_or(&Value::Null, |(_, value)| value)
}

fn read_text(value: &Value) -> Option<String> {
    if value.is_null() {
        return Some(String::new());
    }
    value.as_str().map(str::to_owned)
}

/// A list of words, or one word alone.
fn read_command(value: &Value) -> Option<Vec<String>> {
    if let Some(word) = value.as_str() {
        return Some(vec![word.to_owned()]);
    }
    serde_json::from_value::<Option<_>>(value.clone())
        .ok()
        .map(Option::unwrap_or_default)
}

fn check(config: Config) -> Result<Config, Refusal> {
    let image = config.image.as_str();
    if !["", IMAGE, IMAGE_TAGGED, IMAGE_ID].contains(&image) {
        let tag = if image.contains(':') { "" } else { ":latest" };
        return Err(Refusal::new(404, format!("No such image: {image}{tag}")));
    }
    if config.command.is_empty() {
        return Err(Refusal::new(400, "No command specified"));
    }
    Ok(config)
}
