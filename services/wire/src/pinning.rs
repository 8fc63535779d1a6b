//! Dedicated CPUs, checked where the claim is true: in the kernel's own files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::thread::CpuSet;

use crate::v1;

/// Why the CPUs of a process are unknown or a thread cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum PinningError {
    /// A file of the kernel cannot be read.
    #[error("{path}: {source}; is /proc mounted?")]
    Read {
        /// File in question.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The list of CPUs is missing or written in an unknown form.
    #[error("{path}: Cpus_allowed_list is '{found}', expected a list like 0-3,8")]
    List {
        /// File in question.
        path: PathBuf,
        /// Text seen.
        found: String,
    },
    /// The process may use less time than its CPUs have: others run on them too.
    #[error("the CPUs {allowed_list} are shared (quota {quota_millicpus}m): a bound thread could not leave a busy one")]
    Shared {
        /// CPUs of the process.
        allowed_list: String,
        /// Quota of the process.
        quota_millicpus: u32,
    },
    /// The kernel refused to bind the thread.
    #[error("binding the thread to CPU {cpu}: {source}")]
    Bind {
        /// CPU wanted.
        cpu: u32,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// CPUs of this process as the kernel grants them. Clones share the state of the hot thread.
#[derive(Clone, Debug)]
pub struct Pinning {
    allowed: BTreeSet<u32>,
    allowed_list: String,
    quota_millicpus: u32,
    hot_cpu: Arc<AtomicI32>,
}

const NOT_BOUND: i32 = -1;

impl Pinning {
    /// Reads this process's CPUs. Call it before a thread is bound.
    ///
    /// # Errors
    /// [`PinningError::Read`] and [`PinningError::List`].
    pub fn read() -> Result<Self, PinningError> {
        Self::read_below(Path::new("/"))
    }

    /// Reads `proc/self/status`, `proc/self/cgroup` and `sys/fs/cgroup` below a root directory.
    ///
    /// # Errors
    /// As [`Pinning::read`].
    pub fn read_below(root: &Path) -> Result<Self, PinningError> {
        let path = root.join("proc/self/status");
        let status = fs::read_to_string(&path).map_err(|source| PinningError::Read { path: path.clone(), source })?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default().trim();
        let allowed = parse_list(list).ok_or_else(|| PinningError::List { path, found: list.to_owned() })?;
        let hot_cpu = Arc::new(AtomicI32::new(NOT_BOUND));
        Ok(Self { allowed, allowed_list: list.to_owned(), quota_millicpus: quota_below(root), hot_cpu })
    }

    /// Number of CPUs that the process may run on.
    #[must_use]
    pub fn allowed_cpus(&self) -> usize {
        self.allowed.len()
    }

    /// Binds the calling thread to one CPU of the allowed set and reports it as the hot thread.
    /// The highest one: interrupts and the runtime's first threads prefer low numbers.
    ///
    /// # Errors
    /// [`PinningError::Shared`] when the CPUs are not the process's own, [`PinningError::Bind`]; the
    /// thread then runs wherever the process may.
    pub fn bind_hot_thread(&self) -> Result<u32, PinningError> {
        let (quota_millicpus, whole) = (self.quota_millicpus, 1000 * self.allowed.len() as u64);
        if quota_millicpus > 0 && u64::from(quota_millicpus) < whole {
            return Err(PinningError::Shared { allowed_list: self.allowed_list.clone(), quota_millicpus });
        }
        let cpu = self.allowed.last().copied().unwrap_or_default();
        let mut set = CpuSet::new();
        set.set(cpu as usize);
        rustix::thread::sched_setaffinity(None, &set).map_err(|errno| PinningError::Bind { cpu, source: errno.into() })?;
        self.hot_cpu.store(i32::try_from(cpu).unwrap_or(NOT_BOUND), Ordering::Release);
        Ok(cpu)
    }

    /// The report for `Process.Describe`.
    #[must_use]
    pub fn to_wire(&self) -> v1::CpuPinning {
        let cpu = self.hot_cpu.load(Ordering::Acquire);
        v1::CpuPinning {
            allowed_cpus: u32::try_from(self.allowed.len()).unwrap_or(u32::MAX),
            allowed_list: self.allowed_list.clone(),
            quota_millicpus: self.quota_millicpus,
            hot_thread_pinned: cpu != NOT_BOUND,
            hot_thread_cpu: cpu,
        }
    }
}

/// `0-3,8` as a set; `None` for anything else and for the empty list.
fn parse_list(list: &str) -> Option<BTreeSet<u32>> {
    let mut cpus = BTreeSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= u32::try_from(CpuSet::MAX_CPU).ok()? {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// CPU quota in thousandths of a CPU, 0 for none; the tightest of what cgroup v1 and v2 say.
fn quota_below(root: &Path) -> u32 {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mounts = root.join("sys/fs/cgroup");
    let mut quotas = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        // Inside a container the group's own directory is mounted at the root of the hierarchy.
        let group = group.trim_start_matches('/');
        if controllers.is_empty() {
            quotas.extend([mounts.join(group), mounts.clone()].iter().filter_map(|at| quota_v2(at)));
        } else if controllers.split(',').any(|name| name == "cpu") {
            for hierarchy in [mounts.join(controllers), mounts.join("cpu")] {
                quotas.extend([hierarchy.join(group), hierarchy].iter().filter_map(|at| quota_v1(at)));
            }
        }
    }
    quotas.into_iter().min().unwrap_or(0)
}

fn quota_v2(group: &Path) -> Option<u32> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    millicpus(quota, period)
}

fn quota_v1(group: &Path) -> Option<u32> {
    let read = |name| fs::read_to_string(group.join(name)).ok();
    millicpus(read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim())
}

/// `None` when there is no quota (`max` in v2, -1 in v1).
fn millicpus(quota: &str, period: &str) -> Option<u32> {
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    u32::try_from((quota * 1000).checked_div(period)?).ok().filter(|&millis| millis > 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const STATUS: (&str, &str) = ("proc/self/status", "Name:\tx\nCpus_allowed:\tf\nCpus_allowed_list:\t1-2,5\nThreads:\t1\n");

    #[test]
    fn lists_are_read_as_the_kernel_prints_them() {
        for (list, cpus) in [("1", vec![1]), ("0-3", vec![0, 1, 2, 3]), ("0,2-3", vec![0, 2, 3])] {
            assert_eq!(parse_list(list), Some(cpus.into_iter().collect()));
        }
        for wrong in ["", "a", "3-1", "0-", "0-99999999"] {
            assert_eq!(parse_list(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn cgroup_v2_quota_is_read_inside_and_outside_a_container() {
        for group in ["0::/", "0::/kubepods/pod1"] {
            let max = ("sys/fs/cgroup/cpu.max", "150000 100000\n");
            let root = tree(&[STATUS, ("proc/self/cgroup", group), max]);
            let wire = Pinning::read_below(root.path()).unwrap().to_wire();
            assert_eq!((wire.allowed_cpus, wire.allowed_list.as_str(), wire.quota_millicpus), (3, "1-2,5", 1500));
        }
        let root = tree(&[STATUS, ("proc/self/cgroup", "0::/a"), ("sys/fs/cgroup/a/cpu.max", "max 100000\n")]);
        assert_eq!(Pinning::read_below(root.path()).unwrap().to_wire().quota_millicpus, 0);
    }

    #[test]
    fn cgroup_v1_quota_is_read_and_minus_one_means_none() {
        let files = |quota| {
            let groups = ("proc/self/cgroup", "5:cpuset:/p\n4:cpu,cpuacct:/kubepods/pod1\n");
            let at = ("sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_quota_us", quota);
            tree(&[STATUS, groups, at, ("sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_period_us", "100000")])
        };
        let millis = |quota| Pinning::read_below(files(quota).path()).unwrap().to_wire().quota_millicpus;
        assert_eq!((millis("200000\n"), millis("-1\n")), (2000, 0));
    }

    #[test]
    fn a_thread_on_shared_cpus_is_not_bound() {
        let root = tree(&[STATUS, ("proc/self/cgroup", "0::/"), ("sys/fs/cgroup/cpu.max", "290000 100000\n")]);
        let pinning = Pinning::read_below(root.path()).unwrap();
        assert!(matches!(pinning.bind_hot_thread(), Err(PinningError::Shared { quota_millicpus: 2900, .. })));
        assert!(!pinning.to_wire().hot_thread_pinned);
    }

    #[test]
    fn a_missing_proc_and_an_unknown_list_are_errors() {
        assert!(matches!(Pinning::read_below(tree(&[]).path()), Err(PinningError::Read { .. })));
        let root = tree(&[("proc/self/status", "Cpus_allowed_list:\tall\n")]);
        assert!(matches!(Pinning::read_below(root.path()), Err(PinningError::List { found, .. }) if found == "all"));
    }

    #[test]
    fn the_hot_thread_is_bound_to_one_allowed_cpu_and_others_are_not() {
        let mut pinning = Pinning::read().unwrap();
        assert!(!pinning.to_wire().hot_thread_pinned);
        // Whatever quota the machine of this test gives.
        pinning.quota_millicpus = 0;
        let shared = pinning.clone();
        let inside = std::thread::spawn(move || {
            let cpu = shared.bind_hot_thread().unwrap();
            let set = rustix::thread::sched_getaffinity(None).unwrap();
            (cpu, set.count(), set.is_set(cpu as usize))
        });
        let (cpu, count, bound) = inside.join().unwrap();
        assert!(bound && count == 1);
        let wire = pinning.to_wire();
        assert!(wire.hot_thread_pinned && wire.hot_thread_cpu == i32::try_from(cpu).unwrap());
        assert_eq!(Pinning::read().unwrap().allowed_cpus(), pinning.allowed_cpus());
    }
}
