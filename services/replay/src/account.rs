//! All policies of an account over one recording, in the order in which the gate of the cluster lets them meet it.

use tradewind_inference::Networks;
use tradewind_journal::Log;
use tradewind_wire::v1;

use crate::gate::LocalRisk;
use crate::pipeline::{Pipeline, PipelineError, PolicyJournals};
use crate::setup::{Setup, SetupError, account_of};

/// Why an account cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The policies cannot share it.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// An engine.
    #[error("policy '{policy}': {source}")]
    Policy {
        /// Whose.
        policy: String,
        /// What it says.
        source: Box<PipelineError>,
    },
}

/// One policy of the account, before it is opened.
pub struct Member {
    /// Its configuration.
    pub setup: Setup,
    /// Its networks.
    pub networks: Networks,
    /// Its journals.
    pub journals: PolicyJournals,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("policy", &self.setup.trading.policy).finish_non_exhaustive()
    }
}

/// The policies of an account and its gate.
#[derive(Debug)]
pub struct Account {
    pipelines: Vec<(String, Pipeline)>,
}

impl Account {
    /// Opens the gate and every policy. They stand in the order of their names.
    ///
    /// # Errors
    /// [`AccountError::Setup`] when they have different accounts or one instrument twice.
    pub fn open(mut members: Vec<Member>, risk: Box<dyn Log<tradewind_risk::Record>>) -> Result<Self, AccountError> {
        members.sort_by(|one, other| one.setup.trading.policy.cmp(&other.setup.trading.policy));
        let setups: Vec<&Setup> = members.iter().map(|member| &member.setup).collect();
        let account = account_of(&setups)?;
        let failed = |policy: &str| {
            let policy = policy.to_owned();
            move |source| AccountError::Policy { policy, source: Box::new(source) }
        };
        let Some(first) = members.first() else { return Ok(Self { pipelines: Vec::new() }) };
        let name = first.setup.trading.policy.clone();
        let gate = LocalRisk::open(&first.setup, &account, risk).map_err(|error| failed(&name)(PipelineError::from(error)))?;
        let open = |member: Member| {
            let policy = member.setup.trading.policy.clone();
            let pipeline = Pipeline::join(&member.setup, member.networks, member.journals, gate.clone());
            Ok((policy.clone(), pipeline.map_err(failed(&policy))?))
        };
        Ok(Self { pipelines: members.into_iter().map(open).collect::<Result<_, AccountError>>()? })
    }

    /// Lets every policy begin behind a past that is known and not decided ([`Pipeline::begin_behind`]).
    ///
    /// # Errors
    /// [`AccountError::Policy`].
    pub fn begin_behind(&mut self, past: &[v1::Bar]) -> Result<(), AccountError> {
        self.pipelines.iter_mut().try_for_each(|(policy, pipeline)| {
            let begun = pipeline.begin_behind(past);
            begun.map_err(|source| AccountError::Policy { policy: policy.clone(), source: Box::new(source) })
        })
    }

    /// Takes the bar at this place of the stream: the policy whose instrument it is decides, the others pass it by.
    ///
    /// # Errors
    /// [`AccountError::Policy`]; open the account again on its journals and give the same bar.
    pub fn take(&mut self, sequence: u64, message: &v1::Bar) -> Result<(), AccountError> {
        self.pipelines.iter_mut().try_for_each(|(policy, pipeline)| {
            let taken = pipeline.take(sequence, message).map(drop);
            taken.map_err(|source| AccountError::Policy { policy: policy.clone(), source: Box::new(source) })
        })
    }

    /// The policies by name.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &Pipeline)> {
        self.pipelines.iter().map(|(policy, pipeline)| (policy.as_str(), pipeline))
    }

    /// The policies by name, to be changed.
    pub fn policies_mut(&mut self) -> impl Iterator<Item = (&str, &mut Pipeline)> {
        self.pipelines.iter_mut().map(|(policy, pipeline)| (policy.as_str(), pipeline))
    }
}
