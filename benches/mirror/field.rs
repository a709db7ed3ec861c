//! The four that are asked, and what came of asking them about so many containers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use time::OffsetDateTime;

use crate::Plan;
use crate::bare::Bare;
use crate::daemon::Daemon;
use crate::events;
use crate::load::{self, Asked, Place, Tally};
use crate::original::Original;
use crate::stage::{Gateway, Stage, get, resident, resident_of};

/// How often a round asks the gateway and the bare server.
const OFTEN: u32 = 3;

/// How many processes of each of these two are asked in turn: where the kernel happens to put a process's memory and
/// threads makes it some percent quicker or slower for as long as it runs.
pub(crate) const PROCESSES: usize = 5;

/// How many clients poll at once.
pub(crate) const CLIENTS: u32 = 100;

/// The numbers of connections at once.
pub(crate) const CONNECTIONS: [usize; 3] = [1, 8, 64];

const LIST: &str = "/containers";

/// Who is asked.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Gateway,
    Bare,
    Engine,
    Original,
}

impl Side {
    pub(crate) const ALL: [Self; 4] = [Self::Gateway, Self::Bare, Self::Engine, Self::Original];
}

/// What each of them has come to, or why one has not.
pub(crate) type Outcomes<T> = Vec<(Side, Result<T, String>)>;

/// What is asked for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wanted {
    Status,
    List,
}

/// What one of them did when it was asked over so many connections.
pub(crate) struct Cell {
    /// Answers a second, the median of the rounds.
    pub(crate) rate: f64,
    /// What each answer took, of all rounds.
    pub(crate) took: Vec<Duration>,
}

/// All four, asked the same; or why there is no answer.
pub(crate) struct Line {
    pub(crate) wanted: Wanted,
    pub(crate) connections: usize,
    pub(crate) cells: Outcomes<Cell>,
}

/// Processor time of the engine while clients poll, in percent of one processor.
pub(crate) struct Polled {
    pub(crate) share: f64,
    /// The share of the requests that was answered.
    pub(crate) answered: f64,
}

/// All that was measured with one number of containers.
pub(crate) struct Size {
    pub(crate) containers: usize,
    pub(crate) lines: Vec<Line>,
    /// Resident memory in bytes, before the load and after it.
    pub(crate) memory: (u64, u64),
    pub(crate) original_memory: Result<u64, String>,
    /// Of each turn, in percent of one processor.
    pub(crate) idle: Result<Vec<f64>, String>,
    pub(crate) polled: Outcomes<Polled>,
}

/// The four before the same containers.
pub(crate) struct Field {
    gateways: Vec<Gateway>,
    containers: usize,
    bare: Vec<Bare>,
    original: Result<Original, String>,
    sides: Outcomes<Entrant>,
    memory: u64,
}

/// Where one of them listens, each of its processes, and what it is asked.
#[derive(Clone)]
struct Entrant {
    places: Vec<Place>,
    status: Asked,
    list: Asked,
}

impl Field {
    pub(crate) fn new(
        gateways: Vec<Gateway>,
        stage: &Stage,
        python: &Result<PathBuf, String>,
        names: &[String],
    ) -> Self {
        gateways.iter().for_each(wait_until_ready);
        let first = gateways.first().unwrap();
        let memory = resident(first);
        let ours = Place::Tcp(first.address);
        let status = format!("/container/{}/status", names.first().unwrap());
        let answers = [&*status, LIST].map(|path| (path, answer(&ours, path)));
        let (_, list) = answers.last().unwrap();
        let listed = String::from_utf8_lossy(list)
            .matches("\"container\":")
            .count();
        assert_eq!(listed, names.len(), "the list is not of all containers");
        let bare: Vec<_> = (0..PROCESSES)
            .map(|_| Bare::start(&stage.folder, &answers))
            .collect();
        let python = python.as_ref().map_err(Clone::clone);
        let original = python.and_then(|python| Original::start(python, stage, names));

        let tcp = |addresses: Vec<SocketAddr>| {
            let places: Vec<_> = addresses.into_iter().map(Place::Tcp).collect();
            let first = places.first().unwrap();
            let [status, list] = [&*status, LIST].map(|path| asked(first, path));
            let (status, list) = (status?, list?);
            Ok(Entrant {
                places,
                status,
                list,
            })
        };
        // What the engine says of a container that runs is now and then a second later, and as much longer.
        let engine = |path: String| Asked {
            request: get(&format!("/v1.41{path}")),
            length: None,
        };
        let first = format!("{}{}", stage.prefix, names.first().unwrap());
        let sides = vec![
            (
                Side::Gateway,
                tcp(gateways.iter().map(|one| one.address).collect()),
            ),
            (
                Side::Bare,
                tcp(bare.iter().map(|one| one.address).collect()),
            ),
            (
                Side::Engine,
                Ok(Entrant {
                    places: vec![Place::Unix(stage.engine.clone())],
                    status: engine(format!("/containers/{first}/json")),
                    list: engine("/containers/json?all=1".to_owned()),
                }),
            ),
            (
                Side::Original,
                original
                    .as_ref()
                    .map_err(Clone::clone)
                    .and_then(|original| tcp(vec![original.address])),
            ),
        ];
        Self {
            gateways,
            containers: names.len(),
            bare,
            original,
            sides,
            memory,
        }
    }

