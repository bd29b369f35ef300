//! Logs: text for people, or one JSON object a line for machines (`LOG_FORMAT`), filtered by `RUST_LOG`.
//!
//! A log line is one line, whatever a field holds: characters that control or that cannot be seen are
//! escaped in values, so that nothing that came over the network can forge a second line, colour a
//! terminal, or turn the order of a line around.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::time::FormatTime;

use crate::settings::{SettingsReader, Variable};

/// `LOG_FORMAT`, for a service's table.
pub const LOG_FORMAT: Variable =
    Variable::setting("LOG_FORMAT", Some("text"), "text, or json for one object a line", "json");
/// `RUST_LOG`, for a service's table.
pub const RUST_LOG: Variable = Variable::setting(
    "RUST_LOG",
    Some("info"),
    "what is logged: error, warn, info, debug, trace, also per module",
    "info,rtms_client=debug",
);

/// The layout of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How a service logs.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The layout.
    pub format: LogFormat,
    /// The filter, checked already.
    pub filter: String,
}

impl LogSettings {
    /// Reads and checks `LOG_FORMAT` and `RUST_LOG`.
    pub fn read(reader: &mut SettingsReader) -> Self {
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let format = reader.choice("LOG_FORMAT", &formats).unwrap_or(LogFormat::Text);
        let filter = reader.parsed("RUST_LOG", |text| checked_filter(text).map(|()| text.to_owned()));
        Self { format, filter: filter.unwrap_or_else(|| "info".to_owned()) }
    }

    /// Installs the subscriber for the process, writing to standard output. A second call changes nothing.
    pub fn install(&self) {
        let filter = EnvFilter::try_new(&self.filter).unwrap_or_else(|_| EnvFilter::new("info"));
        let base = tracing_subscriber::fmt().with_env_filter(filter).with_timer(IsoMillis);
        let installed = match self.format {
            LogFormat::Json => base.json().flatten_event(true).with_current_span(true).try_init(),
            LogFormat::Text => base.with_ansi(colours()).fmt_fields(one_line_fields()).try_init(),
        };
        // Tests start several services in one process: the first one's subscriber serves all.
        drop(installed);
    }
}

/// Colours are for terminals, and for people who want them (`NO_COLOR`, <https://no-color.org>).
fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Refuses what `EnvFilter` refuses, and a lone word that it would take for a module's name: a misspelt
/// level would otherwise silence the service.
fn checked_filter(text: &str) -> Result<(), String> {
    EnvFilter::try_new(text).map_err(|error| format!("is not a log filter: {error}"))?;
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',').map(str::trim) {
        let level = levels.iter().any(|level| part.eq_ignore_ascii_case(level));
        if !level && !part.contains(['=', ':', '_', '[']) {
            return Err(format!("holds {part:?}, which is no level ({})", levels.join(", ")));
        }
    }
    Ok(())
}

struct IsoMillis;

impl FormatTime for IsoMillis {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        w.write_str(&crate::time::iso_now())
    }
}

fn one_line_fields() -> impl for<'w> tracing_subscriber::fmt::FormatFields<'w> + 'static {
    format::debug_fn(|writer, field, value| {
        let text = format!("{value:?}");
        if field.name() == "message" {
            return writer.write_str(&one_line(&text));
        }
        write!(writer, "{}={}", field.name(), one_value(&text))
    })
    .delimited(" ")
}

/// `text` as one field's value: what holds blanks or quotes is quoted, so that it cannot pose as another field.
fn one_value(text: &str) -> String {
    let quoted = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
    if !quoted && text.chars().any(|c| c.is_whitespace() || c == '"') {
        format!("{text:?}")
    } else {
        one_line(text)
    }
}

/// Whether a character could show a line as something that it is not: controls, separators of lines and paragraphs,
/// marks without width, and those that turn the direction of writing.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `text` without characters that deceive.
fn one_line(text: &str) -> String {
    if !text.chars().any(is_deceptive) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 16), |mut line, c| {
        if is_deceptive(c) {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_begin_a_second_line() {
        assert_eq!(one_line("a\r\nINFO forged\x1b[31m"), "a\\r\\nINFO forged\\u{1b}[31m");
        assert_eq!(one_line("id\u{202e}gnp\u{2028}x"), "id\\u{202e}gnp\\u{2028}x");
        assert_eq!(one_line("Zoë"), "Zoë");
        assert_eq!(one_value("a level=ERROR\n"), "\"a level=ERROR\\n\"");
        assert_eq!(one_value("\"quoted already\""), "\"quoted already\"");
        assert_eq!(one_value("abc/123=="), "abc/123==");
    }

    #[test]
    fn filters_are_checked() {
        for good in ["info", "WARN", "info,rtms_client=debug", "rtms_gateway", "off,hyper=warn"] {
            assert_eq!(checked_filter(good), Ok(()), "{good}");
        }
        for bad in ["verbose", "info,loud", "a=b=c", "rtms_client=loud"] {
            assert!(checked_filter(bad).is_err(), "{bad}");
        }
    }
}
