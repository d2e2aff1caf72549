//! Whether what a test expects holds now. Each is `Ok`, or says what came instead; none
//! waits for anything.

pub(super) mod container;
pub(super) mod file;
pub(super) mod listening;
pub(super) mod processes;
pub(super) mod resources;

/// Why something that a test expects does not hold.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Unmet {
    /// What is so instead.
    pub why: String,
    /// Whether it can't come to hold any more, however long one waits.
    pub for_good: bool,
}

impl Unmet {
    /// It does not hold, and never will.
    pub(super) fn for_good(why: String) -> Self {
        Self { why, for_good: true }
    }
}

/// It may come to hold.
impl From<String> for Unmet {
    fn from(why: String) -> Self {
        Self { why, for_good: false }
    }
}

/// The first of many for people, and how many there are beside these.
pub(super) fn some(all: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 10;
    let mut all = all.into_iter();
    let mut shown: Vec<String> = all.by_ref().take(SHOWN).collect();
    let more = all.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

/// All that is wrong, in one line; `Ok` if nothing is.
fn all_of(problems: &[String]) -> Result<(), String> {
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
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
