//! A sizing as people write it: `KIND:VALUE`, then options with commas between.

use contracts::v1::{Sizing, SizingKind};

use crate::book::history::{HISTORY_MAX, RETURNS_MIN};
use crate::money::{E9, Price, Quantity};

/// What [`parse`] reads, in words.
pub const EXPECTED: &str = "fixed:SHARES, fraction:SHARE_OF_EQUITY, notional:AMOUNT, equal_weight or \
    equal_weight:SHARE_OF_EQUITY, atr:SHARE_OF_EQUITY, volatility:YEARLY_SHARE, half_kelly or half_kelly:MOST, \
    risk_parity:SHARE_OF_EQUITY, more than 0, a share of equity at most 10; then, with commas between, cap=SHARE, \
    leg_cap=SHARE, lot=SHARES, tick=PRICE, multiple=NUMBER (of atr), bars=COUNT, each once";

const KINDS: [(&str, SizingKind); 8] = [
    ("fixed", SizingKind::Fixed),
    ("fraction", SizingKind::Fraction),
    ("notional", SizingKind::Notional),
    ("equal_weight", SizingKind::EqualWeight),
    ("atr", SizingKind::Atr),
    ("volatility", SizingKind::Volatility),
    ("half_kelly", SizingKind::HalfKelly),
    ("risk_parity", SizingKind::RiskParity),
];

/// Reads what [`EXPECTED`] says.
#[must_use]
pub fn parse(text: &str) -> Option<Sizing> {
    let mut parts = text.split(',');
    let first = parts.next()?;
    let (name, number) = match first.split_once(':') {
        Some(parts) => parts,
        None if first == "equal_weight" || first == "half_kelly" => (first, "1"),
        None => return None,
    };
    let (_, kind) = KINDS.into_iter().find(|(known, _)| *known == name)?;
    let value_e9 = positive(number)?;
    let share = !matches!(kind, SizingKind::Fixed | SizingKind::Notional);
    if share && value_e9 > 10 * E9 {
        return None;
    }
    let mut sizing = Sizing { kind: kind.into(), value_e9, ..Sizing::default() };
    let mut known = Vec::new();
    for part in parts {
        let (name, value) = part.split_once('=')?;
        if known.contains(&name.trim()) {
            return None;
        }
        known.push(name.trim());
        let bars = matches!(kind, SizingKind::Atr | SizingKind::Volatility | SizingKind::RiskParity);
        match name.trim() {
            "cap" => sizing.position_cap_e9 = positive(value)?,
            "leg_cap" => sizing.leg_cap_e9 = positive(value)?,
            "lot" => sizing.lot_e9 = positive(value)?,
            "tick" => sizing.tick_e9 = positive(value)?,
            "multiple" if kind == SizingKind::Atr => sizing.multiple_e9 = positive(value)?,
            "bars" if bars => {
                let least = if kind == SizingKind::Atr { 1 } else { RETURNS_MIN };
                let range = least..HISTORY_MAX;
                sizing.bars = value.trim().parse().ok().filter(|bars| range.contains(&(*bars as usize)))?;
            }
            _ => return None,
        }
    }
    Some(sizing)
}

fn positive(number: &str) -> Option<i64> {
    number.trim().parse::<Price>().ok().map(|price| price.0).filter(|value| *value > 0)
}

/// A sizing as [`parse`] reads it; `None` when no policy is stated.
#[must_use]
pub fn text(sizing: &Sizing) -> Option<String> {
    let (name, kind) = KINDS.into_iter().find(|(_, kind)| *kind == sizing.kind())?;
    let plain = matches!(kind, SizingKind::EqualWeight | SizingKind::HalfKelly) && sizing.value_e9 == E9;
    let mut text = if plain { name.to_owned() } else { format!("{name}:{}", Quantity(sizing.value_e9)) };
    let options = [
        ("cap", sizing.position_cap_e9),
        ("leg_cap", sizing.leg_cap_e9),
        ("lot", sizing.lot_e9),
        ("tick", sizing.tick_e9),
        ("multiple", sizing.multiple_e9),
    ];
    for (name, value) in options.into_iter().filter(|(_, value)| *value != 0) {
        text.push_str(&format!(",{name}={}", Quantity(value)));
    }
    if sizing.bars != 0 {
        text.push_str(&format!(",bars={}", sizing.bars));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sizing_reads_as_it_is_written() {
        for text in [
            "fixed:10",
            "fraction:0.1",
            "fraction:10",
            "equal_weight",
            "atr:0.01,multiple=2.5,bars=20",
            "volatility:0.15,cap=0.5",
            "half_kelly",
            "half_kelly:0.25,leg_cap=0.1",
            "risk_parity:0.5,lot=100,tick=0.01,bars=90",
        ] {
            assert_eq!(parse(text).and_then(|sizing| super::text(&sizing)).as_deref(), Some(text));
        }
        for text in [
            "fixed:0",
            "fraction:10.1",
            "half:1",
            "fixed",
            "fixed:-1",
            "",
            "atr",
            "fixed:1,multiple=2",
            "fixed:1,lot=0",
            "volatility:0.1,bars=5",
            "fixed:1,what=2",
            "fixed:10,lot=5,lot=3",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
