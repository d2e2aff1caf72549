//! Loads the configuration from the command line, the environment and the files.

use std::ffi::OsString;
use std::hash::{BuildHasher as _, RandomState};

use super::changes::{Change, changes};
use super::cli::{self, CommandLine};
use super::effective::{Effective, effective};
use super::layers::Layers;
use super::{Command, Config, Diagnostic, Environment, Origin, Severity, Unit};

/// A configuration, and the layers that it was made of.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub config: Config,
    layers: Layers,
    line: CommandLine,
}

/// A configuration with an error.
#[derive(Debug)]
pub(crate) struct Refused {
    /// All errors and warnings, in the order of the layers.
    pub diagnostics: Vec<Diagnostic>,
    /// The configuration as far as it is understood: the default replaces each wrong value.
    pub understood: Box<Loaded>,
}

impl Refused {
    /// Returns the configuration as far as it is understood, and all diagnostics.
    #[must_use]
    pub(crate) fn apart(self) -> (Loaded, Vec<Diagnostic>) {
        let diagnostics = self.understood.illustrate(self.diagnostics);
        (*self.understood, diagnostics)
    }

    /// Returns all diagnostics and those in `found`, in the order of the layers.
    #[must_use]
    pub(crate) fn beside(self, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics;
        diagnostics.extend(found);
        self.understood.illustrate(diagnostics)
    }
}

/// Reads every layer.
///
/// # Errors
/// Returns all errors and warnings, and the configuration as far as it is understood.
pub(crate) fn load(line: &CommandLine, environment: &Environment) -> Result<Loaded, Refused> {
    decided(Layers::read(line, environment), line)
}

/// Decodes layers, with the command line's own settings and units.
///
/// # Errors
/// Returns all errors and warnings, and the configuration as far as it is understood.
pub(super) fn decided(layers: Layers, line: &CommandLine) -> Result<Loaded, Refused> {
    let (config, diagnostics) = layers.config(line);
    let loaded = Loaded { config, layers, line: line.clone() };
    if is_wrong(&diagnostics) {
        return Err(Refused { diagnostics, understood: Box::new(loaded) });
    }
    Ok(Loaded { config: Config { remarks: diagnostics, ..loaded.config }, ..loaded })
}

fn is_wrong(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

impl Loaded {
    /// Returns the configuration with another rest of the command line, which a boot script has
    /// set. Files are not read again.
    ///
    /// # Errors
    /// Returns all errors and warnings, if there is an error.
    pub(crate) fn with_rest(&self, rest: Vec<OsString>) -> Result<Config, Vec<Diagnostic>> {
        let line = cli::parse_rest(rest, &self.line).map_err(|error| vec![error])?;
        let (config, diagnostics) = self.layers.config(&line);
        if is_wrong(&diagnostics) {
            return Err(diagnostics);
        }
        Ok(Config { remarks: diagnostics, ..config })
    }

    /// Tells whether any file was read.
    #[must_use]
    pub(crate) fn has_files(&self) -> bool {
        !self.layers.sources.is_empty()
    }

    /// Frees the data that only another rest of the command line would need. What another
    /// configuration is compared with stays if `compared`.
    pub(crate) fn forget(&mut self, compared: bool) {
        self.layers.forget(compared);
    }

    /// Reads every layer anew, with the command line as boot has left it.
    ///
    /// # Errors
    /// Returns all errors and warnings.
    pub(crate) fn again(&self) -> Result<Self, Refused> {
        let line = cli::parse_rest(self.config.rest.clone(), &self.line);
        load(line.as_ref().unwrap_or(&self.line), &self.layers.environment)
    }

    /// Returns every key that differs from that in an earlier configuration.
    pub(crate) fn changes_from(&self, old: &Self) -> Vec<Change> {
        let tree = |loaded: &Self| loaded.layers.whole(&loaded.line, &mut Vec::new());
        changes(&tree(old), &tree(self))
    }

    /// Returns a number that is another one if any key or place is, with a hasher that keeps the
    /// values secret.
    pub(crate) fn fingerprint(&self, hasher: &RandomState) -> u64 {
        hasher.hash_one(format!("{:?}", self.layers.whole(&self.line, &mut Vec::new())))
    }

    /// Returns every key that is written somewhere, with its value and its place.
    pub(crate) fn effective(&self) -> Vec<Effective> {
        effective(&self.layers.whole(&self.line, &mut Vec::new()))
    }

    /// Returns the place of a line of a unit's script, counted from 1, as far as it is known.
    #[must_use]
    pub(crate) fn line_of_script(&self, unit: &Unit, line: u32) -> Origin {
        if let Command::File(path) = &unit.command {
            return Origin::File { path: path.as_path().into(), line, column: 1 };
        }
        self.layers.line_of_script(unit, line).unwrap_or_else(|| unit.origin.clone())
    }

    /// Returns the place of a key, or of the innermost table around it that is written, if any is.
    #[must_use]
    pub(crate) fn place_of(&self, path: &[&str]) -> Option<Origin> {
        self.layers.place_of(path)
    }

    /// Returns the place of a key of a unit, such as `["stop", "timeout"]`, or of the innermost
    /// table around it that is written.
    #[must_use]
    pub(crate) fn place_in(&self, unit: &Unit, key: &[&str]) -> Origin {
        let path = [&[unit.stage.name(), unit.declared_name()], key].concat();
        self.place_of(&path).unwrap_or_else(|| unit.origin.clone())
    }

    /// Sorts diagnostics that were made later by layer, limits their number, and adds the lines
    /// that they are about.
    #[must_use]
    pub(crate) fn illustrate(&self, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        self.layers.in_order(&mut diagnostics);
        diagnostics
    }
}
