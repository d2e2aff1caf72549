//! The user and groups of a unit's process.

use std::ffi::OsStr;

use nix::unistd::{Gid, Uid, getegid, geteuid};

use super::environment::Environment;
use super::problem::Problem;
use crate::config::{Placed, Unit, reason};
use crate::run::os::users::Users;
use crate::run::spawn::Ids;
use crate::words::Unprepared;

/// Returns the user and groups of the unit's process, and sets `HOME`, `USER` and `LOGNAME` in
/// `environment`. `None` means those of trc.
///
/// # Errors
/// Returns the user or group that does not exist, or the file that cannot be read.
pub(super) fn identity(unit: &Unit, environment: &mut Environment) -> Result<Option<Ids>, Problem> {
    let own = &unit.identity;
    if own.user.is_none() && own.group.is_none() && own.groups.is_none() {
        return Ok(None);
    }
    let users = Users::read()
        .map_err(|error| Problem::kernel(Unprepared::NoUsers(reason(&error)), &error))?;
    let find_user = |Placed { value, origin }: &Placed<String>| {
        users.user(value).ok_or_else(|| Unprepared::NoUser(value.clone()).at(origin))
    };
    let find_group = |Placed { value, origin }: &Placed<String>| {
        users.group(value).ok_or_else(|| Unprepared::NoGroup(value.clone()).at(origin))
    };

    let user = own.user.as_ref().map(find_user).transpose()?;
    let group = own.group.as_ref().map(find_group).transpose()?;
    if let Some(user) = &user {
        let same = Uid::from_raw(user.uid) == geteuid()
            && group.is_none_or(|gid| Gid::from_raw(gid) == getegid())
            && own.groups.is_none();
        // A number that trc already runs as, and that is not listed anywhere, changes nothing.
        if same && user.name.is_none() {
            return Ok(None);
        }
        // A user that is only a number has `/` as its home, as in docker, and no name: that of
        // trc's user does not apply.
        environment.set("HOME", user.home.as_deref().unwrap_or("/"));
        for name in ["USER", "LOGNAME"] {
            match &user.name {
                Some(user) => environment.set(name, user),
                None => environment.remove(OsStr::new(name)),
            }
        }
        if same {
            return Ok(None);
        }
    }
    let uid = user.as_ref().map_or_else(|| geteuid().as_raw(), |user| user.uid);
    let gid = group.or(user.as_ref().map(|user| user.gid)).unwrap_or_else(|| getegid().as_raw());
    let groups = match (&own.groups, user.as_ref().and_then(|user| user.name.as_ref())) {
        (Some(groups), _) => groups.iter().map(find_group).collect::<Result<_, _>>()?,
        (None, Some(name)) => users.groups_of(name, gid),
        (None, None) => vec![gid],
    };
    Ok(Some(Ids { uid, gid, groups }))
}
