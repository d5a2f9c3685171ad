//! TaskInfo and ExecutorInfo of one launch.
