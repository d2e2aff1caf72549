//! What units need of the container that they run in, as far as the configuration says it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::{
    Command, Config, ControlSocket, Environment, FileSource, Listen, Origin, Placed, Probe,
    Template, Unit, Variable, head,
};
use crate::text::harmless;

/// Ports below this one take a privilege: `net.ipv4.ip_unprivileged_port_start`.
const PRIVILEGED: u16 = 1024;

/// The largest script that is searched for a port.
const LARGEST: usize = 256 * 1024;

/// Returns the ports on which units are known to listen, each with the name of one of them.
pub(super) fn ports(config: &Config) -> BTreeMap<u16, String> {
    let mut ports = BTreeMap::new();
    for unit in config.units.iter().filter(|unit| unit.command != Command::Nothing) {
        let listens = unit.listen.iter().filter_map(|at| at.value.port());
        let probed = unit.probes().filter_map(|probe| match probe {
            Probe::Tcp(address) => Some(address),
            Probe::Http(http) => Some(&http.address),
            _ => None,
        });
        let probed = probed.filter(|address| is_here(&address.host)).map(|address| address.port);
        for port in listens.chain(probed) {
            ports.entry(port).or_insert_with(|| unit.id());
        }
    }
    ports
}

/// Returns whether trc makes directories or files for a unit that do not belong to root. By default,
/// they belong to the user of the unit.
#[cfg(feature = "ctl")]
pub(super) fn chown(unit: &Unit) -> bool {
    let other = |name: &str| !["root", "0"].contains(&name);
    let own = unit.identity.user.as_ref().is_some_and(|user| other(&user.value));
    let dirs = unit.dirs.iter().map(|dir| &dir.value.owner);
    let mut owners = dirs.chain(unit.files.iter().map(|file| &file.value.owner));
    owners.any(|owner| owner.as_ref().map_or(own, |owner| other(&owner.value.user)))
}

/// Returns whether a host is this container.
pub(super) fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.starts_with("127.") || ["::1", "0.0.0.0", "::", ""].contains(&host)
}

/// Returns the ports that are known, in one line, if no unit seems to listen on this one. If none is
/// known, or if the number is anywhere in a command, a variable or a file of a unit, this cannot be
/// said.
pub(super) fn nobody_on(config: &Config, port: u16) -> Option<String> {
    let known = ports(config);
    if known.is_empty() || known.contains_key(&port) || mentions(config, &port.to_string()) {
        return None;
    }
    let known: Vec<String> =
        known.iter().map(|(port, id)| format!("{id} listens on {port}")).collect();
    Some(known.join(", "))
}

/// Returns whether a number is in a text of a unit.
fn mentions(config: &Config, number: &str) -> bool {
    let has = |text: &str| text.split(|c: char| !c.is_ascii_digit()).any(|word| word == number);
    let is_in = |text: &Template| has(&text.source().to_string_lossy());
    let in_env = |env: &BTreeMap<String, Placed<Variable>>| {
        env.values().any(|it| matches!(&it.value, Variable::Text(text) if is_in(text)))
    };
    let in_unit = |unit: &Unit| {
        let in_command = match &unit.command {
            Command::Exec(words) => words.iter().any(is_in),
            Command::Words(words) => words.iter().any(|word| has(&word.to_string_lossy())),
            Command::Script(text) => has(&text.to_string_lossy()),
            Command::File(path) => {
                head(path, LARGEST).is_ok_and(|text| has(&String::from_utf8_lossy(&text)))
            }
            Command::Nothing => false,
        };
        let hook = unit.pre_start.iter().any(|hook| hook.exec.iter().any(is_in));
        let file = |source: &FileSource| match source {
            FileSource::Text(text) => has(text),
            FileSource::Template(path) => {
                head(path, LARGEST).is_ok_and(|text| has(&String::from_utf8_lossy(&text)))
            }
        };
        in_command
            || hook
            || in_env(&unit.identity.env)
            // Its contents are not known here.
            || !unit.identity.env_file.is_empty()
            || unit.files.iter().any(|it| file(&it.value.source))
    };
    in_env(&config.env) || config.units.iter().any(in_unit)
}

