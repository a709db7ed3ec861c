//! Landlock: what is out of reach of a thread that it confines, by trying.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::channel;

use relayer_controller::confine::{Access, Landlock, restrict};
use rustix::process::{getppid, test_kill_process};
use tempfile::TempDir;

use crate::confine::has_landlock;

/// One thing to try, with whether it can be done.
type Try<'a> = (
    &'a str,
    bool,
    Box<dyn Fn() -> std::io::Result<()> + Send + Sync + 'a>,
);

/// Landlock holds for a thread and those that it starts, so this process can try it on one.
#[test]
fn what_is_not_named_is_out_of_reach() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["conf", "audit", "sockets", "other"] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("x"), name).unwrap();
    }
    let _engine = UnixListener::bind(at("other/engine.sock")).unwrap();
    let abstract_name = format!("relayer-controller-{}", std::process::id());
    let abstract_address = UnixAddress::from_abstract_name(abstract_name).unwrap();
    let _outside = UnixListener::bind_addr(&abstract_address).unwrap();
    let [reached, unreached] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [own, foreign] = [(); 2].map(|()| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    });
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let access = Access {
        read: vec![at("conf"), at("other/there-is-none")],
        write: vec![at("audit")],
        sockets: vec![at("sockets")],
        connect: vec![port(&reached)],
        listen: vec![own.port(), 0],
    };
    let parent = getppid().unwrap();

    let read = |path: PathBuf| move || fs::read(&path).map(drop);
    let write = |path: PathBuf| {
        move || {
            let mut file = fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(&path)?;
            file.write_all(b"x")
        }
    };
    let remove = |path: PathBuf| move || fs::remove_file(&path);
    let list = |path: PathBuf| move || fs::read_dir(&path).map(drop);
    let make_socket = |path: PathBuf| move || UnixListener::bind(&path).map(drop);
    let connect = |port: u16| move || TcpStream::connect(("127.0.0.1", port)).map(drop);
    let listen = |address: SocketAddr| move || TcpListener::bind(address).map(drop);
    let run = |program: &'static str| move || Command::new(program).status().map(drop);
    let tries: Vec<Try<'_>> = vec![
        ("read the configuration", true, Box::new(read(at("conf/x")))),
        ("list its directory", true, Box::new(list(at("conf")))),
        ("write it", false, Box::new(write(at("conf/x")))),
        (
            "make a file beside it",
            false,
            Box::new(write(at("conf/y"))),
        ),
        ("remove it", false, Box::new(remove(at("conf/x")))),
        ("write the log", true, Box::new(write(at("audit/x")))),
        ("make a log", true, Box::new(write(at("audit/y")))),
        ("read a log", true, Box::new(read(at("audit/y")))),
        (
            "make a socket among logs",
            false,
            Box::new(make_socket(at("audit/s"))),
        ),
        (
            "make a socket",
            true,
            Box::new(make_socket(at("sockets/s"))),
        ),
        ("remove it again", true, Box::new(remove(at("sockets/s")))),
        (
            "make a file among sockets",
            false,
            Box::new(write(at("sockets/y"))),
        ),
        (
            "read a file among sockets",
            false,
            Box::new(read(at("sockets/x"))),
        ),
        ("read elsewhere", false, Box::new(read(at("other/x")))),
        ("list elsewhere", false, Box::new(list(at("other")))),
        ("list the directory above", false, Box::new(list(at("")))),
        ("write elsewhere", false, Box::new(write(at("other/x")))),
        (
            "make a file elsewhere",
            false,
            Box::new(write(at("other/y"))),
        ),
        ("remove elsewhere", false, Box::new(remove(at("other/x")))),
        (
            "make a socket elsewhere",
            false,
            Box::new(make_socket(at("other/s"))),
        ),
        (
            "read a list of users",
            false,
            Box::new(read("/etc/passwd".into())),
        ),
        (
            "read about processes",
            false,
            Box::new(read("/proc/self/status".into())),
        ),
        ("run a program", false, Box::new(run("/bin/true"))),
        (
            "connect to the engine",
            true,
            Box::new(|| UnixStream::connect(at("other/engine.sock")).map(drop)),
        ),
        (
            "connect to an abstract socket",
            false,
            Box::new(|| UnixStream::connect_addr(&abstract_address).map(drop)),
        ),
        (
            "connect to the named port",
            true,
            Box::new(connect(port(&reached))),
        ),
        (
            "connect to another port",
            false,
            Box::new(connect(port(&unreached))),
        ),
        ("listen on the named port", true, Box::new(listen(own))),
        (
            "listen on any port",
            true,
            Box::new(listen(SocketAddr::from(([127, 0, 0, 1], 0)))),
        ),
        ("listen on another port", false, Box::new(listen(foreign))),
        (
            "signal another process",
            false,
            Box::new(move || Ok(test_kill_process(parent)?)),
        ),
    ];
    let (told, confined) = channel();
    let (go, gone) = channel();
    let results = std::thread::scope(|scope| {
        let tries = &tries;
        let access = &access;
        let thread = scope.spawn(move || {
            told.send(restrict(access)).unwrap();
            gone.recv().unwrap();
            let errors = tries.iter().map(|(_, _, act)| act().err());
            errors.collect::<Vec<_>>()
        });
        let landlock = confined.recv().unwrap();
        // A file that replaces another one, as editors do it.
        fs::write(at("other/new"), "new").unwrap();
        fs::rename(at("other/new"), at("conf/x")).unwrap();
        go.send(()).unwrap();
        (landlock, thread.join().unwrap())
    });
    let (landlock, results) = results;
    let said = match landlock {
        Landlock::Enforced { abi } => {
            format!("Landlock: nothing is in reach but what the configuration names abi={abi}")
        }
        other @ (Landlock::Partial { .. } | Landlock::Missing | Landlock::Failed(_)) => {
            format!("{other:?}")
        }
    };
    if !has_landlock(&said) {
        return;
    }
    for ((what, can, _), error) in tries.iter().zip(results) {
        match error {
            None => assert!(*can, "{what}: it can"),
            Some(error) => {
                assert!(!*can, "{what}: {error}");
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}: {error}");
            }
        }
    }
    let untouched = fs::read_to_string(at("other/x")).unwrap();
    assert_eq!(untouched, "other");
    // Without the confinement all of it can be done, or this would prove nothing.
    for (what, can, act) in &tries {
        if !can {
            act().unwrap_or_else(|error| panic!("{what}, unconfined: {error}"));
        }
    }
}
