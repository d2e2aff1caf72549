//! A reload: the configuration is read anew while the run goes on.
//!
//! Everything is read and checked first, and an error changes nothing. What has changed decides which
//! units are replaced; the engine does the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::rc::Rc;

use super::Supervisor;
use crate::config::{
    Change, Class, Command, Config, Diagnostic, FileSource, Loaded, Stage, Unit, Variable,
};
use crate::engine::{Asker, Event, Fact, PhaseName, Refusal, Wanted};
use crate::graph::{Graph, UnitId};
use crate::run::probe::file::Stamp;
use crate::wire::{Because, Does, Plan, Reloaded, Step};
use crate::words::Observed;

/// A configuration that was read anew.
pub(super) struct Next {
    loaded: Loaded,
    graph: Rc<Graph>,
    /// The units that have to be restarted.
    replaced: Vec<UnitId>,
    /// What happens.
    pub plan: Plan,
}

/// The files that a unit was started with, and their versions.
pub(super) type Inputs = Vec<(PathBuf, Option<Stamp>)>;

/// Returns the files that a unit reads at its start, as they are now.
pub(super) fn inputs(unit: &Unit) -> Inputs {
    let script = match &unit.command {
        Command::File(path) => Some(path),
        Command::Exec(_) | Command::Words(_) | Command::Script(_) | Command::Nothing => None,
    };
    let secrets = unit.identity.env.values().filter_map(|variable| match &variable.value {
        Variable::File(path) => Some(path),
        Variable::Text(_) => None,
    });
    let files = unit.identity.env_file.iter().map(|file| &file.value);
    let templates = unit.files.iter().filter_map(|file| match &file.value.source {
        FileSource::Template(path) => Some(path),
        FileSource::Text(_) => None,
    });
    let all = script.into_iter().chain(secrets).chain(files).chain(templates);
    all.map(|path| (path.clone(), Stamp::of(path))).collect()
}

impl Supervisor {
    /// Returns the files of a unit that have changed since it was started.
    pub(super) fn changed_files(&self, id: UnitId) -> Vec<PathBuf> {
        let inputs = self.units[id.0].inputs.iter();
        let changed = inputs.filter(|(path, stamp)| Stamp::of(path) != *stamp);
        changed.map(|(path, _)| path.clone()).collect()
    }

    /// Reads the configuration anew, and compares it with the present one.
    ///
    /// # Errors
    /// Returns all errors, if there is one.
    pub(super) fn read_anew(&self) -> Result<Next, Vec<Diagnostic>> {
        let loaded = self.loaded.again().map_err(|refused| {
            let cycles = Graph::cycles(&refused.understood.config);
            refused.beside(cycles)
        })?;
        let graph = Graph::build(&loaded.config);
        let graph = graph.map_err(|diagnostics| loaded.illustrate(diagnostics))?;
        if let Some(diagnostic) = crate::run::needs_shell(&loaded.config)
            && self.ground.shell.get().is_none()
        {
            return Err(loaded.illustrate(vec![diagnostic]));
        }
        // A run that was an init stays one.
        let graph = graph.over_reusing(&self.graph, &self.engine.spare());
        let graph = Graph { transparent: false, ..graph };
        let changes = loaded.changes_from(&self.loaded);
        let (steps, replaced) = self.steps(&loaded.config, &graph, &changes);
        let files: Vec<_> = self.graph.ids().flat_map(|id| self.changed_files(id)).collect();
        let files: Vec<_> = files.into_iter().map(|path| (Stamp::of(&path), path)).collect();
        let generation = self.engine.snapshot().generation;
        let hasher = self.plans.get_or_init(RandomState::new);
        let held = |id| self.engine.unit_snapshot(id).wanted == Wanted::Held;
        let held: Vec<UnitId> = self.graph.ids().filter(|id| held(*id)).collect();
        let what = format!("{steps:?} {files:?} {held:?}");
        let what = (loaded.fingerprint(hasher), generation, what);
        let plan = Plan {
            id: format!("{:016x}", hasher.hash_one(what)),
            changed: !steps.is_empty(),
            applied: false,
            generation,
            steps,
        };
        Ok(Next { loaded, graph: Rc::new(graph), replaced, plan })
    }

