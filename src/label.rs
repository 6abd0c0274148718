//! Label values that are valid in a stat's name.

use std::fmt;

/// The longest label value, in characters.
const MAX_LABEL: usize = 100;

/// Writes a label value so that it breaks neither Envoy's stat lines nor the regular expressions that extract it from
/// the name: special characters become `_`, and long values are cut.
///
/// ```
/// use sluice::label::Label;
///
/// assert_eq!(Label("meta/llama-3.1:8b").to_string(), "meta/llama-3.1_8b");
/// assert_eq!(Label("a;b=c\n").to_string(), "a_b_c_");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Label<'a>(pub &'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars().take(MAX_LABEL) {
            let plain = character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '/' | '@' | '+');
            f.write_char(if plain { character } else { '_' })?;
        }
        Ok(())
    }
}
