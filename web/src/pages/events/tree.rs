//! Streams and the tree of their subjects, one level at a time.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Html;

use super::PATH;
use crate::app::App;
use crate::browse::{self, Level, Wanted};
use crate::error::PageError;
use crate::pages::{Params, Rendering};
use crate::url::Url;
use crate::view::count;

/// A branch with where it leads.
#[derive(Clone, Debug)]
struct Twig {
    token: String,
    messages: String,
    /// The list under it.
    url: String,
    /// Where its branches are loaded; `None` when it has none.
    branches: Option<String>,
}

#[derive(Template)]
#[template(path = "events/level.html")]
struct LevelFragment {
    twigs: Vec<Twig>,
    more: usize,
    uncounted: u64,
}

#[derive(Clone, Debug)]
struct Trunk {
    name: &'static str,
    messages: String,
    url: String,
    branches: String,
    current: bool,
}

#[derive(Template)]
#[template(path = "events/tree.html")]
struct TreeFragment {
    trunks: Vec<Trunk>,
    problem: String,
}

/// The streams with their counts; their branches are loaded when they are opened.
pub async fn root(app: &App, wanted: &Wanted) -> Rendering {
    let (trunks, problem) = match browse::streams(&app.context.tape).await {
        Ok(streams) => {
            let trunk = |stream: browse::StreamCount| Trunk {
                name: stream.name,
                messages: count(stream.state.messages),
                url: Params::from([("stream", stream.name)]).link(PATH),
                branches: Url::EventTree(stream.name, "").to_string(),
                current: stream.name == wanted.stream,
            };
            (streams.into_iter().map(trunk).collect(), String::new())
        }
        Err(error) => (Vec::new(), error.to_string()),
    };
    TreeFragment { trunks, problem }.render()
}

/// `GET /events/tree`: the branches right under a subject.
pub async fn fragment(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
) -> Result<Html<String>, PageError> {
    params.check()?;
    let name = params.get("stream").unwrap_or_default();
    let stream = browse::stream_named(name).ok_or_else(|| PageError::Missing(format!("stream {name:?}")))?;
    let path = params.get("path").unwrap_or_default();
    if !path.is_empty() && !event_log::is_well_formed(path) {
        return Err(PageError::field("path", path, "the beginning of a subject"));
    }
    let Level { branches, more, uncounted } = browse::level(&app.context.tape, stream, path).await?;
    let twig = |branch: browse::Branch| Twig {
        url: Params::from([("stream", stream), ("subject", &branch.filter)]).link(PATH),
        branches: branch.has_branches.then(|| Url::EventTree(stream, &branch.path).to_string()),
        messages: count(branch.messages),
        token: contracts::unescape(&branch.token),
    };
    let twigs = branches.into_iter().map(twig).collect();
    Ok(Html(LevelFragment { twigs, more, uncounted }.render()?))
}
