//! Secrets: credentials in the variables of Envoy's environment.

use super::headers;
use super::reader::{ConfigError, Node};
use crate::routing::Credential;
use crate::wire_names::CREDENTIAL_HEADERS;

/// Reads secrets: the value of a variable in Envoy's environment, if the wasm may see it.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn credential(node: &Node<'_>, environment: Environment<'_>) -> Result<Credential, ConfigError> {
    let fields = node.object(&["env", "header"])?;
    let secret = key_of(&fields.require("env")?, environment)?;
    let choices = CREDENTIAL_HEADERS.map(|header| (header, header));
    let header = fields.get("header").map(|node| node.choice(&choices)).transpose()?;
    Ok(Credential::new(header, &secret))
}

/// The key in the variable that `env` names, as a header value.
pub(super) fn key_of(env: &Node<'_>, environment: Environment<'_>) -> Result<String, ConfigError> {
    let name = env.text()?;
    if !is_variable_name(name) {
        // not quoted, because it may be the key itself, pasted by mistake
        return Err(env.error("is not the name of an environment variable; put the key itself into the variable"));
    }
    let secret = environment(name).filter(|secret| !secret.is_empty()).ok_or_else(|| unset(env))?;
    if !headers::is_header_value(&secret) {
        return Err(env.error(format!("the value of {name} cannot stand in a header (a line break in it?)")));
    }
    Ok(secret)
}

/// The error for a missing variable.
pub(super) fn unset(env: &Node<'_>) -> ConfigError {
    let name = env.text().unwrap_or_default();
    env.error(format!(
        "the environment variable {name} is not set, or the wasm cannot see it; export it before Envoy starts and list \
         it in vm_config.environment_variables.host_env_keys"
    ))
}

pub(super) fn is_variable_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}
