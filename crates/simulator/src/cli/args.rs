//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rtms_protocol::Product;
use rtms_simulator::Simulator;
use rtms_simulator::content::files::Files;
use rtms_simulator::scenario::{Course, Program, Scenario};

use super::faults::FaultArgs;
use super::settings::Wrong;

/// Plays Zoom: signed webhooks, signaling and media sockets, for tests, demonstrations and load.
///
/// What the client asks for decides what is played: every row of Zoom's matrix of media types, codecs, rates and layouts.
#[derive(Debug, Parser)]
#[command(name = "rtms-simulator", version)]
pub(crate) struct Cli {
    /// TOML file with ZOOM_SECRET_TOKEN, ZOOM_APP_CLIENT_ID, ZOOM_APP_CLIENT_SECRET, ZOOM_VIDEO_SDK_KEY,
    /// ZOOM_VIDEO_SDK_SECRET; a .env file and the environment win over it, flags over all
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the signaling and media servers until stopped
    Serve(Box<ServeArgs>),
    /// Send a gateway the webhooks of engagements and play them; exit 0 if the client took everything
    Call(Box<CallArgs>),
    /// Play many streams at once from shared payloads, and report how late the simulator itself was
    Load(Box<LoadArgs>),
    /// Write ca.pem, cert.pem and key.pem into a folder, for clients that must trust the CA beforehand
    Certificate(CertificateArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ProductArg {
    ContactCenter,
    Meeting,
    Webinar,
    VideoSdk,
    Phone,
}

impl From<ProductArg> for Product {
    fn from(arg: ProductArg) -> Self {
        match arg {
            ProductArg::ContactCenter => Self::ContactCenter,
            ProductArg::Meeting => Self::Meeting,
            ProductArg::Webinar => Self::Webinar,
            ProductArg::VideoSdk => Self::VideoSdk,
            ProductArg::Phone => Self::Phone,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CourseArg {
    /// Two parties talk; Contact Center: with a hold; meetings: a camera, a shared screen and a chat
    Usual,
    /// About everything that can happen: a supervisor takes over, calls are transferred; people come late, leave,
    /// return, are muted, change their names; several cameras; words come interim and are corrected
    Busy,
}

impl From<CourseArg> for Course {
    fn from(arg: CourseArg) -> Self {
        match arg {
            CourseArg::Usual => Self::Usual,
            CourseArg::Busy => Self::Busy,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct CredentialArgs {
    /// Client id that handshakes are signed with [env: ZOOM_APP_CLIENT_ID]
    #[arg(long)]
    pub(crate) client_id: Option<String>,
    /// Its secret [env: ZOOM_APP_CLIENT_SECRET]
    #[arg(long)]
    pub(crate) client_secret: Option<String>,
    /// Secret token that webhooks are signed with [env: ZOOM_SECRET_TOKEN]
    #[arg(long)]
    pub(crate) secret_token: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port; 0 takes a free one [default: 9443 for serve, else 0]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Host name in the URLs that clients are given
    #[arg(long, default_value = "localhost")]
    pub(crate) public_host: String,
    /// Certificate chain, PEM; without it one is made for this run
    #[arg(long, requires = "key", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Key of the certificate, PEM
    #[arg(long, requires = "cert", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Write the CA of the made certificate to this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cert", "insecure"])]
    pub(crate) ca_out: Option<PathBuf>,
    /// No TLS: ws://
    #[arg(long, conflicts_with = "cert")]
    pub(crate) insecure: bool,
    /// How many times faster than real time; timestamps on the wire stay those of a real call
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// Seconds between keep-alives
    #[arg(long, default_value_t = 10.0)]
    pub(crate) keep_alive: f64,
    /// A second connection replaces the first instead of being refused
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScenarioArgs {
    /// What is played
    #[arg(long, value_enum, default_value = "contact_center")]
    pub(crate) product: ProductArg,
    /// What happens in it
    #[arg(long, value_enum, default_value = "usual")]
    pub(crate) course: CourseArg,
    /// Length of a stream in seconds; what is played begins anew where it is shorter [default: 24, or as long as the
    /// files that are played]
    #[arg(long, value_parser = seconds)]
    pub(crate) duration: Option<f64>,
}

impl ScenarioArgs {
    pub(crate) fn duration_ms(&self) -> i64 {
        self.asked_duration_ms().unwrap_or(USUAL_DURATION_MS)
    }

    fn asked_duration_ms(&self) -> Option<i64> {
        self.duration.map(|seconds| (seconds * 1000.0).round() as i64)
    }

    /// What all streams of this run play.
    pub(crate) fn program(&self, files: &FileArgs, simulator: &Simulator) -> Result<Arc<Program>, Wrong> {
        let files = files.files();
        if files.is_empty() {
            return Ok(simulator.program(self.product.into(), self.course.into(), self.duration_ms()));
        }
        let content = files.read().map_err(|wrong| Wrong(wrong.iter().map(ToString::to_string).collect()))?;
        let (product, duration_ms) = (self.product.into(), self.asked_duration_ms());
        let scenario = Scenario::replay(product, &content, &files.voices(), duration_ms);
        Ok(Program::new(scenario, Arc::new(content)))
    }
}

/// Length of the built-in conversation.
const USUAL_DURATION_MS: i64 = 24_000;

#[derive(Debug, Args)]
#[command(next_help_heading = "Your own call instead of the built-in one (what is not named is not played)")]
pub(crate) struct FileArgs {
    /// Sound, WAV of any rate, mono or stereo; one is the mix, two are two parties (the first is the customer), more
    /// are participants
    #[arg(long, value_name = "FILE", conflicts_with = "course")]
    pub(crate) audio: Vec<PathBuf>,
    /// Camera: MP4 with H.264, or .h264 with the ms of its pictures in .times beside it; .jpg and .png for clients that
    /// ask for images, several are shown one after the other
    #[arg(long, value_name = "FILE", conflicts_with = "course")]
    pub(crate) video: Vec<PathBuf>,
    /// Shared screen, the same kinds of files
    #[arg(long, value_name = "FILE", conflicts_with = "course")]
    pub(crate) share: Vec<PathBuf>,
    /// Who says what: WebVTT (<v Name>, <lang he>) or SRT (Name: words)
    #[arg(long, value_name = "FILE", conflicts_with = "course")]
    pub(crate) transcript: Option<PathBuf>,
    /// Who writes what, likewise; the same cue identifier again changes a message, without text deletes it
    #[arg(long, value_name = "FILE", conflicts_with = "course")]
    pub(crate) chat: Option<PathBuf>,
}

impl FileArgs {
    fn files(&self) -> Files {
        Files {
            audio: self.audio.clone(),
            video: self.video.clone(),
            share: self.share.clone(),
            transcript: self.transcript.clone(),
            chat: self.chat.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    /// Play to whoever joins an unknown stream, as if it had just started, instead of refusing it
    #[arg(long)]
    pub(crate) any_stream: bool,
    /// Stop after so many seconds
    #[arg(long, value_parser = seconds)]
    pub(crate) run_for: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// The gateway; /api/webhooks/zoom is added where the URL has no path
    #[arg(long, default_value = "http://localhost:3001")]
    pub(crate) gateway: String,
    /// Seconds after which a webhook that was not accepted is sent again (Zoom waits as many minutes)
    #[arg(long, value_delimiter = ',', default_value = "5,25,85", value_parser = seconds)]
    pub(crate) redeliver: Vec<f64>,
    /// Put the payload's fields into payload.object
    #[arg(long)]
    pub(crate) nested: bool,
    /// Print one JSON object instead of words
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// Id of the engagement, meeting, session or call; made up without it
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Id of the stream; made up without it
    #[arg(long)]
    pub(crate) stream_id: Option<String>,
    /// Engagements, one after the other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) count: u32,
    /// Validate the gateway's URL first, as Zoom does
    #[arg(long)]
    pub(crate) validate_url: bool,
    #[command(flatten)]
    pub(crate) faults: FaultArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// Streams at the same time
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) streams: u32,
    /// Seconds over which their starts are spread
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub(crate) ramp: f64,
    /// Threads that play; 0 takes one for each processor
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=64))]
    pub(crate) threads: u8,
    /// Of the streams, cut so many percent a minute, at any time: media closed, ended or reset, or signaling, in turn
    #[arg(long, default_value_t = 0.0, value_parser = percent, value_name = "PERCENT")]
    pub(crate) cut_percent: f64,
    #[command(flatten)]
    pub(crate) faults: FaultArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CertificateArgs {
    /// Where to
    pub(crate) folder: PathBuf,
    /// Host name besides localhost and 127.0.0.1
    #[arg(long, default_value = "localhost")]
    pub(crate) public_host: String,
}

pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0 to 86400 is needed, for example 2.5".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=1_000.0).contains(&percent) => Ok(percent),
        _ => Err("a number from 0 to 1000 is needed, for example 10".to_owned()),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=100.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 0.1 to 100 is needed, for example 4".to_owned()),
    }
}
