//! Tags: who has an answer already is told so, from memory, and by what it may see.

use relayer_controller::authn::TokenHash;

use crate::http::{self, Answer};
use crate::stage::{Stage, on_each_engine};
use crate::stats::until;

const ONE: &str = "[containers.a]\nallow = [\"status\", \"start\", \"stop\"]\n\
    [containers.b]\nallow = [\"status\", \"start\"]\n";

const PATHS: [&str; 2] = ["/container/a/status", "/containers"];

fn get(stage: &Stage, path: &str, headers: &str) -> Answer {
    http::ask_with(stage.address, "GET", path, headers, "")
}

/// The tag of an answer from memory, which is the engine's too.
fn tag(stage: &Stage, path: &str, headers: &str) -> String {
    let mut tag = String::new();
    until("in memory", || {
        let fresh = get(
            stage,
            path,
            &format!("{headers}Cache-Control: no-cache\r\n"),
        );
        stage.record.take();
        let answer = get(stage, path, headers);
        assert_eq!(fresh.status, 200, "{path}");
        if answer.status == 404 {
            // What was made beside the gateway is not in memory yet.
            return false;
        }
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("vary"), "Authorization");
        answer.header("etag").clone_into(&mut tag);
        let is_same = answer.header("etag") == fresh.header("etag") && answer.body == fresh.body;
        is_same && stage.record.take().is_empty()
    });
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    assert!(
        inner.is_some_and(|inner| inner.len() >= 16),
        "a strong one: {tag}"
    );
    tag
}

#[test]
fn who_has_it_is_told_so() {
    on_each_engine(ONE, |stage| {
        let id = stage.container("a");
        stage.container("b");
        for path in PATHS {
            let created = tag(stage, path, "");
            for (given, status) in [
                (created.clone(), 304),
                (format!("W/{created}"), 304),
                (format!("\"other\", {created}"), 304),
                ("*".to_owned(), 304),
                ("\"other\"".to_owned(), 200),
                (created.replace('"', ""), 200),
            ] {
                stage.record.take();
                let given = format!("If-None-Match: {given}\r\n");
                let answer = get(stage, path, &given);
                assert_eq!(answer.status, status, "{path} with {given}");
                assert_eq!(answer.body.is_empty(), status == 304, "{path} with {given}");
                assert_eq!(answer.header("etag"), created);
                assert_eq!(stage.record.take(), [""; 0], "{path} from memory");
                let fresh = format!("{given}Cache-Control: max-age=0, No-Cache\r\n");
                let answer = get(stage, path, &fresh);
                assert_eq!(answer.status, status, "{path} with {fresh}");
                assert_ne!(stage.record.take(), [""; 0], "{path} of the engine");
            }
            let head = http::ask(stage.address, "HEAD", path);
            assert_eq!((head.status, head.header("etag")), (200, created.as_str()));
        }
        let gone = get(stage, "/container/c/status", "If-None-Match: *\r\n");
        assert_eq!((gone.status, gone.header("etag")), (404, ""));
        // A tag is of a state: another one with it, the same one when it is so again.
        for path in PATHS {
            stage.engine.post(&format!("/containers/{id}/restart?t=0"));
            let running = tag_when(stage, path, "running");
            stage.engine.post(&format!("/containers/{id}/stop?t=0"));
            let exited = tag_when(stage, path, "exited");
            assert_ne!(running, exited, "{path}");
            let had = format!("If-None-Match: {running}\r\n");
            assert_eq!(get(stage, path, &had).status, 200, "{path}");
            assert_eq!(stage.post("/container/a/start").status, 200);
            assert_eq!(get(stage, path, &had).status, 304, "{path}");
            assert_eq!(tag_when(stage, path, "running"), running);
            // Of no matter to the listing's own tag is that it was another run.
            stage.engine.post(&format!("/containers/{id}/restart?t=0"));
            assert_eq!(tag_when(stage, path, "running"), running);
        }
    });
}

/// The tag when `a` is so.
fn tag_when(stage: &Stage, path: &str, expected: &str) -> String {
    let expected = format!("\"container\":\"a\",\"status\":\"{expected}\"");
    until("so", || get(stage, path, "").body.contains(&expected));
    tag(stage, path, "")
}

/// Who sees the same has the same tag, and who sees something else has another.
#[test]
fn by_what_one_may_see() {
    let mut tables = format!(
        "{ONE}[roles.all]\nallow = [\"status\"]\n[roles.one]\nallow = [\"status\"]\ncontainers = [\"a\"]\n"
    );
    for (name, role) in [("ann", "all"), ("bob", "all"), ("cid", "one")] {
        let hash = TokenHash::of(&format!("{name}-token")).written();
        let principal = [
            "[principals.",
            name,
            "]\ntoken = \"",
            &hash,
            "\"\nroles = [\"",
            role,
            "\"]\n",
        ];
        tables.extend(principal);
    }
    let by = |name: &str| format!("Authorization: Bearer {name}-token\r\n");
    on_each_engine(&tables, |stage| {
        stage.running("a");
        let other = stage.container("b");
        let tags = |path| ["ann", "bob", "cid"].map(|name| tag(stage, path, &by(name)));
        let [ann, bob, cid] = tags("/containers");
        assert_eq!(ann, bob);
        assert_ne!(ann, cid);
        let [ann_of_a, _, cid_of_a] = tags("/container/a/status");
        assert_eq!(ann_of_a, cid_of_a);
        // One's tag is nothing to the other.
        let had = |name: &str, tag: &str| format!("{}If-None-Match: {tag}\r\n", by(name));
        assert_eq!(get(stage, "/containers", &had("ann", &bob)).status, 304);
        assert_eq!(get(stage, "/containers", &had("cid", &cid)).status, 304);
        assert_eq!(get(stage, "/containers", &had("cid", &ann)).status, 200);
        // What one does not see does not change its tag.
        stage.engine.post(&format!("/containers/{other}/start"));
        until("seen", || {
            get(stage, "/containers", &had("ann", &ann)).status == 200
        });
        assert_eq!(get(stage, "/containers", &had("cid", &cid)).status, 304);
        assert_eq!(get(stage, "/containers", "").status, 401);
    });
}
