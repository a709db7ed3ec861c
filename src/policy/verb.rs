//! Verbs: the things that a caller can ask to do to a container.

use std::fmt;
use std::str::FromStr;

/// One thing that can be done to a container; written the same in the TOML, in URLs and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// See that the container exists and what state it is in.
    Status,
    /// Start it.
    Start,
    /// Stop it: its stop signal, then after the stop timeout SIGKILL.
    Stop,
    /// Stop and start it.
    Restart,
    /// Freeze its processes.
    Pause,
    /// Let frozen processes go on.
    Unpause,
    /// Send it a signal, SIGKILL unless said otherwise.
    Kill,
    /// Read what it prints.
    Logs,
    /// Read what it consumes.
    Stats,
    /// Run one of the commands that the configuration names inside it.
    Exec,
}

impl Verb {
    /// Every verb, in the order in which they are listed to people.
    pub const ALL: [Self; 10] = [
        Self::Status,
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Pause,
        Self::Unpause,
        Self::Kill,
        Self::Logs,
        Self::Stats,
        Self::Exec,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Kill => "kill",
            Self::Logs => "logs",
            Self::Stats => "stats",
            Self::Exec => "exec",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is no verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVerb;

impl FromStr for Verb {
    type Err = UnknownVerb;

    fn from_str(text: &str) -> Result<Self, UnknownVerb> {
        Self::ALL
            .into_iter()
            .find(|verb| verb.as_str() == text)
            .ok_or(UnknownVerb)
    }
}

/// A set of verbs, iterated in the order of [`Verb::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VerbSet(u16);

impl VerbSet {
    /// Adds a verb; answers whether it was new.
    pub const fn insert(&mut self, verb: Verb) -> bool {
        let new = !self.contains(verb);
        self.0 |= 1 << verb as u16;
        new
    }

    /// Whether the verb is in the set.
    #[must_use]
    pub const fn contains(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u16) != 0
    }

    /// Whether no verb is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The verbs in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL
            .into_iter()
            .filter(move |verb| self.contains(*verb))
    }
}

impl FromIterator<Verb> for VerbSet {
    fn from_iter<I: IntoIterator<Item = Verb>>(verbs: I) -> Self {
        let mut set = Self::default();
        for verb in verbs {
            set.insert(verb);
        }
        set
    }
}
