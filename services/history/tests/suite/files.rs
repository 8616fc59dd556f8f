//! Files as columns: the fast way and the way row by row give the same, and what files do not say.

use domain::bar::{Bar, Timeframe};
use domain::calendar::Market;
use domain::money::{Price, Volume};
use history::file::{FileError, ReadOptions};
use history::{Loaded, Range, Selection};
use polars::prelude::{Column, DataFrame, Int64Chunked, IntoSeries as _, ParquetWriter, TimeUnit, TimeZone};

use crate::support::{HOUR_NS, START_NS, bar_files, bars, data_dir, load, text, time, told, write};

/// A file whose last line is bad goes row by row; without the line it goes the fast way.
#[test]
fn real_bars_are_the_same_from_text_and_from_parquet() {
    let from_text = load(&bar_files());
    assert_eq!((from_text.bars, from_text.rejected.len()), (163_294, 0));
    let dir = tempfile::tempdir().unwrap();
    let parquet = dir.path().join("all.parquet");
    history::file::save(&parquet, &from_text.data.series).unwrap();
    let from_parquet = load(&[parquet]);
    assert_eq!(told(&from_parquet.data), told(&from_text.data));
    assert_eq!(from_parquet.hash, from_text.hash);
    let again = dir.path().join("all.csv");
    history::file::save(&again, &from_text.data.series).unwrap();
    assert_eq!(load(&[again]).hash, from_text.hash);
}

#[test]
fn actions_are_those_of_the_range_in_their_order() {
    let mut files = bar_files();
    files.push(data_dir().join("corporate-actions.csv"));
    let all = load(&files);
    assert!(!all.data.actions.is_empty());
    assert!(all.data.actions.is_sorted_by_key(|dated| (dated.event_ns, dated.symbol.clone())));
    let range = Range { from: Some("2005-01-01".parse().unwrap()), to: Some("2005-12-31".parse().unwrap()) };
    let selection = Selection { range, symbols: vec!["AAPL".into()], ..Selection::default() };
    let year = history::file::load("test", &files, &ReadOptions::default(), &selection).unwrap();
    let told: Vec<String> = year.data.actions.iter().map(|dated| time(dated.event_ns)).collect();
    assert_eq!(told, ["2005-02-28T14:30:00Z"], "the split, at the session's opening");
    assert_eq!(year.data.series.len(), 1);
    assert_eq!(time(year.data.series[0].close_ns.values()[0]), "2005-01-03T15:00:00Z");
}

/// Files of single years that overlap, or one that is named twice.
#[test]
fn an_action_in_several_files_takes_effect_once() {
    let dir = tempfile::tempdir().unwrap();
    let header = "symbol,ex_date,kind,value\n";
    let split = "AAPL,2005-02-28,split,2\n";
    let first = write(&dir, "a.csv", format!("{header}{split}AAPL,2005-05-02,dividend,0.5\n"));
    let second = write(&dir, "b.csv", format!("{header}AAPL,2005-05-02,dividend,0.6\n{split}"));
    let aapl = data_dir().join("bars-1h-AAPL.csv.gz");
    let once = load(&[aapl.clone(), first.clone()]);
    assert_eq!(once.data.actions.len(), 2);
    let twice = load(&[aapl.clone(), first.clone(), first.clone()]);
    assert_eq!((twice.data.actions, twice.duplicates), (once.data.actions.clone(), once.duplicates + 2));
    let other = load(&[aapl, first, second]);
    assert_eq!((other.data.actions, other.hash), (once.data.actions, once.hash));
    let [row] = other.rejected.as_slice() else { panic!("{:?}", other.rejected) };
    assert_eq!((row.line, row.field), (2, "value"));
    assert_eq!(row.reason, "repeats an earlier action of that date with another value");
}

