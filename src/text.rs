//! Small helpers with text.

/// For a line of trc's own, and for a variable: no control characters, which could
/// forge a line or end the variable.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
