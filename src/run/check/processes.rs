//! Running processes and their users: proc(5).

use std::collections::BTreeSet;

use crate::config::{Needle, Pattern, reason};
use crate::run::os::proc::{self, Stat, Status};
use crate::run::os::processes::command;
use crate::run::os::users::Users;
use crate::text::harmless;
use crate::words::Wrong;

/// The name of a process.
struct Process {
    pid: i32,
    comm: Vec<u8>,
    /// The arguments, each with a NUL at its end; or the text that the process has written over
    /// them.
    cmdline: Vec<u8>,
}

/// Checks that a process with this name runs, or, for a regular expression or a text with a space,
/// with this command line. With a user, all such processes have to belong to that user, really and
/// effectively. Negated: checks that there is no such process, or none of that user.
///
/// # Errors
/// Returns the processes that run instead, or the reason why that cannot be found out.
pub(crate) fn running(wanted: &Pattern, user: Option<&str>) -> Result<(), Wrong> {
    let all = all()?;
    let found = found(&wanted.needle, &all)?;
    let uid = user.map(uid).transpose()?;
    let Some((users, uid)) = &uid else {
        return match (wanted.negated, found.is_empty()) {
            (false, true) => Err(instead(&wanted.needle, &all)),
            (true, false) => Err(Wrong::Running(found.iter().map(|one| one.shown()).collect())),
            (false, false) | (true, true) => Ok(()),
        };
    };
    if found.is_empty() && !wanted.negated {
        return Err(instead(&wanted.needle, &all));
    }
    // A process that has exited meanwhile has no user.
    let known = found.into_iter().filter_map(|one| Some((one, Status::of(one.pid)?.uids()?)));
    let wrong = known.filter(
        |(_, uids)| {
            if wanted.negated { uids.contains(uid) } else { *uids != [*uid; 2] }
        },
    );
    let wrong: Vec<_> = wrong.map(|(one, uids)| (one.shown(), as_whom(users, uids))).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Wrong::RunsAs(wrong)) }
}

/// Checks that the processes of units, each with the unit's name, run as a user. The effective user
/// counts, because it decides what they may do.
///
/// # Errors
/// Returns the processes that run as other users, or the units that have none.
pub(crate) fn user_of(user: &str, pids: &[(String, i32)]) -> Result<(), Wrong> {
    let (users, uid) = uid(user)?;
    if pids.is_empty() {
        return Err(Wrong::NoneRuns);
    }
    let problem = |(name, pid): &(String, i32)| match Status::of(pid).and_then(|it| it.uids()) {
        Some([_, effective]) if effective == uid => None,
        Some([_, effective]) => {
            Some(Wrong::RunsAs(vec![(name.clone(), users.user_name(effective))]))
        }
        None => Some(Wrong::NotRunning(name.clone())),
    };
    Wrong::all(pids.iter().filter_map(problem).collect())
}

/// Returns all processes except trc itself, zombies and kernel threads.
fn all() -> Result<Vec<Process>, Wrong> {
    let own = std::process::id().cast_signed();
    let mut pids = proc::pids();
    if !pids.contains(&own) {
        return Err(Wrong::NoProcesses);
    }
    pids.sort_unstable();
    let own_line = proc::read(own, "cmdline").unwrap_or_default();
    let seen = |pid| {
        let stat = Stat::of(pid).filter(|stat| stat.lives() && !stat.is_kernel_thread())?;
        let cmdline = proc::read(pid, "cmdline").unwrap_or_default();
        // A child of trc that has not executed a command, or never will, shows trc's own command
        // line, which may contain that of a unit.
        if stat.parent == own && cmdline == own_line {
            return None;
        }
        Some(Process { pid, comm: stat.comm, cmdline })
    };
    Ok(pids.into_iter().filter(|pid| *pid != own).filter_map(seen).collect())
}

fn found<'a>(needle: &Needle, all: &'a [Process]) -> Result<Vec<&'a Process>, Wrong> {
    let finder = needle.finder().map_err(Wrong::Text)?;
    let name = name(needle).map(str::as_bytes);
    let matches = |process: &&Process| match name {
        Some(name) => process.is_named(name),
        None => finder.is_in(&process.line()),
    };
    Ok(all.iter().filter(matches).collect())
}

/// Returns the name to search for, if the text is a name.
fn name(needle: &Needle) -> Option<&str> {
    match needle {
        Needle::Text(text) if !text.contains(' ') => Some(text),
        Needle::Text(_) | Needle::Regex(_) => None,
    }
}

