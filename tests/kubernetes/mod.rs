//! The resources in `docs/` are valid, and the containers of `docs/howto/kubernetes.md` behave as
//! the page says.
//!
//! The validator is that of other people, and has the schemas of Kubernetes' API:
//!
//!     tests/kubernetes/setup target/kubernetes-tools
//!     TRC_KUBERNETES_TOOLS=$PWD/target/kubernetes-tools \
//!         cargo test --test suite kubernetes:: -- --ignored
//!
//! `podman kube play` runs the pods, so `TRC_CONTAINER_ENGINE` has to be podman; otherwise see
//! `container/mod.rs`. Podman 4.3 takes the place of a kubelet with these differences:
//!
//! - It has no Jobs, so the pod of a Job is played.
//! - It knows only the liveness probe, and runs it with a shell. Without systemd it has no timer
//!   for it, so `podman healthcheck run` starts each attempt. Tests also run the command as a
//!   kubelet does, without a shell.
//! - It ignores `terminationGracePeriodSeconds`, so tests give it to `podman stop`.
//! - It knows neither `preStop`, nor native sidecars, nor `terminationMessagePath`. A file is
//!   mounted in the place of the last. The others are validated, but not run.
//! - `containerPort` needs a bridge, and these pods have no network but the loopback interface.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::container::{Container, Ended, call, engine, podman};
use crate::howto;
use crate::readme::{blocks, page, pages};
use regex::Regex;
use tempfile::TempDir;

/// The versions of Kubernetes that the page is for: those with `preStop.sleep`.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// Runs the validator on a resource. Returns its complaint if there is one.
fn complaint(resource: &str, version: &str) -> Option<String> {
    let tools = std::env::var_os("TRC_KUBERNETES_TOOLS")
        .expect("TRC_KUBERNETES_TOOLS is the directory that tests/kubernetes/setup made");
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("resource.yaml");
    fs::write(&file, resource).unwrap();
    let output = Command::new(Path::new(&tools).join("bin/kubernetes-validate"))
        .args(["--strict", "-k", version])
        .arg(&file)
        .output()
        .unwrap();
    let says = String::from_utf8(output.stdout).unwrap();
    // It succeeds for kinds that it does not know, with a warning.
    let passed = says.lines().count() == 1
        && says.starts_with("INFO ")
        && says.ends_with(&format!(" against version {version}\n"));
    (!output.status.success() || !passed)
        .then(|| format!("{says}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// A pod, whose specification follows with the indentation that it has in a Deployment.
const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: { name: shop }\nspec:\n";

/// Returns the resource that a block is, or a pod with the part of one that a block is. Its
/// indentation says which part it is.
fn resource(block: &str) -> Option<String> {
    match block.len() - block.trim_start().len() {
        0 => block.starts_with("apiVersion:").then(|| block.to_owned()),
        6 => Some(format!("{POD}      containers: [{{ name: shop, image: shop }}]\n{block}")),
        10 => Some(format!(
            "{POD}      containers:\n        - name: shop\n          image: shop\n{block}"
        )),
        n => panic!("a part of a resource is indented by 6 or 10 columns, not by {n}:\n{block}"),
    }
}

#[test]
#[ignore = "needs TRC_KUBERNETES_TOOLS"]
fn resources_of_the_pages_are_valid() {
    let mut kinds = Vec::new();
    for name in pages() {
        for block in blocks(&page(&name), "yaml") {
            let Some(resource) = resource(&block) else {
                // Other programs read it, such as those in docs/howto/ci.md.
                assert!(!block.contains("apiVersion"), "{name}:\n{block}");
                continue;
            };
            for version in VERSIONS {
                if let Some(says) = complaint(&resource, version) {
                    panic!("{name}:\n{resource}\n{says}");
                }
            }
            let kind = resource.lines().find_map(|line| line.strip_prefix("kind: "));
            kinds.push(kind.expect("a kind").to_owned());
        }
    }
    for kind in ["Deployment", "Job", "Pod"] {
        assert!(kinds.iter().any(|found| found == kind), "there is no {kind}: {kinds:?}");
    }
}

#[test]
#[ignore = "needs TRC_KUBERNETES_TOOLS"]
fn the_validator_finds_mistakes() {
    for (right, wrong) in [
        ("startupProbe", "startupProb"),
        ("command: [trc, --health]", "command: trc --health"),
        ("runAsUser: 10001", "runAsUser: app"),
        ("kind: Deployment", "kind: Deploymnet"),
        ("mountPath: /tmp", "mountpath: /tmp"),
    ] {
        let text = deployment();
        assert!(text.contains(right), "{right}");
        assert!(complaint(&text.replace(right, wrong), VERSIONS[0]).is_some(), "{wrong}");
    }
}

/// Returns the page's resource of a kind.
fn block(kind: &str) -> String {
    let all = blocks(&howto::page("kubernetes"), "yaml");
    all.into_iter().find(|block| block.contains(&format!("\nkind: {kind}\n"))).expect(kind)
}

fn deployment() -> String {
    block("Deployment")
}

/// Returns the number after these words in a text.
fn number(text: &str, words: &str) -> u64 {
    let (_, rest) = text.split_once(words).unwrap_or_else(|| panic!("{words} in:\n{text}"));
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().unwrap()
}

fn grace_period() -> u64 {
    number(&deployment(), "terminationGracePeriodSeconds: ")
}

#[test]
fn the_times_of_the_page_fit_into_one_another() {
    let toml = &howto::files("kubernetes")["trc.toml"];
    let shutdown = number(toml, "\nshutdown.timeout = \"");
    assert!(number(&deployment(), "sleep: { seconds: ") + shutdown < grace_period());
    // trc kills what is left two seconds before the shutdown timeout expires.
    assert!(number(toml, "\nstop.timeout = \"") < shutdown - 2);
    let startup =
        number(&deployment(), "periodSeconds: ") * number(&deployment(), "failureThreshold: ");
    assert!(howto::page("kubernetes").contains(&format!("`failureThreshold` = {startup} s")));
}

/// The image of the page: that of the page about Node.js, with this page's configuration.
fn image() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let mut files = howto::files("node");
        files.extend(howto::files("kubernetes"));
        howto::image_of("kubernetes", &files)
    })
}

