//! The layer that environment variables make: `TRC_…`, and TrivialRC's `RC_…`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::file::parse_value;
use super::keys::key::{Keys, Kind, all, find, kind_at};
use super::keys::unit::unit_ids;
use super::keys::{TEST, TOP, UNIT};
use super::suggest::nearest;
use super::value::{DEEPEST, Entry, Node, Table, Value, insert, shown};
use super::{Diagnostic, Environment, LogFormat, Origin, Stage, flags};

/// The variables that trc sets for its units. A trc within a unit does not read them.
const FOR_UNITS: &[&str] = &[
    "TRC_UNIT",
    "TRC_STAGE",
    "TRC_EXIT_STATUS",
    "TRC_EXIT_REASON",
    "TRC_VERDICT_FD",
    "TRC_SOCKET",
];

/// The flags of the command line that are not keys.
const FLAGS: &[&str] = &[
    "TRC_WORKDIR",
    "TRC_CONFIG",
    "TRC_BARE",
    "TRC_LOG_LEVEL",
    "TRC_TEST",
    "TRC_TEST_LIST",
    "TRC_TEST_STRICT",
    "TRC_REPORT",
    "TRC_RECORD",
    "TRC_ONLY",
    "TRC_PROFILES",
];

/// TrivialRC's settings.
const TRIVIALRC: &[&str] =
    &["RC_WAIT_POLICY", "RC_VERBOSE", "RC_VERBOSE_EXTRA", "RC_DEBUG", "RC_WORK_DIR"];

/// Tells whether a variable is one of trc's settings, which are not passed on to units.
#[must_use]
pub(crate) fn is_own_variable(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    TRIVIALRC.contains(&name) || FLAGS.contains(&name) || key_of(name).is_some()
}

/// Returns the parts of a variable's name that begins with `TRC_`, if it is a setting.
fn key_of(name: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = name.strip_prefix("TRC_")?.split("__").collect();
    all(TOP).any(|key| fold(key.name) == fold(parts[0])).then_some(parts)
}

/// Returns a variable's value, if it is set and not empty.
pub(super) fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a OsStr> {
    let (_, value) = environment.iter().find(|(known, _)| known == name)?;
    Some(value.as_os_str()).filter(|value| !value.is_empty())
}

/// Reads a variable that is true or false. Warns that trc ignores any other value.
pub(super) fn flag(environment: &Environment, name: &str, remarks: &mut Vec<Diagnostic>) -> bool {
    match variable(environment, name).map(OsStr::as_bytes) {
        None | Some(b"false" | b"0") => false,
        Some(b"true" | b"1") => true,
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            let message = format!(
                "expected true or false, found \"{}\"; trc ignores the variable",
                shown(&other)
            );
            remarks.push(Diagnostic::warning(Origin::Variable(name.into()), message));
            false
        }
    }
}

/// Returns the log format that the environment alone sets, before anything else was read.
#[must_use]
pub(crate) fn log_format(environment: &Environment) -> LogFormat {
    match variable(environment, "TRC_LOG__FORMAT").map(OsStr::as_bytes) {
        Some(b"json") => LogFormat::Json,
        _ => LogFormat::Trc,
    }
}

/// Returns the file that a record of the run goes to, if somebody has asked for one.
#[must_use]
pub(crate) fn record_file(environment: &Environment) -> Option<PathBuf> {
    variable(environment, "TRC_RECORD").map(PathBuf::from)
}

/// Reads the variables as a layer over `tree`, whose units their names refer to.
pub(super) fn layer(
    environment: &Environment,
    tree: &Table,
    order: u64,
    remarks: &mut Vec<Diagnostic>,
) -> Table {
    let mut layer = Table::new();
    let mut set = |path: &[&str], node| {
        let path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
        insert(&mut layer, &path, node, order);
    };
    // The more detailed setting is the later one.
    for (name, level) in [("RC_VERBOSE", "info"), ("RC_VERBOSE_EXTRA", "debug")] {
        if flag(environment, name, remarks) {
            set(&["log", "level"], Node::text(level, Origin::Variable(name.into())));
        }
    }
    for (name, path) in
        [("RC_WAIT_POLICY", ["wait"].as_slice()), ("TRC_LOG_LEVEL", &["log", "level"])]
    {
        if let Some(value) = variable(environment, name) {
            set(path, Node::text(value.to_string_lossy(), Origin::Variable(name.into())));
        }
    }
    let mut ours: Vec<_> = environment
        .iter()
        .filter(|(name, _)| name.as_bytes().starts_with(b"TRC_"))
        .map(|(name, value)| (name.to_string_lossy(), value))
        .filter(|(name, _)| !FLAGS.contains(&&**name) && !FOR_UNITS.contains(&&**name))
        .collect();
    // The order of the environment must not matter.
    ours.sort_unstable();
    let mut known = Known::default();
    if !ours.is_empty() {
        for id in unit_ids(tree) {
            known.add(&id);
        }
    }
    for (name, value) in ours {
        let origin = Origin::Variable(name.as_ref().into());
        let Some(parts) = key_of(&name) else {
            remarks.push(unknown(&name, origin));
            continue;
        };
        let path = match translate(&parts, &mut known) {
            Ok(path) => path,
            Err(message) => {
                remarks.push(Diagnostic::error(origin, message));
                continue;
            }
        };
        let kind = kind_at(&path);
        // `docker run -e` and Compose files unset a variable by setting it to nothing.
        if value.is_empty() && !matches!(kind, Some(Kind::Text | Kind::Value | Kind::Variable)) {
            continue;
        }
        let Some(text) = value.to_str() else {
            remarks.push(Diagnostic::error(origin, "the value is not UTF-8"));
            continue;
        };
        match read_value(text, kind, &origin, order) {
            Ok(node) => insert(&mut layer, &path, node, order),
            Err(message) => remarks.push(Diagnostic::error(origin, message)),
        }
    }
    layer
}

