//! Time zones: how far the local time is from UTC at a moment.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tz::TimeZone;

/// No local time is further from UTC, in seconds. Real zones are at most 14 hours (and were at most
/// 16 hours) away from it.
pub(super) const LARGEST: i64 = 26 * 3600;
/// The largest file of a time zone, in bytes. The largest one of tzdata has 4 kB.
const LARGEST_FILE: u64 = 64 * 1024;
/// The directory of time zones, as of the C library.
const DIRECTORY: &str = "/usr/share/zoneinfo";
/// `O_NONBLOCK`: opening a FIFO does not wait for its writer.
const NONBLOCK: i32 = libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;

/// A time zone.
#[derive(Clone)]
pub(crate) struct Zone(Source);

#[derive(Clone)]
enum Source {
    /// The zone of a function that returns the offset from UTC at a moment.
    Function(fn(i64) -> i32),
    Named(String, Box<TimeZone>),
}

/// The reason why there is no zone of a name.
#[derive(Debug)]
pub(crate) enum NoZone {
    /// The name is empty, or it could lead to a file outside of the directory.
    Name(String),
    /// The directory of time zones does not exist.
    NoData(String),
    /// The directory has no file of this name.
    Unknown(String),
    /// The file is not a regular one.
    NotAFile(String),
    TooLarge(String),
    Unreadable(String, io::Error),
    /// The file is not one of a time zone.
    Malformed(String, String),
}

impl Zone {
    /// Returns UTC.
    #[cfg(test)]
    pub(crate) fn utc() -> Self {
        Self(Source::Function(|_| 0))
    }

    /// Returns the zone of trc itself. The function returns how many seconds the local time is
    /// ahead of UTC at a number of seconds since 1970-01-01 00:00 UTC.
    pub(crate) fn local(offset: fn(i64) -> i32) -> Self {
        Self(Source::Function(offset))
    }

    /// Reads a zone such as `Europe/Berlin` from the directory of time zones, which is `tzdir`, the
    /// value of the variable `TZDIR`, if there is one. `UTC` needs no file.
    pub(crate) fn named(name: &str, tzdir: Option<&OsStr>) -> Result<Self, NoZone> {
        if name == "UTC" {
            return Ok(Self(Source::Named(name.to_owned(), Box::new(TimeZone::utc()))));
        }
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !name.split('/').all(plain) || name.contains(char::is_control) {
            return Err(NoZone::Name(name.to_owned()));
        }
        let directory = tzdir.filter(|tzdir| !tzdir.is_empty()).unwrap_or(DIRECTORY.as_ref());
        let data = read(Path::new(directory), name)?;
        let zone = TimeZone::from_tz_data(&data)
            .map_err(|error| NoZone::Malformed(name.to_owned(), error.to_string()))?;
        Ok(Self(Source::Named(name.to_owned(), Box::new(zone))))
    }

    /// Returns the name of the zone, unless it is the one of trc itself.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.0 {
            Source::Function(_) => None,
            Source::Named(name, _) => Some(name),
        }
    }

    /// Returns how many seconds the local time is ahead of UTC at a moment, in seconds since
    /// 1970-01-01 00:00 UTC.
    pub(super) fn offset(&self, moment: i64) -> i64 {
        let offset = match &self.0 {
            Source::Function(offset) => i64::from(offset(moment)),
            Source::Named(_, zone) => {
                let zone = TimeZone::as_ref(zone);
                let kind = zone.find_local_time_type(moment).ok();
                // A file without a rule for the time after its last change.
                let kind = kind.or_else(|| {
                    let last = zone.transitions().last()?.local_time_type_index();
                    zone.local_time_types().get(last)
                });
                kind.map_or(0, |kind| i64::from(kind.ut_offset()))
            }
        };
        offset.clamp(-LARGEST, LARGEST)
    }
}

fn read(directory: &Path, name: &str) -> Result<Vec<u8>, NoZone> {
    let unreadable = |error: io::Error| NoZone::Unreadable(name.to_owned(), error);
    let path = directory.join(name);
    let file = match File::options().read(true).custom_flags(NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = name.to_owned();
            let known = directory.is_dir();
            return Err(if known { NoZone::Unknown(name) } else { NoZone::NoData(name) });
        }
        Err(error) => return Err(unreadable(error)),
    };
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(NoZone::NotAFile(name.to_owned()));
    }
    let mut data = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut data).map_err(unreadable)?;
    if data.len() as u64 > LARGEST_FILE {
        return Err(NoZone::TooLarge(name.to_owned()));
    }
    Ok(data)
}

impl fmt::Display for NoZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(
                f,
                "\"{name}\" is not the name of a time zone, such as \"UTC\" or \"Europe/Berlin\""
            ),
            Self::NoData(name) => write!(
                f,
                "the time zone {name} is not known, because there are no time zones here: install tzdata"
            ),
            Self::Unknown(name) => write!(f, "there is no time zone {name}"),
            Self::NotAFile(name) => {
                write!(f, "there is no time zone {name}: this is not a regular file")
            }
            Self::TooLarge(name) => {
                write!(f, "cannot read the time zone {name}: the file is larger than 64 KiB")
            }
            Self::Unreadable(name, error) => write!(f, "cannot read the time zone {name}: {error}"),
            Self::Malformed(name, why) => {
                write!(f, "cannot read the time zone {name}: {why}")
            }
        }
    }
}

/// Two zones are equal if they are the same function, or have the same name and the same changes.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Source::Function(one), Source::Function(other)) => std::ptr::fn_addr_eq(*one, *other),
            (Source::Named(name, zone), Source::Named(other, same)) => {
                name == other && zone == same
            }
            _ => false,
        }
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name()).finish()
    }
}
