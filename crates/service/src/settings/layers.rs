//! Where settings come from, and how the layers are laid over each other.
//!
//! A layer is reduced to the variables of the table before it is merged (by the `config` crate): the
//! rest of the environment is none of our business, and an empty value is no value, so that
//! `NAME=${NAME:-}` in a compose file means "not set". `NAME` and `NAME_FILE` replace each other: a
//! later layer's `NAME_FILE` wins over an earlier layer's `NAME`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use config::{Config, FileFormat, Map, Source, Value, ValueKind};

use super::error::SettingError;
use super::table::Table;

/// What the settings are read from.
#[derive(Clone)]
pub struct Sources {
    /// The environment, as name and value.
    pub environment: Vec<(String, String)>,
    /// The working folder: `.env` lies here, and relative paths begin here.
    pub folder: PathBuf,
    /// The TOML file of `--config`.
    pub config_file: Option<PathBuf>,
}

impl Sources {
    /// No environment and no file, for tests to add to.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { environment: Vec::new(), folder: folder.into(), config_file: None }
    }

    /// The same with one more environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What this process was started with.
    ///
    /// # Errors
    /// When the working folder is gone or may not be read.
    pub fn of_process(config_file: Option<PathBuf>) -> io::Result<Self> {
        let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Ok(Self { environment, folder: std::env::current_dir()?, config_file })
    }
}

/// One layer, reduced to what the table knows.
#[derive(Debug, Clone)]
struct Layer {
    values: Map<String, Value>,
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.values.clone())
    }
}

impl Layer {
    /// `pairs` are canonical names and texts; what is empty is left out. Where a layer sets `NAME` or
    /// `NAME_FILE`, the other one of an earlier layer is erased.
    fn new(origin: &str, pairs: &BTreeMap<String, String>) -> Self {
        let origin = origin.to_owned();
        let mut values = Map::new();
        for (name, text) in pairs.iter().filter(|(_, text)| !text.trim().is_empty()) {
            let partner =
                name.strip_suffix("_FILE").map_or_else(|| format!("{name}_FILE"), ToOwned::to_owned);
            values.entry(partner.to_lowercase()).or_insert_with(|| Value::new(Some(&origin), ValueKind::Nil));
            values.insert(name.to_lowercase(), Value::new(Some(&origin), text.clone()));
        }
        Self { values }
    }
}

/// Lays all layers over each other, by lower-case name. What cannot be read is noted in `errors`, and the rest goes on.
pub(super) fn merge(table: &Table, sources: &Sources, errors: &mut Vec<SettingError>) -> Map<String, Value> {
    let defaults = table
        .own
        .iter()
        .filter_map(|v| v.default.map(|d| (v.name.to_owned(), d.to_owned())))
        .collect::<BTreeMap<_, _>>();
    let mut builder = Config::builder().add_source(Layer::new("the default", &defaults));
    if let Some(path) = &sources.config_file {
        let pairs = toml_pairs(table, &sources.folder.join(path), errors);
        builder = builder.add_source(Layer::new(&path.display().to_string(), &pairs));
    }
    let pairs = dotenv_pairs(table, &sources.folder.join(".env"), errors);
    builder = builder.add_source(Layer::new(".env", &pairs));
    let own = sources.environment.iter().filter(|(name, _)| knows(table, name)).cloned().collect();
    builder = builder.add_source(Layer::new("the environment", &own));
    // Collected rather than asked for by key: only so a value still knows the layer it came from.
    builder.build().and_then(|merged| merged.collect()).unwrap_or_else(|error| {
        errors.push(plain("settings", format!("cannot be put together: {error}")));
        Map::new()
    })
}

/// Whether a name is a variable of the table, or a secret's `NAME_FILE`.
fn knows(table: &Table, name: &str) -> bool {
    table.variable(name).is_some()
        || name.strip_suffix("_FILE").and_then(|n| table.variable(n)).is_some_and(|v| v.secret)
}

fn plain(variable: impl Into<String>, problem: impl Into<String>) -> SettingError {
    SettingError { variable: variable.into(), problem: problem.into(), example: None }
}

