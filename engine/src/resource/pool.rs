//! What is left of one offer.
