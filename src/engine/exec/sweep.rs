//! The end of a program that took too long, with all that it has started: by what the container itself has to offer.
//!
//! The engine has no call for it. So whatever is run gets a variable with a secret of its own, which its children
//! inherit; and a shell of the container's is given a script of ours that looks for that variable in `/proc` and kills
//! what has it. No word of the program's is read by that shell.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::time::{Instant, sleep, timeout};

use super::Run;
use super::process::Process;
use crate::engine::inspected::Inspected;
use crate::engine::{ContainerId, Engine, Error};

/// How long all of it may take. It takes a tenth of a second where the engine has nothing else to do.
const LIMIT: Duration = Duration::from_secs(10);

/// How long one shell may take, and what it prints is of no use.
const SHELL_LIMIT: Duration = Duration::from_secs(5);
const SHELL_OUTPUT: usize = 0;

/// How long what was killed may take to be gone, and how often it is looked whether it is.
const GOING: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// The user that sees whatever the command's own does not.
const ROOT: &str = "0";

/// The shells to try, in this order.
///
/// SECURITY: whole paths of directories that belong to root. Some images have a directory of the program's own in
/// `PATH`, and whoever got hold of that program could have a `sh` of theirs run as root.
const SHELLS: [&[&str]; 5] = [
    &["/bin/sh"],
    &["/usr/bin/sh"],
    &["/bin/busybox", "sh"],
    &["/busybox/busybox", "sh"],
    &["/bin/bash"],
];

/// What the shell is given besides: as for [`SHELLS`], and nothing that would have it read a file first.
const ENVIRONMENT: [&str; 5] = [
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "ENV=",
    "BASH_ENV=",
    "LD_PRELOAD=",
    "LD_LIBRARY_PATH=",
];

