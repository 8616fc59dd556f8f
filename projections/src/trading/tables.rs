//! The tables of the projection `trading`, as `migrations/0004_trading.sql` makes them.

use crate::table::{JSON, Kind, MONEY, PRICE, Table, column, once};

/// Every table, in the order in which the rows of a batch are written.
pub(crate) static TABLES: &[&Table] = &[
    &EVENTS,
    &SIGNALS,
    &RISK_DECISIONS,
    &ORDERS,
    &ORDER_EVENTS,
    &FILLS,
    &ENTRIES,
    &PENDING_SIGNALS,
    &POSITIONS,
    &ACCOUNTS,
    &LIMITS,
    &EQUITY,
    &STRATEGIES,
    &HALTS,
    &LIMIT_SETS,
    &LIMIT_VERSIONS,
    &RISK_TALLIES,
    &ALERTS,
    &RISK_MEASURES,
];

pub(super) static EVENTS: Table = Table {
    name: "events",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("recorded_time_ns", Kind::Int),
        column("source", Kind::Text),
        column("kind", Kind::Text),
        column("subject", Kind::Text),
        column("account", Kind::Text),
        column("correlation_id", Kind::Text),
        column("causation_id", Kind::Text),
        column("summary", Kind::Text),
    ],
};

pub(super) static SIGNALS: Table = Table {
    name: "signals",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("strategy", Kind::Text),
        column("symbol", Kind::Text),
        column("intent", Kind::Text),
        column("legs", JSON),
        column("indicators", JSON),
        column("reason", Kind::Text),
        column("correlation_id", Kind::Text),
        column("causation_id", Kind::Text),
    ],
};

pub(super) static RISK_DECISIONS: Table = Table {
    name: "risk_decisions",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("account", Kind::Text),
        column("strategy", Kind::Text),
        column("symbol", Kind::Text),
        column("signal_id", Kind::Text),
        column("verdict", Kind::Text),
        column("rule", Kind::Text),
        column("reason", Kind::Text),
        column("orders", JSON),
        column("inputs", JSON),
    ],
};

pub(super) static ORDERS: Table = Table {
    name: "orders",
    key: &["order_id"],
    replaced: true,
    columns: &[
        column("order_id", Kind::Text),
        column("account", Kind::Text),
        column("strategy", Kind::Text),
        column("symbol", Kind::Text),
        column("side", Kind::Text),
        column("order_type", Kind::Text),
        column("time_in_force", Kind::Text),
        column("quantity", PRICE),
        column("limit_price", PRICE),
        column("stop_price", PRICE),
        column("leg", Kind::Int),
        column("reducing", Kind::Bool),
        column("status", Kind::Text),
        column("ended", Kind::Bool),
        column("cancel_requested", Kind::Bool),
        column("filled", PRICE),
        column("fills", Kind::Int),
        column("filled_value", MONEY),
        column("commission", MONEY),
        column("executions", JSON),
        column("reference_price", PRICE),
        column("client_order_id", Kind::Text),
        column("broker", Kind::Text),
        column("broker_order_id", Kind::Text),
        column("reason", Kind::Text),
        column("signal_id", Kind::Text),
        column("decision_id", Kind::Text),
        column("correlation_id", Kind::Text),
        column("adjusted_by", Kind::Text),
        column("last_sequence", Kind::Int),
        column("approved_ns", Kind::Int),
        column("submitted_ns", Kind::Int),
        column("accepted_ns", Kind::Int),
        column("ended_ns", Kind::Int),
        column("updated_ns", Kind::Int),
        once("first_sequence", Kind::Int),
        column("sequence", Kind::Int),
        column("trail_price", PRICE),
        column("trail_rate", PRICE),
        column("group_kind", Kind::Text),
        column("group_id", Kind::Text),
        column("parent_id", Kind::Text),
        column("triggered_ns", Kind::Int),
        column("worked_ns", Kind::Int),
        column("extreme_price", PRICE),
        column("tradable", PRICE),
    ],
};

pub(super) static ORDER_EVENTS: Table = Table {
    name: "order_events",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("order_id", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("kind", Kind::Text),
        column("status", Kind::Text),
        column("detail", Kind::Text),
    ],
};

pub(super) static FILLS: Table = Table {
    name: "fills",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("order_id", Kind::Text),
        column("number", Kind::Int),
        column("account", Kind::Text),
        column("strategy", Kind::Text),
        column("symbol", Kind::Text),
        column("side", Kind::Text),
        column("quantity", PRICE),
        column("price", PRICE),
        column("commission", MONEY),
        column("slippage", PRICE),
        column("realized_pnl", MONEY),
        column("remaining", PRICE),
        column("execution_id", Kind::Text),
        column("executed_at_ns", Kind::Int),
        column("causation_id", Kind::Text),
        column("ambiguous", Kind::Bool),
    ],
};

pub(super) static ENTRIES: Table = Table {
    name: "entries",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("account", Kind::Text),
        column("kind", Kind::Text),
        column("strategy", Kind::Text),
        column("symbol", Kind::Text),
        column("amount", MONEY),
        column("quantity_after", PRICE),
        column("fraction", PRICE),
        column("action_id", Kind::Text),
    ],
};

pub(super) static PENDING_SIGNALS: Table = Table {
    name: "pending_signals",
    key: &["signal_id"],
    replaced: true,
    columns: &[
        column("signal_id", Kind::Text),
        column("decided", Kind::Bool),
        column("event", Kind::Bytes),
        column("sequence", Kind::Int),
    ],
};

