//! The units, ports and restarts that no test of a run is about.

use std::collections::BTreeSet;

use super::{Graph, UnitId};
use crate::config::{
    Asked, Check, Command, FaultKind, Found, Listening, Placed, Stage, State, Template, Test, When,
};

/// A port that something listened on after the last test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OpenPort {
    /// The port.
    pub port: u16,
    /// Whether it is a UDP port; otherwise it is a TCP port.
    pub udp: bool,
    /// Whether it can be reached from outside of this network namespace.
    pub outside: bool,
    /// The unit whose process listens, if that is known.
    pub unit: Option<UnitId>,
}

/// Something that no test is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Gap {
    /// A service or a job that no test names, and whose ports no test uses.
    Unit(UnitId),
    /// A port that can be reached from outside, and that no test uses.
    Port(OpenPort),
    /// The restart of a unit, which no fault tests.
    Restart(UnitId),
}

/// Returns the units, ports and restarts that no test of this graph is about. `open` has the ports that
/// are open after the last test.
#[must_use]
pub(crate) fn gaps(graph: &Graph, open: &[OpenPort]) -> Vec<Gap> {
    let tests: Vec<UnitId> = graph.stage(Stage::Test).collect();
    let asked: Vec<Ports> = tests.iter().map(|id| Ports::of(graph, *id)).collect();
    let is_asked = |port: &&OpenPort| asked.iter().any(|ports| ports.has(port));
    let mut named: BTreeSet<UnitId> =
        open.iter().filter(is_asked).filter_map(|port| port.unit).collect();
    let mut tried = BTreeSet::new();
    for id in &tests {
        let node = graph.node(*id);
        let Some(test) = node.test() else { continue };
        let after = node.unit.after.iter().map(|after| &after.unit.value);
        let checked = test.checked_units().map(|unit| &unit.value);
        let all: BTreeSet<&String> = after.chain(checked).collect();
        named.extend(graph.ids().filter(|id| all.contains(&graph.node(*id).unit.id())));
        named.extend(node.victim.into_iter().chain(node.job));
        if let (Some(victim), Some(fault)) = (node.victim, &test.fault)
            && matches!(fault.value.kind, FaultKind::Kill(signal) if signal.ends())
        {
            tried.insert(victim);
        }
    }
    let is_service = |id: &UnitId| {
        let node = graph.node(*id);
        node.counts() && !node.idle && (!node.oneshot || node.is_scheduled())
    };
    let units = graph.ids().filter(|id| is_service(id) && !named.contains(id)).map(Gap::Unit);
    let ports = open.iter().filter(|port| port.outside && !is_asked(port));
    let restarts = graph.ids().filter(|id| {
        let node = graph.node(*id);
        let restarts = node.unit.restart.when != When::No && !node.is_scheduled();
        is_service(id) && restarts && !tried.contains(id)
    });
    units.chain(ports.cloned().map(Gap::Port)).chain(restarts.map(Gap::Restart)).collect()
}

/// The ports that a test uses.
struct Ports {
    /// The ports of its checks: the number, and whether it is a UDP port.
    checked: BTreeSet<(u16, bool)>,
    /// The numbers in its command that may be ports.
    written: BTreeSet<u16>,
}

impl Ports {
    fn of(graph: &Graph, id: UnitId) -> Self {
        let unit = &graph.node(id).unit;
        let checked = graph.node(id).test().map(checked).unwrap_or_default();
        let text = match &unit.command {
            Command::Exec(words) => words.iter().map(Template::source).collect(),
            Command::Script(text) => vec![text.clone()],
            Command::Words(words) => words.clone(),
            Command::File(_) | Command::Nothing => Vec::new(),
        };
        let written = text.iter().flat_map(|text| numbers(&text.to_string_lossy())).collect();
        Self { checked, written }
    }

    fn has(&self, port: &OpenPort) -> bool {
        self.checked.contains(&(port.port, port.udp)) || self.written.contains(&port.port)
    }
}

/// Returns the ports of the checks of a test, and of its probes.
fn checked(test: &Test) -> BTreeSet<(u16, bool)> {
    let of_list = |ports: &[Listening]| {
        let wanted = ports.iter().filter(|port| !port.negated);
        wanted.map(|port| (port.port, port.udp)).collect::<Vec<_>>()
    };
    let asked = |asked: &Asked| match asked {
        Asked::Http(check) => vec![(check.http.address.port, false)],
        Asked::Tcp(address) => vec![(address.port, false)],
        Asked::Unix(_) | Asked::File(_) | Asked::Tree(_) | Asked::Dns(_) => Vec::new(),
    };
    let check = |check: &Placed<Check>| match &check.value {
        Check::Asked(check) => asked(check),
        Check::Found(Found::Now(State::Listening(port))) => of_list(std::slice::from_ref(port)),
        Check::Found(Found::Now(State::Listener(listener))) => of_list(&listener.ports),
        Check::Found(_) => Vec::new(),
    };
    let during = test.during.iter().flat_map(|during| asked(&during.value.asked));
    test.checks.iter().flat_map(check).chain(during).collect()
}

