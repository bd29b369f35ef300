//! JPEG and PNG pictures: what they are and how large, from their headers.
//!
//! Nothing is decoded. Refuses what is neither, what is cut off, and sizes that no screen has.

use rtms_protocol::VideoCodec;

/// Largest width and height, pixels. Zoom's largest pictures have 2560 × 1440.
const MOST_PIXELS: u32 = 16_384;
/// Where the end mark is looked for, bytes before the end: some encoders fill up behind it.
const TAIL_BYTES: usize = 1_024;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The codec that the first bytes tell; `None` where they are no picture's.
pub(crate) fn codec(payload: &[u8]) -> Option<VideoCodec> {
    if payload.starts_with(&[0xff, 0xd8, 0xff]) {
        Some(VideoCodec::Jpg)
    } else if payload.starts_with(PNG) {
        Some(VideoCodec::Png)
    } else {
        None
    }
}

/// Width and height, pixels, of a whole picture in this codec.
pub(crate) fn size(codec: VideoCodec, payload: &[u8]) -> Option<(u32, u32)> {
    let (width, height) = match codec {
        VideoCodec::Jpg => jpeg_size(payload)?,
        VideoCodec::Png => png_size(payload)?,
        _ => return None,
    };
    let fits = |pixels| (1..=MOST_PIXELS).contains(&pixels);
    (fits(width) && fits(height)).then_some((width, height))
}

fn png_size(payload: &[u8]) -> Option<(u32, u32)> {
    let rest = payload.strip_prefix(PNG)?.strip_prefix(b"\0\0\0\x0dIHDR")?;
    let (width, rest) = rest.split_first_chunk()?;
    let (height, rest) = rest.split_first_chunk()?;
    ends_with(rest, b"IEND\xaeB`\x82").then_some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

/// Walks over the segments to the frame header; a scan must follow, and the end mark.
fn jpeg_size(payload: &[u8]) -> Option<(u32, u32)> {
    let mut rest = payload.strip_prefix(&[0xff, 0xd8])?;
    let mut size = None;
    loop {
        let [0xff, marker, after @ ..] = rest else { return None };
        rest = after;
        match marker {
            // Filling in front of a marker, and markers without a segment.
            0xff => rest = &payload[payload.len() - after.len() - 1..],
            0x01 | 0xd0..=0xd7 => {}
            0xda => return size.filter(|_| ends_with(after, &[0xff, 0xd9])),
            _ => {
                let (length, _) = after.split_first_chunk()?;
                let (segment, next) =
                    after.split_at_checked(usize::from(u16::from_be_bytes(*length)).max(2))?;
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                    let [_, _, _, h1, h0, w1, w0, ..] = *segment else { return None };
                    let pixels = |high, low| u32::from(u16::from_be_bytes([high, low]));
                    size = Some((pixels(w1, w0), pixels(h1, h0)));
                }
                rest = next;
            }
        }
    }
}

/// Whether `mark` is at the end, but for filling.
fn ends_with(bytes: &[u8], mark: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    tail.windows(mark.len()).any(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The headers of a JPEG of 640 × 360, and a scan of nothing.
    fn jpeg() -> Vec<u8> {
        let app = [0xff, 0xe0, 0, 4, 1, 2];
        let frame = [0xff, 0xc0, 0, 11, 8, 1, 104, 2, 128, 1, 1, 0x11, 0];
        let scan = [0xff, 0xda, 0, 2, 5, 0xff, 0, 5, 0xff, 0xd9];
        [&[0xff, 0xd8][..], &app, &[0xff], &frame, &scan].concat()
    }

    fn png() -> Vec<u8> {
        [PNG, b"\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\x68\x08\x02\0\0\0____", b"\0\0\0\0IEND\xaeB`\x82"].concat()
    }

    #[test]
    fn sizes_are_read_from_the_headers() {
        assert_eq!(size(VideoCodec::Jpg, &jpeg()), Some((640, 360)));
        assert_eq!(size(VideoCodec::Png, &png()), Some((640, 360)));
        assert_eq!(
            (codec(&jpeg()), codec(&png()), codec(b"hello")),
            (Some(VideoCodec::Jpg), Some(VideoCodec::Png), None)
        );
        assert_eq!(size(VideoCodec::Png, &jpeg()), None);
        let filled = [jpeg(), vec![0; 20]].concat();
        assert_eq!(size(VideoCodec::Jpg, &filled), Some((640, 360)));
    }

    #[test]
    fn what_is_cut_off_or_absurd_is_refused() {
        let (jpeg, png) = (jpeg(), png());
        for n in 0..jpeg.len() {
            assert_eq!(size(VideoCodec::Jpg, &jpeg[..n]), None, "{n}");
        }
        for n in 0..png.len() {
            assert_eq!(size(VideoCodec::Png, &png[..n]), None, "{n}");
        }
        let mut wide = png;
        wide[16] = 0x7f;
        assert_eq!(size(VideoCodec::Png, &wide), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0xd8), any::<u8>()], 0..200)) {
            let _ = size(VideoCodec::Png, &bytes);
            bytes.splice(0..0, [0xff, 0xd8]);
            let _ = size(VideoCodec::Jpg, &bytes);
        }
    }
}
