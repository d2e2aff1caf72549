//! The terminal of `trcctl top`: it is left as it was, whatever happens.

use std::io::{self, BufWriter, Stdout};
use std::mem::ManuallyDrop;

use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::unistd::Pid;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::{Position, Rect};

use super::state::State;
use super::view::view;
use crate::ctl::live::Color;
use crate::ctl::live::patient::Patient;

/// The screen, while it is in use.
pub(super) struct Screen {
    /// It is never dropped: it would print an error to a terminal that is gone, and panic.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Output>>>,
    color: Color,
}

impl Screen {
    /// Takes the screen over.
    ///
    /// # Errors
    /// Returns why the terminal cannot be used.
    pub(super) fn open(color: Color) -> io::Result<Self> {
        let usual = std::panic::take_hook();
        // A panic of any thread ends the process, with its message on the usual screen.
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            usual(panic);
            std::process::exit(i32::from(crate::status::SOFTWARE));
        }));
        enter()?;
        match Terminal::new(CrosstermBackend::new(output())) {
            Ok(terminal) => Ok(Self { terminal: ManuallyDrop::new(terminal), color }),
            Err(why) => {
                leave();
                Err(why)
            }
        }
    }

    /// Draws the state.
    ///
    /// # Errors
    /// Returns why the terminal takes nothing any more.
    pub(super) fn draw(&mut self, state: &State) -> io::Result<()> {
        self.terminal.draw(|frame| view(state, self.color, frame)).map(drop)
    }

    /// Draws everything the next time, because the terminal may show something else.
    ///
    /// # Errors
    /// Returns why the terminal takes nothing any more.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        enter()?;
        // `Terminal::clear` asks the terminal where the cursor is, and the thread that reads keys would
        // get the answer.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Suspends the process, as Ctrl-Z does, and takes the screen over again once it goes on.
    ///
    /// # Errors
    /// Returns why the terminal takes nothing any more.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        leave();
        let stop: SigSet = [Signal::SIGTSTP].into_iter().collect();
        stop.thread_unblock()?;
        // The whole foreground group, as the terminal does it: a script may wait for this process.
        // If there is no shell that could let it go on, the kernel ignores this.
        kill(Pid::from_raw(0), Signal::SIGTSTP)?;
        stop.thread_block()?;
        self.forget()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

type Output = BufWriter<Patient<Stdout>>;

fn output() -> Output {
    BufWriter::new(Patient(io::stdout()))
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(output(), EnterAlternateScreen, EnableBracketedPaste)
}

fn leave() {
    // Each of these is worth trying, even if the other ones fail.
    _ = execute!(
        output(),
        DisableBracketedPaste,
        LeaveAlternateScreen,
        ratatui::crossterm::cursor::Show
    );
    _ = disable_raw_mode();
}

/// Ends the process by a signal that it has blocked, so that its parent sees which one it was.
pub(super) fn end_by(signal: Signal) -> u8 {
    _ = [signal].into_iter().collect::<SigSet>().thread_unblock();
    _ = raise(signal);
    crate::status::of_signal(signal as i32)
}
