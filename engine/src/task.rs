//! Tasks: their descriptions, statuses, failures and kills.

pub mod status;
