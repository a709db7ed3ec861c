//! `ls`, `status` and `whoami`: what there is, how it is, and who asks.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::client::{Ask, Client, Document};
use super::failure::Failure;
use super::output::Output;
use super::path::Path;
use super::table::{Cell, Table};
use super::text::{NONE, moment};
use crate::cli::YES;
use crate::policy::ContainerName;

/// How many questions are under way at once.
pub(super) const AT_ONCE: usize = 8;

/// The answer to `/containers`.
#[derive(Deserialize)]
pub(super) struct Containers {
    pub(super) containers: Vec<Status>,
}

#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) container: String,
    #[serde(rename = "status")]
    word: String,
    pub(super) running: bool,
}

/// The answer to `/container/<name>`.
#[derive(Deserialize)]
struct View {
    container: String,
    status: String,
    #[serde(default)]
    running: bool,
    health: Option<String>,
    image: Option<String>,
    created_at: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    exit_code: Option<i64>,
    #[serde(default)]
    oom_killed: bool,
    #[serde(default)]
    restart_count: i64,
    #[serde(default)]
    verbs: Vec<String>,
}

/// The answer to `/whoami`.
#[derive(Deserialize)]
pub(super) struct Whoami {
    principal: String,
    #[serde(default)]
    roles: Vec<String>,
    revision: Option<String>,
    /// By container, what the caller may do to it.
    pub(super) containers: BTreeMap<String, Vec<String>>,
}

pub(super) async fn ls(client: &Client, output: &Output) -> Result<u8, Failure> {
    let document = containers(client).await?;
    let listed: Containers = document.read()?;
    if output.is_json {
        output.json(&document.text)?;
        return Ok(YES);
    }
    let mut table = Table::new(&["CONTAINER", "STATUS"]);
    for Status {
        container, word, ..
    } in &listed.containers
    {
        table.push(vec![Cell::new(container), Cell::status(word)]);
    }
    output.table(&table)?;
    Ok(YES)
}

pub(super) async fn status(
    client: &Client,
    output: &Output,
    names: Vec<ContainerName>,
) -> Result<u8, Failure> {
    let is_one = names.len() == 1;
    let names = if names.is_empty() {
        visible(client).await?
    } else {
        names
    };
    let answers = of_each(names, |name| {
        client.document(Ask::get(Path::container(name)))
    })
    .await;
    let mut table = Table::new(&[
        "CONTAINER",
        "STATUS",
        "HEALTH",
        "SINCE",
        "EXIT",
        "RESTARTS",
        "IMAGE",
    ]);
    let mut code = YES;
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (name, answer) in answers {
        match answer.and_then(|document| Ok((document.read::<View>()?, document))) {
            Ok((_, document)) if output.is_json => output.json(&document.text)?,
            Ok((view, _)) => rows.push(view),
            Err(failure) => failures.push((name, failure)),
        }
    }
    if !output.is_json && is_one {
        for view in &rows {
            output.table(&facts(view))?;
        }
    } else if !output.is_json {
        for view in &rows {
            table.push(row(view));
        }
        output.table(&table)?;
    }
    for (name, failure) in failures {
        code = output.complain(Some(name.as_str()), &failure).max(code);
    }
    Ok(code)
}

pub(super) async fn whoami(client: &Client, output: &Output) -> Result<u8, Failure> {
    let document = client.document(Ask::get(Path::new("/whoami"))).await?;
    let whoami: Whoami = document.read()?;
    if output.is_json {
        output.json(&document.text)?;
        return Ok(YES);
    }
    let mut facts = Table::of_facts();
    facts.push(vec![Cell::new("principal"), Cell::new(&whoami.principal)]);
    facts.push(vec![Cell::new("roles"), list(&whoami.roles)]);
    facts.push(vec![
        Cell::new("revision"),
        Cell::or_none(whoami.revision.as_ref()),
    ]);
    output.table(&facts)?;
    output.text("\n")?;
    let mut table = Table::new(&["CONTAINER", "YOU MAY"]);
    for (container, verbs) in &whoami.containers {
        table.push(vec![Cell::new(container), list(verbs)]);
    }
    output.table(&table)?;
    Ok(YES)
}

/// Whether a container's health check succeeds.
pub(super) async fn is_healthy(client: &Client, name: &ContainerName) -> Result<bool, Failure> {
    let document = client.document(Ask::get(Path::container(name))).await?;
    let view: View = document.read()?;
    Ok(view.health.as_deref() == Some("healthy"))
}

/// All containers that the caller may see.
pub(super) async fn containers(client: &Client) -> Result<Document, Failure> {
    client.document(Ask::get(Path::new("/containers"))).await
}

/// What there is to say of each, in their order, with a few questions under way at once.
pub(super) async fn of_each<T, F: Future<Output = T>>(
    names: Vec<ContainerName>,
    ask: impl Fn(&ContainerName) -> F,
) -> Vec<(ContainerName, T)> {
    let asked = names.into_iter().map(|name| {
        let answer = ask(&name);
        async { (name, answer.await) }
    });
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

/// The names out of an answer.
///
/// # Errors
///
/// Where one of them can be no name, so that what answers is no gateway.
pub(super) fn names<'a>(
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<ContainerName>, Failure> {
    let parse = |name: &String| {
        let no = |why| Failure::Broken(format!("the answer names `{name:?}`, and {why}"));
        name.parse().map_err(no)
    };
    names.into_iter().map(parse).collect()
}

async fn visible(client: &Client) -> Result<Vec<ContainerName>, Failure> {
    let listed: Containers = containers(client).await?.read()?;
    names(listed.containers.iter().map(|status| &status.container))
}

fn row(view: &View) -> Vec<Cell> {
    vec![
        Cell::new(&view.container),
        Cell::status(&view.status),
        Cell::health(view.health.as_deref()),
        Cell::new(since(view)),
        Cell::new(exit(view)),
        Cell::new(view.restart_count.to_string()),
        Cell::or_none(view.image.as_ref()),
    ]
}

fn facts(view: &View) -> Table {
    let created = view.created_at.as_deref().map(moment);
    let mut table = Table::of_facts();
    for (name, fact) in [
        ("container", Cell::new(&view.container)),
        ("status", Cell::status(&view.status)),
        ("since", Cell::new(since(view))),
        ("health", Cell::health(view.health.as_deref())),
        ("exit code", Cell::new(exit(view))),
        ("restarts", Cell::new(view.restart_count.to_string())),
        ("image", Cell::or_none(view.image.as_ref())),
        ("created", Cell::or_none(created)),
        ("you may", list(&view.verbs)),
    ] {
        table.push(vec![Cell::new(name), fact]);
    }
    table
}

/// Since when it is as it is.
fn since(view: &View) -> String {
    let is_up = view.running || view.status == "paused";
    let time = if is_up {
        &view.started_at
    } else {
        &view.finished_at
    };
    time.as_deref().map_or_else(|| NONE.to_owned(), moment)
}

fn exit(view: &View) -> String {
    let code = (view.exit_code).map_or_else(|| NONE.to_owned(), |code| code.to_string());
    if view.oom_killed {
        format!("{code} (out of memory)")
    } else {
        code
    }
}

fn list(words: &[String]) -> Cell {
    Cell::new(words.join(", "))
}
