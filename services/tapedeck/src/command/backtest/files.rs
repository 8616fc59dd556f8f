//! Where a run over files is put on record.

use backtest::Loaded;
use contracts::v1::BacktestRequest;

use crate::cli::Global;
use crate::exit::Failure;
use crate::session::Session;

/// The tape that a run over files is put on record on.
#[derive(Default)]
pub struct Record {
    /// The tape that the options name, else the one in use where its servers run; none where neither is.
    pub session: Option<Session>,
    /// Why the tape in use, which nobody named, could not be opened.
    pub lost: Option<String>,
}

impl Record {
    /// Opens that tape. Of a tape that was not named a run over files needs nothing: it is done without it.
    pub async fn of(global: &Global) -> Result<Self, Failure> {
        match Box::pin(Session::open_running(global)).await {
            Ok(session) => Ok(Self { session, lost: None }),
            Err(failure) if global.tape.is_some() => Err(failure),
            Err(failure) => {
                let lost = format!("the tape in use cannot be opened: {}", failure.message);
                Ok(Self { session: None, lost: Some(lost) })
            }
        }
    }
}

/// The request as it goes on record: with the calendar that the files were read by, which need not be that of the tape.
pub fn stated(request: BacktestRequest, market: &Loaded) -> BacktestRequest {
    BacktestRequest { calendar: market.calendar.exchange().to_owned(), ..request }
}
