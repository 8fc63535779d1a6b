//! Questions to running processes, asked in the background. A reconcile reads the newest answers; it is woken only when an answer
//! says something new, so idle processes cause no reconciles.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tonic::transport::Channel;
use tradewind_wire::client::{Expected, channel_to, within};
use tradewind_wire::identity::Process;
use tradewind_wire::tls::Security;
use tradewind_wire::v1::policy_engine_client::PolicyEngineClient;
use tradewind_wire::v1::process_client::ProcessClient;
use tradewind_wire::v1::risk_client::RiskClient;
use tradewind_wire::v1::{DescribeRequest, PolicyStatus, PolicyStatusRequest, ProcessInfo, RiskStatus, RiskStatusRequest};

use super::metrics::Metrics;

const DEADLINE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(250);
/// A single lost answer is no news.
const MISSES: u32 = 3;
/// Refused orders are counted in status at most this often.
const DENIALS_EVERY: Duration = Duration::from_secs(60);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// `Process.Describe`.
    Describe,
    /// `PolicyEngine.Status`.
    Policy,
    /// `Risk.Status`.
    Risk,
}

impl Asked {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Policy => "policy",
            Self::Risk => "risk",
        }
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub asked: Asked,
    /// `host:port`.
    pub endpoint: String,
    /// Time between two questions.
    pub every: Duration,
    /// Wake the owner for every difference, not only for those that its status shows.
    pub eager: bool,
}

/// What a process said.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Of [`Asked::Describe`].
    Describe(ProcessInfo),
    /// Of [`Asked::Policy`].
    Policy(Box<PolicyStatus>),
    /// Of [`Asked::Risk`].
    Risk(Box<RiskStatus>),
}

/// The newest of one question.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Nothing yet.
    Nothing,
    /// The newest answer; `misses` questions since were not answered.
    Answer {
        /// What was said.
        answer: Answer,
        /// Questions since then without an answer.
        misses: u32,
    },
    /// Never answered so far.
    Silent {
        /// Questions.
        misses: u32,
        /// Newest error.
        error: String,
    },
}

impl Heard {
    /// The answer, unless the process has been silent for three questions.
    #[must_use]
    pub fn current(&self) -> Option<&Answer> {
        match self {
            Self::Answer { answer, misses } if *misses < MISSES => Some(answer),
            _ => None,
        }
    }

    /// Whether it is too early to call the process silent: it was not asked yet, or only once or twice. Status keeps what it
    /// says until this is decided, so that an operator that starts does not write down its own ignorance.
    #[must_use]
    pub fn undecided(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Silent { misses, .. } => *misses < MISSES,
            Self::Answer { .. } => false,
        }
    }
}

/// Whose questions these are: kind, namespace, name.
pub type OwnerKey = (&'static str, String, String);

struct Target {
    question: Question,
    heard: Heard,
    due: Instant,
    under_way: bool,
    denials_at: Option<Instant>,
}

type Targets = BTreeMap<OwnerKey, BTreeMap<(Asked, String), Target>>;
/// Asks one question; replaced in tests.
pub type Dialer = Arc<dyn Fn(Question) -> futures::future::BoxFuture<'static, Result<Answer, String>> + Send + Sync>;

/// Handle on the questions. Clones share.
#[derive(Clone)]
pub struct Polls {
    targets: Arc<Mutex<Targets>>,
    dialer: Dialer,
    metrics: Metrics,
}

impl fmt::Debug for Polls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Polls of {} owners", self.lock().len())
    }
}

impl Polls {
    /// Questions asked through `dialer`.
    #[must_use]
    pub fn new(dialer: Dialer, metrics: Metrics) -> Self {
        Self { targets: Arc::default(), dialer, metrics }
    }

