//! Ids of containers, the only names under which the engine is asked to act.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A container's whole id: 64 lower-case hexadecimal digits. Cheap to clone.
///
/// SECURITY: bollard (0.21.1) pastes what it is given into a URL unescaped, and the engine takes any unique beginning
/// of an id for a name. Of such texts only a whole id names exactly one container for ever, and has no slash, dot,
/// percent sign or query in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerId(Arc<str>);

impl ContainerId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is no whole id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId;

impl FromStr for ContainerId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(is_hex) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ContainerId;

    #[test]
    fn only_whole_ids() {
        let whole = "0123456789abcdef".repeat(4);
        assert!(whole.parse::<ContainerId>().is_ok());
        for bad in [
            String::new(),
            "7".to_owned(),
            "0123456789ab".to_owned(),
            whole.to_uppercase(),
            format!("{whole}0"),
            format!("{}/", "a".repeat(63)),
            format!("{}?x", "a".repeat(62)),
            "ａ".repeat(64),
        ] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad}");
        }
    }
}
