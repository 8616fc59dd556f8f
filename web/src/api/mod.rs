//! The programs' way in: JSON under `/api/v1`. One module per area.

pub mod system;
