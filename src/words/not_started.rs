//! The reasons why a unit, or another program, could not be started.

use nix::errno::Errno;

use super::detail;
use crate::config::{Command, Origin, Template, Tty};
use crate::engine::{Detail, SpawnStage};
use crate::graph::{Graph, UnitId};

/// Returns the step of a unit's start that failed, and the kernel's error, or the reason that trc
/// has found out beyond that.
pub(crate) fn not_started(
    graph: &Graph,
    id: UnitId,
    stage: SpawnStage,
    errno: Option<Errno>,
    why: Option<&Detail>,
) -> String {
    if let Some(Detail::PreStart(why)) = why {
        return format!("its pre_start could not be executed: {why}");
    }
    let why = why.map(|why| detail(graph, id, why));
    let why = why.as_deref();
    // The error did not come from the kernel.
    let Some(errno) = errno else { return why.unwrap_or(step(stage)).to_owned() };
    let unit = &graph.node(id).unit;
    if stage == SpawnStage::Execute {
        let command = match &unit.command {
            Command::Exec(words) => words.first().map(Template::source),
            Command::Words(words) => words.first().cloned(),
            Command::Script(_) | Command::File(_) | Command::Nothing => None,
        };
        let command =
            command.map_or_else(|| "its shell".to_owned(), |word| word.display().to_string());
        return format!("{} ({})", not_executed(&command, errno, why), unit.command_at);
    }
    let step = step(stage);
    let own = &unit.identity;
    // The setting, its origin, and the meaning of the kernel's error here.
    let written: Option<(String, &Origin)> = match stage {
        SpawnStage::Terminal => own.tty.as_ref().and_then(|tty| match &tty.value {
            Tty::Own(path) => Some((path.display().to_string(), &tty.origin)),
            Tty::No => None,
        }),
        SpawnStage::Nice => own.nice.as_ref().map(|nice| (nice.value.to_string(), &nice.origin)),
        SpawnStage::OomScore => {
            own.oom_score_adj.as_ref().map(|score| (score.value.to_string(), &score.origin))
        }
        SpawnStage::Identity => {
            let who = own.user.as_ref().or(own.group.as_ref());
            let who = who.or_else(|| own.groups.as_ref()?.first());
            who.map(|who| (who.value.clone(), &who.origin))
        }
        SpawnStage::Directory => {
            own.cwd.as_ref().map(|cwd| (cwd.value.source().display().to_string(), &cwd.origin))
        }
        SpawnStage::Limits => match why {
            Some(why) if errno == Errno::EPERM => return why.to_owned(),
            Some(_) | None => own.limits.first().map(|limit| (String::new(), &limit.origin)),
        },
        SpawnStage::Capabilities => {
            let first = own.capabilities.as_ref().and_then(|kept| kept.first());
            first.map(|first| (String::new(), &first.origin))
        }
        SpawnStage::Settings
        | SpawnStage::Prepare
        | SpawnStage::Fork
        | SpawnStage::Group
        | SpawnStage::Streams
        | SpawnStage::Execute => None,
    };
    let why = match (stage, errno, why) {
        (SpawnStage::Identity, Errno::EPERM, Some(why)) => why,
        _ => meaning(stage, errno).unwrap_or_else(|| errno.desc()),
    };
    match written {
        Some((what, place)) if what.is_empty() => format!("{step}: {why} ({place})"),
        Some((what, place)) => format!("{step} {what}: {why} ({place})"),
        None => format!("{step}: {why}"),
    }
}

/// Returns the step that failed.
fn step(stage: SpawnStage) -> &'static str {
    match stage {
        SpawnStage::Settings => "cannot apply its settings",
        SpawnStage::Prepare => "cannot create its pipes",
        SpawnStage::Fork => "cannot fork",
        SpawnStage::Group => "cannot create its process group",
        SpawnStage::Terminal => "cannot take its terminal",
        SpawnStage::Limits => "cannot set its limits",
        SpawnStage::Nice => "cannot set its nice value",
        SpawnStage::OomScore => "cannot set its oom_score_adj",
        SpawnStage::Capabilities => "cannot limit its capabilities",
        SpawnStage::Identity => "cannot switch to its user or group",
        SpawnStage::Directory => "cannot enter its working directory",
        SpawnStage::Streams => "cannot set up its standard streams",
        SpawnStage::Execute => "cannot be executed",
    }
}