/// Reads a value as TOML if it looks like an array or a table and the key takes one, or if it is
/// quoted and quotes cannot belong to the text. Any other value is a string.
///
/// # Errors
/// Returns the problem with the value.
pub(super) fn read_value(
    text: &str,
    kind: Option<Kind>,
    origin: &Origin,
    order: u64,
) -> Result<Node, String> {
    // A variable's own text may begin with a brace.
    if let Some(Kind::Variable) = kind
        && text.trim_start().starts_with('{')
        && let Ok(node) = parse_value(text.trim(), origin, order)
        && let Value::Table(table) = &node.value
        && table.keys().eq(["file"])
    {
        return Ok(node);
    }
    let as_toml = kind.is_some_and(|kind| match text.trim_start().as_bytes().first() {
        Some(b'[') => kind.takes_array(),
        Some(b'{') => kind.takes_table(),
        Some(b'"' | b'\'') => !kind.takes_any_text(),
        _ => false,
    });
    if as_toml {
        return parse_value(text.trim(), origin, order)
            .map_err(|why| format!("{why}, in the value {}", shown(text)));
    }
    Ok(Node::text(text, origin.clone()))
}

fn unknown(name: &str, origin: Origin) -> Diagnostic {
    let mut known: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
    for key in all(TOP) {
        let name = format!("TRC_{}", key.name.to_uppercase());
        if let Kind::Table(keys) = key.kind {
            known.extend(all(keys).map(|key| format!("{name}__{}", key.name.to_uppercase())));
        }
        known.push(name);
    }
    let warning = Diagnostic::warning(origin, format!("`{}` is not a setting of trc", shown(name)));
    // The common prefix would make all names similar.
    let own = |name: &str| name.trim_start_matches("TRC_").to_owned();
    let rest: Vec<String> = known.iter().map(|known| own(known)).collect();
    if let Some(right) = nearest(&own(name), rest.iter().map(String::as_str)) {
        return warning.help(format!("did you mean `TRC_{right}`?"));
    }
    if let Some((table, _)) = own(name).split_once("__") {
        let tables = all(TOP).filter(|key| key.kind.takes_table()).map(|key| key.name);
        if let Some(right) = nearest(table, tables) {
            return warning.help(format!("did you mean `TRC_{}__…`?", right.to_uppercase()));
        }
    }
    let first = name.split('_').nth(1).unwrap_or("");
    match all(TOP).find(|key| key.name == fold(first) && key.kind.takes_table()) {
        Some(_) => {
            warning.help(format!("two underscores separate keys: `TRC_{first}__…`; trc ignores it"))
        }
        None => warning.help("trc ignores it; docker or Kubernetes may have set it"),
    }
}

/// Returns the path that the parts of a name stand for.
fn translate(parts: &[&str], known: &mut Known) -> Result<Vec<String>, String> {
    if parts.len() > DEEPEST {
        return Err("this name has more parts than any key".to_owned());
    }
    let mut path: Vec<String> = Vec::new();
    let mut kind = Some(Kind::Table(TOP));
    for (at, part) in parts.iter().enumerate() {
        let name = match kind {
            Some(Kind::Table(keys) | Kind::Short(keys)) => all(keys)
                .find(|key| fold(key.name) == fold(part))
                .map_or_else(|| part.to_lowercase(), |key| key.name.to_owned()),
            // The names of variables are taken as they are, underscores included.
            Some(Kind::Variables) => {
                path.push(parts[at..].join("__"));
                break;
            }
            Some(Kind::Signals) => (*part).to_owned(),
            Some(Kind::Units | Kind::Tests) => {
                let name = known.of_stage(&path[0], part)?;
                let name = name.unwrap_or_else(|| new_unit(&path[0], part));
                known.add(&format!("{}.{name}", path[0]));
                name
            }
            Some(Kind::After | Kind::Owners) => known.of_any(part)?.unwrap_or_else(|| {
                let flag = Some(part.to_uppercase());
                let flag = flag.filter(|name| flags::full_name(name).is_some());
                flag.unwrap_or_else(|| part.to_lowercase().replace('_', "-"))
            }),
            _ => part.to_lowercase(),
        };
        path.push(name);
        kind = kind_at(&path);
    }
    Ok(path)
}

