//! Reading text: headers, times, and every way in which a row can be bad.

use std::io::Write as _;
use std::path::Path;

use chrono_tz::Tz;
use domain::bar::Timeframe;
use domain::money::{Price, Volume};
use ingest::file::{self, Adjusted, FileError, ReadOptions, check_stated, check_whole};

use crate::support::{actions_file, read_text, told, write};

const HEADER: &str = "symbol,timeframe,start_utc,open,high,low,close,volume\n";
const GOOD: &str = "X,1h,2020-01-02T15:00:00Z,10,11,9,10.5,100\n";

/// Reads rows behind the usual header and a good first row (line 2), and says what is rejected.
fn check(rows: &str, expect: &[&str]) {
    let chunk = read_text(format!("{HEADER}{GOOD}{rows}"), &ReadOptions::default()).unwrap();
    assert_eq!(told(&chunk.rejected), expect, "{rows:?}");
    assert_eq!(chunk.read, chunk.rows.len() as u64 + chunk.rejected.len() as u64 + chunk.duplicates);
    assert_eq!(chunk.rows[0].line, 2, "the good row stays");
}

#[test]
fn every_kind_of_bad_row_is_reported_with_its_line() {
    check("X,1h,2020-01-02T16:00:00Z,,11,9,10,1\n", &["3 open: missing, expected a number"]);
    check("X,1h,2020-01-02T16:00:00Z,10,11,9,,1\n", &["3 close: missing, expected a number"]);
    check("X,1h,2020-01-02T16:00:00Z,10,11,-9,10,1\n", &["3 low: negative, expected more than 0"]);
    check("X,1h,2020-01-02T16:00:00Z,0,11,9,10,1\n", &["3 open: zero, expected more than 0"]);
    check("X,1h,2020-01-02T16:00:00Z,1e,11,9,10,1\n", &["3 open: not a decimal number"]);
    check("X,1h,2020-01-02T16:00:00Z,NaN,11,9,10,1\n", &["3 open: not a decimal number"]);
    check("X,1h,2020-01-02T16:00:00Z,10,9,11,10,1\n", &["3 high: below the low of 11, expected at least it"]);
    check("X,1h,2020-01-02T16:00:00Z,8,11,9,10,1\n", &["3 open: outside of low 9 to high 11"]);
    check("X,1h,2020-01-02T16:00:00Z,10,11,9,12,1\n", &["3 close: outside of low 9 to high 11"]);
    check("X,1h,2020-01-02T16:00:00Z,10,11,9,10,-1\n", &["3 volume: negative, expected 0 or more"]);
    check("X,1h,2020-01-02T16:00:00Z,10,11,9,10,many\n", &["3 volume: not a decimal number"]);
    check("X,1h,2020-01-02T16:00:00Z,10,11,9,10,\n", &["3 volume: missing, expected a number"]);
    check("X,1h,2020-01-02T16:00:00Z,10,99999999999,9,10,1\n", &["3 high: out of range"]);
    check("X,1h,2020-01-02T16:00:00Z,10,11,9,10,9999999999999999\n", &["3 volume: out of range"]);
    check(
        "X,1h,2020-01-02T16:00:00Z,10.0000000001,11,9,10,1\n",
        &["3 open: more decimal places than can be kept exactly"],
    );
    check(
        "X,2h,2020-01-02T16:00:00Z,10,11,9,10,1\n",
        &["3 timeframe: timeframe \"2h\", expected one of 1m, 5m, 15m, 30m, 1h, 1d"],
    );
    check(",1h,2020-01-02T16:00:00Z,10,11,9,10,1\n", &["3 symbol: missing, expected a symbol"]);
    for symbol in ["X Y", "\"X,Y\"", "Ä"] {
        let expected = format!("3 symbol: expected {}", contracts::EXPECTED_SYMBOL);
        check(&format!("{symbol},1h,2020-01-02T16:00:00Z,10,11,9,10,1\n"), &[&expected]);
    }
    check("X,1h,2020-01-02T16:00:00Z,10,11,9\n", &["3 row: 6 fields, expected 8 as in the header"]);
    check("X,1h,,10,11,9,10,1\n", &["3 time: missing, expected a time"]);
    check(
        "X,1h,2020-01-02,10,11,9,10,1\n",
        &["3 time: a date without time of day, expected the start of a 1h bar"],
    );
}

