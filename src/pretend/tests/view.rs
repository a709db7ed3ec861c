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

/// What a program prints, out of the engine's frames: each with the number of its stream.
pub(super) fn printed(answer: &[u8]) -> String {
    let end = b"\r\n\r\n";
    let head_ends = answer
        .windows(end.len())
        .position(|four| four == end)
        .unwrap()
        + end.len();
    let (head, body) = answer.split_at(head_ends);
    let head = String::from_utf8_lossy(head).to_lowercase();
    if !head.starts_with("http/1.1 200") {
        return view(answer);
    }
    assert!(
        head.contains("content-type: application/vnd.docker.raw-stream"),
        "{head}"
    );
    let body = if head.contains("transfer-encoding: chunked") {
        unchunked(body)
    } else {
        body.to_vec()
    };
    let (mut pieces, mut rest) = (Vec::new(), body.as_slice());
    while let Some((header, after)) = rest.split_first_chunk::<8>() {
        let [stream, 0, 0, 0, length @ ..] = header else {
            panic!("{body:?}")
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        let (piece, after) = after.split_at(length);
        pieces.push(format!("{stream}:{:?}", String::from_utf8_lossy(piece)));
        rest = after;
    }
    assert_eq!(rest, b"");
    pieces.join(" ")
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
    if let Some(processes) = value["Processes"].as_array() {
        let words = processes.iter().map(|row| row[7].as_str().unwrap());
        return format!(
            "{} {}",
            value["Titles"],
            words.collect::<Vec<_>>().join(", ")
        );
    }
    if value["Id"].is_string() && value["State"].is_null() {
        assert_eq!(value["Id"].as_str().unwrap().len(), 64);
        return "created".to_owned();
    }
    if value["read"].is_string() {
        return view_stats(value);
    }
    let state = &value["State"];
    let health = state.get("Health").map_or_else(String::new, |health| {
        let test = &value["Config"]["Healthcheck"]["Test"];
        format!(" health={} check={test}", health["Status"])
    });
    let ever = |key: &str| state[key] != "0001-01-01T00:00:00Z";
    format!(
        "{} {} running={} paused={} pid={} exit={} started={} finished={} config={} cmd={}{health}",
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

/// What an account of a container has in it. The kernel decides how much it tells of memory and disks, and the engine
/// of the test may have no network.
fn view_stats(value: &Value) -> String {
    let ever = |key: &str| value[key] != "0001-01-01T00:00:00Z";
    let keys = |value: &Value| {
        let keys = value.as_object().unwrap().keys().map(String::as_str);
        keys.collect::<Vec<_>>().join(" ")
    };
    let mut plain = value.clone();
    plain.as_object_mut().unwrap().remove("networks");
    let (now, before) = (&value["cpu_stats"], &value["precpu_stats"]);
    let later = |key: &str| now[key].as_u64() > before[key].as_u64();
    format!(
        "{} [{}] read={} preread={} cpu=[{}] usage=[{}] before=[{}] later={} pids=[{}] memory={} blocks=[{}]",
        value["name"],
        keys(&plain),
        ever("read"),
        ever("preread"),
        keys(now),
        keys(&now["cpu_usage"]),
        keys(before),
        later("system_cpu_usage"),
        keys(&value["pids_stats"]),
        value["memory_stats"]["usage"].as_u64() > Some(0),
        keys(&value["blkio_stats"]),
    )
}

/// The text with `ID` for every id.
pub(super) fn without_ids(text: &str) -> String {
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

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(at) = body.windows(2).position(|two| two == b"\r\n") {
        let length = str::from_utf8(&body[..at]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.extend_from_slice(&body[at + 2..at + 2 + length]);
        body = &body[at + 4 + length..];
    }
    whole
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
