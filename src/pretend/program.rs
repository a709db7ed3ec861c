//! The pretend programs that can be run in a container: what each prints, when, and how it ends.
//!
//! As the container's own process they have dates instead of a body. Of a shell there is as much as tests need: `echo`,
//! `exit`, `sleep`, also in the background, and the script by which the gateway ends a program.

use std::time::Duration;

/// The label of a container that has no shell.
pub(super) const NO_SHELL: &str = "pretend.no-shell";

/// The directories that every container has.
const DIRECTORIES: [&str; 7] = ["/", "/bin", "/dev", "/etc", "/proc", "/tmp", "/var"];

/// What is run, and as whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub(super) argv: Vec<String>,
    /// Each as `NAME=value`.
    pub(super) env: Vec<String>,
    pub(super) user: String,
    pub(super) workdir: String,
    /// Whether its container has a shell.
    pub(super) has_shell: bool,
}

/// One of the two that a program prints to, by the number in the engine's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout = 1,
    Stderr = 2,
}

/// What a program does, from its start on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// What it prints, and how long after its start.
    pub(super) writes: Vec<(Duration, Stream, Vec<u8>)>,
    /// What it prints all the time.
    pub(super) endless: Option<&'static [u8]>,
    /// How long it runs; without end where it prints all the time.
    pub(super) lasts: Duration,
    pub(super) exit_code: u8,
    /// What it starts and does not wait for, and when that ends.
    pub(super) children: Vec<(String, Duration)>,
    /// Before it prints and ends, it kills what has this in its environment.
    pub(super) kills: Option<String>,
}

