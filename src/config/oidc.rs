//! The configuration of `auth.oidc`: callers with an identity provider's tokens.

use super::reader::{ConfigError, Node};
use crate::keys::{Oidc, Role};

/// Reads `auth.oidc`.
pub(super) fn read(node: &Node<'_>) -> Result<Oidc, ConfigError> {
    let fields =
        node.object(&["metadata", "failure_metadata", "id_claim", "roles_claim", "models_claim", "default_role"])?;
    let usual = Oidc::new(fields.require("metadata")?.text()?);
    let claim = |name: &str, usual| fields.get(name).map_or(Ok(usual), |node| node.text().map(str::to_owned));
    Ok(Oidc {
        failure_metadata: fields.get("failure_metadata").map(|node| node.text().map(str::to_owned)).transpose()?,
        id_claim: claim("id_claim", usual.id_claim)?,
        roles_claim: claim("roles_claim", usual.roles_claim)?,
        models_claim: claim("models_claim", usual.models_claim)?,
        // not `admin`: every user of the provider would be one
        default_role: match fields.get("default_role") {
            Some(node) => node.choice(&[("user", Some(Role::User)), ("none", None)])?,
            None => None,
        },
        metadata: usual.metadata,
    })
}
