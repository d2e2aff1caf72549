//! The nearest correct spelling of a name.

/// The number of errors for which trc looks for a similar name among those of all units. It does
/// not show more errors, and the search takes time.
const HELPED: usize = 100;

/// Does the same as [`nearest`] for candidates that people have declared, of which there can be
/// many. `told` is the number of errors so far.
pub(crate) fn nearest_of_many<'a>(
    told: usize,
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    nearest_of(told, wrong, candidates.into_iter().map(|candidate| (candidate, candidate)))
}

/// Does the same for candidates that stand for something else.
pub(super) fn nearest_of<'a, T>(
    told: usize,
    wrong: &str,
    candidates: impl IntoIterator<Item = (&'a str, T)>,
) -> Option<T> {
    if is_helped(told) { look(wrong, candidates) } else { None }
}

/// Tells whether one more error is shown with everything that makes it easier to correct.
pub(super) fn is_helped(told: usize) -> bool {
    told < HELPED
}

/// Returns the candidate that `wrong` was probably meant to be.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    look(wrong, candidates.into_iter().map(|candidate| (candidate, candidate)))
}

/// Returns the only candidate that begins with `wrong`, which must have at least two letters.
pub(super) fn begun<'a>(wrong: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let mut begun = candidates.iter().filter(|right| wrong.len() > 1 && right.starts_with(wrong));
    begun.next().filter(|_| begun.next().is_none()).copied()
}

fn look<'a, T>(wrong: &str, candidates: impl IntoIterator<Item = (&'a str, T)>) -> Option<T> {
    let wrong = wrong.to_lowercase();
    // One mistake in about three letters is allowed; in one or two letters, only the wrong case.
    let letters = wrong.chars().count();
    let most = if letters < 3 { 0 } else { ((letters + 1) / 3).min(4) };
    // Nobody types such a long name, and the comparison takes time.
    if letters > 64 {
        return None;
    }
    let mut best: Option<(usize, T)> = None;
    for (candidate, meant) in candidates {
        // A candidate has to be nearer than the nearest one so far.
        let most = best.as_ref().map_or(most, |(distance, _)| distance.saturating_sub(1).min(most));
        // A character has at most four bytes.
        if candidate.len() > 4 * (letters + most) || candidate.len() + most < letters {
            continue;
        }
        let right = candidate.to_lowercase();
        if right.chars().count().abs_diff(letters) > most {
            continue;
        }
        // The distance counts letters that are inserted, removed, changed, or swapped with the next
        // one.
        let distance = strsim::osa_distance(&wrong, &right);
        if distance <= most
            && distance < candidate.len()
            && best.as_ref().is_none_or(|(least, _)| distance < *least)
        {
            best = Some((distance, meant));
            if distance == 0 {
                break;
            }
        }
    }
    best.map(|(_, meant)| meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let keys = ["exec", "script", "description", "env", "env_file", "wait_any"];
        for (wrong, right) in [
            ("exce", Some("exec")),
            ("EXEC", Some("exec")),
            ("scirpt", Some("script")),
            ("descripton", Some("description")),
            ("env-file", Some("env_file")),
            ("port", None),
            ("", None),
            ("ready", None),
        ] {
            assert_eq!(nearest(wrong, keys), right, "{wrong}");
        }
    }
}
