//! Rejected rows for people: by reason, so that the many of one reason hide none of another.

use std::collections::BTreeMap;

use ingest::file::Rejected;

use crate::output::Output;

/// Rows shown of each reason.
const ROWS_SHOWN: usize = 3;
/// Reasons shown.
const REASONS_SHOWN: usize = 20;

/// Prints what was rejected; `all` says where all of it is listed.
pub fn print(rejected: &[Rejected], all: &str, output: Output) {
    lines(rejected, all).iter().for_each(|line| output.note(line));
}

/// Rows of one reason.
struct Group<'a> {
    /// The reason without what is of one row alone.
    reason: String,
    field: &'static str,
    rows: Vec<&'a Rejected>,
    count: usize,
}

/// The first rows of each reason and how many more there are of it, in the order of the files.
fn lines(rejected: &[Rejected], all: &str) -> Vec<String> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
    for row in rejected {
        let reason = common(&row.reason);
        let index = *known.entry((row.field, reason.clone())).or_insert_with(|| {
            groups.push(Group { reason, field: row.field, rows: Vec::new(), count: 0 });
            groups.len() - 1
        });
        let group = &mut groups[index];
        group.count += 1;
        if group.rows.len() < ROWS_SHOWN {
            group.rows.push(row);
        }
    }
    let mut lines = Vec::new();
    for Group { reason, field, rows, count } in groups.iter().take(REASONS_SHOWN) {
        for row in rows {
            let file = row.file.as_deref().map_or_else(String::new, |file| format!("{file} "));
            lines.push(format!("{file}line {}: {} = {:?}: {}", row.line, row.field, row.value, row.reason));
        }
        if *count > rows.len() {
            lines.push(format!(
                "… and {} more such rows, {count} in all: {field}: {reason}",
                count - rows.len()
            ));
        }
    }
    let hidden: usize = groups.iter().skip(REASONS_SHOWN).map(|group| group.count).sum();
    if hidden > 0 {
        lines.push(format!("… and {hidden} rows for {} other reasons", groups.len() - REASONS_SHOWN));
    }
    let is_cut = hidden > 0 || groups.iter().any(|group| group.count > group.rows.len());
    if is_cut && !all.is_empty() {
        lines.push(all.to_owned());
    }
    lines
}

/// A reason without the words that differ from row to row: dates, numbers, what is quoted.
fn common(reason: &str) -> String {
    let word = |word: &str| match word.contains(|one: char| one.is_ascii_digit() || one == '"') {
        true => "…".to_owned(),
        false => word.to_owned(),
    };
    reason.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, field: &'static str, reason: String) -> Rejected {
        Rejected { file: Some("x.csv".to_owned()), ..Rejected::new(line, field, "v".to_owned(), reason) }
    }

    #[test]
    fn hundreds_of_one_reason_hide_none_of_another() {
        let mut rejected: Vec<Rejected> = (2..402)
            .map(|line| row(line, "time", format!("XNYS has no session on 2020-01-{:02}", line % 28 + 1)))
            .collect();
        rejected.push(row(500, "high", "below low".to_owned()));
        assert_eq!(
            lines(&rejected, "--json lists them all"),
            [
                r#"x.csv line 2: time = "v": XNYS has no session on 2020-01-03"#,
                r#"x.csv line 3: time = "v": XNYS has no session on 2020-01-04"#,
                r#"x.csv line 4: time = "v": XNYS has no session on 2020-01-05"#,
                "… and 397 more such rows, 400 in all: time: XNYS has no session on …",
                r#"x.csv line 500: high = "v": below low"#,
                "--json lists them all",
            ]
        );
        assert_eq!(lines(&rejected[400..], "--json lists them all").len(), 1, "nothing is left out");
        assert_eq!(lines(&[], ""), Vec::<String>::new());
    }

    #[test]
    fn reasons_without_end_are_counted() {
        let rejected: Vec<Rejected> =
            (0..30_u8).map(|at| row(2, "open", "x".repeat(usize::from(at) + 1))).collect();
        let told = lines(&rejected, "all");
        assert_eq!(told.len(), 22);
        assert_eq!(told[20..], ["… and 10 rows for 10 other reasons", "all"]);
    }
}
