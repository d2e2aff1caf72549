//! The owners of what trc makes.

use std::cell::OnceCell;

use crate::config::{Owner, reason};
use crate::run::os::users::Users;
use crate::words::{Obstacle, Unprepared};

/// The owner that something is to have.
pub(crate) enum Wanted {
    /// Whoever it has: a new thing belongs to trc's own user.
    Any,
    /// This user and group.
    Ids(u32, u32),
    /// The user and group with these names.
    Named(Owner),
}

/// The users and groups of the image, which are read when a name is first looked up.
#[derive(Default)]
pub(super) struct Owners(OnceCell<Users>);

impl Owners {
    /// Returns the IDs of a user and a group; none if any will do.
    ///
    /// # Errors
    /// Returns which of them does not exist.
    pub(super) fn find(&self, wanted: &Wanted) -> Result<Option<(u32, u32)>, Obstacle> {
        let Owner { user, group } = match wanted {
            Wanted::Any => return Ok(None),
            Wanted::Ids(uid, gid) => return Ok(Some((*uid, *gid))),
            Wanted::Named(owner) => owner,
        };
        let users = if let Some(users) = self.0.get() {
            users
        } else {
            let read = Users::read();
            let users = read.map_err(|why| Obstacle::Owner(Unprepared::NoUsers(reason(&why))))?;
            self.0.get_or_init(|| users)
        };
        let found =
            users.user(user).ok_or_else(|| Obstacle::Owner(Unprepared::NoUser(user.clone())))?;
        let gid = match group {
            None => found.gid,
            Some(group) => users
                .group(group)
                .ok_or_else(|| Obstacle::Owner(Unprepared::NoGroup(group.clone())))?,
        };
        Ok(Some((found.uid, gid)))
    }
}
