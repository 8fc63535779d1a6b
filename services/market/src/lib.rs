//! Publishes recorded bars to the bus at a chosen pace.
