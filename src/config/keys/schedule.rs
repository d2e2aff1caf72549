//! Reads `schedule`.

use super::SCHEDULE;
use super::decode::{At, Decoder};
use crate::config::leaf::{self, Leaf, Problem};
use crate::config::value::{Entry, Node};
use crate::config::{Environment, Placed, Schedule, seconds};
use crate::schedule::{self, Zone};

impl Decoder<'_> {
    /// Reads `schedule`.
    pub(super) fn schedule(&mut self, at: &At, entry: &Entry) -> Option<Box<Schedule>> {
        let fields = self.table(at, entry, SCHEDULE)?;
        let mut schedule = Box::<Schedule>::default();
        self.schedule_keys(&fields, &mut schedule);
        if fields.entry("when").is_none() {
            let help = "write when = \"*/5 * * * *\", when = \"@daily\" or when = \"every 15m\"";
            let message = format!("`{at}`: `when` is missing");
            self.error(&entry.key, message, Some(help.to_owned()));
        }
        let interval = schedule.when.as_ref().and_then(|when| when.value.interval());
        if let Some(interval) = interval.filter(|interval| schedule.jitter >= *interval)
            && let Some(entry) = fields.entry("jitter")
        {
            let message = format!(
                "`{at}.jitter`: a delay has to be shorter than the {} from run to run",
                seconds(interval)
            );
            self.error(&entry.node.origin, message, None);
        }
        Some(schedule)
    }

    /// Reads the times of a schedule.
    pub(super) fn due(&mut self, at: &At, entry: &Entry) -> Option<Placed<schedule::Schedule>> {
        self.placed(at, entry, |node: &Node, environment: &Environment| -> Leaf<_> {
            let text = leaf::text(node, environment)?;
            schedule::Schedule::parse(&text).map_err(|wrong| {
                let problem = Problem::new(wrong.to_string()).at(wrong.at.start);
                Problem { help: wrong.help(), ..problem }
            })
        })
    }

    /// Reads the name of a time zone, which has to exist.
    pub(super) fn zone(&mut self, at: &At, entry: &Entry) -> Option<Placed<Zone>> {
        self.placed(at, entry, |node: &Node, environment: &Environment| -> Leaf<_> {
            let name = leaf::text(node, environment)?;
            let directory = leaf::lookup(environment, "TZDIR");
            Zone::named(&name, directory.as_deref()).map_err(|why| Problem::new(why.to_string()))
        })
    }
}
