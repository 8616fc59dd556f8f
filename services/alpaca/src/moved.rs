//! What Alpaca books without a trade, as the port of the broker has it.

use broker::{Activity, ActivityKind};
use chrono::NaiveDate;
use domain::calendar::Calendar;
use domain::money::Amount;

use crate::wire::{self, Movement};

/// What an activity is by Alpaca's word for it.
fn kind(word: &str) -> ActivityKind {
    match word {
        // Of profits, of gains, of capital, free of tax.
        "DIV" | "DIVCGL" | "DIVCGS" | "DIVROC" | "DIVTXEX" => ActivityKind::Dividend,
        "CIL" => ActivityKind::CashInLieu,
        "INT" => ActivityKind::Interest,
        "CSD" | "CSW" | "JNLC" => ActivityKind::Transfer,
        "SPLIT" | "SSO" | "SSP" => ActivityKind::Split,
        "FEE" | "CFEE" | "PTC" => ActivityKind::Fee,
        // Taxes and fees on dividends and interest: DIVNRA, DIVFT, INTNRA and so on.
        word if word.starts_with("DIV") || word.starts_with("INT") => ActivityKind::Fee,
        _ => ActivityKind::Other,
    }
}

/// The activity; an error says what of it cannot be read.
pub(crate) fn activity(movement: Movement) -> Result<Activity, String> {
    let broken = |what: &str| format!("activity {}: {what}", movement.id);
    let amount = match &movement.net_amount {
        None => Amount::ZERO,
        Some(number) => number.amount().ok_or_else(|| broken("net_amount is no number"))?,
    };
    // An id begins with a time of New York's clocks, which is nowhere promised.
    let at_ns = match movement.created_at.as_deref() {
        Some(created_at) => wire::time_ns(created_at),
        None => movement.date.parse::<NaiveDate>().ok().map(|date| Calendar::xnys().start_of(date)),
    };
    let at_ns = at_ns.ok_or_else(|| broken("neither created_at nor date is a time"))?;
    Ok(Activity {
        kind: kind(&movement.activity_type),
        cancelled: matches!(movement.status.as_str(), "canceled" | "cancelled"),
        id: movement.id,
        word: movement.activity_type,
        symbol: movement.symbol,
        amount,
        at_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> Result<Activity, String> {
        activity(wire::decode(json.as_bytes()).unwrap())
    }

    #[test]
    fn what_it_is_follows_from_alpacas_word() {
        for (word, expected) in [
            ("DIV", ActivityKind::Dividend),
            ("DIVNRA", ActivityKind::Fee),
            ("CIL", ActivityKind::CashInLieu),
            ("INT", ActivityKind::Interest),
            ("FEE", ActivityKind::Fee),
            ("CSD", ActivityKind::Transfer),
            ("CSW", ActivityKind::Transfer),
            ("SPLIT", ActivityKind::Split),
            ("SPIN", ActivityKind::Other),
        ] {
            assert_eq!(kind(word), expected, "{word}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let whole = told(
            r#"{"id":"1","activity_type":"DIV","symbol":"AAPL","net_amount":"-1.95","status":"canceled",
                "date":"2026-01-06","created_at":"2026-01-06T15:00:00Z","new_field":{}}"#,
        );
        let whole = whole.unwrap();
        assert_eq!((whole.amount, whole.cancelled), (Amount(-1_950_000_000), true));
        assert_eq!(whole.at_ns, 1_767_711_600_000_000_000);
        let by_date =
            told(r#"{"id":"2","activity_type":"SPLIT","date":"2026-01-06","symbol":null}"#).unwrap();
        assert_eq!((by_date.at_ns, by_date.amount), (1_767_675_600_000_000_000, Amount::ZERO));
        let error = told(r#"{"id":"3","net_amount":"much","date":"2026-01-06"}"#).unwrap_err();
        assert_eq!(error, "activity 3: net_amount is no number");
        let error = told(r#"{"id":"4","net_amount":"1"}"#).unwrap_err();
        assert_eq!(error, "activity 4: neither created_at nor date is a time");
    }
}
