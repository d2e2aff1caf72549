//! How a container starts trc: its entrypoint, and the command after it.

use std::ffi::OsString;

use crate::config::{CommandLine, Config, Form, Invocation, Stage, cli};

/// Programs that stay as PID 1 and start the rest of their command line.
const INITS: [&str; 6] =
    ["tini", "tini-static", "dumb-init", "docker-init", "catatonit", "catatonit-static"];

/// Programs that execute the rest of their command line in their own place.
const STEPS: [&str; 6] = ["env", "gosu", "su-exec", "setpriv", "nice", "exec"];

/// What the words of an entrypoint start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Started {
    /// trc as PID 1, with these arguments.
    Trc(Vec<String>),
    /// trc as a child of this program.
    Behind(String),
    /// This program, which may execute the words after it.
    Script(String),
    /// This program, and not trc.
    Other(String),
}

/// Returns what the words of an entrypoint start.
pub(super) fn started(words: &[String]) -> Started {
    let mut rest = words;
    while let [first, more @ ..] = rest {
        let name = base(first);
        if name == "trc" {
            return Started::Trc(more.to_vec());
        }
        if INITS.contains(&name) && more.iter().any(|word| base(word) == "trc") {
            return Started::Behind(name.to_owned());
        }
        if !STEPS.contains(&name) && !first.contains('=') {
            break;
        }
        // The options and the user of a step are its own.
        let mut next = more;
        while let [word, more @ ..] = next {
            if base(word) == "trc" || INITS.contains(&base(word)) {
                break;
            }
            next = more;
        }
        if next.is_empty() {
            break;
        }
        rest = next;
    }
    let first = words.first().map_or("", String::as_str);
    let name = base(first);
    if let ["sh" | "bash" | "dash" | "ash", option, text, ..] =
        [name, word(words, 1), word(words, 2)]
        && option.starts_with('-')
        && option.ends_with('c')
    {
        return of_shell(text).unwrap_or_else(|| Started::Other(first.to_owned()));
    }
    let is_script = name.contains("entrypoint") || name.contains('.');
    if is_script { Started::Script(first.to_owned()) } else { Started::Other(first.to_owned()) }
}

/// Returns what a text for the shell starts, if trc is in it.
pub(super) fn of_shell(text: &str) -> Option<Started> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || ";&|()".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let at = words.iter().position(|word| base(word) == "trc")?;
    let executes = words[..at].contains(&"exec");
    if executes {
        return Some(Started::Trc(words[at + 1..].iter().map(|&word| word.to_owned()).collect()));
    }
    Some(Started::Behind("/bin/sh".to_owned()))
}

fn word(words: &[String], at: usize) -> &str {
    words.get(at).map_or("", String::as_str)
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Returns whether a variable is a setting of trc that does not say where its files are. They are
/// elsewhere in the image.
pub(super) fn is_setting(name: &str) -> bool {
    const FILES: [&str; 3] = ["TRC_WORKDIR", "RC_WORK_DIR", "TRC_CONFIG"];
    (name.starts_with("TRC_") || name.starts_with("RC_")) && !FILES.contains(&name)
}

/// What the arguments of trc change in its configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Changed {
    /// Nothing that matters here.
    Nothing,
    /// The command of this unit of the configuration.
    Replaced(String),
    /// They add a foreground unit, whose turn comes after this service.
    Behind(String),
    /// trc refuses them.
    Refused(String),
}

/// Returns what the arguments of trc change in a configuration that was loaded without them.
pub(super) fn changed(config: &Config, arguments: &[String]) -> Changed {
    if arguments.first().is_some_and(|first| first == "--health") {
        return Changed::Nothing;
    }
    let words = std::iter::once("trc").chain(arguments.iter().map(String::as_str));
    let line = match cli::parse(words.map(OsString::from).collect(), &Vec::new()) {
        Invocation::Run(line) => line,
        Invocation::Print(_) => return Changed::Nothing,
        Invocation::Usage(why) => {
            let first = why.lines().next().unwrap_or_default();
            return Changed::Refused(first.trim_start_matches("error: ").to_owned());
        }
    };
    let CommandLine { trailing, .. } = *line;
    if trailing.is_empty() {
        return Changed::Nothing;
    }
    let mut sync = config.units.iter().filter(|unit| unit.stage == Stage::Sync);
    if let Some(unit) = sync.clone().find(|unit| unit.name == "cmd" && unit.form != Form::Trailing)
    {
        return Changed::Replaced(unit.id());
    }
    // A foreground unit that ends by itself is a step before the command.
    let serves = sync.find(|unit| {
        unit.oneshot != Some(true)
            && (unit.probes().next().is_some() || unit.restart.when == crate::config::When::Always)
    });
    serves.map_or(Changed::Nothing, |unit| Changed::Behind(unit.id()))
}

#[cfg(test)]
mod tests {
    use super::{Started, of_shell, started};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn an_entrypoint_tells_whether_trc_is_pid_1() {
        let trc = |rest: &[&str]| Started::Trc(rest.iter().map(|&word| word.to_owned()).collect());
        for (text, expected) in [
            ("/usr/local/bin/trc --wait all", trc(&["--wait", "all"])),
            ("trc", trc(&[])),
            ("env A=b trc -w /x", trc(&["-w", "/x"])),
            ("gosu app trc", trc(&[])),
            ("/sbin/tini -- /trc", Started::Behind("tini".into())),
            ("/docker-entrypoint.sh", Started::Script("/docker-entrypoint.sh".into())),
            ("nginx -g x", Started::Other("nginx".into())),
        ] {
            assert_eq!(started(&words(text)), expected, "{text}");
        }
        let shell = ["/bin/sh", "-c", "exec trc --wait all"].map(str::to_owned);
        assert_eq!(started(&shell), trc(&["--wait", "all"]));
        assert_eq!(of_shell("cd /srv && trc"), Some(Started::Behind("/bin/sh".into())));
        assert_eq!(of_shell("nginx"), None);
    }
}
