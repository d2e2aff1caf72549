//! The senders of signals and of requests.

use super::os::users::Users;
use super::os::{kin, processes};
use crate::engine::{Asker, Sender};
use crate::graph::UnitId;

/// Looks up the sender while it may still be there.
///
/// A signal is from outside unless trc itself or one of its descendants sent it. The sender's
/// process ID is 0 if the sender is in another PID namespace, or if it is the kernel (a key of the
/// terminal). A sender that has exited already counts as a descendant if trc is PID 1, because
/// everything in sight except what came in by `docker exec` descends from trc. Elsewhere most
/// processes do not, so it counts as outside.
pub(super) fn find(pid: i32, uid: u32, unit_of: &dyn Fn(i32) -> Option<UnitId>) -> Sender {
    let own = nix::unistd::getpid().as_raw();
    let line = if pid == 0 { None } else { kin::ancestry(pid) };
    let descends = line.as_ref().map_or(own == 1, |line| line.contains(&own));
    let outside = pid == 0 || (pid != own && !descends);
    let unit = line.iter().flatten().find_map(|pid| unit_of(*pid));
    let command = if pid == 0 { None } else { processes::command(pid) };
    let name = |users: Users| users.user(&uid.to_string())?.name;
    let user = if pid == 0 { None } else { Users::read().ok().and_then(name) };
    Sender { asker: Asker { pid, uid, user, command, unit }, outside }
}
