//! What becomes of messages between a trader and the gate.

use std::collections::VecDeque;

use tradewind_wire::v1;

/// What becomes of one question and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Both arrive.
    Arrives,
    /// The question is lost.
    QuestionLost,
    /// The question arrives, the answer is lost.
    AnswerLost,
    /// The question arrives twice; the second answer counts.
    Twice,
    /// A question of before, of whoever asked it, arrives once more ahead of this one.
    AfterAnOldOne(u8),
}

/// A question that may arrive again.
#[derive(Clone, Debug)]
pub enum Question {
    /// Takes the orders of a policy.
    Acquire(v1::AcquireRequest),
    /// Hands orders over.
    Place(v1::PlaceRequest),
    /// Takes orders back.
    Cancel(v1::CancelRequest),
    /// Meets a bar.
    Meet(v1::MeetRequest),
    /// Reads events.
    Events(v1::EventsRequest),
}

/// Fates to come, and questions of before.
#[derive(Debug, Default)]
pub struct Weather {
    coming: VecDeque<Fate>,
    asked: Vec<Question>,
}

impl Weather {
    /// The next question meets this.
    pub fn brew(&mut self, fate: Fate) {
        self.coming.push_back(fate);
    }

    /// From here on everything arrives.
    pub fn clear(&mut self) {
        self.coming.clear();
    }

    /// The fate of a question, and the old one that arrives ahead of it.
    pub fn take(&mut self, question: Question) -> (Fate, Option<Question>) {
        let fate = self.coming.pop_front().unwrap_or(Fate::Arrives);
        let old = match fate {
            Fate::AfterAnOldOne(back) => self.asked.iter().rev().nth(usize::from(back)).cloned(),
            _ => None,
        };
        self.asked.push(question);
        (fate, old)
    }
}
