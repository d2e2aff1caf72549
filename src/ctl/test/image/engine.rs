//! The container engine: docker, podman, or a program with the same command line.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use crate::config::reason;

/// The variable that names the engine.
const VARIABLE: &str = "TRC_CONTAINER_ENGINE";

/// The engines that are looked for in `PATH`, in this order.
const KNOWN: [&str; 2] = ["docker", "podman"];

/// The program of a container engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Engine {
    pub program: PathBuf,
}

/// An image as `image inspect` describes it. docker and podman leave out what is empty, or write
/// `null`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Inspected {
    pub architecture: Option<String>,
    pub os: Option<String>,
    pub config: Option<Config>,
    /// podman has it here, docker in `Config`.
    pub healthcheck: Option<Healthcheck>,
}

/// What the Dockerfile of an image has set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Config {
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub env: Option<Vec<String>>,
    pub stop_signal: Option<String>,
    pub healthcheck: Option<Healthcheck>,
    pub exposed_ports: Option<std::collections::BTreeMap<String, serde_json::Value>>,
}

/// A `HEALTHCHECK`. Times are in nanoseconds; 0 means the engine's default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Healthcheck {
    pub test: Option<Vec<String>>,
    pub interval: u64,
    pub timeout: u64,
    pub start_period: u64,
    pub retries: u64,
}

impl Engine {
    /// Returns the engine: the one that was named, that of the variable, or the first in `PATH`.
    ///
    /// # Errors
    /// Returns the advice to print if there is none.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, String> {
        let variable = || std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
        if let Some(program) = named.map(Path::to_owned).or_else(|| variable().map(Into::into)) {
            return Ok(Self { program });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = KNOWN.into_iter().find_map(|name| {
            std::env::split_paths(&path)
                .map(|dir| dir.join(name))
                .find(|program| executable(program))
        });
        found.map(|program| Self { program }).ok_or_else(|| {
            format!(
                "cannot find docker or podman in PATH\n  \
                 name a container engine with --engine PATH or {VARIABLE}"
            )
        })
    }

    /// Returns the name, for messages.
    pub(super) fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    #[expect(clippy::disallowed_methods, reason = "trcctl is not PID 1")]
    fn call(&self, arguments: &[&OsStr]) -> io::Result<Output> {
        Command::new(&self.program).args(arguments).stdin(Stdio::null()).output()
    }

    /// Asks what is in an image.
    ///
    /// # Errors
    /// Returns what the engine said.
    pub(super) fn inspect(&self, image: &OsStr) -> Result<Inspected, String> {
        let (engine, shown) = (self.program.display(), image.to_string_lossy());
        let arguments = ["image".as_ref(), "inspect".as_ref(), image];
        let output = self.call(&arguments);
        let output = output.map_err(|why| format!("cannot run {engine}: {}", reason(&why)))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            let said = if said.is_empty() { "it did not say why" } else { said };
            let name = self.name();
            return Err(format!(
                "cannot inspect the image {shown}: {said}\n  \
                 `{name} images` lists the images of this machine; `{name} pull {shown}` fetches one"
            ));
        }
        let images: Vec<Inspected> = serde_json::from_slice(&output.stdout).map_err(|why| {
            format!("cannot understand what `{engine} image inspect {shown}` printed: {why}")
        })?;
        images.into_iter().next().ok_or_else(|| format!("{engine} knows no image {shown}"))
    }

    /// Removes a container if it is still there, whatever state it is in.
    pub(super) fn remove(&self, container: &str) {
        let arguments = ["rm", "--force", "--volumes", container].map(OsStr::new);
        _ = self.call(&arguments);
    }

    /// Runs the engine until it exits, with its output on the standard streams.
    pub(super) fn show(&self, arguments: &[OsString]) -> io::Result<u8> {
        #[expect(clippy::disallowed_methods, reason = "trcctl is not PID 1")]
        let status = Command::new(&self.program).args(arguments).stdin(Stdio::null()).status()?;
        Ok(super::super::namespace::code(status))
    }
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

impl Inspected {
    pub(super) fn config(&self) -> Config {
        self.config.clone().unwrap_or_default()
    }

    /// Returns the health check, unless it was switched off.
    pub(super) fn healthcheck(&self) -> Option<Healthcheck> {
        let inner = self.config.as_ref().and_then(|config| config.healthcheck.clone());
        inner.or_else(|| self.healthcheck.clone()).filter(|check| check.command().is_some())
    }
}

impl Healthcheck {
    /// Returns its command.
    pub(super) fn command(&self) -> Option<Vec<String>> {
        match self.test.as_deref()? {
            [kind, rest @ ..] if kind == "CMD" && !rest.is_empty() => Some(rest.to_vec()),
            [kind, line, ..] if kind == "CMD-SHELL" => {
                Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()])
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What docker 24, docker 29 and podman print of images, as far as it matters here.
    const DOCKER: &str = r#"[{"Id":"sha256:1","RepoTags":["a:latest"],"Architecture":"amd64","Os":"linux",
        "Config":{"Hostname":"","User":"www","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin","A=b"],
        "Cmd":["-g","daemon off;"],"Healthcheck":{"Test":["CMD-SHELL","curl -f localhost"],
        "Interval":30000000000,"Timeout":3000000000,"Retries":3},"Image":"","Volumes":null,
        "WorkingDir":"/srv","Entrypoint":["/entry"],"OnBuild":null,"Labels":null,
        "StopSignal":"SIGQUIT"}}]"#;
    const OCI: &str = r#"[{"Id":"sha256:1","Architecture":"arm64","Variant":"v8","Os":"linux",
        "Config":{"Env":["PATH=/bin"],"Cmd":["sh"],"WorkingDir":"/"},"Descriptor":{}}]"#;
    const PODMAN: &str = r#"[{"Id":"1","Os":"linux","Architecture":"amd64","User":"www",
        "Config":{"User":"www","Entrypoint":["/entry"],"StopSignal":"3"},
        "Healthcheck":{"Test":["CMD","true"],"Interval":5000000000}}]"#;
    const BARE: &str = r#"[{"Architecture":"amd64","Os":"linux","Config":{"Entrypoint":null,"Cmd":null,
        "Env":null,"Healthcheck":{"Test":["NONE"]}}}]"#;

    fn parsed(text: &str) -> Inspected {
        serde_json::from_str::<Vec<Inspected>>(text).unwrap().remove(0)
    }

    #[test]
    fn each_engine_is_understood() {
        let docker = parsed(DOCKER);
        assert_eq!(docker.config().entrypoint.unwrap(), ["/entry"]);
        assert_eq!(docker.config().cmd.unwrap(), ["-g", "daemon off;"]);
        assert_eq!(docker.config().stop_signal.unwrap(), "SIGQUIT");
        let check = docker.healthcheck().unwrap();
        assert_eq!(check.command().unwrap(), ["/bin/sh", "-c", "curl -f localhost"]);
        assert_eq!((check.interval, check.retries), (30_000_000_000, 3));
        let oci = parsed(OCI);
        assert_eq!((oci.config().entrypoint, oci.healthcheck()), (None, None));
        assert_eq!(oci.architecture.as_deref(), Some("arm64"));
        let podman = parsed(PODMAN);
        assert_eq!(podman.healthcheck().unwrap().command().unwrap(), ["true"]);
        let bare = parsed(BARE);
        assert_eq!((bare.config().cmd, bare.healthcheck()), (None, None));
        assert_eq!(parsed(r#"[{"Config":null}]"#).config(), Config::default());
    }
}
