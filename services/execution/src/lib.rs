//! Orders: state machine, journal, reconciliation, venues.
