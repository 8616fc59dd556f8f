//! The fields of a query: one list per address, from which the document and the check both follow, so that
//! what is documented is what is let through.
//!
//! Deliberately absent: what a field means. A handler reads its value from [`Params`], as the pages do.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query, RawPathParams};
use axum::http::request::Parts;
use chrono::{DateTime, NaiveDate};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    AnyOfBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{RefOr, Required};

use super::Problem;
use super::body::expectation;
use crate::error::PageError;
use crate::pages::{Params, chart};
use crate::view::EXPECTED_TIME;

/// Largest number that every program counts exactly, 2^53 - 1.
const WHOLE_MAX: u64 = 9_007_199_254_740_991;
/// A place in a list by time and sequence.
const CURSOR: &str = "^-?(0|[1-8][0-9]{0,18}|9[0-9]{0,17})\\.(0|[1-9][0-9]{0,17})$";
/// A sequence of TRADING.
const MOMENT: &str = "^seq:[0-9]{1,15}$";
/// Anything without control characters.
const TEXT: &str = "^[^\\u0000-\\u001f\\u007f]+$";

/// A subject or filter; the first token says of which stream.
const SUBJECT: &str = "^(>|(market|reference|news|control|signal|risk|order|fill|account|audit|parked|log)\
    (\\.(\\*|[!-)+-\\-/-=?-~]+))*(\\.>)?)$";
/// The beginning of a subject.
const PATH: &str = "^[!-)+-\\-/-=?-~]+(\\.[!-)+-\\-/-=?-~]+)*$";
/// Longest subject, in bytes.
const SUBJECT_BYTES_MAX: usize = 200;

/// A symbol: a comma would end it where several are listed.
const SYMBOL: &str = "^[!-+\\--~]+$";
/// Symbols and groups, with commas between.
const SYMBOLS: &str = "^[!-+\\--~]{1,32}(,[!-+\\--~]{1,32})*$";
/// Longest list of them.
const SYMBOLS_BYTES_MAX: usize = 2_000;
/// Lengths of averages, or none.
const AVERAGES: &str = "^(off|([1-9][0-9]{0,3}|10000)(,([1-9][0-9]{0,3}|10000)){0,3})$";

/// What the value of a field can be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text of at most so many characters.
    Text(usize),
    /// Printable ASCII of at most so many bytes, without spaces.
    Id(usize),
    /// A subject of the tape or a filter of such subjects.
    Subject,
    /// The beginning of a subject, without wildcards.
    Path,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A sequence of a stream.
    Sequence,
    /// A symbol, for example `AAPL`.
    Symbol,
    /// Symbols and groups such as `@tech`, with commas between.
    Symbols,
    /// Up to four lengths of averages in bars, such as `20,50`, or `off`.
    Averages,
    /// A date of exchange time.
    Date,
    /// A date of exchange time or an instant.
    Time,
    /// A sequence of TRADING, `seq:N`, or an instant.
    Moment,
    /// A cursor that an answer of the list named.
    Cursor,
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    name: &'static str,
    kind: Kind,
    about: &'static str,
    needed: bool,
}

/// A field that may be left out.
pub const fn field(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, about, needed: false }
}

impl Field {
    /// The same field, which must be given.
    pub const fn needed(self) -> Self {
        Self { needed: true, ..self }
    }
}

/// The fields of one address.
pub trait Fields {
    /// All of them.
    const FIELDS: &'static [Field];
}

/// No fields.
#[derive(Debug)]
pub struct NoFields;

impl Fields for NoFields {
    const FIELDS: &'static [Field] = &[];
}

/// A query that was checked against its fields.
#[derive(Debug)]
pub struct Asked<F>(Params, PhantomData<F>);

impl<F> Deref for Asked<F> {
    type Target = Params;

    fn deref(&self) -> &Params {
        &self.0
    }
}

impl<F: Fields, S: Send + Sync> FromRequestParts<S> for Asked<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Params>::from_request_parts(parts, state).await;
        let Query(params) =
            query.map_err(|error| PageError::field("query", &error.to_string(), "a query"))?;
        check(&params, F::FIELDS)?;
        Ok(Self(params, PhantomData))
    }
}

impl<F: Fields> IntoParams for Asked<F> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        F::FIELDS.iter().map(Field::parameter).collect()
    }
}