    pub(crate) fn measure(&mut self, plan: &Plan, daemon: Result<&Daemon, &String>) -> Size {
        let mut lines = Vec::new();
        for wanted in [Wanted::Status, Wanted::List] {
            for connections in CONNECTIONS {
                lines.push(self.line(plan, wanted, connections, daemon));
            }
        }
        // From here on one is enough: those that nobody asks would follow the engine too.
        self.gateways.truncate(1);
        self.bare.clear();
        let memory = (self.memory, resident(self.gateways.first().unwrap()));
        let original_memory = self
            .original
            .as_ref()
            .map(|original| resident_of(original.process()))
            .map_err(Clone::clone);
        let (idle, polled) = self.polled(plan, daemon);
        Size {
            containers: self.containers,
            lines,
            memory,
            original_memory,
            idle,
            polled,
        }
    }

    fn line(
        &mut self,
        plan: &Plan,
        wanted: Wanted,
        connections: usize,
        daemon: Result<&Daemon, &String>,
    ) -> Line {
        let mut rounds: Vec<_> = self
            .sides
            .iter()
            .map(|(side, _)| Rounds::of(*side))
            .collect();
        for round in 0..plan.rounds {
            for number in order(round, rounds.len()) {
                let rounds = rounds.get_mut(number).unwrap();
                if rounds.are_over {
                    continue;
                }
                let (_, entrant) = self.sides.get(number).unwrap();
                let tally = entrant.as_ref().map_err(Clone::clone).and_then(|entrant| {
                    let asked = match wanted {
                        Wanted::Status => &entrant.status,
                        Wanted::List => &entrant.list,
                    };
                    let place = entrant.places.iter().cycle().nth(rounds.asked());
                    load::press(place.unwrap(), asked, connections, plan.limits)
                });
                let is_left_busy = tally.as_ref().is_ok_and(|tally| tally.given_up > 0);
                rounds.add(tally, plan);
                if is_left_busy {
                    self.calm(daemon);
                }
            }
        }
        let cells = rounds.into_iter().map(|rounds| rounds.end(plan));
        Line {
            wanted,
            connections,
            cells: cells.collect(),
        }
    }

    /// What was given up would go on: the original would ask the engine for it while others are measured.
    fn calm(&mut self, daemon: Result<&Daemon, &String>) {
        if let Ok(original) = &mut self.original {
            original.again().unwrap();
        }
        match daemon {
            Ok(daemon) => daemon.settle(),
            Err(_) => thread::sleep(Duration::from_secs(2)),
        }
    }

    /// The engine's processor time: idle, and while clients poll one of the four. Idle and the gateway take turns.
    fn polled(
        &mut self,
        plan: &Plan,
        daemon: Result<&Daemon, &String>,
    ) -> (Result<Vec<f64>, String>, Outcomes<Polled>) {
        let daemon = match daemon {
            Ok(daemon) => daemon,
            Err(why) => return (Err(why.clone()), Vec::new()),
        };
        daemon.settle();
        let (mut idle, mut gateway) = (Vec::new(), Vec::new());
        for _ in 0..plan.turns {
            idle.push(daemon.share(|| thread::sleep(plan.polling)).0);
            gateway.push(self.poll(Side::Gateway, daemon, plan.polling));
        }
        let gateway: Result<Vec<_>, _> = gateway.into_iter().collect();
        let gateway = gateway.map(|turns| Polled {
            share: middle(turns.iter().map(|turn| turn.share)),
            answered: middle(turns.iter().map(|turn| turn.answered)),
        });
        let mut polled = vec![(Side::Gateway, gateway)];
        for side in [Side::Engine, Side::Original] {
            polled.push((side, self.poll(side, daemon, plan.polling)));
            self.calm(Ok(daemon));
        }
        (Ok(idle), polled)
    }

