//! The connections of clients: as many as trc itself would stand, and no more.
//!
//! If there are too many, one goes: first of those that have not sent a whole request, and otherwise
//! of those that take their answer the slowest. So whoever holds connections open keeps nobody else
//! out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The largest number of connections. Each needs at most one client of trc, which has 200.
const MOST: usize = 100;

/// All connections.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    next: u64,
    all: BTreeMap<u64, Connection>,
}

struct Connection {
    task: AbortHandle,
    /// Whether it is about to be answered, or a stream.
    answered: bool,
    /// When it last sent a request, or took a part of a stream.
    since: Instant,
}

/// The place of a connection among all.
#[derive(Clone)]
pub(super) struct Place {
    number: u64,
    among: Connections,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a connection. If there are too many, another one goes.
    pub(super) fn spawn<F>(&self, serve: impl FnOnce(Place) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut table = self.lock();
        if table.all.len() >= MOST
            && let Some(number) = table.slowest()
            && let Some(gone) = table.all.remove(&number)
        {
            gone.task.abort();
        }
        let number = table.next;
        table.next += 1;
        let among = self.clone();
        let serves = serve(Place { number, among: among.clone() });
        let task = tokio::spawn(async move {
            serves.await;
            among.lock().all.remove(&number);
        });
        let connection =
            Connection { task: task.abort_handle(), answered: false, since: Instant::now() };
        table.all.insert(number, connection);
    }
}

impl Table {
    fn slowest(&self) -> Option<u64> {
        let order = |(_, one): &(&u64, &Connection)| (one.answered, one.since);
        self.all.iter().min_by_key(order).map(|(number, _)| *number)
    }
}

impl Place {
    fn change(&self, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.among.lock().all.get_mut(&self.number) {
            connection.since = Instant::now();
            change(connection);
        }
    }

    /// A request is complete.
    pub(super) fn begins(&self) {
        self.change(|connection| connection.answered = true);
    }

    /// The request is answered, and the connection waits for another one.
    pub(super) fn ends(&self) {
        self.change(|connection| connection.answered = false);
    }

    /// A stream goes on: its client takes more of it.
    pub(super) fn goes_on(&self) {
        self.change(|connection| connection.answered = true);
    }
}
