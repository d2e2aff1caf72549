//! The resources that the processes of a unit use: proc(5).

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::Unmet;
use crate::run::os::kin::below;
use crate::run::os::proc::{self, Stat, Status};
use crate::run::os::usage::Usage;
use crate::words::Wrong;

/// All visible processes at a moment.
pub(crate) struct Processes(BTreeMap<i32, Stat>);

impl Processes {
    /// Reads the current processes. There are none without `/proc`.
    pub(crate) fn read() -> Self {
        Self(proc::pids().into_iter().filter_map(|pid| Some((pid, Stat::of(pid)?))).collect())
    }

    /// Returns the processes of a unit: all of its process group, and all descendants of its main
    /// process, without zombies.
    pub(crate) fn of_unit(&self, main: i32, group: i32) -> Vec<i32> {
        let below = below(main, self.0.iter().map(|(pid, stat)| (*pid, stat.parent)));
        let is_its = |pid: i32, stat: &Stat| {
            stat.lives() && (pid == main || stat.group == group || below.contains(&pid))
        };
        self.0.iter().filter(|(pid, stat)| is_its(**pid, stat)).map(|(pid, _)| *pid).collect()
    }
}

/// Returns the resident memory of processes together, in bytes. Shared memory counts for each.
pub(crate) fn rss(pids: &[i32]) -> u64 {
    let each = pids.iter().filter_map(|pid| Status::of(pid)?.rss());
    each.fold(0, u64::saturating_add)
}

/// Returns the peak resident memory of any of these processes, in bytes.
pub(crate) fn peak(pids: &[i32]) -> u64 {
    pids.iter().filter_map(|pid| Status::of(*pid)?.peak()).max().unwrap_or(0)
}

/// Returns the CPU time of processes together, and of children that they have waited for.
pub(crate) fn cpu(pids: &[i32]) -> Duration {
    let each = pids.iter().filter_map(|pid| Some(Stat::of(*pid)?.cpu()));
    each.fold(Duration::ZERO, Duration::saturating_add)
}

/// Returns the number of open descriptors of a process; `None` if it has exited.
///
/// # Errors
/// Returns the reason why that cannot be found out: root needs a capability for other
/// users' processes.
pub(crate) fn fds(pid: i32) -> Result<usize, Wrong> {
    match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => Ok(entries.flatten().count()),
        Err(_) if Stat::of(pid).is_none_or(|stat| !stat.lives()) => Ok(0),
        Err(error) => Err(Wrong::kernel(&error)),
    }
}

/// Checks that the processes of a unit have no more resident memory than this, and that none of
/// them, even those that have exited, ever had more.
///
/// # Errors
/// Returns how much it has used, or that it has not run. A peak never falls again.
pub(crate) fn max_rss(
    unit: &str,
    pids: &[i32],
    used: Option<Usage>,
    most: u64,
) -> Result<(), Unmet> {
    let used = has_run(unit, pids, used)?;
    let (now, peak) = (rss(pids), peak(pids).max(used.peak));
    let why = if now > most {
        Wrong::UsesMemory(unit.to_owned(), now, pids.len())
    } else if peak > most {
        Wrong::UsedMemory(unit.to_owned(), peak)
    } else {
        return Ok(());
    };
    Err(Unmet { why, for_good: peak > most })
}

/// Checks that the processes of a unit, including those that have exited, have used no more CPU
/// time than this.
///
/// # Errors
/// Returns how much time they have used, which never falls again, or that the unit has not run.
pub(crate) fn max_cpu(
    unit: &str,
    pids: &[i32],
    used: Option<Usage>,
    most: Duration,
) -> Result<(), Unmet> {
    let used = has_run(unit, pids, used)?;
    match cpu(pids).saturating_add(used.cpu) {
        found if found <= most => Ok(()),
        found => Err(Unmet::for_good(Wrong::UsedCpu(unit.to_owned(), found))),
    }
}

/// Checks that a unit has no more processes than this, without zombies.
///
/// # Errors
/// Returns how many it has, or that it is not running.
pub(crate) fn max_processes(unit: &str, pids: &[i32], most: u64) -> Result<(), Unmet> {
    has_run(unit, pids, None)?;
    if u64::try_from(pids.len()).is_ok_and(|found| found <= most) {
        return Ok(());
    }
    Err(Wrong::Processes(unit.to_owned(), pids.len()).into())
}

/// Checks that the processes of a unit have no more threads than this together.
///
/// # Errors
/// Returns how many they have, or that the unit is not running.
pub(crate) fn max_threads(unit: &str, pids: &[i32], most: u64) -> Result<(), Unmet> {
    has_run(unit, pids, None)?;
    // A process that has exited meanwhile has none.
    let threads = |pid: &i32| Status::of(*pid)?.field("Threads")?.parse::<u64>().ok();
    match pids.iter().filter_map(threads).sum::<u64>() {
        found if found <= most => Ok(()),
        found => Err(Wrong::Threads(unit.to_owned(), found).into()),
    }
}