    fn poll(&self, side: Side, daemon: &Daemon, lasting: Duration) -> Result<Polled, String> {
        let mut sides = self.sides.iter();
        let (_, entrant) = sides.find(|(one, _)| *one == side).unwrap();
        let Entrant {
            places,
            status,
            list,
        } = entrant.clone()?;
        let (place, asked) = (places.first().unwrap(), [status, list]);
        let (share, answers) = daemon.share(|| load::poll(place, &asked, CLIENTS, lasting));
        let expected = lasting.as_secs_f64() * f64::from(CLIENTS) * 2.0;
        let answers = f64::from(u32::try_from(answers?).unwrap());
        Ok(Polled {
            share,
            answered: answers / expected,
        })
    }
}

/// The sides in the order in which a round asks them. The gateway and its limit, which are the first two and quick, are
/// asked often; and every other round goes backwards, so that nobody is always asked after the slowest.
fn order(round: u32, sides: usize) -> Vec<usize> {
    let mut order = [0, 1].repeat(usize::try_from(OFTEN).unwrap());
    order.extend(2..sides);
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// The rounds of one side in one line of the table.
struct Rounds {
    side: Side,
    rates: Vec<f64>,
    took: Vec<Duration>,
    failed: Option<String>,
    lasted: Duration,
    /// It failed, or it is so slow that these rounds took the time of all.
    are_over: bool,
}

impl Rounds {
    fn of(side: Side) -> Self {
        Self {
            side,
            rates: Vec::new(),
            took: Vec::new(),
            failed: None,
            lasted: Duration::ZERO,
            are_over: false,
        }
    }

    /// How often it was asked so far.
    const fn asked(&self) -> usize {
        self.rates.len()
    }

    fn add(&mut self, tally: Result<Tally, String>, plan: &Plan) {
        match tally {
            Ok(tally) => {
                let answers = u32::try_from(tally.took.len()).unwrap();
                self.rates
                    .push(f64::from(answers) / tally.lasted.as_secs_f64());
                self.took.extend(tally.took);
                self.lasted += tally.lasted;
                self.are_over = self.lasted >= plan.limits.asking * plan.rounds * OFTEN;
            }
            Err(why) => {
                self.failed = Some(why);
                self.are_over = true;
            }
        }
    }

    fn end(mut self, plan: &Plan) -> (Side, Result<Cell, String>) {
        let outcome = match self.failed {
            Some(why) => Err(why),
            None if self.took.is_empty() => {
                Err(format!("none in {} s", plan.limits.waiting.as_secs()))
            }
            None => {
                self.took.sort_unstable();
                Ok(Cell {
                    rate: middle(self.rates.into_iter()),
                    took: self.took,
                })
            }
        };
        (self.side, outcome)
    }
}

/// The median.
pub(crate) fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    *values.get(values.len() / 2).unwrap()
}

/// The gateway serves at once, and may still have to learn what is there.
pub(crate) fn wait_until_ready(gateway: &Gateway) {
    let begun = Instant::now();
    let place = Place::Tcp(gateway.address);
    loop {
        let (status, whole) = load::fetch(&place, &get("/ready")).unwrap();
        if status == 200 {
            // What is measured is a gateway that knows all of it, if it can: one without `/events` is as ready as it will be.
            let _ready_without = events::wait_for_snapshot(gateway);
            return;
        }
        let said = String::from_utf8_lossy(&whole);
        assert!(begun.elapsed().as_secs() < 20, "not ready: {said}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A whole good answer, head and body.
fn answer(place: &Place, path: &str) -> Vec<u8> {
    let (status, whole) = load::fetch(place, &get(path)).unwrap();
    assert_eq!(status, 200, "{path}");
    whole
}

/// That path, where the answer has to be as long as it is now.
fn asked(place: &Place, path: &str) -> Result<Asked, String> {
    let request = get(path);
    let (status, whole) = load::fetch(place, &request)?;
    let head = whole.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    match (status, head) {
        (200, Some(head)) => Ok(Asked {
            request,
            length: Some(whole.len() - head - 4),
        }),
        (status, _) => Err(format!("HTTP {status}")),
    }
}

/// What it was measured on, and when.
pub(crate) fn setting(stage: &Stage) -> String {
    let place = Place::Unix(stage.engine.clone());
    let (_, whole) = load::fetch(&place, &get("/version")).unwrap();
    let whole = String::from_utf8_lossy(&whole);
    let version: Option<Value> = whole
        .split_once("\r\n\r\n")
        .and_then(|(_, body)| serde_json::from_str(body).ok());
    let version = version.as_ref().and_then(|version| version.get("Version"));
    let version = version
        .and_then(Value::as_str)
        .unwrap_or("of unknown version");
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let date = OffsetDateTime::now_utc().date();
    format!("Docker {version}, {processors} processors, {date}")
}