    /// Replaces the questions of an owner; answers to questions that stay are kept.
    pub fn ask(&self, owner: &OwnerKey, questions: Vec<Question>) {
        let mut targets = self.lock();
        let mut before = targets.remove(owner).unwrap_or_default();
        let mut now_asked = BTreeMap::new();
        for question in questions {
            let key = (question.asked, question.endpoint.clone());
            let target = match before.remove(&key) {
                Some(mut target) => {
                    target.due = target.due.min(Instant::now() + question.every);
                    target.question = question;
                    target
                }
                None => Target { question, heard: Heard::Nothing, due: Instant::now(), under_way: false, denials_at: None },
            };
            now_asked.insert(key, target);
        }
        if !now_asked.is_empty() {
            targets.insert(owner.clone(), now_asked);
        }
    }

    /// The newest answer to a question.
    #[must_use]
    pub fn heard(&self, owner: &OwnerKey, asked: Asked, endpoint: &str) -> Heard {
        let targets = self.lock();
        let target = targets.get(owner).and_then(|all| all.get(&(asked, endpoint.to_owned())));
        target.map_or(Heard::Nothing, |target| target.heard.clone())
    }

    /// Asks for ever; `news` hears of owners whose answers say something new.
    pub async fn run(self, news: impl Fn(&OwnerKey)) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    for (owner, question) in self.due() {
                        let answer = (self.dialer)(question.clone());
                        under_way.push(async move { (owner, question, answer.await) });
                    }
                }
                Some((owner, question, answer)) = under_way.next() => {
                    self.metrics.poll(question.asked.as_str(), if answer.is_ok() { "answered" } else { "silent" });
                    if self.note(&owner, &question, answer) {
                        news(&owner);
                    }
                }
            }
        }
    }

    /// All questions, for tests that answer them.
    #[cfg(test)]
    pub(crate) fn questions(&self) -> Vec<(OwnerKey, Question)> {
        let targets = self.lock();
        targets.iter().flat_map(|(owner, all)| all.values().map(|target| (owner.clone(), target.question.clone()))).collect()
    }

    fn due(&self) -> Vec<(OwnerKey, Question)> {
        let now = Instant::now();
        let mut found = Vec::new();
        for (owner, all) in self.lock().iter_mut() {
            for target in all.values_mut().filter(|target| target.due <= now && !target.under_way) {
                target.under_way = true;
                found.push((owner.clone(), target.question.clone()));
            }
        }
        found
    }

    /// Keeps the outcome; whether it is news.
    pub(crate) fn note(&self, owner: &OwnerKey, question: &Question, outcome: Result<Answer, String>) -> bool {
        let mut targets = self.lock();
        let key = (question.asked, question.endpoint.clone());
        let Some(target) = targets.get_mut(owner).and_then(|all| all.get_mut(&key)) else { return false };
        target.under_way = false;
        target.due = Instant::now() + target.question.every;
        let before = target.heard.clone();
        let outcome = outcome.map(|answer| target.slow_denials(answer));
        target.heard = match (outcome, before.clone()) {
            (Ok(answer), _) => Heard::Answer { answer, misses: 0 },
            (Err(_), Heard::Answer { answer, misses }) => Heard::Answer { answer, misses: misses.saturating_add(1) },
            (Err(error), Heard::Silent { misses, .. }) => Heard::Silent { misses: misses.saturating_add(1), error },
            (Err(error), Heard::Nothing) => Heard::Silent { misses: 1, error },
        };
        let decided = before.undecided() != target.heard.undecided();
        let differs =
            if target.question.eager { before.current() != target.heard.current() } else { gist(&before) != gist(&target.heard) };
        decided || differs
    }

    fn lock(&self) -> MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// Holds the sample and count of refused orders for a minute: they move with every order.
    fn slow_denials(&mut self, answer: Answer) -> Answer {
        let Answer::Risk(mut status) = answer else { return answer };
        let known = match &self.heard {
            Heard::Answer { answer: Answer::Risk(known), .. } => Some(known),
            _ => None,
        };
        let fresh = self.denials_at.is_some_and(|at| at.elapsed() < DENIALS_EVERY);
        match known {
            Some(known) if fresh => {
                status.denials_total = known.denials_total;
                status.recent_denials.clone_from(&known.recent_denials);
            }
            _ => {
                if known.is_none_or(|known| known.denials_total != status.denials_total) {
                    self.denials_at = Some(Instant::now());
                }
            }
        }
        Answer::Risk(status)
    }
}

