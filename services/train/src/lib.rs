//! A small honest trainer of the tactical actors.
