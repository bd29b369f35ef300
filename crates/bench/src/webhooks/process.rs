//! The gateway as the process under test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rtms_gateway::{Listeners, Settings, run};
use rtms_protocol::WebhookKeys;
use rtms_service::CancellationToken;
use tokio::net::TcpListener;

use super::post;
use crate::cpu;
use crate::process::{Process, serve};

/// Plays the gateway until standard input ends. With `only`, on that processor.
pub(crate) fn play(data_dir: PathBuf, worker: SocketAddr, only: Option<usize>) -> anyhow::Result<()> {
    if let Some(only) = only {
        cpu::pin(&[only])?;
    }
    let settings = Settings {
        keys: Some(WebhookKeys::new(vec![post::secret()])?),
        workers: vec![format!("http://{worker}")],
        internal_token: None,
        host: "127.0.0.1".to_owned(),
        port: 0,
        admin_port: 0,
        data_dir,
    };
    let shutdown = CancellationToken::new();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let public = TcpListener::bind("127.0.0.1:0").await?;
        let admin = TcpListener::bind("127.0.0.1:0").await?;
        serve(public.local_addr()?, shutdown.clone())?;
        run(settings, Listeners { public, admin }, shutdown).await?;
        Ok(())
    })
}

/// Starts a gateway on the folder `dir`, which also gets its log.
pub(crate) fn start(dir: &Path, worker: SocketAddr, only: Option<usize>) -> anyhow::Result<Process> {
    let mut command = Process::command("gateway")?;
    command.arg("--dir").arg(dir.join("outbox")).arg("--worker").arg(worker.to_string());
    if let Some(only) = only {
        command.arg("--cpu").arg(only.to_string());
    }
    Process::start(command, &dir.join("gateway.log"))
}
