//! Vectors for texts, from a service with OpenAI's API (`POST /v1/embeddings`), and their similarity.

use std::fmt;

use crate::callout::{Callout, Service};
use crate::json::{write_string, JsonError, Scanner, Value};

/// The path of the API.
pub const PATH: &str = "/v1/embeddings";
/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 4 << 20;
/// The longest vector that is read.
pub const MAX_DIMENSIONS: usize = 8192;

/// A model that turns texts into vectors.
#[derive(Clone, Debug)]
pub struct Embedder {
    /// Where it is.
    pub service: Service,
    /// Its name.
    pub model: String,
}

impl Embedder {
    /// The request for the vectors of these texts.
    pub fn callout(&self, texts: &[&str]) -> Callout {
        self.service.post(&self.service.path, body(&self.model, texts))
    }
}

/// The JSON of the request for the vectors of these texts.
pub fn body(model: &str, texts: &[&str]) -> String {
    let mut body = String::from(r#"{"model":"#);
    write_string(&mut body, model);
    body.push_str(r#","input":["#);
    for (index, text) in texts.iter().enumerate() {
        body.push_str(if index > 0 { "," } else { "" });
        write_string(&mut body, text);
    }
    body.push_str("]}");
    body
}

/// Why a service's answer has no vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoVectors {
    /// A status other than 200.
    Status(u16),
    /// It is no answer to the question: not JSON, not one usable vector for each text, or too long.
    Shape,
}

impl fmt::Display for NoVectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoVectors::Status(status) => write!(f, "its service answered with status {status}"),
            NoVectors::Shape => f.write_str("its service answered something else than one vector for each text"),
        }
    }
}

/// Reads the answer to the request for the vectors of so many texts, in their order.
///
/// ```
/// use sluice::embeddings::read;
///
/// let answer = br#"{"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[3.0,4.0]}]}"#;
/// let vectors = read(200, answer, 2)?;
/// assert_eq!(vectors[0].similarity(&vectors[1]), Some(0.8));
/// # Ok::<(), sluice::embeddings::NoVectors>(())
/// ```
///
/// # Errors
/// The status is not 200, or the answer does not have one valid vector for each text.
pub fn read(status: u16, body: &[u8], texts: usize) -> Result<Vec<Vector>, NoVectors> {
    if status != 200 {
        return Err(NoVectors::Status(status));
    }
    if body.len() > MAX_ANSWER {
        return Err(NoVectors::Shape);
    }
    let mut found: Vec<Option<Vector>> = Vec::new();
    found.resize_with(texts, || None);
    let mut next = 0;
    let mut is_wrong = false;
    let mut scanner = Scanner::new(body);
    let scanned = scanner.object(|name, scanner| {
        if !name.is("data") {
            return scanner.value().map(|_| ());
        }
        let is_list = scanner.array(|scanner| {
            let (vector, index) = item(scanner)?;
            match found.get_mut(index.unwrap_or(next)) {
                Some(place) if place.is_none() => *place = vector,
                _ => is_wrong = true,
            }
            next += 1;
            Ok(())
        })?;
        is_wrong |= !is_list;
        Ok(())
    });
    let is_whole = scanned == Ok(true) && scanner.end().is_ok() && !is_wrong;
    let vectors = found.into_iter().collect::<Option<Vec<_>>>().filter(|_| is_whole).ok_or(NoVectors::Shape)?;
    let same = vectors.windows(2).all(|pair| matches!(pair, [one, other] if one.0.len() == other.0.len()));
    if same {
        Ok(vectors)
    } else {
        Err(NoVectors::Shape)
    }
}

/// One of `data`: its vector and its index.
fn item(scanner: &mut Scanner<'_>) -> Result<(Option<Vector>, Option<usize>), JsonError> {
    let (mut vector, mut index) = (None, None);
    scanner.object(|name, scanner| {
        if name.is("embedding") {
            vector = read_vector(scanner)?;
        } else {
            let value = scanner.value()?;
            if name.is("index") {
                index = value.as_count().and_then(|count| usize::try_from(count).ok());
            }
        }
        Ok(())
    })?;
    Ok((vector, index))
}

/// A vector as an array of numbers; `None` if it is something else, or too long.
pub(crate) fn read_vector(scanner: &mut Scanner<'_>) -> Result<Option<Vector>, JsonError> {
    Ok(numbers(scanner)?.and_then(Vector::new))
}

/// An array of numbers; `None` if it is something else, or too long.
fn numbers(scanner: &mut Scanner<'_>) -> Result<Option<Vec<f32>>, JsonError> {
    let mut numbers = Vec::new();
    let mut are_numbers = true;
    let is_list = scanner.array(|scanner| {
        let number = match scanner.value()? {
            Value::Number(written) => std::str::from_utf8(written).ok().and_then(|text| text.parse().ok()),
            _ => None,
        };
        match number {
            Some(number) if numbers.len() < MAX_DIMENSIONS => numbers.push(number),
            _ => are_numbers = false,
        }
        Ok(())
    })?;
    Ok(Some(numbers).filter(|_| is_list && are_numbers))
}

/// A vector whose Euclidean length is 1.
#[derive(Clone, PartialEq)]
pub struct Vector(Box<[f32]>);

/// Its numbers tell something about a text, so they are not printed.
impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vector({})", self.0.len())
    }
}

impl Vector {
    /// The vector with the direction of these numbers. `None`: they have none.
    ///
    /// ```
    /// use sluice::embeddings::Vector;
    ///
    /// assert_eq!(Vector::new(vec![3.0, 4.0]).unwrap().numbers(), [0.6, 0.8]);
    /// assert!(Vector::new(vec![0.0, 0.0]).is_none() && Vector::new(vec![f32::NAN]).is_none());
    /// ```
    pub fn new(mut numbers: Vec<f32>) -> Option<Self> {
        let square: f64 = numbers.iter().map(|number| f64::from(*number) * f64::from(*number)).sum();
        let length = square.sqrt();
        if !length.is_finite() || length <= 0.0 {
            return None;
        }
        numbers.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
        Some(Vector(numbers.into()))
    }

    /// Its numbers.
    pub fn numbers(&self) -> &[f32] {
        &self.0
    }

    /// The cosine of the angle between two vectors, from -1 to 1. `None` if they have different numbers of
    /// dimensions: then they are of different models.
    pub fn similarity(&self, other: &Vector) -> Option<f32> {
        (self.0.len() == other.0.len()).then(|| dot(&self.0, &other.0).clamp(-1.0, 1.0))
    }
}

/// The number of sums that are added up side by side: two registers of four.
const LANES: usize = 8;

fn dot(one: &[f32], other: &[f32]) -> f32 {
    let (whole, other_whole) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f32 = whole.remainder().iter().zip(other_whole.remainder()).map(|(one, other)| one * other).sum();
    let mut sums = [0.0; LANES];
    for (one, other) in whole.zip(other_whole) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    sums.iter().sum::<f32>() + rest
}