/// What is told of a count from ten on: one that moves with each message would be a write with each message.
#[must_use]
pub fn magnitude(count: u64) -> Option<u64> {
    (count >= 10).then(|| 10_u64.pow(count.ilog10()))
}

/// The part of an answer that a status shows. Counters that move with every bar are left out.
fn gist(heard: &Heard) -> Option<Answer> {
    heard.current().map(|answer| match answer {
        Answer::Describe(info) => Answer::Describe(info.clone()),
        Answer::Policy(status) => Answer::Policy(Box::new(PolicyStatus {
            halted: status.halted,
            observed_generation: status.observed_generation,
            stable_bundle: status.stable_bundle.clone(),
            candidate_bundle: status.candidate_bundle.clone(),
            step: status.step,
            weight_bps: status.weight_bps,
            bars_decided: status.bars_decided.min(1),
            feed_fault: status.feed_fault.clone(),
            silent_symbols: status.silent_symbols.clone(),
            feed_silent_since_ns: status.feed_silent_since_ns,
            waiting_for: if status.bars_decided == 0 { status.waiting_for.clone() } else { String::new() },
            ..PolicyStatus::default()
        })),
        Answer::Risk(status) => {
            let mut status = status.clone();
            for feed in &mut status.feeds {
                (feed.newest_sequence, feed.arrived_at_ns) = (feed.newest_sequence.min(1), 0);
                if let Some(magnitude) = magnitude(feed.refused_total) {
                    feed.refused_total = magnitude;
                    feed.last_refused.clear();
                }
            }
            Answer::Risk(status)
        }
    })
}

/// Dials with the operator's own certificate, the newest one at each connection. Channels are kept and connect again by
/// themselves.
#[must_use]
pub fn grpc_dialer(security: Security) -> Dialer {
    let channels: Arc<Mutex<BTreeMap<(Asked, String), Channel>>> = Arc::default();
    Arc::new(move |question| {
        let (security, channels) = (security.clone(), Arc::clone(&channels));
        Box::pin(async move {
            let key = (question.asked, question.endpoint);
            let known = channels.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            let channel = match known {
                Some(channel) => channel,
                None => channel_to(&key.1, &security, key.0.answered_by()).map_err(|error| error.to_string())?,
            };
            let answer = question.asked.put_to(channel.clone()).await;
            let mut channels = channels.lock().unwrap_or_else(PoisonError::into_inner);
            match &answer {
                Ok(_) => drop(channels.insert(key, channel)),
                // a Service that was made again has another address
                Err(_) => drop(channels.remove(&key)),
            }
            answer
        })
    })
}

impl Asked {
    /// Every process describes itself; the other questions have one kind of answerer.
    const fn answered_by(self) -> Expected {
        match self {
            Self::Describe => Expected::AnyProcess,
            Self::Policy => Expected::Process(Process::Policy),
            Self::Risk => Expected::Process(Process::Risk),
        }
    }

