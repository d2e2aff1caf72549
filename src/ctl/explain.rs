//! `trcctl explain`: the value of each key, where it comes from, and which values it has replaced.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value as Json, json};

use super::check::{nothing, say, with_tests};
use super::found::nearby;
use super::here::{here, is_named};
use super::live::{Cell, Color, Look, table};
use crate::config::{
    Beaten, CommandLine, Effective, Environment, Key, Loaded, key_at, keys_in, load, nearest,
};
use crate::status;
use crate::text::{harmless, without_links};

/// The most characters of a value that the list shows.
const ROOM: usize = 48;

/// Prints all keys of a configuration, or those of the named keys, tables and units. Returns the exit
/// status.
///
/// # Errors
/// Returns an error if a name is not that of a key, a table or a unit.
pub fn run(
    line: &CommandLine,
    environment: &Environment,
    names: &[String],
    as_json: bool,
    color: Color,
) -> Result<u8, String> {
    let line = &here(line);
    let loaded = load(line, environment).and_then(|loaded| with_tests(loaded, line, environment));
    let (loaded, status) = match loaded {
        Ok(loaded) => (loaded, 0),
        Err(refused) => {
            let (loaded, errors) = refused.apart();
            say(&errors);
            (loaded, status::CONFIG)
        }
    };
    let nothing = nothing(&loaded, line.bare || is_named(line));
    let status = if nothing.is_some() { status::CONFIG } else { status };
    let has_nothing = nothing.is_some() && names.is_empty();
    if let Some(nothing) = nothing {
        say(&[nothing]);
    }
    let all = loaded.effective();
    let asked: Vec<Asked<'_>> =
        names.iter().map(|name| asked(&loaded, &all, name)).collect::<Result<_, _>>()?;
    let text = if as_json {
        let one = |asked: &Asked<'_>| asked.written.iter().map(|it| object(it)).collect::<Vec<_>>();
        let list: Vec<Json> = match names {
            [] => all.iter().map(object).collect(),
            _ => asked.iter().flat_map(one).collect(),
        };
        serde_json::to_string_pretty(&list).unwrap_or_default() + "\n"
    } else if has_nothing {
        String::new()
    } else if names.is_empty() {
        list(&all.iter().collect::<Vec<_>>(), color)
    } else {
        asked.iter().map(|asked| told(asked, color)).collect::<Vec<_>>().join("\n")
    };
    _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(status)
}

/// A name that somebody asks about.
struct Asked<'a> {
    /// The full key.
    key: String,
    /// Its entry in the reference; `None` for a unit, and for a table without an entry.
    known: Option<&'static Key>,
    /// The keys that are set: the key itself, or those of the table.
    written: Vec<&'a Effective>,
}

/// Finds a name: a full key, or one that begins with the name of a unit without its stage.
fn asked<'a>(loaded: &Loaded, all: &'a [Effective], name: &str) -> Result<Asked<'a>, String> {
    let units = || loaded.config.units.iter().map(crate::config::Unit::id);
    let mut names = vec![name.to_owned()];
    for id in units() {
        let own = id.split_once('.').map_or("", |(_, own)| own);
        let rest = name.strip_prefix(own).filter(|rest| rest.is_empty() || rest.starts_with('.'));
        names.extend(rest.map(|rest| id + rest));
    }
    for key in names.clone() {
        let below = format!("{key}.");
        let is_it = |it: &&Effective| it.key == key || it.key.starts_with(&below);
        let written: Vec<&Effective> = all.iter().filter(is_it).collect();
        let path = match written.first().filter(|it| it.key == key) {
            Some(it) => it.path.clone(),
            None => key.split('.').map(str::to_owned).collect(),
        };
        let is_of_unit = path.len() < 3 || units().any(|id| id == path[..2].join("."));
        let known = key_at(&path).filter(|_| is_of_unit);
        if !written.is_empty() || known.is_some() {
            return Ok(Asked { key, known, written });
        }
    }
    let ids: Vec<String> = units().collect();
    let tip = likely(all, &ids, &names).map(|key| format!("did you mean `{key}`?"));
    Err(format!(
        "there is no key, table or unit `{}`: {}",
        harmless(name),
        tip.unwrap_or_else(|| "`trcctl explain` lists every key that is set".to_owned())
    ))
}

/// Returns the name that these were probably meant to be: a key that is set or that their table can
/// have, or a unit.
fn likely(all: &[Effective], ids: &[String], names: &[String]) -> Option<String> {
    let beside = |name: &String| {
        let (table, _) = name.rsplit_once('.')?;
        let path: Vec<String> = table.split('.').map(str::to_owned).collect();
        Some(keys_in(&path).into_iter().map(|key| format!("{table}.{key}")).collect::<Vec<_>>())
    };
    let known: Vec<String> = names.iter().filter_map(beside).flatten().collect();
    let written = all.iter().map(|it| it.key.as_str());
    let short = ids.iter().filter_map(|id| id.split_once('.').map(|(_, own)| own));
    let units = ids.iter().map(String::as_str).chain(short);
    let known = known.iter().map(String::as_str);
    let candidates: Vec<&str> = known.chain(written).chain(units).collect();
    let found = names.iter().rev().find_map(|name| nearest(name, candidates.iter().copied()));
    found.map(str::to_owned)
}

