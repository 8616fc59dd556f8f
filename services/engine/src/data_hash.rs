//! One number for the data of a run.

use domain::corporate_action::Effect;
use domain::series::MarketData;

/// Values that are hashed at once.
const PIECE: usize = 4_096;

/// Hash of everything in `data` that a run can see, as 64 hex digits: of each series its source, symbol,
/// timeframe and columns, and of each action its symbol, time, id and effect.
#[must_use]
pub fn data_hash(data: &MarketData) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut piece = Vec::with_capacity(PIECE * 8);
    for series in &data.series {
        for text in [&*series.source, &*series.symbol, series.timeframe.name()] {
            hasher.update(&(text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        let columns = [
            &series.start_ns,
            &series.close_ns,
            &series.open,
            &series.high,
            &series.low,
            &series.close,
            &series.volume,
        ];
        for column in columns {
            hasher.update(&(column.values().len() as u64).to_be_bytes());
            for values in column.values().chunks(PIECE) {
                piece.clear();
                piece.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                hasher.update(&piece);
            }
        }
    }
    for action in &data.actions {
        let (kind, terms) = match action.action.effect {
            Effect::Split(ratio) => ("split", ratio.terms()),
            Effect::Dividend(per_share) => ("dividend", (per_share.0, 1)),
        };
        let text = format!("{} {} {} {kind} {terms:?}\n", action.symbol, action.event_ns, action.event_id);
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
