//! The content in the binary.

use bytes::Bytes;

use super::{Clip, Content, Footage, Sound, captions, wav};

#[expect(clippy::expect_used, reason = "the files are compiled in, and a unit test parses them")]
pub(super) fn parse() -> Content {
    let voice = |file: &[u8]| -> Sound { wav::parse(file).expect("a built-in voice parses") };
    let words = |text: &str| captions::parse(text).expect("built-in captions parse");
    let clip = |annex_b: &[u8], times: &str| Clip::parse(annex_b, times).expect("a built-in clip parses");
    let first = clip(include_bytes!("../../assets/clip.h264"), include_str!("../../assets/clip_times.txt"));
    let second =
        clip(include_bytes!("../../assets/second.h264"), include_str!("../../assets/second_times.txt"));
    let screen =
        clip(include_bytes!("../../assets/screen.h264"), include_str!("../../assets/screen_times.txt"));
    let camera = |clip: Clip| Footage { h264: Some(clip), jpg: images(CAMERA_JPG), png: images(CAMERA_PNG) };
    Content {
        voices: vec![
            voice(include_bytes!("../../assets/conversation_left.wav")),
            voice(include_bytes!("../../assets/conversation_right.wav")),
        ],
        captions: merged(
            words(include_str!("../../assets/conversation.vtt")),
            words(include_str!("../../assets/languages.vtt")),
        ),
        chat: words(include_str!("../../assets/chat.vtt")),
        cameras: vec![camera(first.clone()), camera(second.clone()), camera(first.then(&second))],
        screen: Footage { h264: Some(screen), jpg: images(SCREEN_JPG), png: images(SCREEN_PNG) },
    }
}

const CAMERA_JPG: [&[u8]; 3] = [
    include_bytes!("../../assets/camera_1.jpg"),
    include_bytes!("../../assets/camera_2.jpg"),
    include_bytes!("../../assets/camera_3.jpg"),
];
const CAMERA_PNG: [&[u8]; 3] = [
    include_bytes!("../../assets/camera_1.png"),
    include_bytes!("../../assets/camera_2.png"),
    include_bytes!("../../assets/camera_3.png"),
];
const SCREEN_JPG: [&[u8]; 3] = [
    include_bytes!("../../assets/screen_1.jpg"),
    include_bytes!("../../assets/screen_2.jpg"),
    include_bytes!("../../assets/screen_3.jpg"),
];
const SCREEN_PNG: [&[u8]; 3] = [
    include_bytes!("../../assets/screen_1.png"),
    include_bytes!("../../assets/screen_2.png"),
    include_bytes!("../../assets/screen_3.png"),
];

fn images(files: [&'static [u8]; 3]) -> Vec<Bytes> {
    files.into_iter().map(Bytes::from_static).collect()
}

fn merged(mut one: Vec<super::Caption>, other: Vec<super::Caption>) -> Vec<super::Caption> {
    one.extend(other);
    one.sort_by_key(|caption| caption.start_ms);
    one
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{LEFT, RIGHT};

    #[test]
    fn the_built_in_content_is_whole() {
        let content = Content::built_in();
        assert_eq!(content.voices[LEFT].samples.len(), 384_000);
        assert_eq!(content.length_ms(), 24_000);
        let english = content.captions.iter().filter(|c| c.language.is_none()).count();
        assert_eq!((english, content.captions.len(), content.chat.len()), (9, 14, 6));
        assert!(content.captions.iter().all(|c| c.start_ms < c.end_ms && c.end_ms <= 24_000));
        let [first, second, both] = content.cameras.as_slice() else { panic!("three cameras") };
        let pictures = |footage: &Footage| footage.h264.as_ref().unwrap().pictures.len();
        assert_eq!(
            (pictures(first), pictures(second), pictures(both), pictures(&content.screen)),
            (108, 30, 138, 16)
        );
        for footage in content.cameras.iter().chain([&content.screen]) {
            let clip = footage.h264.as_ref().unwrap();
            assert!(clip.pictures[0].key);
            assert!(clip.pictures.windows(2).all(|w| w[0].at_ms < w[1].at_ms));
        }
    }

    #[test]
    fn no_two_packets_are_alike() {
        let content = Content::built_in();
        for voice in [LEFT, RIGHT] {
            let packets: std::collections::HashSet<&[i16]> =
                content.voices[voice].samples.chunks(320).collect();
            assert_eq!(packets.len(), 1200);
        }
    }
}
