//! Patterns: which containers a role is about.

use std::fmt;
use std::str::FromStr;

use super::ContainerName;

/// The most characters that a pattern can have.
const MAX_LENGTH: usize = 128;

/// A pattern for container names: a name in which `*` stands for any characters, also none, and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

/// The text cannot be a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPattern;

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a pattern is a container's name in which `*` stands for any characters and `?` for one, at most \
             {MAX_LENGTH} in all"
        )
    }
}

impl std::error::Error for InvalidPattern {}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let plain = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'*' | b'?')
        };
        if (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPattern)
        }
    }
}

impl Pattern {
    /// Whether the whole name is as the pattern says. Letter case counts.
    #[must_use]
    pub fn matches(&self, name: &ContainerName) -> bool {
        let (mut pattern, mut rest) = (self.0.as_bytes(), name.as_str().as_bytes());
        // After the last `*`: what follows it, and the text that it has not taken yet. It takes more when the rest does
        // not fit; an earlier `*` need not, so the work is at most the product of both lengths.
        let mut star: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern.split_first(), rest.split_first()) {
                (None, None) => return true,
                (Some((b'*', after)), _) => {
                    pattern = after;
                    star = Some((after, rest));
                }
                (Some((one, after)), Some((byte, left))) if *one == b'?' || one == byte => {
                    (pattern, rest) = (after, left);
                }
                _ => {
                    let Some((after, [_, left @ ..])) = star else {
                        return false;
                    };
                    (pattern, rest) = (after, left);
                    star = Some((after, left));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn check(pattern: &str, names: &[(&str, bool)]) {
        let parsed: Pattern = pattern.parse().unwrap();
        for (name, expected) in names {
            assert_eq!(
                parsed.matches(&name.parse().unwrap()),
                *expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn names() {
        check(
            "muxer",
            &[("muxer", true), ("muxer2", false), ("amuxer", false)],
        );
        check("*", &[("a", true), ("a.b-c", true)]);
        check(
            "ffmpeg-*",
            &[("ffmpeg-kick", true), ("ffmpeg-", true), ("ffmpeg", false)],
        );
        check(
            "*-kick",
            &[
                ("ffmpeg-kick", true),
                ("a-kick-kick", true),
                ("kick", false),
            ],
        );
        check(
            "a*b*c",
            &[
                ("abc", true),
                ("a1b2b3c", true),
                ("acb", false),
                ("ab", false),
            ],
        );
        check("a?c", &[("abc", true), ("ac", false), ("abbc", false)]);
        check("?*", &[("a", true), ("ab", true)]);
        check("**a", &[("a", true), ("ba", true), ("ab", false)]);
        check("A*", &[("a", false)]);
        check("a.b", &[("axb", false), ("a.b", true)]);
    }

    #[test]
    fn many_stars_are_no_trap() {
        let pattern = "*a".repeat(60);
        let name = format!("{}b", "a".repeat(120));
        check(&pattern, &[(&name, false)]);
    }

    #[test]
    fn what_is_no_pattern() {
        for bad in ["", "a b", "[ab]", "{a,b}", "a/b", "ä", &"x".repeat(129)] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }
}
