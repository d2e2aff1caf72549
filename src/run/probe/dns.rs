//! The addresses of a name, compared with those that it has to have.

use std::net::{IpAddr, SocketAddr};

use crate::config::DnsCheck;
use crate::words::{BadAnswer, Wrong};

/// Compares what a name resolves to.
///
/// # Errors
/// Returns what is wrong with the addresses, or the reason why there are none.
pub(super) fn verdict(
    check: &DnsCheck,
    found: Result<Vec<SocketAddr>, BadAnswer>,
) -> Result<(), BadAnswer> {
    let found = match found {
        Ok(found) => found,
        // A server that does not answer does not say that there is no such name.
        Err(BadAnswer::Unresolved(why)) if !check.exists && !is_temporary(&why) => return Ok(()),
        Err(why) => return Err(why),
    };
    let mut found: Vec<IpAddr> = found.iter().map(|address| address.ip().to_canonical()).collect();
    found.dedup();
    let shown = |all: Vec<&IpAddr>| all.into_iter().map(ToString::to_string).collect();
    if !check.exists {
        return Err(BadAnswer::Resolves(shown(found.iter().collect())));
    }
    let wanted = check.addresses.iter();
    let missing = wanted.clone().filter(|(ip, negated)| !negated && !found.contains(ip));
    let present = wanted.filter(|(ip, negated)| *negated && found.contains(ip));
    let missing: Vec<&IpAddr> = missing.map(|(ip, _)| ip).collect();
    let present: Vec<&IpAddr> = present.map(|(ip, _)| ip).collect();
    let mut problems = Vec::new();
    if !missing.is_empty() {
        let found = shown(found.iter().collect());
        problems.push(Wrong::Lacks("the address", shown(missing), found));
    }
    if !present.is_empty() {
        problems.push(Wrong::Has("the address", shown(present)));
    }
    Wrong::all(problems).map_err(|why| BadAnswer::Text(why.to_string()))
}

/// Tells whether an error of the C library says that another attempt may have another result:
/// `EAI_AGAIN` of getaddrinfo(3), as glibc and musl say it.
fn is_temporary(why: &str) -> bool {
    why.contains("Temporary failure") || why.contains("Try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_addresses_or_none() {
        let found = |all: &[&str]| -> Result<Vec<SocketAddr>, BadAnswer> {
            Ok(all.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect())
        };
        let none = |why: &str| Err(BadAnswer::Unresolved(why.to_owned()));
        let gone = "failed to lookup address information: Name or service not known";
        let again = "failed to lookup address information: Temporary failure in name resolution";
        for (exists, addresses, found, expected) in [
            (true, &[][..], found(&["10.0.0.7", "::1"]), ""),
            (true, &["10.0.0.7", "!10.0.0.8"], found(&["10.0.0.7"]), ""),
            (true, &["10.0.0.7"], found(&["::ffff:10.0.0.7"]), ""),
            (
                true,
                &["10.0.0.8"],
                found(&["10.0.0.7"]),
                "it lacks the address 10.0.0.8 and has 10.0.0.7",
            ),
            (true, &["!::1"], found(&["::1"]), "it has the address ::1, which it must not have"),
            (true, &[], none(gone), gone),
            (false, &[], none(gone), ""),
            (false, &[], none(again), again),
            (false, &[], found(&["10.0.0.7"]), "it resolves to 10.0.0.7"),
        ] {
            let addresses = addresses.iter().map(|text: &&str| {
                (text.trim_start_matches('!').parse().unwrap(), text.starts_with('!'))
            });
            let check = DnsCheck { name: "db".to_owned(), exists, addresses: addresses.collect() };
            let why = verdict(&check, found).err().map_or(String::new(), |why| why.to_string());
            assert_eq!(why, expected, "{check:?}");
        }
    }
}