/// Returns the numbers in a text that could be ports.
fn numbers(text: &str) -> Vec<u16> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.parse().ok()).filter(|port| *port > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CommandLine, Config, load};

    fn loaded(toml: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("trc.toml"), toml).unwrap();
        let line = CommandLine {
            work_dir: Some(dir.path().into()),
            test: Some(String::new()),
            ..CommandLine::default()
        };
        load(&line, &Vec::new()).unwrap().config
    }

    fn port(graph: &Graph, port: u16, unit: &str) -> OpenPort {
        let unit = graph.ids().find(|id| graph.node(*id).unit.id() == unit);
        OpenPort { port, udp: false, outside: true, unit }
    }

    /// Returns the gaps in words, with these open ports.
    fn left_out(toml: &str, open: &[(u16, &str)]) -> Vec<String> {
        let graph = Graph::build(&loaded(toml)).unwrap();
        let open: Vec<OpenPort> =
            open.iter().map(|(number, unit)| port(&graph, *number, unit)).collect();
        let name = |id: &UnitId| graph.node(*id).unit.id();
        let shown = |gap: &Gap| match gap {
            Gap::Unit(id) => format!("unit {}", name(id)),
            Gap::Port(open) => format!("port {}", open.port),
            Gap::Restart(id) => format!("restart {}", name(id)),
        };
        gaps(&graph, &open).iter().map(shown).collect()
    }

    const TWO: &str = "[async.web]\nexec = 'web'\n[async.db]\nexec = 'db'\n";

    #[test]
    fn a_unit_is_covered_if_a_test_names_it_or_uses_one_of_its_ports() {
        let both = ["unit async.db", "unit async.web", "port 80"];
        for (test, expected) in [
            // It waits for all units, and names none of them.
            ("exec = 'true'", &both[..]),
            ("after = 'web'\nexec = 'true'", &["unit async.db", "port 80"]),
            ("expect.tcp = 80", &["unit async.db"]),
            ("expect.http = 'http://127.0.0.1/'", &["unit async.db"]),
            ("exec = 'curl http://127.0.0.1:80/'", &["unit async.db"]),
            ("exec = 'curl http://127.0.0.1:8080/'", &both),
            ("script = 'nc -z localhost 80'", &["unit async.db"]),
            ("expect = { listening = '80/tcp' }", &["unit async.db"]),
            ("expect = { listening = '80/udp' }", &both),
            ("expect.log = { unit = 'db', contains = 'up' }", &["unit async.web", "port 80"]),
            ("expect.listener = { unit = 'web', ports = 80 }", &["unit async.db"]),
            ("expect.fault = { unit = 'db', kill = 'HUP' }", &["unit async.web", "port 80"]),
        ] {
            let found = left_out(&format!("{TWO}[test.a]\n{test}\n"), &[(80, "async.web")]);
            let found: Vec<&str> = found.iter().map(String::as_str).collect();
            let (mut found, mut expected) = (found, expected.to_vec());
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{test}");
        }
    }

    #[test]
    fn a_restart_is_covered_by_a_fault_that_kills_the_process() {
        let service = "[async.web]\nexec = 'web'\nrestart.when = 'always'\n";
        for (fault, tried) in [
            ("kill = 'KILL'", true),
            ("kill = 'TERM'", true),
            ("kill = 'HUP'", false),
            ("stop = '1s'", false),
            ("down = true", false),
        ] {
            let test = format!("[test.a]\nexpect.fault = {{ unit = 'web', {fault} }}\n");
            let expected = if tried { vec![] } else { vec!["restart async.web"] };
            assert_eq!(left_out(&(service.to_owned() + &test), &[]), expected, "{fault}");
        }
    }

    #[test]
    fn jobs_have_to_be_tested_and_one_shots_need_not() {
        let units = "[async.job]\nschedule = '@daily'\nexec = 'a'\n\
                     [async.once]\noneshot = true\nexec = 'a'\n\
                     [boot.b]\nexec = 'a'\n[async.idle]\nautostart = false\nexec = 'a'\n";
        let test = |test: &str| left_out(&format!("{units}[test.a]\n{test}\n"), &[]);
        assert_eq!(test("exec = 'true'"), ["unit async.job"]);
        assert!(test("expect.job = 'job'").is_empty());
    }

    #[test]
    fn a_port_that_nobody_outside_can_reach_need_not_be_tested() {
        let graph =
            Graph::build(&loaded(&format!("{TWO}[test.a]\nafter = ['web', 'db']\nexec = 'a'\n")))
                .unwrap();
        let inside = OpenPort { outside: false, ..port(&graph, 9000, "async.db") };
        assert_eq!(gaps(&graph, &[inside]), []);
    }
}
