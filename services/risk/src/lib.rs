//! Pre-trade checks and account state of one account.
