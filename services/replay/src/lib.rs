//! Every service in one process over recorded bars.