#[test]
fn a_time_that_is_no_time_is_reported() {
    for bad in ["yesterday", "2020-13-01T16:00:00Z", "2020-01-02T25:00:00Z", "02.01.2020 16:00"] {
        let rows = format!("X,1h,{bad},10,11,9,10,1\n");
        let chunk = read_text(format!("{HEADER}{GOOD}{rows}"), &ReadOptions::default()).unwrap();
        assert_eq!(chunk.rejected.len(), 1, "{bad}");
        assert_eq!((chunk.rejected[0].line, chunk.rejected[0].value.as_str()), (3, bad));
        assert!(chunk.rejected[0].reason.starts_with("not a time"), "{bad}");
    }
}

#[test]
fn order_and_repetition() {
    check(
        "X,1h,2020-01-02T14:00:00Z,10,11,9,10.5,100\n",
        &["3 time: not in order, the bar before starts at 2020-01-02T15:00:00Z"],
    );
    check(
        "X,1h,2020-01-02T15:00:00Z,10,11,9,10.5,101\n",
        &["3 time: repeats the time of the bar before with other values"],
    );
    check(
        "X,1h,2020-01-02T15:30:00Z,10,11,9,10.5,100\n",
        &["3 time: overlaps the 1h bar before, which closes at 2020-01-02T16:00:00Z"],
    );
    // The same row again is no mistake, another symbol's order is its own.
    check(GOOD, &[]);
    check("Y,1h,2020-01-02T14:00:00Z,10,11,9,10.5,100\n", &[]);
    // A bad row does not move the order on.
    check(
        "X,1h,2020-01-02T18:00:00Z,-1,11,9,10,1\nX,1h,2020-01-02T16:00:00Z,10,11,9,10,1\n",
        &["3 open: negative, expected more than 0"],
    );
}

#[test]
fn rows_are_told_apart_by_what_they_are_rejected_for() {
    // A Saturday, before the opening, older than the row before, a price out of its range.
    let rows = "X,1h,2020-01-04T16:00:00Z,10,11,9,10,1\nX,1h,2020-01-03T13:00:00Z,10,11,9,10,1\n\
                X,1h,2020-01-02T14:00:00Z,10,11,9,10,1\nX,1h,2020-01-02T16:00:00Z,10,11,9,12,1\n";
    let chunk = read_text(format!("{HEADER}{GOOD}{rows}"), &ReadOptions::default()).unwrap();
    let kinds = chunk.rejected.iter().map(|row| (row.is_outside_hours(), row.is_out_of_order()));
    assert_eq!(kinds.collect::<Vec<_>>(), [(true, false), (true, false), (false, true), (false, false)]);
}

#[test]
fn the_calendar_decides_where_a_bar_belongs() {
    // A Saturday, a holiday, before the opening, after the close.
    check("X,1h,2020-01-04T16:00:00Z,10,11,9,10,1\n", &["3 time: XNYS has no session on 2020-01-04"]);
    check("X,1h,2020-01-20T16:00:00Z,10,11,9,10,1\n", &["3 time: XNYS has no session on 2020-01-20"]);
    check(
        "X,1h,2020-01-03T13:00:00Z,10,11,9,10,1\n",
        &[
            "3 time: outside the session of 2020-01-03, expected to overlap 2020-01-03T14:30Z to 2020-01-03T21:00Z",
        ],
    );
    check(
        "X,1h,2020-01-02T21:00:00Z,10,11,9,10,1\n",
        &[
            "3 time: outside the session of 2020-01-02, expected to overlap 2020-01-02T14:30Z to 2020-01-02T21:00Z",
        ],
    );
    // Beyond what the calendar knows.
    let late =
        read_text(format!("{HEADER}X,1h,2040-01-03T15:00:00Z,10,11,9,10,1\n"), &ReadOptions::default());
    let late = late.unwrap();
    assert!(late.rejected[0].reason.starts_with("calendar XNYS knows 1998-01-01 to 2030-12-31"));
    // The hour that holds the opening overlaps the session; a bar after an early close is accepted.
    let rows = "X,1h,2020-11-27T14:00:00Z,10,11,9,10,1\nX,1h,2020-11-27T17:00:00Z,10,11,9,10,1\n\
                X,1h,2020-11-27T18:00:00Z,10,11,9,10,1\nX,1h,2020-11-27T21:00:00Z,10,11,9,10,1\n";
    let chunk = read_text(format!("{HEADER}{rows}"), &ReadOptions::default()).unwrap();
    let after: Vec<bool> = chunk.rows.iter().map(|row| row.after_early_close).collect();
    assert_eq!(after, [false, false, true]);
    assert_eq!(chunk.rejected[0].line, 5, "16:00 in New York is after the ordinary close as well");
}

