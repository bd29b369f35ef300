//! The description of a service's variables: one row each, used for defaults, errors and `--help`.

use std::fmt::Write as _;

/// One variable that a service reads.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name in the environment; in a TOML file in any case.
    pub name: &'static str,
    /// What counts when no layer sets it.
    pub default: Option<&'static str>,
    /// A secret may also come from the file that `NAME_FILE` names, and its value is never shown.
    pub secret: bool,
    /// What it is, for `--help`.
    pub about: &'static str,
    /// A right value, for error messages.
    pub example: &'static str,
}

impl Variable {
    /// A variable whose value may be shown.
    pub const fn setting(
        name: &'static str,
        default: Option<&'static str>,
        about: &'static str,
        example: &'static str,
    ) -> Self {
        Self { name, default, secret: false, about, example }
    }

    /// A variable whose value may never be shown; `example` is made up.
    pub const fn secret(name: &'static str, about: &'static str, example: &'static str) -> Self {
        Self { name, default: None, secret: true, about, example }
    }
}

/// All variables of one service.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The variables the service reads.
    pub own: &'static [Variable],
    /// How names begin that belong to a neighbour: they may stand in a shared TOML file, unless they look
    /// like one of ours misspelt.
    pub elsewhere: &'static [&'static str],
}

impl Table {
    /// The row of a variable, by its exact name.
    pub fn variable(&self, name: &str) -> Option<&'static Variable> {
        self.own.iter().find(|v| v.name == name)
    }

    /// The variables as text, for `--help`.
    pub fn help(&self) -> String {
        let mut text =
            String::from("Settings (environment, .env, or TOML by --config; the environment wins):\n");
        for v in self.own {
            let default = v.default.map(|d| format!(" [default: {d}]")).unwrap_or_default();
            let file = if v.secret { format!(" (or {}_FILE, a path)", v.name) } else { String::new() };
            let _ = writeln!(text, "  {:<28} {}{default}{file}", v.name, v.about);
        }
        text
    }
}
