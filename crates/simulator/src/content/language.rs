//! Which of Zoom's languages a tag of BCP 47 names, as it stands in `<lang he>` of captions.

use rtms_protocol::Language;

/// Tags in lower case; of several that fit, the first one counts, so the longer stand first.
const TAGS: &[(&str, Language)] = &[
    ("ar", Language::Arabic),
    ("bn", Language::Bengali),
    ("yue", Language::Cantonese),
    ("ca", Language::Catalan),
    ("zh-hant", Language::ChineseTraditional),
    ("zh-tw", Language::ChineseTraditional),
    ("zh", Language::ChineseSimplified),
    ("cs", Language::Czech),
    ("da", Language::Danish),
    ("nl", Language::Dutch),
    ("en", Language::English),
    ("et", Language::Estonian),
    ("fi", Language::Finnish),
    ("fr-ca", Language::FrenchCanada),
    ("fr", Language::FrenchFrance),
    ("de", Language::German),
    ("he", Language::Hebrew),
    ("hi", Language::Hindi),
    ("hu", Language::Hungarian),
    ("id", Language::Indonesian),
    ("it", Language::Italian),
    ("ja", Language::Japanese),
    ("ko", Language::Korean),
    ("ms", Language::Malay),
    ("fa", Language::Persian),
    ("pl", Language::Polish),
    ("pt", Language::Portuguese),
    ("ro", Language::Romanian),
    ("ru", Language::Russian),
    ("es", Language::Spanish),
    ("sv", Language::Swedish),
    ("fil", Language::Tagalog),
    ("tl", Language::Tagalog),
    ("ta", Language::Tamil),
    ("te", Language::Telugu),
    ("th", Language::Thai),
    ("tr", Language::Turkish),
    ("uk", Language::Ukrainian),
    ("vi", Language::Vietnamese),
];

/// The language of a tag; what follows the part that is known (a region, a script) does not matter.
pub(super) fn of_tag(tag: &str) -> Option<Language> {
    let tag = tag.trim().to_ascii_lowercase();
    let fits =
        |known: &str| tag.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    TAGS.iter().find(|(known, _)| fits(known)).map(|(_, language)| *language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_of_zooms_has_a_tag() {
        for language in Language::KNOWN.iter().filter(|language| **language != Language::None) {
            assert!(TAGS.iter().any(|(_, known)| known == language), "{language}");
        }
    }

    #[test]
    fn regions_and_scripts_choose_where_zoom_does() {
        assert_eq!(of_tag("zh-Hant-HK"), Some(Language::ChineseTraditional));
        assert_eq!(of_tag("zh-Hans"), Some(Language::ChineseSimplified));
        assert_eq!(of_tag("fr-CA"), Some(Language::FrenchCanada));
        assert_eq!(of_tag("fr-BE"), Some(Language::FrenchFrance));
        assert_eq!(of_tag("EN-gb"), Some(Language::English));
        assert_eq!(of_tag("hex"), None);
    }
}
