//! Connects the macros of the `log` crate to the journal, with `env_logger`.

use std::io;

use env_logger::{Builder, Logger, Target};
use log::{LevelFilter, Log, Metadata, Record};

use super::super::stream::Kind;
use super::Journal;
use crate::journal::{line, main_entry};

/// Two loggers, because each `env_logger` has one target: one for info and below, and one for
/// warnings and errors.
pub(super) struct Split {
    out: Logger,
    err: Logger,
}

/// The journal as a writer. Each write is one whole line.
struct Pipe {
    journal: Journal,
    level: log::Level,
}

pub(super) fn install(journal: &Journal) -> Result<(), log::SetLoggerError> {
    log::set_boxed_logger(Box::new(split(journal)))
}

pub(super) fn split(journal: &Journal) -> Split {
    Split { out: logger(journal, log::Level::Info), err: logger(journal, log::Level::Warn) }
}

/// Uses `Builder::new` and not `from_env`, because `RUST_LOG` is meant for units.
fn logger(journal: &Journal, level: log::Level) -> Logger {
    let pipe = Pipe { journal: journal.clone(), level };
    let journal = journal.clone();
    Builder::new()
        // The level is `log::max_level`'s, which can change.
        .filter_level(LevelFilter::Trace)
        .format(move |line, record| {
            let bytes = journal.with(|writer| {
                if record.level() == log::Level::Warn {
                    writer.warned(*record.args());
                }
                let now = (writer.clock.now)();
                let entry = main_entry(writer.main_pid, record.level(), "log", *record.args());
                let mut bytes = Vec::new();
                line::entry(writer.format, &mut writer.stamp, now, &entry, &mut bytes);
                bytes
            });
            io::Write::write_all(line, &bytes.unwrap_or_default())
        })
        .target(Target::Pipe(Box::new(pipe)))
        .build()
}

impl io::Write for Pipe {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.journal.with(|writer| {
            let side = writer.side_of(self.level);
            writer.push(side, line, Kind::Own);
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Split {
    fn of(&self, level: log::Level) -> &Logger {
        if level <= log::Level::Warn { &self.err } else { &self.out }
    }
}

impl Log for Split {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.of(metadata.level()).enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.of(record.level()).log(record);
    }

    fn flush(&self) {}
}
