//! `docs/configuration.md` has the same contents as `keys/mod.rs`.

use crate::config::keys::key::{Key, Keys, Kind, all, reference};
use crate::config::keys::{DIR, FILES, FORWARD, HEALTH, READY, TEST_OWN, TOP, UNIT};

use super::Case;

#[test]
fn the_reference_is_that_of_the_keys() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let written = std::fs::read_to_string(path).unwrap();
    let mut right = written.clone();
    for (name, keys) in [
        ("top", TOP),
        ("unit", UNIT),
        ("test", TEST_OWN),
        ("forward", FORWARD),
        ("dirs", DIR),
        ("files", FILES),
    ] {
        let (before, rest) = right.split_once(&format!("<!-- keys: {name} -->\n")).expect(name);
        let (_, after) = rest.split_once("<!-- end -->").expect(name);
        right = format!("{before}<!-- keys: {name} -->\n{}<!-- end -->{after}", reference(keys));
    }
    if std::env::var_os("TRC_TEST_UPDATE").is_some() {
        return std::fs::write(path, &right).unwrap();
    }
    assert!(written == right, "{path} is stale; TRC_TEST_UPDATE=1 cargo test makes it anew");
}

/// The tables that the reference has, with a place for each.
pub(super) fn tables() -> [(&'static str, Keys); 6] {
    [
        ("", TOP),
        ("sync.x", UNIT),
        ("test.x", TEST_OWN),
        ("signals.HUP", FORWARD),
        ("sync.x.dirs.'/a'", DIR),
        ("sync.x.files.'/a'", FILES),
    ]
}

/// Each example, alone in its table, causes no error.
#[test]
fn every_example_of_the_reference_can_be_written() {
    let mut tried = 0;
    for (place, keys) in tables() {
        try_examples(place, keys, &mut tried);
    }
    assert!(tried > 70, "{tried}");
}

fn try_examples(place: &str, keys: Keys, tried: &mut usize) {
    for Key { name, kind, example, .. } in all(keys) {
        let path = if place.is_empty() { (*name).to_owned() } else { format!("{place}.{name}") };
        if let Kind::Table(inner) | Kind::Short(inner) = kind {
            try_examples(&path, inner, tried);
        }
        if matches!(kind, Kind::Table(_)) {
            assert_eq!(*example, "", "{path}");
            continue;
        }
        assert!(context(&path, name, example).is_some(), "{path} = {example} can't be written");
        *tried += 1;
    }
}

/// Returns the place of a key with this example, and the other lines that it needs.
pub(super) fn context(path: &str, name: &str, example: &str) -> Option<(String, String)> {
    // Only halt units have this key.
    let path = if name == "always" { path.replace("sync", "halt") } else { path.to_owned() };
    // Only async units have these keys and those in them.
    let of_async =
        path.contains(".schedule") || ["instances", "autostart", "pid_file"].contains(&name);
    let path = if of_async { path.replace("sync.x", "async.x") } else { path };
    // The other keys that make the unit complete.
    let others = "async = { db.exec = 'x', nginx.exec = 'x', web.exec = 'x', backup.exec = 'x' }";
    let contexts = ["", "sync.x.exec = 'x'", "halt.x.exec = 'x'"]
        .into_iter()
        .chain(["ready.tcp = 1", "health.tcp = 1", "ready.http.url = 'http://a'"])
        .chain(["health.http.url = 'http://a'", "reload.signal = 'HUP'"])
        .chain(["pre_start.exec = 'x'", "post_stop.exec = 'x'"])
        .chain(["async.x.exec = 'x'", "async.x.exec = 'x'\nasync.x.schedule.when = '@daily'"])
        .chain(["ready.log.pattern = 'x'"])
        .chain(["sync.x.exec = 'x'\nsync.x.files.'/a'.text = 'x'"])
        .chain(["test.x.exec = 'x'", "test.x.expect.tcp = 1"])
        .chain(["test.x.expect.http.url = 'http://a'", "test.x.expect.file.path = '/a'"])
        .chain(["test.x.expect.log.contains = 'x'", "test.x.expect.env.set.x = 'x'"])
        .chain(["test.x.expect.dns.name = 'a'", "test.x.expect.mount.path = '/a'"])
        .chain(["test.x.expect.user_account.name = 'a'", "test.x.expect.tree.path = '/a'"])
        .chain(["test.x.expect.certificate.path = '/a'", "test.x.expect.listener.ports = 1"])
        .chain(["test.x.expect.listener.unit = 'web'"])
        .chain(["test.x.expect.group_account.name = 'a'"])
        .chain(["test.x.expect.fault = { unit = 'web', kill = 'KILL' }"])
        .chain(["test.x.expect.fault.unit = 'web'\ntest.x.expect.fault.kill = 'HUP'"])
        .chain(["test.x.expect.fault.unit = 'web'", "test.x.expect.fault.kill = 'HUP'"])
        .chain(["test.x.expect.fault.unit = 'web'\ntest.x.expect.fault.kill = 'HUP'"])
        .chain(["test.x.expect.after_stop.file.path = '/a'", "test.x.expect.holds = '1s'"])
        .chain(["test.x.expect.restart = 'web'"])
        .chain(["test.x.expect.restart = 'web'\ntest.x.expect.during.http.url = 'http://a'"])
        .chain(["test.x.expect.restart = 'web'\ntest.x.expect.during.tcp = 1"])
        .map(|line| match line.split_once('.') {
            Some(("ready" | "health" | "reload" | "pre_start" | "post_stop", _)) => {
                format!("sync.x.exec = 'x'\nsync.x.{line}")
            }
            _ => line.to_owned(),
        });
    let mut contexts = contexts.flat_map(|one| [format!("{others}\n{one}"), one]);
    let whole = |context: &String| {
        Case::new().toml(&format!("{context}\n{path} = {example}\n")).errors().is_empty()
    };
    let context = contexts.find(whole)?;
    Some((path, context))
}

/// If a default can be written as a value, it has the same effect as leaving out the key.
#[test]
fn the_defaults_of_the_reference_are_those_that_hold() {
    let (mut right, mut others) = (0, Vec::new());
    let mut of = |place: &str, keys, context: &str| {
        defaults(place, keys, context, &mut right, &mut others);
    };
    of("", TOP, "");
    of("sync.x", UNIT, "[sync.x]\nexec = 'x'\nrestart.when = 'no'\n");
    let probes = "[sync.x]\nexec = 'x'\nready.http.url = 'http://a'\nhealth.tcp = 1\n";
    of("sync.x.ready", READY, probes);
    of("sync.x.health", HEALTH, probes);
    let expect = "{ http.url = 'http://a', file.path = '/a', dns.name = 'a', \
                  user_account.name = 'a', group_account.name = 'a', mount.path = '/a' }";
    let test = format!("[test.x]\nexpect = {expect}\n[async.a]\nexec = 'x'\n");
    of("test.x", TEST_OWN, &test);
    // It matters whether these keys were written. The graph works out their other values.
    assert_eq!(others, ["success", "signal", "timeout"]);
    assert_eq!(right, 33);
}

fn defaults(
    place: &str,
    keys: Keys,
    context: &str,
    right: &mut usize,
    others: &mut Vec<&'static str>,
) {
    let load = |case: Case| {
        let case = case.arguments(&["--test-list"]);
        let mut config = case.load().ok()?.config;
        config.work_dir = "".into();
        Some(format!("{config:?}").replace(case.dir.path().to_str().unwrap(), ""))
    };
    let unset = load(Case::new().toml(context)).expect(context);
    for Key { name, kind, default, .. } in all(keys) {
        let path = if place.is_empty() { (*name).to_owned() } else { format!("{place}.{name}") };
        if let Kind::Table(inner) | Kind::Short(inner) = kind {
            defaults(&path, inner, context, right, others);
        }
        let set = ["-c", &format!("{path}={default}")];
        match load(Case::new().toml(context).arguments(&set)) {
            _ if default.is_empty() || default.contains(' ') => {}
            Some(config) if config == unset => *right += 1,
            Some(_) => others.push(name),
            // Another key excludes it, or is required with it.
            None => {}
        }
    }
}
