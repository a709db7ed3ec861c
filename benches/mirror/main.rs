//! What it costs to read state, beside what else could answer: run `benches/run mirror`, which prepares all that this needs.
//!
//! Four answer the same questions about the same containers, in turn, round by round, so that a machine that grows slower
//! does so for all of them: the gateway; a bare hyper server that sends the gateway's answers and knows nothing else, which
//! is the limit; the engine's own socket; and the original shape of the gateway, `benches/original.py`. Of the first two
//! several processes take turns. The load comes from one thread on the same machine. What is printed is Markdown.
//!
//! With `RELAYER_BENCH_QUICK=1` it takes half a minute instead of some six, up to a hundred containers, and says less.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic,
    reason = "a benchmark that cannot go on has failed"
)]

mod bare;
mod daemon;
mod events;
mod field;
mod load;
mod original;
mod plot;
mod report;
#[path = "../stage/mod.rs"]
mod stage;
mod wire;

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use daemon::Daemon;
use events::Latency;
use field::{Field, Size};
use load::Limits;
use stage::{Gateway, PROGRAM, Stage};

/// How many of the containers run; the others have only been created.
const RUNNING: usize = 5;

/// How much is measured.
struct Plan {
    /// The numbers of containers, growing.
    sizes: &'static [usize],
    /// In how many rounds each of the four is asked the same over so many connections: many and short ones, so that all
    /// of them have their share of a slow second.
    rounds: u32,
    limits: Limits,
    /// How long the engine's processor time is looked at, and how often it is while idle and while the gateway is polled.
    polling: Duration,
    turns: usize,
    /// How often a container is killed and started again.
    changes: usize,
    /// The numbers of open event streams, growing.
    streams: &'static [usize],
    plot: PathBuf,
}

impl Plan {
    fn full() -> Self {
        Self {
            sizes: &[5, 100, 1000],
            rounds: 7,
            limits: Limits {
                asking: Duration::from_millis(200),
                waiting: Duration::from_secs(8),
            },
            polling: Duration::from_secs(2),
            turns: 5,
            changes: 100,
            streams: &[0, 1000, 5000],
            plot: Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/cost.svg"),
        }
    }

    fn quick() -> Self {
        Self {
            sizes: &[5, 100],
            rounds: 3,
            limits: Limits {
                asking: Duration::from_millis(100),
                waiting: Duration::from_secs(1),
            },
            polling: Duration::from_secs(1),
            turns: 1,
            changes: 10,
            streams: &[0, 1000],
            plot: Path::new(env!("CARGO_TARGET_TMPDIR")).join("cost.svg"),
        }
    }
}

fn main() {
    bare::serve_if_asked();
    let begun = Instant::now();
    let is_quick = env::var("RELAYER_BENCH_QUICK").is_ok_and(|value| value == "1");
    let plan = if is_quick {
        Plan::quick()
    } else {
        Plan::full()
    };
    raise_file_limit();
    let (program, engine) = stage::prepared();
    let python = original::python();
    let daemon = Daemon::behind(&engine);

    let most = plan.sizes.iter().copied().max().unwrap();
    let names: Vec<_> = (1..=most).map(|number| format!("c{number:04}")).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let mut stage = Stage::new(&engine, all.get(..RUNNING).unwrap(), PROGRAM);
    let mut made = RUNNING;
    let mut sizes = Vec::new();
    for size in plan.sizes {
        say(begun, &format!("{size} containers"));
        stage.create(all.get(made..*size).unwrap(), PROGRAM);
        made = *size;
        let names = names.get(..*size).unwrap();
        let file = configure(&stage, names);
        let start = |_| Gateway::start(&program, &stage, &engine, &file);
        let gateways = (0..field::PROCESSES).map(start).collect();
        let mut field = Field::new(gateways, &stage, &python, names);
        sizes.push(field.measure(&plan, daemon.as_ref()));
    }
    report::reading(&sizes);
    report::polling(&sizes);
    draw(&plan, &stage, &sizes);
    say(begun, &format!("the plot is in {}", plan.plot.display()));

    let start = |names| {
        let file = configure(&stage, names);
        let gateway = Gateway::start(&program, &stage, &engine, &file);
        field::wait_until_ready(&gateway);
        gateway
    };
    say(
        begun,
        "changes on their way to their readers, and memory by readers",
    );
    let few = names.get(..RUNNING).unwrap();
    // One that has to tell of all the containers, and one that has to tell of a few.
    let latency = events::latency(&start(&names), &stage, few.first().unwrap(), plan.changes);
    report::changes(&plan, &latency);
    let memory = events::memory(&start(few), &stage, few.last().unwrap(), plan.streams);
    report::streams(&memory);
    report::targets(&sizes, &latency, &memory);
    say(begun, "done");
}

type Latencies = Result<[Latency; 2], String>;
type Memory = Result<Vec<(usize, u64)>, String>;

/// Everybody may look at these containers, and do nothing to them.
fn configure(stage: &Stage, names: &[String]) -> PathBuf {
    // As many as there are streams, and some to spare.
    let mut text = "[server]\nmax_connections = 6000\n".to_owned();
    for name in names {
        write!(text, "[containers.{name}]\nallow = [\"status\"]\n").unwrap();
    }
    let file = stage.folder.join(format!("mirror-{}.toml", names.len()));
    fs::write(&file, text).unwrap();
    file
}

/// A connection is an open file, here and in the servers, which inherit the limit.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn draw(plan: &Plan, stage: &Stage, sizes: &[Size]) {
    let numbers: Vec<_> = plan.sizes.to_vec();
    let drawn = plot::draw(&numbers, &report::panels(sizes), &field::setting(stage));
    fs::write(&plan.plot, drawn).unwrap();
}

fn say(begun: Instant, what: &str) {
    eprintln!("[{:3} s] {what}", begun.elapsed().as_secs());
}
