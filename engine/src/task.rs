//! Tasks: their descriptions, statuses, failures and kills.

pub mod env;
pub mod info;
pub mod labels;
pub mod status;
