//! A nats-server for one test.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{NATS_SERVER_VARIABLE, search_from_environment, temporary_directory, variable};
use crate::{NatsOptions, NatsServer, ServerError};

/// A nats-server with JetStream in a temporary directory, killed and removed when dropped.
pub struct TestNats {
    // Dropped before the directory it writes to.
    server: Option<NatsServer>,
    directory: TempDir,
    options: NatsOptions,
}

impl TestNats {
    /// Starts one with the default sync, which is right wherever a loss of power is not the subject.
    pub async fn start() -> Result<Self, ServerError> {
        Self::start_with(|_| {}).await
    }

    /// Starts one with changed options, for example `|options| options.sync_always = true`.
    pub async fn start_with(change: impl FnOnce(&mut NatsOptions)) -> Result<Self, ServerError> {
        let directory = temporary_directory()?;
        let mut search = search_from_environment();
        search.explicit = variable(NATS_SERVER_VARIABLE).map(PathBuf::from);
        let mut options = NatsOptions::new(directory.path().join("nats"), search);
        options.sync_always = false;
        change(&mut options);
        let server = NatsServer::start(options.clone()).await?;
        // A restart must come back where clients look for it.
        options.port = Some(server.port());
        Ok(Self { server: Some(server), directory, options })
    }

    /// The URL with credentials.
    pub fn url(&self) -> String {
        self.server.as_ref().map(NatsServer::url).unwrap_or_default()
    }

    /// The server, for its state and ports; `None` between [`Self::stop`] and [`Self::start_again`].
    pub fn server(&self) -> Option<&NatsServer> {
        self.server.as_ref()
    }

    /// The directory that holds everything of this server.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Stops the server and keeps its data.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Kills the server without a chance to flush, and keeps its data.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts it again on the same port with the same data and credentials.
    pub async fn start_again(&mut self) -> Result<(), ServerError> {
        self.server = None;
        self.server = Some(NatsServer::start(self.options.clone()).await?);
        Ok(())
    }
}