fn starts(text: &str, options: &ReadOptions) -> Vec<String> {
    let chunk = read_text(text, options).unwrap();
    assert!(chunk.rejected.is_empty(), "{:?}", chunk.rejected);
    let start = |ns| chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339();
    chunk.rows.iter().map(|row| start(row.bar.start_ns)).collect()
}

fn hourly(zone: Option<Tz>) -> ReadOptions {
    ReadOptions {
        symbol: Some("X".into()),
        timeframe: Some(Timeframe::H1),
        timezone: zone,
        ..ReadOptions::default()
    }
}

#[test]
fn times_are_read_in_every_common_form() {
    let want = ["2020-01-02T15:00:00+00:00"];
    for time in [
        "2020-01-02T15:00:00Z",
        "2020-01-02T10:00:00-05:00",
        "2020-01-02 15:00:00+00:00",
        "2020-01-02 15:00:00 UTC",
        "2020-01-02T15:00:00.000Z",
        "2020/01/02 15:00Z",
        "1577977200",
        "1577977200.0",
        "1577977200000",
        "1577977200000000",
        "1577977200000000000",
    ] {
        let text = format!("t,o,h,l,c,v\n{time},10,11,9,10,5\n");
        assert_eq!(starts(&text, &hourly(None)), want, "{time}");
    }
}

#[test]
fn a_local_time_needs_a_zone_and_follows_its_clock() {
    let new_york = hourly(Some(chrono_tz::America::New_York));
    // The week in which the clock is put forward, and the one in which it is put back.
    let text = "Datetime;Open;High;Low;Close;Volume\n2020-03-06 10:00:00;10;11;9;10;5\n\
                2020-03-09 10:00:00;10;11;9;10;5\n2020-10-30 10:00:00;10;11;9;10;5\n\
                2020-11-02 10:00:00;10;11;9;10;5\n";
    let want = [
        "2020-03-06T15:00:00+00:00",
        "2020-03-09T14:00:00+00:00",
        "2020-10-30T14:00:00+00:00",
        "2020-11-02T15:00:00+00:00",
    ];
    assert_eq!(starts(text, &new_york), want);
    assert_eq!(starts(&text.replace(' ', "T"), &new_york), want);
    // The same in two columns.
    let apart = text.replace("Datetime", "Date;Time").replace(" 10:00:00", ";10:00");
    assert_eq!(starts(&apart, &new_york), want);

    let error = read_text(text, &hourly(None)).unwrap_err().to_string();
    assert!(error.contains("has no time zone") && error.contains("--timezone"), "{error}");
}

#[test]
fn local_times_that_are_twice_or_never_are_reported() {
    let new_york = hourly(Some(chrono_tz::America::New_York));
    let text = "time,open,high,low,close,volume\n2020-11-01 01:30:00,10,11,9,10,5\n\
                2020-03-08 02:30:00,10,11,9,10,5\n";
    let chunk = read_text(text, &new_york).unwrap();
    assert_eq!(
        told(&chunk.rejected),
        [
            "2 time: this local time happened twice in America/New_York (the clock was put back)",
            "3 time: this local time did not happen in America/New_York (the clock was put forward)",
        ]
    );
}