/// Kills what has `$1` in its environment, with those below it, which may have cleared theirs as `su -` does; again and
/// again until there is nothing left, for it may be multiplying. What is stopped starts no more while those are noted. It
/// uses nothing but what every shell has built in; without a `sleep` it only tries faster.
const SCRIPT: &str = r#"[ -r "/proc/$$/environ" ] || exit 4
round=0
while :; do
  found=
  for process in /proc/[0-9]*; do
    below=
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in *"$1"*) below=${process#/proc/}; found=1; break ;; esac
    done <"$process/environ"
    while [ -n "$below" ]; do
      these=$below
      below=
      for pid in $these; do
        kill -STOP "$pid"
        for list in /proc/"$pid"/task/*/children; do
          children=
          read -r children <"$list"
          below=$below${children:+ $children}
        done
        kill -KILL "$pid"
      done
    done
  done
  [ -n "$found" ] || exit 0
  round=$((round + 1))
  [ "$round" -lt 50 ] || exit 3
  sleep 0.02
done 2>/dev/null"#;

/// What the script answers: that nothing is left, and that something is.
const CLEAN: i64 = 0;
const LEFT: i64 = 3;

/// The name of the variable that marks a program and all that it starts. It is none of the gateway's own settings: what is
/// run may be a gateway.
pub const MARKER: &str = "RELAYER_EXEC";

/// That variable with a value of 32 hexadecimal digits that nobody can guess.
pub(super) struct Marker(String);

impl Marker {
    /// A new one.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] where the kernel gives no random bytes: the engine was asked nothing.
    pub(super) fn new() -> Result<Self, Error> {
        let mut bits = [0; 16];
        let unavailable = |error: io::Error| {
            Error::Unreachable(format!("cannot mark what would be run: {error}"))
        };
        // Up to 256 bytes come whole or not at all: getrandom(2).
        getrandom(&mut bits, GetRandomFlags::empty()).map_err(|error| unavailable(error.into()))?;
        let mut marker = format!("{MARKER}=");
        for byte in bits {
            // Text written to text: that cannot fail.
            let _whole = write!(marker, "{byte:02x}");
        }
        Ok(Self(marker))
    }

    /// The same program, marked.
    pub(super) fn mark(&self, run: &Run) -> Run {
        let mut run = run.clone();
        run.env.push(self.0.clone());
        run
    }
}

impl Engine {
    /// Ends a program and all that it has started; answers whether any of it may be left.
    pub(super) async fn put_an_end(
        &self,
        process: &mut Process,
        found: &Inspected,
        run: &Run,
        marker: &Marker,
    ) -> bool {
        let sweeping = timeout(LIMIT, Box::pin(self.sweep(found, run, marker)));
        let is_clean = process.read_until(sweeping).await.unwrap_or(false);
        // What was killed is gone in a moment; what was not will not go now.
        let patience = if is_clean { GOING } else { Duration::ZERO };
        let until = Instant::now() + patience;
        let has_ended = loop {
            match process.look(self).await {
                Ok(None) if Instant::now() < until => sleep(PAUSE).await,
                Ok(None) => break false,
                // What cannot be looked at any more went with its container.
                Ok(Some(_)) | Err(_) => break true,
            }
        };
        if is_clean && has_ended {
            return false;
        }
        // A container that has stopped has taken all with it.
        !matches!(self.inspect(&found.id).await, Ok(now) if !now.can_have_processes())
    }

    /// Ends what has the marker, where it is not known what came of its start.
    pub(super) async fn sweep_blindly(&self, found: &Inspected, run: &Run, marker: &Marker) {
        // Whoever waits is told what went wrong, and that is not this.
        let _is_clean = timeout(LIMIT, Box::pin(self.sweep(found, run, marker))).await;
    }

    /// Ends what has the marker; answers whether nothing that has it was seen in the end.
    async fn sweep(&self, found: &Inspected, run: &Run, marker: &Marker) -> bool {
        let own = run.user.as_deref().or(found.user());
        // Only the same user sees the variables of a process. Root comes second: it sees those of what became root.
        let users = if is_root(own) {
            [Some(ROOT), None]
        } else {
            [own, Some(ROOT)]
        };
        let mut is_clean = false;
        for user in users.into_iter().flatten() {
            for shell in SHELLS {
                if let Some(verdict) = self.sweep_as(&found.id, user, shell, marker).await {
                    is_clean = verdict;
                    break;
                }
            }
        }
        is_clean
    }

    /// Has one shell run the script as one user; answers whether nothing was left, or nothing where it could not.
    async fn sweep_as(
        &self,
        container: &ContainerId,
        user: &str,
        shell: &[&str],
        marker: &Marker,
    ) -> Option<bool> {
        let script = ["-c", SCRIPT, "sh", &marker.0];
        let argv = shell.iter().chain(&script);
        let run = Run {
            argv: argv.map(|word| (*word).to_owned()).collect(),
            user: Some(user.to_owned()),
            workdir: Some("/".to_owned()),
            env: ENVIRONMENT.map(ToOwned::to_owned).to_vec(),
            timeout: SHELL_LIMIT,
            max_output: SHELL_OUTPUT,
        };
        let id = self.make(container, &run).await.ok()?;
        let mut process = self.begin(id, run.max_output).await.ok()?;
        let deadline = process.begun + run.timeout;
        match process.wait(self, deadline).await.ok()? {
            Some(ended) if ended.exit_code == CLEAN => Some(true),
            Some(ended) if ended.exit_code == LEFT => Some(false),
            // No such shell, or none that is one, or no `/proc`.
            Some(_) => None,
            // It may be at it still; another would be no faster.
            None => Some(false),
        }
    }
}

/// Whether a user, as the engine takes it, is root; nothing stands for root.
fn is_root(user: Option<&str>) -> bool {
    let name = user.unwrap_or_default().split(':').next();
    matches!(name, Some("" | "0" | "root"))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;
    use std::process::{Child, ChildStdout, Command, Stdio};

    use super::{CLEAN, MARKER, Marker, SCRIPT, is_root};

    /// A shell with the marker, and below it those that have cleared their environment; the last one says that it is
    /// there, and after a while that it was not killed.
    fn family(marker: &str) -> (Child, BufReader<ChildStdout>) {
        let (name, value) = marker.split_once('=').unwrap();
        let below = "env -i /bin/sh -c '(echo there; sleep 5; echo left) & wait' & wait";
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", below]).env(name, value);
        shell.env("LINES", "a\nb\n").stdin(Stdio::null());
        let mut shell = shell.stdout(Stdio::piped()).spawn().unwrap();
        let mut printed = BufReader::new(shell.stdout.take().unwrap());
        let mut line = String::new();
        printed.read_line(&mut line).unwrap();
        assert_eq!(line, "there\n");
        (shell, printed)
    }

    /// The script kills what has the marker, in each shell that this machine has, and nothing else.
    #[test]
    fn a_shell_kills_what_is_marked() {
        for shell in [&["/bin/sh"][..], &["/bin/bash"], &["/bin/busybox", "sh"]] {
            if !Path::new(shell[0]).exists() {
                continue;
            }
            let [ours, theirs] = [(), ()].map(|()| Marker::new().unwrap().0);
            let [(mut marked, mut printed), (mut other, mut others)] =
                [&ours, &theirs].map(|marker| family(marker));
            let mut script = Command::new(shell[0]);
            script.args(&shell[1..]).args(["-c", SCRIPT, "sh", &ours]);
            let said = script.output().unwrap();
            assert_eq!(said.status.code().map(i64::from), Some(CLEAN), "{shell:?}");
            assert_eq!((said.stdout.len(), said.stderr.len()), (0, 0), "{said:?}");
            assert_eq!(marked.wait().unwrap().signal(), Some(9), "{shell:?}");
            let mut text = String::new();
            printed.read_to_string(&mut text).unwrap();
            assert_eq!(text, "", "{shell:?}");
            assert!(other.try_wait().unwrap().is_none(), "{shell:?}");
            others.read_to_string(&mut text).unwrap();
            assert_eq!(text, "left\n", "{shell:?}");
            other.wait().unwrap();
        }
    }

    #[test]
    fn a_marker_is_like_no_other() {
        let [one, other] = [(), ()].map(|()| Marker::new().unwrap().0);
        assert_ne!(one, other);
        let value = one.strip_prefix(MARKER).unwrap().strip_prefix('=').unwrap();
        assert!(value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn who_is_root() {
        for user in [
            None,
            Some(""),
            Some("0"),
            Some("root"),
            Some("0:5"),
            Some("root:a"),
        ] {
            assert!(is_root(user), "{user:?}");
        }
        for user in ["1000", "nobody", "00", "rooty", "1000:0"] {
            assert!(!is_root(Some(user)), "{user}");
        }
    }
}
