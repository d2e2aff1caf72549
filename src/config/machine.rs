//! What tests expect of the machine that units run on: accounts, mounts, names, settings.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{UnitRef, Wanted};

/// A name in a list, and whether it must not be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    pub name: String,
    pub negated: bool,
}

/// A user of `/etc/passwd`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct UserAccount {
    pub name: String,
    pub exists: bool,
    pub uid: Option<u32>,
    /// The primary group, by its name or number.
    pub group: Option<String>,
    /// The groups that the user belongs to, the primary one included.
    pub groups: Vec<Listed>,
    pub home: Option<String>,
    pub shell: Option<String>,
}

/// A group of `/etc/group`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct GroupAccount {
    pub name: String,
    pub exists: bool,
    pub gid: Option<u32>,
    /// The users that the group lists.
    pub members: Vec<Listed>,
}

/// A place where something is mounted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct MountCheck {
    pub path: PathBuf,
    pub exists: bool,
    /// The type of the file system.
    pub kind: Option<String>,
    pub source: Option<Wanted>,
    pub options: Vec<Listed>,
}

/// A name that the resolver of the image is asked for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct DnsCheck {
    pub name: String,
    pub exists: bool,
    /// Addresses, and whether each must not be among those of the name.
    pub addresses: Vec<(IpAddr, bool)>,
}

/// The environment of units' main processes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Variables {
    /// The unit; those that the test is about, if `None`.
    pub unit: Option<UnitRef>,
    /// The values of variables.
    pub set: Vec<(String, Vec<Wanted>)>,
    /// The variables that must not be set.
    pub unset: Vec<String>,
}

/// A kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FileKind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    BlockDevice,
    CharDevice,
}

impl FileKind {
    /// Names the kind.
    #[must_use]
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::BlockDevice => "a block device",
            Self::CharDevice => "a character device",
        }
    }
}

/// How old a file may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NewerThan {
    /// It was modified after this file.
    File(PathBuf),
    /// It was modified no longer ago than this.
    Age(Duration),
}

/// Files that must not be below a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Forbidden {
    WorldWritable,
    Setuid,
    Setgid,
    NoOwner,
    BrokenLink,
}

impl Forbidden {
    /// Names the files in front of a list of them.
    #[must_use]
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::WorldWritable => "world-writable",
            Self::Setuid => "setuid",
            Self::Setgid => "setgid",
            Self::NoOwner => "of no known user or group",
            Self::BrokenLink => "links to nothing",
        }
    }
}

/// Everything below a directory.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct TreeCheck {
    pub path: PathBuf,
    pub forbids: Vec<Forbidden>,
    /// The files and directories that are left out.
    pub except: Vec<PathBuf>,
    /// The most disk space that everything together takes, in bytes.
    pub max_size: Option<u64>,
}

/// The certificates in a file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct CertificateCheck {
    pub path: PathBuf,
    /// The time from now until which they have to be valid.
    pub valid_for: Duration,
}
