//! The last records of a stream, in bounded memory.

use std::collections::VecDeque;

use crate::wire::Entry;

/// The number of records that are kept.
pub(super) const KEEP: usize = 2000;
/// The number of bytes of their texts.
pub(super) const KEEP_BYTES: usize = 4 * 1024 * 1024;
/// The number of bytes that are kept of one text. The rest of a longer line is cut off.
pub(super) const LONGEST: usize = 16 * 1024;

/// The last records.
#[derive(Default, Debug)]
pub(super) struct Records {
    kept: VecDeque<Entry>,
    bytes: usize,
}

impl Records {
    /// Adds a record, and forgets the first ones if there are too many.
    pub(super) fn push(&mut self, mut entry: Entry) {
        match &mut entry {
            Entry::Written(line) => cut(&mut line.line),
            Entry::Said(said) => cut(&mut said.message),
            Entry::Gap(_) => {}
        }
        self.bytes += text(&entry).len();
        self.kept.push_back(entry);
        while self.kept.len() > KEEP || self.bytes > KEEP_BYTES {
            let Some(first) = self.kept.pop_front() else { return };
            self.bytes -= text(&first).len();
        }
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the records, the first ones first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.kept.iter()
    }
}

/// Returns the text of a record, of which a line may be long.
fn text(entry: &Entry) -> &str {
    match entry {
        Entry::Written(line) => &line.line,
        Entry::Said(said) => &said.message,
        Entry::Gap(_) => "",
    }
}

/// Cuts a text that is too long.
fn cut(text: &mut String) {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST - '…'.len_utf8()));
        text.push('…');
        text.shrink_to_fit();
    }
}
