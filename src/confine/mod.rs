//! Edge: what this process may do, given up to the kernel: root, privileges to gain, files, ports.
//!
//! SECURITY: everything here holds for one thread and for those that it starts later, so it is done before there are
//! others. Whoever takes over the gateway is then an unprivileged user with an engine's socket, and no more.

mod landlock;
mod user;

use std::io;

pub use landlock::{Access, Landlock, restrict};
pub use user::{Error, Group, InvalidUser, Obstacle, Standing, User, leave_root};

/// Sees to it that no program that this process runs can have more privileges than itself, such as by a set-uid file.
///
/// # Errors
///
/// The kernel's, which is of one before Linux 3.5, or of a filter that forbids the call.
pub fn forbid_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}
