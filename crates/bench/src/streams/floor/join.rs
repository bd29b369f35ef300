//! Joining a stream: signaling handshake, media handshake, ready; then one task for each of the two sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use rtms_protocol::{Credentials, MsgType, StreamIdentity, handshake_signature, peek_msg_type};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::Floor;
use crate::audio::floor::Floor as File;
use crate::streams::generator::{CLIENT_ID, CLIENT_SECRET};

/// A little more than four packets.
const READ_BUFFER: usize = 4 * 1024;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Joins and records a stream to its end.
pub(super) async fn join(floor: Arc<Floor>, identity: StreamIdentity, urls: &[String]) -> anyhow::Result<()> {
    let credentials = Credentials { client_id: CLIENT_ID.to_owned(), client_secret: CLIENT_SECRET.into() };
    let signature = handshake_signature(&credentials, &identity.id, &identity.stream_id);
    let mut signaling = open(&floor, urls.first().context("no URL")?).await?;
    let request = |mut message: Value| {
        message["protocol_version"] = json!(1);
        message["sequence"] = json!(1);
        message[identity.product.id_field()] = json!(identity.id);
        message["rtms_stream_id"] = json!(identity.stream_id);
        message["signature"] = json!(signature);
        message
    };
    say(&mut signaling, request(json!({"msg_type": 1}))).await?;
    let answer = granted(&mut signaling).await?;
    let url = answer["media_server"]["server_urls"]["all"].as_str().context("no media URL")?.to_owned();
    let mut media = open(&floor, &url).await?;
    let params = json!({
        "audio": {"content_type": 2, "sample_rate": 1, "channel": 1, "codec": 1, "data_opt": 1, "send_rate": 20},
        "transcript": {"content_type": 5}
    });
    let ask =
        request(json!({"msg_type": 3, "media_type": 9, "payload_encryption": false, "media_params": params}));
    say(&mut media, ask).await?;
    granted(&mut media).await?;
    say(&mut signaling, json!({"msg_type": 7, "rtms_stream_id": identity.stream_id})).await?;
    let path = floor.dir.join(format!("{}.raw", identity.stream_id));
    let file = File::create(&path)?;
    tokio::spawn(async move { drop(follow(signaling).await) });
    record(&floor, media, file).await
}

async fn open(floor: &Floor, url: &str) -> anyhow::Result<Socket> {
    let uri: Uri = url.parse()?;
    let host = uri.host().context("no host")?.to_owned();
    let tcp = TcpStream::connect((host.as_str(), uri.port_u16().context("no port")?)).await?;
    tcp.set_nodelay(true)?;
    let tls = floor.tls.connect(ServerName::try_from(host)?, tcp).await?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER).write_buffer_size(0);
    let (socket, _) = client_async_with_config(ClientRequestBuilder::new(uri), tls, Some(config)).await?;
    Ok(socket)
}

async fn say(socket: &mut Socket, message: Value) -> anyhow::Result<()> {
    Ok(socket.send(Message::text(message.to_string())).await?)
}

/// The next message; `None` after the last.
async fn next(socket: &mut Socket) -> anyhow::Result<Option<Bytes>> {
    loop {
        match socket.next().await.transpose()? {
            Some(Message::Text(text)) => return Ok(Some(text.into())),
            Some(Message::Binary(bytes)) => return Ok(Some(bytes)),
            Some(Message::Close(_)) | None => return Ok(None),
            Some(_) => {}
        }
    }
}

async fn granted(socket: &mut Socket) -> anyhow::Result<Value> {
    let Some(answer) = next(socket).await? else { bail!("no answer") };
    let answer: Value = serde_json::from_slice(&answer)?;
    ensure!(answer["status_code"] == 0, "refused: {answer}");
    Ok(answer)
}

async fn keep_alive(socket: &mut Socket, request: &[u8]) -> anyhow::Result<()> {
    let mut answer: Value = serde_json::from_slice(request)?;
    answer["msg_type"] = json!(13);
    say(socket, answer).await
}

async fn follow(mut signaling: Socket) -> anyhow::Result<()> {
    while let Some(message) = next(&mut signaling).await? {
        if peek_msg_type(&message) == Some(MsgType::KeepAliveRequest) {
            keep_alive(&mut signaling, &message).await?;
        }
    }
    Ok(())
}

async fn record(floor: &Floor, mut media: Socket, mut file: File) -> anyhow::Result<()> {
    while let Some(message) = next(&mut media).await? {
        match peek_msg_type(&message) {
            Some(MsgType::MediaAudio) => {
                file.packet(&message)?;
                floor.packets.fetch_add(1, Ordering::Relaxed);
            }
            Some(MsgType::KeepAliveRequest) => keep_alive(&mut media, &message).await?,
            _ => {}
        }
    }
    Ok(file.flush()?)
}
