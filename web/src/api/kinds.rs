//! The built-in kinds of strategies, for forms and programs that start one.

use axum::Json;
use domain::strategy::{Kind, ParameterSpec, kinds};
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, NoFields};

/// A parameter of a kind of strategy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StrategyKindParameter)]
pub struct Parameter {
    /// Name.
    name: &'static str,
    /// `integer`, `decimal`, `boolean`, `choice`, `symbol` or `weights`.
    r#type: &'static str,
    /// The only values that it may have; empty when they cannot be listed.
    choices: &'static [&'static str],
    /// What it counts or measures, for example `bars`; may be empty.
    unit: &'static str,
    /// What it may be, in words.
    range: String,
    /// The value when none is stated; null when one must be.
    default: Option<&'static str>,
    /// What it does.
    description: &'static str,
}

/// A kind of strategy.
#[derive(Debug, Serialize, ToSchema)]
pub struct StrategyKind {
    /// Name.
    kind: &'static str,
    /// What it does.
    description: &'static str,
    /// Its parameters.
    parameters: Vec<Parameter>,
}

/// Every kind of strategy.
#[derive(Debug, Serialize, ToSchema)]
pub struct StrategyKinds {
    /// The kinds, by name.
    rows: Vec<StrategyKind>,
}

impl Parameter {
    fn of(spec: &'static ParameterSpec) -> Self {
        Self {
            name: spec.name,
            r#type: spec.value.type_name(),
            choices: spec.value.choices(),
            unit: spec.unit,
            range: spec.value.to_string(),
            default: Some(spec.default).filter(|default| !default.is_empty()),
            description: spec.description,
        }
    }
}

impl StrategyKind {
    fn of(kind: &'static Kind) -> Self {
        let parameters = kind.parameters.iter().map(Parameter::of).collect();
        Self { kind: kind.name, description: kind.description, parameters }
    }
}

/// The built-in kinds of strategies with their parameters.
#[utoipa::path(get, path = "/api/v1/strategy-kinds", tag = "strategies", operation_id = "list_strategy_kinds",
    responses((status = 200, body = StrategyKinds), super::Problems))]
pub async fn list(_: Asked<NoFields>) -> Json<StrategyKinds> {
    Json(StrategyKinds { rows: kinds().iter().map(StrategyKind::of).collect() })
}
