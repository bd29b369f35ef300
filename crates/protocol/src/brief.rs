//! Words of a peer, made fit for logs, notices and errors.

/// The most characters that are kept.
const MOST: usize = 200;

/// The beginning of `text`, at most 200 characters and then `…`, with control characters escaped.
///
/// Whatever text of a peer goes anywhere but into a recording passes through here where it comes in: a reason of a
/// megabyte is neither kept nor logged, and none can begin a second line. What is brief already stays as it is.
#[must_use]
pub fn brief(text: &str) -> String {
    let mut brief = String::with_capacity(text.len().min(MOST));
    let mut left = MOST;
    for c in text.chars() {
        let needed = if c.is_control() { c.escape_default().len() } else { 1 };
        if needed > left {
            brief.push('…');
            break;
        }
        left -= needed;
        if c.is_control() {
            brief.extend(c.escape_default());
        } else {
            brief.push(c);
        }
    }
    brief
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_words_stay_as_they_are() {
        for text in ["", "no such stream", "Zoë 通话", &"é".repeat(200)] {
            assert_eq!(brief(text), text);
        }
    }

    #[test]
    fn long_ones_end_after_200_characters_and_controls_are_escaped() {
        assert_eq!(brief(&"é".repeat(1_000_000)), format!("{}…", "é".repeat(200)));
        assert_eq!(brief("a\r\nlevel=ERROR \u{1b}[31m\0"), "a\\r\\nlevel=ERROR \\u{1b}[31m\\u{0}");
        assert!(brief(&"\u{7f}".repeat(10_000)).chars().count() <= 201);
    }

    proptest::proptest! {
        #[test]
        fn what_is_brief_stays_as_it_is(text in "([a-zé\\x00-\\x1f\\x7f-\\u{9f}…]|.){0,400}") {
            let once = brief(&text);
            proptest::prop_assert!(once.chars().count() <= 201 && !once.contains(char::is_control));
            proptest::prop_assert_eq!(brief(&once), once);
        }
    }
}
