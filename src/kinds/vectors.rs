//! Tells the kind by the examples that mean nearly the same: texts as vectors, by OpenAI's embeddings API.

use super::{start_of, Choose, MAX_SENT};
use crate::embeddings::{self, Vector};

/// The most texts in one request.
pub const MAX_BATCH: usize = 16;
/// So many of a kind's nearest examples count.
const NEAREST: usize = 3;

/// The request for the vectors of texts, of which the beginnings are sent.
pub fn embeddings_body(model: &str, texts: &[&str]) -> String {
    let texts: Vec<&str> = texts.iter().map(|text| start_of(text, MAX_SENT)).collect();
    embeddings::body(model, &texts)
}

/// The vectors of the examples, each with its kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors(Vec<(usize, Vector)>);

impl Vectors {
    /// Adds the next examples' vectors.
    pub fn add(&mut self, choose: &Choose, vectors: Vec<Vector>) {
        let kinds = examples(choose).map(|(kind, _)| kind).skip(self.0.len());
        let mut more: Vec<(usize, Vector)> = kinds.zip(vectors).collect();
        self.0.append(&mut more);
    }

    /// The texts of the examples that are missing, at most one batch.
    pub fn missing<'a>(&self, choose: &'a Choose) -> Vec<&'a str> {
        examples(choose).map(|(_, example)| example).skip(self.0.len()).take(MAX_BATCH).collect()
    }

    /// The kind with the nearest examples, if they are nearer than `threshold`: the mean of its three nearest, because one
    /// odd example would draw too much.
    pub fn nearest(&self, vector: &Vector, threshold: f64) -> Option<usize> {
        let mut best = None;
        let kinds = self.0.iter().map(|(kind, _)| kind + 1).max().unwrap_or(0);
        for kind in 0..kinds {
            let mut nearest = [f32::MIN; NEAREST];
            let mut count = 0_usize;
            for (_, example) in self.0.iter().filter(|(of, _)| *of == kind) {
                // vectors of different lengths have nothing in common
                let mut similarity = example.similarity(vector).unwrap_or(-1.0);
                count += 1;
                for place in &mut nearest {
                    if similarity > *place {
                        std::mem::swap(place, &mut similarity);
                    }
                }
            }
            let counted = count.min(NEAREST);
            if counted == 0 {
                continue;
            }
            let mean = nearest.iter().take(counted).sum::<f32>() / counted as f32;
            if best.is_none_or(|(_, known)| mean > known) {
                best = Some((kind, mean));
            }
        }
        best.filter(|(_, similarity)| f64::from(*similarity) >= threshold).map(|(kind, _)| kind)
    }
}

fn examples(choose: &Choose) -> impl Iterator<Item = (usize, &str)> {
    choose
        .kinds
        .iter()
        .enumerate()
        .flat_map(|(index, kind)| kind.examples.iter().map(move |text| (index, text.as_str())))
}
