//! Who the process is: root is left for a user who keeps nothing of it but the group of the engine's socket.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::str::FromStr;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

/// A user other than root, by number, with a primary group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// The user with this number and primary group; none for root, and for the numbers that mean nobody at all.
    #[must_use]
    pub const fn new(uid: u32, gid: u32) -> Option<Self> {
        // SECURITY: to the kernel the largest number says "leave it as it is", which would be root.
        if uid == 0 || uid == u32::MAX || gid == u32::MAX {
            return None;
        }
        Some(Self { uid, gid })
    }

    /// The user's number.
    #[must_use]
    pub const fn uid(self) -> u32 {
        self.uid
    }

    /// Becomes this user for good, with these groups besides the primary one.
    ///
    /// # Errors
    ///
    /// Where the change was not made whole: the process must not go on then.
    pub fn become_with(self, groups: &[u32]) -> Result<(), Error> {
        // SECURITY: the kernel changes one thread. Another one would stay root, and could be made to act for us.
        let threads = fs::read_dir("/proc/self/task").map(Iterator::count);
        if !matches!(threads, Ok(1)) {
            return Err(self.error("it cannot be seen that there is one thread only"));
        }
        // In this order: without the first user's capabilities no group can be changed.
        let list: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        set_thread_groups(&list)
            .and_then(|()| set_thread_res_gid(gid, gid, gid))
            .and_then(|()| set_thread_res_uid(uid, uid, uid))
            // Gone already, unless whoever started us made them stay (secure bits).
            .and_then(|()| set_capabilities(None, NOTHING))
            .map_err(|error| self.error(&error.to_string()))?;
        let status = fs::read_to_string("/proc/self/status")
            .map_err(|error| self.error(&error.to_string()))?;
        match self.mismatch(groups, &status) {
            None => Ok(()),
            Some(line) => Err(self.error(&format!("the kernel says `{line}` of the process"))),
        }
    }

    /// The first line of `/proc/self/status` that is not as it should be.
    fn mismatch(self, groups: &[u32], status: &str) -> Option<String> {
        let four = |number: u32| vec![number.to_string(); 4];
        let none = || vec!["0".repeat(16)];
        let mut sorted = groups.to_vec();
        sorted.sort_unstable();
        let expected = [
            ("Uid:", four(self.uid)),
            ("Gid:", four(self.gid)),
            ("Groups:", sorted.iter().map(u32::to_string).collect()),
            ("CapInh:", none()),
            ("CapPrm:", none()),
            ("CapEff:", none()),
            ("CapAmb:", none()),
        ];
        expected.into_iter().find_map(|(name, values)| {
            let found = status.lines().find_map(|line| line.strip_prefix(name));
            let is_same = found.is_some_and(|found| found.split_whitespace().eq(&values));
            (!is_same).then(|| format!("{name}{}", found.unwrap_or_default()))
        })
    }

    fn error(self, why: &str) -> Error {
        Error(format!("cannot become the user {self}: {why}"))
    }

    /// Whether this user, with or without the group of a file, may do to the file what the bit allows.
    const fn may(self, bit: u32, file: Owned, with_group: bool) -> bool {
        // As the kernel does: the first class that fits decides, even where a later one would allow more.
        let class = if self.uid == file.uid {
            6
        } else if with_group || self.gid == file.gid {
            3
        } else {
            0
        };
        file.mode >> class & bit != 0
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

impl FromStr for User {
    type Err = InvalidUser;

    /// `UID` or `UID:GID`; without a group the primary one has the user's number.
    fn from_str(text: &str) -> Result<Self, InvalidUser> {
        let (uid, gid) = match text.split_once(':') {
            Some((uid, gid)) => (uid, Some(gid)),
            None => (text, None),
        };
        let uid = number(uid, InvalidUser::UserName)?;
        let gid = gid.map_or(Ok(uid), |gid| number(gid, InvalidUser::GroupName))?;
        if uid == 0 {
            return Err(InvalidUser::Root);
        }
        Self::new(uid, gid).ok_or(InvalidUser::Form)
    }
}

/// Why a text is no [`User`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidUser {
    /// The user is root.
    Root,
    /// The user is given by a name.
    UserName,
    /// The group is given by a name.
    GroupName,
    /// Anything else than `UID` or `UID:GID`.
    Form,
}

