//! The commands of the binary: run, `check`, `health`.

use rtms_service::CancellationToken;
use rtms_service::folder::{make_private, writable};
use rtms_service::http::bind;
use rtms_service::program::{Check, Program, RunError};
use rtms_service::settings::{SettingsReader, Table};

use crate::delivery::Workers;
use crate::run::{Listeners, run};
use crate::settings::{Settings, TABLE};

/// The gateway as a program.
#[derive(Debug)]
pub struct Gateway;

impl Program for Gateway {
    const NAME: &'static str = "rtms-gateway";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ABOUT: &'static str =
        "Takes Zoom's RTMS webhooks, writes them down, answers, and forwards them to a worker";
    const TABLE: &'static Table = &TABLE;
    type Settings = Settings;

    fn read(reader: &mut SettingsReader) -> Settings {
        Settings::read(reader)
    }

    fn health_address(reader: &mut SettingsReader) -> (String, u16) {
        (reader.required_text("GATEWAY_HOST"), reader.port("GATEWAY_PORT"))
    }

    async fn check(settings: Settings) -> Vec<Check> {
        let mut checks = vec![data_folder(&settings)];
        match Workers::new(&settings.workers, settings.internal_token) {
            Ok(workers) => checks.extend(workers.check().await),
            Err(problem) => checks.push(Check { what: "workers".to_owned(), found: Err(problem) }),
        }
        checks
    }

    async fn run(settings: Settings, shutdown: CancellationToken) -> Result<(), RunError> {
        let public = bind(&settings.host, settings.port, "GATEWAY_PORT").await?;
        let admin = bind(&settings.host, settings.admin_port, "GATEWAY_ADMIN_PORT").await?;
        run(settings, Listeners { public, admin }, shutdown).await
    }
}

/// Whether the outbox could live there, without opening it: a gateway may be running on it.
fn data_folder(settings: &Settings) -> Check {
    let folder = &settings.data_dir;
    let probe = folder.join(format!(".check-{}", std::process::id()));
    let written = make_private(folder)
        .and_then(|()| std::fs::write(&probe, b"check"))
        .and_then(|()| std::fs::remove_file(&probe));
    Check {
        what: format!("GATEWAY_DATA_DIR {}", folder.display()),
        found: match written {
            Ok(()) => Ok(writable(folder)),
            Err(problem) => Err(format!("cannot be written: {problem}")),
        },
    }
}