pub(super) static POSITIONS: Table = Table {
    name: "positions",
    key: &["account", "strategy", "symbol"],
    replaced: true,
    columns: &[
        column("account", Kind::Text),
        column("strategy", Kind::Text),
        column("symbol", Kind::Text),
        column("quantity", PRICE),
        column("cost", MONEY),
        column("fraction", PRICE),
        column("fraction_cost", MONEY),
        column("realized_pnl", MONEY),
        column("fees", MONEY),
        column("dividends", MONEY),
        column("updated_ns", Kind::Int),
        column("sequence", Kind::Int),
    ],
};

pub(super) static ACCOUNTS: Table = Table {
    name: "accounts",
    key: &["account"],
    replaced: true,
    columns: &[
        column("account", Kind::Text),
        column("limits_version", Kind::Int),
        column("broker", Kind::Text),
        column("limits", JSON),
        column("costs", JSON),
        column("cash", MONEY),
        column("realized_pnl", MONEY),
        column("fees", MONEY),
        column("deposits", MONEY),
        column("dividends", MONEY),
        column("marked_ns", Kind::Int),
        column("equity", MONEY),
        column("gross_exposure", MONEY),
        column("net_exposure", MONEY),
        column("unrealized_pnl", MONEY),
        column("prices", JSON),
        column("equity_baseline", MONEY),
        column("day_start_equity", MONEY),
        column("opened_since_mark", MONEY),
        column("sequence", Kind::Int),
        column("kind", Kind::Text),
        column("margin_call_ns", Kind::Int),
        column("peak_equity", MONEY),
    ],
};

pub(super) static LIMITS: Table = Table {
    name: "limits",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("account", Kind::Text),
        column("version", Kind::Int),
        column("broker", Kind::Text),
        column("limits", JSON),
        column("costs", JSON),
        column("actor", Kind::Text),
        column("reason", Kind::Text),
        column("event_time_ns", Kind::Int),
    ],
};

pub(super) static EQUITY: Table = Table {
    name: "equity",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("account", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("equity", MONEY),
        column("cash", MONEY),
        column("gross_exposure", MONEY),
        column("net_exposure", MONEY),
        column("realized_pnl", MONEY),
        column("unrealized_pnl", MONEY),
        column("fees", MONEY),
        column("session_start", Kind::Bool),
    ],
};

pub(super) static STRATEGIES: Table = Table {
    name: "strategies",
    key: &["strategy"],
    replaced: true,
    columns: &[
        column("strategy", Kind::Text),
        column("registered", Kind::Bool),
        column("kind", Kind::Text),
        column("parameters", JSON),
        column("symbols", JSON),
        column("timeframe", Kind::Text),
        column("sizing", JSON),
        column("account", Kind::Text),
        column("enabled", Kind::Bool),
        column("mode", Kind::Text),
        column("warmed_sequence", Kind::Int),
        column("warmed_bars", Kind::Int),
        column("signals", Kind::Int),
        column("last_signal_sequence", Kind::Int),
        column("last_signal_ns", Kind::Int),
        column("last_signal", Kind::Text),
        column("updated_ns", Kind::Int),
        column("sequence", Kind::Int),
        column("subjects", JSON),
        column("consumer", Kind::Text),
    ],
};

pub(super) static HALTS: Table = Table {
    name: "halts",
    key: &["account"],
    replaced: true,
    columns: &[
        column("account", Kind::Text),
        column("halted", Kind::Bool),
        column("actor", Kind::Text),
        column("reason", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("sequence", Kind::Int),
        column("state", Kind::Text),
    ],
};

pub(super) static LIMIT_SETS: Table = Table {
    name: "limit_sets",
    key: &["account", "strategy", "symbol"],
    replaced: true,
    columns: &[
        column("account", Kind::Text),
        column("strategy", Kind::Text),
        column("symbol", Kind::Text),
        column("version", Kind::Int),
        column("limits", JSON),
        column("actor", Kind::Text),
        column("reason", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("sequence", Kind::Int),
    ],
};

pub(super) static LIMIT_VERSIONS: Table = Table {
    name: "limit_versions",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("account", Kind::Text),
        column("strategy", Kind::Text),
        column("symbol", Kind::Text),
        column("version", Kind::Int),
        column("limits", JSON),
        column("actor", Kind::Text),
        column("reason", Kind::Text),
        column("event_time_ns", Kind::Int),
    ],
};

pub(super) static RISK_TALLIES: Table = Table {
    name: "risk_tallies",
    key: &["account", "strategy"],
    replaced: true,
    columns: &[
        column("account", Kind::Text),
        column("strategy", Kind::Text),
        column("tally", JSON),
        column("sequence", Kind::Int),
    ],
};

pub(super) static ALERTS: Table = Table {
    name: "alerts",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("account", Kind::Text),
        column("strategy", Kind::Text),
        column("kind", Kind::Text),
        column("detail", Kind::Text),
        column("cleared", Kind::Bool),
        column("correlation_id", Kind::Text),
    ],
};

pub(super) static RISK_MEASURES: Table = Table {
    name: "risk_measures",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_time_ns", Kind::Int),
        column("account", Kind::Text),
        column("measure", JSON),
    ],
};
