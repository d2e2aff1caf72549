//! Settings of the kernel, and the environment of processes: proc(5).

use std::path::PathBuf;

use super::file::unread;
use crate::config::{Variables, Wanted};
use crate::report::excerpt;
use crate::run::os::file::look_into;
use crate::run::os::proc;
use crate::words::Wrong;

/// The longest value of a setting that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Checks a setting, by the name that sysctl(8) has for it.
///
/// # Errors
/// Returns its value, or the reason why it cannot be read.
pub(crate) fn sysctl(name: &str, wanted: &[Wanted]) -> Result<(), Wrong> {
    let bytes = look_into(&path(name), LONGEST).map_err(|why| unread(&why))?;
    compare("it", &words(&String::from_utf8_lossy(&bytes)), wanted)
}

/// Returns the file of a setting. With a `/` in the name, a dot is part of a name.
fn path(name: &str) -> PathBuf {
    let name = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    format!("/proc/sys/{}", name.trim_start_matches('/')).into()
}

/// Returns the words of a value with single spaces between them.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn compare(whose: &str, found: &str, wanted: &[Wanted]) -> Result<(), Wrong> {
    let shown = if found.parse::<f64>().is_ok() { found.to_owned() } else { excerpt(found) };
    let check = |one: &Wanted| one.check_of(whose, found, &shown).err().map(Wrong::Text);
    Wrong::all(wanted.iter().filter_map(check).collect())
}

/// Checks the variables that a process was started with.
///
/// # Errors
/// Returns everything that differs.
pub(crate) fn variables(unit: &str, pid: i32, wanted: &Variables) -> Result<(), Wrong> {
    let found = proc::read(pid, "environ").ok_or_else(|| Wrong::NotRunning(unit.to_owned()))?;
    variables_in(unit, &found, wanted)
}

fn variables_in(unit: &str, environ: &[u8], wanted: &Variables) -> Result<(), Wrong> {
    let value = |name: &str| {
        let mut all = environ.split(|byte| *byte == 0);
        let value = all.find_map(|one| one.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    // setproctitle(3) and the like write over the environment: nginx and PostgreSQL do.
    if !environ.split(|byte| *byte == 0).any(|one| one.contains(&b'=')) {
        return Err(Wrong::NoVariables(unit.to_owned()));
    }
    let mut problems = Vec::new();
    for (name, wanted) in &wanted.set {
        match value(name) {
            Some(value) => {
                let whose = format!("{name} of {unit}");
                problems.extend(compare(&whose, &value, wanted).err());
            }
            None if !wanted.iter().any(Wanted::needs_a_value) => {}
            None => problems.push(Wrong::NotSet(name.clone(), unit.to_owned())),
        }
    }
    for name in &wanted.unset {
        // The value may be a password.
        problems.extend(value(name).map(|_| Wrong::Set(name.clone(), unit.to_owned())));
    }
    Wrong::all(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Needle, Pattern, Relation};

    fn is(text: &str) -> Wanted {
        let needle = Needle::Text(text.trim_start_matches('!').to_owned());
        Wanted::Text(Pattern { needle, negated: text.starts_with('!') })
    }

    fn says(found: Result<(), Wrong>) -> String {
        found.err().map_or(String::new(), |wrong| wrong.to_string())
    }

    #[test]
    fn a_setting_has_the_name_that_sysctl_has_for_it() {
        assert_eq!(path("net.core.somaxconn"), PathBuf::from("/proc/sys/net/core/somaxconn"));
        let dotted = path("net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(dotted, PathBuf::from("/proc/sys/net/ipv4/conf/eth0.1/forwarding"));
        assert_eq!(sysctl("kernel.ostype", &[is("Linux")]), Ok(()));
        let other = says(sysctl("kernel.ostype", &[is("!Linux")]));
        assert_eq!(other, "it is \"Linux\", which it must not be");
        let some = Wanted::Number(Relation::More, "1".to_owned());
        assert_eq!(sysctl("kernel/pid_max", std::slice::from_ref(&some)), Ok(()));
        let gone = says(sysctl("no.such", &[some]));
        assert_eq!(gone, "cannot read it: no such file or directory");
    }

    #[test]
    fn values_of_several_words_have_single_spaces() {
        assert_eq!(words("32768\t60999\n"), "32768 60999");
    }

    #[test]
    fn variables_are_set_or_not() {
        let environ = b"TZ=UTC\0EMPTY=\0PORT=80\0TZX=no\0";
        let set = |name: &str, wanted: Wanted| Variables {
            set: vec![(name.to_owned(), vec![wanted])],
            ..Variables::default()
        };
        let unset = |name: &str| Variables { unset: vec![name.to_owned()], ..Variables::default() };
        let low = Wanted::Number(Relation::Less, "80".to_owned());
        for (wanted, expected) in [
            (set("TZ", is("UTC")), ""),
            (set("TZ", is("CET")), r#"TZ of web is "UTC", not "CET""#),
            (set("EMPTY", is("")), ""),
            (set("PORT", low), "PORT of web is 80, not < 80"),
            (set("T", is("UTC")), "T of web is not set"),
            (set("T", is("!UTC")), ""),
            (unset("T"), ""),
            (unset("EMPTY"), "EMPTY of web is set"),
        ] {
            assert_eq!(says(variables_in("web", environ, &wanted)), expected, "{wanted:?}");
        }
        for environ in [&b""[..], b"\0\0\0", b"nginx: master process\0\0"] {
            let unseen = says(variables_in("web", environ, &unset("T")));
            assert_eq!(
                unseen,
                "no variable of web can be seen: it has none, or has written its title over them"
            );
        }
    }
}
