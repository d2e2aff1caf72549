//! From the command line, the environment and the files to a configuration.

use std::ffi::OsString;

use super::cli::{self, CommandLine};
use super::layers::Layers;
use super::{Config, Diagnostic, Environment};

/// A configuration, and the layers it was made of.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    layers: Layers,
    line: CommandLine,
}

/// Reads every layer.
///
/// # Errors
/// Everything that is wrong, warnings too, in the order of the layers.
pub fn load(line: &CommandLine, environment: &Environment) -> Result<Loaded, Vec<Diagnostic>> {
    let layers = Layers::read(line, environment);
    let config = layers.config(line)?;
    Ok(Loaded { config, layers, line: line.clone() })
}

impl Loaded {
    /// The configuration with another rest of the command line, which a boot script has
    /// put there. Files are not read again.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn with_rest(&self, rest: Vec<OsString>) -> Result<Config, Vec<Diagnostic>> {
        let line = cli::parse_rest(rest, &self.line).map_err(|error| vec![error])?;
        self.layers.config(&line)
    }

    /// Lets go of what only another rest of the command line would need.
    pub fn forget(&mut self) {
        self.layers.forget();
    }

    /// Adds the line meant to a diagnostic that was made later, from an origin.
    #[must_use]
    pub fn illustrate(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        self.layers.illustrate(&mut diagnostic);
        diagnostic
    }
}
