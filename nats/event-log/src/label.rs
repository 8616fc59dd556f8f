//! What the streams of a tape say of it: a text of whoever made them, in the metadata of MARKET. No definition states
//! metadata, so they are no drift; a backup of the stream holds them.

use serde_json::Value;

use crate::definitions::{MARKET, STREAMS};
use crate::jetstream::JetStreamLog;
use crate::{EventLog as _, LogError};

const KEY: &str = "tapedeck.tape";

/// The text; `None` where there is none, or no stream.
pub async fn read(log: &JetStreamLog) -> Result<Option<String>, LogError> {
    let config = log.stream_config(MARKET.name).await?.unwrap_or_default();
    Ok(config["metadata"][KEY].as_str().map(str::to_owned))
}

/// Writes the text, on a stream that is made if it does not exist. Whoever makes it at the same time with another text
/// wins or is refused.
pub async fn write(log: &JetStreamLog, text: &str) -> Result<(), LogError> {
    let running = log.stream_config(MARKET.name).await?;
    let is_running = running.is_some();
    let mut config = running.map_or_else(|| MARKET.config(), Ok)?;
    config["metadata"][KEY] = Value::from(text);
    if is_running {
        log.update_stream(MARKET.name, &config).await
    } else {
        log.create_stream(MARKET.name, &config).await
    }
}

/// Whether anything was ever written to the streams.
pub async fn is_used(log: &JetStreamLog) -> Result<bool, LogError> {
    for file in STREAMS {
        if log.stream_config(file.name).await?.is_some() && log.state(file.name).await?.last_sequence > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
