//! The boot state: the state that a boot script leaves, and its restoration in later shells.

mod bash;
mod environment;
mod fields;
mod names;
mod posix;
mod restore;

use std::ffi::OsString;
use std::os::unix::fs::FileExt;

use fields::Fields;
use restore::{difference, limits};

use super::outside::{is_builtin, is_withheld};
use super::{Kind, Own, Saved, quote};

/// The largest state that a shell may leave, in bytes.
const MAX_STATE: u64 = 128 << 20;

/// The state that a boot script has left, which the next boot script and all later shell units get.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct State {
    env: Vec<(OsString, OsString)>,
    oversize: Vec<OsString>,
    args: Vec<OsString>,
    /// The setting of xtrace, if a boot script has changed it.
    pub(super) xtrace: Option<bool>,
    /// Shell text that comes before the functions, because `extglob` changes how they are read.
    shopts: Vec<u8>,
    variables: Vec<u8>,
    functions: Vec<u8>,
    umask: Vec<u8>,
    limits: Vec<u8>,
    /// The working directory, if it has changed, and `OLDPWD` then.
    cwd: Vec<u8>,
    old_cwd: Vec<u8>,
    /// Shell text that comes last, because `set -auv` and aliases must not affect the rest.
    options: Vec<u8>,
    aliases: Vec<u8>,
}

impl State {
    /// The exported variables: the complete environment of later units. It lacks variables that are
    /// too long for the kernel: see [`Self::oversize`].
    pub(crate) fn environment(&self) -> &[(OsString, OsString)] {
        &self.env
    }

    /// Exported variables of more than 128 KiB, which the kernel does not pass to programs. Shell
    /// units get them nevertheless, and exec units do not.
    pub(crate) fn oversize(&self) -> &[OsString] {
        &self.oversize
    }

    /// The positional parameters.
    pub(crate) fn args(&self) -> &[OsString] {
        &self.args
    }

