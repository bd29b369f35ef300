//! The commands of the binary: run, `check`, `health`.

use rtms_service::CancellationToken;
use rtms_service::folder::writable;
use rtms_service::http::bind;
use rtms_service::program::{Check, Program, RunError};
use rtms_service::settings::{SettingsReader, Table};

use crate::folder::prepare;
use crate::run::{client_options, run};
use crate::settings::{Settings, TABLE};

/// The worker as a program.
#[derive(Debug)]
pub struct Worker;

impl Program for Worker {
    const NAME: &'static str = "rtms-worker";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ABOUT: &'static str = "Joins Zoom RTMS streams that the gateway announces, and records them";
    const TABLE: &'static Table = &TABLE;
    type Settings = Settings;

    fn read(reader: &mut SettingsReader) -> Settings {
        Settings::read(reader)
    }

    fn health_address(reader: &mut SettingsReader) -> (String, u16) {
        (reader.required_text("RTMS_HOST"), reader.port("RTMS_PORT"))
    }

    async fn check(settings: Settings) -> Vec<Check> {
        let folder = settings.data_dir.display().to_string();
        vec![
            Check {
                what: format!("RTMS_DATA_DIR {folder}"),
                found: prepare(&settings.data_dir).map(|()| writable(&settings.data_dir)),
            },
            Check {
                what: "TLS roots".to_owned(),
                found: rtms_client::TlsRoots::system(settings.ca_file.as_deref())
                    .map(|roots| format!("{} certificates trusted", roots.count()))
                    .map_err(|error| error.to_string()),
            },
            Check {
                what: "RTMS_ALLOWED_HOSTS".to_owned(),
                found: client_options(&settings)
                    .map(|options| options.policy().to_string())
                    .map_err(|error| error.to_string()),
            },
        ]
    }

    async fn run(settings: Settings, shutdown: CancellationToken) -> Result<(), RunError> {
        let listener = bind(&settings.host, settings.port, "RTMS_PORT").await?;
        run(settings, listener, shutdown).await
    }
}
