//! `restart`.

use super::decode::{Decoder, Fields};
use super::leaf::{self, choice};
use super::time::{backoff, positive};
use super::{Restart, schema};

impl Decoder<'_> {
    /// `restart`.
    pub fn restart(&mut self, unit: &Fields) -> Restart {
        let Some(entry) = unit.entry("restart") else { return Restart::NO };
        let table = self.names("restart", Some(entry));
        let fields = self.fields(" in `restart`", schema::RESTART, table);
        let number = |node: &_, environment: &_| leaf::number(node, environment, 0..=1000_u32);
        Restart {
            when: self.get(&fields, "when", choice).unwrap_or_default(),
            max: self.get(&fields, "max", number),
            window: self.get(&fields, "window", positive).unwrap_or(Restart::WINDOW),
            backoff: self.get(&fields, "backoff", backoff).unwrap_or(Restart::BACKOFF),
            with: fields
                .entry("with")
                .map_or(Vec::new(), |with| self.unit_names("with", &with.node)),
        }
    }
}
