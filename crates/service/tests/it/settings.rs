//! Settings as operators write them, rightly and wrongly.

use std::fs;

use proptest::prelude::*;
use rtms_service::logging::{LOG_FORMAT, LogFormat, LogSettings, RUST_LOG};
use rtms_service::settings::{SettingsReader, Sources, Table, Variable};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

static TABLE: Table = Table {
    own: &[
        Variable::setting("APP_HOST", Some("0.0.0.0"), "where", "127.0.0.1"),
        Variable::setting("APP_PORT", Some("3002"), "port", "3002"),
        Variable::setting("APP_FLAG", Some("false"), "flag", "true"),
        Variable::setting("APP_LIMIT", Some("10"), "limit", "10"),
        Variable::setting("APP_WORDS", None, "words", "a,b"),
        Variable::setting("APP_DIR", Some("data"), "folder", "/var/lib/app"),
        Variable::secret("APP_SECRET", "secret", "a1b2"),
        LOG_FORMAT,
        RUST_LOG,
    ],
    elsewhere: &["OTHER_", "APP_NEXT_"],
};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn load(sources: &Sources) -> SettingsReader {
    SettingsReader::load(&TABLE, sources)
}

/// The errors after `read`, as lines.
fn lines(sources: &Sources, read: impl FnOnce(&mut SettingsReader)) -> Vec<String> {
    let mut reader = load(sources);
    read(&mut reader);
    reader
        .finish()
        .err()
        .map(|errors| errors.to_string())
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let dir = folder();
    let mut sources = Sources::new(dir.path());
    assert_eq!(load(&sources).port("APP_PORT"), 3002);
    fs::write(dir.path().join("app.toml"), "app_port = 4001\nAPP_HOST = \"toml\"\nOTHER_PORT = 1\n").unwrap();
    sources.config_file = Some("app.toml".into());
    assert_eq!(load(&sources).port("APP_PORT"), 4001);
    fs::write(dir.path().join(".env"), "# comment\nAPP_PORT=4002\nSOMETHING_ELSE=x\n").unwrap();
    assert_eq!(load(&sources).port("APP_PORT"), 4002);
    let sources = sources.with("APP_PORT", "4003");
    let mut reader = load(&sources);
    assert_eq!(reader.port("APP_PORT"), 4003);
    assert_eq!(reader.text("APP_HOST").as_deref(), Some("toml"));
    reader.finish().unwrap();
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let dir = folder();
    fs::write(dir.path().join(".env"), "APP_PORT=4002\nAPP_SECRET=\n").unwrap();
    let sources = Sources::new(dir.path()).with("APP_PORT", "").with("APP_HOST", "  ");
    let mut reader = load(&sources);
    assert_eq!(reader.port("APP_PORT"), 4002);
    assert_eq!(reader.text("APP_HOST").as_deref(), Some("0.0.0.0"));
    assert!(reader.secret("APP_SECRET").is_none());
    reader.finish().unwrap();
}

#[test]
fn toml_values_of_every_kind() {
    let dir = folder();
    let toml = "APP_FLAG = true\napp_limit = 12\nApp_Words = [\"a\", 'b', 3]\n";
    fs::write(dir.path().join("app.toml"), toml).unwrap();
    let mut sources = Sources::new(dir.path());
    sources.config_file = Some("app.toml".into());
    let mut reader = load(&sources);
    assert!(reader.flag("APP_FLAG"));
    assert_eq!(reader.integer("APP_LIMIT", 1..=100_u32), 12);
    assert_eq!(reader.list("APP_WORDS"), ["a", "b", "3"]);
    reader.finish().unwrap();
}

#[test]
fn all_errors_at_once_with_variable_problem_origin_and_example() {
    let dir = folder();
    fs::write(dir.path().join(".env"), "APP_LIMIT=ten\n").unwrap();
    let sources = Sources::new(dir.path())
        .with("APP_PORT", "70000")
        .with("APP_FLAG", "maybe")
        .with("LOG_FORMAT", "xml");
    let lines = lines(&sources, |r| {
        r.port("APP_PORT");
        r.flag("APP_FLAG");
        r.integer("APP_LIMIT", 1..=100_u32);
        r.required_secret("APP_SECRET");
        LogSettings::read(r);
    });
    assert_eq!(
        lines,
        [
            "APP_PORT: \"70000\" (from the environment) is not a port (a number from 0 to 65535); example: APP_PORT=3002",
            "APP_FLAG: \"maybe\" (from the environment) is neither true nor false; example: APP_FLAG=true",
            "APP_LIMIT: \"ten\" (from .env) is not a whole number from 1 to 100; example: APP_LIMIT=10",
            "APP_SECRET: is required and not set (nor is APP_SECRET_FILE); example: APP_SECRET=a1b2",
            "LOG_FORMAT: \"xml\" (from the environment) is none of: text, json; example: LOG_FORMAT=json",
        ]
    );
}

