//! From the command line, the environment and the files to a configuration.

use std::ffi::OsString;

use super::cli::{self, CommandLine};
use super::layers::Layers;
use super::{Command, Config, Diagnostic, Environment, Origin, Severity, Unit};

/// A configuration, and the layers it was made of.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub config: Config,
    layers: Layers,
    line: CommandLine,
}

/// A configuration with something wrong.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Everything that is wrong, warnings too, in the order of the layers.
    pub diagnostics: Vec<Diagnostic>,
    /// What could be understood: where a value is wrong the default stands.
    pub understood: Box<Loaded>,
}

impl Refused {
    /// Everything that is wrong, with what else was found, in the order of the layers.
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
/// Everything that is wrong, and the rest.
pub(crate) fn load(line: &CommandLine, environment: &Environment) -> Result<Loaded, Refused> {
    let layers = Layers::read(line, environment);
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
    /// The configuration with another rest of the command line, which a boot script has
    /// put there. Files are not read again.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn with_rest(&self, rest: Vec<OsString>) -> Result<Config, Vec<Diagnostic>> {
        let line = cli::parse_rest(rest, &self.line).map_err(|error| vec![error])?;
        let (config, diagnostics) = self.layers.config(&line);
        if is_wrong(&diagnostics) {
            return Err(diagnostics);
        }
        Ok(Config { remarks: diagnostics, ..config })
    }

    /// Whether any file was read.
    #[must_use]
    pub(crate) fn has_files(&self) -> bool {
        !self.layers.sources.is_empty()
    }

    /// Lets go of what only another rest of the command line would need.
    pub(crate) fn forget(&mut self) {
        self.layers.forget();
    }

    /// The place of a line of a unit's script, from 1, as far as it is known.
    #[must_use]
    pub(crate) fn line_of_script(&self, unit: &Unit, line: u32) -> Origin {
        if let Command::File(path) = &unit.command {
            return Origin::File { path: path.as_path().into(), line, column: 1 };
        }
        self.layers.line_of_script(unit, line).unwrap_or_else(|| unit.origin.clone())
    }

    /// Diagnostics that were made later, from origins: in the order of the layers, with the lines
    /// meant, and bounded in number.
    #[must_use]
    pub(crate) fn illustrate(&self, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        self.layers.in_order(&mut diagnostics);
        diagnostics
    }
}
