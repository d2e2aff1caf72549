//! Small safe wrappers of the kernel, one file for each noun. Nothing here knows units, or anything
//! else of `run/`.

pub(crate) mod aside;
pub(crate) mod cgroup;
pub(crate) mod chance;
pub(crate) mod children;
pub(crate) mod clock;
pub(crate) mod fd;
pub(crate) mod file;
pub(crate) mod groups;
pub(crate) mod guard;
pub(crate) mod kin;
pub(crate) mod limits;
pub(crate) mod localtime;
pub(crate) mod memory;
pub(crate) mod pipe;
pub(crate) mod place;
pub(crate) mod private;
pub(crate) mod proc;
pub(crate) mod processes;
pub(crate) mod pty;
pub(crate) mod reopen;
pub(crate) mod rest;
pub(crate) mod rights;
pub(crate) mod sha256;
pub(crate) mod signals;
pub(crate) mod syscall;
pub(crate) mod terminal;
pub(crate) mod trusted;
pub(crate) mod usage;
pub(crate) mod users;
