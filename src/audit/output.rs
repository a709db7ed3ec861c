//! Where the lines go: standard output, or the end of a file that others may rotate.

use std::fmt;
use std::fs::{File, symlink_metadata};
use std::io::{self, ErrorKind, Write, stdout};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::Output;

/// Owner reads and writes, group reads, others do neither; less where the umask says so.
const MODE: Mode = Mode::from_raw_mode(0o640);

/// The output, open.
pub(super) struct Sink {
    /// None for standard output.
    path: Option<PathBuf>,
    file: File,
    /// Whether what was written last ended in the middle of a line.
    is_torn: bool,
}

impl Sink {
    pub(super) fn open(output: &Output) -> Result<Self, OpenError> {
        let failed = |cause| OpenError::of(output, cause);
        match output {
            Output::Stdout => {
                let file = stdout().as_fd().try_clone_to_owned();
                Ok(Self {
                    path: None,
                    file: file.map_err(failed)?.into(),
                    is_torn: false,
                })
            }
            Output::File(path) => {
                let file = append(path).map_err(failed)?;
                Ok(Self {
                    is_torn: ends_in_a_line(&file).map_err(failed)?,
                    path: Some(path.clone()),
                    file,
                })
            }
        }
    }

    /// Writes a line, at once where the output takes it at once.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(path) = &self.path {
            if !is_at(&self.file, path) {
                self.file = append(path)?;
                self.is_torn = ends_in_a_line(&self.file)?;
            } else if self.is_torn {
                // Somebody may have cut the file to nothing.
                self.is_torn = ends_in_a_line(&self.file)?;
            }
        }
        write(&mut self.file, &mut self.is_torn, line)
    }
}

/// The output cannot be written to.
#[derive(Debug)]
pub struct OpenError {
    output: Output,
    cause: io::Error,
}

impl OpenError {
    pub(super) fn of(output: &Output, cause: io::Error) -> Self {
        Self {
            output: output.clone(),
            cause,
        }
    }
}

impl fmt::Display for OpenError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is not ours, and other kinds have no advice of their own"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { output, cause } = self;
        write!(f, "cannot write the audit trail to {output}: {cause}; ")?;
        match cause.kind() {
            ErrorKind::NotFound => f.write_str("make its directory, or name another file"),
            ErrorKind::PermissionDenied => write!(
                f,
                "let the user with the id {} write there, or name another file",
                rustix::process::geteuid().as_raw()
            ),
            ErrorKind::ReadOnlyFilesystem => {
                f.write_str("mount a directory that can be written to, or name another file")
            }
            _ => f.write_str("name an ordinary file, or \"stdout\" for standard output"),
        }?;
        f.write_str(" (audit.output)")
    }
}

impl std::error::Error for OpenError {}

/// Opens a file to write at its end, wherever that is by then, and makes it where there is none.
fn append(path: &Path) -> io::Result<File> {
    // Reading is for the look at how the file ends.
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY;
    // SECURITY: a link that somebody plants where the file was rotated away must not make us write into another file.
    // A pipe that nobody reads must not make us wait.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match open(path, flags, MODE) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(io::Error::other("it is a symbolic link")),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not an ordinary file"))
    }
}

/// Whether this is still the file at that path, which rotation may have moved or removed.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(theirs)) = (file.metadata(), symlink_metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
}

/// Whether the file ends without the end of a line, as a full disk leaves it.
fn ends_in_a_line(file: &File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if let Some(at) = file.metadata()?.len().checked_sub(1) {
        file.read_at(&mut last, at)?;
    }
    Ok(last != [b'\n'])
}

