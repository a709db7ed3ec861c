//! Programs run in a container: made, started, looked at, and killed by one another; pure, the date is a parameter.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::container::Container;
use super::event::Feed;
use super::program::{NO_SHELL, Plan, Program, Stream};
use super::refusal::Refusal;
use super::state::{Containers, random_id};

/// For how long dockerd passes on what children of a program print that has ended.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// How much of what is printed without end comes in one piece.
const PIECE: usize = 16 * 1024;

/// The exit code of what SIGKILL has ended: 128 + 9.
const KILLED: u8 = 137;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    pub(super) program: Program,
    /// Whether it is passed on.
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) privileged: bool,
}

/// One program in one run of a container.
#[derive(Clone, Debug)]
pub(super) struct Exec {
    pub(super) container: String,
    /// The process of the container, in whose run this is.
    run: u32,
    wish: Wish,
    begun: Option<Begun>,
}

#[derive(Clone, Debug)]
struct Begun {
    at: SystemTime,
    /// 0 where it could not be started.
    pid: u32,
    plan: Plan,
    killed_at: Option<SystemTime>,
    /// Its end was told, or never will be.
    is_told: bool,
    /// The process and the end of each child.
    children: Vec<(u32, String, SystemTime)>,
}

/// What comes next of what a program prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This, and then from that place on.
    Piece(Vec<u8>, usize),
    /// Nothing before this date, unless something is killed.
    Not(SystemTime),
    /// Nothing, unless something is killed.
    Never,
    /// Nothing more.
    Over,
}

impl Containers {
    /// Makes a program and answers its id.
    pub(super) fn create_exec(
        &mut self,
        reference: &str,
        mut wish: Wish,
        now: SystemTime,
    ) -> Result<String, Refusal> {
        let (container, feed) = self.find_mut(reference)?;
        let run = running(container, reference)?;
        if wish.program.argv.is_empty() {
            return Err(Refusal::new(400, "No exec command specified"));
        }
        wish.program.has_shell = !container.config.labels.contains_key(NO_SHELL);
        let id = random_id();
        let exec = Exec {
            container: container.id.clone(),
            run,
            wish,
            begun: None,
        };
        feed.tell(container, &exec.action("create"), &[("execID", &id)], now);
        self.execs.insert(id.clone(), exec);
        Ok(id)
    }

    /// Starts it. Answers what is said in place of its output where it was started before.
    pub(super) fn start_exec(
        &mut self,
        id: &str,
        now: SystemTime,
    ) -> Result<Option<String>, Refusal> {
        let exec = self.exec(id)?;
        let container = self.find(&exec.container)?;
        let run = running(container, &container.id)?;
        if run != exec.run {
            return Err(no_such(id));
        }
        if exec.begun.is_some() {
            let state = match exec.end() {
                Some((date, _)) if date <= now => "has already run",
                Some(_) | None => "is already running",
            };
            return Ok(Some(format!("Error: Exec command {id} {state}\r\n")));
        }
        let program = exec.wish.program.clone();
        let (container, action) = (container.id.clone(), exec.action("start"));
        let (container, feed) = self.find_mut(&container)?;
        feed.tell(container, &action, &[("execID", id)], now);
        let plan = program.plan();
        let first = self.last_pid + 1;
        let begun = match plan {
            Ok(plan) => {
                let marker = plan.kills.clone();
                if let Some(marker) = marker {
                    self.sweep(&program, run, &marker, now);
                }
                let children = plan.children.iter().zip(first + 1..);
                let children =
                    children.map(|((words, ends), pid)| (pid, words.clone(), now + *ends));
                Begun {
                    at: now,
                    pid: first,
                    children: children.collect(),
                    plan,
                    killed_at: None,
                    is_told: false,
                }
            }
            Err(words) => Begun {
                at: now,
                pid: 0,
                plan: Plan {
                    writes: vec![(Duration::ZERO, Stream::Stdout, words.into())],
                    exit_code: 126,
                    ..Plan::default()
                },
                killed_at: None,
                // dockerd tells no end of what could not be started.
                is_told: true,
                children: Vec::new(),
            },
        };
        self.last_pid = first + u32::try_from(begun.children.len()).unwrap_or_default();
        if let Some(exec) = self.execs.get_mut(id) {
            exec.begun = Some(begun);
        }
        Ok(None)
    }

