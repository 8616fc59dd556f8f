//! What an import did.

use super::known::Effect;
use crate::file::Rejected;

/// Rejected rows listed one by one; more are only counted, so that a report stays bounded.
const LISTED_MAX: usize = 10_000;

/// Counts of an import. `read` = `appended` + `duplicates` + `revisions` + `compared` + `withheld` + rejected rows,
/// unless a strict import refused the files, or an import stopped on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ImportReport {
    /// Rows read.
    pub read: u64,
    /// Bars and corporate actions appended.
    pub appended: u64,
    /// Rows that the tape, or an earlier row, already said.
    pub duplicates: u64,
    /// Revisions appended: bars that the tape held with other values.
    pub revisions: u64,
    /// Quality findings appended.
    pub findings: u64,
    /// Bars of which the tape holds those of the series' authority, with which they were compared.
    #[serde(skip_serializing_if = "is_zero")]
    pub compared: u64,
    /// Those of them that differ by more than the threshold.
    #[serde(skip_serializing_if = "is_zero")]
    pub differing: u64,
    /// Bars of a series with another authority, of which the tape holds nothing to compare with.
    #[serde(skip_serializing_if = "is_zero")]
    pub withheld: u64,
    /// Rows that did not go in.
    pub rejected: Vec<Rejected>,
    /// Rows rejected beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub rejected_unlisted: u64,
}

impl ImportReport {
    /// Number of rejected rows, listed or not.
    #[must_use]
    pub fn rejected_count(&self) -> u64 {
        self.rejected.len() as u64 + self.rejected_unlisted
    }

    /// Number of events appended.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.appended + self.revisions + self.findings
    }

    /// Adds what another import did.
    pub fn add(&mut self, other: Self) {
        self.read += other.read;
        self.appended += other.appended;
        self.duplicates += other.duplicates;
        self.revisions += other.revisions;
        self.findings += other.findings;
        self.compared += other.compared;
        self.differing += other.differing;
        self.withheld += other.withheld;
        self.rejected_unlisted += other.rejected_unlisted;
        for row in other.rejected {
            let file = row.file.clone();
            self.reject(file.as_deref(), row);
        }
    }

    /// Counts what reading a part of a file gave.
    pub(super) fn count(&mut self, file: Option<&str>, read: u64, duplicates: u64, rejected: Vec<Rejected>) {
        self.read += read;
        self.duplicates += duplicates;
        for row in rejected {
            self.reject(file, row);
        }
    }

    /// Counts an event that this import stored.
    pub(super) fn stored(&mut self, effect: &Effect) {
        match effect {
            Effect::Finding { .. } => self.findings += 1,
            Effect::Revision { .. } => self.revisions += 1,
            Effect::Bar { .. } | Effect::Action { .. } => self.appended += 1,
            Effect::None => {}
        }
    }

    /// Lists or counts one rejected row.
    pub(super) fn reject(&mut self, file: Option<&str>, row: Rejected) {
        if self.rejected.len() < LISTED_MAX {
            self.rejected.push(Rejected { file: file.map(ToOwned::to_owned), ..row });
        } else {
            self.rejected_unlisted += 1;
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
