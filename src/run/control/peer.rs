//! The peers of the control socket, and what they may ask for.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use nix::sys::socket::{getsockopt, sockopt};

use crate::config::Access;
use crate::run::os::groups;
use crate::run::os::users::Users;

/// A process at the other end of a connection, as it was when it connected: `SO_PEERCRED` and
/// `SO_PEERGROUPS` of unix(7) and socket(7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Peer {
    /// The process ID; 0 for a process in a PID namespace that trc cannot see.
    pub pid: i32,
    /// The user ID.
    pub uid: u32,
    /// The IDs of all its groups.
    groups: Vec<u32>,
}

impl Peer {
    /// Returns the peer of a connection.
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub(super) fn of(connection: BorrowedFd<'_>) -> nix::Result<Self> {
        let who = getsockopt(&connection, sockopt::PeerCredentials)?;
        let mut all = groups::of_peer(connection);
        all.push(who.gid());
        Ok(Self { pid: who.pid(), uid: who.uid(), groups: all })
    }

    /// Returns what the peer may ask for.
    ///
    /// Root and trc's own user may do everything: they could also signal trc, and read its memory.
    pub(crate) fn access(&self, allow: &BTreeMap<String, Access>) -> Access {
        if self.uid == 0 || self.uid == nix::unistd::geteuid().as_raw() {
            return Access::Operate;
        }
        let Some(users) = (!allow.is_empty()).then(Users::read).and_then(Result::ok) else {
            return Access::Health;
        };
        self.granted(allow, &users)
    }

    fn granted(&self, allow: &BTreeMap<String, Access>, users: &Users) -> Access {
        let applies = |name: &str| match name.strip_prefix('@') {
            Some(group) => users.group(group).is_some_and(|gid| self.groups.contains(&gid)),
            None => users.user(name).is_some_and(|user| user.uid == self.uid),
        };
        let granted = allow.iter().filter(|(name, _)| applies(name)).map(|(_, access)| *access);
        granted.max().unwrap_or(Access::Health)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_may_ask_for_what_its_user_and_its_groups_are_granted() {
        let passwd = "root:x:0:0:::\nprom:x:7:70:::\nann:x:8:80:::\n";
        let users = Users::of(passwd, "ops:x:90:ann\nprom:x:70:\n");
        let allow = BTreeMap::from([
            ("prom".to_owned(), Access::Read),
            ("@ops".to_owned(), Access::Operate),
            ("@95".to_owned(), Access::Read),
            ("9".to_owned(), Access::Read),
            ("@nobody".to_owned(), Access::Operate),
        ]);
        for (uid, groups, access) in [
            (7, vec![70], Access::Read),
            (7, vec![70, 90], Access::Operate),
            (8, vec![80, 90], Access::Operate),
            // The kernel's groups of the process count, not those of /etc/group.
            (8, vec![80], Access::Health),
            (9, vec![], Access::Read),
            (10, vec![95], Access::Read),
            (10, vec![7], Access::Health),
        ] {
            let peer = Peer { pid: 1, uid, groups };
            assert_eq!(peer.granted(&allow, &users), access, "{peer:?}");
        }
    }
}