fn object(it: &Effective) -> Json {
    let beaten = |it: &Beaten| json!({"key": it.key, "value": it.value, "origin": it.origin});
    json!({
        "key": it.key, "value": it.value, "hidden": it.value.is_none(), "origin": it.origin,
        "instead_of": it.beaten.iter().rev().map(beaten).collect::<Vec<_>>(),
        "default": key_at(&it.path).map(|key| plain(key.default)).filter(|text| !text.is_empty()),
    })
}

/// Returns keys in columns, each with the values that it has replaced below it, the last one first.
fn list(all: &[&Effective], color: Color) -> String {
    let dim = |text: String| Cell { text, look: Look::Dim };
    let mut rows = Vec::new();
    for it in all {
        let value = short(&shown(it.value.as_ref()));
        rows.push(vec![it.key.clone().into(), value.into(), dim(nearby(&it.origin).to_owned())]);
        for beaten in it.beaten.iter().rev().filter(|beaten| !is_table(beaten, it)) {
            let what = beaten.key.map_or_else(String::new, |key| format!(" {key}"));
            let value = short(&shown(beaten.value.as_ref()));
            let rest = [format!("  instead of{what}"), value, nearby(&beaten.origin).to_owned()];
            rows.push(rest.map(dim).into());
        }
    }
    if rows.is_empty() {
        return "no key is set: every key has its default\n".to_owned();
    }
    table(&rows, &[], color)
}

/// Returns whether a place only adds keys to a table.
fn is_table(beaten: &Beaten, it: &Effective) -> bool {
    beaten.value.is_none() && it.value.is_some()
}

/// Returns the description of a key, or the list of the keys in a table.
fn told(asked: &Asked<'_>, color: Color) -> String {
    let itself = asked.written.iter().find(|it| it.key == asked.key);
    if itself.is_none() && !asked.written.is_empty() {
        return list(&asked.written, color);
    }
    let mut out = color.paint(Look::Bold, &asked.key) + "\n";
    let mut row = |what: &str, text: &str| {
        let text = text.replace('\n', "\n              ");
        _ = writeln!(out, "  {}  {text}", color.paint(Look::Dim, &format!("{what:<10}")));
    };
    if let Some(known) = asked.known {
        row("meaning", &plain(known.doc));
    }
    match itself {
        None => row("value", "not set"),
        Some(it) => {
            row("value", &shown(it.value.as_ref()));
            row("from", nearby(&it.origin));
            for beaten in it.beaten.iter().rev().filter(|beaten| !is_table(beaten, it)) {
                let what = beaten.key.map_or_else(String::new, |key| format!("{key} = "));
                let value = shown(beaten.value.as_ref());
                row("instead of", &format!("{what}{value} from {}", nearby(&beaten.origin)));
            }
        }
    }
    if let Some(known) = asked.known.filter(|known| !known.default.is_empty()) {
        row("default", &plain(known.default));
    }
    if let Some(known) = asked.known.filter(|known| !known.example.is_empty()) {
        row("example", &format!("{} = {}", known.name, known.example));
    }
    out
}

/// Returns a value as TOML has it, as far as it fits into a line of its own; scripts are as they are.
fn shown(value: Option<&Json>) -> String {
    match value {
        None => "(hidden)".to_owned(),
        Some(Json::String(text)) if text.contains('\n') => {
            let lines = text.trim_matches('\n').lines().map(harmless);
            lines.collect::<Vec<_>>().join("\n")
        }
        Some(value) => harmless(&value.to_string()),
    }
}

/// Returns the beginning of a value, in one line.
fn short(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let cut = first.len() < text.len() || first.chars().count() > ROOM;
    let kept: String = first.chars().take(if cut { ROOM - 1 } else { ROOM }).collect();
    if cut { kept + "…" } else { kept }
}

/// Returns a text of the reference without the marks of Markdown.
fn plain(text: &str) -> String {
    without_links(text.trim()).replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_code_of_the_reference_become_plain_text() {
        for (text, expected) in [
            (" when it [ends](#ends) by `itself`", "when it ends by itself"),
            ("[a](b)[c](d)", "ac"),
            ("an array [1]", "an array [1]"),
            ("", ""),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn a_long_value_is_cut_in_the_list() {
        assert_eq!(short("\"a\""), "\"a\"");
        assert_eq!(short("a\nb"), "a…");
        assert_eq!(short(&"x".repeat(48)), "x".repeat(48));
        assert_eq!(short(&"x".repeat(49)), "x".repeat(47) + "…");
    }
}