/// Checks that each process of a unit has no more open descriptors than this.
///
/// # Errors
/// Returns the number of each process that has more, or that the unit is not running.
pub(crate) fn max_fds(unit: &str, pids: &[i32], most: u64) -> Result<(), Unmet> {
    has_run(unit, pids, None)?;
    let within = |found: usize| u64::try_from(found).is_ok_and(|found| found <= most);
    let counted = pids.iter().map(|pid| (*pid, fds(*pid)));
    let above: Vec<_> =
        counted.filter(|(_, found)| !matches!(found, Ok(found) if within(*found))).collect();
    if above.is_empty() { Ok(()) } else { Err(Wrong::Descriptors(unit.to_owned(), above).into()) }
}

/// The error for a unit that has not run.
fn has_run(unit: &str, pids: &[i32], used: Option<Usage>) -> Result<Usage, Wrong> {
    match used {
        Some(used) => Ok(used),
        None if pids.is_empty() => Err(Wrong::NotRunning(unit.to_owned())),
        None => Ok(Usage::default()),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what runs has to be started")]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn own() -> i32 {
        std::process::id().cast_signed()
    }

    /// A shell that leads a group, and a child of it, until it is dropped.
    struct Unit(Child);

    impl Unit {
        /// Starts both. Also returns the child's pid.
        fn new() -> (Self, i32) {
            // A process in the background has no standard input.
            let script = "exec 3<&0; read -r line <&3 & echo $!; wait";
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]).process_group(0);
            let mut unit =
                Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
            let mut line = String::new();
            BufReader::new(unit.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
            (unit, line.trim().parse().unwrap())
        }
    }

    impl Drop for Unit {
        fn drop(&mut self) {
            // When it ends, so does the child's input.
            _ = self.0.stdin.take();
            _ = self.0.wait();
        }
    }

    #[test]
    fn a_unit_is_its_group_and_what_descends_from_it() {
        let (unit, below) = Unit::new();
        let main = unit.0.id().cast_signed();
        let mut both = [main, below];
        both.sort_unstable();
        let all = Processes::read();
        assert_eq!(all.of_unit(main, main), both);
        assert_eq!(all.of_unit(-1, main), both, "its main process is no more");
        assert_eq!(all.of_unit(main, -1), both);
        assert_eq!(all.of_unit(below, -1), [below]);
        // This process leads another group.
        let own = all.of_unit(own(), -1);
        assert!(both.iter().all(|pid| own.contains(pid)));
        assert!(all.of_unit(-1, -1).is_empty());
        drop(unit);
        assert!(!Processes::read().of_unit(main, main).contains(&main));
    }

    #[test]
    fn this_process_has_memory_time_and_descriptors() {
        let (one, two) = (rss(&[own()]), rss(&[own(), own()]));
        assert!(one > 0 && two > one && rss(&[-1]) == 0);
        assert!(cpu(&[own(), own()]) >= cpu(&[own()]) && cpu(&[]) == Duration::ZERO);

        let dir = tempfile::tempdir().unwrap();
        let open = || fs::File::create(dir.path().join("file")).unwrap();
        let held: Vec<_> = (0..50).map(|_| open()).collect();
        assert!(fds(own()).unwrap() >= held.len() + 3);
        assert_eq!(fds(-1), Ok(0));
    }

    #[test]
    fn what_is_above_is_told() {
        let pids = [own()];
        assert_eq!(max_rss("web", &pids, None, u64::MAX), Ok(()));
        assert_eq!(max_cpu("web", &pids, None, Duration::MAX), Ok(()));
        assert_eq!(max_fds("web", &pids, u64::MAX), Ok(()));
        assert_eq!(max_processes("web", &pids, 1), Ok(()));
        let many = max_processes("web", &[1, 2, 3], 2).unwrap_err();
        assert_eq!(many, Unmet::from(Wrong::Processes("web".to_owned(), 3)));
        let used = Some(Usage { cpu: Duration::from_secs(9), peak: 1 << 60 });
        let Unmet { why, for_good } = max_rss("web", &[], used, 1 << 50).unwrap_err();
        assert!(for_good && why.to_string().starts_with("a process of web has used "), "{why}");
        let over = max_cpu("web", &[], used, Duration::from_secs(8)).unwrap_err();
        assert_eq!(over, Unmet::for_good(Wrong::UsedCpu("web".to_owned(), Duration::from_secs(9))));
        let Unmet { why, for_good } = max_rss("web", &pids, None, 0).unwrap_err();
        assert!(for_good && why.to_string().starts_with("web uses "), "{why}");
        assert!(why.to_string().ends_with(" in one process"), "{why}");
        // Together they use more than any single one has ever used.
        let many = max_rss("web", &[own(); 100], None, 2 * peak(&pids)).unwrap_err();
        assert!(!many.for_good, "{}", many.why);
        let Unmet { why, for_good } = max_fds("web", &pids, 0).unwrap_err();
        assert!(
            !for_good
                && why
                    .to_string()
                    .starts_with(&format!("file descriptors of web: process {} has ", own())),
            "{why}"
        );
        for why in [
            max_rss("web", &[], None, 1),
            max_cpu("web", &[], None, Duration::MAX),
            max_fds("web", &[], 1),
            max_processes("web", &[], 1),
        ] {
            assert_eq!(why, Err(Unmet::from(Wrong::NotRunning("web".to_owned()))));
        }
    }
}
