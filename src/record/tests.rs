//! What a record keeps of a configuration.

use std::path::Path;
use std::rc::Rc;

use super::Settings;
use crate::config::{
    Check, Command, Config, Diagnostic, FaultKind, Identity, Origin, Placed, Probe, Schedule,
    Template, Test, Unit, UnitRef,
};
use crate::graph::Graph;

/// Checks that a graph that is built from its record is equal in everything that the engine or a
/// sentence can depend on. Returns the errors if no file could hold the configuration.
pub(crate) fn is_kept(config: &Config) -> Result<(), Vec<Diagnostic>> {
    let Ok(graph) = Graph::build(config) else { return Ok(()) };
    if config.testing.as_ref().is_some_and(|testing| testing.list) {
        return Ok(());
    }
    let settings = Settings::of(&graph, config.log.level);
    let line = serde_json::to_string(&settings).unwrap();
    let read: Settings = serde_json::from_str(&line).unwrap();
    assert_eq!(read, settings);
    let again = read.graph(Path::new("/run/record"), &[])?;
    assert_eq!(read.level(), config.log.level);
    let labels = |graph: &Graph| -> Vec<String> {
        graph.ids().map(|id| graph.node(id).unit.label()).collect()
    };
    assert_eq!(labels(&again), labels(&graph));
    assert_eq!(bare(&again), bare(&graph), "{line}");
    Ok(())
}

/// Returns a graph without everything that the engine does not look at.
fn bare(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    for node in &mut graph.nodes {
        let unit = &mut node.unit;
        let new = Unit::new(unit.stage, &unit.name, Origin::Default, command(&unit.command));
        let old = std::mem::replace(unit, new);
        unit.form = old.form;
        (unit.autostart, unit.oneshot, unit.always) = (old.autostart, old.oneshot, old.always);
        let named = |mut all: Vec<crate::config::After>| {
            for after in &mut all {
                place(&mut after.unit);
            }
            all
        };
        (unit.after, unit.before) = (named(old.after), named(old.before));
        unit.ready = old.ready.map(|mut ready| {
            if ready.probe.value.is_told() {
                ready.timeout = std::time::Duration::ZERO;
            }
            ready.probe = probe(&ready.probe.value);
            ready
        });
        unit.health = old.health.map(|mut health| {
            health.timeout = std::time::Duration::ZERO;
            health.probe = probe(&health.probe.value);
            health
        });
        unit.pid_file = old.pid_file.map(|file| Placed { origin: Origin::Default, ..file });
        unit.restart = old.restart;
        unit.restart.with.iter_mut().for_each(place);
        unit.schedule = old.schedule.map(|it| {
            Box::new(Schedule { overlap: it.overlap, at_start: it.at_start, ..Schedule::default() })
        });
        (unit.max_runtime, unit.success) = (old.max_runtime, old.success);
        unit.on_failure = old.on_failure;
        unit.stop = old.stop;
        unit.stop.exec = unit.stop.exec.take().map(|_| Vec::new());
        unit.reload = old.reload.map(|mut reload| {
            if let crate::config::ReloadBy::Exec(words) = &mut reload.by {
                words.clear();
            }
            reload
        });
        let hook = |hook: Option<Box<crate::config::Hook>>| {
            hook.map(|it| Box::new(crate::config::Hook { exec: Vec::new(), within: it.within }))
        };
        (unit.pre_start, unit.post_stop) = (hook(old.pre_start), hook(old.post_stop));
        unit.identity = Identity::default();
        unit.test = old.test.map(|test| Box::new(bare_test(*test)));
    }
    graph.order = Rc::from(graph.order.to_vec());
    graph
}

fn bare_test(mut test: Test) -> Test {
    test.checks = Vec::<Placed<Check>>::new();
    test.after_stop = Vec::new();
    test.allow = Vec::new();
    test.once = false;
    test.job.iter_mut().for_each(place);
    test.fault.iter_mut().for_each(|fault| {
        fault.origin = Origin::Default;
        place(&mut fault.value.unit);
        // It makes no difference to these, and no file can have it.
        if matches!(fault.value.kind, FaultKind::Down | FaultKind::Restart) {
            fault.value.restarts = None;
        }
    });
    test.during.iter_mut().for_each(|during| {
        during.origin = Origin::Default;
        let address = crate::config::Address { host: "localhost".to_owned(), port: 1 };
        during.value.asked = crate::config::Asked::Tcp(address);
        (during.value.errors, during.value.broken) = (None, None);
        during.value.longest_gap = None;
    });
    test
}

/// Only the kind of a command matters to the engine; its label is compared apart.
fn command(command: &Command) -> Command {
    match command {
        Command::Exec(_) => Command::Exec(Vec::<Template>::new()),
        Command::Script(_) => Command::Script(std::ffi::OsString::new()),
        Command::File(_) => Command::File(std::path::PathBuf::new()),
        Command::Words(_) => Command::Words(Vec::new()),
        Command::Nothing => Command::Nothing,
    }
}

fn place(unit: &mut UnitRef) {
    unit.origin = Origin::Default;
}

fn probe(probe: &Probe) -> Placed<Probe> {
    let value = match probe {
        Probe::Tcp(_) | Probe::Unix(_) | Probe::Http(_) | Probe::Exec(_) | Probe::File(_) => {
            Probe::File("/".into())
        }
        Probe::Log(line) => {
            Probe::Log(crate::config::LogLine { pattern: String::new(), count: line.count })
        }
        told @ (Probe::Notify | Probe::Fd(_) | Probe::PidFile) => told.clone(),
    };
    Placed { value, origin: Origin::Default }
}
