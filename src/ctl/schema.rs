//! `trcctl schema`: a JSON Schema of the configuration, for editors.

use std::io::Write as _;

pub use crate::config::schema::Root;
use crate::config::schema::schema;

/// Prints the schema of a kind of file. Returns the exit status.
pub fn run(root: Root) -> u8 {
    let text = serde_json::to_string_pretty(&schema(root)).unwrap_or_default();
    u8::from(writeln!(std::io::stdout().lock(), "{text}").is_err())
}
