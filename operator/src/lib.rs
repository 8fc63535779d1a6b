//! The operator and the kubectl plugin.