/// Writes a line, on a line of its own whatever came before it.
fn write(output: &mut dyn Write, is_torn: &mut bool, line: &[u8]) -> io::Result<()> {
    // One write for one line: what is killed in between has written all of it, or nothing.
    let torn_line = [b"\n", line].concat();
    let mut rest = if *is_torn { torn_line.as_slice() } else { line };
    while !rest.is_empty() {
        let written = match output.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let (taken, left) = rest.split_at_checked(written).unwrap_or((rest, &[]));
        *is_torn = !taken.ends_with(b"\n");
        rest = left;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, ErrorKind, Write};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use tempfile::tempdir;

    use super::{Sink, write};
    use crate::audit::Output;

    /// A disk that has only so many bytes left, and takes so many at a time.
    struct Disk {
        written: Vec<u8>,
        left: usize,
        at_a_time: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.left).min(self.at_a_time);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.left -= taken;
            self.written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Writes lines to a disk that has `left` bytes left while the second is written, and room enough for the others.
    fn check_full(left: usize, at_a_time: usize, expected: &str) {
        let mut is_torn = false;
        let mut disk = Disk {
            written: Vec::new(),
            left: usize::MAX,
            at_a_time,
        };
        write(&mut disk, &mut is_torn, b"one\n").unwrap();
        disk.left = left;
        assert_eq!(write(&mut disk, &mut is_torn, b"two\n").is_ok(), left >= 4);
        disk.left = usize::MAX;
        write(&mut disk, &mut is_torn, b"three\n").unwrap();
        write(&mut disk, &mut is_torn, b"four\n").unwrap();
        assert_eq!(String::from_utf8(disk.written).unwrap(), expected);
    }

    #[test]
    fn half_a_line_joins_no_other() {
        check_full(0, 100, "one\nthree\nfour\n");
        check_full(2, 100, "one\ntw\nthree\nfour\n");
        check_full(3, 1, "one\ntwo\nthree\nfour\n");
        check_full(4, 1, "one\ntwo\nthree\nfour\n");
    }

    /// The line end that is made up for may be all that still fits.
    #[test]
    fn a_disk_that_stays_full() {
        let (mut is_torn, mut disk) = (
            false,
            Disk {
                written: Vec::new(),
                left: 2,
                at_a_time: 100,
            },
        );
        for (line, left) in [("one\n", 1), ("two\n", 0), ("three\n", 100)] {
            write(&mut disk, &mut is_torn, line.as_bytes()).unwrap_err();
            disk.left = left;
        }
        write(&mut disk, &mut is_torn, b"four\n").unwrap();
        assert_eq!(disk.written, b"on\nfour\n");
    }

    #[test]
    fn rotation_by_name_removal_and_truncation() {
        let folder = tempdir().unwrap();
        let (path, old) = (folder.path().join("a.jsonl"), folder.path().join("a.1"));
        let read = |path| fs::read_to_string(path).unwrap();
        let mut sink = Sink::open(&Output::File(path.clone())).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o137,
            0,
            "nobody else reads it"
        );
        sink.write(b"1\n").unwrap();
        fs::rename(&path, &old).unwrap();
        sink.write(b"2\n").unwrap();
        assert_eq!((read(&old), read(&path)), ("1\n".into(), "2\n".into()));

        // Another file has come to be there meanwhile.
        fs::rename(&path, &old).unwrap();
        fs::write(&path, "by logrotate\n").unwrap();
        sink.write(b"3\n").unwrap();
        assert_eq!(read(&path), "by logrotate\n3\n");

        fs::remove_file(&path).unwrap();
        sink.write(b"4\n").unwrap();
        assert_eq!(read(&path), "4\n");

        fs::copy(&path, &old).unwrap();
        fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(0)
            .unwrap();
        sink.write(b"5\n").unwrap();
        assert_eq!((read(&old), read(&path)), ("4\n".into(), "5\n".into()));
    }

    #[test]
    fn what_was_torn_before_joins_nothing() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        for (before, after) in [("", "1\n"), ("0\n", "0\n1\n"), ("{\"ti", "{\"ti\n1\n")] {
            fs::write(&path, before).unwrap();
            let mut sink = Sink::open(&Output::File(path.clone())).unwrap();
            sink.write(b"1\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
        // After a failure, what counts is what the file is then.
        let mut sink = Sink::open(&Output::File(path.clone())).unwrap();
        sink.is_torn = true;
        fs::File::create(&path).unwrap();
        sink.write(b"2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
    }

    #[test]
    fn only_an_ordinary_file_is_written_to() {
        let folder = tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("precious"), "untouched").unwrap();
        symlink(at("precious"), at("link")).unwrap();
        symlink(at("new"), at("dangling")).unwrap();
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for (path, part) in [
            (at("link"), "symbolic link; name an ordinary file"),
            (at("dangling"), "symbolic link"),
            (at("pipe"), "not an ordinary file; name"),
            (at("socket"), "name an ordinary file"),
            (at("folder"), "name an ordinary file"),
            ("/dev/full".into(), "not an ordinary file"),
            ("/dev/stdout".into(), "\"stdout\" for standard output"),
            (at("nowhere/a.jsonl"), "make its directory"),
        ] {
            let Err(error) = Sink::open(&Output::File(path.clone())) else {
                panic!("{} was opened", path.display())
            };
            let told = error.to_string();
            assert!(told.contains(part), "{told}");
            assert!(told.contains(path.to_str().unwrap()), "{told}");
        }
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "untouched");
        assert!(!at("new").exists());
    }

    /// The same holds for what is found at the path after a rotation.
    #[test]
    fn a_planted_link_is_not_followed() {
        let folder = tempdir().unwrap();
        let (path, precious) = (
            folder.path().join("a.jsonl"),
            folder.path().join("precious"),
        );
        let mut sink = Sink::open(&Output::File(path.clone())).unwrap();
        fs::write(&precious, "untouched").unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&precious, &path).unwrap();
        sink.write(b"1\n").unwrap_err();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "untouched");
        fs::remove_file(&path).unwrap();
        sink.write(b"2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
    }
}
