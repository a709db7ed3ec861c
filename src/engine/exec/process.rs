//! One program in a container, from the engine's calls: made, started, read, and looked at until it has ended.

use std::sync::Arc;
use std::time::Duration;

use bollard::exec::CreateExecOptions;
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout};

use super::Run;
use super::output::Output;
use crate::engine::upstream::{Question, Upstream};
use crate::engine::{ContainerId, Engine, Error};

/// When a program is first looked at, and from then on how seldom at most: that its output has not ended does not say
/// that it has not, because what it has started may hold its output open.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the engine may take to know that a program has ended whose output has; then it is looked at ever less.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// For how long nothing has to come of a program that has ended, so that it counts as all, and the most that is waited
/// for that.
const QUIET: Duration = Duration::from_millis(250);
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The engine's id of a program that was made: of the same form as a container's, and for the same reason.
pub(super) struct ExecId(ContainerId);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit_code: i64,
    /// Otherwise its output is the engine's account of why not.
    pub(super) was_started: bool,
}

/// A program that was started.
pub(super) struct Process {
    id: ExecId,
    /// None once it has ended.
    upstream: Option<Upstream>,
    pub(super) output: Output,
    pub(super) begun: Instant,
}

impl Engine {
    /// Makes a program, which does nothing yet.
    ///
    /// # Errors
    ///
    /// The engine's own: 404 where the container is gone, 409 where it does not run.
    pub(super) async fn make(&self, container: &ContainerId, run: &Run) -> Result<ExecId, Error> {
        let options = CreateExecOptions {
            attach_stdin: Some(false),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            privileged: Some(false),
            env: Some(run.env.clone()),
            cmd: Some(run.argv.clone()),
            user: run.user.clone(),
            working_dir: run.workdir.clone(),
            ..CreateExecOptions::default()
        };
        let made = self.docker.create_exec(container.as_str(), options);
        let made = self.within("exec", self.timeout, made).await?;
        let id = made.id.parse();
        let id = id.map_err(|_| Error::Garbled("a program without an id".to_owned()))?;
        Ok(ExecId(id))
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// The engine's own. That it cannot be started is none: then it has ended at once.
    pub(super) async fn begin(&self, id: ExecId, max_output: usize) -> Result<Process, Error> {
        let question = Question::post(
            format!("/exec/{}/start", id.0),
            json!({ "Detach": false, "Tty": false }),
        );
        let begun = Instant::now();
        let upstream = self.open("exec_start", question).await?;
        // Its end is asked for on another connection, which need not be opened then.
        tokio::spawn(Arc::clone(&self.pool).stock());
        Ok(Process {
            id,
            upstream: Some(upstream),
            output: Output::new(max_output),
            begun,
        })
    }
}

impl Process {
    /// Reads what the program prints until it has ended, at most until then; `None` where it has not.
    ///
    /// # Errors
    ///
    /// The engine's own, and [`Error::NotFound`] where its container was removed.
    pub(super) async fn wait(
        &mut self,
        engine: &Engine,
        deadline: Instant,
    ) -> Result<Option<Ended>, Error> {
        let mut pause = FIRST_LOOK;
        let mut look_at = Instant::now() + pause;
        loop {
            let is_open = self.upstream.is_some();
            tokio::select! {
                read = self.read(), if is_open => {
                    read?;
                    if self.upstream.is_some() {
                        continue;
                    }
                    // At once: the timer would wait for the end of a millisecond.
                    pause = SHORTEST_PAUSE;
                }
                () = sleep_until(look_at.min(deadline)) => {}
            }
            if let Some(ended) = self.look(engine).await? {
                self.last_words().await?;
                return Ok(Some(ended));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            look_at = Instant::now() + pause;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads on, so that the program is not held back, until something else is done.
    pub(super) async fn read_until<T>(&mut self, done: impl Future<Output = T>) -> T {
        let mut done = std::pin::pin!(done);
        loop {
            let is_open = self.upstream.is_some();
            tokio::select! {
                done = &mut done => return done,
                read = self.read(), if is_open => if read.is_err() { self.upstream = None },
            }
        }
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    ///
    /// As for [`Process::wait`].
    pub(super) async fn look(&self, engine: &Engine) -> Result<Option<Ended>, Error> {
        let asked = engine.docker.inspect_exec(self.id.0.as_str());
        let told = match engine.within("exec_inspect", engine.timeout, asked).await {
            Err(Error::Refused { status: 404, .. }) => return Err(Error::NotFound),
            told => told?,
        };
        let is_running = told.running.unwrap_or(true);
        // Before it is started it does not run, and has no exit code.
        let ended = told.exit_code.filter(|_| !is_running);
        Ok(ended.map(|exit_code| Ended {
            exit_code,
            was_started: exit_code == 0 || told.pid != Some(0),
        }))
    }

    /// Takes what comes next.
    async fn read(&mut self) -> Result<(), Error> {
        let Some(upstream) = &mut self.upstream else {
            return Ok(());
        };
        if let Some(piece) = upstream.chunk().await {
            return self.output.take(piece?);
        }
        self.upstream = None;
        Ok(())
    }

    /// Takes what a program that has ended printed before. What it has started may print for ever.
    async fn last_words(&mut self) -> Result<(), Error> {
        let until = Instant::now() + LAST_WORDS;
        while self.upstream.is_some() && Instant::now() < until {
            match timeout(QUIET, self.read()).await {
                Ok(read) => read?,
                Err(_) => break,
            }
        }
        self.upstream = None;
        Ok(())
    }
}
