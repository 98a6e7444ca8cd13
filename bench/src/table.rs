//! A Markdown table whose columns line up, to be read in a terminal as well.

use std::fmt::Write as _;

/// The first `left` columns are names, the others figures.
pub(crate) fn markdown<const COLUMNS: usize>(
    left: usize,
    heads: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    any(left, &heads.map(str::to_owned), &rows)
}

/// The same, for as many columns as there are heads.
pub(crate) fn any(left: usize, heads: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let figures = rows.iter().map(|row| row[column].chars().count());
        figures.chain([heads[column].chars().count(), MIN_WIDTH]).max().unwrap_or(MIN_WIDTH)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut table = String::new();
    let mut line = |cells: &[String]| {
        for (column, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            // Writing to a String cannot fail.
            let _ = if column < left { write!(table, "| {cell:width$} ") } else { write!(table, "| {cell:>width$} ") };
        }
        table.push_str("|\n");
    };
    line(heads);
    let rule = |column: usize| {
        let dashes = "-".repeat(widths[column] - usize::from(column >= left));
        if column < left { dashes } else { dashes + ":" }
    };
    line(&(0..heads.len()).map(rule).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
    table
}

/// 1234567 as `1,234,567`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut grouped = if number <= -0.5 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rule needs three dashes.
const MIN_WIDTH: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a".into(), "1".into()], ["bcde".into(), "1,000".into()]];
        let expected = "| name |     n |\n| ---- | ----: |\n| a    |     1 |\n| bcde | 1,000 |\n";
        assert_eq!(markdown(1, ["name", "n"], &rows), expected);
    }

    #[test]
    fn digits_in_threes() {
        for (number, text) in
            [(0.0, "0"), (-0.2, "0"), (999.4, "999"), (999.5, "1,000"), (1_234_567.0, "1,234,567"), (-1234.0, "-1,234")]
        {
            assert_eq!(thousands(number), text);
        }
    }
}
