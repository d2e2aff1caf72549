//! The witness's view of units that put themselves into the background: `pid_file`.

use super::super::marks::Mark;
use super::super::plan::ms;
use super::{Verdict, Witness, expect_of};
use crate::engine::{Ending, Notice, Tick};

/// The delay before the second look at a file, if nothing else limits it.
const SOON: Tick = Tick::from_millis(10);

/// The search for the main process of a unit.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) struct Search {
    next: Option<Tick>,
    wait: Tick,
    /// Whether a daemon stands in for the main process.
    behind: bool,
    /// Whether the unit is ready but for the search.
    pub shown: bool,
}

impl Witness<'_> {
    /// Handles the execution of a unit.
    pub(super) fn begin_search(&mut self, at: usize) {
        let unit = &self.plan.units[at];
        let wait = unit.ready.map_or(SOON, |ready| SOON.min(ms(ready.every)));
        self.units[at].watch.search = unit.pid_file.map(|file| Search {
            next: Some(self.now + wait),
            wait,
            behind: false,
            shown: file.alone,
        });
    }

    /// A process that stands in for the main process of a unit that is to stop is to stop as well.
    pub(super) fn tells_the_stand_in(&mut self, at: usize, notice: Notice) {
        let seen = &mut self.units[at];
        let told = seen.told.is_some() && seen.killed.is_none() && !seen.by_command && !seen.rested;
        if told && matches!(notice, Notice::StandIn(_)) {
            seen.owes_signal = true;
            self.mark(Mark::ToldTheStandIn);
        }
    }

    /// Handles that a watched unit goes on in the background.
    pub(super) fn goes_on(&mut self, at: usize) {
        let every = self.plan.units[at].ready.map_or(SOON, |ready| ms(ready.every));
        let watch = &mut self.units[at].watch;
        if let Some(search) = &mut watch.search {
            (search.behind, search.next, search.wait) = (true, None, SOON.min(every));
            watch.owes_look = true;
            self.mark(Mark::WentOn);
        }
    }

    /// Handles a file that is of no use.
    pub(super) fn is_not_found(&mut self, at: usize) {
        let every = self.plan.units[at].ready.map_or(SOON, |ready| ms(ready.every));
        let (watched, now) = (self.is_watched(at), self.now);
        if let Some(search) = self.units[at].watch.search.as_mut().filter(|_| watched) {
            search.next = Some(now + search.wait);
            search.wait = (search.wait * 2).min(every);
        }
    }

    /// Handles that the main process of a watched unit is known. It may be the one that trc has
    /// started.
    pub(super) fn finds_main(&mut self, at: usize, same: bool) {
        let Some(search) = self.units[at].watch.search.take() else { return };
        let foreground = same && !search.behind;
        self.units[at].owes_main_process = Some(foreground);
        self.mark(if foreground { Mark::StayedInTheForeground } else { Mark::FoundMain });
        if search.shown {
            self.is_ready(at);
        } else {
            self.mark(Mark::FoundMainEarly);
        }
    }

    /// Returns whether a unit whose time to be ready is up needs no `pid_file`.
    pub(super) fn stays(&mut self, at: usize) -> bool {
        let stays = self.units[at].watch.search.is_some_and(|it| it.shown && !it.behind);
        if stays {
            self.finds_main(at, true);
        }
        stays
    }

    /// The next look at the file of a watched unit may be due.
    pub(super) fn look_is_due(&mut self, at: usize) {
        let watch = &mut self.units[at].watch;
        if let Some(search) = &mut watch.search {
            watch.owes_look |= search.next.take_if(|next| *next <= self.now).is_some();
        }
    }

    /// Returns whether the end of a process that was not told to stop means that its unit has failed.
    pub(super) fn is_lost(&mut self, at: usize, ending: Ending) -> bool {
        let seen = &self.units[at];
        let told = seen.told.is_some() || seen.killed.is_some();
        let search = seen.watch.search.filter(|_| !told);
        let lost = search.is_some_and(|search| search.behind || ending == Ending::Code(0));
        if lost {
            self.mark(Mark::Lost);
        }
        lost
    }

    /// Checks that a file is looked at when that is due.
    pub(super) fn looks_at_file(&mut self, at: usize) -> Verdict {
        let owed = std::mem::take(&mut self.units[at].watch.owes_look);
        expect_of(at, owed, "a pid_file is looked at only when it is due")
    }

    /// Checks that people are told which process is the main process.
    pub(super) fn knows_main(&mut self, at: usize, foreground: bool) -> Verdict {
        let owed = self.units[at].owes_main_process.take();
        expect_of(at, owed == Some(foreground), "people are told once who the main process is")
    }

    /// Checks, after a step, that nothing is missing.
    pub(super) fn after_search(&self, at: usize) -> Verdict {
        let seen = &self.units[at];
        let owed = seen.watch.owes_look && self.is_watched(at);
        expect_of(at, !owed, "a pid_file is looked at as soon as it is due")?;
        let told = seen.owes_main_process.is_none();
        expect_of(at, told, "people are told who the main process is")
    }
}
