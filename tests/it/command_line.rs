//! The command line: arguments, exit codes, and what is said on which stream.

use relayer_controller::authn::TokenHash;

use crate::http;
use crate::program::{GOOD, Running, check, program, with_file};

#[test]
fn check_says_good_or_everything_that_is_wrong() {
    let (_folder, mut command) = with_file(GOOD);
    check(
        &command.arg("check").output().unwrap(),
        0,
        "1 managed container with the prefix `relayer-`",
        "",
    );
    let (_folder, mut command) =
        with_file("[containers.a]\nallow = [\"strat\"]\nstop_timeout = 3\n[serve]\n");
    let output = command.arg("check").output().unwrap();
    for part in [
        "relayer-controller.toml:2:10",
        "`start`",
        "relayer-controller.toml:3:16",
        "relayer-controller.toml:4:2",
        "`server`",
    ] {
        check(&output, 2, "", part);
    }
    let mut shipped = program();
    check(
        &shipped
            .args(["check", "-c", "relayer-controller.toml"])
            .output()
            .unwrap(),
        0,
        "5 managed",
        "",
    );
}

#[test]
fn explain_names_the_line() {
    let (_folder, command) = with_file(GOOD);
    let mut command = command;
    check(
        &command.args(["explain", "status", "a"]).output().unwrap(),
        0,
        "containers.a.allow (relayer-controller.toml:6:1)",
        "",
    );
    for (arguments, code, stdout, stderr) in [
        (
            ["explain", "start", "a"],
            1,
            "not granted by containers.a.allow (relayer-controller.toml:6:1)",
            "",
        ),
        (["explain", "start", "b"], 1, "hidden", ""),
        (["explain", "strat", "a"], 2, "", "'start'"),
        (
            ["explain", "start", "a/b"],
            2,
            "",
            "a name is a letter or digit",
        ),
    ] {
        let (_folder, mut command) = with_file(GOOD);
        check(
            &command.args(arguments).output().unwrap(),
            code,
            stdout,
            stderr,
        );
    }
    let (_folder, mut command) = with_file(GOOD);
    check(
        &command
            .args(["explain", "--as", "bot", "start", "a"])
            .output()
            .unwrap(),
        2,
        "",
        "anonymous",
    );
}

const PRINCIPALS: &str = r#"
[containers.a]
allow = ["status", "stop"]
[containers.b]
allow = ["status"]
[roles.viewer]
allow = ["status"]
[roles.operator]
allow = ["status", "stop"]
containers = ["a"]
[roles.careful]
forbid = ["stop"]
[principals.bot]
token = "HASH"
roles = ["operator", "careful"]
[principals.boss]
uid = 1
roles = ["operator"]
[server]
listen = ["127.0.0.1:0", "unix:/tmp/nowhere.sock"]
"#;

/// The rule that decides, with its line; the exit code is the answer.
#[test]
fn explain_for_a_principal() {
    for (principal, verb, container, code, said) in [
        (
            "boss",
            "stop",
            "a",
            0,
            "granted by roles.operator.allow (relayer-controller.toml:9:1)",
        ),
        (
            "bot",
            "stop",
            "a",
            1,
            "forbidden by roles.careful.forbid (relayer-controller.toml:12:1)",
        ),
        (
            "bot",
            "status",
            "a",
            0,
            "granted by roles.operator.allow (relayer-controller.toml:9:1)",
        ),
        (
            "boss",
            "status",
            "b",
            1,
            "hidden by principals.boss.roles (relayer-controller.toml:18:1)",
        ),
        (
            "bot",
            "stop",
            "b",
            1,
            "hidden by roles.careful.forbid (relayer-controller.toml:12:1)",
        ),
        (
            "boss",
            "kill",
            "a",
            1,
            "not granted by principals.boss.roles (relayer-controller.toml:18:1)",
        ),
        (
            "boss",
            "stop",
            "c",
            1,
            "hidden: relayer-controller.toml has no [containers.c]",
        ),
        (
            "anonymous",
            "status",
            "a",
            1,
            "has no [principals.anonymous], so whoever shows no credentials is refused (401)",
        ),
    ] {
        let hash = TokenHash::of("x").written();
        let (_folder, mut command) = with_file(&PRINCIPALS.replace("HASH", &hash));
        let output = command.args(["explain", "--as", principal, verb, container]);
        check(&output.output().unwrap(), code, said, "");
    }
    let (_folder, mut command) =
        with_file(&PRINCIPALS.replace("HASH", &TokenHash::of("x").written()));
    let output = command
        .args(["explain", "--as", "eve", "stop", "a"])
        .output();
    check(
        &output.unwrap(),
        2,
        "",
        "has no [principals.eve]; its principals are boss, bot",
    );
}

/// Two lines: the secret, and what goes into the file so that the secret is known.
#[test]
fn a_new_token_is_known_by_its_line() {
    let output = program().arg("token").output().unwrap();
    check(&output, 0, "rlc_", "");
    let printed = String::from_utf8(output.stdout).unwrap();
    let [secret, line] = printed.lines().collect::<Vec<_>>()[..] else {
        panic!("{printed}")
    };
    assert_eq!(secret.len(), 68, "{secret}");
    let again = program().arg("token").output().unwrap().stdout;
    assert_ne!(printed.as_bytes(), again, "the same token twice");

    let text = PRINCIPALS
        .replace("token = \"HASH\"", line)
        .replace(", \"unix:/tmp/nowhere.sock\"", "");
    let text = text.replace("[principals.boss]\nuid = 1\nroles = [\"operator\"]\n", "");
    let (_folder, mut command) = with_file(&text);
    let (_gateway, address) = Running::start(&mut command);
    let headers = format!("Authorization: Bearer {secret}\r\n");
    let whoami = http::ask_with(address, "GET", "/whoami", &headers, "").json();
    assert_eq!(whoami["principal"], "bot");
    assert_eq!(http::ask(address, "GET", "/whoami").status, 401);
    let health = http::ask(address, "GET", "/health");
    assert_eq!(health.body, "\"ok\"");
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    check(
        &program().arg("--help").output().unwrap(),
        0,
        "Usage: relayer-controller",
        "",
    );
    check(
        &program().arg("--version").output().unwrap(),
        0,
        env!("CARGO_PKG_VERSION"),
        "",
    );
    check(&program().arg("serv").output().unwrap(), 2, "", "'serve'");
    check(
        &program()
            .args(["check", "-c", "/nowhere.toml"])
            .output()
            .unwrap(),
        2,
        "",
        "/nowhere.toml",
    );
}
