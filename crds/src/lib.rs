//! The three custom resources of Tradewind and their validation as pure functions.
