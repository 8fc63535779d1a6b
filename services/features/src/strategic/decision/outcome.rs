//! The emitted decision, and the way to it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::strategic::context::SharedContext;
use crate::strategic::degraded::Degraded;
use crate::strategic::matrix::{CheckedMatrix, feature_hash};
use crate::strategic::regime_label::RegimeLabel;
use crate::strategic::synergy::AcceptedEvent;
use crate::tactical::Synergy;
use tradewind_core::instrument::Symbol;
use tradewind_core::time::Nanos;

use super::StrategicNetwork;
use super::agent::Probabilities;
use super::agent_action::{AgentAction, agent_actions};
use super::config::DecisionConfig;
use super::ensemble::{Ensemble, combine};
use super::gate::{GateReason, Standing, gate};
use super::parameters::ModelParameters;
use super::reasoning::Reasoning;

/// Distribution of every fallback: neutral, confidence 0.5 (ST-73, SU-12).
const FALLBACK: Probabilities = Probabilities { bullish: 0.25, neutral: 0.5, bearish: 0.25 };

/// What a decision is about, its matrix aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    /// Unique name of the event (ST-127).
    pub event_id: &'a str,
    /// Symbol of the event.
    pub symbol: &'a Symbol,
    /// Number of the feed's bar with which the event came.
    pub index: u64,
    /// Close of that bar.
    pub detected_at: Nanos,
    /// Close of the newest row of the matrix (ST-11).
    pub bar_close_time: Nanos,
    /// The event.
    pub synergy: AcceptedEvent,
    /// Volatility ratio at that close, if known (ST-12).
    pub volatility: Option<f64>,
    /// Advisory label at that close (ST-48).
    pub regime_label: Option<RegimeLabel>,
}

/// Why a decision is a fallback (ST-73, SU-68); the text is the label of `strategic_fallback_total{cause}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackCause {
    /// Too few bars for a matrix (ST-18).
    WarmingUp,
    /// The synergy is weaker than `minSynergyConfidence` (SU-48).
    LowSynergyConfidence,
    /// More than 5 % of the matrix, or a whole column, is not finite (ST-15, SU-57).
    NonFiniteInput,
    /// The networks gave no answer.
    NetworkFailed,
    /// The networks answered with a value that is not finite.
    NetworkNotFinite,
    /// No verified checkpoint is loaded.
    ModelNotLoaded,
    /// The answer came too late (ST-122).
    DeadlineExceeded,
    /// Too many decisions at once (SU-65).
    Overloaded,
}

/// One strategic decision (ST-128, ST-129, SU-76); deterministic, so instants of the wall clock are not part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StrategicDecision {
    /// First 128 bits of SHA-256 over event and model, hexadecimal (ST-130).
    pub decision_id: String,
    /// The event that asked.
    pub event_id: String,
    /// The checkpoint that decided (SU-46).
    pub model_version: String,
    /// Symbol of the event.
    pub symbol: Symbol,
    /// Number of the feed's bar with which the event came.
    pub index: u64,
    /// Close of that bar.
    pub detected_at: Nanos,
    /// Close of the newest row of the matrix.
    pub bar_close_time: Nanos,
    /// Type, direction and confidence of the event.
    pub synergy: Synergy,
    /// Distribution of the ensemble.
    pub ensemble_probabilities: Probabilities,
    /// By agent id; empty for a fallback.
    pub individual_actions: Vec<AgentAction>,
    /// Largest probability of the ensemble.
    pub confidence: f64,
    /// Entropy of the ensemble over its largest value, 0 to 1.
    pub uncertainty: f64,
    /// +1, 0 or -1: what the ensemble prefers, whether or not it may be acted on.
    pub direction: i8,
    /// The confidence exceeds the threshold, other conditions aside (SU-53).
    pub threshold_passed: bool,
    /// May be acted on.
    pub should_proceed: bool,
    /// Every condition that failed.
    pub gate_reasons: Vec<GateReason>,
    /// The ensemble has the direction of the synergy (ST-72).
    pub aligned_with_synergy: bool,
    /// Who said what; absent for a fallback.
    pub reasoning: Option<Reasoning>,
    /// What had to be mended in the inputs.
    pub degraded: Degraded,
    /// Why this is a fallback; absent for a decision of the networks.
    pub fallback: Option<FallbackCause>,
    /// Advisory label of the market.
    pub regime_label: Option<RegimeLabel>,
    /// SHA-256 of the matrix that was decided on, hexadecimal; empty without one.
    pub feature_hash: String,
}

impl StrategicDecision {
    /// The context that this decision gives the tactical stage: none unless it proceeds (ST-1, TA-29, TA-34).
    ///
    /// Type and confidence are those of the synergy; the direction is the decision's own, so that a tactical trade
    /// against the decision is discounted (TA-26), not one that merely contradicts the event.
    #[must_use]
    pub fn tactical_context(&self) -> Option<Synergy> {
        self.should_proceed.then(|| Synergy { direction: self.direction, ..self.synergy.clone() })
    }
}

