//! Small helpers for text.

/// Removes control characters, which could forge a line of the log or end a variable.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
