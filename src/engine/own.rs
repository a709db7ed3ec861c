//! Which container the gateway itself runs in.

use super::ContainerId;
use super::inspected::Inspected;

/// The files that an engine mounts into every container from a folder that is named by the container's id.
const MOUNTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// The container that this process runs in, as far as the kernel tells.
///
/// Not read from the host name, which a deployer may set. Where it belongs to another engine (Docker in Docker) no
/// container here is like it, so it does no harm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnContainer {
    id: Option<ContainerId>,
    /// The writable layer of its root, which no two containers share.
    layer: Option<String>,
}

impl OwnContainer {
    /// The container of this process; like no container outside one.
    #[must_use]
    pub fn of_process() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self::find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
    }

    /// The container with this id.
    #[must_use]
    pub const fn with_id(id: ContainerId) -> Self {
        Self {
            id: Some(id),
            layer: None,
        }
    }

    /// Its id, for people; it may be that of the container whose network this one shares.
    #[must_use]
    pub const fn id(&self) -> Option<&ContainerId> {
        self.id.as_ref()
    }

    /// Whether the container with this id is the one that the process runs in; none where it takes a look to know.
    pub(super) fn is_id(&self, id: &ContainerId) -> Option<bool> {
        match &self.layer {
            Some(_) => None,
            None => Some(self.id.as_ref() == Some(id)),
        }
    }

    /// Whether this is the container that the process runs in.
    pub(super) fn is(&self, found: &Inspected) -> bool {
        match (&self.layer, found.writable_layer().and_then(layer_in)) {
            (Some(own), Some(theirs)) => *own == theirs,
            (None, _) | (_, None) => self.id.as_ref() == Some(&found.id),
        }
    }

    fn find(mountinfo: &str, cgroup: &str) -> Self {
        // proc(5): the fourth field is the root of the mount within its file system, the fifth is where it is mounted.
        let mounts = mountinfo.lines().filter_map(|line| {
            let mut fields = line.split(' ').skip(3);
            Some((fields.next()?, fields.next()?, line))
        });
        let named_by_id = mounts
            .clone()
            .filter(|(_, point, _)| MOUNTED.contains(point))
            .map(|(root, _, _)| root);
        let mut roots = mounts.filter(|(_, point, _)| *point == "/");
        Self {
            // The cgroup first: the mounted files are another container's where this one shares its network. Within
            // containers in containers the innermost is ours.
            id: cgroup
                .lines()
                .chain(named_by_id)
                .find_map(|path| words(path).filter_map(|word| word.parse().ok()).last()),
            layer: roots.find_map(|(_, _, line)| {
                let (_, upper) = line.split_once("upperdir=")?;
                layer_in(upper.split([',', ' ']).next()?)
            }),
        }
    }
}

/// The name of a layer in a path such as `/var/lib/docker/overlay2/<name>/diff`.
fn layer_in(path: &str) -> Option<String> {
    let is_name =
        |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    words(path).find(is_name).map(ToOwned::to_owned)
}

/// The words of a path such as `/docker/<id>` or `docker-<id>.scope`.
fn words(path: &str) -> impl Iterator<Item = &str> {
    path.split(|c: char| !c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::OwnContainer;

    const ID: &str = "19376fe48d992c56674c61dcb31ff000c0b60ffe838f7a207b94657eca68995c";
    const LAYER: &str = "5d6db84a27f9b0ca4d5e5e6aa4ea9e5e1c1f1d7f0f5b4c3d2e1f00112233aabb";

    fn check(mountinfo: &str, cgroup: &str, expected: (Option<&str>, Option<&str>)) {
        let mountinfo = mountinfo.replace("ID", ID).replace("LAYER", LAYER);
        let found = OwnContainer::find(&mountinfo, &cgroup.replace("ID", ID));
        let id = found.id().map(super::ContainerId::as_str);
        assert_eq!(
            (id, found.layer.as_deref()),
            expected,
            "{mountinfo}{cgroup}"
        );
    }

    #[test]
    fn where_the_kernel_tells() {
        let hostname = "660 647 254:0 /var/lib/docker/containers/ID/hostname /etc/hostname rw - ext4 /dev/vda rw";
        check(hostname, "0::/\n", (Some(ID), None));
        check(
            "",
            "12:pids:/docker/ID\n0::/system.slice\n",
            (Some(ID), None),
        );
        check("", "0::/system.slice/docker-ID.scope\n", (Some(ID), None));
        let outer = "a".repeat(64);
        check(
            "",
            &format!("0::/docker/{outer}/docker/ID\n"),
            (Some(ID), None),
        );
        let peer =
            format!("660 647 254:0 /var/lib/docker/containers/{outer}/hostname /etc/hostname rw");
        check(&peer, "1:cpu:/docker/ID\n", (Some(ID), None));
        check("", "0::/user.slice\n", (None, None));
        let root = "647 520 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A:/x,upperdir=/var/lib/docker/overlay2/LAYER/diff,workdir=/y";
        check(root, "", (None, Some(LAYER)));
        check(
            &format!("{root}\n{hostname}\n"),
            "",
            (Some(ID), Some(LAYER)),
        );
    }

    #[test]
    fn a_host_that_runs_containers_is_not_in_one() {
        let shm = "300 25 0:49 / /var/lib/docker/containers/ID/mounts/shm rw - tmpfs shm rw";
        let merged = "301 25 0:50 / /var/lib/docker/overlay2/LAYER/merged rw - overlay overlay rw,upperdir=/var/lib/docker/overlay2/LAYER/diff";
        let plain = "30 25 254:0 /etc/hostname /etc/hostname rw - ext4 /dev/vda rw\n25 1 254:0 / / rw - ext4 /dev/vda rw";
        check(
            &format!("{shm}\n{merged}\n{plain}\n"),
            "0::/init.scope\n",
            (None, None),
        );
    }
}
