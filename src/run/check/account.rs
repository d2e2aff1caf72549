//! The users and groups of the image: passwd(5), group(5).

use crate::config::{GroupAccount, Listed, UserAccount, reason};
use crate::run::os::users::{Account, Users};
use crate::words::Wrong;

fn users() -> Result<Users, Wrong> {
    Users::read().map_err(|error| Wrong::NotRead("look it up", reason(&error)))
}

/// Checks a user.
///
/// # Errors
/// Returns everything that differs.
pub(crate) fn user(wanted: &UserAccount) -> Result<(), Wrong> {
    user_in(&users()?, wanted)
}

fn user_in(users: &Users, wanted: &UserAccount) -> Result<(), Wrong> {
    let Some(Account { uid, gid, home, shell }) = users.account(&wanted.name) else {
        let missing = Wrong::NoUser(wanted.name.clone());
        return if wanted.exists { Err(missing) } else { Ok(()) };
    };
    if !wanted.exists {
        return Err(Wrong::HasNumber("uid", uid));
    }
    let mut problems = Vec::new();
    if let Some(wanted) = wanted.uid.filter(|wanted| *wanted != uid) {
        problems.push(Wrong::Differs("uid", uid.to_string(), wanted.to_string()));
    }
    let own = users.group_name(gid);
    if let Some(group) = &wanted.group
        && *group != own
        && group.parse() != Ok(gid)
    {
        problems.push(Wrong::Differs("group", own.clone(), group.clone()));
    }
    for (what, found, wanted) in [("home", home, &wanted.home), ("shell", shell, &wanted.shell)] {
        if let Some(wanted) = wanted.as_ref().filter(|wanted| **wanted != found) {
            problems.push(Wrong::Differs(what, format!("{found:?}"), format!("{wanted:?}")));
        }
    }
    let groups = users.groups_of(&wanted.name, gid);
    let groups: Vec<String> = groups.into_iter().map(|gid| users.group_name(gid)).collect();
    problems.extend(listed("the group", &wanted.groups, &groups));
    Wrong::all(problems)
}

/// Checks a group.
///
/// # Errors
/// Returns everything that differs.
pub(crate) fn group(wanted: &GroupAccount) -> Result<(), Wrong> {
    group_in(&users()?, wanted)
}

fn group_in(users: &Users, wanted: &GroupAccount) -> Result<(), Wrong> {
    let Some((gid, members)) = users.listed_group(&wanted.name) else {
        let missing = Wrong::NoGroup(wanted.name.clone());
        return if wanted.exists { Err(missing) } else { Ok(()) };
    };
    if !wanted.exists {
        return Err(Wrong::HasNumber("gid", gid));
    }
    let mut problems = Vec::new();
    if let Some(wanted) = wanted.gid.filter(|wanted| *wanted != gid) {
        problems.push(Wrong::Differs("gid", gid.to_string(), wanted.to_string()));
    }
    problems.extend(listed("the member", &wanted.members, &members));
    Wrong::all(problems)
}

/// Compares a list with what must be in it, and what must not.
fn listed(what: &'static str, wanted: &[Listed], found: &[String]) -> Vec<Wrong> {
    let missing = wanted.iter().filter(|one| !one.negated && !found.contains(&one.name));
    let missing: Vec<String> = missing.map(|one| one.name.clone()).collect();
    let present = wanted.iter().filter(|one| one.negated && found.contains(&one.name));
    let present: Vec<String> = present.map(|one| one.name.clone()).collect();
    let mut problems = Vec::new();
    if !missing.is_empty() {
        problems.push(Wrong::Lacks(what, missing, found.to_vec()));
    }
    if !present.is_empty() {
        problems.push(Wrong::Has(what, present));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        Users::of(
            "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:/sbin/nologin\nold:x:9:9::\n",
            "root:x:0:\nweb:x:33:\nssl:x:101:web,mail\n",
        )
    }

    fn says(found: Result<(), Wrong>) -> String {
        found.err().map_or(String::new(), |wrong| wrong.to_string())
    }

    fn list(names: &[&str]) -> Vec<Listed> {
        let one = |name: &&str| Listed {
            name: name.trim_start_matches('!').to_owned(),
            negated: name.starts_with('!'),
        };
        names.iter().map(one).collect()
    }

    #[test]
    fn a_user_has_numbers_groups_a_home_and_a_shell() {
        let user = |name: &str| UserAccount {
            name: name.to_owned(),
            exists: true,
            ..UserAccount::default()
        };
        let web = || UserAccount {
            uid: Some(33),
            group: Some("web".to_owned()),
            groups: list(&["ssl", "web", "!root"]),
            home: Some("/var/www".to_owned()),
            shell: Some("/sbin/nologin".to_owned()),
            ..user("web")
        };
        for (wanted, expected) in [
            (user("web"), ""),
            (web(), ""),
            (UserAccount { group: Some("33".to_owned()), ..user("web") }, ""),
            (user("nobdy"), "there is no user nobdy"),
            // A number that is not listed is no account.
            (user("1234"), "there is no user 1234"),
            (UserAccount { exists: false, ..user("nobdy") }, ""),
            (UserAccount { exists: false, ..user("web") }, "it exists: its uid is 33"),
            (UserAccount { uid: Some(34), ..web() }, "its uid is 33, not 34"),
            (UserAccount { group: Some("ssl".to_owned()), ..web() }, "its group is web, not ssl"),
            (
                UserAccount {
                    shell: Some("/bin/sh".to_owned()),
                    home: Some("/".to_owned()),
                    ..web()
                },
                r#"its home is "/var/www", not "/"; its shell is "/sbin/nologin", not "/bin/sh""#,
            ),
            (
                UserAccount { groups: list(&["adm", "mail", "!ssl"]), ..web() },
                "it lacks the group adm, mail and has web, ssl; it has the group ssl, which it \
                 must not have",
            ),
            (UserAccount { shell: Some(String::new()), ..user("old") }, ""),
        ] {
            assert_eq!(says(user_in(&users(), &wanted)), expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_group_has_a_number_and_members() {
        let group = |name: &str| GroupAccount {
            name: name.to_owned(),
            exists: true,
            ..GroupAccount::default()
        };
        for (wanted, expected) in [
            (GroupAccount { gid: Some(101), members: list(&["web", "!root"]), ..group("ssl") }, ""),
            (group("101"), "there is no group 101"),
            (GroupAccount { exists: false, ..group("adm") }, ""),
            (GroupAccount { exists: false, ..group("ssl") }, "it exists: its gid is 101"),
            (GroupAccount { gid: Some(1), ..group("ssl") }, "its gid is 101, not 1"),
            (
                GroupAccount { members: list(&["web"]), ..group("root") },
                "it lacks the member web and has none",
            ),
        ] {
            assert_eq!(says(group_in(&users(), &wanted)), expected, "{wanted:?}");
        }
    }
}
