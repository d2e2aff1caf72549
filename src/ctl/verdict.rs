//! `trcctl verdict`: reports the verdict of a test's command to trc.

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};

/// The words that are a verdict, with their meanings.
pub const WORDS: [(&str, &str); 3] = [
    ("pass", "The test passes if all its other checks do, whatever its command exits with"),
    ("fail", "The test fails; no later verdict changes that"),
    ("skip", "The test is skipped, because it cannot run here"),
];

/// The help if there is no test.
const HELP: &str = "\
only the command of a test can give a verdict:
  [test.NAME]
  script = \"test -s /data/index || trcctl verdict fail 'no index'\"
`trcctl test` runs the tests.";

/// Reports the verdict to trc. The exit status only tells whether that was possible, so that a
/// script can go on.
#[must_use]
pub fn run(word: &str, why: &[OsString]) -> u8 {
    match tell(std::env::var_os("TRC_VERDICT_FD").as_deref(), &line(word, why)) {
        Ok(()) => 0,
        Err(problem) => {
            eprintln!("error: {problem}\nhelp: {HELP}");
            1
        }
    }
}

/// Returns one line, even if the words contain line breaks.
fn line(word: &str, why: &[OsString]) -> Vec<u8> {
    let mut line = word.as_bytes().to_vec();
    for more in why {
        line.push(b' ');
        line.extend(more.as_bytes().iter().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => *other,
        }));
    }
    line.push(b'\n');
    line
}

fn tell(variable: Option<&OsStr>, line: &[u8]) -> Result<(), String> {
    let name = variable.ok_or("TRC_VERDICT_FD is not set: this is not the command of a test")?;
    let number = name.to_str().and_then(|text| text.parse::<i32>().ok()).filter(|fd| *fd >= 0);
    let number = number.ok_or_else(|| {
        format!("TRC_VERDICT_FD must be the number of a file descriptor, not `{}`", name.display())
    })?;
    let none = format!("descriptor {number} in TRC_VERDICT_FD is not the socket of a test");
    // SAFETY: nothing here closes descriptors, and the kernel reports one that is not open.
    #[expect(unsafe_code, reason = "a test's descriptor is known by its number only")]
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    // A variable that was left over must not make this program write into somebody's file.
    let kind = fstat(fd).map(|stat| SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT));
    match kind {
        Ok(SFlag::S_IFSOCK) if is_local(fd) => {}
        Ok(_) => return Err(none),
        Err(Errno::EBADF) => return Err(format!("{none}: it is closed")),
        Err(errno) => return Err(format!("{none}: {}", errno.desc().to_lowercase())),
    }
    match write(fd, line) {
        Ok(()) => Ok(()),
        Err(Errno::EPIPE) => Err("the test has ended: trc no longer reads its verdict".to_owned()),
        Err(errno) => Err(format!("cannot write to descriptor {number}: {}", errno.desc())),
    }
}

/// Tells whether a socket is one between processes of this machine, like a test's.
fn is_local(socket: BorrowedFd<'_>) -> bool {
    use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
    let name = getsockname::<SockaddrStorage>(std::os::fd::AsRawFd::as_raw_fd(&socket));
    name.is_ok_and(|name| name.family() == Some(AddressFamily::Unix))
}

/// Writes the line at once, so that the output of others comes before or after it: pipe(7).
fn write(fd: BorrowedFd<'_>, mut line: &[u8]) -> nix::Result<()> {
    while !line.is_empty() {
        match nix::unistd::write(fd, line) {
            Ok(count) => line = &line[count..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn text(word: &str, why: &[&str]) -> String {
        let why: Vec<OsString> = why.iter().map(OsString::from).collect();
        String::from_utf8(line(word, &why)).unwrap()
    }

    #[test]
    fn a_verdict_is_one_line() {
        assert_eq!(text("pass", &[]), "pass\n");
        assert_eq!(text("fail", &["no", "index"]), "fail no index\n");
        assert_eq!(text("skip", &["no\nnet\r\nwork"]), "skip no net  work\n");
    }

    #[test]
    fn it_goes_to_the_descriptor_that_the_variable_names() {
        let (mut read, write) = UnixStream::pair().unwrap();
        let number = write.as_raw_fd().to_string();
        tell(Some(OsStr::new(&number)), b"pass\n").unwrap();
        drop(write);
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        assert_eq!(text, "pass\n");
    }

    #[test]
    fn where_there_is_no_test_it_says_so() {
        let file = tempfile::tempfile().unwrap();
        let (read, write) = UnixStream::pair().unwrap();
        drop(read);
        let (file_number, deaf) = (file.as_raw_fd().to_string(), write.as_raw_fd().to_string());
        for (value, said) in [
            (None, "is not set"),
            (Some("three"), "not `three`"),
            (Some("-1"), "not `-1`"),
            (Some("1048575"), "it is closed"),
            (Some(&*file_number), "is not the socket of a test"),
            (Some(&*deaf), "the test has ended"),
        ] {
            let problem = tell(value.map(OsStr::new), b"pass\n").unwrap_err();
            assert!(problem.contains(said), "{value:?}: {problem}");
        }
    }
}
