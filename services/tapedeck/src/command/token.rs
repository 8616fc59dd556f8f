//! `tapedeck token`: what programs show to the API. Each change is on the tape as an audit event.

use crate::cli::TokenCommand;
use crate::command::control::caller;
use crate::command::user::audit;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// Lists, makes or revokes tokens.
pub async fn run(session: &Session, command: &TokenCommand, output: Output) -> Result<(), Failure> {
    match command {
        TokenCommand::List => list(session, output),
        TokenCommand::Create { name, role, days } => {
            let expires_ns = runtime::now_ns().saturating_add(i64::from(*days) * DAY_NS);
            let made = session.access.create_token(name, *role, &caller().actor, expires_ns)?;
            audit(session, "token_create", name, &format!("{role} for {days} days")).await?;
            if output.json {
                let secret = made.secret;
                return output.document(&serde_json::json!({ "token": made.token, "secret": secret }));
            }
            output.note(&format!("{name} is {role} for {days} days; this is shown once:"));
            output.line(&made.secret);
            Ok(())
        }
        TokenCommand::Revoke { name } => {
            session.access.revoke_token(name)?;
            audit(session, "token_revoke", name, "").await?;
            if output.json {
                return output.document(&serde_json::json!({ "token": name, "state": "revoked" }));
            }
            output.note(&format!("{name} revoked"));
            Ok(())
        }
    }
}

fn list(session: &Session, output: Output) -> Result<(), Failure> {
    let tokens = session.access.tokens()?;
    if output.json {
        return output.document(&tokens);
    }
    let rows: Vec<Vec<String>> = tokens
        .into_iter()
        .map(|token| {
            let expires = crate::render::time(token.expires_ns);
            let expires = if token.expired { format!("{expires} (expired)") } else { expires };
            vec![token.name, token.role.to_string(), token.created_by, expires]
        })
        .collect();
    output.table(&["TOKEN", "ROLE", "MADE BY", "EXPIRES"], &rows);
    Ok(())
}
