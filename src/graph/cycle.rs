//! Cycles among units.

/// Returns cycles among the `stuck` units. No two cycles share a unit, and without them no unit
/// would be stuck. Each cycle is a list of indices along it, with the first index repeated at the
/// end. Units that merely wait for a cycle are on none of them.
///
/// From each unit, the function follows the first edge back until a unit comes again. It then never
/// looks at these units again, so it looks at each edge once.
pub(super) fn all(stuck: &[bool], before: &dyn Fn(usize) -> Vec<usize>) -> Vec<Vec<usize>> {
    let mut open = stuck.to_vec();
    // A unit's place on the path that is being followed, and the edges that it has left.
    let mut place: Vec<Option<usize>> = vec![None; open.len()];
    let mut path: Vec<(usize, std::vec::IntoIter<usize>)> = Vec::new();
    let mut cycles = Vec::new();
    for start in 0..open.len() {
        let mut next = Some(start).filter(|start| open[*start]);
        loop {
            if let Some(here) = next.take() {
                match place[here] {
                    None => {
                        place[here] = Some(path.len());
                        path.push((here, before(here).into_iter()));
                    }
                    Some(from) => {
                        let mut cycle: Vec<usize> = path.drain(from..).map(|(at, _)| at).collect();
                        for at in &cycle {
                            (open[*at], place[*at]) = (false, None);
                        }
                        cycle.push(here);
                        cycles.push(cycle);
                    }
                }
            }
            let Some((here, edges)) = path.last_mut() else { break };
            next = edges.find(|earlier| open[*earlier]);
            if next.is_none() {
                (open[*here], place[*here]) = (false, None);
                path.pop();
            }
        }
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cycle_is_found_and_what_is_behind_it_is_on_none() {
        let find = |edges: &[&[usize]]| all(&vec![true; edges.len()], &|at| edges[at].to_vec());
        assert_eq!(find(&[&[0]]), [[0, 0]]);
        assert_eq!(find(&[&[1], &[2], &[0]]), [[0, 1, 2, 0]]);
        // 0 and 1 are outside the cycle, and 4 leads nowhere.
        assert_eq!(find(&[&[1], &[4, 2], &[3], &[2], &[]]), [[2, 3, 2]]);
        assert_eq!(find(&[&[1, 2], &[0], &[3], &[2]]), [vec![0, 1, 0], vec![2, 3, 2]]);
        assert_eq!(all(&[false, true], &|_| vec![0]), [[0; 0]; 0]);
    }

    /// It took a minute: each step looked at the whole path.
    #[test]
    fn a_long_way_round_takes_as_many_steps_as_it_has_units() {
        let count = 300_000;
        let steps = std::cell::Cell::new(0);
        let before = |at: usize| {
            steps.set(steps.get() + 1);
            // A chain that leads into a cycle.
            vec![if at + 1 == count { count / 2 } else { at + 1 }]
        };
        let cycles = all(&vec![true; count], &before);
        assert_eq!((cycles.len(), cycles[0].len()), (1, count / 2 + 1));
        assert_eq!(steps.get(), count);
    }
}