/// Returns each port below 1024 that a unit is known to listen on, with the unit and the place.
pub(super) fn low_ports(config: &Config) -> Vec<(u16, &Unit, &Origin)> {
    let mut found: Vec<(u16, &Unit, &Origin)> = Vec::new();
    for unit in config.units.iter().filter(|unit| unit.command != Command::Nothing) {
        let listens = unit.listen.iter().filter_map(|at| Some((at.value.port()?, &at.origin)));
        let ready = unit.ready.as_ref().map(|ready| &ready.probe);
        let health = unit.health.as_ref().map(|health| &health.probe);
        let probed = ready.into_iter().chain(health).filter_map(|probe| match &probe.value {
            Probe::Tcp(address) => Some((address, &probe.origin)),
            Probe::Http(http) => Some((&http.address, &probe.origin)),
            _ => None,
        });
        let probed = probed.filter(|(address, _)| is_here(&address.host));
        let probed = probed.map(|(address, origin)| (address.port, origin));
        for (port, origin) in listens.chain(probed) {
            if port < PRIVILEGED && !found.iter().any(|(known, ..)| *known == port) {
                found.push((port, unit, origin));
            }
        }
    }
    found
}

/// Returns each user and group that a unit runs as, with the name of the key.
pub(super) fn accounts(config: &Config) -> Vec<(&Unit, &'static str, &Placed<String>)> {
    let mut found = Vec::new();
    for unit in &config.units {
        let own = &unit.identity;
        found.extend(own.user.iter().map(|user| (unit, "user", user)));
        found.extend(own.group.iter().map(|group| (unit, "group", group)));
        found.extend(own.groups.iter().flatten().map(|group| (unit, "groups", group)));
    }
    found
}

/// A file or a directory that trc makes or a unit writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Written {
    /// Who writes what, as the beginning of a sentence: `async.web writes its output to`.
    pub what: String,
    /// The path.
    pub path: PathBuf,
    /// The directory that has to be writable.
    pub dir: PathBuf,
    /// The place in the configuration.
    pub origin: Origin,
}

/// Returns everything that trc or a unit writes, as far as the configuration names it.
pub(super) fn written(config: &Config, environment: &Environment) -> Vec<Written> {
    let mut found = Vec::new();
    let mut add = |what: String, path: &Path, origin: &Origin, is_dir: bool| {
        let dir = if is_dir { path } else { path.parent().unwrap_or(path) };
        let (path, dir) = (path.to_owned(), dir.to_owned());
        found.push(Written { what, path, dir, origin: origin.clone() });
    };
    for unit in &config.units {
        let id = unit.id();
        if let Some(file) = &unit.output_file {
            add(format!("{id} writes its output to"), &file.value.path, &file.origin, false);
        }
        for dir in &unit.dirs {
            if let Some(path) = text(config, environment, unit, &dir.value.path) {
                add(format!("`dirs` of {id} has"), Path::new(&path), &dir.origin, true);
            }
        }
        for file in &unit.files {
            if let Some(path) = text(config, environment, unit, &file.value.path) {
                add(format!("`files` of {id} has"), Path::new(&path), &file.origin, false);
            }
        }
        if let Some(file) = &unit.pid_file {
            add(format!("{id} writes its pid_file"), &file.value, &file.origin, false);
        }
        for listen in &unit.listen {
            if let Listen::Unix(path) = &listen.value {
                add(format!("trc creates a socket for {id}:"), path, &listen.origin, false);
            }
        }
    }
    if let ControlSocket::At(path) = &config.control.socket {
        add("trc creates its control socket".to_owned(), path, &Origin::Default, false);
    }
    found
}

