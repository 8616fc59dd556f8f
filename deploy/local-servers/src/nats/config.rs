//! The configuration file of a local nats-server.

use std::fmt::Write;

use super::NatsOptions;

/// The file's text. Users and passwords are in the file that it includes.
pub(super) fn render(
    options: &NatsOptions,
    server_name: &str,
    port: u16,
    monitoring_port: Option<u16>,
) -> String {
    let store = quoted(&options.data_dir.display().to_string());
    let sync = if options.sync_always { "    sync_interval: always\n" } else { "" };
    let mut text = format!(
        "# Written at every start; changes here are lost.\n\
         server_name: {name}\n\
         listen: \"127.0.0.1:{port}\"\n\
         max_payload: {max_payload}\n\
         jetstream {{\n    \
             store_dir: {store}\n    \
             # The disk is the only limit: a full one stops writes loudly, an early limit would do so for nothing.\n    \
             max_file_store: {unlimited}\n\
         {sync}}}\n\
         include \"users.conf\"\n",
        name = quoted(server_name),
        max_payload = options.max_payload_bytes,
        unlimited = options.max_store_bytes.unwrap_or(1_u64 << 50),
    );
    if let Some(port) = monitoring_port {
        let _ = writeln!(text, "http: \"127.0.0.1:{port}\"");
    }
    text
}

/// A string of the configuration language. `$` would otherwise name a variable and a bare word beginning with
/// a digit a number.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
