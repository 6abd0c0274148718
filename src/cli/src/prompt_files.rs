//! The prompts in files beside a short file: `prompts/{name}.{language}.prompt`. They become its field `prompts`.

use std::collections::BTreeMap;
use std::path::Path;

use sluice::prompts::Template;

use crate::yaml::{quoted, Tree};
use crate::Failure;

/// The directory beside the short file.
const DIRECTORY: &str = "prompts";

/// The templates by name and language.
type Templates = BTreeMap<String, BTreeMap<String, String>>;

/// A short file's text with its prompts. Other files stay as they are.
///
/// # Errors
/// A prompt cannot be read or has a mistake, or the short file has `prompts`, too.
pub(crate) fn with_prompts(text: String, file: &Path) -> Result<String, Failure> {
    let directory = file.parent().unwrap_or(Path::new("")).join(DIRECTORY);
    if file.as_os_str() == "-" || !directory.is_dir() {
        return Ok(text);
    }
    let Ok(tree) = Tree::parse(&text) else {
        return Ok(text); // its mistake is told elsewhere
    };
    let templates = read(&directory)?;
    if templates.is_empty() || !crate::short::is_short(&tree) {
        return Ok(text);
    }
    if let Some(own) = tree.get("prompts") {
        let place = format!("{}:{}", file.display(), own.line);
        let directory = directory.display();
        return Err(Failure::Input(format!(
            "the file cannot be used\n{place}: prompts: {directory} has prompts as well; keep them in one of the places"
        )));
    }
    let whole = format!("{}\n\n{}", text.trim_end(), written(&templates));
    match Tree::parse(&whole) {
        Ok(_) => Ok(whole),
        Err(_) => {
            let (file, directory) = (file.display(), directory.display());
            Err(Failure::Input(format!(
                "the file cannot be used\n{file}:1: its fields stand in braces, so the prompts of {directory} cannot be \
                 added; write each field in a line of its own"
            )))
        }
    }
}

fn read(directory: &Path) -> Result<Templates, Failure> {
    let failed = |error: std::io::Error| Failure::Usage(format!("{} cannot be read: {error}", directory.display()));
    let mut templates = Templates::new();
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".prompt") else {
            continue;
        };
        let refused = |line: usize, problem: &str| {
            Failure::Input(format!("a prompt has a mistake\n{}:{line}: {problem}", path.display()))
        };
        let Some((name, language)) = stem.rsplit_once('.').filter(|(name, _)| !name.is_empty()) else {
            return Err(refused(1, "the file's name has no language; name it like greeting.en.prompt"));
        };
        let source = std::fs::read_to_string(&path)
            .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?;
        Template::parse(&source).map_err(|error| refused(error.line, &error.problem))?;
        if source.is_empty() {
            return Err(refused(1, "the prompt is empty"));
        }
        templates.entry(name.to_owned()).or_default().insert(language.to_owned(), source);
    }
    Ok(templates)
}

/// The field `prompts`.
fn written(templates: &Templates) -> String {
    let mut text = "# From the files in prompts/.\nprompts:\n".to_owned();
    for (name, languages) in templates {
        text.push_str(&format!("  {}:\n", quoted(name)));
        for (language, source) in languages {
            let source = serde_json::Value::from(source.as_str());
            text.push_str(&format!("    {}: {source}\n", quoted(language)));
        }
    }
    text
}
