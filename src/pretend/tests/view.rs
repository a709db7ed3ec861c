//! An answer in one line, with what has to be the same on every engine.

use serde_json::Value;

/// An answer in one line: what has to be the same on every engine.
pub(super) fn view(answer: &[u8]) -> String {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("no status");
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let body = if header("transfer-encoding") == Some("chunked") {
        unchunk(body)
    } else {
        body.to_owned()
    };
    let shown = match serde_json::from_str(&body) {
        Ok(value) if header("content-type") == Some("application/json") => view_json(&value),
        _ => body.trim_end().to_owned(),
    };
    let notes = ["api-version", "ostype", "docker-experimental", "location"]
        .iter()
        .filter(|name| shown == "OK" || **name == "location")
        .filter_map(|name| header(name).map(|value| format!(" {name}={value}")));
    let notes: String = notes.collect();
    format!("{status} {shown}{notes}").trim_end().to_owned()
}

fn view_json(value: &Value) -> String {
    if let Some(list) = value.as_array() {
        let one = |container: &Value| {
            let word = container["Status"]
                .as_str()
                .unwrap()
                .split([' ', '('])
                .next();
            format!(
                "{} {} {}",
                container["Names"][0],
                container["State"],
                word.unwrap()
            )
        };
        return list.iter().map(one).collect::<Vec<_>>().join(", ");
    }
    if let Some(message) = value["message"].as_str() {
        return without_ids(message);
    }
    if value["Warnings"].is_array() {
        assert_eq!(value["Id"].as_str().unwrap().len(), 64);
        return "created".to_owned();
    }
    let state = &value["State"];
    let ever = |key: &str| state[key] != "0001-01-01T00:00:00Z";
    format!(
        "{} {} running={} paused={} pid={} exit={} started={} finished={} config={} cmd={}",
        value["Name"],
        state["Status"],
        state["Running"],
        state["Paused"],
        state["Pid"] != 0,
        state["ExitCode"],
        ever("StartedAt"),
        ever("FinishedAt"),
        value["Config"]["Image"],
        value["Path"],
    )
}

fn without_ids(text: &str) -> String {
    let words = text.split_inclusive(|letter: char| !letter.is_ascii_hexdigit());
    let word = |word: &str| {
        let end = word.trim_start_matches(|letter: char| letter.is_ascii_hexdigit());
        if word.len() - end.len() == 64 {
            format!("ID{end}")
        } else {
            word.to_owned()
        }
    };
    words.map(word).collect()
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        let (chunk, after) = rest.split_at(length);
        whole.push_str(chunk);
        body = after.trim_start();
    }
    whole
}
