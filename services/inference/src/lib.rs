//! Serves one bundle: features, networks and decisions for each closed bar.
