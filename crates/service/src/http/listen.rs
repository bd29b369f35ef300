//! Binding a listener, with an error that names the variable to change.

use std::io::ErrorKind;
use std::net::IpAddr;

use tokio::net::TcpListener;

use crate::program::RunError;

/// Listens on `host`:`port`. `host` is an address or a name.
///
/// # Errors
/// One line that names `variable`, for exit status 2.
pub async fn bind(host: &str, port: u16, variable: &str) -> Result<TcpListener, RunError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = match bare.parse::<IpAddr>() {
        Ok(ip) => TcpListener::bind((ip, port)).await,
        Err(_) => TcpListener::bind((bare, port)).await,
    };
    address.map_err(|error| {
        let problem = match error.kind() {
            ErrorKind::AddrInUse => {
                format!("port {port} on {host} is in use; stop what uses it or choose another")
            }
            ErrorKind::PermissionDenied => {
                format!("port {port} on {host} is not permitted; choose one from 1024")
            }
            _ => format!("cannot listen on {host}, port {port}: {error}"),
        };
        RunError::Start(format!("{variable}: {problem}"))
    })
}