    /// Returns what happens, and the units that are restarted.
    fn steps(&self, new: &Config, graph: &Graph, changes: &[Change]) -> (Vec<Step>, Vec<UnitId>) {
        let because = |change: &Change| {
            let origin = change.origin.to_string();
            (Because { key: change.key.clone(), origin }, change.class)
        };
        let mut of_units = BTreeMap::<String, Vec<(Because, Class)>>::new();
        let mut of_run = Vec::new();
        for change in changes {
            match &change.unit {
                Some(unit) => of_units.entry(unit.clone()).or_default().push(because(change)),
                None => of_run.push(because(change)),
            }
        }
        let mut steps = Vec::new();
        let mut replaced = Vec::new();
        let (apply, never): (Vec<_>, Vec<_>) =
            of_run.iter().cloned().partition(|(_, class)| *class != Class::Never);
        for (does, keys) in [(Does::Apply, apply), (Does::Nothing, never)] {
            if !keys.is_empty() {
                let because = keys.into_iter().map(|(because, _)| because).collect();
                steps.push(Step { unit: None, does, runs: true, because });
            }
        }
        let (old, present) = (self.graph.ids(), graph.ids());
        let (old, present): (BTreeSet<UnitId>, BTreeSet<UnitId>) =
            (old.collect(), present.collect());
        let whole = |unit: &Unit, does, runs| {
            let does = match unit.stage {
                Stage::Boot => Does::Nothing,
                // They wait for their turn.
                Stage::Test | Stage::Halt if does == Does::Start => Does::Apply,
                Stage::Async | Stage::Sync | Stage::Test | Stage::Halt => does,
            };
            let because = Because { key: String::new(), origin: unit.origin.to_string() };
            Step { unit: Some(unit.id()), does, runs, because: vec![because] }
        };
        let runs = |id: UnitId| {
            let unit = self.engine.unit_snapshot(id);
            unit.pid.is_some() || unit.phase == PhaseName::Watching
        };
        for id in self.graph.ids().filter(|id| !present.contains(id)) {
            steps.push(whole(&self.graph.node(id).unit, Does::Stop, runs(id)));
        }
        for id in graph.ids() {
            let unit = &graph.node(id).unit;
            if !old.contains(&id) {
                let idle = graph.node(id).idle;
                steps.push(whole(unit, if idle { Does::Apply } else { Does::Start }, false));
                continue;
            }
            let mut keys = of_units.get(&unit.declared_id()).cloned().unwrap_or_default();
            if matches!(unit.stage, Stage::Async | Stage::Sync) {
                let shared = of_run.iter().filter(|(because, class)| {
                    let output = because.key == "log.output";
                    *class == Class::Restart && (!output || self.output_changes(new, id, unit))
                });
                keys.extend(shared.cloned());
                let files = self.changed_files(id).into_iter().map(|path| Because {
                    key: path.display().to_string(),
                    origin: unit.origin.to_string(),
                });
                keys.extend(files.map(|because| (because, Class::Restart)));
            }
            // A run that is under way goes on with its settings, and the next one has the new ones. But
            // a job is something else than a service.
            let (was, is) = (self.graph.node(id).is_scheduled(), graph.node(id).is_scheduled());
            for (because, class) in &mut keys {
                match class {
                    Class::Restart if was && is => *class = Class::Start,
                    _ if was != is && because.key.starts_with("schedule") => {
                        *class = Class::Restart;
                    }
                    _ => {}
                }
            }
            let Some(class) = keys.iter().map(|(_, class)| *class).max() else { continue };
            let wanted = self.engine.unit_snapshot(id).wanted;
            let (sleeps, runs) = (wanted == Wanted::Idle, runs(id));
            let does = match class {
                Class::Live | Class::Start if sleeps && !graph.node(id).idle => Does::Start,
                Class::Live | Class::Start => Does::Apply,
                Class::Restart => Does::Restart,
                Class::Never => Does::Nothing,
            };
            if does == Does::Restart {
                replaced.push(id);
            }
            // It stays as it is until somebody starts it.
            let stays = matches!(wanted, Wanted::Held | Wanted::Idle) && !runs;
            let does = if does == Does::Restart && stays { Does::Apply } else { does };
            let because = keys.into_iter().map(|(because, _)| because).collect();
            steps.push(Step { unit: Some(unit.id()), does, runs, because });
        }
        (steps, replaced)
    }

    /// Returns whether `log.output` makes a difference to a unit.
    fn output_changes(&self, new: &Config, id: UnitId, unit: &Unit) -> bool {
        self.loaded.config.output_of(&self.graph.node(id).unit) != new.output_of(unit)
    }

    /// Lets a configuration take over. It goes again if one of its units does not come up, unless it
    /// is to be kept.
    pub(super) fn begin_reload(&mut self, next: Next, keep: bool, asker: Asker) {
        let (graph, replaced) = (Rc::clone(&next.graph), next.replaced.clone());
        let level = next.loaded.config.log.level;
        self.record_offer(&graph, level, (&replaced, keep, true));
        if keep {
            self.engine.offer_for_good(graph, replaced);
        } else {
            self.engine.offer(graph, replaced);
        }
        self.next = Some(Box::new(next));
        self.events.push_back(Event::Reload { asker });
    }

    /// Applies what the engine has told about a reload to the settings that are not the engine's.
    pub(super) fn reload_told(&mut self, fact: &Fact) {
        match fact {
            Fact::Reloaded { generation } => {
                let Some(next) = self.next.take() else { return };
                let Next { loaded, plan, .. } = *next;
                self.reporter.diagnostics(&loaded.config.remarks);
                let before = self.apply(loaded);
                self.before = Some(Box::new(before));
                self.reload_is(Ok(Plan { applied: true, generation: *generation, ..plan }));
            }
            Fact::Restored { .. } => {
                if let Some(before) = self.before.take() {
                    self.apply(*before);
                }
            }
            Fact::NotReloaded { .. } => self.next = None,
            _ => {}
        }
    }

    /// Applies settings, and returns those before.
    fn apply(&mut self, mut loaded: Loaded) -> Loaded {
        loaded.config.units = Vec::new();
        loaded.forget(true);
        let journal = self.reporter.journal();
        journal.set_level(loaded.config.log.level);
        journal.set_format(loaded.config.log.format);
        std::mem::replace(&mut self.loaded, loaded)
    }

    /// Reads the configuration anew because of a signal, and lets it take over.
    pub(super) fn reload(&mut self, asker: Asker) {
        let busy = self.engine.busy().or(self.next.is_some().then_some(Refusal::Reloading));
        if let Some(why) = busy {
            self.count_reload(Reloaded::Refused);
            return self.reporter.tell(&self.graph, &Fact::NotReloaded { why });
        }
        match self.read_anew() {
            Ok(next) if next.plan.changed => self.begin_reload(next, false, asker),
            Ok(_) => {
                self.count_nothing_to_reload();
                self.observed(&Observed::NothingToReload);
            }
            Err(diagnostics) => {
                self.count_reload(Reloaded::Invalid);
                self.reporter.diagnostics(&diagnostics);
            }
        }
    }
}
