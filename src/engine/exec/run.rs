//! One run of a program, to its end or to the end of its time.

use super::process::{Ended, Process};
use super::sweep::Marker;
use super::{CommandOutput, Commands, Ran, Run};
use crate::engine::inspected::Inspected;
use crate::engine::{Engine, Error};
use crate::policy::Permitted;

/// How the engine begins to say why it could not start a program; what comes then is what a reader needs.
const PREAMBLE: [&str; 3] = [
    "OCI runtime exec failed: ",
    "exec failed: ",
    "unable to start container process: ",
];

/// The most characters of the engine's reason that are told.
const MOST_REASON: usize = 500;

impl Engine {
    /// Makes sure that there is the container whose commands are asked for.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that name, and the engine's own.
    pub async fn look_for(&self, permitted: Permitted<'_, Commands>) -> Result<(), Error> {
        self.locate(permitted.full_name()).await.map(drop)
    }

    /// Runs a program. When its time is up it is ended, with all that it has started, if the container has the means.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no container of that name, [`Error::OwnContainer`] where it is the
    /// gateway's, [`Error::Refused`] where the program cannot be started, and the engine's own.
    pub async fn run(&self, permitted: Permitted<'_, Run>) -> Result<Ran, Error> {
        let (run, name) = (permitted.operation(), permitted.full_name());
        let marker = Marker::new()?;
        let with_marker = marker.mark(run);
        let mut found = self.locate(name).await?;
        let mut is_second = false;
        let id = loop {
            if self.own.is(&found) {
                return Err(Error::OwnContainer);
            }
            let refused = match self.make(&found.id, &with_marker).await {
                Ok(id) => break id,
                Err(error @ Error::Refused { .. }) => error,
                Err(error) => return Err(error),
            };
            // Perhaps only because the container was replaced between the look and the act.
            let again = self.locate(name).await?;
            if again.id == found.id || is_second {
                return not_run(&again, refused);
            }
            (found, is_second) = (again, true);
        };
        let mut process = match self.begin(id, run.max_output).await {
            Ok(process) => process,
            Err(error @ (Error::Refused { .. } | Error::Unreachable(_))) => {
                return not_run(&self.inspect(&found.id).await?, error);
            }
            Err(error) => {
                self.sweep_blindly(&found, run, &marker).await;
                return Err(error);
            }
        };
        let deadline = process.begun + run.timeout;
        match process.wait(self, deadline).await {
            Ok(Some(ended)) if ended.was_started => Ok(Ran::Ended {
                exit_code: ended.exit_code,
                printed: printed(process),
            }),
            Ok(Some(Ended { .. })) => {
                let refused = not_started(run, process);
                not_run(&self.inspect(&found.id).await?, refused)
            }
            Ok(None) => {
                let is_left_running = self.put_an_end(&mut process, &found, run, &marker).await;
                Ok(Ran::TookTooLong {
                    is_left_running,
                    printed: printed(process),
                })
            }
            Err(error) => {
                self.put_an_end(&mut process, &found, run, &marker).await;
                Err(error)
            }
        }
    }
}

/// What came of a program that the engine did not run: nothing, where the container does not run either.
fn not_run(found: &Inspected, refused: Error) -> Result<Ran, Error> {
    if found.can_have_processes() {
        Err(refused)
    } else {
        Ok(Ran::NotRunning)
    }
}

fn printed(process: Process) -> CommandOutput {
    let took = process.begun.elapsed();
    let (stdout, stderr, is_truncated) = process.output.texts();
    CommandOutput {
        stdout,
        stderr,
        is_truncated,
        took,
    }
}

/// Why a program was not started, from what the engine wrote in place of its output.
fn not_started(run: &Run, process: Process) -> Error {
    let words = process.output.reason();
    let program = run.argv.first().map(String::as_str).unwrap_or_default();
    Error::Refused {
        status: 500,
        message: format!("cannot run `{program}`: {}", reason(&words)),
    }
}

fn reason(words: &str) -> String {
    let mut reason = words.trim();
    for beginning in PREAMBLE {
        reason = reason.strip_prefix(beginning).unwrap_or(reason);
    }
    let reason = reason.strip_suffix(": unknown").unwrap_or(reason);
    if reason.is_empty() {
        return "the engine does not say why".to_owned();
    }
    reason.chars().take(MOST_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn reasons_are_the_engines() {
        for (words, expected) in [
            (
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \"ffprobe\": executable file not found in $PATH: unknown\r\n",
                "exec: \"ffprobe\": executable file not found in $PATH",
            ),
            (
                "unable to find user nosuch: no matching entries in passwd file\r\n",
                "unable to find user nosuch: no matching entries in passwd file",
            ),
            ("", "the engine does not say why"),
            ("\r\n", "the engine does not say why"),
        ] {
            assert_eq!(reason(words), expected, "{words}");
        }
        assert_eq!(reason(&"ä".repeat(600)).chars().count(), 500);
    }
}