/// Who the process is after [`leave_root`], and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Root was left for this user.
    Left(User, Group),
    /// There was no root to leave: this user, by number.
    Unprivileged(u32),
    /// Root, because nobody asked for another user.
    Root,
    /// Root, although another user was asked for.
    Stuck(Obstacle),
}

/// The one group that the user has besides the primary one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// That of the engine's socket, by number.
    OfSocket(u32),
    /// None: the engine is reached without it.
    Unneeded,
    /// None: there is no socket yet to take it from.
    Unknown,
}

/// Why root was not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// `CAP_SETUID` and `CAP_SETGID` are not both there.
    Capabilities,
    /// The engine's socket would be closed to the user.
    Socket {
        /// Its owner's number.
        uid: u32,
        /// Its group's number.
        gid: u32,
        /// Its mode's last nine bits.
        mode: u32,
    },
}

/// A change of user that failed, maybe halfway: the process must not go on.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Makes root this user, who can connect to the engine's socket; without a socket the engine is reached by TCP. Root
/// stays where nobody asked for a user, where it has not the capabilities to leave, and where the socket is root's alone.
///
/// # Errors
///
/// A change that failed, maybe halfway.
pub fn leave_root(user: Option<User>, socket: Option<&Path>) -> Result<Standing, Error> {
    if !geteuid().is_root() {
        return Ok(Standing::Unprivileged(geteuid().as_raw()));
    }
    let Some(user) = user else {
        return Ok(Standing::Root);
    };
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    if !capabilities(None).is_ok_and(|sets| sets.effective.contains(needed)) {
        return Ok(Standing::Stuck(Obstacle::Capabilities));
    }
    let group = match socket.map(Owned::of) {
        None => Group::Unneeded,
        Some(Err(_unseen)) => Group::Unknown,
        Some(Ok(socket)) => match door(user, socket) {
            Ok(group) => group,
            Err(obstacle) => return Ok(Standing::Stuck(obstacle)),
        },
    };
    let groups = match group {
        Group::OfSocket(gid) => vec![gid],
        Group::Unneeded | Group::Unknown => Vec::new(),
    };
    user.become_with(&groups)?;
    Ok(Standing::Left(user, group))
}

const NOTHING: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

/// The longest name of a user or group that Linux knows, in bytes.
const MAX_NAME: usize = 32;

/// What a mode allows: connecting to a socket is writing to it.
const WRITE: u32 = 0o2;

/// Whose a file is.
#[derive(Clone, Copy, Debug)]
struct Owned {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Owned {
    /// Whose a socket is, where there is one.
    fn of(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        if !file.file_type().is_socket() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self {
            uid: file.uid(),
            gid: file.gid(),
            mode: file.mode() & 0o777,
        })
    }
}

/// The group with which the user can connect to the socket.
const fn door(user: User, socket: Owned) -> Result<Group, Obstacle> {
    let Owned { uid, gid, mode } = socket;
    if user.may(WRITE, socket, false) {
        Ok(Group::Unneeded)
    } else if user.may(WRITE, socket, true) {
        Ok(Group::OfSocket(gid))
    } else {
        Err(Obstacle::Socket { uid, gid, mode })
    }
}

