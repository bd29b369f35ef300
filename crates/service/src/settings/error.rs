//! What is wrong with the settings: one line an error, made for whoever has to repair it.

use std::fmt;

/// One wrong or missing setting. Its text is a single line and never holds a secret's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}{}", example_of(.variable, .example.as_deref()))]
pub struct SettingError {
    /// The variable, or the file, that is wrong.
    pub variable: String,
    /// What is wrong with it.
    pub problem: String,
    /// A right value, where there is one to show.
    pub example: Option<String>,
}

fn example_of(variable: &str, example: Option<&str>) -> String {
    example.map(|e| format!("; example: {variable}={e}")).unwrap_or_default()
}

/// Every error of a service's settings; displayed as one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsErrors(pub Vec<SettingError>);

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsErrors {}
