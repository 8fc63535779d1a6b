//! Where the processes of a policy or a profile run: their CPUs and their volumes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closed_list::closed_list;

closed_list! {
    /// How a process gets its CPUs.
    pub enum CpuMode {
        /// Whole CPUs of its own on a node of the dedicated pool.
        Pinned,
        /// A share of any node's CPUs.
        Shared,
    }
}

/// CPUs of the processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Placement {
    /// Inference of each bundle; part of the bundle, so a change is rolled out.
    pub inference: RolePlacement,
    /// The risk service of the account. Holds when the risk profile itself has no spec.placement.
    pub risk: RolePlacement,
    /// Order execution.
    pub execution: RolePlacement,
}

impl Default for Placement {
    fn default() -> Self {
        let shared = RolePlacement::default();
        Self { inference: shared.clone(), risk: shared.clone(), execution: shared }
    }
}

/// CPUs of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolePlacement {
    /// Pinned: whole CPUs of its own on a node of the dedicated pool (label and taint tradewind.dev/dedicated=true).
    /// Shared: a share of any node's CPUs.
    pub mode: CpuMode,
    /// Number of CPUs: exclusive ones when Pinned, the limit when Shared.
    #[schemars(range(min = 1, max = 64))]
    pub cpus: i64,
}

impl Default for RolePlacement {
    fn default() -> Self {
        Self { mode: CpuMode::Shared, cpus: 1 }
    }
}

/// Volumes of the journals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Storage {
    /// Storage class; empty: the default class of the cluster.
    #[schemars(length(max = 253))]
    pub class_name: String,
    /// Size of each volume.
    #[schemars(length(max = 16), regex(pattern = "^[1-9][0-9]{0,8}(Mi|Gi|Ti)$"))]
    pub size: String,
}

impl Default for Storage {
    fn default() -> Self {
        Self { class_name: String::new(), size: "1Gi".into() }
    }
}
