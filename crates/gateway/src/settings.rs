//! The gateway's settings.

use std::path::PathBuf;

use reqwest::Url;
use rtms_protocol::WebhookKeys;
use rtms_service::http::RTMS_INTERNAL_TOKEN;
use rtms_service::logging::{LOG_FORMAT, RUST_LOG};
use rtms_service::settings::{SettingsReader, Table, Variable};
use secrecy::SecretString;

/// The gateway's variables.
pub static TABLE: Table = Table {
    own: &[
        Variable::secret(
            "ZOOM_SECRET_TOKEN",
            "webhook secret of the Zoom app; several by comma while one is rotated",
            "kYxZ1b2c3d4e5f6g7h8i9j",
        ),
        Variable::setting(
            "RTMS_SERVER_URL",
            Some("http://localhost:3002"),
            "base URL of the worker; several by comma",
            "http://worker:3002",
        ),
        RTMS_INTERNAL_TOKEN,
        Variable::setting("GATEWAY_HOST", Some("0.0.0.0"), "address to listen on", "0.0.0.0"),
        Variable::setting("GATEWAY_PORT", Some("3001"), "port of the webhook endpoint", "3001"),
        Variable::setting(
            "GATEWAY_ADMIN_PORT",
            Some("9101"),
            "port of /ready, /metrics and /health; not for the public",
            "9101",
        ),
        Variable::setting(
            "GATEWAY_DATA_DIR",
            Some("gateway-data"),
            "where undelivered events wait",
            "/var/lib/rtms-gateway",
        ),
        LOG_FORMAT,
        RUST_LOG,
    ],
    // One TOML file may serve both services.
    elsewhere: &["RTMS_", "ZOOM_", "RETENTION_", "STORAGE_"],
};

/// What the gateway runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The webhook secrets, `ZOOM_SECRET_TOKEN`. None only when it was wrong, and then nothing starts.
    pub keys: Option<WebhookKeys>,
    /// The workers' base URLs without trailing slash, `RTMS_SERVER_URL`.
    pub workers: Vec<String>,
    /// The secret of the hop to the worker, `RTMS_INTERNAL_TOKEN`.
    pub internal_token: Option<SecretString>,
    /// Where to listen, `GATEWAY_HOST`.
    pub host: String,
    /// The public port, `GATEWAY_PORT`.
    pub port: u16,
    /// The other port, `GATEWAY_ADMIN_PORT`.
    pub admin_port: u16,
    /// The outbox's folder, `GATEWAY_DATA_DIR`.
    pub data_dir: PathBuf,
}

impl Settings {
    /// Reads all of it; errors are noted in the reader.
    pub fn read(reader: &mut SettingsReader) -> Self {
        let secrets = reader.required_secrets("ZOOM_SECRET_TOKEN");
        // Without secrets the reader has noted why already.
        let keys = if secrets.is_empty() { None } else { WebhookKeys::new(secrets).ok() };
        let settings = Self {
            keys,
            workers: workers(reader),
            internal_token: reader.secret("RTMS_INTERNAL_TOKEN"),
            host: reader.required_text("GATEWAY_HOST"),
            port: reader.port("GATEWAY_PORT"),
            admin_port: reader.port("GATEWAY_ADMIN_PORT"),
            data_dir: reader.path("GATEWAY_DATA_DIR"),
        };
        if settings.port == settings.admin_port && settings.port != 0 {
            reader.problem("GATEWAY_ADMIN_PORT", "is the same port as GATEWAY_PORT; choose another");
        }
        settings
    }
}

/// Checks every worker URL and brings it into one form.
fn workers(reader: &mut SettingsReader) -> Vec<String> {
    let mut workers = Vec::new();
    for text in reader.list("RTMS_SERVER_URL") {
        match base_url(&text) {
            Ok(base) if workers.contains(&base) => {
                reader.problem("RTMS_SERVER_URL", format!("names {base} twice"));
            }
            Ok(base) => workers.push(base),
            // What stands before an @ may be a password.
            Err(problem) if text.contains('@') => {
                reader.problem("RTMS_SERVER_URL", format!("a URL with @ {problem}"));
            }
            Err(problem) => reader.problem("RTMS_SERVER_URL", format!("{text:?} {problem}")),
        }
    }
    if workers.is_empty() && reader.list("RTMS_SERVER_URL").is_empty() {
        reader.problem("RTMS_SERVER_URL", "names no worker");
    }
    workers
}

fn base_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a name or password; use RTMS_INTERNAL_TOKEN".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not hold ? or #".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use rtms_service::settings::Sources;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Settings, String) {
        let mut sources = Sources::new("/srv");
        for (name, value) in pairs {
            sources = sources.with(name, value);
        }
        let mut reader = SettingsReader::load(&TABLE, &sources);
        let settings = Settings::read(&mut reader);
        (settings, reader.finish().err().map(|errors| errors.to_string()).unwrap_or_default())
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let (settings, errors) = read(&[("ZOOM_SECRET_TOKEN", "a,b")]);
        assert_eq!(errors, "");
        assert_eq!(settings.workers, ["http://localhost:3002"]);
        assert_eq!((settings.host.as_str(), settings.port, settings.admin_port), ("0.0.0.0", 3001, 9101));
        assert_eq!(settings.data_dir.to_str(), Some("/srv/gateway-data"));
        assert!(settings.internal_token.is_none());
    }

    #[test]
    fn worker_urls_are_checked() {
        let with = |urls: &str| read(&[("ZOOM_SECRET_TOKEN", "a"), ("RTMS_SERVER_URL", urls)]);
        assert_eq!(with("http://a:1/, https://b/base/").0.workers, ["http://a:1", "https://b/base"]);
        for (urls, problem) in [
            ("worker:3002", "must begin with http"),
            ("ftp://a", "must begin with http"),
            ("nonsense", "is not a URL"),
            ("http://u:p@a", "must not hold a name"),
            ("http://a?x=1", "must not hold ?"),
            ("http://a, http://a/", "twice"),
            (",", "names no worker"),
        ] {
            let errors = with(urls).1;
            assert!(errors.starts_with("RTMS_SERVER_URL: ") && errors.contains(problem), "{urls}: {errors}");
        }
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(read(&[]).1.starts_with("ZOOM_SECRET_TOKEN: is required"));
        assert!(read(&[("ZOOM_SECRET_TOKEN", "a,,b")]).1.contains("empty secret"));
    }

    #[test]
    fn a_file_shared_with_the_worker_is_fine_and_a_slip_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("both.toml");
        let mut sources = Sources::new(dir.path()).with("ZOOM_SECRET_TOKEN", "a");
        sources.config_file = Some(file.clone());
        let errors = |toml: &str| {
            std::fs::write(&file, toml).unwrap();
            let mut reader = SettingsReader::load(&TABLE, &sources);
            Settings::read(&mut reader);
            reader.finish().err().map(|errors| errors.to_string()).unwrap_or_default()
        };
        assert_eq!(errors("RTMS_PORT = 3002\nRTMS_MEDIA = [\"audio\"]\nZOOM_APP_CLIENT_ID = \"x\"\n"), "");
        assert!(errors("RTMS_SERVER_URLS = \"http://a\"\n").contains("did you mean RTMS_SERVER_URL?"));
        assert!(errors("GATEWAY_PROT = 1\n").contains("did you mean GATEWAY_PORT?"));
    }

    #[test]
    fn both_ports_differ() {
        let errors = read(&[("ZOOM_SECRET_TOKEN", "a"), ("GATEWAY_ADMIN_PORT", "3001")]).1;
        assert!(errors.contains("same port"), "{errors}");
    }
}
