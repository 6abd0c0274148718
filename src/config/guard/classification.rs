//! The fields of the api `text_classification`.

use super::number;
use crate::config::reader::{ConfigError, Node, Object};
use crate::guard::api::{ClassificationServer, Pieces, TextClassification};

/// Its fields.
pub(super) const FIELDS: &[&str] = &["server", "labels", "thresholds", "batch_size", "pieces", "model"];

/// The default of `batch_size`: Text Embeddings Inference refuses more, unless it is told otherwise.
const BATCH_SIZE: usize = 32;

/// The name of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ServerKind {
    Tei,
    Vllm,
}

const SERVERS: [(&str, ServerKind); 2] = [("tei", ServerKind::Tei), ("vllm", ServerKind::Vllm)];

/// Reads them.
///
/// # Errors
/// The first mistake, with its path.
pub(super) fn read(fields: &Object<'_>) -> Result<TextClassification, ConfigError> {
    let kind = fields.require("server")?.choice(&SERVERS)?;
    let thresholds = thresholds(fields)?;
    let server = match kind {
        ServerKind::Tei => {
            for name in ["model", "labels"] {
                if let Some(node) = fields.get(name) {
                    return Err(
                        node.error("is for vllm; leave it out: this server has one model, and names its labels")
                    );
                }
            }
            ClassificationServer::Tei
        }
        ServerKind::Vllm => {
            let model = fields.get("model").map(|node| node.text().map(str::to_owned)).transpose()?;
            ClassificationServer::Vllm { model, labels: labels(fields, &thresholds)? }
        }
    };
    let batch_size = number(fields, "batch_size", BATCH_SIZE, 1, 1000)?;
    let pieces = fields.get("pieces").map_or(Ok(Pieces::default()), |node| pieces(&node))?;
    Ok(TextClassification { server, thresholds, batch_size, pieces })
}

/// The labels that count, with their thresholds.
fn thresholds(fields: &Object<'_>) -> Result<Vec<(String, f64)>, ConfigError> {
    let Some(node) = fields.get("thresholds") else {
        return Err(fields.error("`thresholds` is missing; name the labels that count, such as {MALICIOUS: 0.5}"));
    };
    if !node.is_object() {
        return Err(node.error("must name the labels that count, such as {MALICIOUS: 0.5}: other labels mean no harm"));
    }
    let each = node.entries()?.into_iter().map(|(name, node)| node.share().map(|share| (name.to_owned(), share)));
    let each = each.collect::<Result<Vec<_>, _>>()?;
    match each.is_empty() {
        true => Err(node.error("names no label, so that nothing is found; name one, such as {MALICIOUS: 0.5}")),
        false => Ok(each),
    }
}

/// All labels of a model: vLLM numbers them, and only names the first.
fn labels(fields: &Object<'_>, thresholds: &[(String, f64)]) -> Result<Vec<String>, ConfigError> {
    let Some(node) = fields.get("labels") else {
        return Err(fields.error(
            "`labels` is missing; list all labels of the model in the order of `id2label` in its config.json, such as \
             [BENIGN, MALICIOUS]",
        ));
    };
    let labels = node.texts()?;
    for (at, label) in labels.iter().enumerate() {
        if labels.iter().skip(at + 1).any(|other| other == label) {
            return Err(node.error(format!("names {label:?} twice; list each label once")));
        }
    }
    match thresholds.iter().find(|(label, _)| !labels.contains(label)) {
        Some((label, _)) => Err(node.error(format!("lacks {label:?}, which `thresholds` names; list all labels"))),
        None => Ok(labels),
    }
}

fn pieces(node: &Node<'_>) -> Result<Pieces, ConfigError> {
    let fields = node.object(&["characters", "overlap"])?;
    let default = Pieces::default();
    let characters = number(&fields, "characters", default.characters, 50, 100_000)?;
    let overlap = number(&fields, "overlap", default.overlap.min(characters / 5), 0, 100_000)?;
    match overlap > characters / 2 {
        true => Err(fields.require("overlap")?.error("must be at most half of `characters`")),
        false => Ok(Pieces { characters, overlap }),
    }
}
