//! The catalogue as a table or as JSON.

use domain::indicator::catalogue::{self, Entry, Range};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::Output;

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    outputs: &'static [&'static str],
    warm_up_bars: Option<usize>,
    second_series: bool,
    parameters: Vec<Parameter>,
}

#[derive(Serialize)]
struct Parameter {
    name: &'static str,
    description: &'static str,
    unit: &'static str,
    expected: String,
    default: &'static str,
}

fn listed(entry: &'static Entry) -> Listed {
    let parameters = entry.parameters.iter().map(|parameter| Parameter {
        name: parameter.name,
        description: parameter.description,
        unit: parameter.unit,
        expected: parameter.range.to_string(),
        default: parameter.default,
    });
    Listed {
        name: entry.name,
        title: entry.title,
        description: entry.description,
        unit: entry.unit,
        outputs: entry.outputs,
        warm_up_bars: entry.warm_up(),
        second_series: entry.against,
        parameters: parameters.collect(),
    }
}

/// Prints every indicator; the table's warm-up is that of the defaults.
pub fn print(output: Output) -> Result<(), Failure> {
    if output.json {
        let all: Vec<Listed> = catalogue::entries().iter().map(listed).collect();
        return output.document(&all);
    }
    let range = |range: &Range| match range {
        Range::Integer { min, max } => format!("{min}…{max}"),
        Range::Decimal { min, max } => format!("{min}…{max}, decimal"),
        Range::Choice(words) => words.join("|"),
    };
    let rows: Vec<Vec<String>> = catalogue::entries()
        .iter()
        .map(|entry| {
            let parameters = entry.parameters.iter();
            let parameters: Vec<String> = parameters
                .map(|parameter| {
                    format!("{}={} ({})", parameter.name, parameter.default, range(&parameter.range))
                })
                .collect();
            vec![
                entry.name.to_owned(),
                entry.title.to_owned(),
                entry.warm_up().map(|bars| bars.to_string()).unwrap_or_default(),
                entry.outputs.join(", "),
                parameters.join(", "),
            ]
        })
        .collect();
    output.table(&["NAME", "INDICATOR", "WARM-UP", "FIGURES", "PARAMETERS"], &rows);
    Ok(())
}
