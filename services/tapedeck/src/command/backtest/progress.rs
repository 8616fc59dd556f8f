//! The progress of a run on stderr: a bar on a terminal, else a line every five seconds.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::money::Amount;
use engine::Progress;

use crate::output::Output;

const LINE_EVERY: Duration = Duration::from_secs(5);
const REDRAW_EVERY: Duration = Duration::from_millis(100);
const WIDTH: usize = 30;

/// Set when the user interrupted.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The run is to end.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is to end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same, as whoever watches a run answers it.
    pub fn asked(&self) -> ControlFlow<()> {
        if self.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The bar.
#[derive(Debug)]
pub struct Bar {
    wanted: bool,
    terminal: bool,
    cash: Amount,
    began: Instant,
    next: Duration,
    drawn: bool,
    interrupt: Interrupt,
    at: At,
    told: Told,
}

/// Where the run was when it was last looked at.
pub type At = Arc<Mutex<Option<Progress>>>;
/// Where the search was when it was last looked at.
pub type Told = Arc<Mutex<Option<backtest::Progress>>>;

impl Bar {
    /// A bar of a run that begins with `cash` now.
    pub fn new(output: Output, cash: Amount) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let next = if terminal { REDRAW_EVERY } else { LINE_EVERY };
        let (wanted, interrupt) = (output.progress, Interrupt::default());
        Self {
            wanted,
            terminal,
            cash,
            began: Instant::now(),
            next,
            drawn: false,
            interrupt,
            at: At::default(),
            told: Told::default(),
        }
    }

    /// What ends the run from outside.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Where the run is, for others to look at.
    pub fn at(&self) -> At {
        Arc::clone(&self.at)
    }

    /// Where the search is, for others to look at.
    pub fn told(&self) -> Told {
        Arc::clone(&self.told)
    }

    /// Shows where the run is, when it is time to.
    pub fn show(&mut self, progress: &Progress) -> ControlFlow<()> {
        if let Ok(mut at) = self.at.lock() {
            *at = Some(*progress);
        }
        if self.interrupt.is_set() {
            return ControlFlow::Break(());
        }
        let elapsed = self.began.elapsed();
        if !self.wanted || elapsed < self.next {
            return ControlFlow::Continue(());
        }
        self.next = elapsed + if self.terminal { REDRAW_EVERY } else { LINE_EVERY };
        let share = progress.bars as f64 / progress.total.max(1) as f64;
        let rate = progress.bars as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let left = progress.total.saturating_sub(progress.bars) as f64 / rate.max(f64::MIN_POSITIVE);
        let pnl = Amount(progress.equity.0 - self.cash.0).to_f64();
        let said = format!("{:3.0} % · {rate:.0} bars/s · {left:.0} s left · P&L {pnl:+.2}", share * 100.0);
        self.write(share, &said);
        ControlFlow::Continue(())
    }

    /// Where a search is.
    pub fn search(&mut self, progress: &backtest::Progress) -> ControlFlow<()> {
        if let Ok(mut told) = self.told.lock()
            && told.is_none_or(|told| told.done < progress.done)
        {
            *told = Some(*progress);
        }
        if self.interrupt.is_set() {
            return ControlFlow::Break(());
        }
        let elapsed = self.began.elapsed();
        if self.wanted && elapsed >= self.next {
            self.next = elapsed + if self.terminal { REDRAW_EVERY } else { LINE_EVERY };
            let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
            let (share, rate) = (progress.done, progress.bars as f64 / seconds);
            let left = seconds / share.max(f64::MIN_POSITIVE) * (1.0 - share);
            self.write(share, &format!("{:3.0} % · {rate:.0} bars/s · {left:.0} s left", share * 100.0));
        }
        ControlFlow::Continue(())
    }

    fn write(&mut self, share: f64, said: &str) {
        let mut stderr = std::io::stderr().lock();
        // A closed stderr is nobody's loss.
        let _ = if self.terminal {
            let full = (1..=WIDTH).take_while(|cell| *cell as f64 <= share * WIDTH as f64).count();
            self.drawn = true;
            write!(stderr, "\r\u{1b}[K{}{} {said}", "█".repeat(full), "░".repeat(WIDTH - full))
        } else {
            writeln!(stderr, "{said}")
        };
        let _ = stderr.flush();
    }

    /// Takes the bar off the terminal.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
