//! Prints a live transcript: `live_transcript < webhook.json`, where the file holds the body of a `…rtms_started`
//! webhook. Credentials come from `ZOOM_APP_CLIENT_ID` and `ZOOM_APP_CLIENT_SECRET`; `RTMS_CA_FILE` and
//! `RTMS_ALLOWED_HOSTS` are as for the worker.

use std::env::var;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rtms_client::{Client, ClientEvent, ClientOptions, TlsRoots, UrlPolicy};
use rtms_protocol::session::{MediaSockets, SessionConfig, Timeouts};
use rtms_protocol::{Credentials, MediaParams, StreamAction, TranscriptParams, Webhook, WebhookKind};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    let WebhookKind::Stream(stream) = Webhook::parse(&body)?.kind else { bail!("not a webhook of a stream") };
    let StreamAction::Started { server_urls, .. } = stream.action else { bail!("not a started webhook") };

    let hosts = var("RTMS_ALLOWED_HOSTS").unwrap_or_else(|_| "*.zoom.us".into());
    let ca_file = var("RTMS_CA_FILE").ok().map(PathBuf::from);
    let options = ClientOptions::new(TlsRoots::system(ca_file.as_deref())?, UrlPolicy::parse(&hosts, false)?);
    let session = SessionConfig {
        identity: stream.identity,
        credentials: Credentials {
            client_id: var("ZOOM_APP_CLIENT_ID").context("ZOOM_APP_CLIENT_ID")?,
            client_secret: var("ZOOM_APP_CLIENT_SECRET").context("ZOOM_APP_CLIENT_SECRET")?.into(),
        },
        server_urls,
        media: MediaParams { transcript: Some(TranscriptParams::default()), ..MediaParams::default() },
        sockets: MediaSockets::Single,
        buffer_data: true,
        rejoins: false,
        timeouts: Timeouts::default(),
        seed: u64::from(std::process::id()),
    };

    let mut client = Client::new(session, Arc::new(options));
    while let Some(event) = client.next().await {
        match event {
            ClientEvent::Media(frame) => {
                let packet = frame.packet()?;
                println!(
                    "[{}] {}: {}",
                    packet.timestamp,
                    packet.user_name.as_deref().unwrap_or("?"),
                    packet.text()
                );
            }
            ClientEvent::Notice(notice) => eprintln!("{notice:?}"),
        }
    }
    Ok(())
}
