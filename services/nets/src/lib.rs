//! Networks, the checkpoint file and its verification.