#[test]
fn unknown_toml_keys_are_errors_and_near_ones_are_named() {
    let dir = folder();
    fs::write(dir.path().join("app.toml"), "APP_PROT = 1\nnonsense_key = 2\n[table]\nx = 1\n").unwrap();
    let mut sources = Sources::new(dir.path());
    sources.config_file = Some("app.toml".into());
    let lines = lines(&sources, |_| {}).join("\n");
    assert!(lines.contains("APP_PROT: in "), "{lines}");
    assert!(lines.contains("did you mean APP_PORT?"), "{lines}");
    assert!(lines.contains("nonsense_key: in "), "{lines}");
    assert!(lines.contains("table: in "), "{lines}");
    // A neighbour's names are its own affair, unless they are ours misspelt.
    fs::write(dir.path().join("app.toml"), "OTHER_THING = 1\napp_next_door = 2\n").unwrap();
    assert!(self::lines(&sources, |_| {}).is_empty());
    fs::write(dir.path().join("app.toml"), "APP_NEXT_ = 1\nAPP_SECRETS = \"x\"\n").unwrap();
    assert_eq!(self::lines(&sources, |_| {}).len(), 1);
}

#[test]
fn broken_files_are_one_line_without_their_content() {
    let dir = folder();
    fs::write(dir.path().join("app.toml"), "APP_SECRET = hunter2 oops\n").unwrap();
    fs::write(dir.path().join(".env"), "APP_SECRET=hunter2 hunter3\n").unwrap();
    let mut sources = Sources::new(dir.path());
    sources.config_file = Some("app.toml".into());
    let broken = lines(&sources, |_| {});
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken.iter().all(|line| !line.contains("hunter")), "{broken:?}");
    sources.config_file = Some("gone.toml".into());
    assert!(lines(&sources, |_| {}).first().unwrap().contains("gone.toml: cannot be read"));
}

#[test]
fn secrets_come_from_files_and_a_later_layer_wins() {
    let dir = folder();
    fs::write(dir.path().join("secret"), "from file\n").unwrap();
    fs::write(dir.path().join(".env"), "APP_SECRET=direct\n").unwrap();
    let sources = Sources::new(dir.path());
    assert_eq!(load(&sources).required_secret("APP_SECRET").expose_secret(), "direct");
    let sources = sources.with("APP_SECRET_FILE", "secret");
    assert_eq!(load(&sources).required_secret("APP_SECRET").expose_secret(), "from file");
    let both = sources.with("APP_SECRET", "direct");
    let errors = lines(&both, |r| {
        r.required_secret("APP_SECRET");
    });
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("both set"), "{errors:?}");
}

#[test]
fn secret_files_that_are_missing_or_empty_are_named() {
    let dir = folder();
    fs::write(dir.path().join("empty"), "\n").unwrap();
    for (path, problem) in [("empty", "is empty"), ("gone", "cannot be read")] {
        let sources = Sources::new(dir.path()).with("APP_SECRET_FILE", path);
        let errors = lines(&sources, |r| {
            r.required_secret("APP_SECRET");
        });
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with("APP_SECRET_FILE: ") && errors[0].contains(problem), "{errors:?}");
    }
}

#[test]
fn several_secrets_and_none_of_them_empty() {
    let read = |value: &str| {
        let mut reader = load(&Sources::new("/nowhere").with("APP_SECRET", value));
        let secrets = reader.required_secrets("APP_SECRET");
        (secrets.iter().map(|s| s.expose_secret().to_owned()).collect::<Vec<_>>(), reader.finish().is_ok())
    };
    assert_eq!(read("one, two"), (vec!["one".to_owned(), "two".to_owned()], true));
    for empty in ["one,,two", "one,", ",", " , "] {
        assert_eq!(read(empty), (vec![], false), "{empty}");
    }
}

#[test]
fn paths_begin_in_the_working_folder() {
    let mut reader = load(&Sources::new("/srv/app"));
    assert_eq!(reader.path("APP_DIR").to_str(), Some("/srv/app/data"));
    let mut reader = load(&Sources::new("/srv/app").with("APP_DIR", "/elsewhere"));
    assert_eq!(reader.path("APP_DIR").to_str(), Some("/elsewhere"));
}

#[test]
fn log_settings() {
    let mut reader = load(&Sources::new("/nowhere").with("LOG_FORMAT", "JSON").with("RUST_LOG", "debug"));
    let logging = LogSettings::read(&mut reader);
    assert_eq!((logging.format, logging.filter.as_str()), (LogFormat::Json, "debug"));
    reader.finish().unwrap();
}

proptest! {
    /// Whatever stands in the environment or the files: errors are single lines, nothing panics, and a
    /// secret's value is in none of them.
    #[test]
    fn rubbish_gives_single_lines(port in "\\PC{0,40}", toml in "\\PC{0,80}", dotenv in "\\PC{0,80}") {
        let dir = folder();
        fs::write(dir.path().join("app.toml"), toml).unwrap();
        fs::write(dir.path().join(".env"), dotenv).unwrap();
        let mut sources = Sources::new(dir.path()).with("APP_PORT", &port).with("APP_SECRET", "hunter2,");
        sources.config_file = Some("app.toml".into());
        let mut reader = load(&sources);
        reader.port("APP_PORT");
        reader.required_secrets("APP_SECRET");
        if let Err(errors) = reader.finish() {
            prop_assert_eq!(errors.to_string().lines().count(), errors.0.len());
            prop_assert!(!errors.to_string().contains("hunter2"));
        }
    }
}
