//! The main processes of units that put themselves into the background: `pid_file`.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::super::notify::main_pid;
use super::super::probe::file::Stamp;
use super::Supervisor;
use crate::config::{Unit, reason};
use crate::engine::{Detail, Ending, Event, NotMain, Notice};
use crate::graph::UnitId;
use crate::run::os::file::{self, Unreadable};
use crate::run::os::proc::Stat;
use crate::run::os::{kin, trusted};
use crate::words::{self, Observed};

/// The most bytes of a file with a process ID and perhaps white space.
const MOST: u64 = 64;

/// The search for the main process of a unit with a `pid_file`.
pub(super) struct Sought {
    /// The file. A new configuration may name another one for the next start.
    path: PathBuf,
    /// Whether another process stands in for it, because the one that trc has started has exited.
    stands_in: bool,
    /// The file as it was before the start, if it could not be removed.
    stale: Option<Stamp>,
    /// The last thing that was wrong with the file, and whether the log has it.
    wrong: Option<(NotMain, bool)>,
}

impl Supervisor {
    /// Removes the file that an earlier start, or an earlier life of the container, has left.
    pub(super) fn remove_pid_file(&mut self, id: UnitId, unit: &Unit) {
        self.units[id.0].sought = None;
        let Some(path) = unit.pid_file.as_ref().map(|file| &file.value) else { return };
        let removed = trusted::locate(path).and_then(|place| Ok(place.remove()?));
        let kept = removed.err().filter(|error| error.kind() != ErrorKind::NotFound);
        if let Some(error) = &kept {
            self.observed(&Observed::PidFileStays(id, path, &reason(error)));
        }
        let stale = kept.and_then(|_| Stamp::of(path));
        self.units[id.0].sought =
            Some(Sought { path: path.clone(), stands_in: false, stale, wrong: None });
    }

    /// Looks whether the file names the main process of a unit.
    pub(super) fn seek(&mut self, id: UnitId) {
        let background = self.units[id.0].sought.as_ref().is_some_and(|sought| sought.stands_in);
        let event = match self.named_by_file(id) {
            Ok(pid) => Event::Notified { unit: id, notice: Notice::MainPid(pid) },
            // The file may still change.
            Err(_) if !background => Event::Unfound { unit: id, why: None },
            Err(why) => {
                self.say_of_pid_file(id, &why);
                Event::Unfound { unit: id, why: Some(Detail::NotMain(why)) }
            }
        };
        self.events.push_back(event);
    }

    /// Makes the process that the file names the main process of a unit, if the process may be that.
    fn named_by_file(&mut self, id: UnitId) -> Result<i32, NotMain> {
        let pid = self.number_in_file(id)?;
        let held = &self.units[id.0];
        let lives = || Stat::of(pid).is_none_or(|stat| stat.lives());
        if held.pid == Some(pid) && lives() {
            return Ok(pid);
        }
        let takes_over = held.sought.as_ref().is_some_and(|sought| sought.stands_in)
            && self.is_in_background(id, pid)
            && self.make_main(id, pid);
        if takes_over { Ok(pid) } else { Err(NotMain::Stranger(pid)) }
    }

    fn number_in_file(&self, id: UnitId) -> Result<i32, NotMain> {
        let Some(sought) = &self.units[id.0].sought else { return Err(NotMain::NoNumber) };
        let path = &sought.path;
        let is_stale = sought.stale.is_some() && Stamp::of(path) == sought.stale;
        let text = file::read(path, MOST).map_err(|why| match why {
            Unreadable::Kernel(error) if error.kind() == ErrorKind::NotFound => NotMain::Missing,
            why => NotMain::Unreadable(why.to_string()),
        })?;
        if is_stale {
            return Err(NotMain::OldFile);
        }
        number(&text).ok_or(NotMain::NoNumber)
    }

    /// Returns whether a process is alive and belongs to this start of a unit, and to no other unit.
    fn is_in_background(&self, id: UnitId, pid: i32) -> bool {
        let own = std::process::id().cast_signed();
        let ancestry = kin::ancestry(pid).unwrap_or_default();
        if !ancestry.contains(&own) || self.children.own.contains_key(&pid) || pid == own {
            return false;
        }
        let its = match self.birthmarks.unit_of(pid) {
            Some(unit) => unit == id,
            None => self.belongs(id, pid, &ancestry),
        };
        its && Stat::of(pid).is_some_and(|stat| stat.lives())
    }

    /// Lets another process of a unit stand in for its main process, which has been reaped, if that
    /// has put the unit into the background. Returns whether the unit goes on.
    pub(super) fn goes_on(&mut self, id: UnitId, pid: i32, ending: Ending) -> bool {
        let seeks = self.units[id.0]
            .sought
            .as_ref()
            .is_some_and(|sought| sought.stands_in || ending == Ending::Code(0));
        // A unit that trc stops does not go on: the processes that it leaves are stopped, too.
        if !seeks || !self.engine.is_watched(id) {
            return false;
        }
        self.left_by(id, pid);
        let mut others = std::mem::take(&mut self.units[id.0].adopted);
        if others.is_empty() {
            // The unit may have no birthmark.
            let named = self.number_in_file(id).ok();
            others.extend(named.filter(|pid| self.is_in_background(id, *pid)));
        }
        let Some(other) = others.into_iter().find(|other| self.make_main(id, *other)) else {
            return false;
        };
        if let Some(sought) = &mut self.units[id.0].sought {
            sought.stands_in = true;
        }
        self.events.push_back(Event::Notified { unit: id, notice: Notice::StandIn(other) });
        true
    }

    /// Logs the problem with the file of a unit, once in a row, unless the file may not be written yet. The
    /// problem has to be there twice: trc cannot tell that a process that is just executing a program
    /// belongs to the unit.
    fn say_of_pid_file(&mut self, id: UnitId, why: &NotMain) {
        let Some(sought) = &mut self.units[id.0].sought else { return };
        let early = matches!(why, NotMain::Missing | NotMain::NoNumber);
        let (lasts, said) = match &sought.wrong {
            Some((before, said)) if before == why => (true, *said),
            Some(_) | None => (false, false),
        };
        let says = lasts && !said && !early;
        sought.wrong = Some((why.clone(), said || says));
        if says {
            let why = words::detail(&self.graph, id, &Detail::NotMain(why.clone()));
            self.observed(&Observed::NotMain(id, &why));
        }
    }
}

/// Returns the process ID in a text.
fn number(text: &[u8]) -> Option<i32> {
    main_pid(std::str::from_utf8(text).ok()?.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_file_has_the_number_of_one_process() {
        for (text, pid) in [
            ("4711\n", Some(4711)),
            ("  4711 ", Some(4711)),
            ("", None),
            ("\n", None),
            ("0", None),
            ("1\n", None),
            ("-4711", None),
            ("+4711", None),
            ("4711 4712", None),
            ("4711\0", None),
            ("4294967297", None),
            ("99999999999999999999", None),
            ("nginx", None),
        ] {
            assert_eq!(number(text.as_bytes()), pid, "{text:?}");
        }
        assert_eq!(number(b"\xff"), None);
    }
}
