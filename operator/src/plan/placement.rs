//! Arithmetic of dedicated CPUs: does what is asked fit into what is free, and if not, in numbers.

/// One pod that asks for whole CPUs of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What it is, for the message: `inference of bundle 0a1b2c3d4e5f`.
    pub what: String,
    /// Field of the manifest that asks for it: `spec.placement.inference.cpus`.
    pub field: String,
    /// Exclusive CPUs.
    pub cpus: i64,
}

/// One node of the dedicated pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolNode {
    /// Name.
    pub name: String,
    /// Allocatable CPU in thousandths.
    pub allocatable_millis: i64,
    /// Sum of the requests of the pods that run there, in thousandths.
    pub requested_millis: i64,
}

impl PoolNode {
    /// Whole CPUs that nobody has asked for.
    #[must_use]
    pub const fn free(&self) -> i64 {
        let free = (self.allocatable_millis - self.requested_millis) / 1_000;
        if free < 0 { 0 } else { free }
    }
}

/// What is asked for does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InsufficientPinnedCpu {
    /// The arithmetic, and what to do.
    pub message: String,
}

/// Places all pods, the largest first on the node where the least is left over. Names the first that does not fit.
///
/// # Errors
/// [`InsufficientPinnedCpu`] with what was asked, what is free on each node, and what would help.
pub fn fit(asks: &[Ask], pool: &[PoolNode]) -> Result<Vec<(Ask, String)>, InsufficientPinnedCpu> {
    let mut free: Vec<(&str, i64)> = pool.iter().map(|node| (node.name.as_str(), node.free())).collect();
    let mut order: Vec<&Ask> = asks.iter().filter(|ask| ask.cpus > 0).collect();
    order.sort_by(|a, b| b.cpus.cmp(&a.cpus).then_with(|| a.what.cmp(&b.what)));
    let mut placed = Vec::new();
    for ask in order {
        let best = free.iter_mut().filter(|(_, left)| *left >= ask.cpus).min_by_key(|(name, left)| (*left, *name));
        match best {
            Some((name, left)) => {
                *left -= ask.cpus;
                placed.push((ask.clone(), (*name).to_owned()));
            }
            None => return Err(InsufficientPinnedCpu { message: explain(ask, asks, pool, &free) }),
        }
    }
    Ok(placed)
}

fn explain(failed: &Ask, asks: &[Ask], pool: &[PoolNode], left: &[(&str, i64)]) -> String {
    let Ask { what, field, cpus } = failed;
    let total: i64 = asks.iter().map(|ask| ask.cpus).sum();
    if pool.is_empty() {
        return format!(
            "{what} asks for {cpus} exclusive CPUs and the dedicated pool has no node; \
             label and taint one with {label}=true, or set the mode to Shared",
            label = tradewind_crds::names::LABEL_DEDICATED
        );
    }
    let nodes: Vec<String> = pool
        .iter()
        .map(|node| {
            let (has, free) = (node.allocatable_millis / 1_000, node.free());
            let now = left.iter().find(|(name, _)| *name == node.name).map_or(free, |(_, left)| *left);
            let promised = if now == free { String::new() } else { format!(", {} promised to this change", free - now) };
            format!("{}: {free} of {has} free{promised}", node.name)
        })
        .collect();
    let largest = left.iter().map(|(_, left)| *left).max().unwrap_or(0);
    let asked = if asks.len() > 1 { format!(" ({total} in all)") } else { String::new() };
    let help = if largest > 0 { format!("set {field} to at most {largest}, ") } else { String::new() };
    format!(
        "{what} asks for {cpus} exclusive CPUs on one node{asked}; the dedicated pool has {}; the most that is left on one node \
         is {largest}: {help}add a node, or set the mode to Shared",
        nodes.join(", ")
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn node(name: &str, cpus: i64, used: i64) -> PoolNode {
        PoolNode { name: name.into(), allocatable_millis: cpus * 1_000, requested_millis: used }
    }

    fn ask(what: &str, cpus: i64) -> Ask {
        Ask { what: what.into(), field: format!("spec.placement.{what}.cpus"), cpus }
    }

    #[test]
    fn the_message_holds_the_arithmetic() {
        let pool = [node("pool-0", 1, 1_000), node("pool-1", 2, 100), node("pool-2", 1, 0)];
        let error = fit(&[ask("inference", 4)], &pool).unwrap_err().to_string();
        assert_eq!(
            error,
            "inference asks for 4 exclusive CPUs on one node; the dedicated pool has pool-0: 0 of 1 free, pool-1: 1 of 2 free, \
             pool-2: 1 of 1 free; the most that is left on one node is 1: set spec.placement.inference.cpus to at most 1, \
             add a node, or set the mode to Shared"
        );
    }

    #[test]
    fn what_the_same_change_takes_is_counted() {
        let pool = [node("a", 1, 0)];
        let error = fit(&[ask("inference", 1), ask("execution", 1)], &pool).unwrap_err().to_string();
        assert!(error.contains("(2 in all)") && error.contains("a: 1 of 1 free, 1 promised to this change"), "{error}");
    }

    #[test]
    fn an_empty_pool_says_what_to_label() {
        let error = fit(&[ask("risk", 1)], &[]).unwrap_err().to_string();
        assert!(error.contains("tradewind.dev/dedicated=true"), "{error}");
    }

    #[test]
    fn the_tightest_node_is_taken_so_that_large_ones_stay_free() {
        let pool = [node("large", 8, 0), node("small", 2, 0)];
        let placed = fit(&[ask("inference", 2), ask("risk", 5)], &pool).unwrap();
        let by_name: Vec<_> = placed.iter().map(|(ask, node)| (ask.what.as_str(), node.as_str())).collect();
        assert_eq!(by_name, [("risk", "large"), ("inference", "small")]);
    }

    proptest! {
        #[test]
        fn no_node_is_ever_overfilled(asks in prop::collection::vec(1_i64..5, 0..8), nodes in prop::collection::vec(0_i64..9, 0..5)) {
            let pool: Vec<_> = nodes.iter().enumerate().map(|(i, cpus)| node(&format!("n{i}"), *cpus, 0)).collect();
            let wanted: Vec<_> = asks.iter().enumerate().map(|(i, cpus)| ask(&format!("a{i}"), *cpus)).collect();
            if let Ok(placed) = fit(&wanted, &pool) {
                prop_assert_eq!(placed.len(), wanted.len());
                for one in &pool {
                    let taken: i64 = placed.iter().filter(|(_, name)| *name == one.name).map(|(ask, _)| ask.cpus).sum();
                    prop_assert!(taken <= one.free());
                }
            }
        }
    }
}
