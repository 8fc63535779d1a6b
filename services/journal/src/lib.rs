//! An append-only, checksummed, synchronous log on disk.
