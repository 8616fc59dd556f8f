//! The projection `services`: the last heartbeat of every instance.

use async_trait::async_trait;
use contracts::from_timestamp;
use contracts::v1::event::Body;
use event_log::Recorded;

use crate::calendar::{event_time, taken};
use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Kind, Rows, Table, column};

pub(crate) static TABLES: &[&Table] = &[&HEARTBEATS];

static HEARTBEATS: Table = Table {
    name: "heartbeats",
    key: &["service", "instance"],
    replaced: true,
    columns: &[
        column("service", Kind::Text),
        column("instance", Kind::Text),
        column("program_version", Kind::Text),
        column("state", Kind::Text),
        column("detail", Kind::Text),
        column("started_at_ns", Kind::Int),
        column("beat_at_ns", Kind::Int),
        column("sequence", Kind::Int),
    ],
};

/// The fold: a later heartbeat replaces an earlier one.
pub(crate) struct Services {
    heartbeats: Rows,
}

impl Default for Services {
    fn default() -> Self {
        Self { heartbeats: Rows::new(&HEARTBEATS) }
    }
}

#[async_trait]
impl Projection for Services {
    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let Some(Body::Heartbeat(beat)) = recorded.event.body.as_ref() else {
            return Err(FoldError::field("body", "of another type, expected heartbeat").into());
        };
        self.heartbeats.push(vec![
            (&beat.service).into(),
            (&beat.instance).into(),
            (&beat.version).into(),
            (&beat.state).into(),
            (&beat.detail).into(),
            beat.started_at.as_ref().and_then(from_timestamp).into(),
            event_time(recorded)?.into(),
            recorded.sequence.into(),
        ]);
        Ok(())
    }

    fn take(&mut self) -> Vec<Rows> {
        vec![taken(&mut self.heartbeats)]
    }
}
