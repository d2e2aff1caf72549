//! Places for the units of a graph: in layers from left to right, so that every arrow points to the
//! right and few arrows cross.

use std::collections::{BTreeMap, BTreeSet};

/// The number of times that the layers are ordered.
const SWEEPS: usize = 24;
/// The number of times that the items of the layers are moved, first towards one side and then
/// towards both.
const MOVES: (usize, usize) = (20, 181);

/// A unit, or the place of an arrow in a layer that it passes.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Item {
    /// The unit; none for a place of an arrow.
    pub unit: Option<usize>,
    /// The height.
    pub height: f64,
    /// The middle, from the top of the highest item.
    pub y: f64,
    left: Vec<usize>,
    right: Vec<usize>,
}

/// The layout.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Layout {
    pub items: Vec<Item>,
    /// The items of each layer, from top to bottom.
    pub layers: Vec<Vec<usize>>,
    /// The items along each arrow, from the unit at its beginning to the one at its end.
    pub paths: Vec<Vec<usize>>,
}

/// The heights of units and of arrows that pass a layer, and the gap between any two of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Heights {
    pub unit: f64,
    pub arrow: f64,
    pub gap: f64,
}

/// Lays out these units with these arrows, each from one unit to another. The arrows have no cycles.
/// Units that no arrows connect, even by way of others, are below one another.
pub(super) fn layout(units: &[usize], arrows: &[(usize, usize)], heights: Heights) -> Layout {
    let mut all = Layout { items: Vec::new(), layers: Vec::new(), paths: Vec::new() };
    all.paths.resize(arrows.len(), Vec::new());
    for part in parts(units, arrows) {
        let inner = arrows.iter().enumerate().filter(|(_, (from, _))| part.contains(from));
        let (places, inner): (Vec<usize>, Vec<(usize, usize)>) = inner.unzip();
        let part: Vec<usize> = part.into_iter().collect();
        let mut laid = connected(&part, &inner, heights);
        let first = all.items.len();
        let down = if first > 0 { all.height() + heights.gap * 2.0 } else { 0.0 };
        let moved = |items: Vec<usize>| items.into_iter().map(move |item| first + item);
        for (rank, layer) in laid.layers.into_iter().enumerate() {
            if all.layers.len() <= rank {
                all.layers.push(Vec::new());
            }
            all.layers[rank].extend(moved(layer));
        }
        for (place, path) in places.into_iter().zip(laid.paths) {
            all.paths[place].extend(moved(path));
        }
        for item in &mut laid.items {
            item.y += down;
            item.left = moved(std::mem::take(&mut item.left)).collect();
            item.right = moved(std::mem::take(&mut item.right)).collect();
        }
        all.items.extend(laid.items);
    }
    all
}

/// Returns the parts of a graph that no arrows connect, in the order of their first units.
fn parts(units: &[usize], arrows: &[(usize, usize)]) -> Vec<BTreeSet<usize>> {
    let mut near: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in arrows {
        near.entry(*from).or_default().push(*to);
        near.entry(*to).or_default().push(*from);
    }
    let mut parts: Vec<BTreeSet<usize>> = Vec::new();
    let mut seen = BTreeSet::new();
    for unit in units {
        let mut todo = vec![*unit];
        let mut part = BTreeSet::new();
        while let Some(unit) = todo.pop() {
            if seen.insert(unit) {
                part.insert(unit);
                todo.extend(near.get(&unit).into_iter().flatten());
            }
        }
        if !part.is_empty() {
            parts.push(part);
        }
    }
    parts
}

/// Lays out units that arrows connect.
fn connected(units: &[usize], arrows: &[(usize, usize)], heights: Heights) -> Layout {
    let ranks = ranks(units, arrows);
    let mut laid = Layout { items: Vec::new(), layers: Vec::new(), paths: Vec::new() };
    let mut items = BTreeMap::new();
    for unit in units {
        items.insert(*unit, laid.add(ranks[unit], Some(*unit), heights.unit));
    }
    for (from, to) in arrows {
        let mut path = vec![items[from]];
        for rank in ranks[from] + 1..ranks[to] {
            path.push(laid.add(rank, None, heights.arrow));
        }
        path.push(items[to]);
        for pair in path.windows(2) {
            laid.items[pair[0]].right.push(pair[1]);
            laid.items[pair[1]].left.push(pair[0]);
        }
        laid.paths.push(path);
    }
    laid.order();
    laid.place(heights.gap);
    laid
}

