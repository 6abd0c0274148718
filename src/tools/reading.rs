//! Reads the tools that a request offers.

use super::offered::Offered;
use super::ToolLists;
use crate::endpoint::Dialect;
use crate::json::{JsonError, Scanner, Text, Value};
use crate::label::Label;
use crate::parsed_request::folds_to;

/// Tools within tools, such as a namespace's, are read this deep.
const MAX_DEPTH: usize = 4;
/// The most types, names and labels of one tool: a tool needs one of each, and they are compared with each other.
const MAX_PARTS: usize = 8;
/// The longest name in an error, in characters.
const MAX_SHOWN: usize = 64;

/// A tool that the caller may not offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRefusal {
    /// Where it is in the request: `tools[1].function.name`.
    pub path: String,
    /// Its name, as far as it can be shown; `None`: it has none.
    pub name: Option<String>,
}

/// Whether all of `lists` permit every tool that a request of this dialect offers.
///
/// ```
/// use sluice::endpoint::Dialect;
/// use sluice::tools::{check, ToolLists};
///
/// let lists = ToolLists { allow: Some(vec!["get_*".into()]), deny: vec![] };
/// let body = br#"{"tools":[{"type":"function","function":{"name":"get_time"}},{"type":"web_search"}]}"#;
/// let refusal = check(&[&lists], Dialect::OpenAi, body).unwrap_err();
/// assert_eq!((refusal.path.as_str(), refusal.name.as_deref()), ("tools[1].type", Some("web_search")));
/// ```
///
/// # Errors
/// The first one that is not permitted.
pub fn check(lists: &[&ToolLists], dialect: Dialect, body: &[u8]) -> Result<(), ToolRefusal> {
    let mut reader = Reader { lists, dialect, refusal: None };
    // the body has been read before, so it is JSON
    let read = reader.request(&mut Scanner::new(body));
    match (reader.refusal, read) {
        (Some(refusal), _) => Err(refusal),
        (None, Err(_)) => Err(ToolRefusal { path: "tools".to_owned(), name: None }),
        (None, Ok(())) => Ok(()),
    }
}

/// The members of a request that matter.
const TOP: [&str; 4] = ["tools", "functions", "mcp_servers", "input"];
/// Members by which some servers for chats are told to search the web or other data, and the tool that they are.
const SWITCHES: [(&str, &str); 5] = [
    ("web_search_options", "web_search"),
    ("search_parameters", "web_search"),
    ("enable_search", "web_search"),
    ("plugins", "plugins"),
    ("data_sources", "data_sources"),
];
/// The members of a tool that matter.
const TOOL: [&str; 9] =
    ["type", "name", "function", "custom", "server_label", "mcp_server_name", "tools", "input_schema", "parameters"];
const NAME: [&str; 1] = ["name"];
const TOOLS: [&str; 1] = ["tools"];
/// Gemini's two spellings of the list of functions.
const DECLARATIONS: [&str; 2] = ["functionDeclarations", "function_declarations"];

/// The member of these that a reader could take this for, whatever the case of its letters.
fn member(key: &Text<'_>, known: &[&'static str]) -> Option<&'static str> {
    let key = key.decode();
    known.iter().copied().find(|known| folds_to(&key, known))
}

struct Reader<'l> {
    lists: &'l [&'l ToolLists],
    dialect: Dialect,
    refusal: Option<ToolRefusal>,
}

