//! Rewrites a module with its functions in another order.

use std::collections::HashMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{utils, Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, RawSection};
use wasmparser::{CustomSectionReader, Parser, Payload};

use crate::inlining::prevented;
use crate::module::{Module, Unreadable};

/// The same module with the functions of the given names first, in this order, and without names, which Envoy need not
/// read. Unknown names are ignored; all functions with one name are placed together. V8 inlines nothing into the others.
/// # Errors
/// The module cannot be read.
pub fn in_order<'n>(module: &Module<'_>, profile: impl IntoIterator<Item = &'n str>) -> Result<Vec<u8>, Unreadable> {
    let (order, hot) = order(module, profile);
    let imports = module.imports.len() as u32;
    let mut places = vec![0; order.len()];
    for (place, function) in order.iter().enumerate() {
        if let Some(new) = places.get_mut(*function as usize) {
            *new = place as u32;
        }
    }
    let permuted = permuted(module, &order)?;
    let mut out = wasm_encoder::Module::new();
    Renumber { imports, places }.parse_core_module(&mut out, Parser::new(0), &permuted)?;
    prevented(module, &out.finish(), hot)
}

/// The function at each place, and how many of them are in the profile; both count from the first that is not imported.
fn order<'n>(module: &Module<'_>, profile: impl IntoIterator<Item = &'n str>) -> (Vec<u32>, usize) {
    let mut by_name: HashMap<String, Vec<u32>> = HashMap::new();
    let imports = module.imports.len() as u32;
    for (index, _, name) in module.functions() {
        by_name.entry(name).or_default().push(index - imports);
    }
    let mut order: Vec<u32> = profile.into_iter().filter_map(|name| by_name.remove(name)).flatten().collect();
    let hot = order.len();
    let mut rest: Vec<u32> = by_name.into_values().flatten().collect();
    rest.sort_unstable();
    order.append(&mut rest);
    (order, hot)
}

/// The module with its function and code sections in this order, with all numbers unchanged.
fn permuted(module: &Module<'_>, order: &[u32]) -> Result<Vec<u8>, Unreadable> {
    let mut out = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(module.bytes) {
        match payload? {
            Payload::FunctionSection(_) => {
                let mut section = FunctionSection::new();
                for kind in order.iter().filter_map(|function| module.types.get(*function as usize)) {
                    section.function(*kind);
                }
                out.section(&section);
            }
            Payload::CodeSectionStart { .. } => {
                let mut section = CodeSection::new();
                for body in order.iter().filter_map(|function| module.bodies.get(*function as usize)) {
                    section.raw(module.bytes.get(body.clone()).unwrap_or_default());
                }
                out.section(&section);
            }
            Payload::CodeSectionEntry(_) => {}
            other => {
                if let Some((id, range)) = other.as_section() {
                    out.section(&RawSection { id, data: module.bytes.get(range).unwrap_or_default() });
                }
            }
        }
    }
    Ok(out.finish())
}

/// Changes every use of a function to its new place.
struct Renumber {
    imports: u32,
    places: Vec<u32>,
}

impl Reencode for Renumber {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        let own = function.checked_sub(self.imports);
        let place = own.and_then(|own| self.places.get(own as usize));
        Ok(place.map_or(function, |place| self.imports + place))
    }

    fn parse_custom_section(
        &mut self,
        module: &mut wasm_encoder::Module,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        match section.name() {
            "name" => Ok(()),
            _ => utils::parse_custom_section(self, module, section),
        }
    }
}