#[test]
fn daily_bars_belong_to_their_date_and_close_with_the_session() {
    let daily =
        ReadOptions { symbol: Some("X".into()), timeframe: Some(Timeframe::D1), ..ReadOptions::default() };
    // 2020-11-27 closes early. Midnight UTC means the UTC date, another time the exchange's.
    for (time, close) in [
        ("2020-11-25", "2020-11-25T21:00:00+00:00"),
        ("20201127", "2020-11-27T18:00:00+00:00"),
        ("2020-07-01", "2020-07-01T20:00:00+00:00"),
        ("2020-11-27T00:00:00Z", "2020-11-27T18:00:00+00:00"),
        ("2020-11-27T05:00:00Z", "2020-11-27T18:00:00+00:00"),
        ("2020-11-27T00:00:00-05:00", "2020-11-27T18:00:00+00:00"),
        // Midnight in the east is the evening before in New York, and the bar that of its own date all the same.
        ("2020-11-27T00:00:00+01:00", "2020-11-27T18:00:00+00:00"),
        ("2020-11-27 00:00:00+0900", "2020-11-27T18:00:00+00:00"),
        ("2020-11-27 09:00:00+09:00", "2020-11-27T18:00:00+00:00"),
    ] {
        let chunk =
            read_text(format!("Date,Open,High,Low,Close,Volume\n{time},10,11,9,10,5\n"), &daily).unwrap();
        let bar = chunk.rows[0].bar;
        assert_eq!(chrono::DateTime::from_timestamp_nanos(bar.close_ns).to_rfc3339(), close, "{time}");
        assert!(bar.start_ns < bar.close_ns);
    }
    // The same by a stated zone, and in two columns.
    for zone in [chrono_tz::Europe::Berlin, chrono_tz::Asia::Tokyo, chrono_tz::America::New_York] {
        let stated = ReadOptions { timezone: Some(zone), ..daily.clone() };
        for (header, time) in [("Date", "2020-11-27 00:00"), ("Date,Time", "2020-11-27,00:00:00")] {
            let text = format!("{header},Open,High,Low,Close,Volume\n{time},10,11,9,10,5\n");
            assert_eq!(starts(&text, &stated), ["2020-11-27T14:30:00+00:00"], "{zone} {header}");
        }
    }
}

#[test]
fn numbers_are_exact() {
    let text = format!("{HEADER}BRK.B,1h,2020-01-02T15:00:00Z,10.123456789,11.5,9.000000001,10.10,0.125\n");
    let chunk = read_text(text, &ReadOptions::default()).unwrap();
    let bar = chunk.rows[0].bar;
    assert_eq!((bar.open, bar.low), (Price(10_123_456_789), Price(9_000_000_001)));
    assert_eq!((bar.close, bar.volume), (Price(10_100_000_000), Volume(125)));
    assert_eq!(chunk.series[0].symbol, "BRK.B");
}

/// A series has one name, in whatever case files and options write it.
#[test]
fn symbols_are_in_capitals_and_those_of_one_name_are_one_series() {
    let row = |symbol: &str, hour: u32| format!("{symbol},1h,2020-01-02T{hour}:00:00Z,10,11,9,10.5,100\n");
    let rows = [("brk.b", 15), ("BRK.B", 16), ("Brk.b", 17), ("x", 15), ("brk.b", 18), ("X", 16)];
    let rows: String = rows.iter().map(|(symbol, hour)| row(symbol, *hour)).collect();
    let chunk = read_text(format!("{HEADER}{rows}"), &ReadOptions::default()).unwrap();
    let symbols: Vec<&str> = chunk.series.iter().map(|series| series.symbol.as_str()).collect();
    assert_eq!((symbols, chunk.rejected.len()), (vec!["BRK.B", "X"], 0));
    assert_eq!(chunk.rows.iter().map(|row| row.series).collect::<Vec<_>>(), [0, 0, 0, 1, 0, 1]);
    // In one series times are in their order.
    let back = format!("{HEADER}{}{}", row("X", 16), row("x", 15));
    let told = told(&read_text(back, &ReadOptions::default()).unwrap().rejected);
    assert_eq!(told, ["3 time: not in order, the bar before starts at 2020-01-02T16:00:00Z"]);
    let options = ReadOptions { symbol: Some("spy".into()), ..ReadOptions::default() };
    let unsaid = "timeframe,start_utc,open,high,low,close,volume\n1h,2020-01-02T15:00:00Z,10,11,9,10,1\n";
    assert_eq!(read_text(unsaid, &options).unwrap().series[0].symbol, "SPY");
}

