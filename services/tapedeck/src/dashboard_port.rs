//! The port of a tape's dashboard, kept from one start to the next.

use runtime::Context;

use crate::home::TapeDir;

/// Listens where the tape's dashboard was the last time, so that bookmarks and sessions keep working; a free
/// port where that one is taken. A port that was asked for is taken or refused, never exchanged.
pub async fn bind_again(
    dir: &TapeDir,
    context: &Context,
    config: &web::WebConfig,
) -> Result<web::Server, web::WebError> {
    let note = dir.path.join("dashboard-port");
    let last = std::fs::read_to_string(&note).ok().and_then(|text| text.trim().parse().ok());
    let again = match last.filter(|_| config.bind.port() == 0) {
        Some(port) => {
            let mut config = config.clone();
            config.bind.set_port(port);
            web::bind(context.clone(), config).await.ok()
        }
        None => None,
    };
    let server = match again {
        Some(server) => server,
        None => web::bind(context.clone(), config.clone()).await?,
    };
    // Only a convenience: without the note the next start takes a free port.
    let _ = std::fs::write(&note, format!("{}\n", server.address().port()));
    Ok(server)
}
