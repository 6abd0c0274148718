//! Reads a `google.protobuf.Struct` in its wire format: Envoy passes a filter's YAML configuration in this form.
//!
//! Formats: <https://protobuf.dev/programming-guides/encoding/> and `google/protobuf/struct.proto`.

use serde_json::{Map, Number, Value};

/// The deepest supported nesting; a configuration has fewer than ten levels.
const MAX_DEPTH: u32 = 64;

/// The Struct as JSON. `None` if the bytes are not one.
pub(super) fn decode(bytes: &[u8]) -> Option<Value> {
    object(bytes, 0)
}

/// `message Struct { map<string, Value> fields = 1; }`
fn object(bytes: &[u8], depth: u32) -> Option<Value> {
    let mut map = Map::new();
    for field in Fields(bytes) {
        let (1, Field::Bytes(entry)) = field? else {
            return None;
        };
        let (name, value) = entry_of(entry, depth)?;
        map.insert(name, value);
    }
    Some(Value::Object(map))
}

/// A map's entry: `string key = 1; Value value = 2;`
fn entry_of(bytes: &[u8], depth: u32) -> Option<(String, Value)> {
    let mut name = String::new();
    let mut content = Value::Null;
    for field in Fields(bytes) {
        match field? {
            (1, Field::Bytes(text)) => name = String::from_utf8(text.to_vec()).ok()?,
            (2, Field::Bytes(bytes)) => content = value(bytes, depth + 1)?,
            _ => return None,
        }
    }
    Some((name, content))
}

/// `message Value`: null 1, number 2, string 3, bool 4, struct 5, list 6.
fn value(bytes: &[u8], depth: u32) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut value = Value::Null;
    for field in Fields(bytes) {
        value = match field? {
            (1, Field::Varint(_)) => Value::Null,
            (2, Field::Fixed64(bits)) => Number::from_f64(f64::from_bits(bits)).map_or(Value::Null, Value::Number),
            (3, Field::Bytes(text)) => Value::String(String::from_utf8(text.to_vec()).ok()?),
            (4, Field::Varint(flag)) => Value::Bool(flag != 0),
            (5, Field::Bytes(bytes)) => object(bytes, depth)?,
            (6, Field::Bytes(bytes)) => list(bytes, depth)?,
            _ => return None,
        };
    }
    Some(value)
}

/// `message ListValue { repeated Value values = 1; }`
fn list(bytes: &[u8], depth: u32) -> Option<Value> {
    let elements = Fields(bytes).map(|field| match field? {
        (1, Field::Bytes(bytes)) => value(bytes, depth + 1),
        _ => None,
    });
    elements.collect::<Option<Vec<_>>>().map(Value::Array)
}

/// A field's content, by wire type.
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message; `None` where the bytes are broken.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[]; // do not read on after broken bytes
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => {
                let (bits, rest) = self.0.split_first_chunk::<8>()?;
                self.0 = rest;
                Field::Fixed64(u64::from_le_bytes(*bits))
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
