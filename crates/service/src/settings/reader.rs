//! Typed values out of the merged layers, and the list of everything that is wrong with them.
//!
//! A wrong value does not stop the reading: it is noted, the getter returns a placeholder, and
//! [`SettingsReader::finish`] refuses. So the operator repairs all errors at once. A placeholder can
//! therefore never reach a running service, as long as `finish` is asked before anything is used.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use config::{Map, Value};
use secrecy::SecretString;

use super::error::{SettingError, SettingsErrors};
use super::layers::{Sources, merge};
use super::table::Table;

/// The longest secret file that is read, in bytes.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// Reads settings and collects every error.
pub struct SettingsReader {
    table: &'static Table,
    folder: PathBuf,
    merged: Map<String, Value>,
    errors: Vec<SettingError>,
}

impl SettingsReader {
    /// Puts the layers together. Whatever is wrong already (a broken file, an unknown key) is noted.
    pub fn load(table: &'static Table, sources: &Sources) -> Self {
        let mut errors = Vec::new();
        let merged = merge(table, sources, &mut errors);
        Self { table, folder: sources.folder.clone(), merged, errors }
    }

    /// The end of reading.
    ///
    /// # Errors
    /// Everything that was noted, in the order of reading.
    pub fn finish(self) -> Result<(), SettingsErrors> {
        if self.errors.is_empty() { Ok(()) } else { Err(SettingsErrors(self.errors)) }
    }

    /// Notes an error of `name`, also one that only two settings together make.
    pub fn problem(&mut self, name: &str, problem: impl Into<String>) {
        let example = self.table.variable(name).map(|v| v.example.to_owned());
        self.errors.push(SettingError { variable: name.to_owned(), problem: problem.into(), example });
    }

    /// The text and the layer it came from.
    fn raw(&mut self, name: &str) -> Option<(String, String)> {
        debug_assert!(self.table.variable(name).is_some(), "{name} is not in the table");
        self.raw_key(name)
    }

    fn raw_key(&self, name: &str) -> Option<(String, String)> {
        let value = self.merged.get(&name.to_lowercase())?;
        let origin = value.origin().unwrap_or("the settings").to_owned();
        let text = value.clone().into_string().ok()?.trim().to_owned();
        (!text.is_empty()).then_some((text, origin))
    }

    /// A text, without the blanks around it; none when it is not set.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.raw(name).map(|(text, _)| text)
    }

    /// A text that must be set. Placeholder: empty.
    pub fn required_text(&mut self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.problem(name, "is required and not set");
            String::new()
        })
    }

    /// A value read by `parse`, whose error says what is wrong ("is not a number"). None when it is
    /// not set or wrong. Not for secrets: the value stands in the error.
    pub fn parsed<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (text, origin) = self.raw(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problem(name, format!("{} (from {origin}) {problem}", shown(&text)));
                None
            }
        }
    }

    /// A whole number within `range`. Placeholder: the range's beginning.
    pub fn integer<T>(&mut self, name: &str, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.optional_integer(name, range.clone()).unwrap_or_else(|| {
            self.required(name);
            *range.start()
        })
    }

    /// A whole number within `range`; none when it is not set.
    pub fn optional_integer<T>(&mut self, name: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.parsed(name, |text| match text.parse::<T>() {
            Ok(value) if range.contains(&value) => Ok(value),
            _ => Err(format!("is not a whole number from {} to {}", range.start(), range.end())),
        })
    }

    /// A TCP port, 0 to 65535 (0 lets the system choose). Placeholder: 0.
    pub fn port(&mut self, name: &str) -> u16 {
        self.parsed(name, |text| text.parse::<u16>().map_err(|_| "is not a port (a number from 0 to 65535)"))
            .unwrap_or_else(|| {
                self.required(name);
                0
            })
    }

    /// Yes or no. Placeholder: no.
    pub fn flag(&mut self, name: &str) -> bool {
        self.parsed(name, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("is neither true nor false"),
        })
        .unwrap_or_else(|| {
            self.required(name);
            false
        })
    }

    /// One of the words, in any case; none when it is not set or wrong.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(name, |text| {
            choices
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text))
                .map(|(_, value)| *value)
                .ok_or_else(|| {
                    let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                    format!("is none of: {}", words.join(", "))
                })
        })
    }

    /// Texts separated by commas; empty ones are left out.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// A path; a relative one begins in the working folder. Placeholder: the working folder.
    pub fn path(&mut self, name: &str) -> PathBuf {
        self.optional_path(name).unwrap_or_else(|| {
            self.required(name);
            self.folder.clone()
        })
    }

    /// A path; none when it is not set.
    pub fn optional_path(&mut self, name: &str) -> Option<PathBuf> {
        self.text(name).map(|text| self.folder.join(text))
    }

    /// A secret, from `NAME` or from the file that `NAME_FILE` names; none when neither is set.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        let direct = self.raw(name).map(|(text, _)| text);
        let text = match (direct, self.raw_key(&format!("{name}_FILE"))) {
            (Some(_), Some((_, origin))) => {
                self.problem(name, format!("and {name}_FILE are both set in {origin}; set one of them"));
                return None;
            }
            (None, Some((path, _))) => self.secret_file(name, &path)?,
            (direct, None) => direct?,
        };
        Some(SecretString::from(text))
    }

    /// A secret that must be set. Placeholder: an empty one.
    pub fn required_secret(&mut self, name: &str) -> SecretString {
        let before = self.errors.len();
        self.secret(name).unwrap_or_else(|| {
            if self.errors.len() == before {
                self.problem(name, format!("is required and not set (nor is {name}_FILE)"));
            }
            SecretString::default()
        })
    }

    /// At least one secret, separated by commas; an empty one between commas is an error, because it
    /// would verify what anybody signs with nothing. Placeholder: none.
    pub fn required_secrets(&mut self, name: &str) -> Vec<SecretString> {
        use secrecy::ExposeSecret as _;
        let all = self.required_secret(name);
        if all.expose_secret().is_empty() {
            return Vec::new();
        }
        let parts: Vec<&str> = all.expose_secret().split(',').map(str::trim).collect();
        if parts.iter().any(|part| part.is_empty()) {
            self.problem(name, "holds an empty secret between or beside its commas");
            return Vec::new();
        }
        parts.into_iter().map(SecretString::from).collect()
    }

    fn secret_file(&mut self, name: &str, path: &str) -> Option<String> {
        let path = self.folder.join(path);
        let problem = match std::fs::metadata(&path).map(|meta| meta.len()) {
            Ok(length) if length > MAX_SECRET_FILE => "is too long for a secret".to_owned(),
            Ok(_) => match std::fs::read_to_string(&path) {
                Ok(text) if text.trim().is_empty() => "is empty".to_owned(),
                Ok(text) => return Some(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => format!("cannot be read: {error}"),
            },
            Err(error) => format!("cannot be read: {error}"),
        };
        self.errors.push(SettingError {
            variable: format!("{name}_FILE"),
            problem: format!("{} {problem}", shown(&path.display().to_string())),
            example: Some(format!("/run/secrets/{}", name.to_lowercase())),
        });
        None
    }

    /// Notes that a variable is missing, unless it is set (and its error noted already).
    fn required(&mut self, name: &str) {
        if self.raw(name).is_none() {
            self.problem(name, "is required and not set");
        }
    }
}

/// A value as it may stand in a line: quoted, escaped, not endless.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let rest = if short.len() < text.len() { "…" } else { "" };
    format!("{short:?}{rest}")
}
