//! Names of the contract's enums as read models and pages write them: lowercase, without the prefix.

use contracts::v1::{
    AccountKind, EntryKind, GroupKind, GroupPolicy, Intent, OrderType, Side, StrategyMode, TimeInForce,
    TradingState, Verdict,
};

/// An enum of the contract with a short name.
pub(crate) trait Named: Sized {
    /// The short name, for example `buy`.
    fn short(self) -> String;

    /// The value a short name stands for.
    fn of(name: &str) -> Option<Self>;
}

macro_rules! named {
    ($($kind:ty, $prefix:literal;)*) => {
        $(impl Named for $kind {
            fn short(self) -> String {
                self.as_str_name().trim_start_matches($prefix).to_ascii_lowercase()
            }

            fn of(name: &str) -> Option<Self> {
                Self::from_str_name(&format!("{}{}", $prefix, name.to_ascii_uppercase()))
            }
        })*
    };
}

named! {
    Side, "SIDE_";
    OrderType, "ORDER_TYPE_";
    TimeInForce, "TIME_IN_FORCE_";
    Intent, "INTENT_";
    Verdict, "VERDICT_";
    EntryKind, "ENTRY_KIND_";
    StrategyMode, "STRATEGY_MODE_";
    GroupKind, "GROUP_KIND_";
    AccountKind, "ACCOUNT_KIND_";
    GroupPolicy, "GROUP_POLICY_";
    TradingState, "TRADING_STATE_";
}
