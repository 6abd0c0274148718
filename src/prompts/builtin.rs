//! The prompts of the text endpoints. A prompt of the same name and language in the configuration replaces one.

/// Their names, languages and templates.
pub const BUILTIN: [(&str, &str, &str); 18] = [
    ("generate_questions", "en", include_str!("builtin/generate_questions.en.prompt")),
    ("generate_questions", "de", include_str!("builtin/generate_questions.de.prompt")),
    ("generate_questions", "pl", include_str!("builtin/generate_questions.pl.prompt")),
    ("translate", "en", include_str!("builtin/translate.en.prompt")),
    ("translate", "de", include_str!("builtin/translate.de.prompt")),
    ("translate", "pl", include_str!("builtin/translate.pl.prompt")),
    ("simplify_text", "en", include_str!("builtin/simplify_text.en.prompt")),
    ("simplify_text", "de", include_str!("builtin/simplify_text.de.prompt")),
    ("simplify_text", "pl", include_str!("builtin/simplify_text.pl.prompt")),
    ("generate_article_from_text", "en", include_str!("builtin/generate_article_from_text.en.prompt")),
    ("generate_article_from_text", "de", include_str!("builtin/generate_article_from_text.de.prompt")),
    ("generate_article_from_text", "pl", include_str!("builtin/generate_article_from_text.pl.prompt")),
    ("create_full_article_from_texts", "en", include_str!("builtin/create_full_article_from_texts.en.prompt")),
    ("create_full_article_from_texts", "de", include_str!("builtin/create_full_article_from_texts.de.prompt")),
    ("create_full_article_from_texts", "pl", include_str!("builtin/create_full_article_from_texts.pl.prompt")),
    ("generative_answer", "en", include_str!("builtin/generative_answer.en.prompt")),
    ("generative_answer", "de", include_str!("builtin/generative_answer.de.prompt")),
    ("generative_answer", "pl", include_str!("builtin/generative_answer.pl.prompt")),
];
