//! What is printed: tables in Markdown, and the points of the plot.

use std::time::Duration;

use crate::events::{ACTS, Latency};
use crate::field::{CLIENTS, Cell, Line, Polled, Side, Size, Wanted, middle};
use crate::plot::Panel;
use crate::stage::{mebibytes, median, milliseconds, row};
use crate::{Latencies, Memory, Plan, RUNNING};

/// The panels of the plot.
pub(crate) fn panels(sizes: &[Size]) -> [Panel; 2] {
    let points = |wanted, connections, value: &dyn Fn(&Cell) -> f64| {
        let of_side = |side: Side| {
            let sizes = sizes.iter();
            let points = sizes.map(|size| cell(size, wanted, connections, side).ok().map(value));
            points.collect()
        };
        Side::ALL.map(of_side).to_vec()
    };
    [
        Panel {
            title: "GET /containers, one connection",
            unit: "median in ms, lower is better",
            series: points(Wanted::List, 1, &|cell| {
                at(&cell.took, 0.5).as_secs_f64() * 1e3
            }),
        },
        Panel {
            title: "GET /container/x/status, eight connections",
            unit: "requests a second, higher is better",
            series: points(Wanted::Status, 8, &|cell| cell.rate),
        },
    ]
}

/// A whole number with commas: 12,345.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

pub(crate) fn reading(sizes: &[Size]) {
    println!(
        "Requests a second · median · 99th percentile, in milliseconds, over so many connections at once:\n\n\
         | containers | request | connections | relayer-controller | bare hyper server | the engine's socket \
         | threaded Python | of the bare server's |\n|--:|---|--:|--:|--:|--:|--:|--:|"
    );
    for size in sizes {
        for line in &size.lines {
            let request = match line.wanted {
                Wanted::Status => "`GET /container/x/status`",
                Wanted::List => "`GET /containers`",
            };
            let cells = line.cells.iter().map(|(_, cell)| match cell {
                Ok(cell) => format!(
                    "{}/s · {} · {}",
                    rate(cell.rate),
                    short(at(&cell.took, 0.5)),
                    short(at(&cell.took, 0.99))
                ),
                Err(why) if Err(why) == size.original_memory.as_ref() => "–".to_owned(),
                Err(why) => why.clone(),
            });
            println!(
                "| {} | {request} | {} | {} | {} |",
                count(size),
                line.connections,
                cells.collect::<Vec<_>>().join(" | "),
                shown(
                    to_bare(size, line.wanted, line.connections),
                    |share| format!("{share:.2}")
                )
            );
        }
    }
    if let Some(Err(why)) = sizes.first().map(|size| &size.original_memory) {
        println!("\nThreaded Python was left out: {why}.");
    }
    println!();
}

pub(crate) fn polling(sizes: &[Size]) {
    println!(
        "The engine's processor time (dockerd and its containerd), in percent of one processor, idle and while {CLIENTS} \
         clients ask for a status and the list once a second; in brackets the share of the requests that was answered. \
         Resident memory of the servers.\n\n\
         | containers | engine idle | they ask relayer-controller | they ask the engine's socket | they ask threaded Python \
         | memory of relayer-controller, idle | after the load | memory of threaded Python |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for size in sizes {
        let idle = size.idle.as_ref();
        let shares =
            [Side::Gateway, Side::Engine, Side::Original].map(|side| match polled(size, side) {
                Ok(polled) => format!("{:.2}% ({:.0}%)", polled.share, polled.answered * 100.0),
                Err(why) if Err(&why) == size.original_memory.as_ref() => "–".to_owned(),
                Err(why) => why,
            });
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            count(size),
            idle.map_or_else(Clone::clone, |turns| format!(
                "{:.2}%",
                middle(turns.iter().copied())
            )),
            shares.join(" | "),
            bytes(size.memory.0),
            bytes(size.memory.1),
            size.original_memory
                .as_ref()
                .map_or_else(|_| "–".to_owned(), |memory| bytes(*memory)),
        );
    }
    println!();
}

