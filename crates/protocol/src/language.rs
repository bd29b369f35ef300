//! Transcript languages: Zoom's numbers and the names people write in settings.

use crate::open_code::open_code;

open_code! {
    /// Language of a transcript, as in `src_language` and in transcript messages.
    Language {
        None = -1, "none";
        Arabic = 0, "Arabic";
        Bengali = 1, "Bengali";
        Cantonese = 2, "Cantonese";
        Catalan = 3, "Catalan";
        ChineseSimplified = 4, "Chinese (Simplified)";
        ChineseTraditional = 5, "Chinese (Traditional)";
        Czech = 6, "Czech";
        Danish = 7, "Danish";
        Dutch = 8, "Dutch";
        English = 9, "English";
        Estonian = 10, "Estonian";
        Finnish = 11, "Finnish";
        FrenchCanada = 12, "French (Canada)";
        FrenchFrance = 13, "French (France)";
        German = 14, "German";
        Hebrew = 15, "Hebrew";
        Hindi = 16, "Hindi";
        Hungarian = 17, "Hungarian";
        Indonesian = 18, "Indonesian";
        Italian = 19, "Italian";
        Japanese = 20, "Japanese";
        Korean = 21, "Korean";
        Malay = 22, "Malay";
        Persian = 23, "Persian";
        Polish = 24, "Polish";
        Portuguese = 25, "Portuguese";
        Romanian = 26, "Romanian";
        Russian = 27, "Russian";
        Spanish = 28, "Spanish";
        Swedish = 29, "Swedish";
        Tagalog = 30, "Tagalog";
        Tamil = 31, "Tamil";
        Telugu = 32, "Telugu";
        Thai = 33, "Thai";
        Turkish = 34, "Turkish";
        Ukrainian = 35, "Ukrainian";
        Vietnamese = 36, "Vietnamese";
    }
}

impl Language {
    /// Finds a language by Zoom's number or by its name, whatever the case and punctuation:
    /// `english`, `Chinese (Simplified)`, `chinese-simplified`, `9`.
    #[must_use]
    pub fn from_setting(text: &str) -> Option<Self> {
        if let Ok(code) = text.trim().parse::<i64>() {
            return Self::KNOWN.contains(&Self::from_code(code)).then(|| Self::from_code(code));
        }
        let plain =
            |s: &str| s.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let wanted = plain(text);
        Self::KNOWN.iter().copied().find(|language| plain(language.name()) == wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_may_use_names_or_numbers() {
        assert_eq!(Language::from_setting("english"), Some(Language::English));
        assert_eq!(Language::from_setting(" 9 "), Some(Language::English));
        assert_eq!(Language::from_setting("chinese-simplified"), Some(Language::ChineseSimplified));
        assert_eq!(Language::from_setting("French (Canada)"), Some(Language::FrenchCanada));
        assert_eq!(Language::from_setting("-1"), Some(Language::None));
        assert_eq!(Language::from_setting("klingon"), None);
        assert_eq!(Language::from_setting("99"), None);
    }
}
