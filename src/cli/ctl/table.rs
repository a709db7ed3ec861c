//! Tables: columns as wide as what is in them, and colour where it helps.

use super::text::{NONE, plain};

/// What stands between two columns.
const GAP: &str = "   ";

/// A colour of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    None,
    Good,
    Bad,
    Between,
    Faint,
}

/// One field of a table, or one fact.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// Text of the gateway's.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        let text = plain(text.as_ref());
        let text = if text.is_empty() { NONE } else { &text };
        Self {
            text: text.to_owned(),
            paint: Paint::None,
        }
    }

    /// The same, or a dash.
    pub(super) fn or_none(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(|| Self::new(NONE), Self::new)
    }

    /// Docker's word for what a container is doing, in the colour of how that is.
    pub(super) fn status(word: &str) -> Self {
        let paint = match word {
            "running" => Paint::Good,
            "paused" | "restarting" | "removing" | "stopping" => Paint::Between,
            "dead" => Paint::Bad,
            "exited" | "created" => Paint::Faint,
            _ => Paint::None,
        };
        Self::new(word).painted(paint)
    }

    /// Docker's word for what a health check found, in the colour of how that is.
    pub(super) fn health(word: Option<&str>) -> Self {
        let paint = match word {
            Some("healthy") => Paint::Good,
            Some("unhealthy") => Paint::Bad,
            Some("starting") => Paint::Between,
            Some(_) | None => Paint::None,
        };
        Self::or_none(word).painted(paint)
    }

    fn painted(self, paint: Paint) -> Self {
        Self { paint, ..self }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn render(&self, is_coloured: bool) -> String {
        let code = match self.paint {
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Between => "33",
            Paint::Faint => "2",
            Paint::None => return self.text.clone(),
        };
        if is_coloured {
            format!("\x1b[{code}m{}\x1b[0m", self.text)
        } else {
            self.text.clone()
        }
    }
}

/// Rows under headings, or facts with their names before them.
pub(super) struct Table(Vec<Vec<Cell>>);

impl Table {
    /// One with these headings, and no rows yet.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self(vec![headings.iter().map(Cell::new).collect()])
    }

    /// One without headings.
    pub(super) const fn of_facts() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, row: Vec<Cell>) {
        self.0.push(row);
    }

    /// Its lines, without blanks at their ends.
    pub(super) fn lines(&self, is_coloured: bool) -> Vec<String> {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or_default();
        let mut widths = vec![0; columns];
        for row in &self.0 {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let line = |row: &Vec<Cell>| {
            let mut line = String::new();
            let mut missing = 0;
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if index > 0 {
                    line.push_str(&" ".repeat(missing));
                    line.push_str(GAP);
                }
                line.push_str(&cell.render(is_coloured));
                missing = width - cell.width();
            }
            line
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Table};

    fn check(rows: Vec<Vec<Cell>>, is_coloured: bool, expected: &[&str]) {
        let mut table = Table::new(&["CONTAINER", "STATUS", "HEALTH"]);
        for row in rows {
            table.push(row);
        }
        assert_eq!(table.lines(is_coloured), expected);
    }

    fn row(name: &str, status: &str, health: Option<&str>) -> Vec<Cell> {
        vec![Cell::new(name), Cell::status(status), Cell::health(health)]
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        check(vec![], false, &["CONTAINER   STATUS   HEALTH"]);
        check(
            vec![
                row("a", "restarting", None),
                row("ffmpeg-cam-dev", "up", Some("healthy")),
                row("", "up", Some("")),
            ],
            false,
            &[
                "CONTAINER        STATUS       HEALTH",
                "a                restarting   -",
                "ffmpeg-cam-dev   up           healthy",
                "-                up           -",
            ],
        );
    }

    /// Colour takes no room.
    #[test]
    fn colour_is_for_terminals() {
        check(
            vec![
                row("a", "running", Some("unhealthy")),
                row("b", "exited", None),
            ],
            true,
            &[
                "CONTAINER   STATUS    HEALTH",
                "a           \x1b[32mrunning\x1b[0m   \x1b[31munhealthy\x1b[0m",
                "b           \x1b[2mexited\x1b[0m    -",
            ],
        );
    }

    #[test]
    fn nothing_of_the_gateway_reaches_the_terminal_as_a_command() {
        check(
            vec![row("\u{1b}]0;x\u{7}", "run\nning", Some("\u{9b}2J"))],
            true,
            &[
                "CONTAINER         STATUS      HEALTH",
                "\\u{1b}]0;x\\u{7}   run\\nning   \\u{9b}2J",
            ],
        );
    }
}