    /// A program as the engine shows it.
    pub(super) fn inspect_exec(&self, id: &str, now: SystemTime) -> Result<Value, Refusal> {
        let exec = self.exec(id)?;
        let end = exec.end().filter(|(date, _)| *date <= now);
        let begun = exec.begun.as_ref();
        let (program, wish) = (&exec.wish.program, &exec.wish);
        let (name, arguments) = program.argv.split_first().unzip();
        let mut config = json!({
            "tty": false,
            "entrypoint": name,
            "arguments": arguments.unwrap_or_default(),
            "privileged": wish.privileged,
        });
        if let (false, Some(config)) = (program.user.is_empty(), config.as_object_mut()) {
            config.insert("user".to_owned(), program.user.clone().into());
        }
        Ok(json!({
            "ID": id,
            "Running": begun.is_some() && end.is_none(),
            "ExitCode": end.map(|(_, code)| code),
            "ProcessConfig": config,
            "OpenStdin": false,
            "OpenStderr": wish.stderr,
            "OpenStdout": wish.stdout,
            "CanRemove": false,
            "ContainerID": exec.container,
            "DetachKeys": "",
            "Pid": begun.map_or(0, |begun| begun.pid),
        }))
    }

    /// What comes after so many pieces, in frames.
    pub(super) fn next_piece(&self, id: &str, place: usize, now: SystemTime) -> Next {
        let Some((exec, begun)) = self.begun(id) else {
            return Next::Over;
        };
        let end = exec.end().map(|(date, _)| date);
        let has_ended = end.is_some_and(|end| end <= now);
        if let Some((after, stream, bytes)) = begun.plan.writes.get(place) {
            let due = begun.at + *after;
            if end.is_none_or(|end| due <= end) {
                return if due <= now {
                    Next::Piece(exec.framed(*stream, bytes), place + 1)
                } else {
                    Next::Not(due)
                };
            }
        }
        if let (Some(text), false) = (begun.plan.endless, has_ended) {
            let piece = text.repeat(PIECE / text.len());
            return Next::Piece(exec.framed(Stream::Stdout, &piece), place);
        }
        let Some(end) = end else {
            return Next::Never;
        };
        // Children hold the output open.
        let last = begun.children.iter().map(|(_, _, ends)| *ends).max();
        let closed = last.map_or(end, |last| last.max(end).min(end + AFTERWARDS));
        if closed <= now {
            Next::Over
        } else {
            Next::Not(closed)
        }
    }

    /// The processes of a container, as `ps` lists them.
    pub(super) fn top(&mut self, reference: &str, now: SystemTime) -> Result<Value, Refusal> {
        let rows = self.processes(reference, now)?;
        let (container, feed) = self.find_mut(reference)?;
        feed.tell(container, "top", &[], now);
        let titles = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
        Ok(json!({ "Processes": rows, "Titles": titles }))
    }

    fn processes(&self, reference: &str, now: SystemTime) -> Result<Vec<Value>, Refusal> {
        let container = self.find(reference)?;
        let process = container
            .process
            .as_ref()
            .ok_or_else(|| container.not_running())?;
        let row = |user: &str, pid: u32, parent: u32, words: &str| {
            let (pid, parent) = (pid.to_string(), parent.to_string());
            json!([user, pid, parent, "0", "00:00", "?", "00:00:00", words])
        };
        let mut rows = vec![row(
            "root",
            process.pid,
            0,
            &container.config.command.join(" "),
        )];
        for exec in self
            .execs
            .values()
            .filter(|exec| exec.container == container.id)
        {
            let Some(begun) = exec.begun.as_ref().filter(|begun| begun.pid != 0) else {
                continue;
            };
            let program = &exec.wish.program;
            let user = if program.user.is_empty() {
                "root"
            } else {
                &program.user
            };
            if exec.end().is_none_or(|(end, _)| end > now) {
                rows.push(row(user, begun.pid, 0, &program.argv.join(" ")));
            }
            let children = begun.children.iter().filter(|(_, _, ends)| *ends > now);
            rows.extend(children.map(|(pid, words, _)| row(user, *pid, process.pid, words)));
        }
        Ok(rows)
    }

    fn exec(&self, id: &str) -> Result<&Exec, Refusal> {
        self.execs.get(id).ok_or_else(|| no_such(id))
    }

    fn begun(&self, id: &str) -> Option<(&Exec, &Begun)> {
        let exec = self.execs.get(id)?;
        Some((exec, exec.begun.as_ref()?))
    }

