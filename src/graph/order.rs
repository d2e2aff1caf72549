//! An order of units that satisfies every edge.

/// Sorts `0..count` so that everything in `before(i)` comes ahead of `i`, and otherwise by index.
/// The result lacks the indices that lie on a cycle or behind one.
///
/// The function repeatedly takes the lowest index that nothing holds back. So it keeps the order of
/// declaration wherever it can.
pub(super) fn stable(count: usize, before: &dyn Fn(usize) -> Vec<usize>) -> Vec<usize> {
    let mut holding = vec![0_usize; count];
    let mut after = vec![Vec::new(); count];
    for (index, held) in holding.iter_mut().enumerate() {
        for earlier in before(index) {
            after[earlier].push(index);
            *held += 1;
        }
    }
    let mut free: std::collections::BTreeSet<usize> =
        (0..count).filter(|index| holding[*index] == 0).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(index) = free.pop_first() {
        order.push(index);
        for later in &after[index] {
            holding[*later] -= 1;
            if holding[*later] == 0 {
                free.insert(*later);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_nothing_back_keeps_its_place() {
        assert_eq!(stable(3, &|_| vec![]), [0, 1, 2]);
        assert_eq!(stable(4, &|i| if i == 0 { vec![2] } else { vec![] }), [1, 2, 0, 3]);
    }

    #[test]
    fn what_lies_on_a_cycle_is_missing() {
        assert_eq!(stable(3, &|i| if i == 2 { vec![] } else { vec![1 - i] }), [2]);
    }
}