/// A file of all actions beside the bars of one symbol is the usual case.
#[test]
fn actions_of_symbols_without_bars_are_no_part_of_the_hash() {
    let spy = data_dir().join("bars-1h-SPY.csv.gz");
    let files = [spy, data_dir().join("corporate-actions.csv")];
    let all = load(&files);
    assert!(all.data.actions.iter().any(|dated| &*dated.symbol != "SPY"));
    let selection = Selection { symbols: vec!["SPY".into()], ..Selection::default() };
    let own = history::file::load("test", &files, &ReadOptions::default(), &selection).unwrap();
    assert_eq!(all.hash, own.hash);
    assert_ne!(all.hash, load(&files[..1]).hash, "those of its own are");
}

/// As `backtesting.test.GOOG.to_csv()` writes it.
#[test]
fn an_index_without_a_name_and_a_symbol_from_the_name() {
    let content = ",Open,High,Low,Close,Volume\n2004-08-19,100.0,104.06,95.96,100.34,22351900\n\
                   2004-08-20,101.01,109.08,100.5,108.31,11428600\n2004-08-23,110.75,113.48,109.05,109.4,9137200\n\
                   2004-08-24,111.24,111.6,103.57,104.87,7631300\n2004-08-25,104.76,108,103.88,106,4598900\n";
    let check = |content: &str| {
        let loaded = text("GOOG.csv", content, &ReadOptions::default(), &Selection::default());
        assert_eq!(loaded.rejected, []);
        let series = &loaded.data.series[0];
        assert_eq!((&*series.symbol, series.timeframe, series.len()), ("GOOG", Timeframe::D1, 5));
        let first = series.bar(0).unwrap();
        assert_eq!(time(first.start_ns), "2004-08-19T13:30:00Z", "the session's opening");
        assert_eq!(time(first.close_ns), "2004-08-19T20:00:00Z", "and its close");
        assert_eq!((first.close, first.volume), (Price(100_340_000_000), Volume(22_351_900_000)));
    };
    check(content);
    let midnight = content.lines().map(|line| line.replacen(',', " 00:00:00,", 1)).collect::<Vec<_>>();
    check(&[",Open,High,Low,Close,Volume", &midnight[1..].join("\n"), ""].join("\n"));
    check(&content.replacen(',', "index,", 1));
}

/// The fast way hands a file with such a bar to the reader of rows.
#[test]
fn a_bar_of_the_future_is_left_out_whatever_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let row = |hour: &str| format!("X,1h,2020-01-02T{hour}:00:00Z,1,2,1,1.5,5\n");
    let header = "symbol,timeframe,start_utc,open,high,low,close,volume\n";
    let csv = write(&dir, "bars.csv", format!("{header}{}", ["15", "16"].map(row).concat()));
    let parquet = dir.path().join("bars.parquet");
    history::file::save(&parquet, &load(std::slice::from_ref(&csv)).data.series).unwrap();
    for file in [csv, parquet] {
        let until = |latest_ns: i64| {
            let read = ReadOptions { latest_ns: Some(latest_ns), ..ReadOptions::default() };
            let files = std::slice::from_ref(&file);
            history::file::load("test", files, &read, &Selection::default()).unwrap()
        };
        let bounded = until(START_NS + HOUR_NS);
        assert_eq!((bounded.bars, bounded.rejected.len()), (1, 1), "{}", file.display());
        assert!(bounded.rejected[0].reason.starts_with("closes in the future"), "{:?}", bounded.rejected);
        let whole = until(START_NS + 2 * HOUR_NS);
        assert_eq!((whole.bars, whole.rejected.len()), (2, 0), "{}", file.display());
    }
}

