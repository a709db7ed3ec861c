//! The metrics: what is counted, by which labels, and that nobody can make them more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use relayer_controller::api::{Endpoint, ROWS};
use relayer_controller::pretend::Fault;

use crate::gateway::Gateway;
use crate::http::{self, connect};
use crate::stage::{Stage, on_each_engine};

const TWO: &str = "[containers.named]\nallow = [\"status\", \"start\", \"restart\"]\n\
    [containers.other-one]\nallow = [\"status\"]\n";

const GOLDEN: &str = "tests/golden/metrics.txt";

/// One scrape, read as Prometheus reads it.
struct Scrape {
    /// By name: the type and the help.
    families: BTreeMap<String, (String, String)>,
    /// By name and labels, as they are written: `name{key="value"}`.
    samples: BTreeMap<String, f64>,
    text: String,
}

impl Scrape {
    fn of(gateway: &Gateway) -> Self {
        let answer = http::ask(gateway.address, "GET", "/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        Self::read(&answer.body, "")
    }

    /// Reads a text, and insists on its form: each family in one piece, described before its samples. Those of counters
    /// are called as the family is, and then so.
    fn read(text: &str, counter: &str) -> Self {
        let inner = text
            .strip_suffix("# EOF\n")
            .expect("the text ends with its mark");
        let (mut families, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut helps = BTreeMap::new();
        let mut current = String::new();
        for line in inner.lines() {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] => {
                    helps.insert(name.to_owned(), help.to_owned());
                }
                ["#", "TYPE", name, kind] => {
                    let help = helps.remove(name).expect("a help before the type");
                    let known = families.insert(name.to_owned(), (kind.to_owned(), help));
                    assert_eq!(known, None, "{name} in two pieces");
                    name.clone_into(&mut current);
                }
                ["#", "UNIT", name, unit] => assert!(name.ends_with(&format!("_{unit}")), "{line}"),
                _ => {
                    let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
                    let (name, _) = parts(series);
                    let suffixes: &[&str] = match families[&current].0.as_str() {
                        "counter" => &[counter],
                        "gauge" => &[""],
                        "histogram" => &["_bucket", "_sum", "_count"],
                        kind => panic!("{current} is a {kind}"),
                    };
                    assert!(
                        suffixes.contains(&name.strip_prefix(&current).unwrap_or("?")),
                        "{line} in {current}"
                    );
                    let known = samples.insert(series.to_owned(), value.parse().unwrap());
                    assert_eq!(known, None, "{series} twice");
                }
            }
        }
        let text = text.to_owned();
        Self {
            families,
            samples,
            text,
        }
    }

    /// The value of one series of the gateway's own; 0 where there is none yet.
    fn get(&self, series: &str) -> f64 {
        let series = format!("relayer_controller_{series}");
        self.samples.get(&series).copied().unwrap_or_default()
    }

    /// All series of one name, with what follows the name.
    fn all(&self, name: &str) -> Vec<String> {
        let begin = format!("relayer_controller_{name}{{");
        let series = self.samples.iter();
        let series = series.filter(|(series, _)| series.starts_with(&begin));
        series
            .map(|(series, value)| format!("{} {value}", &series[begin.len() - 1..]))
            .collect()
    }

    /// What a deployer can rely on: families with types and helps, and by what each is counted apart.
    fn description(&self) -> String {
        let mut text = String::new();
        for (family, (kind, help)) in &self.families {
            let of_family = |name: &str| name.starts_with(family.as_str());
            let keys: BTreeSet<_> = self
                .samples
                .keys()
                .map(|series| parts(series))
                .filter(|(name, _)| of_family(name))
                .flat_map(|(_, labels)| labels.into_iter().map(|(key, _)| key))
                .filter(|key| key != "le")
                .collect();
            let keys: Vec<_> = keys.into_iter().collect();
            writeln!(text, "{family} ({kind}) by {keys:?}\n    {help}").unwrap();
        }
        text.replace(" by []", "").replace('"', "")
    }
}

/// A series' name, and its labels.
fn parts(series: &str) -> (String, Vec<(String, String)>) {
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), Vec::new());
    };
    let labels = labels.strip_suffix("\"}").expect("labels end");
    let pairs = labels.split("\",").map(|pair| {
        let (key, value) = pair.split_once("=\"").expect("a label has a value");
        (key.to_owned(), value.to_owned())
    });
    (name.to_owned(), pairs.collect())
}

