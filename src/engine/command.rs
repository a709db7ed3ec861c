//! What can be asked of the engine about one container, and what it answers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::policy::{Operation, Verb};

/// Look at a container.
#[derive(Clone, Copy, Debug)]
pub struct Look;

impl Operation for Look {
    fn verb(&self) -> Verb {
        Verb::Status
    }
}

/// Change a container's state.
#[derive(Clone, Debug)]
pub enum Change {
    /// Start it.
    Start,
    /// Stop it.
    Stop {
        /// How long it may take to stop by itself; `None`: as long as the container's own settings say.
        timeout: Option<Duration>,
    },
    /// Stop and start it.
    Restart {
        /// As for [`Change::Stop`].
        timeout: Option<Duration>,
    },
    /// Freeze its processes.
    Pause,
    /// Let its processes go on.
    Unpause,
    /// Send a signal to its first process.
    Kill {
        /// Which one; `None`: SIGKILL.
        signal: Option<Signal>,
    },
}

impl Operation for Change {
    fn verb(&self) -> Verb {
        match self {
            Self::Start => Verb::Start,
            Self::Stop { .. } => Verb::Stop,
            Self::Restart { .. } => Verb::Restart,
            Self::Pause => Verb::Pause,
            Self::Unpause => Verb::Unpause,
            Self::Kill { .. } => Verb::Kill,
        }
    }
}

/// What became of a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The engine did it.
    Done,
    /// A start changed nothing: the engine's answer 304.
    AlreadyRunning,
    /// A stop changed nothing: the engine's answer 304.
    AlreadyStopped,
}

/// A signal that Linux knows. Cheap to keep, and nothing else can reach the engine's query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal(String);

/// The names of signal(7), without `SIG`. Docker knows the same.
const SIGNALS: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS",
    "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU",
    "XFSZ",
];

impl Signal {
    /// The names that it goes by, without `SIG`; the real-time ones with a number after them are further ones.
    pub const NAMES: &[&str] = &SIGNALS;

    /// As the engine takes it: a name without `SIG`, or a number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSignal;

impl fmt::Display for InvalidSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signal is a name such as `TERM` or `SIGHUP`, or a number from 1 to 64")
    }
}

impl FromStr for Signal {
    type Err = InvalidSignal;

    /// Reads a name in any letter case, with or without `SIG`, or a number from 1 to 64.
    fn from_str(text: &str) -> Result<Self, InvalidSignal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit())
            && text
                .parse::<u8>()
                .is_ok_and(|number| (1..=64).contains(&number));
        if is_number || SIGNALS.contains(&name) || is_realtime(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidSignal)
        }
    }
}

/// `RTMIN+1` to `RTMIN+15` and `RTMAX-1` to `RTMAX-14`: the names that Docker has for them.
fn is_realtime(name: &str) -> bool {
    let (offset, most) = match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(offset), _) => (offset, 15),
        (_, Some(offset)) => (offset, 14),
        (None, None) => return false,
    };
    offset.starts_with(|first: char| ('1'..='9').contains(&first))
        && offset.parse::<u8>().is_ok_and(|offset| offset <= most)
}

#[cfg(test)]
mod tests {
    use super::Signal;

    fn check(text: &str, expected: Option<&str>) {
        let signal = text.parse::<Signal>().ok();
        assert_eq!(signal.as_ref().map(Signal::as_str), expected, "{text}");
    }

    #[test]
    fn signals() {
        check("TERM", Some("TERM"));
        check("SIGTERM", Some("TERM"));
        check("hup", Some("HUP"));
        check("RTMIN+3", Some("RTMIN+3"));
        check("SIGRTMAX-14", Some("RTMAX-14"));
        check("9", Some("9"));
        check("64", Some("64"));
        for bad in [
            "",
            "0",
            "65",
            "+9",
            "-9",
            "FOO",
            "SIG",
            "SIGSIGTERM",
            "TERM ",
            "TERM&x=1",
            "RTMIN+0",
            "RTMIN+01",
            "RTMIN+16",
            "RTMAX-15",
            "RTMIN+",
            "\n",
            "ＴＥＲＭ",
        ] {
            check(bad, None);
        }
    }
}
