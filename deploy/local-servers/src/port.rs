//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use crate::ServerError;

/// A port that is free right now. Another process may take it before a server binds it, so whoever starts a
/// server on it tries again with another one.
pub(crate) fn free_port() -> Result<u16, ServerError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(ServerError::file("127.0.0.1", "find a free port"))
}
