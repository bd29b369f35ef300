//! Secrets and settings from the outside: a TOML file, then `.env`, then the environment, then flags; the last wins.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rtms_protocol::Credentials;
use rtms_simulator::{AnyStream, Encryption, SecondConnection, SimulatorConfig, Timing};
use secrecy::SecretString;

use super::args::{CredentialArgs, ServerArgs};

const NAMES: [&str; 5] = [
    "ZOOM_SECRET_TOKEN",
    "ZOOM_APP_CLIENT_ID",
    "ZOOM_APP_CLIENT_SECRET",
    "ZOOM_VIDEO_SDK_KEY",
    "ZOOM_VIDEO_SDK_SECRET",
];

/// Everything that is wrong with the settings, one line each.
pub(crate) struct Wrong(pub(crate) Vec<String>);

/// Variables by name, from all sources but the flags.
#[derive(Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Reads the file of `--config`, `.env` in the working folder, and the environment.
    pub(crate) fn load(config_file: Option<&Path>) -> Result<Self, Wrong> {
        let mut layers: Vec<BTreeMap<String, String>> = Vec::new();
        if let Some(file) = config_file {
            layers.push(read_toml(file)?);
        }
        match dotenvy::from_path_iter(".env") {
            Ok(entries) => layers.push(entries.filter_map(Result::ok).collect()),
            Err(error) if error.not_found() => {}
            Err(error) => return Err(Wrong(vec![format!(".env: {error}")])),
        }
        layers.push(std::env::vars().collect());
        let mut merged = BTreeMap::new();
        for layer in layers {
            for name in NAMES {
                let file_name = format!("{name}_FILE");
                if let Some(value) = layer.get(name).filter(|value| !value.is_empty()) {
                    merged.insert(name.to_owned(), value.clone());
                } else if let Some(file) = layer.get(&file_name).filter(|file| !file.is_empty()) {
                    let text = std::fs::read_to_string(file)
                        .map_err(|error| Wrong(vec![format!("{file_name}: cannot read {file}: {error}")]))?;
                    merged.insert(name.to_owned(), text.trim_end().to_owned());
                }
            }
        }
        Ok(Self(merged))
    }

    fn pick(&self, flag: Option<&String>, name: &str) -> Option<String> {
        flag.cloned().or_else(|| self.0.get(name).cloned())
    }
}

fn read_toml(file: &Path) -> Result<BTreeMap<String, String>, Wrong> {
    let source = config::File::from(file).format(config::FileFormat::Toml);
    let table = config::Config::builder()
        .add_source(source)
        .build()
        .and_then(config::Config::try_deserialize::<BTreeMap<String, config::Value>>)
        .map_err(|error| Wrong(vec![format!("--config: {error}")]))?;
    let text =
        |(name, value): (String, config::Value)| Some((name.to_uppercase(), value.into_string().ok()?));
    Ok(table.into_iter().filter_map(text).collect())
}

/// Who signs, and with what.
pub(crate) struct Secrets {
    pub(crate) app: Credentials,
    pub(crate) video_sdk: Option<Credentials>,
    pub(crate) secret_token: Option<SecretString>,
}

/// Puts flags and variables together. `webhooks`: the secret token is needed as well.
pub(crate) fn secrets(
    variables: &Variables,
    args: &CredentialArgs,
    webhooks: bool,
) -> Result<Secrets, Wrong> {
    let mut wrong = Vec::new();
    let mut needed = |flag: Option<&String>, name: &str, example: &str| {
        variables.pick(flag, name).unwrap_or_else(|| {
            wrong.push(format!("{name}: missing; set it (or the flag), for example {name}={example}"));
            String::new()
        })
    };
    let client_id = needed(args.client_id.as_ref(), "ZOOM_APP_CLIENT_ID", "abcDEF123");
    let client_secret = needed(args.client_secret.as_ref(), "ZOOM_APP_CLIENT_SECRET", "s3cret").into();
    let secret_token = webhooks.then(|| needed(args.secret_token.as_ref(), "ZOOM_SECRET_TOKEN", "t0ken"));
    // The gateway may know several tokens; Zoom signs with the first.
    let first = |token: String| SecretString::from(token.split(',').next().unwrap_or_default().trim());
    if !wrong.is_empty() {
        return Err(Wrong(wrong));
    }
    let sdk = variables.pick(None, "ZOOM_VIDEO_SDK_KEY").zip(variables.pick(None, "ZOOM_VIDEO_SDK_SECRET"));
    Ok(Secrets {
        app: Credentials { client_id, client_secret },
        video_sdk: sdk.map(|(client_id, secret)| Credentials { client_id, client_secret: secret.into() }),
        secret_token: secret_token.map(first),
    })
}

/// The server's configuration.
pub(crate) fn server(args: &ServerArgs, secrets: &Secrets, default_port: u16) -> SimulatorConfig {
    let encryption = match (&args.cert, &args.key) {
        _ if args.insecure => Encryption::Off,
        (Some(certificate), Some(key)) => {
            Encryption::Files { certificate: certificate.clone(), key: key.clone() }
        }
        _ => Encryption::MadeUp,
    };
    let timing =
        Timing { keep_alive: Duration::from_secs_f64(args.keep_alive.max(0.05)), ..Timing::default() };
    SimulatorConfig {
        listen: (args.host, args.port.unwrap_or(default_port)).into(),
        public_host: args.public_host.clone(),
        encryption,
        video_sdk_credentials: secrets.video_sdk.clone(),
        second_connection: if args.replace { SecondConnection::Replace } else { SecondConnection::Refuse },
        timing,
        speed: args.speed,
        any_stream: None::<AnyStream>,
        ..SimulatorConfig::new(secrets.app.clone())
    }
}
