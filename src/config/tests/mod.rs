//! The configuration as a user sees it: its sources, which value wins, and the messages about
//! mistakes.

mod bounds;
mod chosen;
mod command_line;
mod files;
mod instances;
mod layers;
mod layout;
mod messages;
mod of_tests;
mod patterns;
mod reference;
#[cfg(feature = "ctl")]
mod schema;
mod supervision;
mod units;
mod variables;
mod words;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::config::{
    Command, CommandLine, Config, Diagnostic, Environment, Invocation, Loaded, Template, Unit, cli,
    load,
};
use tempfile::TempDir;

/// A directory of configuration files, and the way in which trc is called for it.
struct Case {
    dir: TempDir,
    arguments: Vec<OsString>,
    environment: Environment,
}

impl Case {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("trc.d")).unwrap();
        Self { dir, arguments: Vec::new(), environment: Vec::new() }
    }

    fn file(self, name: impl AsRef<OsStr>, text: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    fn toml(self, text: &str) -> Self {
        self.file("trc.toml", text)
    }

    fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.dir.path().join(name.as_ref())
    }

    fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().into()));
        self
    }

    /// More arguments, in which `DIR` stands for the directory.
    fn arguments(mut self, arguments: &[&str]) -> Self {
        let dir = self.dir.path().to_str().unwrap().to_owned();
        self.arguments.extend(arguments.iter().map(|a| OsString::from(a.replace("DIR", &dir))));
        self
    }

    fn line(&self) -> CommandLine {
        let mut argv: Vec<OsString> = vec!["trc".into(), "-w".into(), self.dir.path().into()];
        argv.extend(self.arguments.iter().cloned());
        match cli::parse(argv, &self.environment) {
            Invocation::Run(line) => *line,
            other => panic!("{other:?}"),
        }
    }

    fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        let loaded = load(&self.line(), &self.environment).map_err(|refused| refused.diagnostics);
        #[cfg(feature = "ctl")]
        if loaded.is_ok() {
            schema::accepts(self);
        }
        #[cfg(feature = "ctl")]
        if let Ok(loaded) = &loaded {
            let kept = crate::record::tests::is_kept(&loaded.config);
            assert!(kept.is_ok(), "{kept:#?}");
        }
        loaded
    }

    #[track_caller]
    fn loaded(&self) -> Loaded {
        match self.load() {
            Ok(loaded) => loaded,
            Err(errors) => panic!("{:#?}", self.said(&errors)),
        }
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.loaded().config
    }

    /// Diagnostics in short: `SEVERITY FILE:LINE:COLUMN: MESSAGE (HELP) [NOTE]`.
    fn said(&self, diagnostics: &[Diagnostic]) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        let short = |diagnostic: &Diagnostic| {
            let severity = format!("{:?}", diagnostic.severity).to_lowercase();
            let help = diagnostic.help.as_ref().map(|help| format!(" ({help})"));
            let help = help.unwrap_or_default();
            let note = diagnostic.note.as_ref().map(|note| format!(" [{note}]"));
            let note = note.unwrap_or_default();
            format!("{severity} {}: {}{help}{note}", diagnostic.origin, diagnostic.message)
                .replace(&dir, "")
        };
        diagnostics.iter().map(short).collect()
    }

    fn errors(&self) -> Vec<String> {
        match self.load() {
            Ok(_) => Vec::new(),
            Err(errors) => self.said(&errors),
        }
    }

    #[track_caller]
    fn remarks(&self) -> Vec<String> {
        self.said(&self.config().remarks)
    }
}

#[track_caller]
fn unit<'a>(config: &'a Config, id: &str) -> &'a Unit {
    match config.units.iter().find(|unit| unit.id() == id) {
        Some(unit) => unit,
        None => panic!("no {id} among {:?}", ids(config)),
    }
}

fn ids(config: &Config) -> Vec<String> {
    config.units.iter().map(Unit::id).collect()
}

#[track_caller]
fn exec(unit: &Unit) -> Vec<OsString> {
    match &unit.command {
        Command::Exec(words) => words.iter().map(Template::source).collect(),
        other => panic!("{other:?}"),
    }
}

/// Checks the messages about these texts of `trc.toml`.
#[track_caller]
fn toml_says(table: &[(&str, &[&str])]) {
    for (text, expected) in table {
        let case = Case::new().toml(text).set("HOME", "/root").set("EMPTY", "");
        assert_eq!(case.errors(), *expected, "{text}");
    }
}
