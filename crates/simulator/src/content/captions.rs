//! Reads captions, WebVTT or SRT: who says what, from when to when.
//!
//! Only what a transcript or a chat needs: cue times and identifiers, one voice a cue (`<v Name>`; in SRT `Name: `), one
//! language a cue (`<lang he>`), the text without markup. Styles, regions and settings are passed over.

use rtms_protocol::Language;

use super::language;

/// A speaker's name in SRT is no longer than this; what stands before a later colon is speech.
const MAX_NAME_CHARS: usize = 40;

/// One utterance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// The cue's identifier, empty where there is none. In a chat it names the message.
    pub id: String,
    /// Begin of the utterance, ms from the start of the sound.
    pub start_ms: i64,
    /// Its end.
    pub end_ms: i64,
    /// The name in the voice span, empty where there is none.
    pub speaker: String,
    /// What is said.
    pub text: String,
    /// The language of the text, where it says so.
    pub language: Option<Language>,
}

/// Why captions do not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptionError {
    /// Neither WebVTT nor SRT.
    #[error("neither WebVTT (its first line must begin with WEBVTT) nor SRT (cues with a time span)")]
    Unknown,
    /// A timing line that is none.
    #[error("line {line}: not a time span; needed is 00:00:01.000 --> 00:00:02.000 (in SRT with a comma)")]
    Time {
        /// Line number, from 1.
        line: usize,
    },
}

/// Parses WebVTT or SRT.
///
/// # Errors
/// When it is neither, or a timing line is malformed.
pub(super) fn parse(text: &str) -> Result<Vec<Caption>, CaptionError> {
    let text = text.trim_start_matches('\u{feff}');
    let vtt = text.starts_with("WEBVTT");
    let mut lines = text.lines().enumerate().skip(usize::from(vtt));
    let (mut captions, mut before) = (Vec::new(), "");
    while let Some((index, line)) = lines.next() {
        if !line.contains("-->") {
            before = line.trim();
            continue;
        }
        let (start_ms, end_ms) = span(line).ok_or(CaptionError::Time { line: index + 1 })?;
        let said: Vec<&str> = lines.by_ref().map(|(_, l)| l.trim()).take_while(|l| !l.is_empty()).collect();
        let said = said.join(" ");
        let (speaker, said_plainly) = if vtt { voice(&said) } else { named(&said) };
        captions.push(Caption {
            id: std::mem::take(&mut before).to_owned(),
            start_ms,
            end_ms,
            speaker,
            text: plain(said_plainly),
            language: tag_of(&said),
        });
    }
    if captions.is_empty() && !vtt {
        return Err(CaptionError::Unknown);
    }
    captions.sort_by_key(|c| c.start_ms);
    Ok(captions)
}

fn span(line: &str) -> Option<(i64, i64)> {
    let (start, rest) = line.split_once("-->")?;
    let end = rest.split_whitespace().next()?;
    let (start, end) = (clock(start.trim())?, clock(end)?);
    (start <= end).then_some((start, end))
}

/// `[hh:]mm:ss.ttt`, or with a comma, in ms.
fn clock(text: &str) -> Option<i64> {
    let (rest, millis) = text.split_once(['.', ','])?;
    let mut total = 0_i64;
    for part in rest.split(':') {
        total = total.checked_mul(60)?.checked_add(i64::from(part.parse::<u16>().ok()?))?;
    }
    (millis.len() == 3).then_some(())?;
    total.checked_mul(1000)?.checked_add(i64::from(millis.parse::<u16>().ok()?))
}

/// `<v Name>` or `<v.class Name>` at the begin, and what follows.
fn voice(text: &str) -> (String, &str) {
    let tag = text.strip_prefix("<v").and_then(|t| t.split_once('>'));
    let Some((tag, rest)) = tag.filter(|(tag, _)| tag.starts_with([' ', '.'])) else {
        return (String::new(), text);
    };
    (plain(tag.split_once(' ').map_or("", |(_, name)| name)), rest)
}

/// `Name: ` at the begin, and what follows.
fn named(text: &str) -> (String, &str) {
    match text.split_once(": ") {
        Some((name, rest))
            if name.chars().count() <= MAX_NAME_CHARS && !name.contains(['.', '?', '!', ',']) =>
        {
            (plain(name), rest)
        }
        _ => (String::new(), text),
    }
}

fn tag_of(text: &str) -> Option<Language> {
    let (_, rest) = text.split_once("<lang ")?;
    language::of_tag(rest.split_once('>')?.0)
}

/// The text without tags, its entities read.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken =
            if rest.starts_with('<') { rest.find('>').map(|end| ("", end + 1)) } else { entity(rest) };
        // A sign that begins nothing stands for itself.
        let (meant, length) = taken.unwrap_or((&rest[..1], 1));
        out.push_str(meant);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out.trim().to_owned()
}

fn entity(text: &str) -> Option<(&'static str, usize)> {
    const ENTITIES: [(&str, &str); 6] = [
        ("&amp;", "&"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&nbsp;", "\u{a0}"),
        ("&lrm;", "\u{200e}"),
        ("&rlm;", "\u{200f}"),
    ];
    ENTITIES.iter().find(|(name, _)| text.starts_with(name)).map(|(name, meant)| (*meant, name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cues_with_speakers() {
        let vtt = "WEBVTT\n\nNOTE hello\n\nm7\n00:01.500 --> 01:00:02.250 align:start\n<v.loud Zoë &amp; co>Good\n<i>day</i> &lt; 5.</v>\n\n00:00:01.000 --> 00:00:01.100\nBare\n";
        let captions = parse(vtt).unwrap();
        assert_eq!(captions.len(), 2);
        assert_eq!((captions[0].start_ms, captions[0].speaker.as_str()), (1000, ""));
        assert_eq!((captions[1].start_ms, captions[1].end_ms), (1500, 3_602_250));
        assert_eq!((captions[1].speaker.as_str(), captions[1].text.as_str()), ("Zoë & co", "Good day < 5."));
        assert_eq!((captions[0].id.as_str(), captions[1].id.as_str()), ("", "m7"));
    }

    #[test]
    fn reads_srt_with_names() {
        let srt = "1\r\n00:00:01,000 --> 00:00:02,500\r\nAnn Lee: It is 9: late.\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\nWell, I said: no\r\n";
        let captions = parse(srt).unwrap();
        assert_eq!((captions[0].speaker.as_str(), captions[0].text.as_str()), ("Ann Lee", "It is 9: late."));
        assert_eq!((captions[1].speaker.as_str(), captions[1].text.as_str()), ("", "Well, I said: no"));
        assert_eq!((captions[0].start_ms, captions[0].end_ms), (1_000, 2_500));
    }

    #[test]
    fn languages_are_those_of_their_tags() {
        let vtt = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v נועה><lang he>שלום</lang>\n";
        let captions = parse(vtt).unwrap();
        assert_eq!((captions[0].language, captions[0].text.as_str()), (Some(Language::Hebrew), "שלום"));
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        assert_eq!(parse("hello"), Err(CaptionError::Unknown));
        assert_eq!(parse("WEBVTT\n\n1 --> 2\nx"), Err(CaptionError::Time { line: 3 }));
        assert_eq!(parse("1\n1 --> 2\nx"), Err(CaptionError::Time { line: 2 }));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(WEBVTT\n)?[0-9:.,> v<&;é-]{0,60}\n?\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
