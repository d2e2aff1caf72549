//! The identities of units when one graph takes over from another.

use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, Node, Rule, UnitId};

impl Graph {
    /// Returns the same graph, prepared to take over from `old`. A unit that `old` has under the
    /// same name keeps its identity, and every other unit gets an identity that no unit has had. A
    /// unit of `old` that this graph lacks keeps its identity, and has no place in the order.
    #[must_use]
    pub(crate) fn over(self, old: &Graph) -> Self {
        self.over_reusing(old, &[])
    }

    /// Returns the same as [`Graph::over`], but units with new names first get these identities of
    /// units that are gone for good, so that a graph does not grow with each one that takes over.
    /// The engine knows them: `Engine::spare`.
    #[must_use]
    pub(crate) fn over_reusing(self, old: &Graph, spare: &[UnitId]) -> Self {
        let known = old.nodes.iter().enumerate();
        let known: BTreeMap<String, usize> = known.map(|(at, node)| (node.unit.id(), at)).collect();
        let mut nodes = old.nodes.clone();
        // A name that comes back has the identity that it had.
        let here: BTreeSet<UnitId> = self.order.iter().copied().collect();
        let named = here.iter().map(|id| self.node(*id).unit.id());
        let back: BTreeSet<usize> = named.filter_map(|name| known.get(&name).copied()).collect();
        let mut spare = spare.iter().map(|id| id.0).filter(|id| !back.contains(id));
        let mut ids = vec![UnitId(0); self.nodes.len()];
        // A graph that comes back may know units that it does not have.
        let own = self.nodes.into_iter().enumerate().filter(|(at, _)| here.contains(&UnitId(*at)));
        for (at, node) in own {
            let known = known.get(&node.unit.id()).copied();
            let id = known.or_else(|| spare.next()).unwrap_or(nodes.len());
            ids[at] = UnitId(id);
            match nodes.get_mut(id) {
                Some(same) => *same = node,
                None => nodes.push(node),
            }
        }
        let of = |id: &mut UnitId| *id = ids[id.0];
        let mut order = self.order.to_vec();
        order.iter_mut().for_each(of);
        for id in &order {
            rename(&mut nodes[id.0], of);
        }
        let mut graph = Self { nodes, order: order.into(), ..self };
        graph.own.iter_mut().for_each(of);
        for rule in graph.rules.values_mut() {
            match rule {
                Rule::Forward(_, units) => units.iter_mut().for_each(of),
                Rule::Stop | Rule::Ignore | Rule::Reopen | Rule::Reload | Rule::Foreground => {}
            }
        }
        graph
    }
}

/// Changes every identity in a node.
fn rename(node: &mut Node, of: impl Fn(&mut UnitId) + Copy) {
    node.needs.iter_mut().map(|need| &mut need.unit).for_each(of);
    let lists = [&mut node.dependents, &mut node.restarts, &mut node.with, &mut node.about];
    lists.into_iter().flatten().chain(&mut node.victim).chain(&mut node.job).for_each(of);
}
