//! Certificates that change while a process runs: the files are looked at every few seconds, long before they end.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use opentelemetry::metrics::{Counter, Gauge};
use tokio_util::sync::CancellationToken;

use crate::probes::Readiness;
use crate::telemetry::Metrics;
use crate::tls::TlsMaterial;

/// Shortest time between two looks; the kubelet needs up to two minutes to bring a changed Secret.
const PERIOD: Duration = Duration::from_secs(10);
/// With less than this left the process says that it is not ready: somebody has to see why nothing renews it.
const ALARM: Duration = Duration::from_secs(24 * 3600);
/// Key in [`Readiness`].
const SUBJECT: &str = "certificate";

/// How the certificates of a process are looked after.
#[derive(Clone, Debug)]
pub struct Renewal {
    period: Duration,
    told: Option<(Readiness, Metrics)>,
}

impl Default for Renewal {
    fn default() -> Self {
        Self { period: PERIOD, told: None }
    }
}

impl Renewal {
    /// Says in `/readyz` when a certificate is about to end, and in `/metrics` how long it still lasts.
    #[must_use]
    pub fn told(readiness: &Readiness, metrics: &Metrics) -> Self {
        Self { told: Some((readiness.clone(), metrics.clone())), ..Self::default() }
    }

    /// Looks this often instead of every 10 s.
    #[must_use]
    pub const fn every(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Time between two looks of one process: up to half as long again, by its name, so that a change that concerns
    /// all processes does not make all of them connect at once.
    fn pause(&self, name: &str) -> Duration {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let permille = u32::try_from(hasher.finish() % 500).unwrap_or(0);
        self.period + self.period * permille / 1000
    }

    /// Looks until `stop`.
    pub(crate) async fn run(self, material: TlsMaterial, stop: CancellationToken) {
        let pause = self.pause(&material.identity().to_string());
        let mut seen = Seen::new(&self, &material);
        seen.note(&material, Ok(false), SystemTime::now());
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            let now = SystemTime::now();
            let outcome = material.refresh(now).map_err(|error| error.to_string());
            seen.note(&material, outcome, now);
        }
    }
}

struct Instruments {
    remaining: Gauge<f64>,
    renewals: Counter<u64>,
    failures: Counter<u64>,
}

/// What was seen so far: a fault is told once.
struct Seen {
    readiness: Option<Readiness>,
    instruments: Option<Instruments>,
    fault: Option<String>,
}

impl Seen {
    fn new(renewal: &Renewal, material: &TlsMaterial) -> Self {
        let process = material.identity().process().as_str();
        let instruments = renewal.told.as_ref().map(|(_, metrics)| {
            let (meter, name) = (metrics.meter(process), |what: &str| format!("tradewind_{process}_certificate_{what}"));
            Instruments {
                remaining: meter.f64_gauge(name("remaining_days")).build(),
                renewals: meter.u64_counter(name("renewals_total")).build(),
                failures: meter.u64_counter(name("failures_total")).build(),
            }
        });
        Self { readiness: renewal.told.as_ref().map(|(readiness, _)| readiness.clone()), instruments, fault: None }
    }

    fn note(&mut self, material: &TlsMaterial, outcome: Result<bool, String>, now: SystemTime) {
        let remaining = material.remaining(now).unwrap_or_default();
        if let Some(instruments) = &self.instruments {
            instruments.remaining.record(remaining.as_secs_f64() / 86_400.0, &[]);
            instruments.renewals.add(u64::from(outcome == Ok(true)), &[]);
            instruments.failures.add(u64::from(outcome.is_err()), &[]);
        }
        match outcome {
            Ok(taken) => {
                if taken {
                    tracing::info!(remaining_s = remaining.as_secs(), "new certificates: the next connections use them");
                }
                self.fault = None;
            }
            Err(fault) if self.fault.as_ref() != Some(&fault) => {
                tracing::warn!(fault, remaining_s = remaining.as_secs(), "the certificates stay as they are");
                self.fault = Some(fault);
            }
            Err(_) => {}
        }
        let Some(readiness) = &self.readiness else { return };
        if remaining > ALARM {
            readiness.release(SUBJECT);
        } else {
            let hours = remaining.as_secs() / 3600;
            let why = self.fault.as_deref().unwrap_or("its files have not changed, see the operator's log");
            readiness.hold(SUBJECT, format!("ends in {hours} h and was not renewed: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::tls::Pem;
    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    fn material() -> TlsMaterial {
        let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::new(vec!["localhost".into()]).unwrap());
        params.not_after = date_time_ymd(2100, 1, 1);
        params.subject_alt_names.push(SanType::URI("spiffe://tradewind/trading/risk/main".try_into().unwrap()));
        let certificate = params.self_signed(&key).unwrap().pem();
        let pem = Pem { ca: certificate.clone(), certificate, key: key.serialize_pem() };
        TlsMaterial::from_pem(pem, SystemTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_fault_is_counted_and_a_certificate_about_to_end_is_not_ready() {
        let (material, readiness, metrics) = (material(), Readiness::new(), Metrics::new().unwrap());
        let mut seen = Seen::new(&Renewal::told(&readiness, &metrics), &material);
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
        seen.note(&material, Ok(true), end - Duration::from_secs(20 * 86_400));
        seen.note(&material, Err("tls.key is missing".into()), end - Duration::from_secs(10 * 86_400));
        assert_eq!(readiness.not_ready_reason(), None, "the former certificate lasts");
        let text = metrics.render().unwrap();
        for line in ["certificate_remaining_days 10", "certificate_renewals_total 1", "certificate_failures_total 1"] {
            assert!(text.contains(&format!("tradewind_risk_{line}")), "'{line}' is missing in\n{text}");
        }
        seen.note(&material, Err("tls.key is missing".into()), end - Duration::from_secs(3 * 3600));
        let reason = readiness.not_ready_reason().unwrap();
        assert!(reason.contains("ends in 3 h") && reason.contains("tls.key is missing"), "{reason}");
        seen.note(&material, Ok(true), end - Duration::from_secs(20 * 86_400));
        assert_eq!(readiness.not_ready_reason(), None);
    }

    #[test]
    fn processes_look_at_different_times_but_often_enough() {
        let renewal = Renewal::default();
        let pauses: std::collections::BTreeSet<_> = (0..20).map(|n| renewal.pause(&format!("process {n}"))).collect();
        assert!(pauses.len() > 10, "{pauses:?}");
        assert!(pauses.iter().all(|pause| (PERIOD..PERIOD * 3 / 2).contains(pause)), "{pauses:?}");
    }
}
