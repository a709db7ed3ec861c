//! Landlock: which files and ports are left to the process, where the kernel has it.

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope, make_bitflags,
};

/// What the process needs from its start to its end. Nothing else is left to it, and nothing can be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Files, and directories with all that is below them, to be read.
    pub read: Vec<PathBuf>,
    /// Directories in which, and below which, files are made, read and written.
    pub write: Vec<PathBuf>,
    /// Directories in which, and below which, sockets are made, and files removed.
    pub sockets: Vec<PathBuf>,
    /// TCP ports to connect to.
    pub connect: Vec<u16>,
    /// TCP ports to listen on; port 0 is any that the kernel chooses.
    pub listen: Vec<u16>,
}

/// What became of [`restrict`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landlock {
    /// All of it is enforced.
    Enforced {
        /// The kernel's version of Landlock.
        abi: i32,
    },
    /// Only what this older kernel knows is enforced.
    Partial {
        /// The kernel's version of Landlock.
        abi: i32,
    },
    /// The kernel has no Landlock, or a filter hides it.
    Missing,
    /// The kernel has Landlock and refused it, with this reason.
    Failed(String),
}

/// Leaves nothing but `access` to this thread and to those that it starts later, for good. Also forbids new privileges.
///
/// A path that does not exist gives access to nothing, also when it comes to exist later.
#[must_use]
pub fn restrict(access: &Access) -> Landlock {
    match enforce(access) {
        Ok(status) => told(&status),
        Err(error) => Landlock::Failed(error.to_string()),
    }
}

/// The newest version that this was tested with. The next one to matter is 9, which restricts connecting to sockets by
/// path.
const TESTED: ABI = ABI::V7;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const WRITE: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | MakeReg | RemoveFile | Truncate});
const SOCKETS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{MakeSock | RemoveFile});

/// What a file can be given, which has nothing below it.
const OF_FILE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate});

fn enforce(access: &Access) -> Result<RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(TESTED))?
        .handle_access(AccessNet::ConnectTcp | AccessNet::BindTcp)?
        // SECURITY: other programs of the same user are out of reach, too.
        .scope(Scope::from_all(TESTED))?
        .create()?;
    let paths = [
        (&access.read, READ),
        (&access.write, WRITE),
        (&access.sockets, SOCKETS),
    ];
    for (paths, rights) in paths {
        for path in paths {
            let Ok(opened) = PathFd::new(path) else {
                continue;
            };
            let rights = if path.is_dir() {
                rights
            } else {
                rights & OF_FILE
            };
            rules = rules.add_rule(PathBeneath::new(opened, rights))?;
        }
    }
    let ports = [
        (&access.connect, AccessNet::ConnectTcp),
        (&access.listen, AccessNet::BindTcp),
    ];
    for (ports, right) in ports {
        for port in ports {
            rules = rules.add_rule(NetPort::new(*port, right))?;
        }
    }
    rules.restrict_self()
}

fn told(status: &RestrictionStatus) -> Landlock {
    let LandlockStatus::Available {
        effective_abi,
        kernel_abi,
    } = status.landlock
    else {
        return Landlock::Missing;
    };
    let abi = kernel_abi.unwrap_or(effective_abi as i32);
    match status.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Enforced { abi },
        RulesetStatus::PartiallyEnforced => Landlock::Partial { abi },
        RulesetStatus::NotEnforced => Landlock::Missing,
    }
}
