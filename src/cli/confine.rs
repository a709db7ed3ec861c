//! The confinement of `serve`: what it needs of this machine, and what is said of the rest being given up.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tracing::{error, info, warn};

use super::{MISTAKE, complain, report};
use crate::app::Source;
use crate::audit::Output;
use crate::config::{self, Config};
use crate::confine::{
    self, Access, Group, Landlock, Obstacle, Standing, forbid_privileges, leave_root,
};
use crate::engine::Host;
use crate::server::Listen;

/// Leaves root, privileges to gain, and all files and ports but those that the configuration needs. Answers the
/// configuration as the process can read it from now on, or the exit code.
pub(super) fn run(source: &Source, config: Config) -> Result<Config, u8> {
    let Source { file, environment } = source;
    let standing = leave_root(config.user, socket(&config.engine.host)).map_err(|error| {
        complain(&format!(
            "{error}; `server.user` asks for it: remove it, or start the container as that user (compose: `user:`)"
        ));
        MISTAKE
    })?;
    tell_user(standing, &config);
    let config = match standing {
        // A file that is closed to this user has to stop the start, not the first reload.
        Standing::Left(..) => {
            config::load(file, environment).map_err(|mistakes| report(&mistakes))?
        }
        Standing::Unprivileged(_) | Standing::Root | Standing::Stuck(_) => config,
    };
    match forbid_privileges() {
        Ok(()) => info!("no new privileges: nothing that this process runs can have more than it"),
        Err(error) => warn!(%error, "the kernel refuses to forbid new privileges"),
    }
    tell_landlock(&confine::restrict(&access(file, &config)));
    Ok(config)
}

fn socket(host: &Host) -> Option<&Path> {
    match host {
        Host::Unix(path) => Some(path.as_path()),
        Host::Tcp { .. } => None,
    }
}

fn tell_user(standing: Standing, config: &Config) {
    let engine = &config.engine.host;
    match standing {
        Standing::Left(user, Group::OfSocket(group)) => {
            info!(%user, group, "left root; the group is that of the engine's socket");
        }
        Standing::Left(user, Group::Unneeded) => {
            info!(%user, "left root; the engine needs no group of it");
        }
        Standing::Left(user, Group::Unknown) => warn!(
            %user,
            %engine,
            "left root without the group of the engine's socket, for there is no such socket: start Docker first, and then this again"
        ),
        Standing::Unprivileged(uid) => match config.user {
            Some(user) if user.uid() != uid => info!(
                uid,
                "not started as root, so it stays this user whatever `server.user` says"
            ),
            Some(_) | None => info!(uid, "not started as root, so there is none to leave"),
        },
        Standing::Root => warn!(
            "running as root: name another user in `server.user`, such as `65532`, and root is left at the start"
        ),
        Standing::Stuck(Obstacle::Capabilities) => warn!(
            "running as root all the same: leaving it for `server.user` takes two capabilities (compose: `cap_add: [SETUID, SETGID]`)"
        ),
        Standing::Stuck(Obstacle::Socket { uid, gid, mode }) => warn!(
            %engine,
            owner = uid,
            group = gid,
            mode = format_args!("{mode:03o}"),
            "running as root all the same: the engine's socket would be closed to `server.user`. Where Docker itself runs without root this is as it should be; else open the socket to its group (`chmod g+rw`)"
        ),
    }
}

fn tell_landlock(landlock: &Landlock) {
    match landlock {
        Landlock::Enforced { abi } => {
            info!(
                abi,
                "Landlock: nothing is in reach but what the configuration names"
            );
        }
        Landlock::Partial { abi } => {
            // landlock(7): which version brought what.
            let (ports, scopes) = (*abi >= 4, *abi >= 6);
            info!(
                abi,
                files = true,
                ports,
                scopes,
                "Landlock: nothing is in reach but what the configuration names, as far as this kernel restricts it"
            );
        }
        Landlock::Missing => info!(
            "no Landlock: this kernel has none, or the container's seccomp profile hides it; files are guarded by their owners and modes alone"
        ),
        Landlock::Failed(why) => error!(
            why,
            "the kernel has Landlock, and refuses it: files are guarded by their owners and modes alone"
        ),
    }
}

/// What resolving a host name reads.
const NAMES: [&str; 5] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/host.conf",
];

/// Where the C library finds the parts of itself that resolve names, unless it is linked into the program.
const LIBRARIES: [&str; 5] = [
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
];

const DOMAIN_PORT: u16 = 53;

