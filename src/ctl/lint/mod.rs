//! `trcctl lint`: what compose files and manifests of Kubernetes do not give to the units of an image.

mod compose;
mod container;
mod kubernetes;
mod rules;
mod yaml;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::check::{self, Format};
use super::root::Root;
use super::started::{Started, is_setting, started};
use crate::config::{
    CommandLine, Diagnostic, Environment, Loaded, Origin, Severity, load, reason, show_line,
};
use crate::graph::Graph;
use crate::status;
use container::{Container, Kind};

/// The largest file that is read.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The options of `trcctl lint`.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// The files; `-` is the standard input.
    pub files: Vec<PathBuf>,
    /// The names of the services and containers that run trc; all that may, if this is empty.
    pub names: Vec<String>,
    /// The root directory of the image, if there is one.
    pub root: Option<PathBuf>,
    /// Whether warnings are errors.
    pub strict: bool,
    /// The format of errors and warnings.
    pub format: Format,
}

/// A file that was read.
struct File {
    path: PathBuf,
    text: String,
}

/// Checks files against the configuration of an image. Returns the exit status.
///
/// # Errors
/// Returns the reason why a file or the root directory cannot be used, or why no container is one of
/// trc's.
pub fn run(line: &CommandLine, environment: &Environment, options: &Options) -> Result<u8, String> {
    let root = check::opened(options.root.as_deref())?;
    let files: Vec<File> = options.files.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let line = &check::in_image(line, options.root.as_deref());
    let Some(loaded) = check::correct(line, environment) else { return Ok(status::CONFIG) };
    let seen = BTreeSet::new();
    let mut looked = Looked { options, found: Vec::new(), named: Vec::new(), seen };
    for file in &files {
        looked.look(file, &loaded, (line, environment), root.as_ref());
    }
    let (found, all) = (looked.found, looked.named);
    let is_wrong = |it: &Diagnostic| options.strict || it.severity == Severity::Error;
    let fails = found.iter().any(|it| it.severity != Severity::Note && is_wrong(it));
    let unseen = options.names.iter().find(|name| !looked.seen.contains(*name));
    if let Some(name) = unseen.filter(|_| !fails) {
        return Err(format!("there is no service and no container named {name} in these files"));
    }
    if all.is_empty() && !fails {
        return Err("no service and no container in these files can run trc".to_owned());
    }
    let text = match options.format {
        Format::Text => {
            check::say(&found);
            if fails { String::new() } else { format!("ok: {}\n", all.join(", ")) }
        }
        format => format.of(&found),
    };
    // A reader that has gone away does not change the exit status.
    _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(if fails { status::CONFIG } else { 0 })
}

fn read(path: &Path) -> Result<File, String> {
    let is_input = path == Path::new("-");
    let mut bytes = Vec::new();
    let done = if is_input {
        std::io::stdin().lock().take(LARGEST).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
    };
    done.map_err(|error| format!("cannot read {}: {}", path.display(), reason(&error)))?;
    let path = if is_input { "(standard input)".into() } else { path.to_owned() };
    Ok(File { path, text: String::from_utf8_lossy(&bytes).into_owned() })
}

/// The files so far.
struct Looked<'a> {
    options: &'a Options,
    found: Vec<Diagnostic>,
    /// The containers that were looked at, for people.
    named: Vec<String>,
    /// Their names.
    seen: BTreeSet<String>,
}

impl Looked<'_> {
    fn look(
        &mut self,
        file: &File,
        loaded: &Loaded,
        (line, environment): (&CommandLine, &Environment),
        root: Option<&Root>,
    ) {
        let mut found = Vec::new();
        match containers(file) {
            Ok(all) => {
                let chosen = self.chosen(all);
                for container in &chosen {
                    let own = own(container, (line, environment)).unwrap_or_else(|errors| {
                        found.extend(errors);
                        None
                    });
                    let loaded = own.as_ref().unwrap_or(loaded);
                    if let Ok(graph) = Graph::build(&loaded.config) {
                        let graph = &graph;
                        let rules = rules::Rules { container, loaded, graph, environment, root };
                        found.extend(rules.all());
                    }
                    self.seen.insert(container.name.clone());
                    self.named.push(format!("{} in {}", container.shown(), file.path.display()));
                }
            }
            Err(error) => found.push(error),
        }
        let number = |it: &Diagnostic| match it.origin {
            Origin::File { line, column, .. } => (line, column),
            _ => (0, 0),
        };
        found.sort_by_key(number);
        for it in &mut found {
            show_line(&file.path, &file.text, it);
        }
        self.found.extend(found);
    }

    /// Returns the containers that were named, or those that may run trc.
    fn chosen(&self, all: Vec<Container>) -> Vec<Container> {
        if !self.options.names.is_empty() {
            let is_named = |it: &Container| self.options.names.contains(&it.name);
            return all.into_iter().filter(is_named).collect();
        }
        let alone = all.len() == 1;
        let some_built = all.iter().any(|it| it.is_built);
        let may_be = |it: &Container| {
            let words = it.entrypoint.as_ref().and_then(|it| it.list.as_deref());
            // Nobody knows the entrypoint of an image that comes from elsewhere.
            let other = words.is_some_and(|words| {
                matches!(started(words), Started::Other(_) | Started::Script(_))
            });
            alone || (!other && (it.is_built || !some_built))
        };
        all.into_iter().filter(may_be).collect()
    }
}

/// Returns the configuration with the settings that are variables of a container, if it has some.
///
/// # Errors
/// Returns the errors in these variables, at the place of all of them.
fn own(
    container: &Container,
    (line, environment): (&CommandLine, &Environment),
) -> Result<Option<Loaded>, Vec<Diagnostic>> {
    let set = container.variables.iter().filter(|(name, _)| is_setting(name));
    let set = set.filter_map(|(name, value)| Some((name.into(), value.as_ref()?.into())));
    let set: Environment = set.collect();
    if set.is_empty() {
        return Ok(None);
    }
    let environment: Environment = environment.iter().cloned().chain(set).collect();
    let here = |mut found: Diagnostic| {
        if let Origin::Variable(name) = &found.origin {
            found.note = Some(format!("the variable is {name}"));
        }
        Diagnostic { origin: container.variables_at.clone(), excerpt: None, ..found }
    };
    let loaded = load(line, &environment);
    let loaded = loaded.and_then(|loaded| check::with_tests(loaded, line, &environment));
    loaded.map(Some).map_err(|refused| {
        let errors = refused.diagnostics.into_iter();
        errors.filter(|found| found.severity == Severity::Error).map(here).collect()
    })
}

/// Returns the containers of a file.
fn containers(file: &File) -> Result<Vec<Container>, Diagnostic> {
    let documents = yaml::read(&file.path, &file.text)?;
    let mut found = Vec::new();
    let mut is_known = false;
    for document in &documents {
        if document.get("services").is_some() {
            is_known = true;
            found.extend(compose::services(document));
        } else if document.get("kind").is_some() {
            is_known = true;
            found.extend(kubernetes::containers(document));
        }
    }
    if is_known {
        return Ok(found);
    }
    let origin = Origin::File { path: file.path.as_path().into(), line: 1, column: 1 };
    let text = "this is neither a compose file, which has `services`, nor a manifest of Kubernetes, which has `kind`";
    Err(Diagnostic::error(origin, text))
}

impl Container {
    /// Returns the container for a message.
    fn shown(&self) -> String {
        let name = crate::text::harmless(&self.name);
        match self.kind {
            Kind::Compose => format!("service {name}"),
            Kind::Kubernetes => format!("container {name}"),
        }
    }
}
