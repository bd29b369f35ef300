//! The server: a listener with a certificate of its own, the streams that are announced, one task a socket.

mod door;
mod handshake;
mod keep_alive;
mod media;
mod requests;
mod rubbish;
mod signaling;
mod socket;
mod tls;
mod transport;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rtms_protocol::{Credentials, Product, StreamIdentity};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock::{StreamClock, unix_now};
use crate::content::Content;
use crate::faults::{Cut, Faults};
use crate::handle::StreamHandle;
use crate::lateness::Lateness;
use crate::scenario::{Course, Program};
use crate::stream::{Parts, Phase, SecondConnection, Stream, Timing, conductor};
use socket::{Asked, Route, Socket};
pub use tls::{TlsError, write_certificate};

/// Connections at one time; beyond it new ones wait to be accepted.
const MAX_CONNECTIONS: usize = 20_000;
/// Streams at one time; Zoom's own limit for an account is 2,000.
const MAX_STREAMS: usize = 10_000;
/// For TLS and the WebSocket handshake.
const ACCEPT_PATIENCE: Duration = Duration::from_secs(10);

/// How the sockets are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// TLS with a CA and a certificate made for this run.
    #[default]
    MadeUp,
    /// TLS with the user's certificate chain and key, PEM.
    Files {
        /// Certificate chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// None: `ws://`.
    Off,
}

/// The stream that is played to whoever asks for an unknown one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnyStream {
    /// What is played.
    pub product: Product,
    /// What happens in it.
    pub course: Course,
    /// How long, in ms.
    pub duration_ms: i64,
}

/// How Zoom is played.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The name in the URLs that clients are given.
    pub public_host: String,
    /// TLS or not.
    pub encryption: Encryption,
    /// What handshakes must be signed with.
    pub credentials: Credentials,
    /// The same for Video SDK sessions, where it differs.
    pub video_sdk_credentials: Option<Credentials>,
    /// What a second connection of a kind gets.
    pub second_connection: SecondConnection,
    /// Zoom's patience.
    pub timing: Timing,
    /// How many times faster than a real call.
    pub speed: f64,
    /// Where the clock of a stream stands still until its first client has taken what is due, ms from time zero; it then
    /// stands still at the end as well until the client is there. So how fast a machine is does not decide what a client
    /// can have of a short call. `None`: a stream waits for nobody, as Zoom's.
    pub waits_at: Option<i64>,
    /// Whether unknown streams are played instead of refused.
    pub any_stream: Option<AnyStream>,
}

impl SimulatorConfig {
    /// On a free port of this host, with TLS and Zoom's own timing.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            public_host: "localhost".to_owned(),
            encryption: Encryption::default(),
            credentials,
            video_sdk_credentials: None,
            second_connection: SecondConnection::default(),
            timing: Timing::default(),
            speed: 1.0,
            waits_at: None,
            any_stream: None,
        }
    }

    fn credentials_for(&self, product: Product) -> &Credentials {
        match (&self.video_sdk_credentials, product) {
            (Some(sdk), Product::VideoSdk) => sdk,
            _ => &self.credentials,
        }
    }
}

/// Why the simulator does not start, or does not announce a stream.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A stream of this id runs.
    #[error("stream {0} is already there")]
    Duplicate(String),
    /// Too many streams.
    #[error("{MAX_STREAMS} streams are the most that one simulator plays")]
    Full,
}

/// What all sockets share.
pub(crate) struct Shared {
    config: SimulatorConfig,
    base_url: String,
    streams: Mutex<HashMap<String, Arc<Stream>>>,
    programs: Mutex<HashMap<(Product, Course, i64), Arc<Program>>>,
    lateness: Arc<Lateness>,
    door: door::Door,
    stop: CancellationToken,
}