    /// Reads the state that a shell has left after its exit. `given` is the environment that it was
    /// started with. Returns `None` if it left nothing: it failed, was killed, or became another
    /// program.
    ///
    /// # Errors
    /// Returns the reason why that cannot be read, as text.
    pub(crate) fn read(
        saved: &Saved,
        given: &[(OsString, OsString)],
    ) -> Result<Option<Self>, String> {
        let length =
            saved.file.metadata().map_err(|e| format!("cannot read the boot state: {e}"))?.len();
        // The script has the descriptor while it runs, and can write anything to it.
        if length > MAX_STATE {
            return Err(format!("it has {length} bytes, more than the maximum of {MAX_STATE}"));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|e| e.to_string())?];
        saved
            .file
            .read_exact_at(&mut bytes, 0)
            .map_err(|e| format!("cannot read the boot state: {e}"))?;
        let marker = b"\0trc-state\0";
        let starts: Vec<usize> = memchr::memmem::find_iter(&bytes, marker).collect();
        let Some(&first) = starts.first().filter(|_| saved.keep) else { return Ok(None) };
        // Take the last complete state: a subshell with an EXIT trap of its own may have written
        // one before, and `trc-state` may be one of the arguments.
        let complete = starts.iter().rev().find_map(|at| {
            let found = Fields(&bytes[..first]);
            let left = Fields(&bytes[at + marker.len()..]);
            match saved.kind {
                Kind::Bash => Self::bash(saved, given, found, left),
                Kind::Posix => Self::posix(saved, given, found, left),
            }
        });
        complete
            .map(Some)
            .ok_or_else(|| "the shell could not write all of the boot state".to_owned())
    }

    /// Reads the umask, the working directory and the limits, if the script has changed them. If
    /// the unit had set its own, the earlier values stay.
    fn surroundings(&mut self, saved: &Saved, found: &mut Fields, left: &mut Fields) -> Option<()> {
        let mut pair = || Some((found.next()?, left.next()?));
        let (umask_before, umask) = pair()?;
        let (cwd_before, cwd) = pair()?;
        let (soft_before, soft) = pair()?;
        let (hard_before, hard) = pair()?;
        if umask != umask_before {
            self.umask = [b"umask ", umask.trim_ascii(), b"\n"].concat();
        } else if saved.own.umask {
            self.umask.clone_from(&saved.before.umask);
        }
        if cwd != cwd_before {
            let cwd = cwd.strip_suffix(b"\n").unwrap_or(cwd);
            if !cwd.is_empty() {
                self.cwd = cwd.to_vec();
            }
        } else if saved.own.cwd {
            self.cwd.clone_from(&saved.before.cwd);
            self.old_cwd.clone_from(&saved.before.old_cwd);
        }
        let soft = limits(saved.kind, soft_before, soft);
        let hard = limits(saved.kind, hard_before, hard);
        // A soft limit is lowered before the hard limit, and raised after it.
        for (flag, changed) in [("-S", &soft), ("-H", &hard), ("-S", &soft)] {
            for (letter, value) in changed {
                let line = format!("ulimit {flag} -{letter} {value} 2>&- || :\n");
                self.limits.extend_from_slice(line.as_bytes());
            }
        }
        Some(())
    }

    /// Reads the options, and for bash the `shopt` options, that the script has changed. Those that
    /// trc has turned on for this script alone stay as they were.
    fn changed_options(
        &mut self,
        saved: &Saved,
        (options_before, options): (&[u8], &[u8]),
        (shopts_before, shopts): (&[u8], &[u8]),
    ) {
        let own = saved.stage_options.as_slice();
        difference(&mut self.options, ("set -o", "set +o"), options_before, options, own);
        difference(&mut self.shopts, ("shopt -s", "shopt -u"), shopts_before, shopts, own);
        for (lines, before) in
            [(&mut self.options, &saved.before.options), (&mut self.shopts, &saved.before.shopts)]
        {
            let kept = before.split_inclusive(|byte| *byte == b'\n').filter(|line| {
                own.iter().any(|name| line.trim_ascii_end().ends_with(name.as_bytes()))
            });
            kept.for_each(|line| lines.extend_from_slice(line));
        }
    }

    fn came_from(&mut self, old: &[u8]) {
        if self.old_cwd.is_empty() {
            self.old_cwd = old.to_vec();
        }
    }

    fn trace(&mut self, saved: &Saved, flags: &[u8]) {
        let traced = flags.contains(&b'x');
        self.xtrace = if traced == saved.xtrace { saved.before.xtrace } else { Some(traced) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    fn saved(kind: Kind, bytes: &[u8]) -> Saved {
        let file = File::from(memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap());
        file.write_all_at(bytes, 0).unwrap();
        let (own, before) = (Own::default(), State::default());
        Saved {
            file,
            kind,
            own,
            xtrace: false,
            stage_options: Vec::new(),
            keep: true,
            text: None,
            set: Vec::new(),
            before,
        }
    }

    const BASH: &[u8] = b"0022\n\0/\n\0x  (-n) 5\n\0x  (-n) 9\n\0+ trace\n\0trc-state\0ehB\0a:b\0b:c\0\0s\0\
        0027\n\0/usr\n\0x  (-n) 4\n\0x  (-n) 9\n\0declare -x e=\"v\"\ndeclare -a a=([0]=\"1\")\n\
        declare -- p=$'\\n'\n\0declare -fx f\ndeclare -f g\n\0f () \n{ \n    :\n} 2>&1\ng () \n{ \n    :\n}\n\0\
        alias x='y'\n\x002\0trc-state\0b\0end\0";

    const POSIX: &[u8] = b"0022\n\0/\n\x005\n\x009\n\0set +o u\n\0\0trc-state\0e\x000027\n\0/usr\n\x004\n\x009\n\0\
        set -o u\n\0export e='v'\nexport n\n\0readonly e='v'\n\0e='v'\np='x\n'\n\x001\0trc-state\0end\0";

    #[test]
    fn what_each_shell_writes_is_read() {
        for (kind, bytes) in [(Kind::Bash, BASH), (Kind::Posix, POSIX)] {
            let state = State::read(&saved(kind, bytes), &[]).unwrap().unwrap();
            assert_eq!(
                state.environment()[state.environment().len() - 1],
                ("e".into(), "v".into())
            );
            assert_eq!(state.args()[0], "trc-state");
            assert_eq!(
                (state.umask.as_slice(), state.cwd.as_slice()),
                (&b"umask 0027\n"[..], &b"/usr"[..])
            );
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_an_error_or_nothing_and_never_a_panic() {
        for (kind, bytes) in [(Kind::Bash, BASH), (Kind::Posix, POSIX)] {
            for length in 0..bytes.len() {
                let read = State::read(&saved(kind, &bytes[..length]), &[]);
                assert!(matches!(read, Ok(None) | Err(_)), "{length}: {read:?}");
            }
            // A wrong byte must not do any harm either.
            for at in 0..bytes.len() {
                for byte in *b"\0\n'\"(= \\$" {
                    let mut odd = bytes.to_vec();
                    odd[at] = byte;
                    let _ = State::read(&saved(kind, &odd), &[]);
                }
            }
        }
    }
}