/// The fast way knows a series by one name as well, and so does a file's own name.
#[test]
fn a_symbol_in_small_letters_is_the_same_symbol() {
    let dir = tempfile::tempdir().unwrap();
    let hours = [("aapl", 15), ("AAPL", 16), ("spy", 15), ("Aapl", 17), ("SPY", 16)];
    let parquet = dir.path().join("bars.parquet");
    let column = |name: &str, value: f64| Column::new(name.into(), vec![value; hours.len()]);
    let starts = hours.map(|(_, hour)| START_NS + (hour - 15) * HOUR_NS).to_vec();
    let utc = TimeZone::opt_try_new(Some("UTC")).unwrap();
    let starts = Int64Chunked::from_vec("start_utc".into(), starts);
    let columns = vec![
        Column::new("symbol".into(), hours.map(|(symbol, _)| symbol).to_vec()),
        Column::new("timeframe".into(), vec!["1h"; hours.len()]),
        starts.into_datetime(TimeUnit::Nanoseconds, utc).into_series().into(),
        column("open", 1.0),
        column("high", 2.0),
        column("low", 1.0),
        column("close", 1.5),
        column("volume", 5.0),
    ];
    let mut frame = DataFrame::new(hours.len(), columns).unwrap();
    ParquetWriter::new(std::fs::File::create(&parquet).unwrap()).finish(&mut frame).unwrap();
    let row = |(symbol, hour): &(&str, i64)| format!("{symbol},1h,2020-01-02T{hour}:00:00Z,1,2,1,1.5,5\n");
    let rows: String = hours.iter().map(row).collect();
    let header = "symbol,timeframe,start_utc,open,high,low,close,volume\n";
    let loaded = load(&[write(&dir, "bars.csv", format!("{header}{rows}"))]);
    let of = |loaded: &Loaded| -> Vec<(String, usize)> {
        loaded.data.series.iter().map(|series| (series.symbol.to_string(), series.len())).collect()
    };
    assert_eq!(of(&loaded), [("AAPL".to_owned(), 3), ("SPY".to_owned(), 2)]);
    let capitals = rows.to_uppercase().replace("1H", "1h");
    let capitals = load(&[write(&dir, "capitals.csv", format!("{header}{capitals}"))]);
    assert_eq!(capitals.hash, loaded.hash);
    assert_eq!(load(&[parquet]).hash, loaded.hash);
    let daily = "date,open,high,low,close,volume\n2020-01-02,1,2,1,2,5\n";
    let options = ReadOptions { timeframe: Some(Timeframe::D1), ..ReadOptions::default() };
    let named = text("goog.csv", daily, &options, &Selection::default());
    assert_eq!(of(&named), [("GOOG".to_owned(), 1)]);
}

/// pandas writes an index of times behind the columns, under a name of its own.
#[test]
fn an_index_of_times_in_parquet_is_read_as_in_csv() {
    let dir = tempfile::tempdir().unwrap();
    let parquet = dir.path().join("SPY.parquet");
    let starts: Vec<i64> = (0..4).map(|hour| START_NS + hour * HOUR_NS).collect();
    let column = |name: &str, value: f64| Column::new(name.into(), vec![value; starts.len()]);
    let mut columns: Vec<Column> =
        [("Open", 1.0), ("High", 2.0), ("Low", 1.0), ("Close", 1.5), ("Volume", 5.0)]
            .map(|(name, value)| column(name, value))
            .to_vec();
    let utc = TimeZone::opt_try_new(Some("UTC")).unwrap();
    let index = Int64Chunked::from_vec("__index_level_0__".into(), starts.clone());
    columns.push(index.into_datetime(TimeUnit::Nanoseconds, utc).into_series().into());
    let mut frame = DataFrame::new(starts.len(), columns).unwrap();
    ParquetWriter::new(std::fs::File::create(&parquet).unwrap()).finish(&mut frame).unwrap();
    let row = |ns: &i64| format!("{},1,2,1,1.5,5\n", time(*ns));
    let rows: String = starts.iter().map(row).collect();
    let csv = write(&dir, "SPY.csv", format!(",Open,High,Low,Close,Volume\n{rows}"));
    let loaded = load(&[parquet]);
    assert_eq!((loaded.bars, loaded.rejected.len()), (4, 0));
    assert_eq!(loaded.hash, load(&[csv]).hash);
}

