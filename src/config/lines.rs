//! Offsets into a text as the lines and columns that people count.

use std::ops::Range;

/// A text with its line starts. Lines and columns count from 1, columns in characters.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// The lines that open a table.
    headers: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(offset, _)| offset + 1);
        let mut lines = Self {
            text,
            starts: std::iter::once(0).chain(breaks).collect(),
            headers: Vec::new(),
        };
        lines.headers = (1..=lines.count())
            .filter(|line| lines.header(*line).is_some())
            .collect();
        lines
    }

    pub(super) const fn text(&self) -> &'a str {
        self.text
    }

    pub(super) const fn count(&self) -> usize {
        self.starts.len()
    }

    /// The line that this byte is on.
    pub(super) fn number(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// The column of this byte within its line.
    pub(super) fn column(&self, offset: usize) -> usize {
        let before = self.start(self.number(offset))..offset;
        self.slice(before).chars().count() + 1
    }

    /// The byte at which a line starts; the end of the text for a line past the last.
    pub(super) fn start(&self, line: usize) -> usize {
        let index = line.saturating_sub(1);
        self.starts.get(index).copied().unwrap_or(self.text.len())
    }

    /// A line without its end.
    pub(super) fn line(&self, line: usize) -> &'a str {
        let whole = self.slice(self.start(line)..self.start(line + 1));
        let whole = whole.strip_suffix('\n').unwrap_or(whole);
        whole.strip_suffix('\r').unwrap_or(whole)
    }

    /// The text of a range; empty where the range is none of this text.
    pub(super) fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    /// The table that a line opens, such as `containers.muxer` for `[containers.muxer]`.
    pub(super) fn header(&self, line: usize) -> Option<&'a str> {
        let inside = self.line(line).trim_start().strip_prefix('[')?;
        Some(inside.split([']', '#']).next().unwrap_or_default().trim())
    }

    /// The nearest line at or above this one that opens a table.
    pub(super) fn header_above(&self, line: usize) -> Option<usize> {
        let above = self.headers.partition_point(|header| *header <= line);
        self.headers.get(above.checked_sub(1)?).copied()
    }

    /// The nearest line below this one that opens a table, or the one past the last.
    pub(super) fn header_below(&self, line: usize) -> usize {
        let below = self.headers.partition_point(|header| *header <= line);
        self.headers.get(below).copied().unwrap_or(self.count() + 1)
    }

    /// The key that a line sets.
    pub(super) fn key(&self, line: usize) -> Option<&'a str> {
        let (key, _) = self.line(line).split_once('=')?;
        let key = key.trim();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '"' | '\'');
        (!key.is_empty() && key.chars().all(plain)).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn columns_count_characters() {
        let lines = Lines::new("a\r\n\täöx\n");
        let x = lines.text().find('x').unwrap();
        assert_eq!((lines.number(x), lines.column(x)), (2, 4));
        assert_eq!((lines.line(1), lines.line(2)), ("a", "\täöx"));
        assert_eq!(lines.number(lines.text().len()), 3);
    }
}
