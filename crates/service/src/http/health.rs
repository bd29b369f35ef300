//! The client behind `rtms-… health`: one GET of `/health` on this host, with nothing but a socket, so
//! that a container's health check stays light. It refuses to wait longer than three seconds.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the service that listens on `host`:`port` of this machine answers `/health` with 200.
///
/// # Errors
/// One line that says what is wrong.
pub fn healthy(host: &str, port: u16) -> Result<(), String> {
    let address = SocketAddr::new(reachable(host), port);
    let problem = |what: &str, error: std::io::Error| format!("http://{address}/health {what}: {error}");
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).map_err(|e| problem("does not connect", e))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|e| problem("fails", e))?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(|e| problem("fails", e))?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|e| problem("takes no request", e))?;
    let mut status = [0_u8; "HTTP/1.1 200".len()];
    stream.read_exact(&mut status).map_err(|e| problem("does not answer", e))?;
    let status = String::from_utf8_lossy(&status);
    match status.split_once(' ') {
        Some((_, "200")) => Ok(()),
        Some((_, code)) => Err(format!("http://{address}/health answers {}", code.escape_debug())),
        None => Err(format!("http://{address}/health does not speak HTTP")),
    }
}

/// The address to ask where a service listens on `host`: itself, unless it means "everywhere" or is a name.
fn reachable(host: &str) -> IpAddr {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Ok(ip) if !ip.is_unspecified() => ip,
        _ => Ipv4Addr::LOCALHOST.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_loopback_for_everywhere() {
        assert_eq!(reachable("0.0.0.0").to_string(), "127.0.0.1");
        assert_eq!(reachable("::").to_string(), "::1");
        assert_eq!(reachable("[::]").to_string(), "::1");
        assert_eq!(reachable("localhost").to_string(), "127.0.0.1");
        assert_eq!(reachable("127.0.0.9").to_string(), "127.0.0.9");
    }
}
