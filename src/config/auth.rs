//! The configuration of `auth`: who may call.

use super::reader::{parse, ConfigError, Node};
use crate::keys::{Identity, KeyHash, KeyRing, Role};
use crate::pattern::Patterns;

/// Reads the keys.
///
/// # Errors
/// The first mistake, with its path.
pub fn auth(bytes: &[u8]) -> Result<KeyRing, ConfigError> {
    let value = parse("auth", bytes)?;
    let root = Node::root("auth", &value).object(&["keys"])?;
    let keys = root.require("keys")?;
    let mut ring = KeyRing::default();
    let mut ids = Vec::new();
    for node in keys.list()? {
        let (hash, identity) = key(&node)?;
        if ids.contains(&identity.id) {
            return Err(node.error(format!("a second key with the id {:?}; ids name keys in stats", identity.id)));
        }
        ids.push(identity.id.clone());
        if !ring.insert(hash, identity) {
            return Err(node.error("the same hash as an earlier key's; give each key its own"));
        }
    }
    if ids.is_empty() {
        return Err(keys.error("no key at all, so nobody could call; add one"));
    }
    Ok(ring)
}

fn key(node: &Node<'_>) -> Result<(KeyHash, Identity), ConfigError> {
    let fields = node.object(&["id", "hash", "role", "models"])?;
    let id = fields.require("id")?.text()?.to_owned();
    let hash = fields.require("hash")?;
    // the value itself is not quoted: an operator may have pasted the key where its hash belongs
    let parsed = KeyHash::parse(hash.text()?).ok_or_else(|| {
        hash.error("must be \"sha256:\" and 64 hexadecimal digits; make it with: printf %s 'sk-...' | sha256sum")
    })?;
    let role = match fields.get("role") {
        Some(node) => node.choice(&[("user", Role::User), ("admin", Role::Admin)])?,
        None => Role::User,
    };
    let models = match fields.get("models") {
        Some(node) => Patterns::new(node.texts()?),
        None => Patterns::any(),
    };
    Ok((parsed, Identity { id, role, models }))
}
