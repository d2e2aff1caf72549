//! Manifests of Kubernetes: <https://kubernetes.io/docs/reference/kubernetes-api/>.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::super::needs::Asking;
use super::container::{Container, Kind, Probe, Words, capabilities, known};
use super::yaml::Node;

/// The grace period of a pod unless `terminationGracePeriodSeconds` says otherwise.
const GRACE: u64 = 30;

/// The kinds of objects that have a pod, and where.
const PODS: [(&str, &[&str]); 7] = [
    ("Pod", &["spec"]),
    ("Deployment", &["spec", "template", "spec"]),
    ("StatefulSet", &["spec", "template", "spec"]),
    ("DaemonSet", &["spec", "template", "spec"]),
    ("ReplicaSet", &["spec", "template", "spec"]),
    ("Job", &["spec", "template", "spec"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

/// Returns the containers of a manifest.
pub(super) fn containers(document: &Node) -> Vec<Container> {
    let kind = document.get("kind").and_then(Node::text).unwrap_or_default();
    if kind == "List" {
        let items = document.get("items").map_or(&[][..], Node::items);
        return items.iter().flat_map(containers).collect();
    }
    let Some((_, path)) = PODS.into_iter().find(|(known, _)| *known == kind) else {
        return Vec::new();
    };
    let Some(pod) = document.at(path) else { return Vec::new() };
    let all = pod.get("containers").map_or(&[][..], Node::items);
    all.iter().map(|it| container(pod, it)).collect()
}

fn container(pod: &Node, it: &Node) -> Container {
    let grace = pod.get("terminationGracePeriodSeconds");
    let seconds = match grace {
        Some(grace) => grace.text().and_then(|text| text.parse().ok()),
        None => Some(GRACE),
    };
    let before = before(it);
    let security = |name: &str| {
        let own = it.get("securityContext").filter(|own| own.get(name).is_some());
        own.or_else(|| pod.get("securityContext").filter(|of_pod| of_pod.get(name).is_some()))
    };
    let caps = it.at(&["securityContext", "capabilities"]);
    let list = |name: &str| caps.and_then(|it| it.get(name)?.texts()).unwrap_or_default();
    let is_privileged = it.at(&["securityContext", "privileged"]).is_some_and(Node::is_true);
    let read_only = security("readOnlyRootFilesystem");
    let read_only =
        read_only.filter(|it| it.get("readOnlyRootFilesystem").is_some_and(Node::is_true));
    let user = security("runAsUser");
    Container {
        kind: Kind::Kubernetes,
        name: it.get("name").and_then(Node::text).unwrap_or_default().to_owned(),
        place: it.place_of("name"),
        is_built: false,
        grace: seconds.map(Duration::from_secs).map(|grace| grace.saturating_sub(before)),
        before,
        grace_at: grace.map(|_| pod.place_of("terminationGracePeriodSeconds")),
        entrypoint: words(it, "command"),
        arguments: words(it, "args"),
        // Kubernetes 1.33 or later.
        stop_signal: it.get("lifecycle").and_then(|hooks| {
            let signal = hooks.get("stopSignal")?.text()?.to_owned();
            Some(("stopSignal", signal, hooks.place_of("stopSignal")))
        }),
        probes: probes(it),
        read_only: read_only.map(|it| it.place_of("readOnlyRootFilesystem")),
        writable: writable(pod, it),
        capabilities: if is_privileged { None } else { capabilities(&list("drop"), &list("add")) },
        capabilities_at: caps.map(|caps| {
            let name = if caps.get("drop").is_some() { "drop" } else { "add" };
            caps.place_of(name)
        }),
        user: user.and_then(|it| {
            let user = it.get("runAsUser")?.text()?.to_owned();
            Some((user, it.place_of("runAsUser")))
        }),
        init: None,
        low_ports: low_ports(pod),
        variables: variables(it),
        variables_at: it.place_of("env"),
    }
}

fn words(it: &Node, name: &'static str) -> Option<Words> {
    let list = it.get(name)?.texts().and_then(|words| known(&words));
    Some(Words { list, key: name, place: it.place_of(name) })
}

/// Returns the time that a `preStop` hook waits, as far as it is known.
fn before(it: &Node) -> Duration {
    let hook = it.at(&["lifecycle", "preStop"]);
    let seconds = |text: &str| text.trim_end_matches('s').parse().ok().map(Duration::from_secs);
    let sleep = hook.and_then(|hook| seconds(hook.at(&["sleep", "seconds"])?.text()?));
    let command = || {
        let words = hook?.at(&["exec", "command"])?.texts()?;
        let text = words.join(" ");
        let rest = text.split("sleep ").nth(1)?;
        seconds(rest.split(|c: char| !c.is_ascii_digit()).next()?)
    };
    sleep.or_else(command).unwrap_or_default()
}

fn probes(it: &Node) -> Vec<Probe> {
    let named: BTreeMap<&str, &str> = it
        .get("ports")
        .map_or(&[][..], Node::items)
        .iter()
        .filter_map(|port| Some((port.get("name")?.text()?, port.get("containerPort")?.text()?)))
        .collect();
    let port = |node: &Node| -> Option<u16> {
        let text = node.get("port")?.text()?;
        named.get(text).copied().unwrap_or(text).parse().ok()
    };
    let keys = ["startupProbe", "livenessProbe", "readinessProbe"];
    keys.into_iter()
        .filter_map(|key| {
            let probe = it.get(key)?;
            let network = ["httpGet", "tcpSocket", "grpc"];
            let network = network.into_iter().find_map(|kind| Some((kind, probe.get(kind)?)));
            if let Some((kind, ask)) = network {
                // Another host is none of this container.
                let is_here = ask.get("host").is_none();
                let ports = port(ask).filter(|_| is_here).into_iter().collect();
                let asking = Asking { program: None, ports, asks_trc: false };
                return Some(Probe { key, place: probe.place_of(kind), asking });
            }
            let exec = probe.get("exec")?;
            let words = exec.get("command")?.texts()?;
            let asking = match &words[..] {
                [shell, option, text] if option == "-c" && shell.ends_with("sh") => {
                    Asking::of_shell(text)
                }
                words => Asking::of(words),
            };
            Some(Probe { key, place: exec.place_of("command"), asking })
        })
        .collect()
}

/// Returns the directories that can be written although the root file system cannot.
fn writable(pod: &Node, it: &Node) -> Vec<PathBuf> {
    let volumes = pod.get("volumes").map_or(&[][..], Node::items);
    let fixed = ["configMap", "secret", "downwardAPI", "projected", "image"];
    let is_fixed = |name: &str| {
        let mut named =
            volumes.iter().filter(|it| it.get("name").and_then(Node::text) == Some(name));
        named.any(|volume| fixed.iter().any(|kind| volume.get(kind).is_some()))
    };
    let mounts = it.get("volumeMounts").map_or(&[][..], Node::items).iter();
    let mounts = mounts.filter(|mount| {
        let read_only = mount.get("readOnly").is_some_and(Node::is_true);
        let name = mount.get("name").and_then(Node::text).unwrap_or_default();
        !read_only && !is_fixed(name)
    });
    mounts.filter_map(|mount| Some(mount.get("mountPath")?.text()?.into())).collect()
}

/// Returns whether any user may open a port below 1024.
fn low_ports(pod: &Node) -> bool {
    let sysctls = pod.at(&["securityContext", "sysctls"]).map_or(&[][..], Node::items);
    sysctls.iter().any(|it| {
        it.get("name").and_then(Node::text) == Some("net.ipv4.ip_unprivileged_port_start")
    })
}

/// Returns the variables, with their values as far as they are written here.
fn variables(it: &Node) -> BTreeMap<String, Option<String>> {
    let all = it.get("env").map_or(&[][..], Node::items).iter();
    // A map of variables may have this one.
    let of_map = it.get("envFrom").map(|_| ("TRC_SOCKET".to_owned(), None));
    let value =
        |it: &Node| Some(it.get("value")?.text().filter(|it| !it.contains("$("))?.to_owned());
    all.filter_map(|it| Some((it.get("name")?.text()?.to_owned(), value(it))))
        .chain(of_map)
        .collect()
}
