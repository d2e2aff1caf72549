//! `trcctl exec`.

mod pass;
mod terminal;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use signal_hook::consts::SIGPIPE;
use signal_hook::low_level::emulate_default_handler;

use super::ask::{NoAnswer, Trc};
use super::{Options, complain, failed};
use crate::config::reason;
use crate::status;
use crate::wire::{Exec, Executed};
use pass::Passed;
use terminal::{Lost, Terminal};

/// Runs a command as a unit, on the standard streams of `trcctl`, or on a terminal of its own that
/// stands for that of `trcctl`. Without `tty`, it gets a terminal if the standard input and output
/// are one. Returns the exit status of the command.
pub fn exec(options: &Options, unit: &str, command: &[String], tty: Option<bool>) -> u8 {
    let (input, output) = (io::stdin(), io::stdout());
    let tty = tty.unwrap_or_else(|| input.is_terminal() && output.is_terminal());
    let trc = Trc::at(options.socket.as_deref());
    let ask = |term| Exec { unit: unit.to_owned(), command: command.to_owned(), tty, term };
    let ended = if tty {
        if !input.is_terminal() {
            complain(&"--tty needs a terminal as its standard input");
            return status::USAGE;
        }
        match Terminal::new() {
            Ok(terminal) => match terminal.run(&trc, ask(std::env::var("TERM").ok())) {
                Ok(ended) => Ok(ended),
                Err(Lost::Answer(why)) => Err(why),
                Err(Lost::Output(why)) => return unwritten(&why),
            },
            Err(why) => {
                complain(&format_args!(
                    "cannot create a terminal for the command: {why}\n  help: this needs a devpts \
                     at /dev/pts; with --no-tty the command runs without a terminal"
                ));
                return 1;
            }
        }
    } else {
        let error = io::stderr();
        let streams = [input.as_fd(), output.as_fd(), error.as_fd()];
        trc.pass(ask(None), streams).and_then(Passed::answer)
    };
    told(ended)
}

/// Returns the exit status, and prints why the command could not be executed.
fn told(ended: Result<Executed, NoAnswer>) -> u8 {
    match ended {
        Ok(Executed { status, why, .. }) => {
            if let Some(why) = why {
                complain(&why);
            }
            status
        }
        Err(why) => failed(&why),
    }
}

/// Ends because the output takes no more. Returns the exit status.
fn unwritten(why: &io::Error) -> u8 {
    if why.kind() == io::ErrorKind::BrokenPipe {
        // Nobody reads any more, such as `head`. A program that writes to a pipe is terminated then, as
        // the command itself is if it writes to the output of `trcctl`. This does not return.
        _ = emulate_default_handler(SIGPIPE);
    }
    complain(&format_args!("cannot write the output of the command: {}", reason(why)));
    1
}