pub(crate) fn changes(plan: &Plan, latency: &Latencies) {
    let most = plan.sizes.last().map_or(0, |most| *most);
    let most = grouped(real(most));
    println!(
        "A container killed and started again {} times, among {most}: median · 99th percentile, in milliseconds, from when \
         to when. The engine's inspect is asked at its event; while the engine cleans up behind a container, it waits.\n\n\
         | change | call to the engine's event | call to the engine's inspect | call to `GET /events` \
         | the engine's time of the change to `GET /events` | the engine's inspect to `GET /events` |\n\
         |---|--:|--:|--:|--:|--:|",
        plan.changes
    );
    match latency {
        Ok(measured) => {
            for (act, latency) in ACTS.iter().zip(measured) {
                let times = [
                    &latency.to_engine_reader,
                    &latency.to_inspect,
                    &latency.to_our_reader,
                    &latency.from_change,
                    &latency.from_inspect,
                ];
                let act = match latency.lost {
                    0 => (*act).to_owned(),
                    lost => format!("{act} ({lost} lost)"),
                };
                println!(
                    "| {act} | {} |",
                    times.map(|times| both(times, short)).join(" | ")
                );
            }
        }
        Err(why) => println!("| all | | | no /events ({why}) | | |"),
    }
    println!();
}

pub(crate) fn streams(memory: &Memory) {
    println!(
        "Resident memory by open event streams, of {RUNNING} containers, after a change that each of them has heard of:\n\n\
         | streams | memory | for each |\n|--:|--:|--:|"
    );
    match memory {
        Ok(measured) => {
            for (streams, memory) in measured {
                let each = kibibytes_each(measured, *streams);
                let each = each.map_or_else(String::new, |each| format!("{each:.1} KiB"));
                println!(
                    "| {} | {} | {each} |",
                    grouped(real(*streams)),
                    bytes(*memory)
                );
            }
        }
        Err(why) => println!("| | no /events ({why}) | |"),
    }
    println!();
}

pub(crate) fn targets(sizes: &[Size], latency: &Latencies, memory: &Memory) {
    println!("| what | measured | to reach |\n|---|---|---|");
    let share = |size, wanted| shown(to_bare(size, wanted, 8), |share| format!("{share:.2}"));
    for size in sizes {
        let what = format!(
            "status with {} containers, 8 connections, to the bare server's requests",
            count(size)
        );
        row(&what, &share(size, Wanted::Status), "≥ 0.85");
    }
    if let Some(size) = sizes.last() {
        let what = format!(
            "the list of {} containers, 8 connections, to the bare server's requests",
            count(size)
        );
        row(&what, &share(size, Wanted::List), "≥ 0.5");
    }
    let what = "status by the number of containers, furthest from the mean";
    row(what, &flatness(sizes), "± 10%");
    event_targets(latency, memory);
    for size in sizes {
        let reach = match size.containers {
            5 => "≤ 8 MiB",
            1000 => "≤ 24 MiB",
            _ => "",
        };
        let what = format!("idle memory with {} containers", count(size));
        row(&what, &bytes(size.memory.0), reach);
    }
    for size in sizes {
        let idle = size.idle.clone();
        let added = idle.and_then(|idle| Ok((idle, polled(size, Side::Gateway)?.share)));
        let what = format!(
            "the engine's processor time with {CLIENTS} polling clients and {} containers, to idle",
            count(size)
        );
        let added = shown(added, |(turns, share)| {
            let idle = middle(turns.iter().copied());
            let lowest = turns.iter().copied().fold(idle, f64::min);
            let highest = turns.iter().copied().fold(idle, f64::max);
            format!(
                "{:+.1}%: {share:.3}% of a processor to {idle:.3}%, which was {lowest:.3} to {highest:.3}% by turns",
                (share / idle - 1.0) * 100.0
            )
        });
        row(&what, &added, "within 5%");
    }
}