#[test]
fn headers_are_recognised_whatever_their_case() {
    for header in [
        "Ticker,Interval,Timestamp,Open,High,Low,Close,Volume",
        "SYMBOL,TIMEFRAME,DATETIME,OPEN,HIGH,LOW,CLOSE,VOLUME",
        "<ticker>,<interval>,<start>,<open>,<high>,<low>,<close>,<vol>",
        "sym,tf,t,o,h,l,c,v",
        "\u{feff}symbol,timeframe,start_utc,open,high,low,close,volume",
    ] {
        let chunk = read_text(format!("{header}\n{GOOD}"), &ReadOptions::default()).unwrap();
        assert_eq!((chunk.rows.len(), chunk.rejected.len()), (1, 0), "{header}");
    }
}

/// A row is a line: a stray quote costs its own row, and none behind it.
#[test]
fn a_quote_that_is_not_closed_ends_with_its_line() {
    let hour = |hour: u32| format!("X,1h,2020-01-02T{hour}:00:00Z,10,11,9,10.5,100");
    let stray = |at: usize| {
        let mut row = hour(16);
        row.insert(at, '"');
        row
    };
    let unclosed = ["4 row: a quote that is not closed"];
    let read = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(text.as_bytes()).unwrap();
        for content in [text.as_bytes().to_vec(), packed.finish().unwrap()] {
            let chunk = read_text(content, &ReadOptions::default()).unwrap();
            assert_eq!(told(&chunk.rejected), unclosed, "{text:?}");
            assert_eq!(chunk.rejected[0].value, text.lines().nth(3).unwrap());
            assert_eq!(chunk.read, chunk.rows.len() as u64 + 1, "{text:?}");
            let lines: Vec<u64> = chunk.rows.iter().map(|row| row.line).collect();
            assert_eq!(lines, [2, 3, 5, 6][..chunk.rows.len()], "{text:?}");
        }
    };
    let row_starts = [0, hour(16).rfind(',').unwrap() + 1];
    for end in ["\n", "\r\n"] {
        for at in row_starts {
            // The quoted cell, within one line, is as good as any.
            let quoted = "\"X\",\"1h\",2020-01-02T15:00:00Z,\"10\",11,9,10.5,100".to_owned();
            let rows = [HEADER.trim_end().to_owned(), hour(14), quoted, stray(at)];
            let before = rows.join(end);
            read(&before);
            read(&format!("{before}{end}{}{end}{}{end}", hour(17), hour(18)));
        }
    }
    // Within a cell a quote is a character; two within quotes are one; what is behind them belongs to the cell.
    check("X,1h,2020-01-02T16:00:00Z,1\"0,11,9,10,1\n", &["3 open: not a decimal number"]);
    check("\"X\"\"\",1h,2020-01-02T16:00:00Z,10,11,9,10,1\n", &[]);
    check("\"X\"Y,1h,2020-01-02T16:00:00Z,10,11,9,10,1\n", &[]);
    check("X,1h,\"2020-01-02T16:00:00Z,10\",11,9,10,1\n", &["3 row: 7 fields, expected 8 as in the header"]);
    // A last quote is one, too; lines without anything are no rows, and are counted as lines.
    check("\r\n\n\"", &["5 row: a quote that is not closed"]);
}

#[test]
fn what_is_no_file_of_rows_is_told_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let told = |path: &Path| file::open(path, &ReadOptions::default()).unwrap_err().to_string();
    let wide = format!("\u{feff}{HEADER}{GOOD}");
    let low: Vec<u8> = wide.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let high: Vec<u8> = wide.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [low, high] {
        let error = told(&write(&dir, "wide.csv", bytes));
        assert!(error.ends_with("wide.csv: text in UTF-16, expected UTF-8"), "{error}");
    }
    let error = told(&write(&dir, "empty.csv", ""));
    assert!(error.ends_with("empty.csv: empty, expected a header and rows"), "{error}");
    // It is not opened: who writes into a pipe may wait for its only reader.
    let path = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = told(&path);
    assert!(error.contains("socket: a pipe or a device, expected a file"), "{error}");
    assert_eq!(check_whole(&path).unwrap_err().to_string(), error);
}