/// What a tool says of itself.
#[derive(Default)]
struct Tool {
    /// Its types.
    kinds: Vec<String>,
    /// Its names, each with its place.
    names: Vec<(&'static str, String)>,
    /// The servers that it stands for.
    labels: Vec<String>,
    /// Whether it has tools of its own.
    nested: bool,
    /// Whether it has a schema, as functions have.
    has_schema: bool,
}

impl Reader<'_> {
    fn request(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.object(|key, scanner| match member(&key, &TOP) {
            Some("tools") => self.tools("tools", 0, scanner),
            Some("functions") => self.named("functions", &Offered::function, scanner),
            Some("mcp_servers") => self.named("mcp_servers", &|name| Offered::server("mcp", name, &[]), scanner),
            // results of a search for tools have tools
            Some("input") => {
                let mut index = 0;
                scanner.array(|scanner| {
                    index += 1;
                    self.item(index - 1, scanner)
                })?;
                Ok(())
            }
            _ => {
                let key = key.decode();
                let value = scanner.value()?;
                if let Some((field, tool)) = SWITCHES.iter().find(|(field, _)| folds_to(&key, field)) {
                    if !matches!(value, Value::Null | Value::Bool(false)) {
                        self.permit(field, &Offered::builtin(tool, &[]));
                    }
                }
                Ok(())
            }
        })?;
        Ok(())
    }

    /// The `tools` of an item of the input.
    fn item(&mut self, index: usize, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.object(|key, scanner| match member(&key, &TOOLS) {
            Some(_) => self.tools(&format!("input[{index}].tools"), 0, scanner),
            None => scanner.value().map(drop),
        })?;
        Ok(())
    }

    /// A list of tools.
    fn tools(&mut self, path: &str, depth: usize, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        if scanner.peek() == Some(b'n') {
            return scanner.value().map(drop);
        }
        let mut index = 0;
        let is_list = depth < MAX_DEPTH
            && scanner.array(|scanner| {
                let path = format!("{path}[{index}]");
                index += 1;
                match self.dialect {
                    Dialect::Gemini => self.of_gemini(&path, scanner),
                    _ => self.tool(&path, depth, scanner),
                }
            })?;
        if !is_list {
            self.refuse(path, None);
        }
        // too deep: it has not been read
        match depth < MAX_DEPTH {
            true => Ok(()),
            false => scanner.value().map(drop),
        }
    }

    fn tool(&mut self, path: &str, depth: usize, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let mut tool = Tool::default();
        let is_object = scanner.object(|key, scanner| {
            match member(&key, &TOOL) {
                Some("type") => {
                    self.text(&format!("{path}.type"), scanner)?.into_iter().for_each(|kind| tool.kinds.push(kind))
                }
                Some("name") => {
                    let name = self.text(&format!("{path}.name"), scanner)?;
                    tool.names.extend(name.map(|name| ("name", name)));
                }
                Some("server_label" | "mcp_server_name") => {
                    tool.labels.extend(self.text(&format!("{path}.server_label"), scanner)?);
                }
                Some("function") => self.part(path, "function.name", &mut tool, scanner)?,
                Some("custom") => self.part(path, "custom.name", &mut tool, scanner)?,
                Some("tools") => {
                    tool.nested = true;
                    self.tools(&format!("{path}.tools"), depth + 1, scanner)?;
                }
                Some(_) => tool.has_schema |= scanner.value()? != Value::Null,
                None => drop(scanner.value()?),
            }
            Ok(())
        })?;
        match is_object && tool.kinds.len() + tool.names.len() + tool.labels.len() <= MAX_PARTS {
            true => self.judge(path, &tool),
            false => self.refuse(path, None),
        }
        Ok(())
    }

    /// An object in a tool that has its name.
    fn part(
        &mut self,
        path: &str,
        place: &'static str,
        tool: &mut Tool,
        scanner: &mut Scanner<'_>,
    ) -> Result<(), JsonError> {
        scanner.object(|key, scanner| {
            match member(&key, &NAME) {
                Some(_) => {
                    let name = self.text(&format!("{path}.{place}"), scanner)?;
                    tool.names.extend(name.map(|name| (place, name)));
                }
                None => drop(scanner.value()?),
            }
            Ok(())
        })?;
        Ok(())
    }