impl Process {
    /// Returns whether the process, or the program in its first argument, has this name.
    fn is_named(&self, name: &[u8]) -> bool {
        /// The number of bytes after which the kernel cuts names: `TASK_COMM_LEN`.
        const CUT: usize = 15;
        let program = self.cmdline.split(|byte| *byte == 0).next().unwrap_or_default();
        let program = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if self.comm == name || program == name {
            return true;
        }
        // The name does not show the part that was cut off. For a script, it is in a later
        // argument.
        let cut = self.comm.len() == CUT && name.starts_with(&self.comm);
        cut && (self.cmdline.is_empty() || memchr::memmem::find(&self.cmdline, name).is_some())
    }

    /// Returns the arguments, joined by spaces; the name if there are none.
    fn line(&self) -> Vec<u8> {
        let end = self.cmdline.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let line = if end == 0 { &self.comm } else { &self.cmdline[..end] };
        line.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect()
    }

    fn shown(&self) -> String {
        format!("{} (pid {})", plain(&self.comm), self.pid)
    }
}

fn uid(user: &str) -> Result<(Users, u32), Wrong> {
    let users = Users::read().map_err(|error| Wrong::NotRead("read the users", reason(&error)))?;
    let uid = users.user(user).ok_or_else(|| Wrong::NoUser(user.to_owned()))?.uid;
    Ok((users, uid))
}

fn as_whom(users: &Users, [real, effective]: [u32; 2]) -> String {
    let name = users.user_name(real);
    if real == effective {
        name
    } else {
        format!("{name}, effectively {}", users.user_name(effective))
    }
}

/// Describes the processes that run instead: their names, or their command lines.
fn instead(needle: &Needle, all: &[Process]) -> Wrong {
    let shown: BTreeSet<String> = match name(needle) {
        Some(_) => all.iter().map(|process| plain(&process.comm)).collect(),
        None => all.iter().filter_map(|process| command(process.pid)).collect(),
    };
    Wrong::OthersRun(all.len(), shown.into_iter().collect())
}

