//! Reads the checks of accounts, mounts, names and settings.

use std::net::IpAddr;
use std::time::Duration;

use super::answer::wanted;
use super::decode::{At, Decoder, Fields};
use super::test::push;
use super::{
    EXPECT_CERTIFICATE, EXPECT_DNS, EXPECT_ENV, EXPECT_GROUP, EXPECT_MOUNT, EXPECT_TREE,
    EXPECT_USER,
};
use crate::config::leaf::{self, Leaf, Problem};
use crate::config::size;
use crate::config::time::duration;
use crate::config::value::{Entry, Node, Value, shown};
use crate::config::{
    Asked, CertificateCheck, Check, DnsCheck, Environment, FileCheck, Forbidden, GroupAccount,
    Listed, MountCheck, NewerThan, Placed, Relation, State, Test, TreeCheck, UserAccount,
    Variables, Wanted,
};

/// A name, and what its value has to be.
type Named = (String, Vec<Wanted>);

impl Decoder<'_> {
    /// Reads `expect.user_account`.
    pub(super) fn user_account(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let mut keys = UserAccount { exists: true, ..UserAccount::default() };
        let Some(fields) = self.table(at, entry, EXPECT_USER) else { return };
        self.user_account_keys(&fields, &mut keys);
        self.of_existing(&fields, entry, "name", keys.exists);
        push(test, entry, Some(State::UserAccount(keys)));
    }

    /// Reads `expect.group_account`.
    pub(super) fn group_account(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let mut keys = GroupAccount { exists: true, ..GroupAccount::default() };
        let Some(fields) = self.table(at, entry, EXPECT_GROUP) else { return };
        self.group_account_keys(&fields, &mut keys);
        self.of_existing(&fields, entry, "name", keys.exists);
        push(test, entry, Some(State::GroupAccount(keys)));
    }

    /// Reads `expect.mount`.
    pub(super) fn mount_check(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let mut keys = MountCheck { exists: true, ..MountCheck::default() };
        let Some(fields) = self.table(at, entry, EXPECT_MOUNT) else { return };
        self.expect_mount_keys(&fields, &mut keys);
        self.of_existing(&fields, entry, "path", keys.exists);
        push(test, entry, Some(State::Mount(keys)));
    }

    /// Reads `expect.certificate`.
    pub(super) fn certificate(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let mut keys = CertificateCheck::default();
        let Some(fields) = self.table(at, entry, EXPECT_CERTIFICATE) else { return };
        self.certificate_keys(&fields, &mut keys);
        self.of_existing(&fields, entry, "path", true);
        push(test, entry, Some(State::Certificate(keys)));
    }

    /// Reads `expect.tree`.
    pub(super) fn tree_check(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let mut keys = TreeCheck::default();
        let Some(fields) = self.table(at, entry, EXPECT_TREE) else { return };
        self.tree_keys(&fields, &mut keys);
        self.of_existing(&fields, entry, "path", true);
        if fields.lacks("forbids") && fields.lacks("max_size") {
            keys.forbids = vec![Forbidden::WorldWritable, Forbidden::Setuid, Forbidden::Setgid];
        }
        push(test, entry, Some(Asked::Tree(keys)));
    }

    /// Reads `mount.type`.
    pub(super) fn mount_type(&mut self, mount: &mut MountCheck, at: &At, entry: &Entry) {
        mount.kind = self.get(at, entry, name);
    }

    /// Reads `file.type`.
    pub(super) fn file_kind(&mut self, file: &mut FileCheck, at: &At, entry: &Entry) {
        file.kind = self.get(at, entry, leaf::choice);
    }

    /// Reads `expect.dns`.
    pub(super) fn dns_check(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let mut keys = DnsCheck { exists: true, ..DnsCheck::default() };
        let Some(fields) = self.table(at, entry, EXPECT_DNS) else { return };
        self.expect_dns_keys(&fields, &mut keys);
        self.of_existing(&fields, entry, "name", keys.exists);
        push(test, entry, Some(Asked::Dns(keys)));
    }

    /// Reads `expect.env`.
    pub(super) fn env_check(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let mut keys = Variables::default();
        let Some(fields) = self.table(at, entry, EXPECT_ENV) else { return };
        self.expect_env_keys(&fields, &mut keys);
        if fields.lacks("set") && fields.lacks("unset") {
            let help = "add `set` or `unset`".to_owned();
            self.error(&entry.key, format!("`{at}` needs a variable to look at"), Some(help));
        }
        push(test, entry, Some(State::Variables(keys)));
    }

    /// Reads `expect.sysctl`.
    pub(super) fn sysctl(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let Some(settings) = self.values_of(at, entry) else { return };
        for Placed { value: (name, values), origin } in settings {
            let odd = |c: char| c.is_whitespace() || c.is_control();
            if name.is_empty() || name.contains(odd) || name.split('/').any(|part| part == "..") {
                let message = format!("`{at}`: \"{}\" is not the name of a setting", shown(&name));
                let help = "write it as sysctl(8) does: \"net.core.somaxconn\"".to_owned();
                self.error(&origin, message, Some(help));
            } else {
                let check: Check = State::Sysctl(name, values).into();
                test.checks.push(Placed { value: check, origin });
            }
        }
    }

    /// Reads a table of names and what the value of each has to be.
    fn values_of(&mut self, at: &At, entry: &Entry) -> Option<Vec<Placed<Named>>> {
        let table = self.names(at, entry)?;
        if table.is_empty() {
            self.error(&entry.key, format!("`{at}` has no name, so it checks nothing"), None);
        }
        let mut all = Vec::new();
        for (name, entry) in table {
            if let Some(values) = self.some_of(&at.key(name), entry, wanted) {
                all.push(Placed { value: (name.clone(), values), origin: entry.key.clone() });
            }
        }
        Some(all)
    }

    /// Reads `expect.env.set`.
    pub(super) fn set(&mut self, at: &At, entry: &Entry) -> Option<Vec<(String, Vec<Wanted>)>> {
        let all = self.values_of(at, entry)?;
        Some(all.into_iter().map(|one| one.value).collect())
    }

    /// Reports a table without the key that names its subject, and keys about a subject that must
    /// not exist.
    pub(super) fn of_existing(
        &mut self,
        fields: &Fields,
        entry: &Entry,
        subject: &str,
        exists: bool,
    ) {
        let at = &fields.at;
        if fields.lacks(subject) {
            self.error(&entry.key, format!("`{at}` needs a `{subject}`"), None);
        }
        let table = entry.node.as_table().into_iter().flatten();
        for (name, inner) in table.filter(|_| !exists) {
            if name != subject && name != "exists" && fields.has(name) {
                let message = format!(
                    "`{at}.{name}` cannot be checked, because it must not exist (`exists = false`)"
                );
                self.error(&inner.key, message, None);
            }
        }
    }
}