/// Scrapes until this holds.
fn await_scrape(gateway: &Gateway, holds: impl Fn(&Scrape) -> bool) -> Scrape {
    let since = Instant::now();
    loop {
        let scrape = Scrape::of(gateway);
        if holds(&scrape) {
            return scrape;
        }
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "never so: {}",
            scrape.text
        );
    }
}

#[test]
fn requests_are_counted_by_row_and_status() {
    on_each_engine(TWO, |stage| {
        stage.running("named");
        let fresh = "Cache-Control: no-cache\r\n";
        for (method, path, times) in [
            ("GET", "/health", 3),
            ("HEAD", "/health", 1),
            ("BREW", "/health", 2),
            ("GET", "/health?x=1", 1),
            ("GET", "/container/named/status", 2),
            ("GET", "/container/cloaked/status", 1),
            ("GET", "/container/cloaked-too/status", 1),
            ("POST", "/container/named/start", 1),
            ("POST", "/container/other-one/start", 1),
        ] {
            for _ in 0..times {
                http::ask_with(stage.address, method, path, fresh, "");
            }
        }
        for at in 0..200 {
            http::ask(stage.address, "GET", &format!("/random/{at}?{at}=%22%0A"));
            http::ask(stage.address, &format!("METHOD{at}"), &format!("/{at}"));
        }
        let foreign = "Origin: https://evil.example\r\n";
        http::ask_with(
            stage.address,
            "POST",
            "/container/named/restart",
            foreign,
            "",
        );

        let scrape = Scrape::of(stage);
        let expected = [
            r#"{method="GET",route="/container/{name}/status",status="200"} 2"#,
            r#"{method="GET",route="/container/{name}/status",status="404"} 2"#,
            r#"{method="GET",route="/health",status="200"} 3"#,
            r#"{method="GET",route="/health",status="400"} 1"#,
            r#"{method="GET",route="other",status="404"} 200"#,
            r#"{method="HEAD",route="/health",status="200"} 1"#,
            r#"{method="POST",route="/container/{name}/restart",status="403"} 1"#,
            r#"{method="POST",route="/container/{name}/start",status="403"} 1"#,
            r#"{method="POST",route="/container/{name}/start",status="409"} 1"#,
            r#"{method="other",route="/health",status="405"} 2"#,
            r#"{method="other",route="other",status="404"} 200"#,
        ];
        let mut counted = scrape.all("requests_total");
        // Before each test it is asked until it is ready.
        counted.retain(|series| !series.contains("/ready"));
        assert_eq!(counted, expected, "{}", stage.kind);
        let health = r#"method="GET",route="/health""#;
        let count = |name: &str, more: &str| {
            scrape.get(&format!(
                "request_duration_seconds_{name}{{{more}{health}}}"
            ))
        };
        assert!((count("count", "") - 4.0).abs() < f64::EPSILON);
        assert!((count("bucket", r#"le="+Inf","#) - 4.0).abs() < f64::EPSILON);
        assert!(count("sum", "") > 0.0);
        for name in ["named", "other-one", "cloaked", "evil", "random", "METHOD"] {
            assert!(!scrape.text.contains(name), "{name} in {}", scrape.text);
        }
    });
}

#[test]
fn decisions_are_counted_by_principal_verb_and_answer() {
    on_each_engine(TWO, |stage| {
        stage.running("named");
        for (method, path) in [
            ("GET", "/containers"),
            ("GET", "/container/named"),
            ("GET", "/container/named/status"),
            // What has no container is allowed all the same.
            ("GET", "/container/other-one/status"),
            ("GET", "/container/hidden/status"),
            ("GET", "/container/hidden-too"),
            ("POST", "/container/hidden/start"),
            ("POST", "/container/other-one/start"),
            ("POST", "/container/named/restart"),
            // Nothing of these reaches the law.
            ("GET", "/container/-/status"),
            ("POST", "/container/named/status"),
            ("POST", "/container/named/restart?t=1"),
            ("GET", "/whoami"),
        ] {
            http::ask(stage.address, method, path);
        }
        // Whatever way it takes to an answer, it is one question: from the engine, and with more to be read than a path.
        let fresh = "Cache-Control: no-cache\r\n";
        for (headers, path) in [
            (fresh, "/containers"),
            (fresh, "/container/named/status"),
            ("", "/containers?"),
            ("", "/container/named/status?"),
            ("", "/container/n%61med/status"),
        ] {
            let answer = http::ask_with(stage.address, "GET", path, headers, "");
            assert_eq!(answer.status, 200, "{path}");
        }
        let expected = [
            r#"{principal="anonymous",verb="restart",decision="allow"} 1"#,
            r#"{principal="anonymous",verb="start",decision="hidden"} 1"#,
            r#"{principal="anonymous",verb="start",decision="not_granted"} 1"#,
            r#"{principal="anonymous",verb="status",decision="allow"} 9"#,
            r#"{principal="anonymous",verb="status",decision="hidden"} 2"#,
        ];
        assert_eq!(Scrape::of(stage).all("decisions_total"), expected);
    });
}

#[test]
fn calls_to_the_engine_are_counted() {
    on_each_engine(TWO, |stage| {
        let done = |scrape: &Scrape, call: &str| {
            scrape.get(&format!(
                "engine_calls_total{{call=\"{call}\",outcome=\"done\"}}"
            ))
        };
        // So much for the mirror.
        let before = Scrape::of(stage);
        for (call, calls) in [("events", 1.0), ("list", 1.0)] {
            assert!(done(&before, call) >= calls, "{call}");
        }
        stage.container("named");
        stage.check(
            "POST",
            "/container/named/start",
            200,
            r#"{"status":"started","container":"named"}"#,
        );
        stage.post("/container/named/start");
        stage.get("/container/named/status");
        stage.get("/ready");
        let scrape = Scrape::of(stage);
        // The second found it running, which is no error.
        for (call, calls) in [
            ("events", 1.0),
            ("ping", done(&before, "ping") + 1.0),
            ("start", 2.0),
        ] {
            assert!(
                (done(&scrape, call) - calls).abs() < f64::EPSILON,
                "{call} {}",
                stage.kind
            );
        }
        // The mirror lists and looks too.
        for (call, calls) in [("list", 2.0), ("inspect", 3.0)] {
            assert!(done(&scrape, call) >= calls, "{call}");
        }
        let spent = scrape.get(r#"engine_call_duration_seconds_sum{call="start"}"#);
        assert!(spent > 0.0 && spent < 30.0, "{spent}");
        assert!((scrape.get("engine_up") - 1.0).abs() < f64::EPSILON);
    });
}

#[test]
fn an_engine_that_fails_is_counted_by_how() {
    let stage = Stage::pretend(TWO);
    stage.running("named");
    assert_eq!(stage.get("/container/named/status").status, 200);
    let pretend = stage.pretend.as_ref().unwrap();
    for (fault, outcome, is_up) in [
        (Fault::Fail, "refused", 1.0),
        (Fault::NotJson, "garbled", 0.0),
        (Fault::Cut, "unreachable", 0.0),
        (Fault::Stall, "timed_out", 0.0),
    ] {
        pretend.set_fault(Some(fault));
        assert_eq!(stage.get("/container/named/status").status, 500);
        pretend.set_fault(None);
        let scrape = Scrape::of(&stage);
        let series = format!("engine_calls_total{{call=\"inspect\",outcome=\"{outcome}\"}}");
        // The mirror may have met the fault too.
        assert!(scrape.get(&series) >= 1.0, "{series} in {}", scrape.text);
        assert!(
            (scrape.get("engine_up") - is_up).abs() < f64::EPSILON,
            "{outcome}"
        );
    }
    stage.block_on(pretend.go_down());
    assert_eq!(stage.get("/container/named/status").status, 500);
    let down = r#"engine_calls_total{call="inspect",outcome="unreachable"}"#;
    assert!(Scrape::of(&stage).get(down) >= 2.0);
    let stalled = r#"engine_call_duration_seconds_bucket{le="2.5",call="inspect"}"#;
    let all = r#"engine_call_duration_seconds_count{call="inspect"}"#;
    let scrape = Scrape::of(&stage);
    assert!(
        scrape.get(all) - scrape.get(stalled) >= 1.0,
        "{}",
        scrape.text
    );
}

/// An engine that stalls is seen even where every caller hangs up before its time is up.
#[test]
fn calls_that_nobody_waits_for_are_counted() {
    let stage = Stage::pretend(TWO);
    stage.running("named");
    // Not of pings: its mirror may just have the one connection that there is.
    let pretend = stage.pretend.as_ref().unwrap();
    pretend.set_fault_on("/containers/json", Fault::Stall);
    stage.record.take();
    let mut stream = connect(stage.address);
    stream
        .write_all(
            b"GET /container/named/status HTTP/1.1\r\nHost: x\r\nCache-Control: no-cache\r\n\r\n",
        )
        .unwrap();
    let since = Instant::now();
    while stage.record.take().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(2), "never asked");
    }
    drop(stream);
    await_scrape(&stage, |scrape| {
        scrape.get(r#"engine_calls_total{call="list",outcome="abandoned"}"#) >= 1.0
    });
}

#[test]
fn open_connections_are_counted() {
    let stage = Stage::pretend(TWO);
    let connections = |count: f64| {
        move |scrape: &Scrape| (scrape.get("connections") - count).abs() < f64::EPSILON
    };
    // The one that asks is always among them.
    await_scrape(&stage, connections(1.0));
    let idle: Vec<TcpStream> = (0..7).map(|_| connect(stage.address)).collect();
    await_scrape(&stage, connections(8.0));
    drop(idle);
    await_scrape(&stage, connections(1.0));
}

#[test]
fn head_and_parameters() {
    let stage = Stage::pretend(TWO);
    let get = stage.get("/metrics");
    assert_eq!(
        get.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(get.header("cache-control"), "no-store");
    assert_eq!(get.header("content-length"), get.body.len().to_string());
    let head = http::ask(stage.address, "HEAD", "/metrics");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-type"), get.header("content-type"));
    let length: usize = head.header("content-length").parse().unwrap();
    assert!(length > get.body.len(), "one more request was counted");
    stage.check(
        "GET",
        "/metrics?name=x",
        400,
        r#"{"error":"Unknown parameter: name"}"#,
    );
    stage.check("POST", "/metrics", 405, r#"{"error":"Method not allowed"}"#);
}

/// What Prometheus itself sends gets it the newer form, in which the same is said.
#[test]
fn the_newer_form() {
    let stage = Stage::pretend(TWO);
    stage.get("/health");
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n";
    let newer = http::ask_with(stage.address, "GET", "/metrics", accept, "");
    assert_eq!(
        newer.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let (newer, older) = (Scrape::read(&newer.body, "_total"), Scrape::of(&stage));
    let health = r#"requests_total{method="GET",route="/health",status="200"}"#;
    for scrape in [&newer, &older] {
        assert!((scrape.get(health) - 1.0).abs() < f64::EPSILON);
    }
    let whole = |(name, (kind, help)): (&String, &(String, String))| {
        let suffix = if kind == "counter" { "_total" } else { "" };
        (format!("{name}{suffix}"), (kind.clone(), help.clone()))
    };
    let newer: BTreeMap<_, _> = newer.families.iter().map(whole).collect();
    assert!(newer.contains_key("relayer_controller_requests_total"));
    assert!(
        newer
            .iter()
            .all(|family| older.families.get(family.0) == Some(family.1))
    );
}

/// Every family, as a deployer can rely on it: `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn families() {
    let stage = Stage::pretend(TWO);
    for row in ROWS {
        // What happens has no end.
        let is_endless = row.endpoint == Endpoint::Events;
        let method = if is_endless { "HEAD" } else { row.method };
        let path = row.path.replace("{name}", "named");
        http::ask(stage.address, method, &path);
    }
    let scrape = Scrape::of(&stage);
    let said = scrape.description();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &said).unwrap();
    }
    assert_eq!(said, std::fs::read_to_string(GOLDEN).unwrap());

    let version = format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert!((scrape.get(&version) - 1.0).abs() < f64::EPSILON);
    let revision = scrape.all("config_info");
    let digits = revision[0].strip_prefix("{revision=\"").unwrap();
    let digits = digits.strip_suffix("\"} 1").unwrap();
    assert!(digits.len() == 12 && digits.chars().all(|digit| digit.is_ascii_hexdigit()));
    for zero in ["logs", "stats", "events"] {
        let series = format!("relayer_controller_open_streams{{kind=\"{zero}\"}}");
        assert!(scrape.samples[&series].abs() < f64::EPSILON);
    }
    for outcome in ["good", "bad"] {
        let series = format!("relayer_controller_reloads_total{{outcome=\"{outcome}\"}}");
        assert!(scrape.samples[&series].abs() < f64::EPSILON);
    }
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs_f64();
    let age = now - scrape.samples["process_start_time_seconds"];
    assert!((0.0..60.0).contains(&age), "{age}");
}
