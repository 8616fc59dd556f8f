//! What the vendor is asked for of each symbol, and which symbols are on their way at once.

use std::collections::HashMap;

use domain::bar::Timeframe;
use domain::calendar::Market;
use history::file::Series;
use ingest::import::Backfill as Filling;

use super::DAY_NS;
use super::fill::Run;
use crate::command::import;
use crate::exit::Failure;

/// Bars in memory at a time: those that the tape holds of the symbols on their way, and those that may come. Each takes
/// about a hundred bytes. One symbol by itself may have more.
const BARS_MAX: usize = 500_000;
/// A session from open to close.
const SESSION_NS: i64 = 23_400_000_000_000;

/// A symbol on its way.
pub(super) struct Task {
    pub(super) symbol: String,
    /// The symbol, and which one of how many it is.
    pub(super) place: String,
    pub(super) filling: Filling,
    /// What the vendor is asked for, in the order of time; one at least.
    pub(super) spans: Vec<(i64, i64)>,
    /// Spans that have not been told yet.
    pub(super) left: usize,
    /// Where the last question begins.
    pub(super) from_ns: i64,
    /// Whether the vendor has said that it does not know the symbol.
    pub(super) unknown: bool,
    /// Why the vendor refuses this symbol among others.
    pub(super) refused: Option<Failure>,
}

impl Task {
    /// Reads what the tape holds of a symbol, which is number `index` of those that are wanted.
    async fn open(run: &Run<'_>, index: usize) -> Result<Self, Failure> {
        let wanted = run.wanted;
        let symbol = wanted.symbols.get(index).cloned().unwrap_or_default();
        let series = Series { symbol: symbol.clone(), timeframe: wanted.timeframe };
        let opened =
            Filling::open(run.tape, run.vendor.name(), series, Market::Xnys, &wanted.standards).await;
        let filling = opened.map_err(import::failure)?;
        let spans = filling.spans(wanted.from_ns, wanted.to_ns).map_err(import::failure)?;
        Ok(Self {
            place: format!("{symbol} ({} of {})", index + 1, wanted.symbols.len()),
            from_ns: spans.last().map_or(wanted.from_ns, |span| span.0),
            left: spans.len(),
            symbol,
            filling,
            spans,
            unknown: false,
            refused: None,
        })
    }

    /// Where the vendor has to be asked from first.
    pub(super) fn first_ns(&self) -> i64 {
        self.spans.first().map_or(self.from_ns, |span| span.0)
    }

    /// Bars in memory, now and when everything has come.
    fn bars(&self, timeframe: Timeframe) -> usize {
        let of_session = match timeframe {
            Timeframe::D1 => 1,
            timeframe => SESSION_NS / timeframe.nanos() + 1,
        };
        // Five of seven days have a session.
        let sessions = self.spans.iter().map(|(from_ns, to_ns)| (to_ns - from_ns) / DAY_NS * 5 / 7 + 1);
        let coming = sessions.map(|sessions| sessions * of_session);
        self.filling.held().saturating_add(usize::try_from(coming.sum::<i64>()).unwrap_or(usize::MAX))
    }
}

/// Symbols that were opened before their turn, by their number.
#[derive(Default)]
pub(super) struct Kept {
    tasks: HashMap<usize, Task>,
    bars: usize,
}

impl Kept {
    /// Opens a symbol before its turn and answers where the vendor has to be asked from first. It stays open where there is
    /// room for it.
    pub(super) async fn look(&mut self, run: &Run<'_>, index: usize) -> Result<i64, Failure> {
        let task = Task::open(run, index).await?;
        let (first_ns, bars) = (task.first_ns(), task.bars(run.wanted.timeframe));
        if self.bars.saturating_add(bars) <= BARS_MAX {
            self.bars += bars;
            self.tasks.insert(index, task);
        }
        Ok(first_ns)
    }

    /// The symbols from number `next` on that are on their way together: as many as one question takes, and as their bars
    /// leave room for. `next` moves behind them.
    pub(super) async fn batch(&mut self, run: &Run<'_>, next: &mut usize) -> Result<Vec<Task>, Failure> {
        let symbols_max = run.vendor.of_many().map_or(1, |many| many.symbols_max());
        let (mut tasks, mut bars) = (Vec::new(), 0_usize);
        while *next < run.wanted.symbols.len() && tasks.len() < symbols_max {
            let task = match self.tasks.remove(&*next) {
                Some(task) => task,
                None => Task::open(run, *next).await?,
            };
            bars = bars.saturating_add(task.bars(run.wanted.timeframe));
            if bars > BARS_MAX && !tasks.is_empty() {
                self.tasks.insert(*next, task);
                break;
            }
            tasks.push(task);
            *next += 1;
        }
        Ok(tasks)
    }
}
