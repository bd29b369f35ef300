//! From a checked URL to an open WebSocket: name, TCP, TLS, upgrade. No redirect is followed, and no name that leads
//! into the internal network, unless the list of allowed hosts names it.

use std::net::SocketAddr;
use std::sync::Arc;

use rtms_protocol::session::{CloseCause, SocketKind};
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::either::Either;

use crate::address::is_public;
use crate::bounds::Bounded;
use crate::client::ClientOptions;
use crate::pace::Paced;
use crate::url_policy::Target;

/// A TCP connection, with TLS or without, that brings no more than its bounds allow.
pub(crate) type Stream = Bounded<Either<Paced, TlsStream<Paced>>>;

/// The connection below the bounds and TLS.
pub(crate) fn paced(stream: &mut Stream) -> &mut Paced {
    match stream.inner_mut() {
        Either::Left(plain) => plain,
        Either::Right(tls) => tls.get_mut().0,
    }
}

/// What the WebSocket layer reads at a time from a media socket, in bytes. It keeps as much for as long as the socket
/// lives, and clears it before each read: so little more than one message of sound. A longer message is read in as many
/// pieces.
const MEDIA_READ_BUFFER: usize = 2 * 1024;
/// The same for signaling, which has little to say.
const SIGNALING_READ_BUFFER: usize = 1024;
/// Our messages are small; a peer that reads none of them is gone.
const MAX_WRITE_BUFFER: usize = 256 * 1024;

/// Opens a WebSocket to `target`. The session keeps the deadline; dropping the future gives up.
pub(crate) async fn connect(
    target: Target,
    kind: SocketKind,
    options: Arc<ClientOptions>,
) -> Result<WebSocketStream<Stream>, CloseCause> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        CloseCause::ConnectFailed(format!("{what} {}:{}: {error}", target.host, target.port))
    };
    let found = lookup_host((target.host.as_str(), target.port)).await.map_err(|e| failed("name", &e))?;
    let addresses = permitted(&target, found).map_err(|e| failed("name", &e))?;
    let tcp = TcpStream::connect(&addresses[..]).await.map_err(|e| failed("TCP to", &e))?;
    tcp.set_nodelay(true).map_err(|e| failed("TCP to", &e))?;
    let tcp = Paced::new(tcp);
    let stream = if target.tls {
        let name = ServerName::try_from(target.host.clone()).map_err(|e| failed("TLS with", &e))?;
        let connector = TlsConnector::from(Arc::clone(&options.tls.config));
        Either::Right(connector.connect(name, tcp).await.map_err(|e| failed("TLS with", &e))?)
    } else {
        Either::Left(tcp)
    };
    // One byte more than is kept: what a skipped message leaves behind.
    let most = options.bounds.max_message_bytes.saturating_add(1);
    let read_buffer = match kind {
        SocketKind::Signaling => SIGNALING_READ_BUFFER,
        SocketKind::Media(_) => MEDIA_READ_BUFFER,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(read_buffer)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(most))
        .max_frame_size(Some(most));
    let request = ClientRequestBuilder::new(target.uri.clone());
    let stream = Bounded::new(stream, options.bounds.clone());
    let (opened, _) =
        client_async_with_config(request, stream, Some(config)).await.map_err(|error| match &error {
            // A body could hold anything; the status is what helps.
            Error::Http(response) => failed("WebSocket with", &format!("HTTP status {}", response.status())),
            _ => failed("WebSocket with", &error),
        })?;
    let stream = opened.into_inner();
    if !stream.is_at_first_frame() {
        return Err(failed("WebSocket with", &"its HTTP answer does not end in an empty line of CR LF"));
    }
    // Anew, because it would keep the buffer of the handshake for its messages, 4 KiB. Nothing but the answer was read.
    Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await)
}

/// The addresses of a name that may be connected to. It is what was looked up that is judged and connected to, so a name
/// cannot resolve to one thing for the check and to another for the connection.
fn permitted(
    target: &Target,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, &'static str> {
    let permitted: Vec<_> = found.filter(|address| target.named || is_public(address.ip())).collect();
    if permitted.is_empty() {
        return Err(
            "it has no public address, and only hosts that RTMS_ALLOWED_HOSTS names themselves may have another",
        );
    }
    Ok(permitted)
}

#[cfg(test)]
mod tests {
    use crate::url_policy::UrlPolicy;

    use super::*;

    #[test]
    fn a_name_does_not_lead_inside_unless_the_list_names_it() {
        let policy = UrlPolicy::parse("*.zoom.us,localhost", false).unwrap();
        let [inside, outside]: [SocketAddr; 2] =
            ["169.254.169.254:443", "170.114.0.1:443"].map(|text| text.parse().unwrap());
        let lookup = |url: &str, found: &[SocketAddr]| {
            permitted(&policy.check(url).unwrap(), found.iter().copied()).ok()
        };
        assert_eq!(lookup("wss://rtms.zoom.us", &[inside]), None);
        assert_eq!(lookup("wss://rtms.zoom.us", &[inside, outside]), Some(vec![outside]));
        assert_eq!(lookup("wss://localhost", &[inside]), Some(vec![inside]));
        assert_eq!(lookup("wss://rtms.zoom.us", &[]), None);
    }
}
