//! `sluice prices`: the prices of well-known models.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{json, Map, Number, Value};

use crate::price_list;
use crate::short::providers::PROVIDERS;
use crate::yaml::{flow, quoted, Data, Tree};
use crate::Failure;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print the list that is used.
    Show,
    /// Use another list from now on: in the form that `show` prints, or LiteLLM's model_prices_and_context_window.json.
    Update {
        /// The file with the list.
        file: PathBuf,
    },
}

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show => {
            print!("{}", price_list::text());
            Ok(())
        }
        Command::Update { file } => update(&file),
    }
}

fn update(file: &Path) -> Result<(), Failure> {
    let named = |problem: String| Failure::Input(format!("{}: {problem}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| named(error.to_string()))?;
    let list = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(models)) if models.values().any(|model| model.get("litellm_provider").is_some()) => {
            of_litellm(&models)
        }
        _ => Tree::parse(&text).map_err(|error| named(format!("line {}: {}", error.line, error.problem)))?,
    };
    let models = check(&list).map_err(named)?;
    let to = price_list::path()
        .ok_or_else(|| Failure::Usage("set HOME: the list is kept in ~/.config/sluice".to_owned()))?;
    write(&to, &list).map_err(|error| Failure::Usage(format!("{}: {error}", to.display())))?;
    println!("{models} prices are in {}; the next `sluice render` or `sluice run` takes them", to.display());
    Ok(())
}

/// Checks a list with the gateway's own reader; returns the number of its prices.
fn check(list: &Tree) -> Result<usize, String> {
    let mut count = 0;
    for (provider, prices) in list.entries() {
        if !PROVIDERS.iter().any(|known| known.name == provider) {
            return Err(format!("{provider}: no such provider; the list has a field for each, such as openai"));
        }
        let router = json!({
            "upstreams": {"listed": {"prices": prices.json()}},
            "models": [{"name": "*", "targets": ["listed"]}],
        });
        if let Err(error) = sluice::config::router(router.to_string().as_bytes(), &|_| None) {
            let path = error.path().replace("router.upstreams.listed.prices", provider);
            return Err(format!("{path}: {}", error.problem()));
        }
        count += prices.entries().len();
    }
    match count {
        0 => Err("no prices at all".to_owned()),
        _ => Ok(count),
    }
}

fn write(to: &Path, list: &Tree) -> std::io::Result<()> {
    let mut text = String::from("# Dollars per million tokens, by provider and model, from `sluice prices update`.\n");
    for (provider, prices) in list.entries() {
        text.push_str(&format!("\n{}:\n", quoted(provider)));
        for (model, price) in prices.entries() {
            text.push_str(&format!("  {}: {}\n", quoted(model), flow(price)));
        }
    }
    let new = to.with_extension("new");
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&new, text)?;
    fs::rename(new, to)
}

/// The fields, and LiteLLM's names for them; its prices are per token.
const FIELDS: [(&str, &str); 7] = [
    ("input", "input_cost_per_token"),
    ("cached_input", "cache_read_input_token_cost"),
    ("cache_write", "cache_creation_input_token_cost"),
    ("cache_write_1h", "cache_creation_input_token_cost_above_1hr"),
    ("audio_input", "input_cost_per_audio_token"),
    ("output", "output_cost_per_token"),
    ("audio_output", "output_cost_per_audio_token"),
];

/// The providers that have the same name there.
const SHARED_NAMES: [&str; 7] = ["openai", "anthropic", "gemini", "mistral", "deepseek", "groq", "xai"];

/// The models with prices for tokens.
fn of_litellm(models: &Map<String, Value>) -> Tree {
    let tree = |data| Tree { line: 0, data };
    let mut list: Vec<(String, Vec<(String, Tree)>)> = Vec::new();
    for (name, model) in models {
        let provider = model["litellm_provider"].as_str().unwrap_or_default();
        if !SHARED_NAMES.contains(&provider) || model["input_cost_per_token"].as_f64().is_none() {
            continue;
        }
        let per_million = |field: &str| Number::from_f64((model[field].as_f64()? * 1e12).round() / 1e6);
        let output = |own: &str| (own == "output").then(|| Number::from(0)); // embeddings have none
        let price = FIELDS.iter().filter_map(|(own, theirs)| {
            let number = per_million(theirs).or_else(|| output(own))?;
            Some(((*own).to_owned(), tree(Data::Number(number))))
        });
        let name = name.strip_prefix(&format!("{provider}/")).unwrap_or(name);
        let entry = (name.to_owned(), tree(Data::Map(price.collect())));
        match list.iter_mut().find(|(known, _)| known == provider) {
            Some((_, prices)) if prices.iter().any(|(known, _)| known == name) => (),
            Some((_, prices)) => prices.push(entry),
            None => list.push((provider.to_owned(), vec![entry])),
        }
    }
    tree(Data::Map(list.into_iter().map(|(provider, prices)| (provider, tree(Data::Map(prices)))).collect()))
}
