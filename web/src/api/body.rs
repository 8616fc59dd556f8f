//! The body of a request: JSON that is read field by field, so that a wrong one is named as in a query.
//!
//! Deliberately absent: what a field means, which is its handler's, and how large a body may be, which is the server's.

use std::fmt;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::Problem;
use crate::error::PageError;

/// The field that stands for the body as a whole.
pub const BODY: &str = "body";
/// Fields whose values are secrets, which no answer repeats.
const SECRETS: [&str; 2] = ["password", "current"];

/// A body that was read.
#[derive(Debug)]
pub struct Given<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_json(&kind(&request))?;
        Ok(Self(read(&whole(request, state).await?)?))
    }
}

/// A body of which every field may be absent: so may the whole of it, or it is null.
#[derive(Debug)]
pub struct GivenOrNone<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for GivenOrNone<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = kind(&request);
        let body = whole(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        check_json(&kind)?;
        if body.trim_ascii() == b"null" {
            return Ok(Self(T::default()));
        }
        Ok(Self(read(&body)?))
    }
}

/// The body of a change that takes none: whoever sends fields means something by them, which would not be done.
#[derive(Debug)]
pub struct Nothing;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoField {}

impl<S: Send + Sync> FromRequest<S> for Nothing {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let GivenOrNone(NoField {}) = GivenOrNone::<NoField>::from_request(request, state).await?;
        Ok(Self)
    }
}

fn kind(request: &Request) -> String {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.unwrap_or_default().to_owned()
}

fn check_json(kind: &str) -> Result<(), Problem> {
    if is_json(kind) {
        return Ok(());
    }
    let error = PageError::field("Content-Type", kind, "application/json");
    Err(Problem::with(StatusCode::UNSUPPORTED_MEDIA_TYPE, error))
}

async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|cut| {
        let expected = format!("a body that can be read to its end ({})", cut.body_text());
        Problem::with(cut.status(), PageError::field(BODY, "", expected))
    })
}

/// What is given as an object and in no other way: a derived reader also takes an array, whose elements it gives to the
/// fields in their order, so that `[]` would stand for an object without any.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads a field of a body that is an object.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|object| object.0)
}

/// Reads a field of a body that is an object, or null.
pub fn object_or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let object: Option<Object<T>> = Option::deserialize(deserializer)?;
    Ok(object.map(|object| object.0))
}

/// Reads a field of a body that is an array of objects.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let objects: Vec<Object<T>> = Vec::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

/// Whether a content type says JSON: `application/json`, or one that ends in `+json`.
fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.strip_prefix("application/").is_some_and(|of| of == "json" || of.ends_with("+json"))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read: Object<T> = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().clone();
        wrong(body, &path, &error.into_inner())
    })?;
    // Whatever follows is wrong, but belongs to no field.
    reader.end().map_err(|error| not_json(&error))?;
    Ok(read.0)
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::with(StatusCode::BAD_REQUEST, PageError::field(BODY, "", format!("JSON ({error})")))
}

/// What is wrong with the body at `path`, of which the reader complains.
fn wrong(body: &[u8], path: &Path, error: &serde_json::Error) -> Problem {
    let Ok(document) = serde_json::from_slice::<Value>(body) else { return not_json(error) };
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    complaint(&document, path, text.strip_suffix(&place).unwrap_or(&text)).into()
}

/// The field that the reader complains of, with its value and what it expects there instead.
fn complaint(document: &Value, path: &Path, said: &str) -> PageError {
    let quoted = |before: &str| said.strip_prefix(before).and_then(|rest| rest.split('`').next());
    if let Some(name) = quoted("unknown field `") {
        // The reader stands at the name that it does not know.
        let of = field(path, Some(name), None);
        let known = said
            .split_once(", expected ")
            .map_or_else(|| "no field".to_owned(), |(_, known)| expectation(known));
        return PageError::field(of, name, format!("only {}", known.trim_start_matches("one of ")));
    }
    if let Some(name) = quoted("missing field `") {
        return PageError::field(field(path, None, Some(name)), "", "a value, because it is required");
    }
    if let Some(name) = quoted("duplicate field `") {
        return PageError::field(field(path, Some(name), Some(name)), "", "one value");
    }
    let secret =
        matches!(path.iter().next_back(), Some(Segment::Map { key }) if SECRETS.contains(&key.as_str()));
    // The whole body may hold anything, a password too.
    let whole = path.iter().next().is_none();
    let value = value_at(document, path).filter(|_| !secret && !whole).map(shown).unwrap_or_default();
    let expected = said.rsplit_once(", expected ").map(|(_, expected)| expected);
    let expected = expected.or_else(|| said.strip_prefix("expected ")).unwrap_or(said);
    PageError::field(field(path, None, None), &value, expectation(expected))
}

/// The path as a field is named, such as `strategies[0].kind`, without the name at its end and with another one there.
fn field(path: &Path, without: Option<&str>, with: Option<&str>) -> String {
    let whole = path.to_string();
    let own = whole.trim_start_matches('.');
    let ends = |name: &&str| matches!(path.iter().next_back(), Some(Segment::Map { key }) if key == name);
    let own = match without.filter(ends).and_then(|name| own.strip_suffix(name)) {
        Some(parent) => parent.trim_end_matches('.'),
        None => own,
    };
    match (own, with) {
        ("", None) => BODY.to_owned(),
        ("", Some(name)) => name.to_owned(),
        (own, None) => own.to_owned(),
        (own, Some(name)) => format!("{own}.{name}"),
    }
}