/// What serving by this configuration takes.
fn access(file: &Path, config: &Config) -> Access {
    let mut access = Access::default();
    // The directories, because a file that replaces another one is another file.
    for file in std::iter::once(file).chain(config.files.iter().map(PathBuf::as_path)) {
        access.read.push(folder(file));
        access.read.extend(linked(file));
    }
    for file in config.tls_files() {
        access.read.push(folder(file));
        access.read.extend(linked(file));
    }
    if let Some(Output::File(file)) = &config.audit.output {
        access.write.push(folder(file));
    }
    for listen in &config.server.listen {
        match listen {
            Listen::Tcp(address) => access.listen.push(address.port()),
            Listen::Unix(path) => access.sockets.push(folder(path)),
        }
    }
    match &config.engine.host {
        Host::Unix(_) => {}
        Host::Tcp { host, port } => {
            access.connect.push(*port);
            if host.parse::<IpAddr>().is_err() {
                access.connect.push(DOMAIN_PORT);
                access.read.extend(NAMES.map(PathBuf::from));
                let links = NAMES.iter().flat_map(|name| linked(Path::new(name)));
                access.read.extend(links);
                if !cfg!(target_feature = "crt-static") {
                    access.read.extend(LIBRARIES.map(PathBuf::from));
                }
            }
        }
    }
    access
}

/// The directory of a file; of a file at the very top itself, or everything would be let in with it.
fn folder(file: &Path) -> PathBuf {
    // Fails for an empty path, and where there is no current directory; then the file is out of reach anyway.
    let file = std::path::absolute(file).unwrap_or_default();
    match file.parent() {
        Some(parent) if parent.parent().is_some() => parent.to_owned(),
        Some(_) | None => file,
    }
}

/// The directories that links on the way to a file, and the file itself as a link, stand in and lead to: to swap such a
/// link is a way to change the file.
fn linked(file: &Path) -> Vec<PathBuf> {
    /// Links to links to links: the kernel follows no more than 40.
    const MOST: usize = 40;
    /// Every system has these, and nobody swaps them; what they stand in is not meant to be in reach.
    const OF_THE_SYSTEM: [&str; 2] = ["/var/run", "/var/lock"];
    let file = std::path::absolute(file).unwrap_or_default();
    let mut found = Vec::new();
    for part in file.ancestors() {
        let mut at = part.to_owned();
        for _ in 0..MOST {
            let Ok(target) = at.read_link() else { break };
            if !OF_THE_SYSTEM.iter().any(|known| at == Path::new(known)) {
                found.push(folder(&at));
            }
            at = at.parent().unwrap_or(Path::new("/")).join(target);
        }
        if at != part {
            // Where the last of them leads, with all `..` resolved.
            found.extend(at.canonicalize().map(|target| folder(&target)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use crate::config::{self, Environment};
    use crate::confine::Access;

    fn check(file: &str, settings: &str, expected: &Access) {
        let text = format!("{settings}\n[containers.a]\nallow = [\"status\"]\n");
        let config = config::parse("x.toml", &text, &Environment::default()).unwrap();
        let mut access = super::access(Path::new(file), &config);
        // Which of them are links, and where to, is the machine's business.
        access.read.truncate(expected.read.len());
        assert_eq!(access, *expected, "{file} {settings}");
    }

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn what_is_named_is_in_reach() {
        let folder = || paths(&["/nowhere/conf"]);
        let (file, ports) = ("/nowhere/conf/x.toml", vec![8089]);
        let least = Access {
            read: folder(),
            listen: ports.clone(),
            ..Access::default()
        };
        check(file, "", &least);
        check(
            file,
            "[server]\nlisten = [\"0.0.0.0:80\", \"[::1]:0\", \"unix:/run/x/y.sock\"]",
            &Access {
                sockets: paths(&["/run/x"]),
                listen: vec![80, 0],
                ..least.clone()
            },
        );
        check(
            file,
            "[engine]\nhost = \"tcp://10.0.0.2:2375\"",
            &Access {
                connect: vec![2375],
                ..least.clone()
            },
        );
        check(
            file,
            "[engine]\nhost = \"tcp://proxy\"",
            &Access {
                read: paths(&["/nowhere/conf", "/etc/resolv.conf", "/etc/hosts"]),
                connect: vec![2375, 53],
                ..least
            },
        );
    }

    /// Or all files would be.
    #[test]
    fn the_top_directory_is_not_in_reach() {
        let alone = Access {
            read: paths(&["/nowhere.toml"]),
            sockets: paths(&["/run"]),
            ..Access::default()
        };
        let listen = "[server]\nlisten = \"unix:/run/x.sock\"";
        check("/nowhere.toml", listen, &alone);
        let here = std::env::current_dir().unwrap();
        let least = Access {
            read: vec![here],
            ..alone
        };
        check("x.toml", listen, &least);
    }
}
