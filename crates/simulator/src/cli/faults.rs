//! The faults of `call` and `load`, as flags. Times are seconds of the stream.

use std::time::Duration;

use clap::{Args, ValueEnum};
use rtms_protocol::StatusCode;
use rtms_simulator::faults::{Cut, CutAt, Death, Faults, RtpFaults, Rubbish, RubbishAt};

use super::args::seconds;

/// How sockets that are cut go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum CutArg {
    /// A WebSocket close frame first
    Close,
    /// The connection ends without a word
    #[default]
    End,
    /// The connection is reset; repeat packets (--repeat), because some are lost on the way
    Reset,
    /// Half open: nothing more comes, and the connection stays
    Silence,
}

impl From<CutArg> for Cut {
    fn from(arg: CutArg) -> Self {
        match arg {
            CutArg::Close => Self::Close,
            CutArg::End => Self::End,
            CutArg::Reset => Self::Reset,
            CutArg::Silence => Self::Silence,
        }
    }
}

#[derive(Debug, Default, Args)]
#[command(
    next_help_heading = "Faults (times are seconds of the stream, whose clock waits at a cut for a client; several by comma)"
)]
pub(crate) struct FaultArgs {
    /// Cut the media sockets at these times
    #[arg(long, value_delimiter = ',', value_parser = seconds, value_name = "SECONDS")]
    pub(crate) cut_media: Vec<f64>,
    /// Cut the signaling socket at these times, and with it the media sockets
    #[arg(long, value_delimiter = ',', value_parser = seconds, value_name = "SECONDS")]
    pub(crate) cut_signaling: Vec<f64>,
    /// How sockets go away that are cut, and those of a server that dies
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) cut_how: CutArg,
    /// After a media socket came back, repeat so many audio packets
    #[arg(long, default_value_t = 0, value_name = "PACKETS")]
    pub(crate) repeat: u32,
    /// Of RTP packets of sound, never send the last of every so many
    #[arg(long, default_value_t = 0, value_name = "PACKETS")]
    pub(crate) rtp_lose: u32,
    /// Of RTP packets of sound, send the last of every so many after the one that follows it
    #[arg(long, default_value_t = 0, value_name = "PACKETS")]
    pub(crate) rtp_delay: u32,
    /// Of RTP packets of sound, send the last of every so many twice
    #[arg(long, default_value_t = 0, value_name = "PACKETS")]
    pub(crate) rtp_double: u32,
    /// Send messages that no server should send at these times, one of each kind on every socket
    #[arg(long, value_delimiter = ',', value_parser = seconds, value_name = "SECONDS")]
    pub(crate) rubbish: Vec<f64>,
    /// Let the server die at these times; a second later a new `started` webhook names another one
    #[arg(long, value_delimiter = ',', value_parser = seconds, value_name = "SECONDS")]
    pub(crate) move_server: Vec<f64>,
    /// End all sockets at this time and know the stream no more: the way back is refused with status 2
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    pub(crate) forget: Option<f64>,
    /// Send `interrupted` webhooks at these times, though nothing is wrong
    #[arg(long, value_delimiter = ',', value_parser = seconds, value_name = "SECONDS")]
    pub(crate) interrupted: Vec<f64>,
    /// Refuse the first signaling handshakes with these status codes, one each; 0 lets one pass
    #[arg(long, value_delimiter = ',', value_name = "CODES")]
    pub(crate) refuse_signaling: Vec<u16>,
    /// Refuse the first media handshakes with these status codes, one each; 0 lets one pass
    #[arg(long, value_delimiter = ',', value_name = "CODES")]
    pub(crate) refuse_media: Vec<u16>,
    /// Never answer the first so many signaling handshakes
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) mute_signaling: u32,
    /// Never answer the first so many media handshakes
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) mute_media: u32,
    /// Accept the first so many connections and never send a byte, not even TLS
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) stall_connections: u64,
}

/// From the death of a server to the webhook that names the next one.
const ANNOUNCED_AFTER: Duration = Duration::from_secs(1);

impl FaultArgs {
    /// The plan that these flags make.
    pub(crate) fn plan(&self) -> Faults {
        let how = self.cut_how.into();
        let cuts =
            |times: &[f64]| times.iter().map(|&time| CutAt { at_ms: millis(time), how }).collect::<Vec<_>>();
        let announced_after_ms = i64::try_from(ANNOUNCED_AFTER.as_millis()).unwrap_or(0);
        let death = |&time: &f64| Death { at_ms: millis(time), how, refuses: None, announced_after_ms };
        let rubbish = self
            .rubbish
            .iter()
            .flat_map(|&time| Rubbish::ALL.map(|what| RubbishAt { at_ms: millis(time), what }));
        let codes = |codes: &[u16]| {
            codes.iter().map(|&code| StatusCode::from_code(i64::from(code))).collect::<Vec<_>>()
        };
        Faults {
            cut_media: cuts(&self.cut_media),
            cut_signaling: cuts(&self.cut_signaling),
            repeat_packets: self.repeat,
            rtp: RtpFaults {
                lose_every: self.rtp_lose,
                delay_every: self.rtp_delay,
                double_every: self.rtp_double,
            },
            rubbish: rubbish.collect(),
            server_dies: self.move_server.iter().map(death).collect(),
            forget_at_ms: self.forget.map(millis),
            stale_interrupted_ms: self.interrupted.iter().copied().map(millis).collect(),
            refuse_signaling: codes(&self.refuse_signaling),
            refuse_media: codes(&self.refuse_media),
            mute_signaling: 0..self.mute_signaling,
            mute_media: 0..self.mute_media,
            stall_connections: 0..self.stall_connections,
        }
    }
}

