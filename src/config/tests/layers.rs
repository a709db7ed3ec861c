//! Defaults, file, environment: which one wins, and what the health check may know.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{LEAST, read};
use crate::config::{Environment, listeners, load};
use crate::engine;
use crate::policy::{Decision, Denial, Principal, Verb};
use crate::server;

fn prefix(text: &str, variables: &[&str]) -> String {
    read(text, variables).unwrap().policy.prefix().to_string()
}

#[test]
fn absent_settings_are_the_defaults() {
    let config = read(LEAST, &[]).unwrap();
    assert_eq!(config.server, server::Settings::default());
    assert_eq!(config.engine, engine::Settings::default());
    assert_eq!(config.policy.prefix().as_str(), "relayer-");
    assert_eq!(
        config.containers.values().next().unwrap().stop_timeout,
        None
    );
}

/// What `ctl` goes by is nothing to the gateway, and only those very names are passed over.
#[test]
fn variables_of_the_client_are_passed_over() {
    for name in ["URL", "TOKEN", "TOKEN_FILE", "CACERT"] {
        let variable = |name: &str| format!("RELAYER_CONTROLLER_{name}=rlc_secret");
        read(LEAST, &[&variable(name)]).unwrap();
        for other in [
            format!("{name}S"),
            format!("SERVER__{name}"),
            name.to_lowercase(),
        ] {
            let mistakes = read(LEAST, &[&variable(&other)]).unwrap_err().to_string();
            assert!(mistakes.contains("is no setting"), "{mistakes}");
            assert!(!mistakes.contains("rlc_secret"), "{mistakes}");
        }
        // They are the client's names alone: the file has no such keys.
        let key = name.to_lowercase();
        let mistakes = read(&format!("{key} = \"x\"\n{LEAST}"), &[]).unwrap_err();
        assert!(
            mistakes.to_string().contains(&format!("`{key}`")),
            "{mistakes}"
        );
    }
}

#[test]
fn the_environment_lies_over_the_file() {
    let text = format!("[server]\nlisten = \"0.0.0.0:80\"\nworkers = 3\n{LEAST}");
    let variables = [
        "RELAYER_CONTROLLER_SERVER__LISTEN=127.0.0.1:1, unix:/run/x",
        "RELAYER_CONTROLLER_SERVER__MAX_CONNECTIONS=100",
        "RELAYER_CONTROLLER_ENGINE__TIMEOUT=1m 30s",
        "RELAYER_CONTROLLER_LIMITS__PER_PRINCIPAL=20/m",
        "RELAYER_CONTROLLER_LIMITS__CHANGES=3",
        "RELAYER_CONTROLLER_SERVER__CORS=https://a.example, https://b.example",
        "RELAYER_CONTROLLER_LOG__FORMAT=json",
        "RELAYER_CONTROLLER_CONFIG=/etc/x.toml",
        "HOME=/root",
    ];
    let config = read(&text, &variables).unwrap();
    let listen: Vec<String> = config
        .server
        .listen
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(listen, ["127.0.0.1:1", "unix:/run/x"]);
    assert_eq!(
        (config.server.max_connections, config.server.workers),
        (100, Some(3))
    );
    assert_eq!(config.engine.timeout, Duration::from_secs(90));
    assert_eq!(config.limits.per_principal, "20/m".parse().ok());
    assert_eq!(
        (config.limits.changes, config.browsers.origins.len()),
        (3, 2)
    );
}

/// Each layer may give a part of what only makes sense together.
#[test]
fn an_audit_trail_of_two_layers() {
    let output = "RELAYER_CONTROLLER_AUDIT__OUTPUT=stdout";
    let config = read(&format!("[audit]\nrequired = false\n{LEAST}"), &[output]).unwrap();
    let audit = (config.audit.output, config.audit.required);
    assert_eq!(audit, (Some(crate::audit::Output::Stdout), false));
    let required = "RELAYER_CONTROLLER_AUDIT__REQUIRED=false";
    let config = read(
        &format!("[audit]\noutput = \"a.jsonl\"\n{LEAST}"),
        &[required],
    )
    .unwrap();
    assert!(!config.audit.required);
    read(LEAST, &[required]).unwrap_err();
}

#[test]
fn every_setting_has_its_variable() {
    for (table, key, _) in crate::config::raw::SETTINGS {
        // Any text is a path, and no file goes alone.
        if table.contains('.') {
            continue;
        }
        let name = format!("{table}__{key}")
            .trim_start_matches('_')
            .to_uppercase();
        let mistakes = read(LEAST, &[&format!("RELAYER_CONTROLLER_{name}=?")]).unwrap_err();
        let [mistake] = mistakes.list() else {
            panic!("{mistakes}")
        };
        assert!(mistake.key().ends_with(key), "{mistakes}");
        assert!(mistake.what().contains("`?`"), "{mistakes}");
    }
}

