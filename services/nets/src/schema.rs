//! What the columns of a model matrix mean, as text with a digest, so that a checkpoint and a
//! server cannot agree on a name and mean different numbers.

use sha2::{Digest, Sha256};

use crate::architecture::FEATURE_SCHEMA;

/// The definition of `tactical-60x7-v1` (TA-5, TA-8): one line each for the layout and the columns. A change of any
/// formula changes this text, and with it the digest and the schema's name.
pub const TACTICAL_SCHEMA_TEXT: &str = "\
tactical-60x7-v1
layout f32 rows=60 columns=7 row-major row0=oldest row59=newest bars=completed
0 fvg_bullish_active 0|1
1 fvg_bearish_active 0|1
2 fvg_nearest_level clip((level/close-1)*100,-10,10)/10 none=0
3 fvg_age min(age,60)/60
4 fvg_mitigation_signal 0|1
5 price_momentum_5 tanh(clip((close/close[5]-1)*100,-10,10)/5)
6 volume_ratio tanh(ln(1+max(0,volume/ema20(volume)-1)))
";

/// Hex SHA-256 of [`TACTICAL_SCHEMA_TEXT`].
pub fn tactical_schema_digest() -> String {
    hex::encode(Sha256::digest(TACTICAL_SCHEMA_TEXT))
}

/// Name of the schema that [`TACTICAL_SCHEMA_TEXT`] defines.
pub const fn tactical_schema() -> &'static str {
    FEATURE_SCHEMA
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published digest: an exporter copies it, so it may not move without a new schema name.
    #[test]
    fn the_text_defines_the_schema_that_the_domain_implements() {
        assert_eq!(TACTICAL_SCHEMA_TEXT.lines().next(), Some(FEATURE_SCHEMA));
        assert_eq!(TACTICAL_SCHEMA_TEXT.lines().count(), 9);
        let page = include_str!("../CHECKPOINT.md");
        assert!(page.contains(&tactical_schema_digest()) && page.contains(TACTICAL_SCHEMA_TEXT), "CHECKPOINT.md is out of date");
    }
}