#[test]
fn gzip_is_told_by_its_content() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(format!("{HEADER}{GOOD}").as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(read_text(&packed, &ReadOptions::default()).unwrap().rows.len(), 1);
    // A file that breaks off is an error, not an end.
    let error = read_text(&packed[..packed.len() - 9], &ReadOptions::default());
    assert!(matches!(error, Err(FileError::Io { .. })), "{error:?}");
    let dir = tempfile::tempdir().unwrap();
    check_whole(&write(&dir, "bars.csv", format!("{HEADER}{GOOD}"))).unwrap();
    check_whole(&write(&dir, "bars.csv.gz", &packed)).unwrap();
    // Whatever breaks off or is changed, sums and what follows behind the end included.
    let last = packed.len() - 1;
    let mut changed = packed.clone();
    changed[last - 4] ^= 1;
    for damaged in [packed[..last].to_vec(), changed, [&packed[..], &b"more"[..]].concat()] {
        let error = check_whole(&write(&dir, "damaged.csv.gz", damaged)).unwrap_err().to_string();
        assert!(error.contains("damaged.csv.gz: "), "{error}");
    }
}

/// The message for a whole file.
fn refused(text: &str, options: &ReadOptions) -> String {
    read_text(text, options).unwrap_err().to_string()
}

#[test]
fn what_a_file_does_not_say_is_named_with_the_option_that_says_it() {
    let none = ReadOptions::default();
    let symbol = refused("timeframe,start_utc,open,high,low,close,volume\n", &none);
    assert!(symbol.contains("no symbol column") && symbol.contains("--symbol"), "{symbol}");
    let timeframe = refused("symbol,start_utc,open,high,low,close,volume\n", &none);
    assert!(timeframe.contains("--timeframe 1m|5m|15m|30m|1h|1d"), "{timeframe}");
    let column = refused("symbol,timeframe,start_utc,open,high,low,close\n", &none);
    assert!(column.contains("no column for `volume`") && column.contains("volume, vol, v"), "{column}");
    let twice = refused("symbol,ticker,timeframe,t,o,h,l,c,v\n", &none);
    assert!(twice.contains("\"symbol\" and \"ticker\" both mean `symbol`"), "{twice}");
    let adjusted = refused("Symbol,Timeframe,Date,Open,High,Low,Close,Adj Close,Volume\n", &none);
    assert!(adjusted.contains("--adjusted none|yes"), "{adjusted}");
    let stated = ReadOptions { adjusted: Adjusted::None, ..none };
    let text = "Symbol,Timeframe,Date,Open,High,Low,Close,Adj Close,Volume\nX,1d,2020-01-02,1,1,1,1,0.5,1\n";
    assert_eq!(read_text(text, &stated).unwrap().rows.len(), 1);
    assert_eq!(
        "split".parse::<Adjusted>().unwrap_err().to_string(),
        "adjusted \"split\", expected `none` (raw prices) or `yes` (adjusted, recorded as a finding)"
    );
}