    /// A reader may go by the type, by the name, or by an object that only functions have. So all of them count.
    fn judge(&mut self, path: &str, tool: &Tool) {
        let is_function = |kind: &&String| matches!(kind.as_str(), "function" | "custom" | "namespace");
        let names: Vec<String> = tool.names.iter().map(|(_, name)| name.clone()).collect();
        let is_server = |kind: &str| matches!(kind, "mcp" | "mcp_toolset");
        for kind in tool.kinds.iter().filter(|kind| !is_function(kind)) {
            let place = format!("{path}.type");
            if tool.labels.is_empty() || !is_server(kind) {
                self.permit(&place, &Offered::builtin(kind, &names));
                continue;
            }
            for label in &tool.labels {
                self.permit(&format!("{path}.server_label"), &Offered::server(kind, label, &names));
            }
        }
        let by_name = tool.kinds.is_empty() || tool.has_schema || tool.kinds.iter().any(|kind| is_function(&kind));
        for (place, name) in tool.names.iter().filter(|(place, _)| by_name || *place != "name") {
            self.permit(&format!("{path}.{place}"), &Offered::function(name));
        }
        if by_name && tool.names.is_empty() && !tool.nested {
            self.refuse(path, None);
        }
    }

    /// One entry of Gemini's `tools`: each of its fields is a tool, or the list of functions.
    fn of_gemini(&mut self, path: &str, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let is_object = scanner.object(|key, scanner| match member(&key, &DECLARATIONS) {
            Some(declarations) => self.named(&format!("{path}.{declarations}"), &Offered::function, scanner),
            None => {
                if scanner.value()? != Value::Null {
                    let field = key.decode();
                    self.permit(&format!("{path}.{}", shown(&field)), &Offered::of_gemini(&field));
                }
                Ok(())
            }
        })?;
        if !is_object {
            self.refuse(path, None);
        }
        Ok(())
    }

    /// A list of objects with a name.
    fn named(
        &mut self,
        path: &str,
        offered: &dyn Fn(&str) -> Offered,
        scanner: &mut Scanner<'_>,
    ) -> Result<(), JsonError> {
        if scanner.peek() == Some(b'n') {
            return scanner.value().map(drop);
        }
        let mut index = 0;
        let is_list = scanner.array(|scanner| {
            let path = format!("{path}[{index}]");
            index += 1;
            let mut count = 0;
            scanner.object(|key, scanner| {
                match member(&key, &NAME) {
                    Some(_) => {
                        let place = format!("{path}.name");
                        if let Some(name) = self.text(&place, scanner)? {
                            count += 1;
                            self.permit(&place, &offered(&name));
                        }
                    }
                    None => drop(scanner.value()?),
                }
                Ok(())
            })?;
            if count == 0 {
                self.refuse(&path, None);
            }
            Ok(())
        })?;
        if !is_list {
            self.refuse(path, None);
        }
        Ok(())
    }

    /// A text; something else than a text or `null` is refused.
    fn text(&mut self, path: &str, scanner: &mut Scanner<'_>) -> Result<Option<String>, JsonError> {
        match scanner.value()? {
            Value::String(text) => Ok(Some(text.decode().into_owned())),
            Value::Null => Ok(None),
            _ => {
                self.refuse(path, None);
                Ok(None)
            }
        }
    }

    fn permit(&mut self, path: &str, offered: &Offered) {
        if !self.lists.iter().all(|lists| lists.permit(offered)) {
            self.refuse(path, offered.names.first().map(String::as_str));
        }
    }

    /// The first refusal counts.
    fn refuse(&mut self, path: &str, name: Option<&str>) {
        if self.refusal.is_none() {
            self.refusal = Some(ToolRefusal { path: path.to_owned(), name: name.map(shown) });
        }
    }
}

/// A client's name in a message.
fn shown(name: &str) -> String {
    let end = name.char_indices().nth(MAX_SHOWN).map_or(name.len(), |(end, _)| end);
    Label(name.get(..end).unwrap_or_default()).to_string()
}
