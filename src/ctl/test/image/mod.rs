//! `trcctl test --image`: runs the tests in a container, whether its image has trc or not.
//!
//! ```text
//! docker run --entrypoint /.trcctl/trc -v FOLDER:/.trcctl:ro IMAGE -w /.trcctl/etc … --test
//! ```
//!
//! The engine does what it does for the image otherwise: it sets the user, the directory, the
//! environment and the limits. Instead of the image's command it starts trc, which runs that command as
//! a unit. trc's events come back on the standard output of the engine's program.

mod engine;
mod folder;
mod unit;

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::config::{CommandLine, Environment, overridden_file};
use crate::ctl::elf;
use crate::status;
use engine::{Engine, Inspected};
use folder::{Folder, Kind, PLACE};

/// The exit status of `docker run` if the engine itself has failed.
pub(super) const ENGINE_FAILED: u8 = 125;

/// What the user says about the image and the engine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// The name of the image.
    pub image: OsString,
    /// The files with tests.
    pub tests: Vec<PathBuf>,
    /// The container engine, if one is named.
    pub engine: Option<PathBuf>,
    /// The options for `docker run`, word by word.
    pub options: Vec<OsString>,
    /// Whether all runs are starts of one container.
    pub same_container: bool,
}

/// An image that is ready to be tested.
pub(super) struct Image {
    engine: Engine,
    name: OsString,
    container: String,
    options: Vec<OsString>,
    /// The options that mount what trc needs.
    mounts: Vec<OsString>,
    /// The program that the container runs: trc.
    trc: OsString,
    /// The words that follow trc's own options: those of the image.
    rest: Vec<OsString>,
    /// The options that name what was mounted.
    line: CommandLine,
    /// What the user may want to know about the image.
    pub notes: Vec<String>,
    /// What may help if a test could not connect.
    pub hint: Option<String>,
    folder: Folder,
    /// The variables of the image, if its configuration is known here.
    environment: Option<Environment>,
    /// If all runs are starts of one container: whether it exists.
    exists: Option<Cell<bool>>,
}

/// A reason why an image cannot be tested, and the exit status.
pub(super) type Refused = (String, u8);

fn wrong(why: String) -> Refused {
    (why, status::CONFIG)
}

fn from_engine(why: String) -> Refused {
    (why, ENGINE_FAILED)
}

impl Image {
    /// Finds out what an image needs, and prepares it. `line` is what trc will be asked, and
    /// `trc` returns the programs to choose from.
    pub(super) fn prepare(
        asked: &Asked,
        line: &CommandLine,
        own_trc: Option<&Path>,
        trcs: impl FnOnce() -> Vec<PathBuf>,
    ) -> Result<Self, Refused> {
        let engine =
            Engine::find(asked.engine.as_deref()).map_err(|why| (why, status::NOT_FOUND))?;
        let inspected = engine.inspect(&asked.image).map_err(from_engine)?;
        let folder = Folder::new().map_err(wrong)?;
        let shown = asked.image.to_string_lossy().into_owned();
        let words = command(&inspected, &line.trailing);
        let program = words.first().and_then(|word| Path::new(word).file_name());
        let mut image = Self {
            container: format!("trcctl-test-{}", std::process::id()),
            name: asked.image.clone(),
            options: asked.options.clone(),
            mounts: Vec::new(),
            trc: format!("{PLACE}/trc").into(),
            rest: Vec::new(),
            line: CommandLine { trailing: Vec::new(), reports: Vec::new(), ..line.clone() },
            notes: Vec::new(),
            hint: None,
            engine,
            folder,
            environment: None,
            exists: asked.same_container.then(Cell::default),
        };
        let has_trc = program == Some(OsStr::new("trc"));
        let dir = has_trc.then(|| work_dir(&words, &inspected));
        image.add_tests(asked, dir.as_deref())?;
        if has_trc {
            if let Some(trc) = own_trc {
                return Err(wrong(format!(
                    "the image {shown} runs its own trc ({}): leave out --trc {}",
                    words[0].to_string_lossy(),
                    trc.display()
                )));
            }
            image.notes.push(format!(
                "the image {shown} runs trc ({}): its own trc and its own configuration are tested",
                words[0].to_string_lossy()
            ));
            let mut words = words.into_iter();
            image.trc = words.next().unwrap_or_default();
            image.rest = words.collect();
        } else {
            let command: Option<Vec<String>> =
                words.into_iter().map(|word| word.into_string().ok()).collect();
            let command =
                command.ok_or_else(|| wrong("the command of the image is not UTF-8".to_owned()))?;
            image.wrap(&shown, &command, &inspected, asked, trcs)?;
        }
        Ok(image)
    }

