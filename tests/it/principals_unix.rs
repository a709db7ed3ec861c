//! Callers on a Unix listener: known by their user.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;

use relayer_controller::engine::OwnContainer;
use tempfile::TempDir;

use crate::gateway::Gateway;
use crate::http::{self, Answer};
use crate::principals::tables;
use crate::stage::new_prefix;

pub(crate) fn ask_over(socket: &Path, method: &str, headers: &str, path: &str) -> Answer {
    let mut stream = UnixStream::connect(socket).unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    http::parse(&answer).unwrap()
}

/// Who comes over a Unix listener is known by its user, or else by its group; a token counts before both.
#[test]
fn users_of_this_machine() {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    for (key, number, expected) in [
        ("uid", uid, "local"),
        ("gid", gid, "local"),
        ("uid", uid + 1, ""),
        ("gid", gid + 1, ""),
    ] {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("gateway.sock");
        let lines = format!(
            "listen = [\"127.0.0.1:0\", \"unix:{}\"]\n",
            socket.display()
        );
        let local = format!("[principals.local]\n{key} = {number}\nroles = [\"viewer\"]\n");
        let nowhere = "unix:///nowhere/docker.sock";
        let own = OwnContainer::default();
        let gateway = Gateway::start_with(&lines, &new_prefix(), nowhere, own, &tables(&local));
        let who = |headers: &str| {
            let answer = ask_over(&socket, "GET", headers, "/whoami");
            answer.json()["principal"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(who(""), expected, "{key}");
        assert_eq!(who("Authorization: Bearer operator-token\r\n"), "operator");
        assert_eq!(who("Authorization: Bearer wrong\r\n"), "", "{key}");
        // The same user over TCP has shown nothing.
        let over_tcp = |address: SocketAddr| http::ask(address, "GET", "/whoami").status;
        assert_eq!(over_tcp(gateway.address), 401);
    }
}
