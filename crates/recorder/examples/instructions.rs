//! A fixed piece of the hot path, for `scripts/bench gate`, which runs it under valgrind and counts its instructions.
//!
//! Instructions are the same on a busy machine and on an idle one, which times are not. What is played: `session` (each
//! message through the session, as the client does), `mixed` and `parties` (parsed, decoded, placed and written, flushed
//! every 100 ms, as a writer thread does). The gate runs it at two lengths and takes the difference, so that beginning
//! and end cost nothing. It fails unless every packet arrived.
//!
//! Usage: instructions session|mixed|parties PACKETS FOLDER

#![expect(clippy::expect_used, clippy::panic, reason = "a program for the gate fails by panicking")]

use std::path::Path;

use bytes::Bytes;
use rtms_protocol::session::{MediaSockets, SocketId, Timeouts};
use rtms_protocol::{
    AudioData, AudioParams, Credentials, Input, Instant, MediaFrame, MediaKind, MediaPacket, MediaParams,
    MediaSet, Output, Product, Session, SessionConfig, StreamIdentity, UnixMillis, WireId,
};
use rtms_recorder::{Partition, Recording, RecordingSpec};

/// Zoom's clock at the first packet.
const START: UnixMillis = UnixMillis(1_765_449_000_000);
/// Length of a packet, ms.
const PACKET_MS: i64 = 20;
/// Packets between two flushes.
const BATCH: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, packets, folder] = &arguments[..] else { panic!("session|mixed|parties PACKETS FOLDER") };
    let packets: usize = packets.parse().expect("a number of packets");
    match what.as_str() {
        "session" => session(packets),
        "mixed" => record(packets, AudioData::Mixed, Path::new(folder)),
        "parties" => record(packets, AudioData::Separate, Path::new(folder)),
        other => panic!("{other} is not played here"),
    }
}

fn identity() -> StreamIdentity {
    StreamIdentity { product: Product::ContactCenter, id: "engagement".into(), stream_id: "stream".into() }
}

fn params(data_opt: AudioData) -> MediaParams {
    MediaParams { audio: Some(AudioParams { data_opt, ..AudioParams::default() }), ..MediaParams::default() }
}

/// Messages of 20 ms of 16 kHz, mono, rendered once; to send one is to write its timestamp into it.
struct Sender {
    /// One for each party, with the place of its timestamp.
    messages: Vec<(Vec<u8>, usize)>,
}

impl Sender {
    fn new(data_opt: AudioData) -> Self {
        let parties = if data_opt == AudioData::Separate { vec![Some(1), Some(2)] } else { vec![None] };
        Self { messages: parties.into_iter().map(Self::render).collect() }
    }

    fn render(party: Option<i64>) -> (Vec<u8>, usize) {
        let payload: Vec<u8> = (0..640_u32).map(|at| u8::try_from(at * 7 % 251).unwrap_or(0)).collect();
        let text = rtms_protocol::frame::encode_payload(&payload);
        let mut packet = MediaPacket::new(MediaKind::Audio, START, text);
        packet.user_id = Some(WireId::Number(party.unwrap_or(0)));
        packet.channel_id = party.map(WireId::Number);
        packet.length = Some(640);
        let json = packet.to_json();
        let place = json.find(&START.0.to_string()).expect("a timestamp");
        (json.into_bytes(), place)
    }

    /// The message with this number; parties take turns.
    fn message(&mut self, number: usize) -> Bytes {
        let parties = self.messages.len();
        let at = START.plus(i64::try_from(number / parties).expect("a small number") * PACKET_MS);
        let (json, place) = &mut self.messages[number % parties];
        let digits = at.0.to_string();
        json[*place..*place + digits.len()].copy_from_slice(digits.as_bytes());
        Bytes::copy_from_slice(json)
    }
}

fn record(packets: usize, data_opt: AudioData, folder: &Path) {
    let spec = RecordingSpec {
        data_dir: folder.to_path_buf(),
        partition: Partition::None,
        identity: identity(),
        started_at: START,
        account_id: None,
        expect: MediaSet::of(MediaKind::Audio),
        images: MediaSet::EMPTY,
        server_urls: Vec::new(),
    };
    let mut recording = Recording::create(spec).expect("begun");
    recording.granted(&params(data_opt));
    let mut sender = Sender::new(data_opt);
    for number in 0..packets {
        let frame = MediaFrame { kind: MediaKind::Audio, bytes: sender.message(number) };
        let packet = frame.packet().expect("parses");
        let now = packet.timestamp;
        recording.media(now, &packet).expect("recorded");
        if (number + 1).is_multiple_of(BATCH) {
            recording.flush(now).expect("flushed");
        }
    }
    let taken: u64 = recording.progress().tracks.iter().map(|track| track.packets).sum();
    assert_eq!(taken, packets as u64, "packets are missing");
}

fn session(packets: usize) {
    let config = SessionConfig {
        identity: identity(),
        credentials: Credentials { client_id: "cid".into(), client_secret: "secret".into() },
        server_urls: vec!["wss://rtms.zoom.us".into()],
        media: params(AudioData::Mixed),
        sockets: MediaSockets::Single,
        buffer_data: true,
        rejoins: false,
        timeouts: Timeouts::default(),
        seed: 1,
    };
    let mut session = Session::new(config);
    let media = join(&mut session);
    let mut sender = Sender::new(AudioData::Mixed);
    let mut taken = 0;
    for number in 0..packets {
        // Time does not run far: nobody answers for a signaling socket here.
        let now = Instant::from_millis(1_000 + number as u64 % 100);
        session.handle_input(now, Input::Frame(media, sender.message(number)));
        loop {
            match session.poll_output() {
                Output::Media(_) => taken += 1,
                Output::Idle(_) => break,
                _ => {}
            }
        }
    }
    assert_eq!(taken, packets, "packets are missing");
}

/// Shakes hands on both sockets; the one for media.
fn join(session: &mut Session) -> SocketId {
    let now = Instant::from_millis(0);
    session.handle_input(now, Input::Tick);
    let signaling = opened(session).expect("signaling");
    session.handle_input(now, Input::Opened(signaling));
    let answer =
        r#"{"msg_type":2,"status_code":0,"media_server":{"server_urls":{"all":"wss://rtms.zoom.us/all"}}}"#;
    session.handle_input(now, Input::Frame(signaling, Bytes::from_static(answer.as_bytes())));
    let media = opened(session).expect("media");
    session.handle_input(now, Input::Opened(media));
    let answer = r#"{"msg_type":4,"status_code":0}"#;
    session.handle_input(now, Input::Frame(media, Bytes::from_static(answer.as_bytes())));
    while !matches!(session.poll_output(), Output::Idle(_)) {}
    media
}

/// The socket that is to be opened, once everything that is to be done is known.
fn opened(session: &mut Session) -> Option<SocketId> {
    let mut found = None;
    loop {
        match session.poll_output() {
            Output::Open { socket, .. } => found = Some(socket),
            Output::Idle(_) => return found,
            _ => {}
        }
    }
}
