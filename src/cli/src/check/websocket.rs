//! Checks that Envoy lets WebSocket through where the configuration needs it.

use super::bootstrap::Manager;
use super::Report;
use crate::yaml::Tree;

pub(super) fn check(manager: &Manager<'_>, report: &mut Report) {
    let routers = manager.plugins.iter().filter_map(|plugin| {
        let value = plugin.config.at(&["configuration", "value"])?;
        if plugin.root_id == "router" {
            Some(value)
        } else {
            value.get("router")
        }
    });
    let Some((line, what)) = routers.into_iter().find_map(need) else {
        return;
    };
    let mut upgrades = false;
    manager.tree.walk(&mut |tree| {
        let listed = tree.get("upgrade_configs").map(Tree::items).unwrap_or_default();
        let is_on = |one: &Tree| {
            let is_off = one.get("enabled").is_some_and(|enabled| !enabled.is_true());
            one.text_of("upgrade_type").is_some_and(|kind| kind.eq_ignore_ascii_case("websocket")) && !is_off
        };
        upgrades |= listed.iter().any(is_on);
    });
    if !upgrades {
        report.warning(
            "no_websocket",
            line,
            "upgrade_configs",
            format!("{what} is used over WebSocket, and Envoy refuses that"),
            "add `upgrade_configs: [{upgrade_type: websocket}]` to the connection manager",
        );
    }
}

/// What is used over WebSocket, with its line.
fn need(router: &Tree) -> Option<(usize, String)> {
    let items = |name: &str| router.get(name).map(Tree::items).unwrap_or_default();
    let path = items("paths").iter().find_map(|path| {
        let text = path.text_of("path")?;
        (text == "/v1/responses" || text.starts_with("/v1/realtime")).then(|| (path.line, text.to_owned()))
    });
    path.or_else(|| {
        let model =
            items("models").iter().find(|model| model.text_of("name").is_some_and(|it| it.contains("realtime")));
        model.map(|model| (model.line, model.text_of("name").unwrap_or_default().to_owned()))
    })
}