    /// Copies the files with tests. A drop-in goes into the directory of the image's own trc, if it
    /// has one.
    fn add_tests(&mut self, asked: &Asked, work_dir: Option<&str>) -> Result<(), Refused> {
        for setting in &mut self.line.overrides {
            if let Some(file) = overridden_file(setting) {
                *setting = self.folder.tests(&file).map_err(wrong)?.1;
            }
        }
        for file in &asked.tests {
            let (kind, place) = self.folder.tests(file).map_err(wrong)?;
            match (kind, work_dir) {
                (Kind::Settings, _) => self.line.overrides.push(place),
                (Kind::DropIn, None) => {}
                (Kind::DropIn, Some(dir)) => {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    let from = format!("etc/trc.d/{name}");
                    let at = format!("{}/trc.d/{name}", dir.trim_end_matches('/'));
                    let mount = self.folder.mount(Some(&from), &at);
                    self.mounts.extend(["-v".into(), mount]);
                }
            }
        }
        self.mounts.extend(["-v".into(), self.folder.mount(None, PLACE)]);
        Ok(())
    }

    /// Prepares an image that has no trc.
    fn wrap(
        &mut self,
        shown: &str,
        command: &[String],
        inspected: &Inspected,
        asked: &Asked,
        trcs: impl FnOnce() -> Vec<PathBuf>,
    ) -> Result<(), Refused> {
        if command.is_empty() {
            return Err(from_engine(format!(
                "the image {shown} has neither ENTRYPOINT nor CMD: say what it shall run with `-- CMD…`"
            )));
        }
        if asked.tests.is_empty() {
            return Err(wrong(format!(
                "the image {shown} has no trc, and so no tests of its own\n  \
                 name a file with tests, such as --tests tests.toml"
            )));
        }
        let trc = choose(shown, inspected, trcs())?;
        self.folder.copy(&trc, "trc", 0o755).map_err(wrong)?;
        let own_ready = asked.tests.iter().any(|file| sets_ready(file));
        let unit = unit::toml(command, inspected, own_ready);
        self.folder.write("etc/trc.toml", unit.as_bytes(), 0o644).map_err(wrong)?;
        self.line.work_dir = Some(format!("{PLACE}/etc").into());
        let env = inspected.config().env.unwrap_or_default();
        let env = env.iter().filter_map(|set| set.split_once('='));
        self.environment = Some(env.map(|(name, value)| (name.into(), value.into())).collect());
        if inspected.healthcheck().is_some() {
            // Its processes would come and go while trc watches.
            self.mounts.push("--no-healthcheck".into());
        }
        if !own_ready && inspected.healthcheck().is_none() {
            self.hint = hint(inspected);
        }
        Ok(())
    }

    /// Returns the line that trc reads.
    pub(super) fn line(&self) -> &CommandLine {
        &self.line
    }

    /// Returns the line with which the configuration can be read on this machine, and the variables of
    /// the image, unless the image has its own trc.
    pub(super) fn seen_from_here(&self) -> Option<(CommandLine, Environment)> {
        let environment = self.environment.clone()?;
        let here = |path: &OsStr| self.folder.here(path).into_os_string();
        let line = CommandLine {
            work_dir: self.line.work_dir.as_ref().map(|dir| here(dir.as_os_str()).into()),
            overrides: self.line.overrides.iter().map(|one| here(one)).collect(),
            ..self.line.clone()
        };
        Some((line, environment))
    }

    /// Writes settings for one run. Returns the path of the file in the container.
    pub(super) fn add_settings(&self, toml: &str) -> Result<OsString, String> {
        self.folder.write("tests/trcctl.run.toml", toml.as_bytes(), 0o644)
    }

    /// Puts `trcctl` into the container. Returns its path there.
    pub(super) fn add_trcctl(&self, own: &Path) -> Result<PathBuf, String> {
        if let Some(loader) =
            elf::read(own).map_err(|why| format!("{} {why}", own.display()))?.loader
        {
            return Err(format!(
                "{} is linked dynamically, and an image need not have what it needs ({loader})\n  \
                 `cargo static` builds a static trcctl, which can hold units of an image back",
                own.display()
            ));
        }
        self.folder.copy(own, "trcctl", 0o755).map(PathBuf::from)
    }

