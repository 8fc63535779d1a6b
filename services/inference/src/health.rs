//! How well a deciding process does, by figures that people set alerts on (TA-58, TA-59).

/// From good to bad; the number is that of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should be.
    Healthy = 0,
    /// Someone should look at it.
    Degraded = 1,
    /// Decisions cannot be relied on.
    Critical = 2,
}

impl Health {
    /// That of the whole: as bad as its worst part; healthy without parts (TA-58).
    pub fn of(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().max().unwrap_or(Self::Healthy)
    }
}

/// A figure that is judged.
///
/// The process itself measures the last two; the first three are known to what runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Share of the CPUs in use, percent.
    CpuPct,
    /// Share of the memory in use, percent.
    MemoryPct,
    /// Share of the disk in use, percent.
    DiskPct,
    /// 95th percentile of the newest decisions, milliseconds; 0 without any.
    TotalP95Ms,
    /// Time since the newest decision, seconds.
    SinceDecisionSeconds,
}

impl Measure {
    /// Healthy below the first, degraded below the second (TA-59).
    const fn limits(self) -> [f64; 2] {
        match self {
            Self::CpuPct => [80.0, 95.0],
            Self::MemoryPct | Self::DiskPct => [85.0, 95.0],
            Self::TotalP95Ms => [100.0, 200.0],
            Self::SinceDecisionSeconds => [300.0, 3_600.0],
        }
    }

    /// Judges a value; what is no number is critical.
    #[must_use]
    pub fn judge(self, value: f64) -> Health {
        let [healthy, degraded] = self.limits();
        match value {
            value if value < healthy => Health::Healthy,
            value if value < degraded => Health::Degraded,
            _ => Health::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TA-V19: one degraded part degrades the whole, whatever the others are.
    #[test]
    fn ta_v19_health() {
        use Measure::{CpuPct, DiskPct, MemoryPct, SinceDecisionSeconds, TotalP95Ms};
        let of = |parts: &[(Measure, f64)]| Health::of(parts.iter().map(|(measure, value)| measure.judge(*value)));
        assert_eq!(of(&[(CpuPct, 60.0), (MemoryPct, 90.0), (DiskPct, 50.0)]), Health::Degraded);
        assert_eq!(of(&[(TotalP95Ms, 150.0), (SinceDecisionSeconds, 100.0)]), Health::Degraded);
        assert_eq!(of(&[(TotalP95Ms, 200.0)]), Health::Critical);
        assert_eq!(of(&[(SinceDecisionSeconds, 3_600.0)]), Health::Critical);
        assert_eq!(of(&[(CpuPct, 79.9), (TotalP95Ms, 0.0)]), Health::Healthy);
        assert_eq!((of(&[(CpuPct, f64::NAN)]), of(&[])), (Health::Critical, Health::Healthy));
    }
}
