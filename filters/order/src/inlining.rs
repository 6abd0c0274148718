//! Keeps V8 from inlining into functions that requests seldom run.
//!
//! Envoy has V8 compile all code with its optimising compiler at the start. Without counts of calls, V8 then inlines the first callees of
//! a function, whatever they are, until the function has three times its size or 60 inlined calls: half of the start is spent on that.
//! LLVM has already inlined what is worth it. So each function outside of the profile begins with a call that never runs, of a
//! function that calls an empty one 60 times. V8 inlines these, finds that they do nothing, and inlines nothing else.

use std::convert::Infallible;

use wasm_encoder::reencode::{utils, Error, Reencode};
use wasm_encoder::{BlockType, CodeSection, Function, FunctionSection, Instruction, TypeSection};
use wasmparser::{CodeSectionReader, FunctionBody, FunctionSectionReader, Parser, TypeSectionReader};

use crate::module::{begin_with, Module, Unreadable};

/// V8's `InliningTree::kMaxInlinedCount`.
const CALLS: usize = 60;
/// V8 inlines twice a function's size. In smaller functions there is no room for the calls.
const SMALLEST: usize = 160;

/// `bytes`, which are `module` with its functions in another order, with that call in each function from this place on; both
/// functions are added at the end.
pub(crate) fn prevented(module: &Module<'_>, bytes: &[u8], from: usize) -> Result<Vec<u8>, Unreadable> {
    let empty = (module.imports.len() + module.bodies.len()) as u32;
    let mut out = wasm_encoder::Module::new();
    Prevent { from, place: 0, empty, kind: module.type_count }.parse_core_module(&mut out, Parser::new(0), bytes)?;
    Ok(out.finish())
}

struct Prevent {
    from: usize,
    /// The place of the next function.
    place: usize,
    /// The added function that does nothing; the one that calls it comes next.
    empty: u32,
    /// Their type.
    kind: u32,
}

impl Reencode for Prevent {
    type Error = Infallible;

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([], []);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.kind).function(self.kind);
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), Error> {
        use Instruction as I;
        let applies = self.place >= self.from && body.range().len() >= SMALLEST;
        self.place += 1;
        if !applies {
            return utils::parse_function_body(self, code, body);
        }
        let call = [I::I32Const(0), I::If(BlockType::Empty), I::Call(self.empty + 1), I::End];
        begin_with(self, &call, code, &body)
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        for calls in [0, CALLS] {
            let mut function = Function::new([]);
            for _ in 0..calls {
                function.instruction(&Instruction::Call(self.empty));
            }
            code.function(function.instruction(&Instruction::End));
        }
        Ok(())
    }
}