    async fn put_to(self, channel: Channel) -> Result<Answer, String> {
        let answer = match self {
            Self::Describe => {
                let mut client = ProcessClient::new(channel);
                within(DEADLINE, client.describe(DescribeRequest {})).await.map(Answer::Describe)
            }
            Self::Policy => {
                let mut client = PolicyEngineClient::new(channel);
                within(DEADLINE, client.status(PolicyStatusRequest {})).await.map(|status| Answer::Policy(Box::new(status)))
            }
            Self::Risk => {
                let mut client = RiskClient::new(channel);
                within(DEADLINE, client.status(RiskStatusRequest {})).await.map(|status| Answer::Risk(Box::new(status)))
            }
        };
        answer.map_err(|status| format!("{:?}: {}", status.code(), status.message()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_wire::v1::GateFeed;

    fn polls() -> Polls {
        Polls::new(Arc::new(|_| Box::pin(async { Err("unused".to_owned()) })), Metrics::global())
    }

    fn question(eager: bool) -> Question {
        Question { asked: Asked::Risk, endpoint: "main-risk.trading.svc:9000".into(), every: Duration::from_secs(5), eager }
    }

    fn owner() -> OwnerKey {
        ("RiskProfile", "trading".into(), "main".into())
    }

    fn state(state: &str, denials: u64) -> Result<Answer, String> {
        Ok(Answer::Risk(Box::new(RiskStatus { state: state.into(), denials_total: denials, ..RiskStatus::default() })))
    }

    #[test]
    fn only_what_a_status_shows_is_news() {
        let (polls, question) = (polls(), question(false));
        polls.ask(&owner(), vec![question.clone()]);
        assert!(polls.note(&owner(), &question, state("Normal", 1)));
        assert!(!polls.note(&owner(), &question, state("Normal", 2)), "a counter is no news within a minute");
        assert!(polls.note(&owner(), &question, state("Halted", 2)));
        let lost = || Err("gone".to_owned());
        assert!(!polls.note(&owner(), &question, lost()) && !polls.note(&owner(), &question, lost()), "two lost answers");
        assert!(polls.note(&owner(), &question, lost()), "the third makes it unreachable");
        assert!(!polls.note(&owner(), &question, lost()));
        assert!(polls.note(&owner(), &question, state("Halted", 2)));
    }

    /// A pass for each bar of each feed, and nothing to write in any of them.
    #[test]
    fn the_progress_of_a_feed_is_no_news_and_its_first_bar_is() {
        let (polls, question) = (polls(), question(false));
        polls.ask(&owner(), vec![question.clone()]);
        let note = |newest_sequence, refused_total, overdue: &str| {
            let (name, last_refused) = ("default".to_owned(), format!("message {refused_total}"));
            let feed = GateFeed {
                name,
                newest_sequence,
                refused_total,
                arrived_at_ns: 7,
                last_refused,
                overdue: overdue.to_owned(),
                ..GateFeed::default()
            };
            polls.note(&owner(), &question, Ok(Answer::Risk(Box::new(RiskStatus { feeds: vec![feed], ..RiskStatus::default() }))))
        };
        assert!(note(0, 0, "") && note(1, 0, ""), "the first bar");
        assert!(!note(2, 0, "") && !note(900, 0, ""));
        assert!(note(901, 1, "") && note(902, 2, ""), "each of a few that were left out");
        assert!(note(903, 10, "") && !note(904, 99, "") && note(905, 100, ""), "then only how many there are");
        assert!(note(906, 100, "SPX since noon"));
    }

    #[test]
    fn an_eager_question_tells_everything_and_answers_survive_a_new_list() {
        let polls = polls();
        let question = Question { asked: Asked::Policy, eager: true, ..question(true) };
        let bars = |bars_decided| Ok(Answer::Policy(Box::new(PolicyStatus { bars_decided, ..PolicyStatus::default() })));
        polls.ask(&owner(), vec![question.clone()]);
        assert!(polls.note(&owner(), &question, bars(1)));
        assert!(polls.note(&owner(), &question, bars(2)));
        let calm = Question { every: Duration::from_secs(1), eager: false, ..question.clone() };
        polls.ask(&owner(), vec![calm.clone()]);
        assert!(polls.heard(&owner(), Asked::Policy, &question.endpoint).current().is_some());
        assert!(!polls.note(&owner(), &calm, bars(3)));
        polls.ask(&owner(), Vec::new());
        assert_eq!(polls.heard(&owner(), Asked::Policy, &question.endpoint), Heard::Nothing);
    }

    #[test]
    fn silence_is_told_once_it_is_certain() {
        let (polls, question) = (polls(), question(false));
        polls.ask(&owner(), vec![question.clone()]);
        let lost = || polls.note(&owner(), &question, Err("refused".to_owned()));
        assert_eq!([lost(), lost(), lost(), lost()], [false, false, true, false]);
        assert!(!polls.heard(&owner(), Asked::Risk, &question.endpoint).undecided());
    }

    #[test]
    fn a_question_under_way_is_not_asked_twice() {
        let (polls, question) = (polls(), question(false));
        polls.ask(&owner(), vec![question]);
        assert_eq!(polls.due().len(), 1);
        assert_eq!(polls.due().len(), 0);
    }
}
