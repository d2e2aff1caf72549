//! Lists that may be long.

/// Returns the first ten of a list, and the number of the others.
pub(crate) fn some(all: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 10;
    let mut all = all.into_iter();
    let mut shown: Vec<String> = all.by_ref().take(SHOWN).collect();
    let more = all.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

/// Returns the last lines of an output, for the end of a sentence: the output of `whose`, or else
/// of the subject of the sentence.
pub(crate) fn last_output(whose: Option<&str>, lines: &[String]) -> String {
    let lines = lines.join(" | ");
    match whose {
        _ if lines.is_empty() => lines,
        None => format!("; its last output: {lines}"),
        Some(whose) => format!("; the last output of {whose}: {lines}"),
    }
}

/// Returns whether a line says something by itself, which for example psql's `^` does not.
pub(crate) fn says(line: &str) -> bool {
    line.contains(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_things_some_are_shown() {
        let many = |count: u32| some((1..=count).map(|number| number.to_string()));
        assert_eq!(many(0), "");
        assert_eq!(many(10), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10");
        assert_eq!(many(12), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, and 2 more");
    }
}