fn value_at<'document>(document: &'document Value, path: &Path) -> Option<&'document Value> {
    path.iter().try_fold(document, |value, segment| match segment {
        Segment::Seq { index } => value.get(index),
        Segment::Map { key } => value.get(key),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What the reader expects, in the words of the document: it speaks of the program's own types.
pub fn expectation(expected: &str) -> String {
    match expected {
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        // Of a word that is one of several.
        "value" => "a string".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.replace('`', ""),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what cannot be read is looked at")]
    struct Asked {
        name: String,
        #[serde(default)]
        password: Option<String>,
        #[serde(default)]
        days: u32,
        #[serde(default, deserialize_with = "objects")]
        legs: Vec<Leg>,
        #[serde(default, deserialize_with = "object_or_none")]
        of: Option<Leg>,
        #[serde(default, deserialize_with = "object")]
        scope: Scope,
        #[serde(default)]
        values: BTreeMap<String, String>,
        #[serde(default)]
        role: Option<Role>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what cannot be read is looked at")]
    struct Leg {
        symbol: String,
    }

    /// As a switch: every field may be absent.
    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Scope {
        #[serde(default)]
        account: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Role {
        Viewer,
        Admin,
    }

    #[test]
    fn a_wrong_field_is_named_with_its_value_and_what_is_expected() {
        for (body, said) in [
            (r#"{"name":5}"#, "name = \"5\": expected a string"),
            (r#"{"name":"a","days":-1}"#, "days = \"-1\": expected a whole number, 0 or more"),
            (r#"{"name":"a","days":"x"}"#, "days = \"x\": expected a whole number, 0 or more"),
            (r#"{"name":"a","legs":{}}"#, "legs = \"{}\": expected an array"),
            (
                r#"{"name":"a","legs":[{"symbol":"A"},{"symbol":1}]}"#,
                "legs[1].symbol = \"1\": expected a string",
            ),
            (
                r#"{"name":"a","legs":[{}]}"#,
                "legs[0].symbol = \"\": expected a value, because it is required",
            ),
            (
                r#"{"name":"a","legs":[{"symbol":"A","side":"b"}]}"#,
                "legs[0] = \"side\": expected only symbol",
            ),
            (r#"{"name":"a","values":{"fast":3}}"#, "values.fast = \"3\": expected a string"),
            (r#"{"name":"a","role":"owner"}"#, "role = \"owner\": expected viewer or admin"),
            (
                r#"{"nmae":"a"}"#,
                "body = \"nmae\": expected only name, password, days, legs, of, scope, values, role",
            ),
            (r#"{}"#, "name = \"\": expected a value, because it is required"),
            (r#"{"name":"a","name":"b"}"#, "name = \"\": expected one value"),
            (r#"{"name":"a","password":7}"#, "password = \"\": expected a string"),
            (r#"[]"#, "body = \"\": expected an object"),
            (r#"["old-password", "new-password"]"#, "body = \"\": expected an object"),
            (r#""password""#, "body = \"\": expected an object"),
            (r#"{"name":"a","legs":[["A"]]}"#, "legs[0] = \"[\\\"A\\\"]\": expected an object"),
            (r#"{"name":"a","of":["A"]}"#, "of = \"[\\\"A\\\"]\": expected an object"),
            (r#"{"name":"a","of":{"symbol":1}}"#, "of.symbol = \"1\": expected a string"),
            (r#"{"name":"a","scope":[]}"#, "scope = \"[]\": expected an object"),
        ] {
            let told = read::<Asked>(body.as_bytes()).unwrap_err();
            assert_eq!((told.status.as_u16(), told.error.to_string().as_str()), (422, said), "{body}");
        }
    }

    #[test]
    fn an_array_fills_no_field_by_its_place() {
        for body in ["[]", "[\"paper\"]", "null"] {
            let told = read::<Scope>(body.as_bytes()).unwrap_err();
            assert_eq!(told.status.as_u16(), 422, "{body}");
            assert!(told.error.to_string().ends_with(": expected an object"), "{body}: {}", told.error);
        }
        assert_eq!(read::<Scope>(br#"{"account":"paper"}"#).unwrap().account, "paper");
        let asked = read::<Asked>(br#"{"name":"a","of":null,"legs":[{"symbol":"A"}]}"#).unwrap();
        assert!(asked.of.is_none() && asked.legs.len() == 1);
    }

    #[test]
    fn what_is_no_json_is_the_body_s_fault() {
        for body in ["", "{", "{\"name\":\"a\"} x", "{'name':1}"] {
            let told = read::<Asked>(body.as_bytes()).unwrap_err();
            assert_eq!(told.status, StatusCode::BAD_REQUEST, "{body}");
            assert!(told.error.to_string().starts_with("body = \"\": expected JSON ("), "{}", told.error);
        }
    }

    #[test]
    fn a_content_type_says_json() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in ["", "text/json", "application/jsonx", "application/x-www-form-urlencoded"] {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