/// A part of an address that was read; one that cannot be is named as a field of a query is.
#[derive(Debug)]
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unread = match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(read)) => return Ok(Self(read)),
            Err(unread) => unread,
        };
        let stated = RawPathParams::from_request_parts(parts, state).await;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let stated = stated.map(|stated| stated.iter().map(owned).collect::<Vec<_>>()).unwrap_or_default();
        Err(of_address(unread, &stated).into())
    }
}

/// Which part of an address, whose parts are `stated`, could not be read.
fn of_address(unread: PathRejection, stated: &[(String, String)]) -> PageError {
    let kind = match unread {
        PathRejection::FailedToDeserializePathParams(unread) => unread.into_kind(),
        unread => ErrorKind::Message(unread.body_text()),
    };
    let (at, said) = match kind {
        ErrorKind::InvalidUtf8InPathParam { key } => return PageError::field(key, "", "text in UTF-8"),
        ErrorKind::ParseErrorAtKey { key, value, expected_type } => {
            return PageError::field(key, &value, expectation(expected_type));
        }
        ErrorKind::ParseErrorAtIndex { index, expected_type, .. } => (index, expected_type.to_owned()),
        ErrorKind::ParseError { expected_type, .. } => (0, expected_type.to_owned()),
        // What the type itself said, as `Word` does.
        other => (0, other.to_string()),
    };
    let (name, value) = stated.get(at).cloned().unwrap_or_default();
    PageError::field(name, &value, expectation(said.trim_start_matches("expected ")))
}

/// An id or a name as part of an address. As in a query, text that can be stored and looked for.
#[derive(Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Word(pub String);

/// Longest one, in characters.
const WORD_CHARS_MAX: usize = 128;

impl TryFrom<String> for Word {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if is_text(&text, WORD_CHARS_MAX) {
            Ok(Self(text))
        } else {
            Err(format!("expected {}", Kind::Text(WORD_CHARS_MAX).expected()))
        }
    }
}