impl Shared {
    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base_url)
    }

    fn stream(&self, stream_id: &str) -> Option<Arc<Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).get(stream_id).cloned()
    }

    /// Resolves once the stream's sockets are to be closed.
    async fn closed(&self, stream: &Stream) {
        let _ = stream.stage.subscribe().wait_for(|stage| stage.phase == Phase::Closed).await;
    }

    /// A handshake that gets no answer. Where the connection stays, it does so until the client goes.
    async fn unanswered(&self, socket: Socket, how: Cut) {
        tracing::debug!(?how, "a handshake is left without an answer, as planned");
        socket.end(how).await;
    }

    fn announce_any(self: &Arc<Self>, any: &AnyStream, id: &str, stream_id: &str) -> Option<Arc<Stream>> {
        let identity =
            StreamIdentity { product: any.product, id: id.to_owned(), stream_id: stream_id.to_owned() };
        let program = self.program(any.product, any.course, any.duration_ms);
        let handle = self.announce(identity, program, Faults::default()).ok()?;
        Some(handle.into_stream())
    }

    /// The program of one of a product's courses, shared by all streams that play it.
    fn program(&self, product: Product, course: Course, duration_ms: i64) -> Arc<Program> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Program::new(course.scenario(product, duration_ms), Content::built_in());
        Arc::clone(programs.entry((product, course, duration_ms)).or_insert_with(make))
    }

    fn announce(
        self: &Arc<Self>,
        identity: StreamIdentity,
        program: Arc<Program>,
        faults: Faults,
    ) -> Result<StreamHandle, SimulatorError> {
        let (commands, command_receiver) = mpsc::channel(16);
        let (notices, notice_receiver) = mpsc::channel(64);
        let clock = StreamClock::standing(unix_now(), self.config.speed);
        let stream_id = identity.stream_id.clone();
        let stalled = faults.stall_connections.clone();
        let (timing, waits_at, base_url) = (self.config.timing, self.config.waits_at, self.base_url.clone());
        let stream = Arc::new(Stream::new(Parts {
            identity,
            program,
            clock,
            faults,
            timing,
            waits_at,
            base_url,
            commands,
            notices,
        }));
        {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            if streams.len() >= MAX_STREAMS {
                return Err(SimulatorError::Full);
            }
            if streams.contains_key(&stream_id) {
                return Err(SimulatorError::Duplicate(stream_id));
            }
            streams.insert(stream_id.clone(), Arc::clone(&stream));
        }
        self.door.stall(&stalled);
        let plan = conductor::Plan::begin(&stream);
        let (shared, conducted) = (Arc::clone(self), Arc::clone(&stream));
        tokio::spawn(async move {
            let stop = shared.stop.clone();
            tokio::select! {
                () = conductor::conduct(conducted, plan, command_receiver) => {}
                () = stop.cancelled() => {}
            }
            shared.streams.lock().unwrap_or_else(PoisonError::into_inner).remove(&stream_id);
        });
        Ok(StreamHandle::new(stream, notice_receiver, self.url("signaling")))
    }
}

/// A running simulator. Dropping it ends all sockets.
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    ca_pem: Option<String>,
}

impl Simulator {
    /// Listens, makes the certificate, and serves in tasks of the current runtime.
    ///
    /// # Errors
    /// When the address cannot be had or there is no certificate.
    pub async fn start(config: SimulatorConfig) -> Result<Self, SimulatorError> {
        let identity = match &config.encryption {
            Encryption::MadeUp => Some(tls::made_up(&config.public_host)?),
            Encryption::Files { certificate, key } => Some(tls::from_files(certificate, key)?),
            Encryption::Off => None,
        };
        let failed = |source| SimulatorError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let scheme = if identity.is_some() { "wss" } else { "ws" };
        let shared = Arc::new(Shared {
            base_url: format!("{scheme}://{}:{}", config.public_host, address.port()),
            config,
            streams: Mutex::new(HashMap::new()),
            programs: Mutex::new(HashMap::new()),
            lateness: Arc::new(Lateness::default()),
            door: door::Door::default(),
            stop: CancellationToken::new(),
        });
        let (acceptor, ca_pem) = identity.map_or((None, None), |i| (Some(i.acceptor), i.ca_pem));
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            let stop = serving.stop.clone();
            tokio::select! {
                () = accept_loop(serving, listener, acceptor) => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Self { shared, address, ca_pem })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The signaling URL for `server_urls`.
    #[must_use]
    pub fn signaling_url(&self) -> String {
        self.shared.url("signaling")
    }

    /// PEM of the CA that clients must trust; `None` without a certificate made for this run.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// How many connections were accepted so far, whatever became of them.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.door.accepted()
    }