    /// Returns the command line of the engine that runs trc with these options.
    pub(super) fn arguments(&self, options: Vec<OsString>) -> Vec<OsString> {
        let mut out: Vec<OsString> = vec![self.engine.program.clone().into()];
        if self.exists.as_ref().is_some_and(|exists| exists.replace(true)) {
            // The command line is that of the first start.
            out.extend(["start", "--attach", &self.container].map(OsString::from));
            return out;
        }
        out.push("run".into());
        if self.exists.is_none() {
            out.push("--rm".into());
        }
        out.extend(["--name", &self.container].map(OsString::from));
        out.extend(self.options.iter().cloned());
        out.extend(self.mounts.iter().cloned());
        out.extend(["--entrypoint".into(), self.trc.clone(), self.name.clone()]);
        out.extend(options);
        out.extend(self.rest.iter().cloned());
        out
    }

    /// Lists the tests with this command line of the engine. Returns the exit status.
    pub(super) fn list(&self, arguments: &[OsString]) -> std::io::Result<u8> {
        let status = self.engine.show(&arguments[1..]);
        self.remove();
        status
    }

    /// Removes the container after a run, if the engine has not done that and there is no other run of
    /// it.
    pub(super) fn remove(&self) {
        if self.exists.is_none() {
            self.engine.remove(&self.container);
        }
    }

    /// Returns the name of the engine.
    pub(super) fn engine(&self) -> String {
        self.engine.name()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.exists.as_ref().is_some_and(Cell::get) {
            self.engine.remove(&self.container);
        }
    }
}

/// Returns the first trc that runs in the image.
fn choose(shown: &str, inspected: &Inspected, trcs: Vec<PathBuf>) -> Result<PathBuf, Refused> {
    let cannot = |why: String| (why, status::CANNOT_EXECUTE);
    if let Some(os) = inspected.os.as_deref().filter(|os| !os.is_empty() && *os != "linux") {
        return Err(cannot(format!("the image {shown} is for {os}, and trc runs on Linux only")));
    }
    let mut why = None;
    for trc in trcs {
        let path = trc.display();
        let problem = match elf::read(&trc) {
            Err(problem) => format!("{path} {problem}"),
            Ok(elf::Program { loader: Some(loader), .. }) => format!(
                "{path} is linked dynamically, and an image need not have what it needs ({loader})\n  \
                 `cargo static` builds a static trc: name it with --trc PATH"
            ),
            Ok(elf::Program { processor: Some(processor), .. })
                if inspected.architecture.as_deref().is_some_and(|it| it != processor) =>
            {
                let wanted = inspected.architecture.as_deref().unwrap_or_default();
                format!(
                    "the image {shown} is for {wanted}, and {path} is for {processor}\n  \
                     name a static trc for {wanted} with --trc PATH"
                )
            }
            Ok(_) => return Ok(trc),
        };
        why.get_or_insert(problem);
    }
    let none =
        || "cannot find trc, neither next to trcctl nor in PATH: name a static one with --trc PATH";
    Err(why.map_or_else(|| (none().to_owned(), status::NOT_FOUND), cannot))
}

/// Returns the command of the image: its `ENTRYPOINT`, and its `CMD` or what stands in its place.
fn command(image: &Inspected, trailing: &[OsString]) -> Vec<OsString> {
    let config = image.config();
    let entrypoint = config.entrypoint.unwrap_or_default().into_iter().map(OsString::from);
    let cmd: Vec<OsString> = match trailing {
        [] => config.cmd.unwrap_or_default().into_iter().map(OsString::from).collect(),
        words => words.to_vec(),
    };
    entrypoint.chain(cmd).collect()
}

/// Returns the directory that an image's own trc reads.
fn work_dir(words: &[OsString], image: &Inspected) -> String {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let flagged = words.windows(2).find(|pair| matches!(pair[0], "-w" | "--workdir"));
    let joined = || words.iter().find_map(|word| word.strip_prefix("--workdir="));
    let env = image.config().env.unwrap_or_default();
    let variable = |name: &str| {
        let mut set = env.iter().filter_map(|set| set.split_once('='));
        set.rfind(|(key, value)| *key == name && !value.is_empty()).map(|(_, dir)| dir)
    };
    let named = flagged.map(|pair| pair[1]).or_else(joined);
    let named = named.or_else(|| variable("TRC_WORKDIR")).or_else(|| variable("RC_WORK_DIR"));
    named.unwrap_or("/etc").to_owned()
}

/// Tells whether a file with tests says when the unit is ready. trc reports what is wrong with the
/// file.
fn sets_ready(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let Ok(table) = text.parse::<toml::Table>() else { return false };
    let whole = |table: &toml::Table| {
        table.get("async")?.get(unit::NAME)?.get("ready")?;
        Some(())
    };
    let is_drop_in = file.file_name() == Some(OsStr::new("async.app.toml"));
    whole(&table).is_some() || is_drop_in && table.contains_key("ready")
}

