//! Whose video is wanted, where the stream carries one chosen participant's.
//!
//! Zoom knows one choice; a new one replaces the last. The session holds what was granted, and what was asked and not
//! answered yet; after every reconnection it asks again, and Zoom's "already chosen" counts as yes. What Zoom refuses
//! leaves the choice before it in force. Answers carry no id: they come in the order of the questions.

use std::collections::VecDeque;

use super::Session;
use super::io::Notice;
use crate::codes::StatusCode;
use crate::message::{ClientMessage, StatusAnswer};
use crate::time::UnixMillis;

/// Most questions that may be without an answer; beyond, the oldest is taken to be forgotten.
const UNANSWERED: usize = 16;

/// One question.
#[derive(Debug, Clone)]
struct Asked {
    user_id: String,
    subscribe: bool,
    timestamp: UnixMillis,
}

/// What was chosen, and what is being asked.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// In force, or to be asked for as soon as that is possible.
    chosen: Option<Asked>,
    unanswered: VecDeque<Asked>,
}

impl Choice {
    /// What is wanted, whether it was answered or not. The questions of an old connection are never answered.
    fn take_up(&mut self) -> Option<Asked> {
        if let Some(last) = self.unanswered.pop_back() {
            self.chosen = Some(last).filter(|asked| asked.subscribe);
        }
        self.unanswered.clear();
        self.chosen.clone()
    }
}

impl Session {
    pub(super) fn choose_video(&mut self, user_id: String, subscribe: bool, timestamp: UnixMillis) {
        let asked = Asked { user_id, subscribe, timestamp };
        if self.signaling.is_ready() && self.media.iter().any(|media| media.announced) {
            self.ask_for_video(asked);
        } else {
            // Before media flows there is nothing to choose from.
            self.choice.take_up();
            self.choice.chosen = Some(asked).filter(|asked| asked.subscribe);
        }
    }

    /// Asks again for what was chosen: a new connection knows of nothing.
    pub(super) fn choose_video_again(&mut self) {
        if let Some(asked) = self.choice.take_up() {
            self.ask_for_video(asked);
        }
    }

    fn ask_for_video(&mut self, asked: Asked) {
        let Some(socket) = self.signaling.socket() else { return };
        let Asked { user_id, subscribe, timestamp } = asked.clone();
        self.send(socket, &ClientMessage::VideoSubscription { user_id, subscribe, timestamp });
        if self.choice.unanswered.len() == UNANSWERED {
            self.choice.unanswered.pop_front();
        }
        self.choice.unanswered.push_back(asked);
    }

    pub(super) fn on_video_answer(&mut self, answer: StatusAnswer) {
        let Some(asked) = self.choice.unanswered.pop_front() else { return };
        let StatusAnswer { status_code: status, reason } = answer;
        let is_chosen = |chosen: &Asked| chosen.user_id == asked.user_id;
        match (status, asked.subscribe) {
            (StatusCode::Ok | StatusCode::DuplicateVideoSubscription, true) => {
                self.choice.chosen = Some(asked.clone());
            }
            // Refused, when it was asked for again: whoever it was is not there any more.
            (_, true) | (StatusCode::Ok, false) => {
                self.choice.chosen = self.choice.chosen.take().filter(|c| !is_chosen(c));
            }
            (_, false) => {}
        }
        let Asked { user_id, subscribe, .. } = asked;
        self.notice(Notice::VideoChoice { user_id, subscribe, status, reason });
    }
}
