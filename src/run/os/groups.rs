//! The groups of the process at the other end of a connection.

use std::os::fd::{AsRawFd, BorrowedFd};

/// `SO_PEERGROUPS` of `asm-generic/socket.h`, which the libc crate lacks for some targets.
const PEER_GROUPS: libc::c_int = 59;
/// The most groups of a process: `NGROUPS_MAX` of `linux/limits.h`.
const MOST: usize = 65536;

/// Returns the supplementary groups that the peer of a Unix socket had when it connected:
/// `SO_PEERGROUPS`, socket(7). They are empty if the kernel does not tell.
pub(crate) fn of_peer(connection: BorrowedFd<'_>) -> Vec<u32> {
    let mut room = 32;
    loop {
        let mut groups = vec![0_u32; room];
        let mut bytes = libc::socklen_t::try_from(size_of_val(&groups[..])).unwrap_or(0);
        // SAFETY: the kernel writes at most `bytes` bytes into the vector, and their number.
        let done = unsafe {
            libc::getsockopt(
                connection.as_raw_fd(),
                libc::SOL_SOCKET,
                PEER_GROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = usize::try_from(bytes).unwrap_or(0) / size_of::<u32>();
        if done == 0 {
            groups.truncate(count);
            return groups;
        }
        // ERANGE: there was too little room, and now `bytes` says how much is needed.
        if nix::errno::Errno::last() != nix::errno::Errno::ERANGE || count <= room || count > MOST {
            return Vec::new();
        }
        room = count;
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_groups_of_a_peer_are_those_of_its_process() {
        let (here, _there) = UnixStream::pair().unwrap();
        let mut own: Vec<u32> =
            nix::unistd::getgroups().unwrap().into_iter().map(nix::unistd::Gid::as_raw).collect();
        let mut peer = super::of_peer(here.as_fd());
        own.sort_unstable();
        peer.sort_unstable();
        assert_eq!(peer, own);
    }
}