/// Reads a name, with `!` in front if it must not be in a list.
pub(super) fn listed(node: &Node, environment: &Environment) -> Leaf<Listed> {
    let text = leaf::text(node, environment)?;
    let (negated, name) = match text.strip_prefix('!') {
        Some(name) => (true, name),
        None => (false, text.as_str()),
    };
    if name.is_empty() {
        return Err(Problem::new("this must not be empty"));
    }
    Ok(Listed { name: name.to_owned(), negated })
}

/// Reads a size, or a comparison with one.
pub(super) fn size_of(node: &Node, environment: &Environment) -> Leaf<(Relation, u64)> {
    const EXPECTED: &str = "a size such as \"10MB\", or a comparison such as \"> 0\"";
    let found = match &node.value {
        Value::Integer(number, _) => {
            u64::try_from(*number).ok().map(|size| (Relation::Equal, size))
        }
        Value::String(_) => {
            let text = leaf::text(node, environment)?;
            let (relation, size) = Relation::split(&text).unwrap_or((Relation::Equal, &text));
            size::bytes(size).map(|size| (relation, size))
        }
        _ => None,
    };
    found.ok_or_else(|| Problem::expected(EXPECTED, node))
}

/// Reads a SHA-256, as sha256sum(1) prints it.
pub(super) fn sha256(node: &Node, environment: &Environment) -> Leaf<String> {
    let text = leaf::text(node, environment)?.to_lowercase();
    let digits = text.strip_prefix("sha256:").unwrap_or(&text);
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(digits.to_owned());
    }
    Err(Problem::expected("a SHA-256 of 64 hexadecimal digits", node))
}

/// Reads a path, or an age.
pub(super) fn newer_than(node: &Node, environment: &Environment) -> Leaf<NewerThan> {
    match &node.value {
        Value::String(text) if text.starts_with('/') || text.starts_with('$') => {
            leaf::absolute(node, environment).map(NewerThan::File)
        }
        _ => long_time(node, environment).map(NewerThan::Age).map_err(|problem| Problem {
            help: problem.help,
            ..Problem::expected("an absolute path, or an age such as \"1h\" or \"30d\"", node)
        }),
    }
}

/// Reads a time that may be in days: `30d`.
pub(super) fn long_time(node: &Node, environment: &Environment) -> Leaf<Duration> {
    if let Value::String(_) = &node.value {
        let text = leaf::text(node, environment)?;
        let days = text.trim().strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
        if let Some(days) = days {
            return Ok(Duration::from_secs(u64::from(days) * 86_400));
        }
    }
    duration(node, environment).map_err(|problem| Problem {
        help: problem.help,
        ..Problem::expected("a time such as \"30d\" or \"12h\"", node)
    })
}

/// Reads a name of one word.
pub(super) fn name(node: &Node, environment: &Environment) -> Leaf<String> {
    let text = leaf::text(node, environment)?;
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Problem::expected("a name without spaces", node));
    }
    if let Some(name) = text.strip_prefix('!') {
        let help = format!("write name = {:?} and exists = false", shown(name));
        return Err(Problem { help: Some(help), ..Problem::new("`!` has no meaning here") });
    }
    Ok(text)
}

/// Reads an IP address, with `!` in front if a name must not have it.
pub(super) fn ip(node: &Node, environment: &Environment) -> Leaf<(IpAddr, bool)> {
    let Listed { name, negated } = listed(node, environment)?;
    match name.parse::<IpAddr>() {
        Ok(ip) => Ok((ip.to_canonical(), negated)),
        Err(_) => Err(Problem::expected("an IP address such as \"10.0.0.1\" or \"!::1\"", node)),
    }
}
