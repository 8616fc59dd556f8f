//! Tests of the trading half of the domain: strategies, orders, the book, sizing, risk, matching.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up fails by panicking")]

mod book;
mod book_properties;
mod found;
mod invariant;
mod invariant_scopes;
mod matching;
mod matching_types;
mod matching_within;
mod new_terms;
mod open_orders;
mod order;
mod order_groups;
mod order_reports;
mod order_terms;
mod restated;
mod reversal;
mod pairs;
mod parts;
mod risk;
mod risk_properties;
mod risk_targets;
mod breakers;
mod clean_data;
mod halts;
mod measured;
mod monitor;
mod scopes;
mod sessions;
mod stops;
mod sizing;
mod strategy;
mod strategy_kinds;
mod strategy_memory;
mod support;
