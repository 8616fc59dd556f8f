//! `tapedeck user`: who may sign in to the dashboard. Each change is on the tape as an audit event.

use std::io::BufRead as _;

use runtime::command as commands;

use crate::cli::UserCommand;
use crate::command::control::caller;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Lists or changes users.
pub async fn run(session: &Session, command: &UserCommand, output: Output) -> Result<(), Failure> {
    let access = &session.access;
    match command {
        UserCommand::List => list(session, output),
        UserCommand::Add { name, role, stdin } => {
            let (password, made) = password(*stdin)?;
            access.add_user(name, *role, Some(&password))?;
            audit(session, "user_add", name, role.name()).await?;
            done(output, name, "added", made.then_some(password))
        }
        UserCommand::Remove { name } => {
            access.remove_user(name)?;
            audit(session, "user_remove", name, "").await?;
            done(output, name, "removed", None)
        }
        UserCommand::SetPassword { name, stdin } => {
            let (password, made) = password(*stdin)?;
            access.set_password(name, &password)?;
            audit(session, "user_password", name, "").await?;
            done(output, name, "has a new password", made.then_some(password))
        }
        UserCommand::SetRole { name, role } => {
            access.set_role(name, *role)?;
            audit(session, "user_role", name, role.name()).await?;
            done(output, name, &format!("is {role}"), None)
        }
        UserCommand::Disable { name } => {
            access.set_disabled(name, true)?;
            audit(session, "user_disable", name, "").await?;
            done(output, name, "is disabled", None)
        }
        UserCommand::Enable { name } => {
            access.set_disabled(name, false)?;
            audit(session, "user_enable", name, "").await?;
            done(output, name, "is enabled", None)
        }
        UserCommand::Link { name } => {
            let Some(url) = &session.addresses.dashboard else {
                return Err(Failure::unreachable("no dashboard of this tape is running"));
            };
            access.ensure_owner()?;
            let (user, link) = match name {
                Some(name) => (name.clone(), link_of(session, url, name)?),
                None => (first_admin(session)?, link(session, url)?),
            };
            audit(session, "user_link", &user, "").await?;
            if output.json {
                return output.document(&serde_json::json!({ "user": user, "sign_in": link }));
            }
            output.line(&link);
            Ok(())
        }
    }
}

/// A link that signs the owner in once, or another admin where the owner may not.
pub fn link(session: &Session, url: &str) -> Result<String, Failure> {
    link_of(session, url, &first_admin(session)?)
}

fn link_of(session: &Session, url: &str, name: &str) -> Result<String, Failure> {
    Ok(format!("{url}sign-in?ticket={}", session.access.make_link(name)?))
}

fn first_admin(session: &Session) -> Result<String, Failure> {
    let admin = session.access.first_admin()?;
    admin.ok_or_else(|| Failure::config("access.json: expected a user who is admin"))
}

/// Writes down who changed what, without the secret.
pub async fn audit(session: &Session, action: &str, target: &str, detail: &str) -> Result<(), Failure> {
    Ok(commands::audit(&session.tape, &caller(), action, target, detail).await?)
}

/// The password, and whether it was made here.
fn password(stdin: bool) -> Result<(String, bool), Failure> {
    if !stdin {
        return Ok((web::access::generate()?, true));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok((line.trim_end_matches(['\r', '\n']).to_owned(), false))
}

fn done(output: Output, name: &str, what: &str, password: Option<String>) -> Result<(), Failure> {
    if output.json {
        return output.document(&serde_json::json!({ "user": name, "state": what, "password": password }));
    }
    output.note(&format!("{name} {what}"));
    if let Some(password) = password {
        output.line(&password);
    }
    Ok(())
}

fn list(session: &Session, output: Output) -> Result<(), Failure> {
    let users = session.access.users()?;
    if output.json {
        return output.document(&users);
    }
    let rows: Vec<Vec<String>> = users
        .into_iter()
        .map(|user| {
            let password = if user.has_password { "set" } else { "none" };
            let created = crate::render::time(user.created_ns);
            let state = if user.disabled { "disabled" } else { "enabled" };
            vec![user.name, user.role.to_string(), state.to_owned(), password.to_owned(), created]
        })
        .collect();
    output.table(&["USER", "ROLE", "STATE", "PASSWORD", "CREATED"], &rows);
    Ok(())
}