/// The `.env` file; that there is none is no error.
fn dotenv_pairs(table: &Table, path: &Path, errors: &mut Vec<SettingError>) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(error) if error.not_found() => return pairs,
        Err(error) => {
            errors.push(plain(".env", format!("cannot be read: {error}")));
            return pairs;
        }
    };
    for line in lines {
        match line {
            Ok((name, value)) if knows(table, &name) => {
                pairs.insert(name, value);
            }
            Ok(_) => {}
            // The line itself may hold a secret: say where, not what.
            Err(dotenvy::Error::LineParse(_, at)) => errors.push(plain(
                ".env",
                format!("a line is not NAME=value (near its character {at}); quote values with spaces or #"),
            )),
            Err(error) => {
                errors.push(plain(".env", format!("cannot be read: {error}")));
                break;
            }
        }
    }
    pairs
}

/// The TOML file: flat, its keys the variables' names in any case; an unknown key is an error.
fn toml_pairs(table: &Table, path: &Path, errors: &mut Vec<SettingError>) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let shown = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            errors.push(plain(format!("--config {shown}"), format!("cannot be read: {error}")));
            return pairs;
        }
    };
    let file = config::File::from_str(&text, FileFormat::Toml);
    let entries = match file.collect() {
        Ok(entries) => entries.into_iter().collect::<BTreeMap<_, _>>(),
        Err(error) => {
            errors.push(plain(format!("--config {shown}"), toml_problem(&error.to_string())));
            return pairs;
        }
    };
    for (key, value) in entries {
        let name = key.to_ascii_uppercase();
        if !knows(table, &name) {
            if let Some(problem) = unknown_key(table, &name, &shown) {
                errors.push(plain(key.escape_debug().to_string(), problem));
            }
            continue;
        }
        match text_of(value.kind) {
            Some(text) => {
                if pairs.insert(name, text).is_some() {
                    errors.push(plain(key, format!("is written twice in {shown}, in different case")));
                }
            }
            None => errors.push(plain(
                name,
                format!("in {shown} must be a string, number, true/false, or an array of these"),
            )),
        }
    }
    pairs
}

/// A TOML parser quotes the broken line, and a broken line may hold a secret: keep only the place.
fn toml_problem(error: &str) -> String {
    let place = error.lines().next().filter(|l| l.contains("line ")).unwrap_or("somewhere in it");
    format!("is not TOML: {}; a line is NAME = \"value\"", place.trim())
}

/// What is wrong with a key that is none of ours: nothing, when it is a neighbour's and not a slip of the pen.
fn unknown_key(table: &Table, name: &str, file: &str) -> Option<String> {
    if table.elsewhere.contains(&name) {
        return None;
    }
    let neighbours = table.elsewhere.iter().any(|beginning| name.starts_with(beginning));
    let near = table.own.iter().map(|v| (distance(v.name, name), v.name)).min();
    match near {
        Some((d, near)) if d <= if neighbours { 2 } else { 3 } => {
            Some(format!("in {file} is not a setting; did you mean {near}?"))
        }
        _ if neighbours => None,
        _ => Some(format!("in {file} is not a setting; --help lists them")),
    }
}

/// Edit distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let next = (*cell + 1).min(left + 1).min(diagonal + usize::from(x != y));
            diagonal = *cell;
            *cell = next;
            left = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

/// A TOML value as the text an environment variable would hold.
fn text_of(kind: ValueKind) -> Option<String> {
    match kind {
        ValueKind::Array(items) => {
            let items: Option<Vec<_>> = items
                .into_iter()
                .map(|item| if matches!(item.kind, ValueKind::Array(_)) { None } else { text_of(item.kind) })
                .collect();
            Some(items?.join(","))
        }
        ValueKind::Table(_) => None,
        ValueKind::Nil => Some(String::new()),
        scalar => Some(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn edit_distance_counts_edits() {
        assert_eq!(distance("RTMS_PORT", "RTMS_PORT"), 0);
        assert_eq!(distance("RTMS_PORT", "RTMS_POTR"), 2);
        assert_eq!(distance("RTMS_PORT", "RTMS_PRT"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }
}