/// Returns the text of a template, if all of its variables are known.
fn text(
    config: &Config,
    environment: &Environment,
    unit: &Unit,
    template: &Template,
) -> Option<OsString> {
    let inherited = |name: &str| {
        environment.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.clone())
    };
    let variable = |name: &str| {
        let written = unit.identity.env.get(name).or_else(|| config.env.get(name));
        match written.map(|variable| &variable.value) {
            Some(Variable::Text(text)) => text.expand(&inherited).ok(),
            Some(Variable::File(_)) => None,
            None => inherited(name),
        }
    };
    template.expand(&variable).ok()
}

/// The command of a probe from outside: what it runs and what it asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asking {
    /// The program, if it is known.
    pub program: Option<String>,
    /// The ports of this container that it asks.
    pub ports: Vec<u16>,
    /// Whether it asks trc by its control socket.
    pub asks_trc: bool,
}

impl Asking {
    /// Returns what a command asks.
    pub(super) fn of(words: &[String]) -> Self {
        let program = words.first().cloned();
        let name = program.as_deref().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
        let second = words.get(1).map(String::as_str);
        let asks_trc = (name == "trc" && second == Some("--health"))
            || (name == "trcctl" && second == Some("health") && !has_socket(words));
        let mut ports: Vec<u16> = words.iter().filter_map(|word| of_url(word)).collect();
        if ["nc", "ncat", "netcat"].contains(&name) {
            let plain: Vec<&String> =
                words.iter().skip(1).filter(|it| !it.starts_with('-')).collect();
            if let [host, port] = plain[..]
                && is_here(host)
            {
                ports.extend(port.parse::<u16>());
            }
        }
        Self { program, ports, asks_trc }
    }

    /// Returns what the first command of a text for the shell asks.
    pub(super) fn of_shell(text: &str) -> Self {
        let end = text.find(['|', '&', ';', '>', '\n']).unwrap_or(text.len());
        let words = shell_words::split(&text[..end]).unwrap_or_default();
        let is_plain = |word: &String| !word.contains(['$', '`', '(', '=', '!', '{', '[']);
        let mut asking = Self::of(&words);
        asking.program = asking.program.filter(is_plain);
        asking
    }

    /// Returns the program for a message.
    pub(super) fn shown(&self) -> String {
        harmless(self.program.as_deref().unwrap_or_default())
    }
}

fn has_socket(words: &[String]) -> bool {
    words.iter().any(|word| word.starts_with("--socket"))
}

/// Returns the port of a URL of this container.
fn of_url(word: &str) -> Option<u16> {
    let (rest, default) = match word.split_once("://")? {
        ("http", rest) => (rest, 80),
        ("https", rest) => (rest, 443),
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, default),
    };
    is_here(host).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::Asking;

    #[test]
    fn a_command_tells_which_ports_it_asks() {
        for (text, ports) in [
            ("curl -f http://localhost:8080/ || exit 1", &[8080][..]),
            ("wget -qO- http://127.0.0.1/x", &[80]),
            ("curl -k https://[::1]/", &[443]),
            ("curl http://example.com/", &[]),
            ("curl http://localhost:${PORT}/", &[]),
            ("nc -z localhost 5432", &[5432]),
            ("nc -z db 5432", &[]),
            ("pg_isready -U x", &[]),
            ("", &[]),
        ] {
            assert_eq!(Asking::of_shell(text).ports, ports, "{text}");
        }
    }

    #[test]
    fn a_command_that_asks_trc_is_recognized() {
        for (text, asks) in [
            ("trc --health", true),
            ("/usr/local/bin/trc --health web", true),
            ("trcctl health", true),
            ("trcctl health --socket /tmp/trc.sock", false),
            ("trc", false),
        ] {
            assert_eq!(Asking::of_shell(text).asks_trc, asks, "{text}");
        }
        assert_eq!(Asking::of_shell("[ -f /x ]").program, None);
    }
}
