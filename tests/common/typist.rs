//! A program on a terminal of its own, and somebody who types.

use std::fs::File;
use std::io::Write;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use nix::sys::termios::{LocalFlags, tcgetattr};

use super::{Outcome, Running, Trc, terminal};

/// A program that leads the session of a terminal, as in `docker run -it`.
pub(crate) struct Typist {
    running: Running,
    pub(crate) master: OwnedFd,
    pub(crate) slave: OwnedFd,
}

impl Typist {
    /// Starts the program. The standard streams that it has not been given yet are the terminal, of
    /// 24 by 80 characters.
    pub(crate) fn new(program: Trc) -> Self {
        let pty = terminal();
        stty(&pty.slave, "rows 24 cols 80");
        let running = program.terminal(&pty.slave).wrap(&["setsid", "--ctty"]).spawn();
        running.read_terminal(&pty.master);
        Self { running, master: pty.master, slave: pty.slave }
    }

    pub(crate) fn type_in(&self, text: &str) -> &Self {
        File::from(self.master.try_clone().unwrap()).write_all(text.as_bytes()).unwrap();
        self
    }

    /// Changes the terminal, as stty(1) does. Each number of a size is a change.
    pub(crate) fn stty(&self, words: &str) {
        stty(&self.slave, words);
    }

    /// Returns whether the terminal shows what is typed, line by line, as it does without a program
    /// that has changed it.
    pub(crate) fn is_as_usual(&self) -> bool {
        let flags = tcgetattr(&self.slave).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    #[track_caller]
    pub(crate) fn finish(self) -> Outcome {
        let Self { running, master, slave } = self;
        running.wait_for_end();
        // The terminal ends for its reader once nobody has this side.
        drop(slave);
        let outcome = running.finish();
        drop(master);
        outcome
    }
}

impl Deref for Typist {
    type Target = Running;
    fn deref(&self) -> &Running {
        &self.running
    }
}

/// Changes a terminal.
pub(crate) fn stty(terminal: &OwnedFd, words: &str) {
    let terminal = Stdio::from(terminal.try_clone().unwrap());
    let mut stty = Command::new("stty");
    assert!(stty.args(words.split(' ')).stdin(terminal).status().unwrap().success());
}