/// How media is cut under load, in turn; every fourth cut is one of signaling.
const CUTS: [Cut; 3] = [Cut::Close, Cut::End, Cut::Reset];
/// A stream under load that is cut repeats so many packets, if no other number is asked for: a second of them.
const REPEATED: u32 = 50;
/// What is left of a stream after its last cut, ms: enough to come back.
const REST_MS: i64 = 5_000;

/// Adds the cuts of stream `number` to its faults, of a load in which `percent` of the streams are cut each minute.
pub(crate) fn add_cuts(faults: &mut Faults, number: u32, percent: f64, duration_ms: i64) {
    let each = percent / 100.0 * duration_ms as f64 / 60_000.0;
    let before = (f64::from(number) * each).floor() as u32;
    let after = ((f64::from(number) + 1.0) * each).floor() as u32;
    for cut in before..after {
        let at_ms = fastrand::i64(1_000..(duration_ms - REST_MS).max(1_001));
        match CUTS.get(cut as usize % 4) {
            Some(&how) => faults.cut_media.push(CutAt { at_ms, how }),
            None => faults.cut_signaling.push(CutAt { at_ms, how: Cut::End }),
        }
        faults.repeat_packets = faults.repeat_packets.max(REPEATED);
    }
    faults.cut_media.sort_by_key(|cut| cut.at_ms);
    faults.cut_signaling.sort_by_key(|cut| cut.at_ms);
}

fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn of_many_streams_so_many_are_cut_a_minute() {
        let plan = |number| {
            let mut faults = Faults::default();
            add_cuts(&mut faults, number, 10.0, 90_000);
            faults
        };
        let all: Vec<_> = (0..500).map(plan).collect();
        let media: Vec<_> = all.iter().flat_map(|faults| &faults.cut_media).collect();
        let signaling: Vec<_> = all.iter().flat_map(|faults| &faults.cut_signaling).collect();
        assert_eq!(media.len() + signaling.len(), 75, "a tenth of 500, for a minute and a half");
        assert!(CUTS.iter().all(|&how| media.iter().filter(|cut| cut.how == how).count() >= 18));
        assert_eq!(signaling.len(), 18);
        assert!(media.iter().chain(&signaling).all(|cut| (1_000..85_000).contains(&cut.at_ms)));
        assert!(all.iter().all(|faults| (faults.repeat_packets > 0) != (faults == &Faults::default())));
    }

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        faults: FaultArgs,
    }

    fn plan(line: &str) -> Faults {
        Line::try_parse_from(std::iter::once("call").chain(line.split_whitespace())).unwrap().faults.plan()
    }

    #[test]
    fn without_flags_nothing_goes_wrong() {
        assert_eq!(plan(""), Faults::default());
    }

    #[test]
    fn flags_become_a_plan() {
        let faults = plan(
            "--cut-media 1.5,3 --cut-signaling 4 --cut-how silence --repeat 50 --move-server 5 --forget 6 \
             --interrupted 7 --refuse-signaling 0,8 --refuse-media 45 --mute-signaling 2 --mute-media 1 \
             --stall-connections 3 --rtp-lose 50 --rtp-delay 7 --rtp-double 9 --rubbish 8,9",
        );
        let how = Cut::Silence;
        assert_eq!(faults.cut_media, [CutAt { at_ms: 1_500, how }, CutAt { at_ms: 3_000, how }]);
        assert_eq!(faults.cut_signaling, [CutAt { at_ms: 4_000, how }]);
        assert_eq!(
            faults.server_dies,
            [Death { at_ms: 5_000, how, refuses: None, announced_after_ms: 1_000 }]
        );
        assert_eq!((faults.repeat_packets, faults.forget_at_ms), (50, Some(6_000)));
        assert_eq!(faults.stale_interrupted_ms, [7_000]);
        let rubbish: Vec<_> = faults.rubbish.iter().map(|rubbish| rubbish.at_ms).collect();
        assert_eq!(rubbish, [[8_000; 10], [9_000; 10]].concat());
        assert_eq!(faults.rtp, RtpFaults { lose_every: 50, delay_every: 7, double_every: 9 });
        assert_eq!(faults.refuse_signaling, [StatusCode::Ok, StatusCode::DuplicateSignalRequest]);
        assert_eq!(faults.refuse_media, [StatusCode::InternalException]);
        assert_eq!((faults.mute_signaling, faults.mute_media, faults.stall_connections), (0..2, 0..1, 0..3));
    }
}