fn number(text: &str, name: InvalidUser) -> Result<u32, InvalidUser> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(plain)
        && text.len() <= MAX_NAME;
    match text.parse() {
        // `+5` is a number to the library, and to nobody else.
        Ok(number) if !text.starts_with('+') => Ok(number),
        Err(_) if is_name => Err(name),
        Ok(_) | Err(_) => Err(InvalidUser::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, InvalidUser, Obstacle, Owned, User, door};

    fn user(text: &str) -> User {
        text.parse().unwrap()
    }

    #[test]
    fn users_are_written_by_number() {
        let check = |text: &str, expected: Result<&str, InvalidUser>| {
            let parsed = text.parse::<User>().map(|user| user.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        };
        check("65532", Ok("65532:65532"));
        check("1000:998", Ok("1000:998"));
        check("1000:0", Ok("1000:0"));
        check("0", Err(InvalidUser::Root));
        check("00", Err(InvalidUser::Root));
        check("0:998", Err(InvalidUser::Root));
        check("nobody", Err(InvalidUser::UserName));
        check("_apt:1", Err(InvalidUser::UserName));
        check("1000:docker", Err(InvalidUser::GroupName));
        for text in [
            "",
            ":",
            "1000:",
            ":998",
            "1:2:3",
            "-1",
            "+1",
            " 1",
            "1 ",
            "0x10",
            "1.5",
            "4294967295",
            "1:4294967295",
            "4294967296",
            "a b",
        ] {
            check(text, Err(InvalidUser::Form));
        }
    }

    /// The socket as `stat` shows it, and as whom it is opened.
    #[test]
    fn the_group_that_opens_the_socket() {
        let check = |who: &str, (uid, gid, mode): (u32, u32, u32), expected| {
            let found = door(user(who), Owned { uid, gid, mode });
            assert_eq!(found, expected, "{who} {uid}:{gid} {mode:o}");
        };
        let closed = |(uid, gid, mode)| Err(Obstacle::Socket { uid, gid, mode });
        check("65532", (0, 998, 0o660), Ok(Group::OfSocket(998)));
        check("65532", (0, 0, 0o660), Ok(Group::OfSocket(0)));
        check("65532", (0, 998, 0o666), Ok(Group::Unneeded));
        // In the group it would be shut out.
        check("65532", (0, 998, 0o606), Ok(Group::Unneeded));
        check("65532:998", (0, 998, 0o606), closed((0, 998, 0o606)));
        check("65532:998", (0, 998, 0o660), Ok(Group::Unneeded));
        check("1000", (1000, 998, 0o600), Ok(Group::Unneeded));
        check("1000", (1000, 998, 0o066), closed((1000, 998, 0o066)));
        check("65532", (0, 998, 0o600), closed((0, 998, 0o600)));
        // Reading alone does not connect.
        check("65532", (0, 998, 0o644), closed((0, 998, 0o644)));
        check("65532", (0, 998, 0o640), closed((0, 998, 0o640)));
    }

    #[test]
    fn what_the_kernel_says_is_compared() {
        const NONE: &str = "0000000000000000";
        let good = format!(
            "Name:\tx\nUid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\nGroups:\t4 998 \nNoNewPrivs:\t0\nCapInh:\t{NONE}\nCapPrm:\t{NONE}\nCapEff:\t{NONE}\nCapBnd:\t00000000000000c0\nCapAmb:\t{NONE}\n"
        );
        let check = |groups: &[u32], status: &str, expected: Option<&str>| {
            let found = user("5:6").mismatch(groups, status);
            assert_eq!(found.as_deref(), expected);
        };
        check(&[998, 4], &good, None);
        check(&[998], &good, Some("Groups:\t4 998 "));
        check(&[4, 998], "", Some("Uid:"));
        for (right, wrong) in [
            ("Uid:\t5\t5\t5\t5", "Uid:\t5\t5\t0\t5"),
            ("Gid:\t6\t6\t6\t6", "Gid:\t6\t6\t6\t0"),
            ("CapInh:\t0000000000000000", "CapInh:\t0000000000000001"),
            ("CapPrm:\t0000000000000000", "CapPrm:\t0000000000000080"),
            ("CapEff:\t0000000000000000", "CapEff:\t0000000000000080"),
            ("CapAmb:\t0000000000000000", "CapAmb:\t8000000000000000"),
        ] {
            check(&[4, 998], &good.replace(right, wrong), Some(wrong));
        }
    }

    /// The threads of a test are many, and so nothing is changed.
    #[test]
    fn a_process_with_threads_is_refused() {
        let before = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let error = user("5:6").become_with(&[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot become the user 5:6: it cannot be seen that there is one thread only"
        );
        let uid = |status: &str| {
            status
                .lines()
                .find(|line| line.starts_with("Uid"))
                .map(str::to_owned)
        };
        let after = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert_eq!(uid(&before), uid(&after));
    }
}