#[test]
fn values_that_look_like_numbers_stay_text() {
    assert_eq!(prefix(LEAST, &["RELAYER_CONTROLLER_PREFIX=123"]), "123");
    assert_eq!(prefix(LEAST, &["RELAYER_CONTROLLER_PREFIX=true"]), "true");
}

#[test]
fn the_prefix_comes_from_whoever_says_it_first() {
    let named = format!("prefix = \"file-\"\n{LEAST}");
    let (variable, project) = (
        "RELAYER_CONTROLLER_PREFIX=variable-",
        "COMPOSE_PROJECT_NAME=project",
    );
    assert_eq!(prefix(LEAST, &[]), "relayer-");
    assert_eq!(prefix(LEAST, &[project]), "project-");
    assert_eq!(prefix(LEAST, &["COMPOSE_PROJECT_NAME="]), "relayer-");
    assert_eq!(prefix(&named, &[project]), "file-");
    assert_eq!(prefix(&named, &["COMPOSE_PROJECT_NAME=not valid"]), "file-");
    assert_eq!(prefix(LEAST, &[variable, project]), "variable-");
    assert_eq!(prefix(&named, &[variable]), "variable-");
    assert_eq!(prefix(&named, &["RELAYER_CONTROLLER_PREFIX="]), "file-");
    assert_eq!(prefix(&format!("prefix = \"\"\n{LEAST}"), &[project]), "");
}

#[test]
fn a_rule_names_its_line() {
    let config = read(&format!("# first\n{LEAST}"), &[]).unwrap();
    let decision = config.policy.decide(
        &Principal::anonymous(),
        Verb::Stop,
        &"muxer".parse().unwrap(),
    );
    let Decision::Deny(Denial::NotGranted { by }) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(
        by.to_string(),
        "containers.muxer.allow (relayer-controller.toml:3:1)"
    );
}

#[test]
fn a_container_may_be_killed_at_once() {
    let config = read(&format!("{LEAST}stop_timeout = \"0s\""), &[]).unwrap();
    assert_eq!(
        config.containers.values().next().unwrap().stop_timeout,
        Some(Duration::ZERO)
    );
}

#[test]
fn a_byte_order_mark_and_other_line_ends_are_no_mistake() {
    read(&format!("\u{feff}{}", LEAST.replace('\n', "\r\n")), &[]).unwrap();
}

#[cfg(unix)]
#[test]
fn our_variables_must_be_text() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let broken = |name: &str| (name.to_owned(), OsString::from_vec(vec![0xff]));
    let environment: Environment = [broken("HOME"), broken("RELAYER_CONTROLLER_PREFIX")]
        .into_iter()
        .collect();
    let mistakes = crate::config::parse("x.toml", LEAST, &environment).unwrap_err();
    let [mistake] = mistakes.list() else {
        panic!("{mistakes}")
    };
    assert_eq!(
        mistake.what(),
        "the value of `RELAYER_CONTROLLER_PREFIX` is not UTF-8"
    );
}

fn check_listeners(text: &str, expected: Result<&str, &str>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    fs::write(&file, text).unwrap();
    match (listeners(&file, &Environment::default()), expected) {
        (Ok(found), Ok(expected)) => {
            let tls = if found.is_tls { " over TLS" } else { "" };
            assert_eq!(format!("{}{tls}", found.listen[0]), expected, "{text}");
        }
        (Err(found), Err(expected)) => {
            assert!(found.to_string().contains(expected), "{text}: {found}");
        }
        (found, _) => panic!("{text}: {found:?}"),
    }
}

#[test]
fn the_health_check_finds_its_way_in_a_broken_file() {
    check_listeners(LEAST, Ok("127.0.0.1:8089"));
    check_listeners("[containers.x]\nallow = [\"strat\"]", Ok("127.0.0.1:8089"));
    check_listeners(
        "[server]\nlisten = \"0.0.0.0:1\"\nworkers = 0\n[x]\n[containers.y]\nallow = [",
        Ok("0.0.0.0:1"),
    );
    check_listeners("a = = b\n[server]\nlisten = \"0.0.0.0:1\"", Ok("0.0.0.0:1"));
    check_listeners("[server]\nlisten = \"8089\"", Err("`8089` is no address"));
    check_listeners("[server]\nlisten = 0.0.0.0:1", Err("is no value"));
    check_listeners(
        "[sever]\nlisten = \"0.0.0.0:1\"",
        Err("did you mean `server`?"),
    );
    check_listeners(
        "[server]\nlistn = \"0.0.0.0:1\"",
        Err("did you mean `listen`?"),
    );
}

#[test]
fn the_health_check_knows_of_tls_in_a_broken_file() {
    let tls = |rest: &str| format!("[server]\nlisten = \"0.0.0.0:1\"\n[server.tls]\n{rest}\n");
    for broken in [
        "certificate = \"c\"\nkey = \"k\"",
        "certificate = \"c\"\nkey = 1\nclient_auth = 2",
        "key = \"k\"",
        "certificate = c",
        "certificate = 1\n[engine]\nhost = [",
    ] {
        check_listeners(&tls(broken), Ok("0.0.0.0:1 over TLS"));
    }
    check_listeners(
        "[server]\nlisten = \"unix:/run/x\"\ntls = true",
        Ok("unix:/run/x"),
    );
}

