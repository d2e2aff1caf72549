//! Compose files: <https://github.com/compose-spec/compose-spec/blob/main/spec.md>.

use std::path::PathBuf;
use std::time::Duration;

use super::super::needs::Asking;
use super::container::{Container, Kind, Probe, Words, capabilities, known};
use super::yaml::{Node, Value};
use crate::config::parse_time;

/// The time until SIGKILL unless `stop_grace_period` says otherwise.
const GRACE: Duration = Duration::from_secs(10);

/// Returns the services of a compose file.
pub(super) fn services(document: &Node) -> Vec<Container> {
    let services = document.get("services").map_or(&[][..], Node::entries);
    services.iter().filter_map(|(key, it)| Some(service(key.text()?, key, it))).collect()
}

fn service(name: &str, key: &Node, it: &Node) -> Container {
    let grace = it.get("stop_grace_period");
    let written = grace.and_then(|grace| parse_time(grace.text()?));
    let is_host = it.get("network_mode").and_then(Node::text) == Some("host");
    let is_privileged = it.get("privileged").is_some_and(Node::is_true);
    let list = |name: &str| it.get(name).and_then(Node::texts).unwrap_or_default();
    let has_caps = ["cap_drop", "cap_add"].into_iter().find(|name| it.get(name).is_some());
    Container {
        kind: Kind::Compose,
        name: name.to_owned(),
        place: key.place.clone(),
        is_built: it.get("build").is_some(),
        grace: if grace.is_some() { written } else { Some(GRACE) },
        before: Duration::ZERO,
        grace_at: grace.map(|_| it.place_of("stop_grace_period")),
        entrypoint: words(it, "entrypoint"),
        arguments: words(it, "command"),
        stop_signal: it
            .get("stop_signal")
            .and_then(Node::text)
            .map(|text| ("stop_signal", text.to_owned(), it.place_of("stop_signal"))),
        probes: healthcheck(it).into_iter().collect(),
        read_only: it.get("read_only").filter(|it| it.is_true()).map(|_| it.place_of("read_only")),
        writable: writable(it),
        capabilities: if is_privileged {
            None
        } else {
            capabilities(&list("cap_drop"), &list("cap_add"))
        },
        capabilities_at: has_caps.map(|name| it.place_of(name)),
        user: it.get("user").and_then(Node::text).filter(|user| !user.contains('$')).map(|user| {
            let user = user.split(':').next().unwrap_or_default().to_owned();
            (user, it.place_of("user"))
        }),
        init: it.get("init").filter(|it| it.is_true()).map(|_| it.place_of("init")),
        // docker lets any user open low ports in a network of the container's own since 20.10.
        low_ports: !is_host,
        variables: {
            // A file of variables may have this one.
            let of_file = it.get("env_file").map(|_| ("TRC_SOCKET".to_owned(), None));
            pairs(it, "environment").into_iter().chain(of_file).collect()
        },
        variables_at: it.place_of("environment"),
    }
}

/// Returns the words of a command. A text is split as a shell would, and no shell runs.
fn words(it: &Node, name: &'static str) -> Option<Words> {
    let value = it.get(name)?;
    let words = match &value.value {
        Value::Text(text) => shell_words::split(text).ok(),
        _ => value.texts(),
    };
    let list = words.and_then(|words| known(&words));
    // An empty one takes the image's away.
    Some(Words { list, key: name, place: it.place_of(name) })
}

fn healthcheck(it: &Node) -> Option<Probe> {
    let check = it.get("healthcheck")?;
    let command = check.get("test")?;
    let in_shell = |text: &str| Asking::of_shell(&text.replace("$$", "$"));
    let asking = match (command.text(), command.texts().as_deref()) {
        (Some(text), _) => in_shell(text),
        (None, Some([kind, text])) if kind == "CMD-SHELL" => in_shell(text),
        (None, Some([kind, words @ ..])) if kind == "CMD" => Asking::of(&known(words)?),
        _ => return None,
    };
    Some(Probe { key: "healthcheck", place: check.place_of("test"), asking })
}

/// Returns the directories that can be written although the root file system cannot.
fn writable(it: &Node) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Some(tmpfs) = it.get("tmpfs") {
        let all = tmpfs.texts().or_else(|| tmpfs.text().map(|text| vec![text.to_owned()]));
        let all = all.unwrap_or_default().into_iter();
        found.extend(all.map(|it| PathBuf::from(it.split(':').next().unwrap_or(&it))));
    }
    for volume in it.get("volumes").map_or(&[][..], Node::items) {
        if let Some(text) = volume.text() {
            let parts: Vec<&str> = text.split(':').collect();
            match parts[..] {
                [target] | [_, target] => found.push(target.into()),
                [_, target, options] if !options.split(',').any(|it| it == "ro") => {
                    found.push(target.into());
                }
                _ => {}
            }
        } else if !volume.get("read_only").is_some_and(Node::is_true)
            && let Some(target) = volume.get("target").and_then(Node::text)
        {
            found.push(target.into());
        }
    }
    found
}

/// Returns the names and values of a list of `NAME=value`, or of a map. A name alone has the value of
/// whoever runs compose.
fn pairs(it: &Node, name: &str) -> Vec<(String, Option<String>)> {
    let Some(it) = it.get(name) else { return Vec::new() };
    let known = |value: &str| {
        let is_known = !value.replace("$$", "").contains('$');
        is_known.then(|| value.replace("$$", "$"))
    };
    let of_list = it.items().iter().filter_map(|item| {
        let text = item.text()?;
        let (name, value) =
            text.split_once('=').map_or((text, None), |(name, value)| (name, known(value)));
        Some((name.to_owned(), value))
    });
    let of_map = it.entries().iter().filter_map(|(key, value)| {
        let value = match &value.value {
            Value::Boolean(value) => Some(value.to_string()),
            _ => value.text().and_then(known),
        };
        Some((key.text()?.to_owned(), value))
    });
    of_list.chain(of_map).collect()
}