#[test]
fn other_markets_have_other_sessions() {
    let content = ",Open,High,Low,Close,Volume\n2017-04-23 21:00:00,1.1,1.2,1.0,1.15,10\n\
                   2017-04-23 22:00:00,1.1,1.2,1.0,1.15,10\n2017-04-23 23:00:00,1.1,1.2,1.0,1.15,10\n\
                   2017-04-24 00:00:00,1.1,1.2,1.0,1.15,10\n2017-04-24 01:00:00,1.1,1.2,1.0,1.15,10\n";
    let options = ReadOptions { timezone: Some(chrono_tz::UTC), ..ReadOptions::default() };
    let read = |market| {
        let selection = Selection { market, ..Selection::default() };
        let loaded = text("EURUSD.csv", content, &options, &selection);
        (loaded.bars, loaded.rejected.len())
    };
    assert_eq!(read(Market::TwentyFourSeven), (5, 0));
    assert_eq!(read(Market::TwentyFourFive), (5, 0), "the week begins on Sunday at 21:00 UTC in summer");
    assert_eq!(read(Market::Xnys), (0, 5));
    let daily = text(
        "BTC.csv",
        "date,open,high,low,close,volume\n2020-02-29,1,2,1,2,5\n",
        &ReadOptions { timeframe: Some(Timeframe::D1), ..ReadOptions::default() },
        &Selection {
            market: Market::TwentyFourSeven,
            range: Range {
                from: Some("2020-02-29".parse().unwrap()),
                to: Some("2020-02-29".parse().unwrap()),
            },
            ..Selection::default()
        },
    );
    let bar = daily.data.series[0].bar(0).unwrap();
    assert_eq!((time(bar.start_ns), time(bar.close_ns)).0, "2020-02-29T00:00:00Z");
    assert_eq!(time(bar.close_ns), "2020-03-01T00:00:00Z", "a day that ends at midnight is of its own date");
}

#[test]
fn a_bad_row_is_told_with_line_field_value_and_reason() {
    let content = "date,open,high,low,close,volume\n2020-01-02,1,2,1,2,5\n2020-01-03,3,2,1,2,5\n\
                   2020-01-06,1,2,1,2,5\n2020-01-07,1,2,1,2,5\n2020-01-08,1,2,1,x,5\n2020-01-09,1,2,1,2,5\n";
    let loaded = text("X.csv", content, &ReadOptions::default(), &Selection::default());
    let rejected: Vec<String> = loaded
        .rejected
        .iter()
        .map(|row| format!("{} {} {:?} {}", row.line, row.field, row.value, row.reason))
        .collect();
    assert_eq!(rejected, ["3 open \"3\" outside of low 1 to high 2", "6 close \"x\" not a decimal number",]);
    assert_eq!((loaded.bars, loaded.read), (4, 6));
}

#[test]
fn files_that_overlap_are_merged_and_differences_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let header = "symbol,timeframe,start_utc,open,high,low,close,volume\n";
    let row = |hour: u32, close: u32| format!("X,1h,2020-01-02T{hour}:00:00Z,1,9,1,{close},5\n");
    let first = write(&dir, "a.csv", format!("{header}{}{}", row(15, 2), row(17, 2)));
    let second = write(&dir, "b.csv", format!("{header}{}{}{}", row(15, 2), row(16, 3), row(17, 4)));
    let loaded = load(&[first, second]);
    let closes: Vec<i64> =
        bars(&loaded.data.series[0]).iter().map(|bar: &Bar| bar.close.0 / 1_000_000_000).collect();
    assert_eq!((closes, loaded.duplicates), (vec![2, 3, 2], 1));
    assert_eq!(loaded.rejected.len(), 1);
    assert_eq!((loaded.rejected[0].line, loaded.rejected[0].file.is_some()), (4, true));
}

#[test]
fn what_is_not_said_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "no symbol here.csv", "date,open,high,low,close,volume\n2020-01-02,1,2,1,2,5\n");
    let error = history::file::load("test", &[path], &ReadOptions::default(), &Selection::default());
    assert!(matches!(error, Err(FileError::Unstated { .. })));
}

