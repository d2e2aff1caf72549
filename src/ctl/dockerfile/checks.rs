//! What a Dockerfile says that does not fit the configuration.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::needs::{self, Asking};
use super::super::root::{Kind, PATH, Root};
use super::super::started::{Changed, Started, changed, of_shell, started};
use super::Dockerfile;
use super::image::{Image, health_command};
use super::parse::{Form, Instruction};
use crate::config::{ControlSocket, Diagnostic, Loaded, Origin};
use crate::graph::Graph;
use crate::text::harmless;

/// The right line for an entrypoint.
const ENTRYPOINT: &str = "write ENTRYPOINT [\"/usr/local/bin/trc\"]";

/// The most bytes of a script that are searched for trc.
const LARGEST: u64 = 1024 * 1024;

/// Directories that belong to root in most images.
const OF_ROOT: [&str; 7] =
    ["/etc", "/run", "/usr", "/var/cache", "/var/lib", "/var/log", "/var/run"];

/// A Dockerfile and what it is checked against.
pub(super) struct Check<'a> {
    pub dockerfile: &'a Dockerfile,
    pub image: &'a Image<'a>,
    pub loaded: &'a Loaded,
    pub graph: &'a Graph,
    pub root: Option<&'a Root>,
}

impl Check<'_> {
    /// Returns everything that does not fit.
    pub(super) fn all(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        self.entrypoint(&mut found);
        self.user(&mut found);
        self.stop_signal(&mut found);
        self.healthcheck(&mut found);
        found
    }

    fn warning(&self, at: &Instruction, text: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.dockerfile.place(at), text)
    }

    fn entrypoint(&self, found: &mut Vec<Diagnostic>) {
        let cmd = self.image.cmd.map(|it| (it, it.form()));
        let Some(entrypoint) = self.image.entrypoint else {
            return self.without_entrypoint(cmd.as_ref().map(|(_, form)| form), found);
        };
        let words = match entrypoint.form() {
            Form::Exec(words) if words.is_empty() => {
                // It takes away that of the base image, so that CMD is all that runs.
                if !cmd.is_some_and(|(_, form)| runs_trc(&form)) {
                    let text = "ENTRYPOINT is empty, and CMD does not run trc: nothing reads this configuration";
                    found.push(self.warning(entrypoint, text).help(ENTRYPOINT));
                }
                return;
            }
            Form::Exec(words) => words,
            Form::Shell(text) => {
                match of_shell(&text) {
                    Some(Started::Trc(_)) => {
                        let text = "ENTRYPOINT is a text for the shell, so neither CMD nor the words after the image \
                                    of `docker run` get to trc";
                        found.push(self.warning(entrypoint, text).help(ENTRYPOINT));
                    }
                    Some(_) => {
                        let text = "ENTRYPOINT is a text for the shell: /bin/sh is PID 1 and trc may be its child, which \
                                    gets no SIGTERM from `docker stop`";
                        found.push(self.warning(entrypoint, text).help(ENTRYPOINT));
                    }
                    None => found.push(self.not_trc(entrypoint, "/bin/sh")),
                }
                return;
            }
        };
        let own = match started(&words) {
            Started::Trc(own) => own,
            Started::Behind(program) => {
                let text =
                    format!("ENTRYPOINT makes {} PID 1, and trc its child", harmless(&program));
                let help = format!("trc is an init itself: {ENTRYPOINT}");
                return found.push(self.warning(entrypoint, text).help(help));
            }
            // Such a script usually executes its arguments.
            Started::Script(program) => {
                let executes = cmd.is_some_and(|(_, form)| runs_trc(&form));
                let text = self.root.map(|root| root.head(Path::new(&program), LARGEST));
                let text = text.unwrap_or_default();
                if !executes && !text.windows(3).any(|part| part == b"trc") {
                    let mut found_it = self.not_trc(entrypoint, &program);
                    if text.is_empty() {
                        found_it.message += " unless the script executes trc";
                    }
                    found.push(found_it);
                }
                return;
            }
            Started::Other(program) => return found.push(self.not_trc(entrypoint, &program)),
        };
        let Some((at, form)) = cmd else {
            if let Changed::Refused(why) = changed(&self.loaded.config, &own) {
                let text = format!("trc refuses the arguments of ENTRYPOINT: {why}");
                let error = Diagnostic::error(self.dockerfile.place(entrypoint), text);
                found.push(error.help("`trc --help` lists its options"));
            }
            return;
        };
        let after = match form {
            Form::Exec(words) => words,
            Form::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text],
        };
        let after_is_trc = matches!(started(&after), Started::Trc(_));
        let all: Vec<String> = own.into_iter().chain(after).collect();
        match changed(&self.loaded.config, &all) {
            _ if after_is_trc => {
                let text = "CMD runs trc a second time: the words of CMD are the arguments of the ENTRYPOINT, which \
                            is trc already";
                found.push(self.warning(at, text).help("remove CMD, or `trc` from it"));
            }
            Changed::Nothing => {}
            Changed::Replaced(id) => {
                let text = format!("CMD replaces the command of {id} in every container");
                found.push(self.warning(at, text).help(format!(
                    "remove CMD, or the command of {id}: words after the image of `docker run` replace it, too"
                )));
            }
            Changed::Behind(id) => found.push(behind(self.warning(at, ""), "CMD", &id)),
            Changed::Refused(why) => {
                let text = format!("trc refuses the arguments of CMD: {why}");
                let error = Diagnostic::error(self.dockerfile.place(at), text);
                found.push(error.help("`trc --help` lists its options"));
            }
        }
    }

    fn not_trc(&self, at: &Instruction, program: &str) -> Diagnostic {
        let text = format!(
            "ENTRYPOINT runs {}, not trc: nothing reads this configuration",
            harmless(program)
        );
        self.warning(at, text).help(ENTRYPOINT)
    }

    fn without_entrypoint(&self, cmd: Option<&Form>, found: &mut Vec<Diagnostic>) {
        if cmd.is_some_and(runs_trc) {
            return;
        }
        let brings_trc = |it: &&&Instruction| {
            it.name != "RUN"
                && it.text.split_whitespace().last().is_some_and(|to| to.ends_with("/trc"))
        };
        let copied = self.image.changes.iter().find(brings_trc).copied();
        // The base image may have an entrypoint with trc.
        let Some(at) = copied.or(self.image.base.filter(|_| self.image.is_from_scratch())) else {
            return;
        };
        let text = if self.image.is_from_scratch() {
            "no ENTRYPOINT runs trc, so nothing reads this configuration"
        } else {
            "no ENTRYPOINT runs trc: nothing reads this configuration unless that of the base image does"
        };
        found.push(self.warning(at, text).help(ENTRYPOINT));
    }

    fn user(&self, found: &mut Vec<Diagnostic>) {
        let Some(at) = self.image.user else { return };
        let user = at.text.split(':').next().unwrap_or_default().trim();
        if user.is_empty() || user.contains('$') || user == "root" || user == "0" {
            return;
        }
        let config = &self.loaded.config;
        let shown = harmless(user);
        for (unit, key, name) in needs::accounts(config) {
            if key != "user" || self.may_be_same(user, &name.value) {
                continue;
            }
            let text = format!(
                "{} cannot start: it runs as {}, but trc runs as {shown} and cannot change users",
                unit.id(),
                harmless(&name.value)
            );
            let mut error = Diagnostic::error(name.origin.clone(), text).help(format!(
                "remove `user`, so that it runs as {shown}; or remove USER, so that trc runs as root"
            ));
            error.note = Some(format!("USER is in {}", self.dockerfile.place(at)));
            found.push(error);
        }
        for (port, unit, origin) in needs::low_ports(config) {
            let text = format!(
                "{} listens on port {port}, but trc and its units run as {shown}",
                unit.id()
            );
            let mut warning = Diagnostic::warning(origin.clone(), text).help(
                "listen on a port above 1023: docker lets any user open low ports since 20.10, but other engines \
                 may not",
            );
            warning.note = Some(format!("USER is in {}", self.dockerfile.place(at)));
            found.push(warning);
        }
        let mut told = BTreeSet::new();
        for it in needs::written(config, &Vec::new()) {
            if self.may_write(user, &it.dir) || !told.insert(it.dir.clone()) {
                continue;
            }
            let dir = harmless(&it.dir.to_string_lossy());
            let text = format!(
                "{} {}, but trc and its units run as {shown}, and the directory belongs to root",
                it.what,
                harmless(&it.path.to_string_lossy())
            );
            let origin = match it.origin {
                Origin::Default => {
                    self.loaded.place_of(&["control", "socket"]).unwrap_or(Origin::Default)
                }
                origin => origin,
            };
            let mut warning = Diagnostic::warning(origin, text);
            warning.note = Some(format!("USER is in {}", self.dockerfile.place(at)));
            let own = if OF_ROOT.contains(&&*dir) || dir == "/" {
                format!(
                    "choose a directory of its own, such as {}/{shown}, and write",
                    dir.trim_end_matches('/')
                )
            } else {
                "write".to_owned()
            };
            let made =
                if own == "write" { dir } else { format!("{}/{shown}", dir.trim_end_matches('/')) };
            found.push(warning.help(format!(
                "{own} RUN install -d -o {shown} {made} before USER; or choose a directory below /tmp"
            )));
        }
    }

    /// Returns whether two users may be the same one.
    fn may_be_same(&self, user: &str, other: &str) -> bool {
        let number = |name: &str| name.parse::<u32>().ok();
        let known = |name: &str| match (number(name), self.root) {
            (Some(number), _) => Some(number),
            (None, Some(root)) => root.user(name),
            (None, None) => None,
        };
        match (known(user), known(other)) {
            (Some(one), Some(other)) => one == other,
            // A name and a number may be one user.
            _ => user == other || number(user).is_some() != number(other).is_some(),
        }
    }

    /// Returns whether a user may write to a directory, or whether that is not known.
    fn may_write(&self, user: &str, dir: &Path) -> bool {
        let Some(text) = dir.to_str() else { return true };
        if let Some(root) = self.root {
            let uid = user.parse().ok().or_else(|| root.user(user));
            return uid.is_none_or(|uid| root.may_write(dir, uid).unwrap_or(true));
        }
        let is_of_root = OF_ROOT.iter().any(|of_root| dir.starts_with(of_root)) || text == "/";
        !is_of_root || self.image.changes(text)
    }

    fn stop_signal(&self, found: &mut Vec<Diagnostic>) {
        let Some(at) = self.image.stop_signal.filter(|at| !at.text.contains('$')) else { return };
        let name = at.text.trim();
        match self.graph.deaf_to(name) {
            Ok(None) => {}
            Ok(Some(why)) => {
                let text = format!("STOPSIGNAL {} {why}", harmless(name));
                found.push(self.warning(at, text).help(
                    "remove STOPSIGNAL: trc stops on SIGTERM, and sends each unit its own stop.signal; or set its \
                     rule in [signals] to \"stop\"",
                ));
            }
            Err(why) => {
                let text = format!("STOPSIGNAL: {why}");
                found.push(Diagnostic::error(self.dockerfile.place(at), text));
            }
        }
    }

    fn healthcheck(&self, found: &mut Vec<Diagnostic>) {
        let Some(at) = self.image.healthcheck else { return };
        let Some(form) = health_command(at) else { return };
        let config = &self.loaded.config;
        let (asking, in_shell) = match &form {
            Form::Exec(words) => (Asking::of(words), false),
            Form::Shell(text) => (Asking::of_shell(text), true),
        };
        for port in &asking.ports {
            if let Some(known) = needs::nobody_on(config, *port) {
                let text = format!("HEALTHCHECK asks port {port}, on which no unit listens");
                let mut warning = self.warning(at, text);
                warning.note = Some(known);
                found.push(warning.help(
                    "ask trc for all units instead: HEALTHCHECK CMD [\"trc\", \"--health\"]; or correct the port",
                ));
            }
        }
        let user = self.image.user.map(|it| it.text.split(':').next().unwrap_or_default().trim());
        let is_root =
            user.is_none_or(|user| ["", "root", "0"].contains(&user) || user.contains('$'));
        if asking.asks_trc
            && !is_root
            && config.control.socket == ControlSocket::Usual
            && self.image.variable("TRC_SOCKET").is_none()
            && self.may_write(user.unwrap_or_default(), Path::new("/run")).eq(&false)
        {
            let text = format!(
                "HEALTHCHECK asks trc, but {} may not create its socket in /run",
                harmless(user.unwrap_or_default())
            );
            let help =
                "add ENV TRC_SOCKET=/tmp/trc.sock, which trc, `trc --health` and trcctl read";
            found.push(self.warning(at, text).help(help));
        }
        let Some(root) = self.root else { return };
        if in_shell && root.kind(Path::new("/bin/sh")) == Kind::Nothing {
            let text = "HEALTHCHECK is a text for the shell, but the image has no /bin/sh";
            let help = "write an array: HEALTHCHECK CMD [\"trc\", \"--health\"]";
            found.push(Diagnostic::error(self.dockerfile.place(at), text).help(help));
        } else if let Some(program) = &asking.program
            && !self.has(root, program, in_shell)
        {
            let text = format!("HEALTHCHECK runs {}, which is not in the image", asking.shown());
            found.push(Diagnostic::error(self.dockerfile.place(at), text).help(
                "ask trc, which needs no other program: HEALTHCHECK CMD [\"trc\", \"--health\"]; or install it",
            ));
        }
    }

    /// Returns whether the image has a program.
    fn has(&self, root: &Root, program: &str, in_shell: bool) -> bool {
        let is_there = |path: &Path| !matches!(root.kind(path), Kind::Nothing | Kind::File(false));
        if program.contains('/') {
            return !program.starts_with('/') || is_there(Path::new(program));
        }
        let path = self.image.variable("PATH").filter(|path| !path.contains('$')).unwrap_or(PATH);
        // A command of the shell itself is no file.
        let in_path = |name: &str| std::env::split_paths(path).any(|dir| is_there(&dir.join(name)));
        let built_in = [
            ".", ":", "[", "case", "cd", "command", "echo", "exec", "exit", "export", "false",
            "for", "if", "kill", "set", "test", "true", "until", "while",
        ];
        in_path(program) || (in_shell && built_in.contains(&program))
    }
}

/// Returns whether a command runs trc.
fn runs_trc(form: &Form) -> bool {
    let started = match form {
        Form::Exec(words) => Some(started(words)),
        Form::Shell(text) => of_shell(text),
    };
    matches!(started, Some(Started::Trc(_) | Started::Behind(_)))
}

/// Returns the problem of a command whose turn does not come.
pub(in crate::ctl) fn behind(found: Diagnostic, what: &str, id: &str) -> Diagnostic {
    let message = format!(
        "{what} is one more foreground unit, sync.cmd: it starts only when {id}, which is a service, has exited"
    );
    let help = format!("remove {what}; or make {id} an async unit, so that both run");
    Diagnostic { message, ..found }.help(help)
}
