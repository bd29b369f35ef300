//! What a camera or a shared screen shows, in each of Zoom's picture codecs that there is material for.

use bytes::Bytes;
use rtms_protocol::VideoCodec;

use super::clip::{Clip, Picture};

/// Pictures of one camera or screen.
#[derive(Debug, Clone, Default)]
pub struct Footage {
    /// Moving, as H.264.
    pub h264: Option<Clip>,
    /// One after the other, as JPG.
    pub jpg: Vec<Bytes>,
    /// One after the other, as PNG.
    pub png: Vec<Bytes>,
}

impl Footage {
    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.h264.is_none() && self.jpg.is_empty() && self.png.is_empty()
    }

    /// Whether there is anything to show in this codec.
    #[must_use]
    pub fn has(&self, codec: VideoCodec) -> bool {
        match codec {
            VideoCodec::H264 => self.h264.is_some(),
            VideoCodec::Jpg => !self.jpg.is_empty(),
            VideoCodec::Png => !self.png.is_empty(),
            VideoCodec::Unknown(_) => false,
        }
    }

    /// The picture of this number.
    #[must_use]
    pub fn picture(&self, codec: VideoCodec, number: usize) -> Option<&Bytes> {
        match codec {
            VideoCodec::H264 => self.h264.as_ref()?.pictures.get(number).map(|picture| &picture.bytes),
            VideoCodec::Jpg => self.jpg.get(number),
            VideoCodec::Png => self.png.get(number),
            VideoCodec::Unknown(_) => None,
        }
    }

    /// One round of pictures in this codec, at most `fps` a second. Images come at that rate. A clip that has more is
    /// played as much slower: pictures of H.264 need those before them, so none can be left out.
    #[must_use]
    pub fn clip(&self, codec: VideoCodec, fps: u8) -> Option<Clip> {
        let fps = i64::from(fps.max(1));
        match codec {
            VideoCodec::H264 => self.h264.as_ref().map(|clip| slowed(clip, fps)),
            VideoCodec::Jpg => shown(&self.jpg, fps),
            VideoCodec::Png => shown(&self.png, fps),
            VideoCodec::Unknown(_) => None,
        }
    }
}

fn slowed(clip: &Clip, fps: i64) -> Clip {
    let count = i64::try_from(clip.pictures.len()).unwrap_or(i64::MAX);
    let length_ms = clip.length_ms.max(count.saturating_mul(1000) / fps);
    let slow = |at_ms: i64| {
        let slowed = i128::from(at_ms) * i128::from(length_ms) / i128::from(clip.length_ms.max(1));
        i64::try_from(slowed).unwrap_or(i64::MAX)
    };
    let pictures = clip.pictures.iter().map(|p| Picture { at_ms: slow(p.at_ms), ..p.clone() }).collect();
    Clip { pictures, length_ms }
}

fn shown(images: &[Bytes], fps: i64) -> Option<Clip> {
    let at = |number: usize| i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(1000) / fps;
    let picture =
        |(number, bytes): (usize, &Bytes)| Picture { at_ms: at(number), bytes: bytes.clone(), key: true };
    Clip::of(images.iter().enumerate().map(picture).collect(), at(images.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_at_the_rate_that_was_granted() {
        let images = vec![Bytes::from_static(b"a"), Bytes::from_static(b"b"), Bytes::from_static(b"c")];
        let footage = Footage { jpg: images, ..Footage::default() };
        let clip = footage.clip(VideoCodec::Jpg, 5).unwrap();
        assert_eq!(clip.pictures.iter().map(|p| p.at_ms).collect::<Vec<_>>(), [0, 200, 400]);
        assert_eq!(clip.length_ms, 600);
        assert!(footage.clip(VideoCodec::Png, 5).is_none() && !footage.has(VideoCodec::H264));
    }

    #[test]
    fn a_clip_is_slowed_to_the_rate_that_was_granted() {
        let picture = |at_ms| Picture { at_ms, bytes: Bytes::new(), key: at_ms == 0 };
        let clip = Clip { pictures: vec![picture(0), picture(30), picture(50)], length_ms: 100 };
        let footage = Footage { h264: Some(clip), ..Footage::default() };
        let times = |fps| {
            let clip = footage.clip(VideoCodec::H264, fps).unwrap();
            (clip.pictures.iter().map(|p| p.at_ms).collect::<Vec<_>>(), clip.length_ms)
        };
        assert_eq!(times(30), (vec![0, 30, 50], 100));
        assert_eq!(times(10), (vec![0, 90, 150], 300));
    }
}
