//! Cycles among units, named in full.

use std::collections::BTreeSet;

/// A cycle among `stuck`, each of which is held back by another of them, as the
/// indices along it, the first repeated at the end.
///
/// Follows the first edge back from each until a unit comes again; as every stuck
/// unit has such an edge or leads to one that has, the walk ends on a cycle.
pub fn find(stuck: &BTreeSet<usize>, before: &dyn Fn(usize) -> Vec<usize>) -> Vec<usize> {
    let mut path: Vec<usize> = Vec::new();
    let mut here = *stuck.first().expect("a cycle is looked for only where units are stuck");
    loop {
        if let Some(start) = path.iter().position(|seen| *seen == here) {
            let mut cycle = path.split_off(start);
            cycle.push(here);
            // Walked backwards; people read "a waits for b waits for a".
            return cycle;
        }
        path.push(here);
        match before(here).into_iter().find(|earlier| stuck.contains(earlier)) {
            Some(earlier) => here = earlier,
            None => return path,
        }
    }
}