#[test]
fn tls_has_its_variables() {
    let variables = [
        "RELAYER_CONTROLLER_SERVER__TLS__CERTIFICATE=/chain.pem",
        "RELAYER_CONTROLLER_SERVER__TLS__CLIENT_CA=/ca.pem",
        "RELAYER_CONTROLLER_SERVER__TLS__CLIENT_AUTH=optional",
        "RELAYER_CONTROLLER_ENGINE__HOST=tcp://engine",
        "RELAYER_CONTROLLER_ENGINE__TLS__CERTIFICATE=cert.pem",
        "RELAYER_CONTROLLER_ENGINE__TLS__KEY=engine.pem",
    ];
    // Neither layer is whole without the other.
    let text = format!(
        "[server.tls]\nkey = \"key.pem\"\n[engine]\nhost = \"unix:///x\"\n[engine.tls]\nca = \"ca.pem\"\n{LEAST}"
    );
    let config = read(&text, &variables).unwrap();
    let clients = Some(server::ClientCertificates {
        ca: "/ca.pem".into(),
        auth: server::ClientAuth::Optional,
    });
    let expected = server::TlsSettings {
        certificate: "/chain.pem".into(),
        key: "key.pem".into(),
        clients,
    };
    assert_eq!(config.server.tls, Some(expected));
    let client = Some(engine::ClientCertificate {
        certificate: "cert.pem".into(),
        key: "engine.pem".into(),
    });
    let expected = engine::TlsSettings {
        ca: "ca.pem".into(),
        client,
    };
    assert_eq!(config.engine.tls, Some(expected));
    assert_eq!(config.engine.host.to_string(), "tcp://engine:2376");
    let mistakes = read(LEAST, &variables[..3]).unwrap_err().to_string();
    assert!(
        mistakes.contains("`[server.tls]` has no `key`"),
        "{mistakes}"
    );
    let mistakes = read(LEAST, &["RELAYER_CONTROLLER_ENGINE__TLS__CA=x"]).unwrap_err();
    assert!(
        mistakes.to_string().contains("is a Unix socket"),
        "{mistakes}"
    );
}

#[test]
fn a_client_authority_makes_certificates_required() {
    let text =
        format!("[server.tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_ca = \"a\"\n{LEAST}");
    let clients = read(&text, &[]).unwrap().server.tls.unwrap().clients;
    assert_eq!(clients.unwrap().auth, server::ClientAuth::Required);
}

#[test]
fn the_health_check_needs_no_file_where_a_variable_says_it() {
    let variable = (
        "RELAYER_CONTROLLER_SERVER__LISTEN".to_owned(),
        "unix:/run/x".to_owned(),
    );
    let environment: Environment = [variable].into_iter().collect();
    let found = listeners(Path::new("/nowhere.toml"), &environment).unwrap();
    assert_eq!(found.listen[0].to_string(), "unix:/run/x");
    assert!(listeners(Path::new("/nowhere.toml"), &Environment::default()).is_err());
}

fn check_unreadable(content: Option<&[u8]>, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    if let Some(content) = content {
        fs::write(&file, content).unwrap();
    }
    let told = load(&file, &Environment::default())
        .unwrap_err()
        .to_string();
    assert_eq!(
        told.replace(&file.display().to_string(), "x.toml"),
        expected.trim_start()
    );
}

#[test]
fn a_file_that_cannot_be_read_is_one_mistake() {
    check_unreadable(
        None,
        "
error: there is no such file
--> x.toml
 = help: run with `--config FILE`, or set `RELAYER_CONTROLLER_CONFIG`

x.toml: 1 mistake",
    );
    check_unreadable(
        Some(&vec![b'#'; (1 << 20) + 1]),
        "
error: the file is larger than 1 MiB
--> x.toml
 = help: is it the right one? a configuration has a few kilobytes

x.toml: 1 mistake",
    );
    check_unreadable(
        Some(b"[server]\nlisten = \"\xe4\"\n"),
        "
error: the byte 0xe4, number 20 of the file, is not UTF-8
 --> x.toml:2:11
  |
2 | listen = \"\u{fffd}\"
  |           ^
  |
  = help: save the file as UTF-8

x.toml: 1 mistake",
    );
    let told = load(Path::new("/"), &Environment::default())
        .unwrap_err()
        .to_string();
    assert!(
        told.starts_with("error: this is a directory\n--> /\n = help: name the file in it;"),
        "{told}"
    );
    let told = load(Path::new("/dev/null"), &Environment::default())
        .unwrap_err()
        .to_string();
    assert!(
        told.starts_with("error: this is not an ordinary file\n"),
        "{told}"
    );
}
