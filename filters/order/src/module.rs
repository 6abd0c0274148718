//! The parts of a module that a rewrite needs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::ops::Range;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, Instruction};
use wasmparser::{BinaryReaderError, ExternalKind, FunctionBody, KnownCustom, Name, Parser, Payload, TypeRef};

/// The bytes are not a module that this tool can read.
#[derive(Debug)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a readable WebAssembly module: {}", self.0)
    }
}

impl Unreadable {
    pub(crate) fn new(reason: String) -> Self {
        Unreadable(reason)
    }
}

impl std::error::Error for Unreadable {}

impl From<BinaryReaderError> for Unreadable {
    fn from(error: BinaryReaderError) -> Self {
        Unreadable(error.to_string())
    }
}

impl From<reencode::Error> for Unreadable {
    fn from(error: reencode::Error) -> Self {
        Unreadable(error.to_string())
    }
}

/// The parts of a module.
pub struct Module<'a> {
    pub(crate) bytes: &'a [u8],
    /// The names of the imported functions, which come first in the numbering.
    pub(crate) imports: Vec<&'a str>,
    /// The types of the module's own functions.
    pub(crate) types: Vec<u32>,
    /// The positions of their bodies.
    pub(crate) bodies: Vec<Range<usize>>,
    /// Exported functions.
    pub(crate) exports: HashMap<&'a str, u32>,
    names: HashMap<u32, &'a str>,
    /// The initial memory, in pages of 64 KiB.
    pub(crate) pages: u64,
    /// The number of types.
    pub(crate) type_count: u32,
}

impl<'a> Module<'a> {
    /// Reads a module.
    ///
    /// # Errors
    /// The bytes are not a module.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut module = Module {
            bytes,
            imports: Vec::new(),
            types: Vec::new(),
            bodies: Vec::new(),
            exports: HashMap::new(),
            names: HashMap::new(),
            pages: 0,
            type_count: 0,
        };
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    module.type_count = section.into_iter_err_on_gc_types().count() as u32;
                }
                Payload::ImportSection(section) => {
                    for import in section {
                        let import = import?;
                        if let TypeRef::Func(_) = import.ty {
                            module.imports.push(import.name);
                        }
                    }
                }
                Payload::FunctionSection(section) => module.types = section.into_iter().collect::<Result<_, _>>()?,
                Payload::MemorySection(section) => {
                    module.pages = section.into_iter().next().transpose()?.map_or(0, |memory| memory.initial);
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            module.exports.insert(export.name, export.index);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => module.bodies.push(body.range()),
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        module.read_names(names)?;
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }

    fn read_names(&mut self, names: wasmparser::NameSectionReader<'a>) -> Result<(), Unreadable> {
        for name in names {
            if let Name::Function(functions) = name? {
                for naming in functions {
                    let naming = naming?;
                    self.names.insert(naming.index, naming.name);
                }
            }
        }
        Ok(())
    }

    /// The module's own functions, with names and sizes in bytes. Names are as in the source, without the hash that
    /// changes with every build, so functions may share a name.
    pub fn functions(&self) -> impl Iterator<Item = (u32, usize, String)> + '_ {
        let first = self.imports.len() as u32;
        (first..).zip(&self.bodies).map(|(index, body)| (index, body.len(), self.name(index)))
    }

    fn name(&self, index: u32) -> String {
        let name = self.names.get(&index).copied().unwrap_or_default();
        format!("{:#}", rustc_demangle::demangle(name))
    }
}

/// Writes a function whose body begins with these instructions.
pub(crate) fn begin_with(
    rewriter: &mut impl Reencode<Error = Infallible>,
    first: &[Instruction<'_>],
    code: &mut CodeSection,
    body: &FunctionBody<'_>,
) -> Result<(), reencode::Error> {
    let mut function = rewriter.new_function_with_parsed_locals(body)?;
    for each in first {
        function.instruction(each);
    }
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        function.instruction(&rewriter.parse_instruction(&mut reader)?);
    }
    code.function(&function);
    Ok(())
}
