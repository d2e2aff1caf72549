//! Information of the kernel about one process, from the files in `/proc/PID/`.

use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// The number of bytes after which reading a file stops. A command line may have 6 MiB.
const LONGEST: u64 = 128 * 1024;

/// The number of bytes to ask for first. Most of these files are shorter, and they have no size.
const USUAL: usize = 1024;

/// Reads a file of a process, or of `self`; `None` if there is no such process, or no `/proc`.
pub(crate) fn read(pid: impl std::fmt::Display, name: &str) -> Option<Vec<u8>> {
    read_up_to(LONGEST, &format!("/proc/{pid}/{name}"))
}

/// Reads a file of the kernel that may have any length.
pub(crate) fn read_all(path: std::fmt::Arguments<'_>) -> Option<Vec<u8>> {
    read_up_to(u64::MAX, &path.to_string())
}

fn read_up_to(longest: u64, path: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(USUAL);
    File::open(path).ok()?.take(longest).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Returns every visible process.
pub(crate) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Returns the number of open descriptors of a process, if the kernel tells: since Linux 6.2,
/// `proc_pid_fd(5)` has it as its size, so that nothing has to be listed.
pub(crate) fn open_fds(pid: i32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/fd")).ok().map(|fds| fds.len()).filter(|count| *count > 0)
}

/// The contents of `stat`: `proc_pid_stat(5)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    /// The name of the process, up to 15 bytes.
    pub comm: Vec<u8>,
    /// The state, as a letter.
    pub state: u8,
    /// The process ID of the parent.
    pub parent: i32,
    /// The process group.
    pub group: i32,
    /// `PF_…` of the kernel.
    flags: u32,
    /// CPU time in clock ticks: of the process itself, in user mode and in the kernel, and of the
    /// children that it has waited for.
    ticks: [u64; 4],
    /// The resident memory in pages.
    pages: u64,
}