/// A resource of the page, to be played.
struct Pod {
    text: String,
    image: String,
    dir: TempDir,
}

impl Pod {
    fn deployment() -> Self {
        let text = format!("{}\n", deployment());
        Self { text, image: image().to_owned(), dir: TempDir::new().unwrap() }
    }

    fn job() -> Self {
        Self { text: format!("{}\n", block("Job")), ..Self::deployment() }.alone()
    }

    /// Takes the pod out of its Deployment or Job.
    fn alone(self) -> Self {
        let (_, spec) = self.text.split_once("\n    spec:\n").expect("a template of a pod");
        Self { text: format!("{POD}{spec}"), ..self }
    }

    /// Has the container stay as it is when it has exited, which a Deployment does not allow.
    fn once(self) -> Self {
        self.alone().spec("      restartPolicy: Never\n")
    }

    fn replace(mut self, old: &str, new: &str) -> Self {
        assert_eq!(self.text.matches(old).count(), 1, "{old} in\n{}", self.text);
        self.text = self.text.replace(old, new);
        self
    }

    fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    /// Adds lines to the specification of the pod.
    fn spec(self, lines: &str) -> Self {
        let start = "      enableServiceLinks: false\n";
        self.replace(start, &format!("{start}{lines}"))
    }

    /// Adds an item to a list of the container.
    fn add(self, list: &str, item: &str) -> Self {
        let start = format!("          {list}:\n");
        self.replace(&start, &format!("{start}            - {item}\n"))
    }

    fn env(self, name: &str, value: &str) -> Self {
        self.add("env", &format!("{{ name: {name}, value: {value:?} }}"))
    }

    fn start(self) -> Played {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        assert!(podman(), "only podman plays the YAML of Kubernetes: TRC_CONTAINER_ENGINE=podman");
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("trc-test-pod-{}-{n}", std::process::id());
        let ports = Regex::new(r"(?m)^ *ports:.*\n").unwrap();
        let text = ports
            .replace_all(&self.text, "")
            .replace("metadata: { name: shop", &format!("metadata: {{ name: {name}"))
            // Podman names a volume so, whatever the pod is.
            .replace("{ name: tmp,", &format!("{{ name: {name},"))
            .replace("registry.example.com/shop:1.2", &format!("localhost/{}:latest", self.image));
        let file = self.dir.path().join("pod.yaml");
        fs::write(&file, &text).unwrap();
        let pod = if text.contains("kind: Deployment") { format!("{name}-pod-0") } else { name };
        let removed = Removed(pod.clone());
        call(&["kube", "play", "--network", "none", "--start=false", file.to_str().unwrap()]);
        let name = format!("{pod}-shop");
        let mut command = Command::new(engine());
        command.args(["start", "--attach", &name]);
        Played { container: Container::spawn(name, command, None, self.dir), pod: removed }
    }

