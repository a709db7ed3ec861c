//! The plot: what reading costs, by the number of containers, as an SVG for light and dark pages.

use std::fmt::Write;

/// One of the two pictures: a title, and the points of each series, some of which may be missing.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) series: Vec<Vec<Option<f64>>>,
}

/// The names of the series, their classes, and where they are in the legend. The first is drawn above the others.
const SERIES: [(&str, &str, f64); 4] = [
    ("relayer-controller", "ours", 36.0),
    ("bare hyper server", "bare", 220.0),
    ("the engine's own socket", "engine", 400.0),
    ("threaded Python and Docker SDK", "original", 620.0),
];

/// It brings its own ground, so that letters and ground always fit each other, whatever the page is like.
const STYLE: &str = "\
    text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-size:17px;font-weight:600}.panel{font-weight:600}\
    .small{font-size:12px;fill:#59636e}.ground{fill:#fff;stroke:#d1d9e0}\
    path{fill:none;stroke:currentColor;stroke-width:2.5}circle,polygon{fill:currentColor}.grid{stroke:#d1d9e0;stroke-width:1}\
    .ours{color:#0969da}.bare{color:#6e7781}.engine{color:#1a7f37}.original{color:#cf222e}.bare .line{stroke-dasharray:6 4}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.ground{fill:#0d1117;stroke:#3d444d}\
    .grid{stroke:#3d444d}.ours{color:#4493f8}.bare{color:#9198a1}.engine{color:#3fb950}.original{color:#f85149}}";

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 440.0;
/// Of a panel's own field of points.
const FIELD: (f64, f64) = (345.0, 240.0);
/// Where the fields begin.
const LEFT: [f64; 2] = [90.0, 530.0];
const TOP: f64 = 105.0;

/// Draws these panels over these numbers of containers; `setting` says what was measured where.
pub(crate) fn draw(numbers: &[usize], panels: &[Panel; 2], setting: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>What reading state costs, by the number of containers</title>\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"24\" y=\"34\">What reading state costs, by the number of containers</text>\n\
         <text class=\"small\" x=\"24\" y=\"54\">{setting}</text>\n",
        WIDTH - 1.0,
        HEIGHT - 1.0
    );
    for (left, panel) in LEFT.iter().zip(panels) {
        draw_panel(&mut svg, *left, numbers, panel);
    }
    for (name, class, x) in SERIES {
        let y = HEIGHT - 22.0;
        writeln!(
            svg,
            "<g class=\"{class}\"><path class=\"line\" d=\"M{} {y}h24\"/>{}</g><text x=\"{}\" y=\"{}\">{name}</text>",
            x - 12.0,
            marker(class, x, y),
            x + 18.0,
            y + 4.5
        )
        .unwrap();
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(svg: &mut String, left: f64, numbers: &[usize], panel: &Panel) {
    let (width, height) = FIELD;
    let points = panel.series.iter().flatten().flatten().copied();
    let lowest = points.clone().fold(f64::INFINITY, f64::min).log10().floor();
    let highest = points.fold(0.0, f64::max).log10().ceil();
    if !lowest.is_finite() || !highest.is_finite() {
        return;
    }
    // All in one decade: the one above it makes room.
    let highest = highest.max(lowest + 1.0);
    let y = |value: f64| TOP + height * (highest - value.log10()) / (highest - lowest);
    writeln!(
        svg,
        "<text class=\"panel\" x=\"{}\" y=\"{}\">{}</text>\n\
         <text class=\"small\" transform=\"translate({} {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n\
         <text class=\"small\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">containers</text>",
        left - 66.0,
        TOP - 20.0,
        panel.title,
        left - 60.0,
        TOP + height / 2.0,
        panel.unit,
        left + width / 2.0,
        TOP + height + 42.0
    )
    .unwrap();
    let mut decade = lowest;
    while decade <= highest {
        let value = 10_f64.powf(decade);
        writeln!(
            svg,
            "<path class=\"grid\" d=\"M{left} {:.1}h{width}\"/>\
             <text class=\"small\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            y(value),
            left - 8.0,
            y(value) + 4.0,
            label(value)
        )
        .unwrap();
        decade += 1.0;
    }
    let across: Vec<_> = numbers
        .iter()
        .map(|number| along(numbers, *number))
        .collect();
    for (number, share) in numbers.iter().zip(&across) {
        writeln!(
            svg,
            "<text class=\"small\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            left + width * share,
            TOP + height + 20.0,
            label(real(*number))
        )
        .unwrap();
    }
    for ((_, class, _), series) in SERIES.iter().zip(&panel.series).rev() {
        let points = across.iter().zip(series).filter_map(|(share, value)| {
            let x = left + width * share;
            value.map(|value| (x, y(value)))
        });
        let (mut line, mut marks) = (String::new(), String::new());
        for (x, y) in points {
            let command = if line.is_empty() { 'M' } else { 'L' };
            write!(line, "{command}{x:.1} {y:.1}").unwrap();
            marks.push_str(&marker(class, x, y));
        }
        writeln!(
            svg,
            "<g class=\"{class}\"><path class=\"line\" d=\"{line}\"/>{marks}</g>"
        )
        .unwrap();
    }
}

/// Where a number of containers is on its axis, from 0 to 1, with a little room at both ends.
fn along(numbers: &[usize], number: usize) -> f64 {
    let ends = numbers.first().zip(numbers.last());
    let (first, last) = ends.map_or((1.0, 10.0), |(first, last)| (real(*first), real(*last)));
    0.06 + 0.88 * (real(number).ln() - first.ln()) / (last.ln() - first.ln())
}

/// Each series has a shape besides its colour. The one of the limit is hollow, for what comes close to it.
fn marker(class: &str, x: f64, y: f64) -> String {
    match class {
        "ours" => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>"),
        "bare" => format!("<path d=\"M{:.1} {:.1}h14v14h-14z\"/>", x - 7.0, y - 7.0),
        "engine" => format!(
            "<polygon points=\"{x:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\"/>",
            y - 6.0,
            x + 6.0,
            y + 5.0,
            x - 6.0,
            y + 5.0
        ),
        _ => format!(
            "<polygon points=\"{x:.1},{:.1} {:.1},{y:.1} {x:.1},{:.1} {:.1},{y:.1}\"/>",
            y - 6.0,
            x + 6.0,
            y + 6.0,
            x - 6.0
        ),
    }
}

/// As people write it: 0.01, 1, 1,000.
fn label(value: f64) -> String {
    if value < 1.0 {
        let digits =
            usize::from(value < 0.5) + usize::from(value < 0.05) + usize::from(value < 0.005);
        return format!("{value:.digits$}");
    }
    crate::report::grouped(value)
}

#[expect(clippy::cast_precision_loss, reason = "as exact as a pixel")]
fn real(number: usize) -> f64 {
    number as f64
}
