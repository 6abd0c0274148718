//! Makes a module log which of its functions run, in the order of their first calls.

use std::convert::Infallible;

use wasm_encoder::reencode::{utils, Error, Reencode};
use wasm_encoder::{BlockType, CodeSection, Function, FunctionSection, Instruction, MemArg, TypeSection, ValType};
use wasmparser::{CodeSectionReader, FunctionBody, FunctionSectionReader, MemoryType, Parser, TypeSectionReader};

use crate::module::{begin_with, Module, Unreadable};

/// The function with which it writes to Envoy's log; the module must import it.
const LOG: &str = "proxy_log";
/// The function with which requests begin. A request passes two filters: the odd calls are the first of each.
const BEGIN: &str = "proxy_on_request_headers";
/// The number of such calls at the start that are not recorded, because they include one-time work.
const WARM_UP: i32 = 101;
const INFO: i32 = 2;
const PAGE: u64 = 64 * 1024;
/// The prefix of each log line; the number of a function follows, padded to a fixed width.
pub const LINE: &[u8; 7] = b"order: ";
const DIGITS: u32 = 8;

/// The module with code before each function: after enough requests, it logs the first call of each function, as
/// `order: ` and its number.
///
/// # Errors
/// The module cannot be read, or has no part in requests.
pub fn recording(module: &Module<'_>) -> Result<Vec<u8>, Unreadable> {
    let missing = |name: &str| Unreadable::new(format!("it has no {name}"));
    let log = module.imports.iter().position(|name| *name == LOG).ok_or_else(|| missing(LOG))? as u32;
    let begin = *module.exports.get(BEGIN).ok_or_else(|| missing(BEGIN))?;
    let mut recorder = Recorder {
        log,
        begin,
        next: module.imports.len() as u32,
        tell: (module.imports.len() + module.bodies.len()) as u32,
        tell_type: module.type_count,
        base: i32::try_from(module.pages * PAGE).map_err(|_| missing("room for more memory"))?,
    };
    let mut out = wasm_encoder::Module::new();
    recorder.parse_core_module(&mut out, Parser::new(0), module.bytes)?;
    Ok(out.finish())
}

struct Recorder {
    log: u32,
    begin: u32,
    /// The number of the next function.
    next: u32,
    /// The added function, and its type.
    tell: u32,
    tell_type: u32,
    /// The start of the added memory: the number of requests so far, a log line, then a byte for each function.
    base: i32,
}

impl Recorder {
    fn line(&self) -> i32 {
        self.base + 8
    }

    fn flags(&self) -> i32 {
        self.base + 64
    }

    /// The function that logs another one: the argument is its number.
    fn tell(&self) -> Function {
        use Instruction as I;
        let (byte, word) = (at(0), at(2));
        let mut body = Function::new([(1, ValType::I32)]);
        let mut add = |instructions: &[I<'_>]| {
            for each in instructions {
                body.instruction(each);
            }
        };
        // only after the first requests, and each function once
        add(&[I::I32Const(self.base), I::I32Load(word), I::I32Const(WARM_UP), I::I32LtS]);
        add(&[I::LocalGet(0), I::I32Const(self.flags()), I::I32Add, I::LocalTee(1), I::I32Load8U(byte), I::I32Or]);
        add(&[I::If(BlockType::Empty), I::Return, I::End]);
        add(&[I::LocalGet(1), I::I32Const(1), I::I32Store8(byte)]);
        for (offset, letter) in LINE.iter().enumerate() {
            add(&[I::I32Const(self.line() + offset as i32), I::I32Const(i32::from(*letter)), I::I32Store8(byte)]);
        }
        for digit in (0..DIGITS).rev() {
            let place = self.line() + (LINE.len() as u32 + digit) as i32;
            add(&[I::I32Const(place), I::LocalGet(0), I::I32Const(10), I::I32RemU, I::I32Const(48), I::I32Add]);
            add(&[I::I32Store8(byte), I::LocalGet(0), I::I32Const(10), I::I32DivU, I::LocalSet(0)]);
        }
        let length = (LINE.len() as u32 + DIGITS) as i32;
        add(&[I::I32Const(INFO), I::I32Const(self.line()), I::I32Const(length), I::Call(self.log), I::Drop, I::End]);
        body
    }
}

fn at(align: u32) -> MemArg {
    MemArg { offset: 0, align, memory_index: 0 }
}

impl Reencode for Recorder {
    type Error = Infallible;

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32], []);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.tell_type);
        Ok(())
    }

    fn memory_type(&mut self, memory: MemoryType) -> Result<wasm_encoder::MemoryType, Error> {
        let mut memory = utils::memory_type(self, memory);
        memory.minimum += 1;
        Ok(memory)
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), Error> {
        use Instruction as I;
        let (base, next) = (self.base, self.next);
        let mut first = Vec::new();
        if next == self.begin {
            first.extend([I::I32Const(base), I::I32Const(base), I::I32Load(at(2)), I::I32Const(1), I::I32Add]);
            first.push(I::I32Store(at(2)));
        }
        first.extend([I::I32Const(next as i32), I::Call(self.tell)]);
        self.next += 1;
        begin_with(self, &first, code, &body)
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.tell());
        Ok(())
    }
}
