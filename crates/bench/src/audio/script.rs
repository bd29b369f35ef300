//! What is played: audio messages as they come out of a WebSocket, rendered before any clock runs.

use bytes::Bytes;
use rtms_protocol::{
    AudioCodec, AudioContent, AudioData, AudioParams, Channels, MediaFrame, MediaKind, MediaPacket,
    MediaParams, SampleRate, UnixMillis, WireId, frame::encode_payload,
};

/// Zoom's clock at the first packet.
pub(crate) const START: UnixMillis = UnixMillis(1_765_449_000_000);
/// Length of a packet, ms.
pub(crate) const PACKET_MS: i64 = 20;
/// Samples of a packet in bytes: 20 ms of 16 kHz, 16 bits, mono.
pub(crate) const PAYLOAD_BYTES: usize = 640;
/// A turn is what a recording gets at once, ms; the worker hands media to its writers this often.
pub(crate) const TURN_MS: i64 = 100;

/// The messages of one stream, in the order of their arrival.
pub(crate) struct Script {
    /// What Zoom granted for it.
    pub(crate) granted: MediaParams,
    /// For each turn, the packets that arrive in it.
    pub(crate) turns: Vec<Vec<MediaFrame>>,
}

impl Script {
    /// Sound of `seconds`, mixed, or of two parties whose packets alternate.
    pub(crate) fn render(seconds: i64, data_opt: AudioData) -> Self {
        let parties = if data_opt == AudioData::Separate { 2 } else { 1 };
        let mut noise = fastrand::Rng::with_seed(20);
        let mut turn = |at: i64| {
            let times = (at..at + TURN_MS).step_by(PACKET_MS as usize);
            times
                .flat_map(|ms| (0..parties).map(move |party| (ms, party)))
                .map(|(ms, party)| {
                    let channel = (data_opt == AudioData::Separate).then_some(party + 1);
                    message(&mut noise, ms, channel)
                })
                .collect()
        };
        let turns = (0..seconds * 1000).step_by(TURN_MS as usize).map(&mut turn).collect();
        let audio = AudioParams {
            content_type: AudioContent::Raw,
            codec: AudioCodec::L16,
            sample_rate: SampleRate::Hz16000,
            channels: Channels::Mono,
            data_opt,
            send_rate_ms: 20,
        };
        Self { granted: MediaParams { audio: Some(audio), ..MediaParams::default() }, turns }
    }

    /// Packets of one stream.
    pub(crate) fn packets(&self) -> usize {
        self.turns.iter().map(Vec::len).sum()
    }

    /// All messages, in order.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &MediaFrame> {
        self.turns.iter().flatten()
    }
}

/// When a turn is over, our clock.
pub(crate) fn end_of_turn(turn: usize) -> UnixMillis {
    START.plus((i64::try_from(turn).unwrap_or(0) + 1) * TURN_MS)
}

fn message(noise: &mut fastrand::Rng, ms: i64, channel: Option<i64>) -> MediaFrame {
    let mut payload = [0; PAYLOAD_BYTES];
    noise.fill(&mut payload);
    let mut packet = MediaPacket::new(MediaKind::Audio, START.plus(ms), encode_payload(&payload));
    packet.user_id = Some(WireId::Number(channel.unwrap_or(0)));
    packet.channel_id = channel.map(WireId::Number);
    packet.length = u32::try_from(PAYLOAD_BYTES).ok();
    MediaFrame { kind: MediaKind::Audio, bytes: Bytes::from(packet.to_json()) }
}