/// Returns the rank of each unit: the number of arrows on the longest way to it.
pub(super) fn ranks(units: &[usize], arrows: &[(usize, usize)]) -> BTreeMap<usize, usize> {
    let mut ranks: BTreeMap<usize, usize> = units.iter().map(|unit| (*unit, 0)).collect();
    // Without cycles, no rank is higher than the number of units.
    for _ in units {
        let mut changed = false;
        for (from, to) in arrows {
            if ranks[to] <= ranks[from] {
                ranks.insert(*to, ranks[from] + 1);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    ranks
}

impl Layout {
    fn add(&mut self, rank: usize, unit: Option<usize>, height: f64) -> usize {
        let item = self.items.len();
        self.items.push(Item { unit, height, y: 0.0, left: Vec::new(), right: Vec::new() });
        if self.layers.len() <= rank {
            self.layers.resize(rank + 1, Vec::new());
        }
        self.layers[rank].push(item);
        item
    }

    /// Returns the lowest edge.
    pub(super) fn height(&self) -> f64 {
        self.items.iter().map(|item| item.y + item.height / 2.0).fold(0.0, f64::max)
    }

    /// Orders each layer so that few arrows cross: every item goes to the middle of its neighbours,
    /// and pairs change places where that helps. The best order of all is kept.
    fn order(&mut self) {
        let mut best = self.layers.clone();
        let mut fewest = self.crossings();
        for sweep in 0..SWEEPS {
            let to_the_right = sweep % 2 == 0;
            let mut ranks: Vec<usize> = (0..self.layers.len()).collect();
            if !to_the_right {
                ranks.reverse();
            }
            for rank in ranks {
                self.sort(rank, to_the_right);
            }
            self.swap();
            let crossings = self.crossings();
            if crossings < fewest {
                fewest = crossings;
                best.clone_from(&self.layers);
            }
        }
        self.layers = best;
    }

    /// Returns the position of each item within its layer.
    fn positions(&self) -> Vec<usize> {
        let mut positions = vec![0; self.items.len()];
        for layer in &self.layers {
            for (at, item) in layer.iter().enumerate() {
                positions[*item] = at;
            }
        }
        positions
    }

    /// Sorts a layer by the middles of the neighbours on one side.
    fn sort(&mut self, rank: usize, by_left: bool) {
        let positions = self.positions();
        let middle = |item: usize| {
            let Item { left, right, .. } = &self.items[item];
            let near = if by_left { left } else { right };
            mean(near.iter().map(|other| float(positions[*other])))
                .unwrap_or_else(|| float(positions[item]))
        };
        let mut layer = self.layers[rank].clone();
        layer.sort_by(|one, other| middle(*one).total_cmp(&middle(*other)));
        self.layers[rank] = layer;
    }

    /// Lets neighbours change places wherever fewer of their arrows cross then.
    fn swap(&mut self) {
        let mut positions = self.positions();
        for rank in 0..self.layers.len() {
            for _ in 0..self.layers[rank].len() {
                let mut changed = false;
                for at in 1..self.layers[rank].len() {
                    let (upper, lower) = (self.layers[rank][at - 1], self.layers[rank][at]);
                    let crossed = |upper: usize, lower: usize| {
                        let sides = [
                            (&self.items[upper].left, &self.items[lower].left),
                            (&self.items[upper].right, &self.items[lower].right),
                        ];
                        let pairs = sides.into_iter().flat_map(|(one, other)| {
                            one.iter().flat_map(move |a| other.iter().map(move |b| (*a, *b)))
                        });
                        pairs.filter(|(a, b)| positions[*a] > positions[*b]).count()
                    };
                    if crossed(lower, upper) < crossed(upper, lower) {
                        self.layers[rank].swap(at - 1, at);
                        positions.swap(upper, lower);
                        changed = true;
                    }
                }
                if !changed {
                    break;
                }
            }
        }
    }

    /// Returns the number of crossings.
    pub(super) fn crossings(&self) -> usize {
        let positions = self.positions();
        let mut all = 0;
        for layer in &self.layers {
            let right = |item: usize| self.items[item].right.iter().map(move |to| (item, *to));
            let arrows: Vec<(usize, usize)> = layer.iter().flat_map(|item| right(*item)).collect();
            for (at, (from, to)) in arrows.iter().enumerate() {
                let later = arrows[at + 1..].iter().filter(|(other, _)| other != from);
                all += later.filter(|(_, other)| positions[*other] < positions[*to]).count();
            }
        }
        all
    }

    /// Gives each item its height on the picture: as near as possible to the middle of its
    /// neighbours, so that arrows are straight.
    fn place(&mut self, gap: f64) {
        for rank in 0..self.layers.len() {
            self.settle(rank, gap, |_, _| None);
        }
        for sweep in 0..MOVES.0 + MOVES.1 {
            let mut ranks: Vec<usize> = (0..self.layers.len()).collect();
            if sweep % 2 == 1 {
                ranks.reverse();
            }
            for rank in ranks {
                self.settle(rank, gap, |items, item| {
                    let Item { left, right, .. } = &items[item];
                    let near: Vec<&usize> = match sweep {
                        _ if sweep >= MOVES.0 => left.iter().chain(right).collect(),
                        _ if sweep % 2 == 0 => left.iter().collect(),
                        _ => right.iter().collect(),
                    };
                    mean(near.into_iter().map(|other| items[*other].y))
                });
            }
        }
        let top = self.items.iter().map(|item| item.y - item.height / 2.0).fold(f64::MAX, f64::min);
        for item in &mut self.items {
            item.y -= top;
        }
    }

    /// Moves the items of a layer as near as possible to where they want to be, without changing
    /// their order. An arrow that passes wants it four times as much as a unit, because a bend is
    /// uglier there.
    fn settle(&mut self, rank: usize, gap: f64, wish: impl Fn(&[Item], usize) -> Option<f64>) {
        struct Block {
            /// Where its first item wants to be, on average.
            at: f64,
            weight: f64,
            /// The items, with their distances from the first one.
            items: Vec<(usize, f64)>,
            /// The distance from the first item at which the next block may begin.
            length: f64,
        }
        let mut blocks: Vec<Block> = Vec::new();
        for item in &self.layers[rank] {
            let half = self.items[*item].height / 2.0;
            let weight = if self.items[*item].unit.is_some() { 1.0 } else { 4.0 };
            let at = wish(&self.items, *item).unwrap_or(self.items[*item].y) - half;
            let length = self.items[*item].height + gap;
            let mut block = Block { at, weight, items: vec![(*item, half)], length };
            // Items that want the same place make one block, in the middle of what they want.
            while let Some(above) = blocks.pop_if(|above| above.at + above.length > block.at) {
                let weight = above.weight + block.weight;
                let wanted = block.at - above.length;
                let at = (above.at * above.weight + wanted * block.weight) / weight;
                let below = block.items.into_iter().map(|(item, y)| (item, y + above.length));
                let items = above.items.into_iter().chain(below).collect();
                block = Block { at, weight, items, length: above.length + block.length };
            }
            blocks.push(block);
        }
        for block in blocks {
            for (item, distance) in block.items {
                self.items[item].y = block.at + distance;
            }
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Returns a small number as a float.
pub(super) fn float(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEIGHTS: Heights = Heights { unit: 10.0, arrow: 2.0, gap: 5.0 };

    #[test]
    fn every_arrow_points_to_the_right() {
        let laid = layout(&[0, 1, 2, 3], &[(0, 1), (1, 2), (0, 2), (3, 2)], HEIGHTS);
        let rank = |item: &usize| laid.layers.iter().position(|layer| layer.contains(item));
        for path in &laid.paths {
            let ranks: Vec<_> = path.iter().map(|item| rank(item).unwrap()).collect();
            assert!(ranks.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ranks:?}");
        }
        assert_eq!(laid.paths[2].len(), 3, "a long arrow has a place in the layer that it passes");
    }

    #[test]
    fn arrows_that_need_not_cross_do_not() {
        // 0..5 -> 9..4: in the order of the numbers, all of them would cross.
        let arrows: Vec<_> = (0..5).map(|from| (from, 9 - from)).collect();
        let laid = layout(&(0..10).collect::<Vec<_>>(), &arrows, HEIGHTS);
        assert_eq!(laid.crossings(), 0);
    }

    #[test]
    fn nothing_overlaps() {
        let arrows: Vec<_> = (1..40).map(|to| (to * 7 % to.max(2) / 2, to)).collect();
        let laid = layout(&(0..40).collect::<Vec<_>>(), &arrows, HEIGHTS);
        for layer in &laid.layers {
            for pair in layer.windows(2) {
                let (upper, lower) = (&laid.items[pair[0]], &laid.items[pair[1]]);
                let room = lower.y - lower.height / 2.0 - (upper.y + upper.height / 2.0);
                assert!(room > HEIGHTS.gap - 0.001, "{room}");
            }
        }
    }

    /// They used to drift apart.
    #[test]
    fn parts_that_no_arrow_connects_are_next_to_each_other() {
        let arrows = [(0, 4), (1, 4), (2, 4), (3, 4), (4, 5), (6, 8), (7, 8)];
        let laid = layout(&(0..9).collect::<Vec<_>>(), &arrows, HEIGHTS);
        let y = |unit: usize| laid.items.iter().find(|item| item.unit == Some(unit)).unwrap().y;
        let distance = y(6) - y(3);
        let expected = HEIGHTS.unit + HEIGHTS.gap * 2.0;
        assert!((distance - expected).abs() < 0.001, "{distance}");
        assert!((y(4) - y(5)).abs() < 0.1, "{} {}", y(4), y(5));
    }

    #[test]
    fn a_chain_is_straight() {
        let laid = layout(&[0, 1, 2], &[(0, 1), (1, 2)], HEIGHTS);
        let ys: Vec<f64> = laid.items.iter().map(|item| item.y).collect();
        assert!(ys.iter().all(|y| (y - ys[0]).abs() < 0.001), "{ys:?}");
    }
}
