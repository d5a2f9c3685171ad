//! Environment of a task.
