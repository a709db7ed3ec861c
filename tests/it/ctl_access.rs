//! Whom `ctl` asks, over what, and what it shows: tokens, Unix sockets, TLS.

use std::fs;
use std::net::UdpSocket;

use relayer_controller::authn::TokenHash;
use relayer_controller::engine::OwnContainer;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::ctl::{NOWHERE, TABLES, check, check_complaint, ctl, ctl_with, url};
use crate::gateway::Gateway;
use crate::stage::{Stage, new_prefix};

const PRINCIPALS: &str = r#"
[containers.a]
allow = ["status", "stop"]
[roles.viewer]
allow = ["status"]
[principals.bot]
token = "HASH"
roles = ["viewer"]
"#;

#[test]
fn who_asks() {
    let secret = "rlc_0123456789abcdef";
    let tables = PRINCIPALS.replace("HASH", &TokenHash::of(secret).written());
    let stage = Stage::pretend(&tables);
    stage.running("a");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{secret}\n")).unwrap();
    let file = file.to_str().unwrap();
    let url = url(&stage);
    let ask = |variables: &[(&str, &str)], arguments: &[&str]| {
        let all = [&[("RELAYER_CONTROLLER_URL", url.as_str())], variables].concat();
        let output = ctl_with(&all, arguments);
        for stream in [&output.stdout, &output.stderr] {
            assert!(
                !String::from_utf8_lossy(stream).contains("rlc_0123"),
                "{arguments:?}"
            );
        }
        output
    };
    let table = "CONTAINER   STATUS\na           running\n";
    check(
        &ask(&[("RELAYER_CONTROLLER_TOKEN", secret)], &["ls"]),
        0,
        table,
        "",
    );
    check(
        &ask(&[("RELAYER_CONTROLLER_TOKEN_FILE", file)], &["ls"]),
        0,
        table,
        "",
    );
    check(&ask(&[], &["ls", "--token-file", file]), 0, table, "");
    // What is said on the command line counts.
    let both = [("RELAYER_CONTROLLER_TOKEN", "rlc_0123wrong")];
    check(&ask(&both, &["--token-file", file, "ls"]), 0, table, "");
    check_complaint(
        &ask(&[], &["ls"]),
        1,
        "Unauthorized: it wants to know who asks; set `RELAYER_CONTROLLER_TOKEN`, or name a file that has the token in \
         `--token-file`",
    );
    check_complaint(
        &ask(&both, &["ls"]),
        1,
        "Unauthorized: it does not accept the token of `RELAYER_CONTROLLER_TOKEN`; was it replaced, or has it expired?",
    );
    let stop = ask(&[("RELAYER_CONTROLLER_TOKEN", secret)], &["stop", "a"]);
    check_complaint(&stop, 1, "Forbidden: stop is not allowed on a");
    // There is no option for the token itself.
    let argument = ask(&[], &["ls", "--token", "x"]);
    assert_eq!(argument.status.code(), Some(2));
}

/// SECURITY: what others could read is not sent.
#[test]
fn a_token_does_not_leave_this_machine_in_the_open() {
    // The address by which this machine would reach others; nothing is sent for that.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let outside = socket
        .connect("192.0.2.1:9")
        .and_then(|()| socket.local_addr());
    let Some(outside) = outside.ok().filter(|address| !address.ip().is_loopback()) else {
        println!("no network: not tested beyond loopback");
        return;
    };
    let gateway = Gateway::start_with(
        "listen = \"0.0.0.0:0\"\n",
        &new_prefix(),
        NOWHERE,
        OwnContainer::default(),
        TABLES,
    );
    let url = format!("http://{}:{}", outside.ip(), gateway.address.port());
    let variables = [
        ("RELAYER_CONTROLLER_URL", url.as_str()),
        ("RELAYER_CONTROLLER_TOKEN", "rlc_secret"),
    ];
    let told = format!(
        "error: the token of `RELAYER_CONTROLLER_TOKEN` would go to {url} for everybody on the way to read, and was not \
         sent; use `https://`, or say `--plaintext-token` where the network is your own\n"
    );
    check(&ctl_with(&variables, &["whoami"]), 2, "", &told);
    let bold = ctl_with(&variables, &["whoami", "--plaintext-token"]);
    assert_eq!(bold.status.code(), Some(0), "{bold:?}");
    let nobody = ctl(&url, &["whoami"]);
    assert_eq!(nobody.status.code(), Some(0), "{nobody:?}");
}