/// As markets state it that trade in fractions.
#[test]
fn a_volume_is_kept_to_a_thousandth() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = [
        ("02", "6.714285714285714"),
        ("03", "6.7125"),
        ("06", "0.0004"),
        ("07", "12.5000"),
        ("08", "-0.0004"),
    ];
    let rows = volumes.map(|(day, volume)| format!("X,1d,2020-01-{day},1,2,1,2,{volume}\n")).concat();
    let header = "symbol,timeframe,date,open,high,low,close,volume\n";
    let loaded = load(&[write(&dir, "x.csv", format!("{header}{rows}"))]);
    assert_eq!(loaded.data.series[0].volume.values(), [6_714, 6_712, 0, 12_500]);
    let rejected: Vec<_> = loaded.rejected.iter().map(|row| (row.line, row.field)).collect();
    assert_eq!(rejected, [(6, "volume")]);
}

/// pandas writes prices below a ten-thousandth and R writes round volumes with an exponent.
#[test]
fn a_number_with_an_exponent_is_what_it_says() {
    let content = "symbol,timeframe,date,open,high,low,close,volume\n\
                   X,1d,2020-01-02,8.51e-06,1E-05,8.5e-6,0.00000999,1e+05\n\
                   X,1d,2020-01-03,1.5e3,1.5001e3,1500,15000000000e-7,6.7146e0\n\
                   X,1d,2020-01-06,1e-10,2,1e-10,1,5\nX,1d,2020-01-07,1e99,2,1,1,5\nX,1d,2020-01-08,1e,2,1,1,5\n";
    let loaded = text("x.csv", content, &ReadOptions::default(), &Selection::default());
    let [small, large] = bars(&loaded.data.series[0])[..] else { panic!("{loaded:?}") };
    assert_eq!((small.open, small.high, small.low), (Price(8_510), Price(10_000), Price(8_500)));
    assert_eq!((small.close, small.volume), (Price(9_990), Volume(100_000_000)));
    assert_eq!((large.open.to_string(), large.high.to_string()), ("1500".to_owned(), "1500.1".to_owned()));
    assert_eq!((large.close, large.volume), (large.open, Volume(6_715)));
    let rejected: Vec<_> = loaded.rejected.iter().map(|row| (row.line, row.value.as_str())).collect();
    assert_eq!(rejected, [(4, "1e-10"), (5, "1e99"), (6, "1e")]);
}

/// As Stooq, MetaTrader and Massive's files of a day have them.
#[test]
fn dates_and_times_of_day_apart_need_no_colons() {
    let start_of = |content: &str, options: &ReadOptions| {
        let loaded = text("X.csv", content, options, &Selection::default());
        assert_eq!(loaded.rejected, [], "{content}");
        time(bars(&loaded.data.series[0])[0].start_ns)
    };
    let hourly = ReadOptions {
        timeframe: Some(Timeframe::H1),
        timezone: Some(chrono_tz::America::New_York),
        ..ReadOptions::default()
    };
    let of_day =
        |date, clock| format!("<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n{date},{clock},1,2,1,2,5\n");
    for (date, clock) in
        [("20240102", "103000"), ("2024-01-02", "1030"), ("2024.01.02", "10:30"), ("2024/01/02", "10:30:00")]
    {
        assert_eq!(start_of(&of_day(date, clock), &hourly), "2024-01-02T15:30:00Z", "{date} {clock}");
    }
    let daily = ReadOptions { timeframe: Some(Timeframe::D1), ..ReadOptions::default() };
    assert_eq!(start_of(&of_day("20240102", "000000"), &daily), "2024-01-02T14:30:00Z");
    let minutes = ReadOptions { timeframe: Some(Timeframe::M1), ..ReadOptions::default() };
    let of_massive = "ticker,volume,open,close,high,low,window_start,transactions\n\
                      X,5,1,2,2,1,1704205800000000000,3\n";
    assert_eq!(start_of(of_massive, &minutes), "2024-01-02T14:30:00Z");
}
