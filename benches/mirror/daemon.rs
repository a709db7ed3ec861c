//! The processor time that the engine uses: that of dockerd and of the containerd that it started.
//!
//! What runs in the containers, and the shims that hold them, are not counted.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;

/// The processes of an engine.
pub(crate) struct Daemon {
    processes: Vec<u32>,
}

impl Daemon {
    /// The engine behind this socket; or why its processes cannot be told, as where it runs on another host.
    pub(crate) fn behind(socket: &Path) -> Result<Self, String> {
        let stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
        let peer = socket_peercred(&stream).map_err(|error| error.to_string())?;
        let listens = u32::try_from(peer.pid.as_raw_nonzero().get()).map_err(|e| e.to_string())?;
        // Where a service manager opened the socket for it, the one that listens is not dockerd.
        let all = processes();
        let dockerd = all
            .iter()
            .filter(|process| process.name == "dockerd")
            .max_by_key(|process| process.id == listens)
            .ok_or("dockerd is not among the processes of this machine")?;
        let containerds = all
            .iter()
            .filter(|process| process.name == "containerd" && process.parent == dockerd.id);
        let processes = containerds.chain([dockerd]).map(|process| process.id);
        Ok(Self {
            processes: processes.collect(),
        })
    }

    /// The processor time used while this runs, as a share of one processor, in percent.
    pub(crate) fn share<T>(&self, run: impl FnOnce() -> T) -> (f64, T) {
        let (begun, before) = (Instant::now(), self.used());
        let result = run();
        let used = self.used().saturating_sub(before);
        let share = used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
        (share, result)
    }

    /// Waits until it has done what it was asked for before, as long as that takes a bearable time.
    pub(crate) fn settle(&self) {
        for _ in 0..100 {
            let (share, ()) = self.share(|| thread::sleep(Duration::from_millis(200)));
            if share < 2.0 {
                return;
            }
        }
    }

    /// By the scheduler's own count, which is exact; that in `stat` is in hundredths of a second.
    fn used(&self) -> Duration {
        let of_thread = |folder: fs::DirEntry| {
            let counted = fs::read_to_string(folder.path().join("schedstat")).ok()?;
            counted.split(' ').next()?.parse::<u64>().ok()
        };
        let folders = self.processes.iter().filter_map(|process| {
            let threads = fs::read_dir(format!("/proc/{process}/task"));
            threads.ok()
        });
        let nanoseconds = folders
            .flatten()
            .flatten()
            .filter_map(of_thread)
            .sum::<u64>();
        Duration::from_nanos(nanoseconds)
    }
}

struct Process {
    id: u32,
    parent: u32,
    name: String,
}

fn processes() -> Vec<Process> {
    let read = |entry: fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // "4711 (name) S 1 …", and the name may have parentheses.
        let (_, rest) = stat.split_once('(')?;
        let (name, rest) = rest.rsplit_once(')')?;
        let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
        let name = name.to_owned();
        Some(Process { id, parent, name })
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(read).collect()
}