    #[track_caller]
    fn run(self) -> Ended {
        self.start().container.wait()
    }
}

/// Removes a pod when this is dropped.
struct Removed(String);

impl Drop for Removed {
    fn drop(&mut self) {
        let mut command = Command::new(engine());
        command.args(["pod", "rm", "--force", &self.0]);
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// A pod that runs, and its container `shop`. The pod is removed first, with its volumes.
struct Played {
    pod: Removed,
    container: Container,
}

impl Played {
    /// Stops the container as a kubelet does that has this many seconds left.
    #[track_caller]
    fn stop(self, seconds: u64) -> Ended {
        call(&["stop", "-t", &seconds.to_string(), &self.container.name]);
        self.container.wait()
    }

    /// Runs the command of the startup probe as a kubelet does. Returns its exit status and output.
    fn probe(&self) -> (Option<i32>, String) {
        let text = deployment();
        let (_, rest) = text.split_once("exec: { command: [").unwrap();
        let (words, _) = rest.split_once(']').unwrap();
        let mut command = Command::new(engine());
        command.args(["exec", &self.container.name]).args(words.split(", "));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

const READY: &str = r#"\{.*"unit":"sync\.app","event":"ready".*"#;

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_deployment_starts_passes_its_probe_and_stops() {
    // The only kind of probe that podman knows.
    let pod = Pod::deployment().replace("startupProbe:", "livenessProbe:").start();
    pod.container.wait_for(READY);
    assert_eq!(pod.probe().0, Some(0));
    call(&["healthcheck", "run", &pod.container.name]);
    let ids = "grep -E '^([UG]id|CapBnd|NoNewPrivs):' /proc/1/status; touch /x 2>&1 || echo $?";
    let said = pod.container.exec(&["sh", "-c", ids]);
    for line in [
        "Uid:\t10001\t10001\t10001\t10001",
        "Gid:\t10001\t10001\t10001\t10001",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "touch: cannot touch '/x': Read-only file system",
    ] {
        assert!(said.lines().any(|found| found == line), "{line} in\n{said}");
    }
    let start = Instant::now();
    pod.stop(grace_period()).status(0);
    assert!(start.elapsed() < Duration::from_secs(grace_period()), "{:?}", start.elapsed());
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_probe_needs_a_socket_in_a_directory_that_the_user_can_write_to() {
    let line = deployment().lines().find(|line| line.contains("TRC_SOCKET")).unwrap().to_owned();
    let pod = Pod::deployment().replace(&format!("          env:\n{line}\n"), "").start();
    pod.container.wait_for(READY).wait_for(r".*cannot create .*/run/trc\.sock.*");
    let (status, says) = pod.probe();
    assert_eq!(status, Some(69), "{says}");
}

/// A server that does not stop when it is asked to.
fn stubborn() -> Pod {
    let server = "require('http').createServer((_, answer) => answer.end()).listen(3000)";
    let exec = format!("node -e \"process.on('SIGTERM', () => {{}}); {server}\"");
    Pod::deployment().once().env("TRC_SYNC__APP__EXEC", &exec)
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn within_the_grace_period_trc_kills_what_does_not_stop() {
    let pod = stubborn().env("TRC_SHUTDOWN__TIMEOUT", "3s").start();
    pod.container.wait_for(READY);
    pod.stop(20).status(143).lines(&[r".*did not exit in time.*"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_grace_period_that_is_too_short_kills_trc() {
    let pod = stubborn().start();
    pod.container.wait_for(READY);
    pod.stop(1).status(137);
}

/// Runs a pod until it fails with this status. Returns the termination message.
fn message(pod: Pod, status: i32) -> String {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("termination-log");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let volume =
        format!("{{ name: message, hostPath: {{ path: {}, type: File }} }}", file.display());
    let pod = pod.add("volumeMounts", "{ name: message, mountPath: /dev/termination-log }");
    let volumes = "\n      volumes:\n";
    let played = pod.replace(volumes, &format!("{volumes}        - {volume}\n")).once().start();
    played.container.wait().status(status);
    fs::read_to_string(file).unwrap()
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_termination_message_is_that_of_the_page() {
    let found = message(Pod::deployment().env("TRC_SYNC__APP__EXEC", "node missing.js"), 1);
    let text = howto::page("kubernetes");
    let (_, rest) = text.split_once("Message:      ").unwrap();
    let version = Regex::new(r"v\d+\.\d+\.\d+").unwrap();
    let plain = |text: &str| version.replace(text.trim_end(), "VERSION").into_owned();
    assert_eq!(plain(&found), plain(rest.lines().next().unwrap()));
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_unit_can_have_only_the_user_of_the_container() {
    let image = howto::image("node");
    let pod = || Pod::deployment().image(&image);
    let found = message(pod(), 126);
    let text = howto::page("kubernetes");
    assert!(text.lines().any(|line| line == found.trim_end()), "{found}");

    let pod = pod().env("TRC_SYNC__APP__USER", "10001").start();
    pod.container.wait_for(r"<main/1\]: sync\.app is ready .*");
    pod.stop(grace_period()).status(0);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_job_passes_and_reports() {
    let ended = Pod::job().run();
    ended.status(0).lines(&[
        "TAP version 14",
        r"ok \d+ - test\.page",
        r"ok \d+ - test\.hardened.*",
    ]);
    assert!(!ended.out.contains("not ok"), "{}", ended.text);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_job_fails_without_the_settings_of_the_deployment() {
    for (right, wrong) in [
        ("runAsUser: 10001", "runAsUser: 10002"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
    ] {
        let ended = Pod::job().replace(right, wrong).run();
        ended.status(1).lines(&[r"ok \d+ - test\.page", r"not ok \d+ - test\.hardened.*"]);
    }
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_job_fails_if_a_test_of_the_image_does() {
    let ended = Pod::job().env("TRC_TEST__PAGE__EXPECT__HTTP__BODY", "Welcome").run();
    ended.status(1).lines(&[r"not ok \d+ - test\.page", r"ok \d+ - test\.hardened.*"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn trc_need_not_be_pid_1() {
    let pod = Pod::deployment().spec("      shareProcessNamespace: true\n").start();
    pod.container.wait_for(READY);
    assert_ne!(pod.container.exec(&["cat", "/proc/1/comm"]).trim(), "trc");
    assert_eq!(pod.probe().0, Some(0));
    pod.stop(grace_period()).status(0);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_unit_waits_for_another_container_of_the_pod() {
    let toml = blocks(&howto::page("kubernetes"), "toml");
    let toml = toml.iter().find(|block| block.starts_with("[async.proxy]")).unwrap();
    let pod = Pod::deployment().once();
    let file = pod.dir.path().join("proxy.toml");
    fs::write(&file, toml).unwrap();
    fs::set_permissions(pod.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let volume = format!("{{ name: proxy, hostPath: {{ path: {}, type: File }} }}", file.display());
    let other = "        - name: proxy\n          image: registry.example.com/shop:1.2\n          \
                 command: [node, -e, \"setTimeout(() => \
                 require('net').createServer().listen(5432, '127.0.0.1'), 1000)\"]\n";
    let volumes = "      volumes:\n";
    let pod = pod
        .add("volumeMounts", "{ name: proxy, mountPath: /etc/trc.d/proxy.toml }")
        .replace(volumes, &format!("{other}{volumes}        - {volume}\n"))
        .start();
    let pods = &pod.pod.0;
    pod.container.wait_for(r".*async\.proxy is not ready yet.*");
    call(&["start", &format!("{pods}-proxy")]);
    pod.container.wait_for(READY);
    pod.stop(grace_period()).status(0);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_name_that_trc_does_not_know_is_a_warning_and_others_reach_the_units() {
    let block = blocks(&howto::page("kubernetes"), "yaml");
    let block = block.iter().find(|block| block.contains("POD_NAME")).unwrap();
    let variable = block.lines().nth(1).unwrap().trim_start().trim_start_matches("- ");
    let pod = Pod::deployment()
        .once()
        .add("env", variable)
        .add("env", &variable.replace("POD_NAME", "TRC_POD_NAME"))
        .env("TRC_SYNC__APP__EXEC", "sh -c 'echo \"in $POD_NAME\"'")
        .env("TRC_SYNC__APP__READY", "{ exec = 'true' }");
    let played = pod.start();
    let name = played.pod.0.clone();
    let ended = played.container.wait();
    ended.status(0).lines(&[r".*TRC_POD_NAME.* is not a setting of trc.*"]);
    ended.lines(&[&format!(r".*in {name}.*")]);
}
