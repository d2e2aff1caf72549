//! The output and the standard input of units.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};

use super::problem::Problem;
use crate::config::{Config, Output, Placed, Stage, Stdin, StdinWord, Unit, reason};
use crate::run::os::fd::null;
use crate::run::os::trusted;
use crate::words::Unprepared;

/// Returns where a unit's output goes: where its own settings say; else to its own terminal; else,
/// for background units, where `[log] output` says; else, for declared units, through trc.
///
/// In a test run, no unit inherits trc's standard streams: standard output is for the report, and
/// tests ask for the output of units.
pub(crate) fn output(config: &Config, unit: &Unit) -> Output {
    match config.output_of(unit) {
        Output::Inherit if config.testing.is_some() && unit.own_terminal().is_none() => {
            Output::Prefix
        }
        output => output,
    }
}

/// Opens a unit's standard input; returns `None` if it is trc's own.
///
/// # Errors
/// Returns why it cannot be opened.
pub(crate) fn stdin(unit: &Unit) -> Result<Option<OwnedFd>, Problem> {
    let Some(Placed { value, origin }) = &unit.identity.stdin else {
        let nothing = unit.stage == Stage::Async && unit.own_terminal().is_none();
        return Ok(if nothing { Some(null(false)?) } else { None });
    };
    match value {
        Stdin::Word(StdinWord::Inherit) => Ok(None),
        Stdin::Word(StdinWord::Null) => Ok(Some(null(false)?)),
        Stdin::File(path) => {
            // Opening a FIFO does not wait for its writer, but the unit's own reads do.
            let opened = trusted::open(path, OFlag::O_RDONLY)
                .map(OwnedFd::from)
                .and_then(|fd| Ok(fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty())).map(|_| fd)?))
                .and_then(|fd| if is_directory(&fd)? { Err(Errno::EISDIR.into()) } else { Ok(fd) });
            opened.map(Some).map_err(|error| {
                let why = Unprepared::NoFile(path.clone(), reason(&error));
                Problem::kernel(why.at(origin), &error)
            })
        }
    }
}

fn is_directory(fd: &OwnedFd) -> nix::Result<bool> {
    let kind = SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT;
    Ok(kind == SFlag::S_IFDIR)
}