#[test]
fn over_a_unix_socket() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("api.sock");
    let listen = format!(
        "listen = [\"127.0.0.1:0\", \"unix:{}\"]\n",
        socket.display()
    );
    let gateway = Gateway::start_with(
        &listen,
        &new_prefix(),
        NOWHERE,
        OwnContainer::default(),
        TABLES,
    );
    let by_socket = ctl(&format!("unix://{}", socket.display()), &["whoami"]);
    let by_tcp = ctl(
        &format!("http://localhost:{}", gateway.address.port()),
        &["whoami"],
    );
    let table = String::from_utf8(by_tcp.stdout).unwrap();
    assert!(table.starts_with("principal   anonymous\n"), "{table}");
    check(&by_socket, 0, &table, "");
}

#[test]
fn over_tls() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let authority = Authority::new("ours");
    fs::write(at("ca.pem"), authority.pem()).unwrap();
    fs::write(at("other.pem"), Authority::new("other").pem()).unwrap();
    authority
        .issue(&["localhost"])
        .write(folder.path(), "server");
    let client = authority.issue(&["screen"]);
    client.write(folder.path(), "client");
    fs::write(at("both.pem"), client.certificate + &client.key).unwrap();
    let settings = |rest: &str| {
        format!(
            "listen = \"127.0.0.1:0\"\ntls.certificate = \"{}\"\ntls.key = \"{}\"\n{rest}",
            at("server.pem"),
            at("server.key")
        )
    };
    let start = |rest: &str| {
        let prefix = new_prefix();
        Gateway::start_with(
            &settings(rest),
            &prefix,
            NOWHERE,
            OwnContainer::default(),
            TABLES,
        )
    };
    let gateway = start("");
    let port = gateway.address.port();
    let url = format!("https://localhost:{port}");
    let (ca, other) = (at("ca.pem"), at("other.pem"));
    let good = ctl(&url, &["whoami", "--cacert", &ca]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let variable = [
        ("RELAYER_CONTROLLER_CACERT", ca.as_str()),
        ("RELAYER_CONTROLLER_URL", &url),
    ];
    assert_eq!(ctl_with(&variable, &["whoami"]).status.code(), Some(0));
    for (url, cacert, part) in [
        (
            &url,
            &other,
            "not issued by an authority in the file of `--cacert`",
        ),
        (
            &format!("https://127.0.0.1:{port}"),
            &ca,
            "its certificate is not for `127.0.0.1`, but for `localhost`; have that name put into it, or write one \
             that is in it in `--url`",
        ),
        (&url, &at("none.pem"), "`--cacert` cannot be used: `"),
    ] {
        check_complaint(&ctl(url, &["ls", "--cacert", cacert]), 2, part);
    }
    let plain = ctl(&format!("http://localhost:{port}"), &["ls"]);
    check_complaint(&plain, 1, "This port speaks TLS: use https");

    let plain = Gateway::start(&new_prefix(), NOWHERE, OwnContainer::default(), TABLES);
    let url_of_plain = format!("https://localhost:{}", plain.address.port());
    let output = ctl(&url_of_plain, &["ls", "--cacert", &ca]);
    check_complaint(
        &output,
        2,
        "what answers there does not speak TLS; does it have `[server.tls]`?",
    );

    let strict = start(&format!("tls.client_ca = \"{ca}\"\n"));
    let url = format!("https://localhost:{}", strict.address.port());
    let nobody = ctl(&url, &["ls", "--cacert", &ca]);
    check_complaint(
        &nobody,
        2,
        "it demands a client certificate; name one in `--cert` and `--key`",
    );
    for shown in [
        &["--cert", &at("client.pem"), "--key", &at("client.key")][..],
        &["--cert", &at("both.pem")],
    ] {
        let output = ctl(&url, &[&["whoami", "--cacert", &ca], shown].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}