fn event_targets(latency: &Latencies, memory: &Memory) {
    type Which = fn(&Latency) -> &Vec<Duration>;
    let missing = |why: &String| format!("no /events ({why})");
    let rows: [(_, Which); 2] = [
        ("change in the engine to its reader", |latency| {
            &latency.from_change
        }),
        (
            "answer of the engine's inspect to the reader of the change",
            |latency| &latency.from_inspect,
        ),
    ];
    for (what, which) in rows {
        for (number, act) in ACTS.iter().enumerate() {
            let times = latency.as_ref().map_err(missing).and_then(|measured| {
                let latency = measured.get(number).ok_or("not measured")?;
                Ok(both(which(latency), milliseconds))
            });
            let measured = shown(times, |times| times);
            let what = format!("{what}, {act}: median · 99th percentile");
            row(&what, &measured, "≤ 10 · 50 ms");
        }
    }
    let each = memory.as_ref().map_err(missing).and_then(|measured| {
        let (most, _) = measured.last().ok_or("not measured")?;
        Ok(kibibytes_each(measured, *most).ok_or("not measured")?)
    });
    row(
        "memory for an event stream",
        &shown(each, |each| format!("{each:.1} KiB")),
        "≤ 16 KiB",
    );
}

/// What was measured, or why it was not.
fn shown<T>(measured: Result<T, String>, show: impl FnOnce(T) -> String) -> String {
    measured.map_or_else(|why| why, show)
}

fn cell(measured: &Size, wanted: Wanted, connections: usize, side: Side) -> Result<&Cell, String> {
    let asked = |line: &&Line| line.wanted == wanted && line.connections == connections;
    let line = measured.lines.iter().find(asked).ok_or("not measured")?;
    let of_side = line.cells.iter().find(|(one, _)| *one == side);
    let (_, cell) = of_side.ok_or("not measured")?;
    cell.as_ref().map_err(Clone::clone)
}

fn polled(measured: &Size, side: Side) -> Result<&Polled, String> {
    let of_side = measured.polled.iter().find(|(one, _)| *one == side);
    let (_, polled) = of_side.ok_or("not measured")?;
    polled.as_ref().map_err(Clone::clone)
}

/// The gateway's requests a second to the bare server's.
fn to_bare(size: &Size, wanted: Wanted, connections: usize) -> Result<f64, String> {
    let rate = |side| cell(size, wanted, connections, side).map(|cell| cell.rate);
    Ok(rate(Side::Gateway)? / rate(Side::Bare)?)
}

/// How far the requests a second for a status are from their mean over all sizes, at most.
fn flatness(sizes: &[Size]) -> String {
    let rates: Result<Vec<_>, _> = sizes
        .iter()
        .map(|size| cell(size, Wanted::Status, 8, Side::Gateway).map(|cell| cell.rate))
        .collect();
    rates.map_or_else(
        |why| why,
        |rates| {
            let mean = rates.iter().sum::<f64>() / real(rates.len());
            let furthest = rates.iter().map(|rate| (rate / mean - 1.0).abs());
            format!("{:.1}%", furthest.fold(0.0, f64::max) * 100.0)
        },
    )
}

/// What so many streams need more than none, in KiB for each.
fn kibibytes_each(measured: &[(usize, u64)], streams: usize) -> Option<f64> {
    let (none, without) = measured.first()?;
    let (_, with) = measured.iter().find(|(count, _)| *count == streams)?;
    let added = streams.checked_sub(*none).filter(|added| *added > 0)?;
    Some(mebibytes(with.saturating_sub(*without)) * 1024.0 / real(added))
}

fn count(size: &Size) -> String {
    grouped(real(size.containers))
}

/// The value below which that share of all is; they are in order.
fn at(times: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the number of times"
    )]
    let place = (real(times.len()) * share) as usize;
    times
        .get(place)
        .or(times.last())
        .copied()
        .unwrap_or_default()
}

/// The median and the 99th percentile, as they are to be shown.
fn both(times: &[Duration], show: fn(Duration) -> String) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let late = at(&times, 0.99);
    format!("{} · {}", show(median(times)), show(late))
}

/// Milliseconds with three digits that count.
fn short(duration: Duration) -> String {
    let value = duration.as_secs_f64() * 1e3;
    match value {
        ..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

fn rate(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.1}");
    }
    grouped(value)
}

fn bytes(bytes: u64) -> String {
    format!("{:.1} MiB", mebibytes(bytes))
}

#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
fn real(number: usize) -> f64 {
    number as f64
}
