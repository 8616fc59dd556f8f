//! The strategies of the launcher: which can be chosen, which are, what their fields show and what a form says of them.

use std::collections::BTreeMap;

use contracts::v1::GroupPolicy;
use domain::order::group::policy_name;
use domain::research::STRATEGIES_MAX;
use domain::sizing;
use domain::strategy::{Kind, ParameterSpec, ValueSpec, kinds};
use projections::queries::{self, StrategyRow};

use crate::api::backtests::ask::{SIZING, Strategy};
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;

/// Before the name of a strategy that is registered on the tape.
const REGISTERED: &str = "registered:";
/// What becomes of a signal's orders, by name.
const POLICIES: [&str; 4] = [
    policy_name(GroupPolicy::Unspecified),
    policy_name(GroupPolicy::Complete),
    policy_name(GroupPolicy::Unwind),
    policy_name(GroupPolicy::Alert),
];

/// One of what may be chosen.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub word: String,
    pub title: String,
    pub selected: bool,
}

/// A list to choose a strategy from.
#[derive(Clone, Debug)]
pub(super) struct Select {
    pub label: String,
    pub field: String,
    pub choices: Vec<Choice>,
}

/// A parameter to fill in.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub name: &'static str,
    /// Name of the input.
    pub input: String,
    pub value: String,
    pub description: &'static str,
    pub unit: &'static str,
    pub range: String,
    /// What keyboards are asked for.
    pub mode: &'static str,
    /// What may be chosen; empty where anything in the range may be typed.
    pub choices: Vec<Choice>,
}

/// A strategy that is chosen.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    /// Name in the run.
    pub name: String,
    pub description: &'static str,
    /// Input that says which it is, and what it says.
    pub field: String,
    pub word: String,
    pub fields: Vec<Field>,
    /// How its entries are sized.
    pub sizing_input: String,
    pub sizing: String,
    /// What becomes of a signal's orders when one of them fails.
    pub policy_input: String,
    pub policies: Vec<Choice>,
}

/// The strategies of the form.
#[derive(Clone, Debug)]
pub(super) struct Strategies {
    /// One list for each that is chosen, and one for another.
    pub selects: Vec<Select>,
    pub chosen: Vec<Chosen>,
}

impl Strategies {
    /// Those that the fields `strategy`, `strategy_2` and so on name, or the first kind. Of a search (not `single`) any
    /// field takes several values, so that none is chosen from a list.
    pub(super) async fn of(app: &App, params: &Params, single: bool) -> Result<Self, PageError> {
        let rows = queries::strategies(&app.config.pool).await?;
        let is_built_in = |row: &StrategyRow| row.registered && row.consumer.is_empty();
        let rows = rows.into_iter().filter(|row| is_built_in(row) && kind_of(&row.kind).is_some());
        let registered: Vec<StrategyRow> = rows.collect();
        let asked = (1..=STRATEGIES_MAX).filter_map(|number| params.owned(&numbered("strategy", number)));
        let mut words: Vec<String> = asked.collect();
        if words.is_empty() {
            words.push("sma_cross".to_owned());
        }
        let names = names(&words);
        let both = words.iter().zip(names).enumerate();
        let chosen = both
            .map(|(index, (word, name))| Chosen::of(index + 1, word, name, &registered, single))
            .collect::<Result<Vec<_>, _>>()?;
        let lists = words.iter().map(String::as_str).chain([""]).take(STRATEGIES_MAX).enumerate();
        let selects = lists.map(|(index, word)| Select::of(index + 1, word, &registered)).collect();
        Ok(Self { selects, chosen })
    }
}

impl Select {
    fn of(number: usize, word: &str, registered: &[StrategyRow]) -> Self {
        let mut choices = Vec::new();
        if number > 1 {
            choices.push(Choice::of("", "none", word));
        }
        choices.extend(kinds().iter().map(|kind| Choice::of(kind.name, kind.name, word)));
        choices.extend(registered.iter().map(|row| {
            let title = format!("{} (registered)", row.strategy);
            Choice::of(&format!("{REGISTERED}{}", row.strategy), &title, word)
        }));
        let label = match number {
            1 => "Strategy".to_owned(),
            _ if word.is_empty() => "Another strategy".to_owned(),
            number => format!("Strategy {number}"),
        };
        Self { label, field: numbered("strategy", number), choices }
    }
}

impl Choice {
    fn of(word: &str, title: &str, chosen: &str) -> Self {
        Self { word: word.to_owned(), title: title.to_owned(), selected: word == chosen }
    }
}

