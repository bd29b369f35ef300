//! Files read by ffmpeg and ffprobe, never by our own code.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs one of the two; what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("{program} is needed for these tests (Debian: apt-get install ffmpeg): {error}")
    });
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The samples of a WAV file, interleaved, as ffmpeg decodes them.
pub(crate) fn samples(file: &Path) -> Vec<i16> {
    samples_of(file, &[])
}

/// The sound of a file of any kind; `wanted` is what ffmpeg shall make of it.
pub(crate) fn samples_as(file: &Path, wanted: &[&str]) -> Vec<i16> {
    decoded(&["-i", file.to_str().unwrap()], wanted)
}

/// The same of a file without a header; `format` is what ffmpeg must be told of it.
pub(crate) fn samples_of(file: &Path, format: &[&str]) -> Vec<i16> {
    decoded(&[format, &["-i", file.to_str().unwrap()]].concat(), &[])
}

fn decoded(input: &[&str], wanted: &[&str]) -> Vec<i16> {
    let output = ["-f", "s16le", "-c:a", "pcm_s16le", "-"];
    let raw = run("ffmpeg", &[&["-v", "error"], input, &["-map", "0:a:0"], wanted, &output].concat());
    raw.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// What ffprobe says of the first stream.
pub(crate) fn probe(file: &Path) -> Value {
    let json = run("ffprobe", &["-v", "error", "-show_streams", "-of", "json", file.to_str().unwrap()]);
    serde_json::from_slice::<Value>(&json).unwrap()["streams"][0].clone()
}

/// Presentation times of the packets, in ms, in the order of the file.
pub(crate) fn packet_times(file: &Path) -> Vec<i64> {
    let arguments = [
        "-v",
        "error",
        "-select_streams",
        "v:0",
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
        file.to_str().unwrap(),
    ];
    let text = String::from_utf8(run("ffprobe", &arguments)).unwrap();
    let millis = |line: &str| (line.trim_matches(',').parse::<f64>().unwrap() * 1000.0).round() as i64;
    text.lines().filter(|line| !line.is_empty()).map(millis).collect()
}

/// Size in bytes and digest of each decoded picture, in order, none of them scaled to the size of the first. `format` is
/// ffmpeg's name where the file does not tell.
pub(crate) fn picture_digests(file: &Path, format: Option<&str>) -> Vec<String> {
    let mut arguments = vec!["-v", "error"];
    if let Some(format) = format {
        arguments.extend(["-f", format]);
    }
    arguments.extend([
        "-i",
        file.to_str().unwrap(),
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-autoscale",
        "0",
        "-f",
        "framemd5",
        "-",
    ]);
    let text = String::from_utf8(run("ffmpeg", &arguments)).unwrap();
    let digest = |line: &str| line.splitn(5, ',').last().unwrap().trim().to_owned();
    text.lines().filter(|line| !line.starts_with('#')).map(digest).collect()
}

/// Width and height of each decoded picture, in order.
pub(crate) fn picture_sizes(file: &Path) -> Vec<(u32, u32)> {
    let entries = ["-show_entries", "frame=width,height", "-of", "csv=p=0", file.to_str().unwrap()];
    let text = run("ffprobe", &[&["-v", "error", "-select_streams", "v:0"], &entries[..]].concat());
    let size = |line: &str| {
        let mut sides = line.split(',').map(|side| side.parse().unwrap());
        (sides.next().unwrap(), sides.next().unwrap())
    };
    String::from_utf8(text).unwrap().lines().filter(|line| !line.is_empty()).map(size).collect()
}

/// The images in a video file one behind the other, not decoded.
pub(crate) fn image_bytes(file: &Path) -> Vec<u8> {
    let file = file.to_str().unwrap();
    run("ffmpeg", &["-v", "error", "-i", file, "-map", "0:v:0", "-c", "copy", "-f", "image2pipe", "-"])
}

/// The packets of one stream of a file (`a:0`, `v:0`), not decoded, each with its time in the file's own unit: samples in
/// Ogg, ms in Matroska.
pub(crate) fn packets(file: &Path, stream: &str) -> Vec<(i64, Vec<u8>)> {
    let file = file.to_str().unwrap();
    let shown = ["-show_entries", "packet=pts,size", "-of", "csv=p=0", file];
    let text = run("ffprobe", &[&["-v", "error", "-select_streams", stream], &shown[..]].concat());
    let map = format!("0:{stream}");
    let bytes = run("ffmpeg", &["-v", "error", "-i", file, "-map", &map, "-c", "copy", "-f", "data", "-"]);
    let mut rest = bytes.as_slice();
    let mut packets = Vec::new();
    for line in String::from_utf8(text).unwrap().lines().filter(|line| !line.is_empty()) {
        let (pts, size) = line.trim_matches(',').split_once(',').unwrap();
        let (packet, behind) = rest.split_at(size.trim_matches(',').parse().unwrap());
        packets.push((pts.parse().unwrap(), packet.to_vec()));
        rest = behind;
    }
    assert!(rest.is_empty(), "{file}: ffmpeg and ffprobe see the same packets");
    packets
}

/// What a filter of ffmpeg's measures on one stream of a file: presentation time, ms, and value.
fn measured(file: &Path, stream: &str, filters: &str) -> Vec<(i64, f64)> {
    let (file, map) = (file.to_str().unwrap(), format!("0:{stream}"));
    let filter = if stream.starts_with('v') { "-vf" } else { "-af" };
    let text = run(
        "ffmpeg",
        &["-v", "error", "-copyts", "-i", file, "-map", &map, filter, filters, "-f", "null", "-"],
    );
    let mut at = 0;
    let mut values = Vec::new();
    for line in String::from_utf8(text).unwrap().lines() {
        if let Some((_, seconds)) = line.split_once("pts_time:") {
            at = (seconds.trim().parse::<f64>().unwrap() * 1000.0).round() as i64;
        } else if let Some((_, value)) = line.split_once('=') {
            values.push((at, value.trim().parse().unwrap()));
        }
    }
    values
}

/// When a value begins to be more than `much`.
fn rises(values: &[(i64, f64)], much: f64) -> Vec<i64> {
    let is_much = |n: usize| values[n].1 > much;
    (0..values.len()).filter(|&n| is_much(n) && (n == 0 || !is_much(n - 1))).map(|n| values[n].0).collect()
}

/// When the pictures of a video turn bright, ms of presentation time.
pub(crate) fn flash_times(file: &Path) -> Vec<i64> {
    let key = "lavfi.signalstats.YAVG";
    rises(&measured(file, "v:0", &format!("signalstats,metadata=print:key={key}:file=-")), 128.0)
}

/// When the sound of a video turns loud, ms of presentation time, to 5 ms.
pub(crate) fn click_times(file: &Path) -> Vec<i64> {
    let key = "lavfi.astats.Overall.Peak_level";
    let filters = format!("asetnsamples=240:p=0,astats=metadata=1:reset=1,ametadata=print:key={key}:file=-");
    // dB of full scale: a tenth of it, and the clicks have four fifths.
    rises(&measured(file, "a:0", &filters), -20.0)
}
