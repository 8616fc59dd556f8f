//! Why a request was not answered as asked.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::access::{AccessError, Role};

/// An answer that is not the one asked for.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A field is missing or wrong.
    #[error("{field} = {value:?}: expected {expected}")]
    Field {
        /// The field; of a body that holds others, its path.
        field: Cow<'static, str>,
        /// The value found.
        value: String,
        /// What is expected.
        expected: String,
    },
    /// The form does not belong to the visitor's session.
    #[error("This form has expired. Reload the page and try again; nothing was changed.")]
    Token,
    /// What is asked for can no longer be done; nothing was changed.
    #[error("{0}")]
    Conflict(String),
    /// Nobody is signed in.
    #[error("Sign in first, or show an API token that is good.")]
    SignIn,
    /// The role is not enough; nothing was changed.
    #[error("This takes the role {needed}; yours is {has}. Nothing was changed.")]
    Role {
        /// What the visitor has.
        has: Role,
        /// What it takes.
        needed: Role,
    },
    /// Users and tokens could not be looked up.
    #[error("{0}")]
    Access(String),
    /// There is no such thing.
    #[error("There is no {0}.")]
    Missing(String),
    /// The read models could not be read.
    #[error("The read models cannot be read now: {0}")]
    ReadModel(String),
    /// There is no room; asking again later may help.
    #[error("Not now: {0}.")]
    Busy(String),
    /// The tape could not be read.
    #[error("The tape cannot be read now: {0}")]
    Unread(String),
    /// What the rest of the program was asked could not be told.
    #[error("This cannot be told now: {0}")]
    Unknown(String),
    /// The tape did not take the command; it may or may not be repeated, with the same key, safely.
    #[error("The tape did not take the command: {0}")]
    Tape(String),
    /// A page could not be rendered; a fault of this program.
    #[error("The page could not be rendered: {0}")]
    Render(#[from] askama::Error),
}

impl From<projections::queries::QueryError> for PageError {
    fn from(error: projections::queries::QueryError) -> Self {
        Self::ReadModel(error.to_string())
    }
}

impl From<event_log::LogError> for PageError {
    fn from(error: event_log::LogError) -> Self {
        Self::Unread(error.to_string())
    }
}

impl PageError {
    /// A field that is wrong; of the value only the beginning is kept.
    pub fn field(field: impl Into<Cow<'static, str>>, value: &str, expected: impl Into<String>) -> Self {
        let value = value.chars().take(40).collect();
        Self::Field { field: field.into(), value, expected: expected.into() }
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Field { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::Token | Self::Role { .. } => StatusCode::FORBIDDEN,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::ReadModel(_)
            | Self::Busy(_)
            | Self::Unread(_)
            | Self::Unknown(_)
            | Self::Tape(_)
            | Self::Access(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Render(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<AccessError> for PageError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Name(name) => {
                Self::field("name", &name, "1 to 40 lowercase letters, digits, - and _")
            }
            AccessError::Password => Self::field("password", "", "10 to 64 characters"),
            AccessError::Exists(..)
            | AccessError::LastAdmin(_)
            | AccessError::Disabled(_)
            | AccessError::Full => Self::Conflict(error.to_string()),
            AccessError::Missing(kind, name) => Self::Missing(format!("{kind} {name:?}")),
            AccessError::File(_) | AccessError::Malformed(_) | AccessError::Hash(_) => {
                Self::Access(error.to_string())
            }
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(error = %self, "request failed: {self}");
        }
        (status, format!("{self}\n")).into_response()
    }
}