fn plain(name: &[u8]) -> String {
    harmless(&String::from_utf8_lossy(name))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what runs has to be started")]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn process(comm: &str, cmdline: &str) -> Process {
        Process { pid: 7, comm: comm.into(), cmdline: cmdline.into() }
    }

    fn text(text: &str) -> Needle {
        Needle::Text(text.to_owned())
    }

    fn pattern(needle: Needle, negated: bool) -> Pattern {
        Pattern { needle, negated }
    }

    /// A process that runs until it is dropped.
    struct Running(Child);

    impl Running {
        /// Starts a process with this name in its first argument.
        fn new(name: &str) -> Self {
            use std::os::unix::process::CommandExt;
            let mut command = Command::new("/bin/sh");
            command.arg0(name).args(["-c", "echo; read -r line", "with two  words"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            Self(child)
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            _ = self.0.stdin.take().map(|mut stdin| stdin.write_all(b"\n"));
            _ = self.0.wait();
        }
    }

    #[test]
    fn a_name_is_the_whole_name_and_a_line_has_it_somewhere() {
        let regex = |text: &str| Needle::Regex(text.to_owned());
        let cut = "a-name-longer-t";
        for (needle, comm, cmdline, expected) in [
            (text("smtpd"), "smtpd", "", true),
            (text("smtpd"), "x", "/usr/bin/smtpd\0-d\0", true),
            (text("smtpd"), "x", "smtpd", true),
            (text("smtpd"), "smtpd2", "/usr/bin/smtpd2\0smtpd\0", false),
            (text("smtp"), "smtpd", "smtpd\0", false),
            (text("nginx"), "nginx", "nginx: master process nginx -g x\0\0\0", true),
            (text("-d"), "smtpd", "smtpd\0-d\0", false),
            (text("a-name-longer-than-15"), cut, "", true),
            (text("a-name-longer-than-15"), cut, "sh\0/a-name-longer-than-15\0", true),
            (text("a-name-longer-than-15"), cut, "/bin/a-name-longer-than-16\0", false),
            (text("a-name-longer-than-15"), "a-name", "sh\0/a-name-longer-than-15\0", false),
            (text("smtpd -d"), "smtpd", "smtpd\0-d\0-f\0\0", true),
            (text("smtpd -f"), "smtpd", "smtpd\0-d\0-f\0", false),
            (text("a b"), "a b", "", true),
            (text("mtpd -"), "smtpd", "smtpd\0-d\0", true),
            (regex("^smtpd -d$"), "smtpd", "smtpd\0-d\0", true),
            (regex("^smtp$"), "smtpd", "smtpd\0-d\0", false),
            (regex("mtp"), "smtpd", "smtpd\0-d\0", true),
        ] {
            let all = [process(comm, cmdline)];
            let is_found = !found(&needle, &all).unwrap().is_empty();
            assert_eq!(is_found, expected, "{needle} {comm} {cmdline:?}");
        }
    }

    #[test]
    fn what_runs_instead_is_told() {
        let two = [process("sh", "sh"), process("na\nme", "x"), process("sh", "sh")];
        assert_eq!(
            instead(&text("x"), &two).to_string(),
            "no such process; 3 others are running: na me, sh"
        );
        assert_eq!(
            instead(&text("x"), &two[..1]).to_string(),
            "no such process; one other is running: sh"
        );
        assert_eq!(instead(&text("x"), &[]).to_string(), "no process other than trc is running");
    }

    #[test]
    fn a_process_that_runs_is_found_and_is_its_users() {
        // Another checkout may be tested at the same time.
        let name = &format!("trc-test-running-process-{}", std::process::id());
        let own = nix::unistd::geteuid().to_string();
        let other = (nix::unistd::geteuid().as_raw() + 4321).to_string();
        let child = Running::new(&format!("/nowhere/{name}"));
        let pid = child.0.id();
        for needle in
            [text(name), text(&format!("{name} -c")), Needle::Regex(format!("/{name} .* two  w"))]
        {
            let (is, not) = (pattern(needle.clone(), false), pattern(needle, true));
            assert_eq!(running(&is, None), Ok(()), "{is:?}");
            assert_eq!(running(&is, Some(&own)), Ok(()), "{is:?}");
            assert_eq!(running(&not, Some(&other)), Ok(()), "{is:?}");
            let wrong = running(&is, Some(&other)).unwrap_err();
            let why = wrong.to_string();
            assert!(why.contains(&format!("(pid {pid}) runs as ")), "{why}");
            assert_eq!(running(&not, Some(&own)), Err(wrong));
            let why = running(&not, None).unwrap_err().to_string();
            assert!(why.ends_with(&format!("(pid {pid}) is running")), "{why}");
        }
        drop(child);
        assert_eq!(running(&pattern(text(name), true), None), Ok(()));
        assert!(running(&pattern(text(name), false), None).is_err());
    }

    #[test]
    fn neither_a_zombie_nor_this_process_runs() {
        let name = "trc-test-zombie";
        let mut child = Running::new(name);
        child.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        let pid = child.0.id();
        let flags = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: the pointer is null, so nothing is written.
        assert_eq!(unsafe { libc::waitid(libc::P_PID, pid, std::ptr::null_mut(), flags) }, 0);
        let all = all().unwrap();
        let pids = [pid.cast_signed(), std::process::id().cast_signed()];
        assert!(all.iter().all(|process| !pids.contains(&process.pid)));
    }

    #[test]
    fn no_user_and_no_regular_expression_hold_in_no_way() {
        for negated in [false, true] {
            let wanted = pattern(text("trc-test-nothing"), negated);
            let wrong = running(&wanted, Some("nobdy"));
            assert_eq!(wrong, Err(Wrong::NoUser("nobdy".to_owned())));
            assert!(running(&pattern(Needle::Regex("(".to_owned()), negated), None).is_err());
        }
    }

    #[test]
    fn units_run_as_a_user_or_as_another() {
        let own = nix::unistd::geteuid().as_raw();
        let pid = std::process::id().cast_signed();
        let units = [("a".to_owned(), pid), ("b".to_owned(), pid)];
        assert_eq!(user_of(&own.to_string(), &units), Ok(()));
        let why = user_of(&(own + 4321).to_string(), &units).unwrap_err().to_string();
        assert!(why.starts_with("a runs as ") && why.contains("; b runs as "), "{why}");
        let gone = [("c".to_owned(), -1)];
        assert_eq!(user_of(&own.to_string(), &gone), Err(Wrong::NotRunning("c".to_owned())));
        assert!(user_of(&own.to_string(), &[]).is_err());
        assert!(user_of("nobdy", &units).is_err());
    }

    #[test]
    fn real_and_effective_users_are_told_apart() {
        let users = Users::of("root:x:0:0::/:\nweb:x:33:33::/:\n", "");
        assert_eq!(as_whom(&users, [33, 33]), "web");
        assert_eq!(as_whom(&users, [33, 0]), "web, effectively root");
        assert_eq!(as_whom(&users, [44, 44]), "44");
    }
}