/// Returns why a program other than a unit's own could not be started: the command of a probe, or a
/// stop command.
pub(crate) fn program_failure(
    program: &Template,
    stage: SpawnStage,
    errno: Errno,
    why: Option<&str>,
) -> String {
    let program = program.source().display().to_string();
    match stage {
        SpawnStage::Execute => not_executed(&program, errno, why),
        stage => {
            let why = why.or_else(|| meaning(stage, errno)).unwrap_or(errno.desc());
            format!("{program}: {}: {why}", step(stage))
        }
    }
}

/// Returns why a program cannot be executed, beginning with its name as it is written.
fn not_executed(program: &str, errno: Errno, why: Option<&str>) -> String {
    match errno {
        Errno::ENOENT if let Some(why) = why => format!("{program}: {why}"),
        Errno::ENOENT if program.contains('/') => {
            format!("{program}: no such file, or its loader is missing")
        }
        Errno::ENOENT => format!("{program}: command not found in PATH"),
        Errno::EACCES => format!(
            "{program}: Permission denied: it is not executable (`chmod +x`), it is a directory, or the unit's user may not enter its directory"
        ),
        Errno::ENOEXEC => format!(
            "{program}: exec format error: it is neither a program for this machine nor a script that starts with `#!`"
        ),
        _ => {
            let why = meaning(SpawnStage::Execute, errno);
            format!("{program}: {}", why.unwrap_or_else(|| errno.desc()))
        }
    }
}

/// Returns the kernel's error for people: the resource that has run out, or the kernel's own words.
pub(crate) fn errno(errno: Errno) -> String {
    lack(errno).map_or_else(|| errno.desc().to_lowercase(), ToOwned::to_owned)
}

/// Returns the resource that has run out, if the kernel says so.
fn lack(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::EAGAIN => Some("there are too many processes already"),
        Errno::ENOMEM => Some("there is no memory left"),
        Errno::EMFILE => Some("trc has no file descriptors left"),
        Errno::ENFILE => Some("the machine has no file descriptors left"),
        _ => None,
    }
}

/// Returns the meaning of an error at a step, if the kernel's own word for it does not help.
fn meaning(stage: SpawnStage, errno: Errno) -> Option<&'static str> {
    match (stage, errno) {
        (SpawnStage::Terminal, Errno::EPERM) => Some("another session uses it"),
        (SpawnStage::Terminal, Errno::ENOTTY) => Some("it is not a terminal"),
        (SpawnStage::Nice, Errno::EPERM | Errno::EACCES) => {
            Some("a value below trc's own needs the capability sys_nice")
        }
        (SpawnStage::OomScore, Errno::EPERM | Errno::EACCES) => {
            Some("a value below trc's own needs the capability sys_resource")
        }
        (SpawnStage::OomScore, Errno::ENOENT) => Some("there is no /proc"),
        (SpawnStage::Execute | SpawnStage::Identity, Errno::EAGAIN) => {
            Some("its user has too many processes already (RLIMIT_NPROC)")
        }
        (SpawnStage::Prepare | SpawnStage::Fork | SpawnStage::Streams, errno) => lack(errno),
        (SpawnStage::Identity, Errno::EPERM) => {
            Some("trc lacks the capabilities setuid and setgid, or its user namespace forbids it")
        }
        (SpawnStage::Identity, Errno::EINVAL) => {
            Some("trc's user namespace has no such user or group")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The capabilities of root were once blamed although trc was not root.
    #[test]
    fn a_reason_that_trc_has_found_out_goes_before_what_an_error_usually_means() {
        let program = Template::parse("probe").unwrap();
        for (stage, errno, why, says) in [
            (SpawnStage::Identity, Errno::EPERM, Some("trc is not root"), "trc is not root"),
            (SpawnStage::Identity, Errno::EPERM, None, "trc lacks the capabilities"),
            (SpawnStage::Limits, Errno::EPERM, Some("nofile is above"), "nofile is above"),
            (SpawnStage::Execute, Errno::ENOENT, Some("no interpreter"), "probe: no interpreter"),
            (SpawnStage::Execute, Errno::ENOENT, None, "probe: command not found in PATH"),
            (
                SpawnStage::Execute,
                Errno::EACCES,
                Some("no interpreter"),
                "probe: Permission denied",
            ),
        ] {
            let text = program_failure(&program, stage, errno, why);
            assert!(text.starts_with("probe: ") && text.contains(says), "{text}");
        }
    }
}