/// Decides an event (ST-69, ST-126). Every fault becomes a fallback that does not proceed (ST-73); `matrix` is `None`
/// while there are too few bars.
pub fn decide<N: StrategicNetwork + ?Sized>(
    request: &Request<'_>,
    matrix: Option<&CheckedMatrix>,
    network: &mut N,
    model: &ModelParameters,
    config: &DecisionConfig,
) -> StrategicDecision {
    let context = shared_context(request);
    let agents = ask(request, matrix, &context, network, model, config);
    conclude(request, matrix, context.degraded, agents, model, config)
}

/// A fallback for a cause that lies outside of the networks: no checkpoint, a missed deadline, too many at once.
#[must_use]
pub fn fall_back(
    request: &Request<'_>,
    matrix: Option<&CheckedMatrix>,
    cause: FallbackCause,
    model: &ModelParameters,
    config: &DecisionConfig,
) -> StrategicDecision {
    conclude(request, matrix, shared_context(request).degraded, Err(cause), model, config)
}

fn shared_context(request: &Request<'_>) -> SharedContext {
    SharedContext::new(Some((request.synergy.confidence, request.synergy.direction)), request.volatility, request.bar_close_time)
}

fn ask<N: StrategicNetwork + ?Sized>(
    request: &Request<'_>,
    matrix: Option<&CheckedMatrix>,
    context: &SharedContext,
    network: &mut N,
    model: &ModelParameters,
    config: &DecisionConfig,
) -> Result<[AgentAction; 3], FallbackCause> {
    let matrix = matrix.ok_or(FallbackCause::WarmingUp)?;
    let strong = request.synergy.confidence >= config.min_synergy_confidence;
    if !strong {
        return Err(FallbackCause::LowSynergyConfidence);
    }
    if !matrix.usable() {
        return Err(FallbackCause::NonFiniteInput);
    }
    let logits = network.logits(matrix.rows(), &context.values).map_err(|_| FallbackCause::NetworkFailed)?;
    agent_actions(&logits, context.volatility, model).ok_or(FallbackCause::NetworkNotFinite)
}

fn conclude(
    request: &Request<'_>,
    matrix: Option<&CheckedMatrix>,
    context_degraded: Degraded,
    agents: Result<[AgentAction; 3], FallbackCause>,
    model: &ModelParameters,
    config: &DecisionConfig,
) -> StrategicDecision {
    let AcceptedEvent { synergy_type, direction: synergy_direction, confidence: synergy_confidence } = request.synergy;
    let weights = model.ensemble.floored(config.weight_floor);
    let ensemble = agents.map_or(Ensemble::of(FALLBACK), |agents| combine(&agents.map(|agent| agent.probabilities), &weights));
    let degraded = matrix.map_or(context_degraded, |matrix| matrix.degraded().and(context_degraded));
    let fallback = agents.err();
    let standing = Standing {
        synergy_direction,
        degraded: degraded.any(),
        model_ready: !matches!(
            fallback,
            Some(
                FallbackCause::WarmingUp
                    | FallbackCause::NetworkFailed
                    | FallbackCause::NetworkNotFinite
                    | FallbackCause::ModelNotLoaded
            )
        ),
        in_time: !matches!(fallback, Some(FallbackCause::DeadlineExceeded | FallbackCause::Overloaded)),
        matrix_age: request.detected_at.since(request.bar_close_time),
    };
    let gate_reasons = gate(&ensemble, &standing, config);
    let direction = ensemble.probabilities.action().direction();
    StrategicDecision {
        decision_id: decision_id(request.event_id, &model.version),
        event_id: request.event_id.to_owned(),
        model_version: model.version.clone(),
        symbol: request.symbol.clone(),
        index: request.index,
        detected_at: request.detected_at,
        bar_close_time: request.bar_close_time,
        synergy: Synergy::from(&request.synergy),
        ensemble_probabilities: ensemble.probabilities,
        individual_actions: agents.map_or_else(|_| Vec::new(), Vec::from),
        confidence: ensemble.confidence,
        uncertainty: ensemble.uncertainty,
        direction,
        threshold_passed: !gate_reasons.contains(&GateReason::LowConfidence),
        should_proceed: gate_reasons.is_empty() && fallback.is_none(),
        gate_reasons,
        aligned_with_synergy: direction == synergy_direction,
        reasoning: agents.ok().map(|agents| Reasoning::new(synergy_type, synergy_confidence, &agents, config)),
        degraded,
        fallback,
        regime_label: request.regime_label,
        feature_hash: matrix.map_or_else(String::new, |matrix| hex::encode(feature_hash(matrix.rows()))),
    }
}

/// ST-130
fn decision_id(event_id: &str, model_version: &str) -> String {
    let mut hash = Sha256::new();
    // The length comes first, so that no other pair of texts gives the same bytes.
    hash.update((event_id.len() as u64).to_le_bytes());
    hash.update(event_id);
    hash.update(model_version);
    hex::encode(&hash.finalize()[..16])
}
