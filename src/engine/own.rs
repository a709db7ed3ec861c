//! Which container the gateway itself runs in.

use super::ContainerId;

/// The files that an engine mounts into every container from a folder that is named by the container's id.
const MOUNTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// The container that this process runs in; `None` outside one.
///
/// Read from the kernel and not from the host name, which a deployer may set. Where an id belongs to another engine
/// (Docker in Docker) no container here has it, so it does no harm.
#[must_use]
pub fn container() -> Option<ContainerId> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

fn find(mountinfo: &str, cgroup: &str) -> Option<ContainerId> {
    // proc(5): the fourth field is the root of the mount within its file system, the fifth is where it is mounted.
    let mounts = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        MOUNTED.contains(&point).then_some(root)
    });
    mounts.chain(cgroup.lines()).find_map(id_in)
}

/// The first 64-hex word of a path such as `/docker/<id>` or `docker-<id>.scope`.
fn id_in(path: &str) -> Option<ContainerId> {
    path.split(|c: char| !c.is_ascii_alphanumeric())
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::find;

    const ID: &str = "19376fe48d992c56674c61dcb31ff000c0b60ffe838f7a207b94657eca68995c";

    fn check(mountinfo: &str, cgroup: &str, expected: Option<&str>) {
        let mountinfo = mountinfo.replace("ID", ID);
        let cgroup = cgroup.replace("ID", ID);
        let found = find(&mountinfo, &cgroup);
        assert_eq!(
            found.as_ref().map(super::ContainerId::as_str),
            expected,
            "{mountinfo}{cgroup}"
        );
    }

    #[test]
    fn where_the_id_stands() {
        let hostname = "660 647 254:0 /var/lib/docker/containers/ID/hostname /etc/hostname rw - ext4 /dev/vda rw";
        check(hostname, "0::/\n", Some(ID));
        check("", "12:pids:/docker/ID\n0::/system.slice\n", Some(ID));
        check("", "0::/system.slice/docker-ID.scope\n", Some(ID));
        check("", "0::/user.slice\n", None);
    }

    #[test]
    fn a_host_that_runs_containers_is_not_in_one() {
        let shm = "300 25 0:49 / /var/lib/docker/containers/ID/mounts/shm rw - tmpfs shm rw";
        let plain = "30 25 254:0 /etc/hostname /etc/hostname rw - ext4 /dev/vda rw";
        check(&format!("{shm}\n{plain}\n"), "0::/init.scope\n", None);
    }
}