/// Returns how the tests can wait for a port that the image exposes.
fn hint(image: &Inspected) -> Option<String> {
    let ports = image.config().exposed_ports?;
    let port = ports.keys().find_map(|port| {
        let number = port.strip_suffix("/tcp").unwrap_or(port);
        number.parse::<u16>().is_ok().then_some(number)
    })?;
    let name = unit::NAME;
    Some(format!(
        "the image exposes port {port}, and nothing says when it is ready\n  \
         with `[async.{name}] ready = {{ tcp = {port} }}` in a file of --tests, the tests wait for it"
    ))
}

/// Returns the words of the options for the engine's `run`, which one argument may have several of.
///
/// # Errors
/// Returns why an option cannot be passed on.
pub fn run_options(arguments: &[String]) -> Result<Vec<OsString>, String> {
    let mut out = Vec::new();
    for argument in arguments {
        let words = shell_words::split(argument);
        let words = words.map_err(|_| format!("--run-arg {argument}: a quote is not closed"))?;
        for word in &words {
            let (flag, _) = word.split_once('=').unwrap_or((word, ""));
            let cluster = word.strip_prefix('-').unwrap_or_default();
            let is_cluster = !cluster.is_empty() && cluster.chars().all(|c| "dti".contains(c));
            let why = match flag {
                "--entrypoint" => {
                    "trc takes the place of the entrypoint; write the command in a file of --tests, as \
                     `[async.app] exec = …`, or replace the image's CMD with `-- CMD…`"
                }
                "--name" => "trcctl names the container itself, to remove it at the end",
                "--detach" => "trcctl waits for the end of the container",
                "--tty" => "trc's events would not arrive through a terminal",
                _ if is_cluster && cluster.contains('d') => {
                    "trcctl waits for the end of the container"
                }
                _ if is_cluster && cluster.contains('t') => {
                    "trc's events would not arrive through a terminal"
                }
                _ => continue,
            };
            return Err(format!("--run-arg cannot have {word}: {why}"));
        }
        out.extend(words.into_iter().map(OsString::from));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Vec<OsString>, String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        run_options(&arguments)
    }

    #[test]
    fn options_of_the_engine_are_words_of_a_shell() {
        let words = options(&["-e 'A=b c'", "--network=none", "-v /a:/b"]).unwrap();
        assert_eq!(words, ["-e", "A=b c", "--network=none", "-v", "/a:/b"]);
        for (argument, word) in [
            ("--entrypoint=sh", "--entrypoint=sh"),
            ("-e A=b -it", "-it"),
            ("-d", "-d"),
            ("--name x", "--name"),
        ] {
            let why = options(&[argument]).unwrap_err();
            assert!(why.starts_with(&format!("--run-arg cannot have {word}: ")), "{why}");
        }
        assert_eq!(options(&["-e 'A"]).unwrap_err(), "--run-arg -e 'A: a quote is not closed");
    }

    #[test]
    fn the_directory_of_an_images_own_trc_is_found() {
        let image = |env: &[&str]| Inspected {
            config: Some(engine::Config {
                env: Some(env.iter().map(ToString::to_string).collect()),
                ..engine::Config::default()
            }),
            ..Inspected::default()
        };
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for (command, env, dir) in [
            (&["trc"][..], &[][..], "/etc"),
            (&["trc", "-w", "/srv"], &["TRC_WORKDIR=/other"], "/srv"),
            (&["trc", "--workdir=/srv"], &[], "/srv"),
            (&["trc"], &["TRC_WORKDIR=/other", "RC_WORK_DIR=/old"], "/other"),
            (&["trc"], &["TRC_WORKDIR=", "RC_WORK_DIR=/old"], "/old"),
        ] {
            assert_eq!(work_dir(&words(command), &image(env)), dir, "{command:?} {env:?}");
        }
    }

    #[test]
    fn a_port_that_is_exposed_is_worth_a_hint() {
        let image = |ports: &str| -> Inspected {
            let text = format!(r#"{{"Config":{{"ExposedPorts":{ports}}}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        assert!(hint(&image(r#"{"53/udp":{},"80/tcp":{}}"#)).unwrap().contains("tcp = 80 }"));
        assert_eq!(hint(&image(r#"{"53/udp":{}}"#)), None);
        assert_eq!(hint(&image("null")), None);
    }
}
