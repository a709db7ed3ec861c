//! Signals as callers name them, as far as a pretend process can tell them apart.

use super::refusal::Refusal;

/// The names and numbers that Linux has, without SIG; real-time ones apart.
const NAMES: [(&str, u8); 34] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("UNUSED", 31),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", 34),
];
/// The last of the real-time signals.
const RTMAX: u8 = 64;
/// The first of them.
const RTMIN: u8 = 34;

/// A signal that dockerd would parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGKILL: ends the process.
    Kill,
    /// SIGTERM: asks it to leave.
    Term,
    /// One that a pretend process does not act on.
    Other(u8),
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
            name => NAMES
                .iter()
                .find_map(|(known, number)| (*known == name).then_some(*number))
                .or_else(|| real_time(name))
                .map(Self::Other)
                .ok_or(invalid),
        }
    }

    /// Its number.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Kill => 9,
            Self::Term => 15,
            Self::Other(number) => number.into(),
            Self::Unsupported(number) => number,
        }
    }

    fn from_number(number: i64) -> Option<Self> {
        match u8::try_from(number) {
            Ok(0) => None,
            Ok(9) => Some(Self::Kill),
            Ok(15) => Some(Self::Term),
            Ok(number @ (1..=31 | RTMIN..=RTMAX)) => Some(Self::Other(number)),
            // dockerd prints a negative number as the unsigned one with the same bits.
            Ok(_) | Err(_) => Some(Self::Unsupported(number.cast_unsigned())),
        }
    }
}

/// `RTMAX`, `RTMIN+1` to `RTMIN+15`, and `RTMAX-1` to `RTMAX-14`.
fn real_time(name: &str) -> Option<u8> {
    let within = |offset: &str, most: u8| {
        let number = offset.parse().ok().filter(|number: &u8| *number <= most);
        number.filter(|_| !offset.starts_with(['0', '+']))
    };
    if name == "RTMAX" {
        return Some(RTMAX);
    }
    match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(offset), _) => Some(RTMIN + within(offset, 15)?),
        (None, Some(offset)) => Some(RTMAX - within(offset, 14)?),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[test]
    fn signals_have_the_numbers_of_linux() {
        for (text, expected) in [
            ("", 9),
            ("9", 9),
            ("SIGTERM", 15),
            ("term", 15),
            ("hup", 1),
            ("SIGUSR2", 12),
            ("cld", 17),
            ("iot", 6),
            ("31", 31),
            ("64", 64),
            ("rtmin", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX", 64),
            ("rtmax-14", 50),
            ("32", 32),
            ("-1", u64::MAX),
        ] {
            assert_eq!(Signal::parse(text).unwrap().number(), expected, "{text}");
        }
        for text in ["0", "nosuch", "RTMIN+16", "RTMIN+0", "rtmax-15", "RTMAX-01"] {
            assert!(Signal::parse(text).is_err(), "{text}");
        }
    }
}