    /// Kills every process of this user's in the same run of the container that has this in its environment.
    fn sweep(&mut self, sweeper: &Program, run: u32, marker: &str, now: SystemTime) {
        for exec in self.execs.values_mut().filter(|exec| exec.run == run) {
            let program = &exec.wish.program;
            let is_seen =
                program.id() == sweeper.id() && program.env.iter().any(|one| one == marker);
            if let (true, Some(begun)) = (is_seen, &mut exec.begun) {
                begun.kill(now);
            }
        }
    }

    /// Tells of the programs that have ended by now.
    pub(super) fn end_execs(&mut self, now: SystemTime) {
        let is_due = |exec: &Exec| exec.due().is_some_and(|date| date <= now);
        for (id, exec) in self.execs.iter_mut().filter(|(_, exec)| is_due(exec)) {
            if let Some(container) = self.by_id.get(&exec.container) {
                exec.tell_end(id, container, &mut self.feed);
            }
        }
    }
}

/// The programs in one run of a container end with it, and before it.
pub(super) fn end_run(
    execs: &mut BTreeMap<String, Exec>,
    container: &Container,
    run: u32,
    at: SystemTime,
    feed: &mut Feed,
) {
    let of_run = |exec: &Exec| exec.run == run && exec.container == container.id;
    for (id, exec) in execs.iter_mut().filter(|(_, exec)| of_run(exec)) {
        if let Some(begun) = &mut exec.begun {
            begun.kill(at);
        }
        exec.tell_end(id, container, feed);
    }
}

impl Begun {
    /// Ends it and its children, where they have not ended before.
    fn kill(&mut self, at: SystemTime) {
        self.killed_at.get_or_insert(at);
        for (_, _, ends) in &mut self.children {
            *ends = (*ends).min(at);
        }
    }
}

impl Exec {
    /// When its end is to be told, as far as that is known.
    pub(super) fn due(&self) -> Option<SystemTime> {
        let begun = self.begun.as_ref().filter(|begun| !begun.is_told);
        begun.and_then(|_| self.end()).map(|(date, _)| date)
    }

    /// When and with what it ends, as far as that is known.
    fn end(&self) -> Option<(SystemTime, u8)> {
        let begun = self.begun.as_ref()?;
        let own = begun.plan.endless.is_none();
        let own = own.then(|| (begun.at + begun.plan.lasts, begun.plan.exit_code));
        let killed = begun.killed_at.map(|date| (date, KILLED));
        own.into_iter().chain(killed).min_by_key(|(date, _)| *date)
    }

    fn tell_end(&mut self, id: &str, container: &Container, feed: &mut Feed) {
        let Some((date, code)) = self.end() else {
            return;
        };
        let Some(begun) = self.begun.as_mut().filter(|begun| !begun.is_told) else {
            return;
        };
        begun.is_told = true;
        let code = code.to_string();
        feed.tell(
            container,
            "exec_die",
            &[("execID", id), ("exitCode", &code)],
            date,
        );
    }

    /// What is told of it, as dockerd words it.
    fn action(&self, verb: &str) -> String {
        let (name, arguments) = self.wish.program.argv.split_first().unzip();
        let arguments = arguments.map(|words: &[String]| words.join(" "));
        let (name, arguments) = (
            name.map_or("", String::as_str),
            arguments.unwrap_or_default(),
        );
        format!("exec_{verb}: {name} {arguments}")
    }

    fn framed(&self, stream: Stream, bytes: &[u8]) -> Vec<u8> {
        let (number, is_wanted) = match stream {
            Stream::Stdout => (1, self.wish.stdout),
            Stream::Stderr => (2, self.wish.stderr),
        };
        if is_wanted {
            framed(number, bytes)
        } else {
            Vec::new()
        }
    }
}

/// A piece with the header that says of which stream and how long it is.
pub(super) fn framed(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[number, 0, 0, 0], length.as_slice(), bytes].concat()
}

/// The process of a container in which something can be run.
fn running(container: &Container, reference: &str) -> Result<u32, Refusal> {
    let process = container
        .process
        .as_ref()
        .ok_or_else(|| container.not_running())?;
    if process.paused {
        let message = format!("Container {reference} is paused, unpause the container before exec");
        return Err(Refusal::new(409, message));
    }
    Ok(process.pid)
}

fn no_such(id: &str) -> Refusal {
    Refusal::new(404, format!("No such exec instance: {id}"))
}
