//! The exported page stands alone.

use analytics::sheet::Setting;
use analytics::{TearSheet, svg, view::View};

use crate::run::run;
use crate::tear_sheet::sheet_of;

fn page(sheet: &TearSheet) -> String {
    sheet.to_html().unwrap()
}

#[test]
fn it_needs_no_script_and_no_other_address() {
    let text = page(&sheet_of(&run(1, "2018-03-05", "2022-08-10")));
    for foreign in ["<script", "http://", "https://", "src=", "href=", "url(", "@import", "<link", "style=\""]
    {
        assert!(!text.contains(foreign), "{foreign} is in the page");
    }
    assert!(text.starts_with("<!doctype html>") && text.contains("prefers-color-scheme: dark"));
    assert!(text.contains("@media print"));
    assert!(text.len() < 400_000, "{} bytes", text.len());
}

#[test]
fn every_part_is_there() {
    let sheet = sheet_of(&run(1, "2018-03-05", "2022-08-10"));
    let text = page(&sheet);
    for heading in [
        "Summary",
        "Warnings",
        "Equity against the benchmark",
        "Drawdown",
        "Daily returns",
        "Rolling Sharpe ratio, 126 days",
        "Rolling volatility, 126 days",
        "Exposure over equity",
        "Monthly returns",
        "Deepest drawdowns",
        "Against the benchmark",
        "Monte Carlo",
        "Trades",
        "Parameters and identity",
        "Costs paid",
        "Counts",
    ] {
        assert!(text.contains(&format!(">{heading}</h2>")), "{heading} is missing");
    }
    assert_eq!(text.matches("role=\"img\"").count(), 6);
    let view = View::of(&sheet);
    assert_eq!(view.trades.rows.len(), sheet.trades_total);
    assert!(text.contains("SPY, bought and held"));
    // What a table says is what the sheet says.
    let april = sheet.years[1].months[3].unwrap();
    assert_eq!(view.years[1].months[3].text, analytics::format::signed(april * 100.0, 3));
}

#[test]
fn a_sheet_without_warnings_says_that_the_checks_found_nothing() {
    let mut sheet = sheet_of(&run(1, "2018-03-05", "2022-08-10"));
    let none = "None of the checks that were made found anything.";
    assert!(!sheet.warnings.is_empty() && !page(&sheet).contains(none));
    sheet.warnings.clear();
    let text = page(&sheet);
    assert!(text.contains(">Warnings</h2>") && text.contains(none));
}

#[test]
fn what_users_name_is_text_and_never_markup() {
    let mut sheet = sheet_of(&run(1, "2020-01-02", "2020-06-30"));
    let evil = "<script>alert(1)</script>\"'&";
    sheet.run.title = evil.to_owned();
    sheet.run.notes = vec![evil.to_owned()];
    sheet.run.settings = vec![Setting { name: evil.to_owned(), value: evil.to_owned() }];
    sheet.benchmark.as_mut().unwrap().name = evil.to_owned();
    let text = page(&sheet);
    assert!(!text.contains("<script"));
    assert_eq!(svg::escaped(evil), "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;");
}

#[test]
fn a_run_of_nothing_has_a_page() {
    let input = analytics::Input::new(&[], &[], domain::calendar::Calendar::xnys());
    let text = page(&TearSheet::of(input).unwrap());
    assert!(text.contains("No trades: why?") && text.contains("No closed trades."));
    assert!(!text.contains("NaN") && !text.contains("inf"));
}

#[test]
fn a_long_line_is_thinned_and_keeps_its_extremes() {
    let mut values: Vec<Option<f64>> = (0..50_000).map(|place| Some(f64::from(place % 7))).collect();
    values[31_234] = Some(100.0);
    values[7] = None;
    let text = svg::sparkline(&values, "long");
    assert!(text.len() < 30_000, "{} bytes", text.len());
    assert!(text.contains(",2.0"), "the highest value reaches the top");
    assert!(svg::sparkline(&[], "nothing").ends_with("\"></svg>"));
    assert!(!svg::sparkline(&[Some(3.0); 4], "level").contains("NaN"));
}
