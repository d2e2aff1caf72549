//! Users and groups that units name.

use std::collections::BTreeSet;
use std::path::Path;

use super::{LARGEST, Look, Root};
use crate::config::{Diagnostic, Origin, Unit, nearest};
use crate::text::harmless;

/// Looks for every user and group that a unit names.
pub(super) fn look(look: &Look<'_>, unit: &Unit, found: &mut Vec<Diagnostic>) {
    let own = &unit.identity;
    let mut named: Vec<(&str, &String, &Origin)> = Vec::new();
    named.extend(own.user.iter().map(|user| ("user", &user.value, &user.origin)));
    let groups = own.group.iter().chain(own.groups.iter().flatten());
    named.extend(groups.map(|group| ("group", &group.value, &group.origin)));
    let dirs = unit.dirs.iter().filter_map(|dir| dir.value.owner.as_ref());
    let files = unit.files.iter().filter_map(|file| file.value.owner.as_ref());
    for owner in dirs.chain(files) {
        named.push(("user", &owner.value.user, &owner.origin));
        named.extend(owner.value.group.iter().map(|group| ("group", group, &owner.origin)));
    }
    for (what, name, origin) in named {
        if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let file = if what == "user" { "/etc/passwd" } else { "/etc/group" };
        let known = names(look.root, file);
        if known.contains(name.as_str()) {
            continue;
        }
        let message = format!("{}: there is no {what} {} in {file}", unit.id(), harmless(name));
        let tip = nearest(name, known.iter().map(String::as_str));
        let help = tip.map(|tip| format!("did you mean `{tip}`?"));
        let shown = harmless(name);
        let help = help.unwrap_or_else(|| match what {
            "user" => format!(
                "create it: `RUN useradd --system {shown}`, or on Alpine `adduser -S {shown}`"
            ),
            _ => format!(
                "create it: `RUN groupadd --system {shown}`, or on Alpine `addgroup -S {shown}`"
            ),
        });
        let problem = Diagnostic::error(origin.clone(), message).help(help);
        found.push(look.weighed(unit, problem));
    }
}

/// Returns the names in `/etc/passwd` or `/etc/group`: passwd(5), group(5).
fn names(root: &Root, file: &str) -> BTreeSet<String> {
    let text = root.head(Path::new(file), LARGEST);
    let text = String::from_utf8_lossy(&text);
    let names = text.lines().filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.to_owned()).collect()
}
