//! Users and groups from `/etc/passwd` and `/etc/group`, which trc reads directly, as container
//! runtimes do, because a static binary has no NSS. See passwd(5), group(5).

use std::fs;
use std::io;

/// The data of a user that a process needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct User {
    /// The login name, if `/etc/passwd` has one for the number.
    pub name: Option<String>,
    /// The user ID.
    pub uid: u32,
    /// The ID of the user's primary group.
    pub gid: u32,
    /// The home directory.
    pub home: Option<String>,
}

/// A line of `/etc/passwd`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    /// The user ID.
    pub uid: u32,
    /// The ID of the user's primary group.
    pub gid: u32,
    /// The home directory, which may be empty, as the shell may.
    pub home: String,
    pub shell: String,
}

/// The lines of both files, which are read once for each start of a unit.
pub(crate) struct Users {
    passwd: String,
    group: String,
}

impl Users {
    /// Reads both files. A missing file counts as empty: an image may have neither, and numbers
    /// still work.
    ///
    /// # Errors
    /// Returns an error if a file exists but cannot be read.
    pub(crate) fn read() -> io::Result<Self> {
        Ok(Self { passwd: read("/etc/passwd")?, group: read("/etc/group")? })
    }

    /// Parses the texts of both files.
    #[cfg(test)]
    pub(crate) fn of(passwd: &str, group: &str) -> Self {
        Self { passwd: passwd.to_owned(), group: group.to_owned() }
    }

    /// Returns the user with this name or number. A number does not have to be listed, as with
    /// docker.
    pub(crate) fn user(&self, wanted: &str) -> Option<User> {
        let number = wanted.parse::<u32>().ok();
        let listed = self.passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            let home = fields.nth(1).filter(|home| !home.is_empty()).map(str::to_owned);
            (name == wanted || number == Some(uid)).then(|| User {
                name: Some(name.to_owned()),
                uid,
                gid,
                home,
            })
        });
        // The group is that of root, as with docker.
        listed.or_else(|| number.map(|uid| User { name: None, uid, gid: 0, home: None }))
    }

    /// Returns the line of the user with this name.
    pub(crate) fn account(&self, wanted: &str) -> Option<Account> {
        self.passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            let home = fields.nth(1).unwrap_or_default().to_owned();
            let shell = fields.next().unwrap_or_default().to_owned();
            (name == wanted).then_some(Account { uid, gid, home, shell })
        })
    }

    /// Returns the number and the members of the group with this name.
    pub(crate) fn listed_group(&self, wanted: &str) -> Option<(u32, Vec<String>)> {
        let (_, gid, members) = self.groups().find(|(name, _, _)| *name == wanted)?;
        let members = members.split(',').filter(|member| !member.is_empty());
        Some((gid, members.map(str::to_owned).collect()))
    }

    /// Returns the name of a user, or the number if the user is not listed.
    pub(crate) fn user_name(&self, uid: u32) -> String {
        let number = uid.to_string();
        self.user(&number).and_then(|user| user.name).unwrap_or(number)
    }

    /// Returns the name of a group, or the number if the group is not listed.
    pub(crate) fn group_name(&self, gid: u32) -> String {
        let listed = self.groups().find(|(_, number, _)| *number == gid);
        listed.map_or_else(|| gid.to_string(), |(name, _, _)| name.to_owned())
    }

    /// Returns the ID of the group with this name or number.
    pub(crate) fn group(&self, wanted: &str) -> Option<u32> {
        let listed = self.groups().find(|(name, _, _)| *name == wanted).map(|(_, gid, _)| gid);
        listed.or_else(|| wanted.parse().ok())
    }

    /// Returns the supplementary groups of a user: those that list the user, and the primary group.
    pub(crate) fn groups_of(&self, user: &str, own: u32) -> Vec<u32> {
        let listed =
            self.groups().filter(|(_, _, members)| members.split(',').any(|member| member == user));
        let mut gids: Vec<u32> = listed.map(|(_, gid, _)| gid).collect();
        if !gids.contains(&own) {
            gids.insert(0, own);
        }
        gids
    }

    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let gid = fields.nth(1)?.parse().ok()?;
            Some((name, gid, fields.next().unwrap_or_default()))
        })
    }
}

fn read(path: &str) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        Users::of(
            "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:\nbroken\nodd:x:y:z\n",
            "root:x:0:\nweb:x:33:\nssl:x:101:web,mail\nadm:x:4:mail\n",
        )
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let web =
            User { name: Some("web".into()), uid: 33, gid: 33, home: Some("/var/www".into()) };
        assert_eq!(users().user("web"), Some(web.clone()));
        assert_eq!(users().user("33"), Some(web));
        assert_eq!(users().user("nobdy"), None);
    }

    #[test]
    fn a_number_that_is_not_listed_is_a_user_all_the_same() {
        assert_eq!(users().user("1234"), Some(User { name: None, uid: 1234, gid: 0, home: None }));
        assert_eq!(users().group("1234"), Some(1234));
    }

    #[test]
    fn a_number_has_a_name_or_stays_one() {
        assert_eq!((users().user_name(33), users().group_name(101)), ("web".into(), "ssl".into()));
        assert_eq!((users().user_name(34), users().group_name(34)), ("34".into(), "34".into()));
    }

    #[test]
    fn supplementary_groups_are_those_that_list_the_user() {
        assert_eq!(users().groups_of("web", 33), [33, 101]);
        assert_eq!(users().groups_of("mail", 8), [8, 101, 4]);
    }
}
