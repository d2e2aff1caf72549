//! What a container does not give to its units, or takes from them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::super::dockerfile::behind;
use super::super::needs;
use super::super::root::Root;
use super::super::started::{Changed, Started, changed, started};
use super::container::{Container, Kind, Words};
use crate::config::{CAPABILITIES, ControlSocket, Diagnostic, Environment, Loaded, Origin};
use crate::graph::Graph;
use crate::text::harmless;

/// A container, and the configuration that it runs.
pub(super) struct Rules<'a> {
    pub container: &'a Container,
    pub loaded: &'a Loaded,
    pub graph: &'a Graph,
    pub environment: &'a Environment,
    pub root: Option<&'a Root>,
}

impl Rules<'_> {
    /// Returns everything that does not fit.
    pub(super) fn all(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        self.command(&mut found);
        self.grace(&mut found);
        self.init(&mut found);
        self.probes(&mut found);
        self.read_only(&mut found);
        self.user(&mut found);
        self.capabilities(&mut found);
        found
    }

    fn is_compose(&self) -> bool {
        self.container.kind == Kind::Compose
    }

    /// Returns the container for a message: `service web`.
    fn shown(&self) -> String {
        self.container.shown()
    }

    fn command(&self, found: &mut Vec<Diagnostic>) {
        let it = self.container;
        let mut own = Vec::new();
        if let Some(Words { list: words, key, place }) = &it.entrypoint {
            let Some(words) = words else { return };
            let keep = format!("remove `{key}`, so that the ENTRYPOINT of the image runs trc");
            match started(words) {
                Started::Trc(arguments) => own = arguments,
                _ if words.is_empty() => {
                    let text =
                        format!("`{key}` removes the ENTRYPOINT of the image, which runs trc");
                    return found.push(Diagnostic::warning(place.clone(), text).help(keep));
                }
                Started::Behind(program) => {
                    let text =
                        format!("`{key}` makes {} PID 1, and trc its child", harmless(&program));
                    let help = format!("trc is an init itself: {keep}");
                    return found.push(Diagnostic::warning(place.clone(), text).help(help));
                }
                Started::Script(program) | Started::Other(program) => {
                    let text = format!(
                        "`{key}` runs {}, not trc: no unit of this configuration runs",
                        harmless(&program)
                    );
                    let mut warning = Diagnostic::warning(place.clone(), text);
                    let name = if self.is_compose() { "--service" } else { "--container" };
                    warning.note = Some(format!(
                        "if this is not the container of trc, name that one with {name} NAME"
                    ));
                    return found.push(warning.help(keep));
                }
            }
        }
        let Some(Words { list: words, key, place }) = &it.arguments else { return };
        let Some(words) = words.as_ref().filter(|words| !words.is_empty()) else { return };
        let again = matches!(started(words), Started::Trc(_));
        let all: Vec<String> = own.into_iter().chain(words.iter().cloned()).collect();
        let warning = |text: String| Diagnostic::warning(place.clone(), text);
        match changed(&self.loaded.config, &all) {
            _ if again && it.entrypoint.is_none() => {}
            Changed::Nothing => {}
            Changed::Replaced(id) => {
                let text = format!("`{key}` replaces the command of {id}");
                let help = format!("remove `{key}`, or the command of {id}");
                found.push(warning(text).help(help));
            }
            Changed::Behind(id) => {
                found.push(behind(warning(String::new()), &format!("`{key}`"), &id));
            }
            Changed::Refused(why) => {
                let text = format!("trc refuses the arguments in `{key}`: {why}");
                let error = Diagnostic::error(place.clone(), text);
                found.push(error.help("`trc --help` lists its options"));
            }
        }
    }

    fn grace(&self, found: &mut Vec<Diagnostic>) {
        let it = self.container;
        let key =
            if self.is_compose() { "stop_grace_period" } else { "terminationGracePeriodSeconds" };
        if let Some((key, signal, place)) = &it.stop_signal {
            match self.graph.deaf_to(signal) {
                Ok(None) => {}
                Ok(Some(why)) => {
                    let text = format!("{key} {} {why}", harmless(signal));
                    found.push(Diagnostic::warning(place.clone(), text).help(
                        format!("remove {key}: trc stops on SIGTERM, and sends each unit its own stop.signal"),
                    ));
                }
                Err(why) => {
                    found.push(Diagnostic::error(place.clone(), format!("{key}: {why}")));
                }
            }
        }
        let Some(grace) = it.grace else { return };
        let Some(late) = self.graph.overtime(grace) else { return };
        let place = it.grace_at.clone().unwrap_or_else(|| it.place.clone());
        let seconds = (grace + it.before).as_secs_f64();
        let hook = match it.before.as_secs_f64() {
            0.0 => String::new(),
            before => format!(", of which the preStop hook takes {before} s"),
        };
        let text = match &it.grace_at {
            Some(_) => format!("{}, but {key} is {seconds} s{hook}", late.takes),
            None => format!(
                "{}, but {} has no {key}, so it is killed after {seconds} s{hook}",
                late.takes,
                self.shown()
            ),
        };
        let mut warning = Diagnostic::warning(place, text);
        warning.note = late.chain;
        let needed = self.graph.budget + it.before;
        let needed = needed.as_secs() + u64::from(needed.subsec_nanos() > 0) + 1;
        let value = if self.is_compose() { format!("{needed}s") } else { needed.to_string() };
        let mut help = format!("set {key}: {value}");
        if let Some(key) = late.key.first().map(|_| late.key.join(".")) {
            _ = write!(help, ", or shorten {key}");
        }
        found.push(warning.help(help));
    }

    fn init(&self, found: &mut Vec<Diagnostic>) {
        let Some(place) = &self.container.init else { return };
        let text = "`init: true` makes docker-init PID 1, and trc its child: trc then reaps and stops only what \
                    it has started itself";
        let help = "remove `init`: trc is an init itself, and reaps every process as PID 1";
        found.push(Diagnostic::warning(place.clone(), text).help(help));
    }

    fn probes(&self, found: &mut Vec<Diagnostic>) {
        let it = self.container;
        let config = &self.loaded.config;
        let is_root = it.user.as_ref().is_none_or(|(user, _)| user == "root" || user == "0");
        let run = it.read_only.is_none() || is_below(&it.writable, Path::new("/run"));
        let mut told = false;
        for probe in &it.probes {
            for port in &probe.asking.ports {
                if let Some(known) = needs::nobody_on(config, *port) {
                    let text = format!("{} asks port {port}, on which no unit listens", probe.key);
                    let mut warning = Diagnostic::warning(probe.place.clone(), text);
                    warning.note = Some(known);
                    let ask = if self.is_compose() {
                        "test: [CMD, trc, --health]"
                    } else {
                        "exec: { command: [trc, --health] }"
                    };
                    found.push(
                        warning.help(format!("correct the port; or ask trc for all units: {ask}")),
                    );
                }
            }
            if probe.asking.asks_trc && config.control.socket == ControlSocket::None {
                let text = format!(
                    "{} asks trc, which has no socket: `control.socket` is false",
                    probe.key
                );
                let help = "remove `control.socket`, or ask a unit of the container instead";
                found.push(Diagnostic::warning(probe.place.clone(), text).help(help));
            }
            if probe.asking.asks_trc
                && config.control.socket == ControlSocket::Usual
                && !it.variables.contains_key("TRC_SOCKET")
                && !(is_root && run)
                && !std::mem::replace(&mut told, true)
            {
                let why = if is_root {
                    "the root file system is read-only"
                } else {
                    "its user is not root"
                };
                let text = format!(
                    "{} asks trc, which cannot create its socket in /run: {why}",
                    probe.key
                );
                let help = if self.is_compose() {
                    "add TRC_SOCKET: /tmp/trc.sock to `environment`, and mount a tmpfs on /tmp if the root file \
                     system is read-only"
                } else {
                    "add { name: TRC_SOCKET, value: /tmp/trc.sock } to `env`, and mount an emptyDir on /tmp if the \
                     root file system is read-only"
                };
                found.push(Diagnostic::warning(probe.place.clone(), text).help(help));
            }
        }
    }

    fn read_only(&self, found: &mut Vec<Diagnostic>) {
        let it = self.container;
        let Some(place) = &it.read_only else { return };
        let mut told = BTreeSet::new();
        for written in needs::written(&self.loaded.config, self.environment) {
            let is_there = is_below(&it.writable, &written.dir);
            if is_there || !told.insert(written.dir.clone()) {
                continue;
            }
            let (path, dir) = (written.path.to_string_lossy(), written.dir.to_string_lossy());
            let key = if self.is_compose() { "read_only" } else { "readOnlyRootFilesystem" };
            let text = format!(
                "{} {}, but `{key}` makes the root file system read-only",
                written.what,
                harmless(&path)
            );
            let mut warning = Diagnostic::warning(place.clone(), text);
            if written.origin != Origin::Default {
                warning.note = Some(format!("the configuration says so in {}", written.origin));
            }
            let dir = harmless(&dir);
            found.push(warning.help(if self.is_compose() {
                format!("add {dir} to `tmpfs`, or mount a volume there")
            } else {
                format!(
                    "mount a volume there, such as an emptyDir: {{ name: NAME, mountPath: {dir} }}"
                )
            }));
        }
    }

    fn user(&self, found: &mut Vec<Diagnostic>) {
        let Some((user, place)) = &self.container.user else { return };
        if user.is_empty() || user == "root" || user == "0" {
            return;
        }
        let key = if self.is_compose() { "user" } else { "runAsUser" };
        let number = |name: &str| {
            let known = || self.root.and_then(|root| root.user(name));
            name.parse::<u32>().ok().or_else(known)
        };
        let mut told = BTreeSet::new();
        for (unit, what, name) in needs::accounts(&self.loaded.config) {
            let other = &name.value;
            if what != "user" || user == other || !told.insert(other) {
                continue;
            }
            let shown = harmless(other);
            let text = format!(
                "{} runs as {shown}, but `{key}: {}` lets trc run as another user, and only root can change users",
                unit.id(),
                harmless(user)
            );
            let help = format!(
                "remove `{key}`, so that trc starts as root and each unit as its own user; or remove `user` of {}",
                unit.id()
            );
            let mut warning = match (number(user), number(other)) {
                (Some(one), Some(other)) if one == other => continue,
                (Some(_), Some(_)) => Diagnostic::error(place.clone(), text),
                _ => {
                    let mut warning = Diagnostic::warning(place.clone(), text);
                    warning.note = Some(format!(
                        "this is right only if {shown} is {} in /etc/passwd of the image: --root DIR looks there",
                        harmless(user)
                    ));
                    warning
                }
            };
            if warning.note.is_none() {
                warning.note = Some(format!("the configuration says so in {}", name.origin));
            }
            found.push(warning.help(help));
        }
        if self.container.low_ports {
            return;
        }
        for (port, unit, _) in needs::low_ports(&self.loaded.config) {
            let text = format!(
                "{} listens on port {port}, which `{key}: {}` may not open on every engine",
                unit.id(),
                harmless(user)
            );
            found.push(Diagnostic::warning(place.clone(), text).help(self.sysctl()));
        }
    }

    fn sysctl(&self) -> &'static str {
        if self.is_compose() {
            "listen on a port above 1023, or leave the network of the host"
        } else {
            "listen on a port above 1023, or set the sysctl net.ipv4.ip_unprivileged_port_start to \"0\" in the \
             securityContext of the pod"
        }
    }

    fn capabilities(&self, found: &mut Vec<Diagnostic>) {
        let it = self.container;
        let Some(has) = &it.capabilities else { return };
        let config = &self.loaded.config;
        let place = it.capabilities_at.clone().unwrap_or_else(|| it.place.clone());
        let is_root = it.user.as_ref().is_none_or(|(user, _)| user == "root" || user == "0");
        let add = if self.is_compose() { "cap_add" } else { "capabilities.add" };
        let lacks = |names: &[&str]| -> Vec<String> {
            let lacking = names.iter().filter(|name| !has.contains(**name));
            lacking.map(|name| name.to_ascii_uppercase()).collect()
        };
        let mut say = |why: String, names: &[String]| {
            let text = format!("{why}, but {} does not have {}", self.shown(), names.join(" and "));
            let help = format!("add {} to {add}", names.join(", "));
            found.push(Diagnostic::warning(place.clone(), text).help(help));
        };
        if is_root {
            let accounts = needs::accounts(config);
            let other = |(_, _, name): &&(_, _, &crate::config::Placed<String>)| {
                !["root", "0"].contains(&name.value.as_str())
            };
            if let Some((unit, _, name)) = accounts.iter().find(other) {
                let names = lacks(&["setuid", "setgid"]);
                if !names.is_empty() {
                    let (id, name) = (unit.id(), harmless(&name.value));
                    say(format!("{id} runs as {name}, so trc has to change users"), &names);
                }
                let names = lacks(&["kill"]);
                if !names.is_empty() {
                    let name = harmless(&name.value);
                    say(format!("trc has to stop {}, which runs as {name}", unit.id()), &names);
                }
            }
            let names = lacks(&["chown"]);
            if let Some(unit) =
                config.units.iter().find(|unit| !names.is_empty() && needs::chown(unit))
            {
                let id = unit.id();
                say(
                    format!("trc has to change the owner of the `dirs` or `files` of {id}"),
                    &names,
                );
            }
            let names = lacks(&["net_bind_service"]);
            let low = needs::low_ports(config);
            if let Some((port, unit, _)) =
                low.first().filter(|_| !names.is_empty() && !it.low_ports)
            {
                say(format!("{} listens on port {port}, which is below 1024", unit.id()), &names);
            }
        }
        for unit in &config.units {
            let kept = unit.identity.capabilities.iter().flatten();
            let kept = kept.filter_map(|it| CAPABILITIES.get(usize::from(it.value)).copied());
            let names = lacks(&kept.collect::<Vec<_>>());
            if !names.is_empty() {
                say(format!("`capabilities` of {} keeps more than there is", unit.id()), &names);
            }
        }
    }
}

/// Returns whether a directory is one of these or below, or where the engine mounts something writable.
fn is_below(writable: &[std::path::PathBuf], dir: &Path) -> bool {
    dir.starts_with("/dev")
        || dir.starts_with("/proc")
        || writable.iter().any(|mount| dir.starts_with(mount))
}
