//! A Dockerfile, checked against the configuration that its image runs.

mod checks;
mod image;
mod parse;

#[cfg(feature = "ctl")]
pub(super) use checks::behind;

use std::path::{Path, PathBuf};

use super::root::Root;
use super::started::is_setting;
use crate::config::{Diagnostic, Environment, Loaded, Origin, head, reason, show_line};
use crate::graph::Graph;
use image::Image;
use parse::{Instruction, instructions};

/// The largest Dockerfile that is read.
const LARGEST: usize = 1024 * 1024;

/// A Dockerfile that was read.
#[derive(Clone, Debug)]
pub(super) struct Dockerfile {
    path: PathBuf,
    text: String,
    instructions: Vec<Instruction>,
}

impl Dockerfile {
    /// Reads a Dockerfile.
    ///
    /// # Errors
    /// Returns why it cannot be used.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = head(path, LARGEST)
            .map_err(|error| format!("cannot use --dockerfile {shown}: {}", reason(&error)))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let instructions = instructions(&text);
        if !instructions.iter().any(|it| it.name == "FROM") {
            return Err(format!("cannot use --dockerfile {shown}: it has no FROM"));
        }
        Ok(Self { path: path.to_owned(), text, instructions })
    }

    /// Returns what does not fit the configuration.
    pub(super) fn remarks(
        &self,
        loaded: &Loaded,
        graph: &Graph,
        root: Option<&Root>,
    ) -> Vec<Diagnostic> {
        let image = Image::last(&self.instructions);
        checks::Check { dockerfile: self, image: &image, loaded, graph, root }.all()
    }

    /// Returns the variables that trc has in a container of the image: those of `ENV` that are settings
    /// of trc, and the variables that there are.
    pub(super) fn environment(&self, own: &Environment) -> Environment {
        let image = Image::last(&self.instructions);
        let set = image.env.iter().filter(|(name, value)| is_setting(name) && !value.contains('$'));
        let set = set.map(|(name, value)| (name.into(), value.into()));
        set.chain(own.iter().cloned()).collect()
    }

    /// Adds the line to a problem of this file.
    pub(super) fn illustrate(&self, found: &mut Diagnostic) {
        if found.excerpt.is_none()
            && matches!(&found.origin, Origin::File { path, .. } if **path == *self.path)
        {
            show_line(&self.path, &self.text, found);
        }
    }

    /// Returns the place of an instruction.
    fn place(&self, it: &Instruction) -> Origin {
        Origin::File { path: self.path.as_path().into(), line: it.line, column: it.column }
    }
}