impl Program {
    /// What it does.
    ///
    /// # Errors
    ///
    /// The engine's words where it cannot be started.
    pub(super) fn plan(&self) -> Result<Plan, String> {
        self.id()?;
        let workdir = self.directory();
        if !DIRECTORIES.contains(&workdir) {
            return Err(runtime(&format!(
                "chdir to cwd (\"{workdir}\") set in config.json failed: no such file or directory"
            )));
        }
        let (name, arguments) = self.argv.split_first().ok_or_else(String::new)?;
        if DIRECTORIES.contains(&name.as_str()) || name == "/etc/passwd" {
            return Err(runtime(&format!("exec: \"{name}\": permission denied")));
        }
        let missing = || {
            runtime(&if name.contains('/') {
                format!("exec: \"{name}\": stat {name}: no such file or directory")
            } else {
                format!("exec: \"{name}\": executable file not found in $PATH")
            })
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match (
            name.rsplit('/').next().unwrap_or_default(),
            arguments.as_slice(),
        ) {
            ("sh", arguments) if self.has_shell && name != "/usr/bin/sh" => Ok(shell(arguments)),
            ("true" | "cat", _) => Ok(Plan::default()),
            ("false", _) => Ok(ended(1)),
            ("echo", words) => Ok(printed(format!("{}\n", words.join(" ")))),
            ("printf", [text, ..]) => Ok(printed(unescaped(text))),
            ("env", _) => Ok(printed(self.variables())),
            ("pwd", _) => Ok(printed(format!("{workdir}\n"))),
            ("id", ["-u"]) => self.id().map(|id| printed(format!("{id}\n"))),
            ("id", _) => self
                .id()
                .map(|id| printed(format!("uid={id} gid={id} groups={id}\n"))),
            ("sleep", [time]) => Ok(slept(time)),
            ("yes", _) => Ok(Plan {
                endless: Some(b"y\n"),
                ..Plan::default()
            }),
            _ => Err(missing()),
        }
    }

    /// The number of its user.
    pub(super) fn id(&self) -> Result<&str, String> {
        let name = self.user.split(':').next().unwrap_or_default();
        match name {
            "" | "root" => Ok("0"),
            "nobody" => Ok("65534"),
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            name => Err(format!(
                "unable to find user {name}: no matching entries in passwd file\r\n"
            )),
        }
    }

    fn directory(&self) -> &str {
        if self.workdir.is_empty() {
            "/"
        } else {
            &self.workdir
        }
    }

    fn variables(&self) -> String {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let all = [path, "HOSTNAME=pretend"].into_iter();
        let all = all
            .chain(self.env.iter().map(String::as_str))
            .chain(["HOME=/"]);
        all.flat_map(|variable| [variable, "\n"]).collect()
    }
}

fn runtime(why: &str) -> String {
    format!(
        "OCI runtime exec failed: exec failed: unable to start container process: {why}: unknown\r\n"
    )
}

fn ended(exit_code: u8) -> Plan {
    Plan {
        exit_code,
        ..Plan::default()
    }
}

fn printed(text: impl Into<Vec<u8>>) -> Plan {
    Plan {
        writes: vec![(Duration::ZERO, Stream::Stdout, text.into())],
        ..Plan::default()
    }
}

fn slept(time: &str) -> Plan {
    if let Some(lasts) = seconds(time) {
        return Plan {
            lasts,
            ..Plan::default()
        };
    }
    let words = format!("sleep: invalid number '{time}'\n");
    Plan {
        writes: vec![(Duration::ZERO, Stream::Stderr, words.into())],
        ..ended(1)
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// The text with `\n` and octal escapes as they are meant.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pieces = text.split('\\');
    bytes.extend(pieces.next().unwrap_or_default().bytes());
    for piece in pieces {
        let digits = piece.chars().take(3).take_while(|c| c.is_digit(8)).count();
        let (octal, rest) = piece.split_at(digits);
        if let Ok(byte) = u8::from_str_radix(octal, 8) {
            bytes.push(byte);
            bytes.extend(rest.bytes());
        } else {
            bytes.extend(piece.replacen('n', "\n", 1).bytes());
        }
    }
    bytes
}

/// What a shell does with `-c`, a script, its name and its arguments.
fn shell(arguments: &[&str]) -> Plan {
    let script = match arguments {
        ["-c", script, "sh", marker] if script.contains("kill -KILL \"$pid\"") => {
            return Plan {
                kills: Some((*marker).to_owned()),
                ..Plan::default()
            };
        }
        ["-c", script, ..] => script,
        _ => return Plan::default(),
    };
    let mut plan = Plan::default();
    for statement in script.replace(" & ", " &;").split([';', '\n']) {
        let statement = statement.trim();
        let background = statement.strip_suffix(" &");
        let words: Vec<&str> = statement.split_whitespace().collect();
        match (words.as_slice(), background) {
            ([], _) => {}
            (["exit", code], _) => {
                plan.exit_code = code.parse().unwrap_or(2);
                break;
            }
            (["sleep", time, "&"], Some(child)) => {
                let ends = plan.lasts + seconds(time).unwrap_or_default();
                plan.children.push((child.to_owned(), ends));
            }
            (["sleep", time], _) => plan.lasts += seconds(time).unwrap_or_default(),
            (["echo", words @ .., ">&2"], _) => plan.write(Stream::Stderr, &words.join(" ")),
            (["echo", words @ ..], _) => plan.write(Stream::Stdout, &words.join(" ")),
            ([name, ..], _) => {
                plan.write(Stream::Stderr, &format!("sh: {name}: not found"));
                plan.exit_code = 127;
            }
        }
    }
    plan
}

impl Plan {
    /// Prints a line after all that came before.
    fn write(&mut self, stream: Stream, line: &str) {
        let line = format!("{line}\n");
        self.writes.push((self.lasts, stream, line.into()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Plan, Program, Stream};

    fn plan(argv: &[&str]) -> Result<Plan, String> {
        let program = Program {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            env: vec!["A=b".to_owned()],
            has_shell: true,
            ..Program::default()
        };
        program.plan()
    }

    fn check(argv: &[&str], stdout: &str, stderr: &str, exit_code: u8) {
        let plan = plan(argv).unwrap();
        let of = |wanted| {
            let writes = plan
                .writes
                .iter()
                .filter(|(_, stream, _)| *stream == wanted);
            let bytes: Vec<u8> = writes.flat_map(|(_, _, bytes)| bytes.clone()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let told = (of(Stream::Stdout), of(Stream::Stderr), plan.exit_code);
        let expected = (stdout.to_owned(), stderr.to_owned(), exit_code);
        assert_eq!(told, expected, "{argv:?}");
    }

    #[test]
    fn what_programs_print() {
        check(&["true"], "", "", 0);
        check(&["/bin/false"], "", "", 1);
        check(&["echo", "a", "$(b)"], "a $(b)\n", "", 0);
        check(&["printf", "a\\nb\\377"], "a\nb\u{fffd}", "", 0);
        check(&["id", "-u"], "0\n", "", 0);
        check(&["sleep", "x"], "", "sleep: invalid number 'x'\n", 1);
        check(
            &["sh", "-c", "echo o; echo e >&2; exit 3; echo no"],
            "o\n",
            "e\n",
            3,
        );
        check(&["sh", "-c", "nosuch"], "", "sh: nosuch: not found\n", 127);
    }

    #[test]
    fn how_long_programs_take() {
        let slept = plan(&["sh", "-c", "sleep 100 & sleep 2; echo done"]).unwrap();
        assert_eq!(slept.lasts, Duration::from_secs(2));
        let child = ("sleep 100".to_owned(), Duration::from_secs(100));
        assert_eq!(slept.children, [child]);
        assert_eq!(slept.writes[0].0, Duration::from_secs(2));
    }

    #[test]
    fn what_cannot_be_started() {
        for (argv, why) in [
            (
                ["nosuch"],
                "exec: \"nosuch\": executable file not found in $PATH",
            ),
            (
                ["/nope"],
                "exec: \"/nope\": stat /nope: no such file or directory",
            ),
            (["/tmp"], "exec: \"/tmp\": permission denied"),
        ] {
            assert!(plan(&argv).unwrap_err().contains(why), "{argv:?}");
        }
    }
}
