//! Parameters of what comes as text: transcript and chat.

use serde::{Deserialize, Serialize};

use super::ParamsError;
use crate::codes::StatusCode;
use crate::language::Language;

/// `content_type` of transcript and chat.
const CONTENT_TEXT: i64 = 5;

/// Transcript parameters of a media handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscriptParams {
    #[serde(default = "text_content")]
    content_type: i64,
    /// The language spoken; `None` lets Zoom find out.
    #[serde(rename = "src_language", default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Whether Zoom identifies the language by itself.
    #[serde(default = "yes")]
    pub enable_lid: bool,
}

const fn text_content() -> i64 {
    CONTENT_TEXT
}
const fn yes() -> bool {
    true
}

impl TranscriptParams {
    /// A fixed language turns Zoom's own identification off; `None` turns it on.
    #[must_use]
    pub const fn new(language: Option<Language>) -> Self {
        Self { content_type: CONTENT_TEXT, language, enable_lid: language.is_none() }
    }

    /// Checks that it is text in a language that Zoom lists.
    ///
    /// # Errors
    /// Names what is wrong and Zoom's status code for it.
    pub fn validate(&self) -> Result<(), ParamsError> {
        let refuse = |status, message: String| {
            Err(ParamsError { status, message, nearest: "text in English (9)".to_owned() })
        };
        if self.content_type != CONTENT_TEXT {
            return refuse(
                StatusCode::InvalidTranscriptContentType,
                format!("transcript content_type {} is not TEXT", self.content_type),
            );
        }
        match self.language {
            Some(Language::Unknown(code)) => refuse(
                StatusCode::InvalidTranscriptLanguage,
                format!("no transcript language has the number {code}"),
            ),
            _ => Ok(()),
        }
    }
}

impl Default for TranscriptParams {
    fn default() -> Self {
        Self::new(None)
    }
}

/// Chat parameters of a media handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatParams {
    #[serde(default = "text_content")]
    content_type: i64,
}

impl Default for ChatParams {
    fn default() -> Self {
        Self { content_type: CONTENT_TEXT }
    }
}

impl ChatParams {
    /// Checks that it is text.
    ///
    /// # Errors
    /// With Zoom's status code when it is not.
    pub fn validate(&self) -> Result<(), ParamsError> {
        if self.content_type == CONTENT_TEXT {
            return Ok(());
        }
        Err(ParamsError {
            status: StatusCode::InvalidChatContentType,
            message: format!("chat content_type {} is not TEXT", self.content_type),
            nearest: "text".to_owned(),
        })
    }
}
