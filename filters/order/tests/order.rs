//! A small module: it works the same after reordering, and with recording.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use sluice_order::{in_order, recording, Module};
use wasm_encoder::{
    CodeSection, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, Instruction as I, MemorySection, MemoryType, NameMap, NameSection, RefType, TableSection, TableType,
    TypeSection, ValType,
};
use wasmparser::Payload;

const NAMES: [&str; 3] = ["_ZN3app5first17h0123456789abcdefE", "_ZN3app6second17h0123456789abcdefE", "third"];

/// Three functions besides the imported one; each returns its place, the second that of the third.
fn module() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 3], [ValType::I32]);
    let mut imports = ImportSection::new();
    imports.import("env", "proxy_log", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    for _ in NAMES {
        functions.function(0);
    }
    let mut tables = TableSection::new();
    let element_type = RefType::FUNCREF;
    tables.table(TableType { element_type, minimum: 1, maximum: None, table64: false, shared: false });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut exports = ExportSection::new();
    exports.export("proxy_on_request_headers", ExportKind::Func, 2);
    let mut elements = ElementSection::new();
    elements.active(None, &wasm_encoder::ConstExpr::i32_const(0), Elements::Functions((&[3][..]).into()));
    let mut code = CodeSection::new();
    for body in
        [&[I::I32Const(1)][..], &[I::LocalGet(0), I::LocalGet(1), I::LocalGet(2), I::Call(3)], &[I::I32Const(3)]]
    {
        let mut function = Function::new([]);
        for each in body {
            function.instruction(each);
        }
        function.instruction(&I::End);
        code.function(&function);
    }
    let mut map = NameMap::new();
    (1..).zip(NAMES).for_each(|(index, name)| map.append(index, name));
    let mut names = NameSection::new();
    names.functions(&map);
    let mut out = wasm_encoder::Module::new();
    out.section(&types).section(&imports).section(&functions).section(&tables).section(&memories);
    out.section(&exports).section(&elements).section(&code).section(&names);
    out.finish()
}

/// The bytes of each body, the function that is exported, and the one that the table names.
fn parts(bytes: &[u8]) -> (Vec<Vec<u8>>, u32, u32) {
    let (mut bodies, mut exported, mut listed) = (Vec::new(), 0, 0);
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::CodeSectionEntry(body) => bodies.push(bytes[body.range()].to_vec()),
            Payload::ExportSection(section) => exported = section.into_iter().next().unwrap().unwrap().index,
            Payload::ElementSection(section) => {
                if let wasmparser::ElementItems::Functions(items) = section.into_iter().next().unwrap().unwrap().items {
                    listed = items.into_iter().next().unwrap().unwrap();
                }
            }
            _ => {}
        }
    }
    (bodies, exported, listed)
}

#[test]
fn names_are_without_their_hash() {
    let bytes = module();
    let names: Vec<String> = Module::read(&bytes).unwrap().functions().map(|(_, _, name)| name).collect();
    assert_eq!(names, ["app::first", "app::second", "third"]);
}

#[test]
fn all_uses_follow_a_function_to_its_place() {
    let bytes = module();
    let (before, ..) = parts(&bytes);
    let ordered = in_order(&Module::read(&bytes).unwrap(), ["third", "nobody", "app::second"]).unwrap();
    let (bodies, exported, listed) = parts(&ordered);
    assert_eq!((exported, listed), (2, 1)); // the imported one is 0
    assert_eq!((&bodies[0], &bodies[2]), (&before[2], &before[0]));
    assert!(bodies[1].ends_with(&[0x10, 1, 0x0b])); // calls the third at its new place
    assert_eq!(in_order(&Module::read(&bytes).unwrap(), ["third", "app::second"]).unwrap(), ordered);
}

/// A function that has room for the calls begins with one, unless it is in the profile.
#[test]
fn nothing_is_inlined_where_requests_seldom_run() {
    let mut module = wasm_encoder::Module::new();
    let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], []);
    for size in [10, 1000, 1000] {
        functions.function(0);
        let mut function = Function::new([(1, ValType::I64)]);
        for _ in 0..size {
            function.instruction(&I::Nop);
        }
        code.function(function.instruction(&I::End));
    }
    let mut map = NameMap::new();
    (0..).zip(["small", "large", "hot"]).for_each(|(index, name)| map.append(index, name));
    let mut names = NameSection::new();
    names.functions(&map);
    module.section(&types).section(&functions).section(&code).section(&names);
    let bytes = module.finish();
    let ordered = in_order(&Module::read(&bytes).unwrap(), ["hot"]).unwrap();
    let (before, _, _) = parts(&bytes);
    let (bodies, _, _) = parts(&ordered);
    assert_eq!((&bodies[0], &bodies[1]), (&before[2], &before[0]));
    // after the locals: if 0 { call the last function }
    assert_eq!(bodies[2][..11], [1, 1, 0x7e, 0x41, 0, 0x04, 0x40, 0x10, 4, 0x0b, 0x01]);
    assert_eq!((bodies[3].as_slice(), bodies[4].len()), (&[0, 0x0b][..], 2 + 60 * 2));
}

#[test]
fn what_records_is_a_module() {
    let bytes = module();
    let recorder = recording(&Module::read(&bytes).unwrap()).unwrap();
    assert_eq!(parts(&recorder).0.len(), NAMES.len() + 1);
}

#[test]
fn other_bytes_are_refused() {
    assert!(Module::read(b"no module").is_err());
    let empty = wasm_encoder::Module::new().finish();
    assert!(recording(&Module::read(&empty).unwrap()).is_err());
}
