//! Guesses a text's language: by its script, or else by its most frequent words. That takes a few kilobytes; libraries with
//! models of letters take megabytes, and Envoy compiles all of the wasm at its start.

use super::start_of;

/// The languages that are told apart, by their ISO 639 codes.
pub const LANGUAGES: [&str; 18] =
    ["en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "ru", "uk", "el", "ar", "he", "hi", "zh", "ja", "ko"];

/// So many bytes decide.
const SAMPLE: usize = 2000;

/// Words that are frequent in one language and rare in the others.
const WORDS: [(&str, &str); 9] = [
    ("en", "the of and to is that it for with you this what how are can my please write from on be have which does i me do about your a an in by we not should would could why when where make give"),
    ("de", "der die das und ist nicht ein eine zu den mit von für auf ich sie wie was bitte mir es auch dem des im einen einer wir kann kannst mein meine wird sind über schreibe oder warum welche wenn mich erkläre zum zur wo"),
    ("fr", "le la les des est et un une dans pour que qui je vous pas sur avec ce cette comment mon ma moi il elle du au nous peux quelle pourquoi ou en écris sont quel mes donne explique plus quels"),
    ("es", "el la los las de que y en un una es por con para no mi cómo qué como su al del lo se yo puedes está son más escribe cuál explica por favor dame hacer entre sobre"),
    ("it", "il lo la gli di che è e un una per con non mi come sono del della dei nel questo questa cosa perché puoi scrivi mio mia quale spiega ai alla le dammi più tra"),
    ("pt", "o os as de que e em um uma é para com não por mais como meu minha do da dos das no na você se isso escreva qual pode são explique ao entre sobre favor"),
    ("nl", "de het een en van ik is dat niet te op met voor zijn je hoe wat mijn kan aan er ook naar dit deze wij schrijf waarom welke mij kun uit bij of"),
    ("pl", "nie jest to się na że do jak i w z co mi dla po czy jestem są proszę mój moja jaki napisz który o przez dlaczego lub ma"),
    ("tr", "bir ve bu ne için mi nasıl ile da de çok var ben bana olarak değil neden lütfen yaz gibi olan daha kadar hangi en mı"),
];

/// The language of a text; `None` if it cannot be told.
///
/// ```
/// use sluice::kinds::language;
///
/// assert_eq!(language("How do I write this in the shell?"), Some("en"));
/// assert_eq!(language("Wie schreibe ich das auf der Kommandozeile?"), Some("de"));
/// assert_eq!(language("今日の天気はどうですか"), Some("ja"));
/// assert_eq!(language("42"), None);
/// ```
pub fn language(text: &str) -> Option<&'static str> {
    let sample = start_of(text, SAMPLE);
    by_script(sample).unwrap_or_else(|| by_words(sample))
}

/// `None`: it is in Latin letters. `Some(None)`: it has no letters.
fn by_script(text: &str) -> Option<Option<&'static str>> {
    let mut latin = 0;
    let mut others: [(&'static str, usize); 9] =
        ["ru", "el", "ar", "he", "hi", "zh", "ja", "ko", "uk"].map(|language| (language, 0));
    for character in text.chars() {
        let (language, weight) = match character {
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => {
                latin += 1;
                continue;
            }
            'і' | 'ї' | 'є' | 'ґ' | 'І' | 'Ї' | 'Є' | 'Ґ' => ("uk", 10),
            '\u{400}'..='\u{4ff}' => ("ru", 1),
            '\u{370}'..='\u{3ff}' => ("el", 1),
            '\u{600}'..='\u{6ff}' => ("ar", 1),
            '\u{590}'..='\u{5ff}' => ("he", 1),
            '\u{900}'..='\u{97f}' => ("hi", 1),
            // one letter of these stands for two or three Latin ones; Japanese has Chinese ones between its own
            '\u{4e00}'..='\u{9fff}' => ("zh", 3),
            '\u{3040}'..='\u{30ff}' => ("ja", 9),
            '\u{ac00}'..='\u{d7af}' => ("ko", 3),
            _ => continue,
        };
        others.iter_mut().filter(|(known, _)| *known == language).for_each(|(_, count)| *count += weight);
    }
    let most = others.iter().max_by_key(|(_, count)| *count).copied();
    match most {
        Some((_, 0)) | None if latin == 0 => Some(None),
        Some((language, count)) if count > latin => Some(Some(language)),
        _ => None,
    }
}

fn by_words(text: &str) -> Option<&'static str> {
    let mut scores = [0_u32; WORDS.len()];
    let lower = text.to_lowercase();
    for word in lower.split(|character: char| !character.is_alphabetic()).filter(|word| !word.is_empty()) {
        for ((_, words), score) in WORDS.iter().zip(&mut scores) {
            if words.split(' ').any(|known| known == word) {
                // short words are words of many languages
                *score += if word.chars().count() > 2 { 3 } else { 2 };
            }
        }
    }
    let letters: [(&str, &str); 9] = [
        ("en", ""),
        ("de", "äöüß"),
        ("fr", "àâçèêëîïôùûœ"),
        ("es", "ñ¿¡óíáú"),
        ("it", "àèìòù"),
        ("pt", "ãõçâêá"),
        ("nl", ""),
        ("pl", "ąćęłńśźżó"),
        ("tr", "ğışçöü"),
    ];
    for ((_, own), score) in letters.iter().zip(&mut scores) {
        let count = lower.chars().filter(|character| own.contains(*character)).take(3).count();
        *score += u32::try_from(count).unwrap_or(0);
    }
    let (best, score) = scores.iter().enumerate().max_by_key(|(index, score)| (**score, usize::MAX - index))?;
    let is_alone = scores.iter().enumerate().all(|(index, other)| index == best || other < score);
    if *score < 2 || !is_alone {
        return None;
    }
    WORDS.get(best).map(|(language, _)| *language)
}
