//! Signals as callers name them, as far as a pretend process can tell them apart.

use super::refusal::Refusal;

/// The names that Linux has, without SIG; real-time ones apart.
const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "UNUSED", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN",
];

/// A signal that dockerd would parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGKILL: ends the process.
    Kill,
    /// SIGTERM: asks it to leave.
    Term,
    /// One that a pretend process does not act on.
    Other,
    /// A number that is no signal on Linux, as dockerd prints it.
    Unsupported(u64),
}

impl Signal {
    /// Reads a name with or without SIG, in any case, or a number. The empty text is SIGKILL.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Ok(Self::Kill);
        }
        let invalid = Refusal::new(400, format!("Invalid signal: {text}"));
        if let Ok(number) = text.parse::<i64>() {
            return Self::from_number(number).ok_or(invalid);
        }
        let upper = text.to_uppercase();
        match upper.strip_prefix("SIG").unwrap_or(&upper) {
            "KILL" => Ok(Self::Kill),
            "TERM" => Ok(Self::Term),
            name if NAMES.contains(&name) || is_real_time(name) => Ok(Self::Other),
            _ => Err(invalid),
        }
    }

    const fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => None,
            9 => Some(Self::Kill),
            15 => Some(Self::Term),
            1..=31 | 34..=64 => Some(Self::Other),
            // dockerd prints a negative number as the unsigned one with the same bits.
            _ => Some(Self::Unsupported(number.cast_unsigned())),
        }
    }
}

/// `RTMAX`, `RTMIN+1` to `RTMIN+15`, and `RTMAX-1` to `RTMAX-14`.
fn is_real_time(name: &str) -> bool {
    let within = |offset: &str, most: u8| {
        !offset.starts_with(['0', '+']) && offset.parse().is_ok_and(|number: u8| number <= most)
    };
    name == "RTMAX"
        || name
            .strip_prefix("RTMIN+")
            .is_some_and(|offset| within(offset, 15))
        || name
            .strip_prefix("RTMAX-")
            .is_some_and(|offset| within(offset, 14))
}
