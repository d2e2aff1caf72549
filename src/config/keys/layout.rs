//! Reads the directories and files that trc makes before a unit starts.

use std::path::{Component, Path, PathBuf};

use super::decode::{At, Decoder};
use super::key::SOURCES;
use super::{DIR, FILES};
use crate::config::leaf::{self, Leaf, Problem};
use crate::config::value::{Entry, Node, Value, shown};
use crate::config::{
    Diagnostic, Dir, Environment, FileSource, Owner, Placed, Recurse, Template, WrittenFile,
};

/// The keys of a directory.
#[derive(Default)]
pub(super) struct DirKeys {
    pub owner: Option<Placed<Owner>>,
    pub mode: Option<u32>,
    pub recurse: Recurse,
}

/// The keys of a file.
#[derive(Default)]
pub(super) struct FileKeys {
    pub template: Option<PathBuf>,
    pub text: Option<String>,
    pub owner: Option<Placed<Owner>>,
    pub mode: Option<u32>,
    pub vars: Option<Vec<String>>,
}

impl Decoder<'_> {
    /// Reads `files`.
    pub(super) fn files(&mut self, at: &At, entry: &Entry) -> Option<Vec<Placed<WrittenFile>>> {
        let mut entries: Vec<_> = self.names(at, entry)?.iter().collect();
        entries.sort_by_key(|(_, entry)| entry.order);
        let mut files = Vec::new();
        for (name, entry) in entries {
            let at = &at.key(name);
            let path = self.read(at, &Node::text(name, entry.key.clone()), made_path);
            let Some(fields) = self.table(at, entry, FILES) else { continue };
            let mut keys = FileKeys::default();
            self.files_keys(&fields, &mut keys);
            if SOURCES.iter().all(|key| fields.lacks(key)) {
                let message = format!("`{at}` needs a `template` or a `text`");
                self.error(&entry.key, message, None);
            }
            let FileKeys { template, text, owner, mode, vars } = keys;
            let source = template.map(FileSource::Template).or(text.map(FileSource::Text));
            if let (Some(path), Some(source)) = (path, source) {
                let value = WrittenFile { path, source, owner, mode, vars };
                files.push(Placed { value, origin: entry.key.clone() });
            }
        }
        Some(files)
    }

    /// Reads `vars`.
    pub(super) fn vars(&mut self, at: &At, entry: &Entry) -> Option<Vec<String>> {
        let names = self.list(at, entry, variable_name)?;
        Some(names.into_iter().map(|name| name.value).collect())
    }

    /// Reads `dirs`.
    pub(super) fn dirs(&mut self, at: &At, entry: &Entry) -> Option<Vec<Placed<Dir>>> {
        let plain = |path| Dir { path, owner: None, mode: None, recurse: Recurse::Never };
        let Value::Table(table) = &entry.node.value else {
            if let Value::Array(items) = &entry.node.value
                && let Some(item) = items.iter().find(|item| item.as_table().is_some())
            {
                let help = "write one table for all directories: dirs = { \"/run/web\" = { mode = \"0750\" } }";
                let problem = Problem::expected("a string", item);
                self.problem(at, item, Problem { help: Some(help.to_owned()), ..problem });
                return None;
            }
            let paths = self.list(at, entry, made_path)?;
            self.warn_of_twins(at, &paths);
            let dir = |Placed { value, origin }| Placed { value: plain(value), origin };
            return Some(paths.into_iter().map(dir).collect());
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(_, entry)| entry.order);
        let mut dirs = Vec::new();
        for (name, entry) in entries {
            let at = &at.key(name);
            let path = self.read(at, &Node::text(name, entry.key.clone()), made_path);
            let Some(fields) = self.table(at, entry, DIR) else { continue };
            let mut keys = DirKeys::default();
            self.dir_keys(&fields, &mut keys);
            let DirKeys { owner, mode, recurse } = keys;
            if let Some(path) = path {
                let value = Dir { path, owner, mode, recurse };
                dirs.push(Placed { value, origin: entry.key.clone() });
            }
        }
        Some(dirs)
    }

    /// Warns of a directory that an array has twice.
    fn warn_of_twins(&mut self, at: &At, paths: &[Placed<Template>]) {
        for (number, Placed { value, origin }) in paths.iter().enumerate() {
            let same = |one: &Placed<Template>| {
                Path::new(&one.value.source()) == Path::new(&value.source())
            };
            if paths[..number].iter().any(same) {
                let path = shown(&value.source().to_string_lossy());
                let message = format!("`{at}`: {path} is in this array twice");
                self.diagnostics.push(Diagnostic::warning(origin.clone(), message));
            }
        }
    }
}

/// Reads the path of something that trc makes, whose variables are replaced when its unit starts.
fn made_path(node: &Node, environment: &Environment) -> Leaf<Template> {
    let path = leaf::path_template(node, environment)?;
    let source = path.source();
    let text = source.to_string_lossy();
    if !text.starts_with('/') && !text.starts_with("${") {
        return Err(Problem::new("the path must begin with `/`"));
    }
    if Path::new(&source).components().any(|part| part == Component::ParentDir) {
        return Err(Problem::new("the path must not contain `..`"));
    }
    if Path::new(&source) == Path::new("/") {
        return Err(Problem::new("trc does not make the root directory"));
    }
    Ok(path)
}

/// Reads a text that trc leaves as it is until the unit starts.
pub(super) fn text(node: &Node, _: &Environment) -> Leaf<String> {
    match &node.value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(Problem::expected("a string", node)),
    }
}

/// Reads the name of a variable.
fn variable_name(node: &Node, _: &Environment) -> Leaf<String> {
    let Value::String(name) = &node.value else { return Err(Problem::expected("a string", node)) };
    let is_name = |text: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        text.chars().all(is_part) && !text.starts_with(|c: char| c.is_ascii_digit())
    };
    if !name.is_empty() && is_name(name) {
        return Ok(name.clone());
    }
    let bare = name.trim_start_matches(['$', '{']).trim_end_matches('}');
    let help = (!bare.is_empty() && is_name(bare)).then(|| format!("write \"{bare}\""));
    Err(Problem { help, ..Problem::expected("the name of a variable", node) })
}

/// Reads `USER` or `USER:GROUP`.
pub(super) fn owner(node: &Node, environment: &Environment) -> Leaf<Owner> {
    let text = match &node.value {
        Value::Integer(number, _) if *number >= 0 => number.to_string(),
        Value::String(_) => leaf::text(node, environment)?,
        _ => String::new(),
    };
    let (user, group) = text.split_once(':').map_or((&*text, None), |(u, g)| (u, Some(g)));
    if user.is_empty() || group == Some("") || text.contains(char::is_whitespace) {
        return Err(Problem::expected("an owner such as \"web\" or \"root:web\"", node));
    }
    if group.is_some_and(|group| group.contains(':')) {
        return Err(Problem::expected("an owner such as \"web\" or \"root:web\"", node));
    }
    Ok(Owner { user: user.to_owned(), group: group.map(str::to_owned) })
}