impl Stat {
    /// Reads the file of a process; `None` if there is no such process.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Self::parse(&read(pid, "stat")?)
    }

    /// Parses the file. Its second field is the name in parentheses, which may itself contain
    /// parentheses.
    fn parse(text: &[u8]) -> Option<Self> {
        let (open, close) = (memchr::memchr(b'(', text)?, memchr::memrchr(b')', text)?);
        let comm = text.get(open + 1..close)?.to_owned();
        let rest = std::str::from_utf8(&text[close + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The numbers are those of proc_pid_stat(5): the state is the third field.
        let field = |number: usize| fields.get(number - 3);
        // A field that is not a number is unknown. The manual has some of them as signed.
        let tick = |number| field(number).and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(Self {
            comm,
            state: *field(3)?.as_bytes().first()?,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            flags: field(9).and_then(|text| text.parse().ok()).unwrap_or(0),
            ticks: [14, 15, 16, 17].map(tick),
            pages: tick(24),
        })
    }

    /// Returns whether the process is alive, and not a zombie.
    pub(crate) fn lives(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Returns whether the process is a kernel thread.
    pub(crate) fn is_kernel_thread(&self) -> bool {
        /// `include/linux/sched.h`.
        const PF_KTHREAD: u32 = 0x0020_0000;
        self.flags & PF_KTHREAD != 0
    }

    /// Returns the resident memory in bytes, which may lag behind a little.
    pub(crate) fn memory(&self) -> u64 {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        self.pages.saturating_mul(page.and_then(|page| u64::try_from(page).ok()).unwrap_or(4096))
    }

    /// Returns the CPU time of the process and of the children that it has waited for.
    pub(crate) fn cpu(&self) -> Duration {
        clock_ticks(&self.ticks)
    }

    /// Returns the CPU time of the process itself.
    pub(crate) fn own_cpu(&self) -> Duration {
        clock_ticks(&self.ticks[..2])
    }
}

/// Returns the time of all of these clock ticks.
fn clock_ticks(ticks: &[u64]) -> Duration {
    let second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let second = second.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0);
    // This is the value that Linux tells programs on every machine except alpha and ia64.
    time(ticks.iter().fold(0, |sum, ticks| sum.saturating_add(*ticks)), second.unwrap_or(100))
}

fn time(ticks: u64, second: u64) -> Duration {
    let nanos = u128::from(ticks % second) * 1_000_000_000 / u128::from(second);
    Duration::new(ticks / second, u32::try_from(nanos).unwrap_or(0))
}

/// The contents of `status`: `proc_pid_status(5)`.
pub(crate) struct Status(String);

impl Status {
    /// Reads the file of a process, or of `self`; `None` if there is no such process.
    pub(crate) fn of(pid: impl std::fmt::Display) -> Option<Self> {
        Some(Self(String::from_utf8_lossy(&read(pid, "status")?).into_owned()))
    }

    /// Returns a field by its name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values =
            self.0.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        values.next().map(str::trim)
    }

    /// Returns a set of capabilities such as `CapPrm`, or of signals, one bit each.
    pub(crate) fn bits(&self, set: &str) -> Option<u64> {
        u64::from_str_radix(self.field(set)?, 16).ok()
    }

    /// Returns whether the process catches, blocks or ignores this signal.
    pub(crate) fn handles(&self, signal: i32) -> bool {
        self.has_signal(signal, &["SigCgt", "SigBlk", "SigIgn"])
    }

    /// Returns whether the process has got SIGKILL and has not exited yet.
    pub(crate) fn is_being_killed(&self) -> bool {
        self.has_signal(libc::SIGKILL, &["SigPnd", "ShdPnd"])
    }

    fn has_signal(&self, signal: i32, sets: &[&str]) -> bool {
        let bit = u32::try_from(signal - 1).ok().and_then(|at| 1_u64.checked_shl(at)).unwrap_or(0);
        sets.iter().filter_map(|set| self.bits(set)).any(|set| set & bit != 0)
    }

    /// Returns the real and the effective user ID.
    pub(crate) fn uids(&self) -> Option<[u32; 2]> {
        let mut uids = self.field("Uid")?.split_ascii_whitespace().map(str::parse);
        Some([uids.next()?.ok()?, uids.next()?.ok()?])
    }

    /// Returns the resident memory in bytes. Kernel threads have none.
    pub(crate) fn rss(&self) -> Option<u64> {
        self.bytes("VmRSS")
    }

    /// Returns the peak resident memory in bytes.
    pub(crate) fn peak(&self) -> Option<u64> {
        self.bytes("VmHWM")
    }

    fn bytes(&self, name: &str) -> Option<u64> {
        let kibibytes: u64 = self.field(name)?.strip_suffix("kB")?.trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name_is() {
        let rest = "S 7 12 12 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 5 6 7";
        for name in ["sh", "a b", "a) S 1 (b", ")", "(", "", "\u{fffd}"] {
            let stat = Stat::parse(format!("12 ({name}) {rest}").as_bytes()).unwrap();
            assert_eq!(stat.comm, name.as_bytes());
            assert_eq!((stat.state, stat.parent, stat.group), (b'S', 7, 12), "{name}");
            assert_eq!(stat.ticks, [100, 20, 3, 1], "{name}");
            assert!(stat.lives() && !stat.is_kernel_thread(), "{name}");
        }
        let odd = Stat::parse(b"12 (\xff) Z 0 0 0 0 -1 2129984 0 0 0 0 -1 x").unwrap();
        assert_eq!((odd.comm.as_slice(), odd.ticks), (b"\xff".as_slice(), [0; 4]));
        assert!(!odd.lives() && odd.is_kernel_thread());
        for broken in ["", "12", "12 (sh)", "12 (sh) S", "12 )sh( S 1 1", "12 (sh) S x 1"] {
            assert_eq!(Stat::parse(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn ticks_are_time() {
        assert_eq!(time(0, 100), Duration::ZERO);
        assert_eq!(time(250, 100), Duration::from_millis(2500));
        assert_eq!(time(1, 1024), Duration::from_nanos(976_562));
        assert_eq!(time(u64::MAX, 1).as_secs(), u64::MAX);
    }

    #[test]
    fn fields_of_status_are_found_by_their_whole_names() {
        let status = Status("Name:\tUid:\nUid:\t1 2 3 4\nVmRSS:\t  12 kB\nCapBnd:\t0f\n".into());
        assert_eq!(status.field("Uid"), Some("1 2 3 4"));
        assert_eq!(status.field("Ui"), None);
        assert_eq!(status.uids(), Some([1, 2]));
        assert_eq!(status.rss(), Some(12 * 1024));
        assert_eq!(status.bits("CapBnd"), Some(15));
        let broken = Status("Uid:\t1\nVmRSS:\t99999999999999999999 kB\nCapBnd:\n".into());
        assert_eq!((broken.uids(), broken.rss()), (None, None));
        assert_eq!(broken.bits("CapBnd"), None);
    }

    #[test]
    fn this_process_is_known() {
        let own = std::process::id().cast_signed();
        let stat = Stat::of(own).unwrap();
        assert_eq!(stat.parent, nix::unistd::getppid().as_raw());
        assert_eq!(stat.group, nix::unistd::getpgrp().as_raw());
        assert!(stat.lives() && !stat.is_kernel_thread() && pids().contains(&own));
        let status = Status::of("self").unwrap();
        assert_eq!(status.uids().unwrap()[1], nix::unistd::geteuid().as_raw());
        assert!(status.rss().unwrap() > 0 && status.bits("CapBnd").is_some());
        assert_eq!(Stat::of(-1), None);
    }
}