impl Chosen {
    fn of(
        number: usize,
        word: &str,
        name: String,
        registered: &[StrategyRow],
        single: bool,
    ) -> Result<Self, PageError> {
        let named = word.strip_prefix(REGISTERED);
        let row = named.and_then(|named| registered.iter().find(|row| row.strategy == named));
        let Some(kind) = kind_of(row.map_or(word, |row| row.kind.as_str())) else {
            let mut known: Vec<String> = kinds().iter().map(|kind| kind.name.to_owned()).collect();
            known.extend(registered.iter().map(|row| format!("{REGISTERED}{}", row.strategy)));
            return Err(PageError::field("strategy", word, format!("one of {}", known.join(", "))));
        };
        let stated = |name: &str| {
            let mut parameters = row.into_iter().flat_map(|row| &row.parameters);
            parameters.find(|known| known.name == name).map(|known| known.value.clone())
        };
        let prefix = prefix(number);
        let fields = kind.parameters.iter().map(|spec| {
            let value = stated(spec.name).unwrap_or_else(|| spec.default.to_owned());
            Field::of(spec, &prefix, value, single)
        });
        let sizing = row.and_then(|row| row.sizing.as_ref()).and_then(sizing::text);
        let policy = row.map_or("none", |row| match row.group_policy.as_str() {
            "unspecified" => "none",
            policy => policy,
        });
        Ok(Self {
            name,
            description: kind.description,
            field: numbered("strategy", number),
            word: word.to_owned(),
            fields: fields.collect(),
            sizing_input: numbered("sizing", number),
            sizing: sizing.unwrap_or_else(|| SIZING.to_owned()),
            policy_input: numbered("group_policy", number),
            policies: POLICIES.map(|name| Choice::of(name, name, policy)).to_vec(),
        })
    }
}

impl Field {
    fn of(spec: &ParameterSpec, prefix: &str, value: String, single: bool) -> Self {
        let none: &[&str] = &[];
        let (mode, words) = match spec.value {
            _ if !single => ("text", none),
            ValueSpec::Integer { .. } => ("numeric", none),
            ValueSpec::Decimal { .. } => ("decimal", none),
            ValueSpec::Boolean => ("text", &["true", "false"][..]),
            ValueSpec::Choice(words) => ("text", words),
            ValueSpec::Symbol | ValueSpec::Weights => ("text", none),
        };
        Self {
            name: spec.name,
            input: format!("{prefix}{}", spec.name),
            choices: words.iter().map(|word| Choice::of(word, word, &value)).collect(),
            value,
            description: spec.description,
            unit: spec.unit,
            range: spec.value.to_string(),
            mode,
        }
    }
}

/// The strategies that a form states, taken out of its fields; at least one, which may say nothing.
pub(super) fn stated(fields: &mut BTreeMap<String, String>) -> Vec<Strategy> {
    let mut words = Vec::new();
    let mut strategies = Vec::new();
    for number in 1..=STRATEGIES_MAX {
        let mut take = |name: &str| {
            let text = fields.remove(&numbered(name, number)).unwrap_or_default().trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let (word, sizing, group_policy) = (take("strategy"), take("sizing"), take("group_policy"));
        let parameters = parameters(fields, &prefix(number));
        let Some(word) = word else { continue };
        let (kind, registered) = match word.strip_prefix(REGISTERED) {
            Some(name) => (String::new(), Some(name.to_owned())),
            None => (word.clone(), None),
        };
        words.push(word);
        strategies.push(Strategy {
            kind,
            registered,
            parameters,
            sizing,
            group_policy,
            ..Strategy::default()
        });
    }
    if strategies.is_empty() {
        strategies.push(Strategy::default());
    }
    for (strategy, name) in strategies.iter_mut().zip(names(&words)) {
        strategy.name = name;
    }
    strategies
}

/// The parameters whose inputs begin with `prefix`, without those that are empty.
fn parameters(fields: &mut BTreeMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    let inputs: Vec<String> = fields.keys().filter(|input| input.starts_with(prefix)).cloned().collect();
    let mut found = BTreeMap::new();
    for input in inputs {
        let value = fields.remove(&input).unwrap_or_default().trim().to_owned();
        if !value.is_empty() {
            found.insert(input[prefix.len()..].to_owned(), value);
        }
    }
    found
}

fn kind_of(name: &str) -> Option<&'static Kind> {
    kinds().iter().find(|kind| kind.name == name)
}

/// The name of a field of the strategy with this number; those of the first have none.
fn numbered(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}_{number}") }
}

/// What the inputs of its parameters begin with.
fn prefix(number: usize) -> String {
    if number == 1 { "p.".to_owned() } else { format!("p{number}.") }
}

/// The names of the strategies in the run, each once.
fn names(words: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        let plain = word.strip_prefix(REGISTERED).unwrap_or(word);
        let mut name = plain.to_owned();
        let mut number = 2..;
        while names.contains(&name)
            && let Some(next) = number.next()
        {
            name = format!("{plain}_{next}");
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_states_each_strategy_with_its_own_parameters() {
        let fields = [
            ("strategy", "sma_cross"),
            ("p.fast", "5"),
            ("strategy_2", ""),
            ("p2.fast", "9"),
            ("strategy_3", "sma_cross"),
            ("p3.fast", "7"),
            ("sizing_3", "fixed:10"),
            ("strategy_4", "registered:swing"),
            ("timeframe", "1h"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut fields: BTreeMap<String, String> = fields.into();
        let said: Vec<String> = stated(&mut fields)
            .into_iter()
            .map(|one| {
                let parameters: Vec<String> = one.parameters.into_values().collect();
                format!("{} {:?} {:?} {}", one.name, one.registered, one.sizing, parameters.join(","))
            })
            .collect();
        let expected =
            ["sma_cross None None 5", "sma_cross_2 None Some(\"fixed:10\") 7", "swing Some(\"swing\") None "];
        assert_eq!(said, expected);
        assert_eq!(fields.into_keys().collect::<Vec<_>>(), ["timeframe"]);
    }
}