/// The existing units, by their names as far as the environment can tell them apart.
#[derive(Default)]
struct Known {
    of_stages: BTreeMap<(String, String), BTreeSet<String>>,
    of_all: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    fn add(&mut self, id: &str) {
        let Some((stage, name)) = id.split_once('.') else { return };
        let key = (stage.to_owned(), fold(name));
        self.of_all.entry(key.1.clone()).or_default().insert(name.to_owned());
        self.of_stages.entry(key).or_default().insert(name.to_owned());
    }

    /// Returns the unit of a stage that part of a variable's name refers to.
    fn of_stage(&self, stage: &str, part: &str) -> Result<Option<String>, String> {
        only(part, self.of_stages.get(&(stage.to_owned(), fold(part))))
    }

    /// Does the same for any stage.
    fn of_any(&self, part: &str) -> Result<Option<String>, String> {
        only(part, self.of_all.get(&fold(part)))
    }
}

fn only(part: &str, names: Option<&BTreeSet<String>>) -> Result<Option<String>, String> {
    let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
    match names.as_slice() {
        [] => Ok(None),
        [name] => Ok(Some((*name).to_owned())),
        names => Err(format!("{part} is ambiguous: it may be {}", super::leaf::one_of(names))),
    }
}

/// Returns the name of a unit that no file declares: one of the command line, such as D1, or a new
/// one. `_` stands for `-`, so `MY_WEB` is `my-web`.
fn new_unit(stage: &str, part: &str) -> String {
    let upper = part.to_uppercase();
    let stage = Stage::ALL.into_iter().find(|known| known.name() == stage);
    if stage.is_some_and(|stage| flags::is_name(stage, &upper)) {
        upper
    } else {
        part.to_lowercase().replace('_', "-")
    }
}

/// Replaces each string that stands for a table by the table.
fn lengthen(table: &mut Table, keys: Keys) {
    for (name, entry) in table {
        let Some(key) = find(keys, name) else { continue };
        match (key.kind, &mut entry.node.value) {
            (Kind::Short([[first, ..], ..]), value)
                if matches!(value, Value::String(_))
                    || matches!(value, Value::Array(_)) && first.kind.takes_array() =>
            {
                let node = Node { value: value.clone(), origin: entry.node.origin.clone() };
                let inner = Entry::new(entry.key.clone(), entry.order, node);
                *value = Value::Table(Table::from([(first.name.to_owned(), inner)]));
            }
            (Kind::Short(keys) | Kind::Table(keys), Value::Table(inner)) => lengthen(inner, keys),
            (Kind::Units | Kind::Tests, Value::Table(units)) => {
                let tests = matches!(key.kind, Kind::Tests);
                let keys = if tests { TEST } else { UNIT };
                for unit in units.values_mut() {
                    if let Value::Table(unit) = &mut unit.node.value {
                        lengthen(unit, keys);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Makes names the same that the environment cannot tell apart.
fn fold(name: &str) -> String {
    let fold = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().map(fold).collect()
}

/// Makes different spellings of the same thing the same: the keys of `[signals]` and `[exit]`, so
/// that `USR1` in a later layer replaces `SIGUSR1` in an earlier one; and the tables that a string
/// can stand for, so that a later layer can add a key.
pub(super) fn canonical(layer: &mut Table, errors: &mut Vec<Diagnostic>) {
    type Spelling = fn(&str) -> Option<String>;
    lengthen(layer, TOP);
    let tables: [(&str, Spelling); 2] = [
        ("signals", |name| name.parse::<crate::signal::Signal>().ok().map(|s| s.to_string())),
        ("exit", |status| status.parse::<u8>().ok().map(|status| status.to_string())),
    ];
    for (key, spelling) in tables {
        let Some(Value::Table(table)) = layer.get_mut(key).map(|entry| &mut entry.node.value)
        else {
            continue;
        };
        let mut entries: Vec<_> = std::mem::take(table).into_iter().collect();
        entries.sort_by_key(|(_, entry)| entry.order);
        for (name, entry) in entries {
            let right = spelling(&name).unwrap_or_else(|| name.clone());
            let place = entry.key.clone();
            if table.insert(right, entry).is_some() {
                let message = format!("`{key}.{}` is written twice", shown(&name));
                errors.push(Diagnostic::error(place, message));
            }
        }
    }
}