/// A word of an address, by its name and what it can be: `params(OrderId)` of a handler.
macro_rules! words {
    ($($(#[doc = $about:literal])* $type:ident = $name:literal, $kind:expr;)*) => {$(
        $(#[doc = $about])*
        #[derive(Debug)]
        pub struct $type;

        impl IntoParams for $type {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                let parameter = ParameterBuilder::new()
                    .name($name)
                    .parameter_in(ParameterIn::Path)
                    .description(Some(concat!($($about),*).trim()))
                    .required(Required::True)
                    .schema(Some(RefOr::T($kind.schema())));
                vec![parameter.build()]
            }
        }
    )*};
}

words! {
    /// Id of the order.
    OrderId = "id", Kind::Text(WORD_CHARS_MAX);
    /// Id of the event that set the message aside.
    ParkedId = "id", Kind::Text(WORD_CHARS_MAX);
    /// Id of the backtest.
    BacktestId = "id", Kind::Text(WORD_CHARS_MAX);
    /// Id of the parity or the fork.
    ComparisonId = "id", Kind::Text(WORD_CHARS_MAX);
    /// Id of the event.
    EventId = "event_id", Kind::Text(WORD_CHARS_MAX);
    /// Name of the user.
    UserName = "name", Kind::Text(40);
    /// Name of the token.
    TokenName = "name", Kind::Text(40);
    /// Name of the read model.
    ProjectionName = "name", Kind::Choice(&PROJECTIONS);
    /// The connection, as the settings list it.
    ConnectionName = "name", Kind::Text(WORD_CHARS_MAX);
    /// Symbol.
    SymbolName = "symbol", Kind::Symbol;
    /// Name of the stream.
    StreamName = "stream", Kind::Choice(&crate::browse::STREAMS);
}

/// Every read model.
const PROJECTIONS: [&str; projections::Name::ALL.len()] = {
    let mut names = [""; projections::Name::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = projections::Name::ALL[index].name();
        index += 1;
    }
    names
};

/// Refuses what the fields do not allow, naming the first that is wrong.
fn check(params: &Params, fields: &[Field]) -> Result<(), PageError> {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    params.only(&names)?;
    for field in fields {
        let mut values = params.all(field.name);
        match (values.next(), values.next()) {
            (_, Some(second)) => return Err(PageError::field(field.name, second, "one value")),
            (None, None) if field.needed => return Err(field.wrong("")),
            (Some(value), None) if !field.kind.admits(value) => return Err(field.wrong(value)),
            _ => {}
        }
    }
    params.ordered()
}

impl Field {
    fn wrong(&self, value: &str) -> PageError {
        PageError::field(self.name, value, self.kind.expected())
    }

    fn parameter(&self) -> Parameter {
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(ParameterIn::Query)
            .description(Some(self.about))
            .required(if self.needed { Required::True } else { Required::False })
            .schema(Some(RefOr::T(self.kind.schema())))
            .build()
    }
}

impl Kind {
    fn expected(self) -> String {
        match self {
            Self::Text(most) => format!("1 to {most} characters of text, none of them a control character"),
            Self::Id(most) => format!("1 to {most} printable characters"),
            Self::Subject => {
                "a subject or a filter such as order.*.sma_cross.>, of a stream of the tape".to_owned()
            }
            Self::Path => "the beginning of a subject, without * and >".to_owned(),
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Sequence => "a sequence, a whole number".to_owned(),
            Self::Symbol => chart::EXPECTED_SYMBOL.to_owned(),
            Self::Symbols => {
                "symbols such as AAPL and groups such as @tech, with commas between and without blanks"
                    .to_owned()
            }
            Self::Averages => chart::EXPECTED_LENGTHS.to_owned(),
            Self::Date => "a date, YYYY-MM-DD".to_owned(),
            Self::Time => EXPECTED_TIME.to_owned(),
            Self::Moment => "seq:N or an instant such as 2020-01-02T15:30:00Z".to_owned(),
            Self::Cursor => "a cursor that an answer of this list named".to_owned(),
        }
    }

    fn admits(self, value: &str) -> bool {
        let whole = |least: u64, most: u64| {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            digits && value.parse().is_ok_and(|number| (least..=most).contains(&number))
        };
        let instant = || DateTime::parse_from_rfc3339(value).is_ok();
        match self {
            Self::Text(most) => is_text(value, most),
            Self::Id(most) => value.len() <= most && is_printable(value),
            Self::Subject => {
                let of_stream = value == ">" || contracts::stream_of(value).is_some();
                value.len() <= SUBJECT_BYTES_MAX && of_stream && event_log::is_well_formed(value)
            }
            Self::Path => {
                let literal = !value.contains(['*', '>']);
                value.len() <= SUBJECT_BYTES_MAX && literal && value.split('.').all(is_printable)
            }
            Self::Choice(choices) => choices.contains(&value),
            Self::Whole(least, most) => whole(least, most),
            Self::Sequence => whole(0, WHOLE_MAX),
            Self::Symbol => contracts::read_symbol(value).is_ok(),
            Self::Symbols => {
                value.len() <= SYMBOLS_BYTES_MAX
                    && value.split(',').all(|entry| contracts::read_symbol(entry).is_ok())
            }
            Self::Averages => chart::lengths(value).is_ok(),
            Self::Date => value.parse::<NaiveDate>().is_ok(),
            Self::Time => value.parse::<NaiveDate>().is_ok() || instant(),
            Self::Moment => match value.strip_prefix("seq:") {
                Some(number) => number.bytes().all(|byte| byte.is_ascii_digit()) && number.len() <= 15,
                None => instant(),
            },
            Self::Cursor => value.parse::<projections::queries::Cursor>().is_ok(),
        }
    }

    fn schema(self) -> Schema {
        let text = || ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        let whole = |least: u64, most: u64| {
            let number = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
            let number = number.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
            // Both are far below the numbers that a float holds exactly.
            #[expect(clippy::cast_precision_loss, reason = "at most 2^53 - 1")]
            number.minimum(Some(least as f64)).maximum(Some(most as f64)).build()
        };
        let format = |format| text().format(Some(SchemaFormat::KnownFormat(format))).build();
        let either = |one: Object, other: Object| {
            Schema::AnyOf(AnyOfBuilder::new().item(Schema::Object(one)).item(Schema::Object(other)).build())
        };
        Schema::Object(match self {
            Self::Text(most) => text().min_length(Some(1)).max_length(Some(most)).pattern(Some(TEXT)).build(),
            Self::Id(most) => text().max_length(Some(most)).pattern(Some("^[!-~]+$")).build(),
            Self::Subject => text().max_length(Some(SUBJECT_BYTES_MAX)).pattern(Some(SUBJECT)).build(),
            Self::Path => text().max_length(Some(SUBJECT_BYTES_MAX)).pattern(Some(PATH)).build(),
            Self::Choice(choices) => text().enum_values(Some(choices.iter().copied())).build(),
            Self::Whole(least, most) => whole(least, most),
            Self::Sequence => whole(0, WHOLE_MAX),
            Self::Symbol => text().max_length(Some(chart::SYMBOL_BYTES_MAX)).pattern(Some(SYMBOL)).build(),
            Self::Symbols => text().max_length(Some(SYMBOLS_BYTES_MAX)).pattern(Some(SYMBOLS)).build(),
            Self::Averages => text().pattern(Some(AVERAGES)).build(),
            Self::Date => format(KnownFormat::Date),
            Self::Time => return either(format(KnownFormat::Date), format(KnownFormat::DateTime)),
            Self::Moment => {
                return either(text().pattern(Some(MOMENT)).build(), format(KnownFormat::DateTime));
            }
            Self::Cursor => text().pattern(Some(CURSOR)).build(),
        })
    }
}

/// A symbol in the field `name` of a body, in the form of the tape.
pub fn symbol(name: &'static str, text: &str) -> Result<String, PageError> {
    contracts::read_symbol(text).map_err(|_| PageError::field(name, text, chart::EXPECTED_SYMBOL))
}

/// Whether `value` is text that can be stored and looked for: not empty, not too long, no control character.
pub fn is_text(value: &str, chars_max: usize) -> bool {
    (1..=chars_max).contains(&value.chars().count()) && !value.chars().any(|letter| letter.is_ascii_control())
}

fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 200;

/// A reason for the audit; where none is given, that the API was asked.
pub fn reason(given: &str) -> Result<&str, PageError> {
    let given = given.trim();
    if given.chars().count() > REASON_CHARS_MAX || given.chars().any(|letter| letter.is_ascii_control()) {
        let expected = format!("at most {REASON_CHARS_MAX} characters, none of them a control character");
        return Err(PageError::field("reason", given, expected));
    }
    Ok(if given.is_empty() { "through the API" } else { given })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [Field; 5] = [
        field("side", Kind::Choice(&["buy", "sell"]), ""),
        field("limit", Kind::Whole(1, 200), ""),
        field("from", Kind::Time, ""),
        field("to", Kind::Time, ""),
        field("subject", Kind::Text(8), "").needed(),
    ];

    #[test]
    fn what_is_wrong_is_named() {
        let good = Params::from([("subject", "order.>"), ("limit", "200"), ("from", "2026-01-06")]);
        check(&good, &FIELDS).unwrap();
        for (wrong, said) in [
            (good.with("side", "up"), "side = \"up\": expected one of buy, sell"),
            (good.with("limit", "0"), "limit = \"0\": expected a whole number from 1 to 200"),
            (good.with("limit", "+5"), "limit = \"+5\": expected a whole number from 1 to 200"),
            (good.with("limit", ""), "limit = \"\": expected a whole number from 1 to 200"),
            (good.with("subject", "a\0"), "subject = \"a\\0\": expected 1 to 8 characters of text"),
            (good.without(&["subject"]), "subject = \"\": expected 1 to 8 characters of text"),
            (good.with("sied", "buy"), "query = \"sied\": expected only side, limit, from, to, subject"),
            (good.with("to", "2026-01-05"), "to = \"2026-01-05\": expected a time that is not before `from`"),
            (
                Params::from([("subject", "a"), ("limit", "1"), ("limit", "2")]),
                "limit = \"2\": expected one value",
            ),
        ] {
            let error = check(&wrong, &FIELDS).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_subject_is_one_of_the_tape() {
        for (text, subject, path) in [
            ("order.*.sma_cross.>", true, false),
            ("order", true, true),
            (">", true, false),
            ("order.>.x", false, false),
            ("weather.rain", false, true),
            ("order..x", false, false),
        ] {
            assert_eq!((Kind::Subject.admits(text), Kind::Path.admits(text)), (subject, path), "{text}");
        }
    }

    #[test]
    fn a_cursor_is_documented_as_it_is_read() {
        for (text, good) in [("0.0", true), ("-1.9", true), ("1767727801000000000.17", true), ("7", false)] {
            assert_eq!(Kind::Cursor.admits(text), good, "{text}");
        }
        assert!(Kind::Moment.admits("seq:12") && Kind::Moment.admits("2020-01-02T15:30:00Z"));
        assert!(!Kind::Moment.admits("2020-01-02") && !Kind::Moment.admits("seq:x"));
    }
}
