//! Reads a request as its model's configuration wants it.

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::json::write_string;
use crate::parsed_request::{self, is_without_model, ParsedRequest};
use crate::presets::{edit, Edits, Field};
use crate::routing::{Model, Table};
use crate::validation::{validate, Problem, Validate};

/// A request that has been read.
#[derive(Debug)]
pub struct Prepared {
    /// What it says.
    pub parsed: ParsedRequest,
    /// Its body.
    pub body: Vec<u8>,
    /// Whether that differs from the client's.
    pub changed: bool,
    /// What is wrong with the client's, although it may pass.
    pub invalid: Option<Invalid>,
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Invalid {
    /// The configured name of its model.
    pub model: String,
    /// The first problem.
    pub problem: Problem,
}

/// Why a request may not pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Unprepared {
    /// It cannot be read.
    Refused(ApiError),
    /// It is not what its API takes.
    Invalid(Invalid),
}

impl From<ApiError> for Unprepared {
    fn from(error: ApiError) -> Self {
        Unprepared::Refused(error)
    }
}

/// Reads a request: one without a model gets the router's default model, its model may want it checked, and the
/// model's defaults and overrides are written into its body.
///
/// # Errors
/// What [`parsed_request::read`] refuses, and what is not valid.
pub fn prepare(
    endpoint: Endpoint,
    path_model: Option<String>,
    body: Vec<u8>,
    table: &Table,
) -> Result<Prepared, Unprepared> {
    let read = parsed_request::read(endpoint, path_model.clone(), &body);
    let (default, read) = match (read, &table.default_model) {
        (Err(error), Some(model)) if is_without_model(&error) => (Some(model), None),
        (read, _) => (None, Some(read?)),
    };
    let name = default.map(String::as_str).or(read.as_ref().map(|read| read.model.as_str())).unwrap_or_default();
    let model = table.find(name).and_then(|index| table.models().get(index));
    let invalid = checked(model, mode_of(model, table), endpoint, &body)?;
    let presets = model.and_then(|model| model.presets.as_ref()?.of(endpoint));
    let edited = match (default, presets) {
        (None, None) => None,
        (None, Some(edits)) => edit(&body, edits).map_err(too_complex)?,
        (Some(model), presets) => {
            let mut edits = presets.cloned().unwrap_or_default();
            edits.fields.push(naming(model));
            edit(&body, &edits).map_err(too_complex)?
        }
    };
    match (edited, read) {
        (None, Some(parsed)) => Ok(Prepared { parsed, body, changed: false, invalid }),
        (edited, _) => {
            let changed = edited.is_some();
            let body = edited.unwrap_or(body);
            let parsed = parsed_request::read(endpoint, path_model, &body)?;
            Ok(Prepared { parsed, body, changed, invalid })
        }
    }
}

/// How a model wants its bodies checked.
fn mode_of(model: Option<&Model>, table: &Table) -> Validate {
    model.map_or(Validate::Off, |model| model.validate.unwrap_or(table.validate))
}

/// Checks a body as its model wants it.
fn checked(
    model: Option<&Model>,
    mode: Validate,
    endpoint: Endpoint,
    body: &[u8],
) -> Result<Option<Invalid>, Unprepared> {
    let Some(model) = model.filter(|_| mode != Validate::Off) else {
        return Ok(None);
    };
    match validate(endpoint, body).map(|problem| Invalid { model: model.name.clone(), problem }) {
        Some(invalid) if mode == Validate::On => Err(Unprepared::Invalid(invalid)),
        invalid => Ok(invalid),
    }
}

/// Gives a request of a virtual model the model that was chosen for it, with the defaults and overrides of that. The
/// chosen model may want the body checked; not again, if the virtual model has had it checked as strictly.
///
/// # Errors
/// The body is not valid, or has too many parts, or cannot be read with these.
pub fn choose_model(parsed: &ParsedRequest, body: Vec<u8>, model: &str, table: &Table) -> Result<Prepared, Unprepared> {
    let find = |name: &str| table.find(name).and_then(|index| table.models().get(index));
    let chosen = find(model);
    let mode = match (mode_of(find(&parsed.model), table), mode_of(chosen, table)) {
        (Validate::On, _) | (Validate::Warn, Validate::Warn) => Validate::Off,
        (_, mode) => mode,
    };
    let invalid = checked(chosen, mode, parsed.endpoint, &body)?;
    let presets = chosen.and_then(|model| model.presets.as_ref()?.of(parsed.endpoint));
    let mut edits = presets.cloned().unwrap_or_default();
    if !parsed.named_in_path || parsed.layout.model.is_some() {
        edits.fields.push(Field { overrides: true, ..naming(model) });
    }
    let edited = edit(&body, &edits).map_err(too_complex)?;
    let changed = edited.is_some();
    let body = edited.unwrap_or(body);
    let in_path = parsed.named_in_path.then(|| model.to_owned());
    let parsed = parsed_request::read(parsed.endpoint, in_path, &body)?;
    Ok(Prepared { parsed, body, changed, invalid })
}

/// A body that names no model, with this one.
///
/// # Errors
/// It has too many parts.
pub fn with_model(body: &[u8], model: &str) -> Result<Vec<u8>, ApiError> {
    let edits = Edits { fields: vec![naming(model)], ..Edits::default() };
    let edited = edit(body, &edits).map_err(too_complex)?;
    Ok(edited.unwrap_or_else(|| body.to_vec()))
}

fn too_complex<E>(_: E) -> ApiError {
    ApiError::bad_request("invalid_json", None, "The request body has too many parts.")
}

/// The field with the model's name.
fn naming(model: &str) -> Field {
    let mut value = String::new();
    write_string(&mut value, model);
    Field { parent: Vec::new(), names: vec!["model".to_owned()], value, overrides: false }
}