#[test]
fn an_option_overrules_no_file() {
    let check = |text: &str, options: &ReadOptions| {
        let dir = tempfile::tempdir().unwrap();
        let refused = check_stated(&write(&dir, "bars.csv", text), options);
        refused.map_err(|error| error.to_string().replace(&dir.path().display().to_string(), ""))
    };
    let symbol = |text: &str| ReadOptions { symbol: Some(text.into()), ..ReadOptions::default() };
    let two = format!("{HEADER}{GOOD}Y,1h,2020-01-02T16:00:00Z,10,11,9,10,1\n");
    assert_eq!(
        check(&two, &symbol("X")).unwrap_err(),
        "--symbol \"X\": /bars.csv says it itself, \"Y\" in line 3; expected the same, or no --symbol"
    );
    // The same as the file says, of a file that does not say, of actions: there is nothing to refuse.
    let unsaid = "timeframe,start_utc,open,high,low,close,volume\n1h,2020-01-02T15:00:00Z,10,11,9,10,1\n";
    let actions = "symbol,ex_date,kind,value\nY,2020-08-31,split,4\n";
    for text in [format!("{HEADER}{GOOD}"), unsaid.to_owned(), actions.to_owned()] {
        for case in ["X", "x"] {
            assert_eq!(check(&text, &symbol(case)), Ok(()), "{text}");
        }
    }
    let timeframe = |timeframe| ReadOptions { timeframe: Some(timeframe), ..ReadOptions::default() };
    assert_eq!(check(&two, &timeframe(Timeframe::H1)), Ok(()));
    let error = check(&two, &timeframe(Timeframe::M5)).unwrap_err();
    assert!(error.starts_with("--timeframe \"5m\": /bars.csv says it itself, \"1h\" in line 2"), "{error}");
    // A zone is that of times which carry none.
    let zone = |zone| ReadOptions { timezone: Some(zone), ..ReadOptions::default() };
    assert_eq!(check(&two, &zone(chrono_tz::America::New_York)), Ok(()));
    let local = unsaid.replace("T15:00:00Z", " 15:00:00");
    assert_eq!(check(&local, &zone(chrono_tz::UTC)), Ok(()));
    assert_eq!(check(&local.replace("start_utc", "start"), &zone(chrono_tz::America::New_York)), Ok(()));
    let error = check(&local, &zone(chrono_tz::America::New_York)).unwrap_err();
    assert!(error.contains("says it itself, \"2020-01-02 15:00:00 UTC\" in line 2"), "{error}");
}

#[test]
fn a_timeframe_is_told_from_the_spacing_only_beyond_doubt() {
    let file = |minutes: &[i64]| {
        let start = chrono::DateTime::parse_from_rfc3339("2020-01-02T15:00:00Z").unwrap();
        let rows: String = minutes
            .iter()
            .map(|minute| {
                format!("{},1,1,1,1,1\n", (start + chrono::Duration::minutes(*minute)).to_rfc3339())
            })
            .collect();
        format!("time,open,high,low,close,volume\n{rows}")
    };
    let options = ReadOptions { symbol: Some("X".into()), ..ReadOptions::default() };
    let told = |minutes: &[i64]| read_text(file(minutes), &options).map(|chunk| chunk.series[0].timeframe);
    assert_eq!(told(&[0, 5, 10, 15, 20, 30]).unwrap(), Timeframe::M5);
    assert_eq!(told(&[0, 60, 120, 180, 240]).unwrap(), Timeframe::H1);
    // Days, a weekend between them.
    assert_eq!(told(&[0, 1440, 5760, 7200, 8640]).unwrap(), Timeframe::D1);
    for doubtful in [&[0, 5, 10][..], &[0, 7, 14, 21, 28], &[0, 1, 31, 61, 91, 121], &[0], &[]] {
        assert!(matches!(told(doubtful), Err(FileError::Unstated { .. })), "{doubtful:?}");
    }
    let said = |minutes: &[i64]| told(minutes).unwrap_err().to_string();
    assert!(said(&[0]).contains("no two rows of a symbol tell it by their spacing"), "{}", said(&[0]));
    assert!(said(&[0, 5]).contains("the spacing of the first 2 rows does not"), "{}", said(&[0, 5]));
}

#[test]
fn the_header_alone_tells_a_file_of_corporate_actions() {
    let dir = tempfile::tempdir().unwrap();
    // It says neither symbol nor timeframe, so that it cannot be opened.
    let text = "start_utc,open,high,low,close,volume\n2025-01-02T15:00:00Z,1,1,1,1,5\n";
    let bars = write(&dir, "bars.csv", text);
    assert!(file::open(&bars, &ReadOptions::default()).is_err());
    assert!(!file::holds_actions(&bars).unwrap());
    assert!(file::holds_actions(&actions_file()).unwrap());
    assert!(file::holds_actions(&dir.path().join("none.csv")).is_err());
}
