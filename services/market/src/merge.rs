//! Several symbols in one order.

use tradewind_wire::v1;

/// Why recordings cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("symbol '{0}' was given twice")]
pub struct MergeError(pub String);

/// Orders bars by the instant from which they are known, then by symbol: the order of the stream.
///
/// # Errors
/// [`MergeError`] when two recordings are of one symbol.
pub fn merge(recordings: Vec<Vec<v1::Bar>>) -> Result<Vec<v1::Bar>, MergeError> {
    let mut symbols: Vec<_> = recordings.iter().filter_map(|bars| bars.first()).map(|bar| bar.symbol.clone()).collect();
    symbols.sort_unstable();
    if let Some(twice) = symbols.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(MergeError(twice[0].clone()));
    }
    let mut all = recordings.concat();
    all.sort_by(|a, b| (a.close_time_ns, &a.symbol).cmp(&(b.close_time_ns, &b.symbol)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn bars(symbol: &str, closes: &[i64]) -> Vec<v1::Bar> {
        let bar =
            |(index, close): (u64, &i64)| v1::Bar { symbol: symbol.into(), index, close_time_ns: *close, ..Default::default() };
        (0..).zip(closes).map(bar).collect()
    }

    #[test]
    fn bars_of_one_instant_come_by_symbol_whatever_the_order_of_the_arguments() {
        let (spx, ixic) = (bars("SPX", &[1, 2, 4]), bars("IXIC", &[2, 3]));
        let merged = merge(vec![spx.clone(), ixic.clone()]).unwrap();
        let order: Vec<_> = merged.iter().map(|bar| (bar.close_time_ns, bar.symbol.as_str())).collect();
        assert_eq!(order, [(1, "SPX"), (2, "IXIC"), (2, "SPX"), (3, "IXIC"), (4, "SPX")]);
        assert_eq!(merge(vec![ixic, spx.clone()]).unwrap(), merged);
        assert_eq!(merge(vec![spx.clone(), spx]), Err(MergeError("SPX".into())));
    }

    proptest! {
        #[test]
        fn no_bar_is_lost_and_each_symbol_keeps_its_order(
            mut a in prop::collection::btree_set(0_i64..50, 0..20), b in prop::collection::btree_set(0_i64..50, 0..20)
        ) {
            a.insert(7);
            let (a, b): (Vec<_>, Vec<_>) = (a.into_iter().collect(), b.into_iter().collect());
            let merged = merge(vec![bars("A", &a), bars("B", &b)]).unwrap();
            for (symbol, closes) in [("A", &a), ("B", &b)] {
                let own: Vec<_> = merged.iter().filter(|bar| bar.symbol == symbol).collect();
                prop_assert!(own.iter().zip(0..).all(|(bar, index)| bar.index == index));
                prop_assert_eq!(own.len(), closes.len());
            }
            prop_assert!(merged.is_sorted_by_key(|bar| bar.close_time_ns));
        }
    }
}