    /// Lets nobody who comes from now on get further than the door, until it is opened again.
    pub fn close_door(&self) {
        self.shared.door.set_open(false);
    }

    /// Lets in who waits at the door.
    pub fn open_door(&self) {
        self.shared.door.set_open(true);
    }

    /// Goes away as a machine does that lost its power line: no port, no sockets, no goodbye.
    pub fn shut_down(&self) {
        self.shared.stop.cancel();
    }

    /// How late packets left.
    #[must_use]
    pub fn lateness(&self) -> &Lateness {
        &self.shared.lateness
    }

    /// The usual course of a product, rendered once for all streams that play it.
    #[must_use]
    pub fn usual_program(&self, product: Product, duration_ms: i64) -> Arc<Program> {
        self.program(product, Course::Usual, duration_ms)
    }

    /// The same for any of a product's courses.
    #[must_use]
    pub fn program(&self, product: Product, course: Course, duration_ms: i64) -> Arc<Program> {
        self.shared.program(product, course, duration_ms)
    }

    /// Lets a stream begin now: its audio is captured from this moment, whether or not anybody connects.
    ///
    /// # Errors
    /// When a stream of this id runs, or too many do.
    pub fn announce(
        &self,
        identity: StreamIdentity,
        program: Arc<Program>,
        faults: Faults,
    ) -> Result<StreamHandle, SimulatorError> {
        self.shared.announce(identity, program, faults)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

async fn accept_loop(
    shared: Arc<Shared>,
    listener: TcpListener,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Ended with this loop, so that none of them has to watch for that with every packet.
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let accepted = loop {
            tokio::select! {
                accepted = listener.accept() => break accepted,
                Some(_) = connections.join_next() => {}
            }
        };
        match accepted {
            Ok((tcp, _)) => {
                let stalled = shared.door.enter();
                let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
                connections.spawn(async move {
                    if stalled {
                        door::hold(tcp).await;
                    } else {
                        shared.door.opened().await;
                        serve_connection(shared, tcp, acceptor).await;
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                // Usually too many open files: others close, and then it goes on.
                tracing::warn!(%error, "cannot accept a connection; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(shared: Arc<Shared>, tcp: TcpStream, acceptor: Option<tokio_rustls::TlsAcceptor>) {
    // 20 ms packets must not wait for an acknowledgement of the one before.
    let _ = tcp.set_nodelay(true);
    let opened = timeout(ACCEPT_PATIENCE, open(tcp, acceptor)).await;
    match opened {
        Ok(Some((socket, Route { server, asked: Asked::Signaling }))) => {
            signaling::serve(shared, socket, server).await;
        }
        Ok(Some((socket, Route { server, asked: Asked::Media(kind) }))) => {
            media::serve(shared, socket, server, kind).await;
        }
        Ok(None) | Err(_) => tracing::debug!("a connection that did not become a WebSocket"),
    }
}

async fn open(tcp: TcpStream, acceptor: Option<tokio_rustls::TlsAcceptor>) -> Option<(Socket, Route)> {
    let transport = match acceptor {
        Some(acceptor) => transport::Transport::Tls(Box::new(acceptor.accept(tcp).await.ok()?)),
        None => transport::Transport::Plain(tcp),
    };
    Socket::accept(transport).await
}
