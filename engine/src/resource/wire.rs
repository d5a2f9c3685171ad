//! Wire resources to engine resources and back.
