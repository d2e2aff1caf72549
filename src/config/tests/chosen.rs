//! `profiles`, `TRC_PROFILES` and `--only`: which of the declared units exist in a run.

use super::{Case, ids, toml_says, unit};

const UNITS: &str = "[async.web]\nexec = 'x'\nafter = ['db', 'pprof']\n\
    [async.db]\nexec = 'x'\nafter = ['boot.a']\n\
    [async.pprof]\nexec = '${NOPE}'\ncwd = '/'\nprofiles = ['debug', 'ci']\n\
    [async.hook]\nexec = 'x'\nbefore = ['db']\n\
    [async.twin]\nexec = 'x'\nrestart.with = ['db']\n\
    [async.off]\nexec = 'x'\nenabled = false\nprofiles = ['debug']\n\
    [boot.a]\nexec = 'x'\n[halt.z]\nexec = 'x'\n";

#[test]
fn a_unit_with_profiles_is_there_if_one_of_them_is_wanted() {
    for (wanted, pprof) in [
        (None, false),
        (Some(""), false),
        (Some("debug"), true),
        (Some(" ci , x"), true),
        (Some("*"), true),
        (Some("debugs"), false),
    ] {
        let case = Case::new().toml(UNITS);
        let case = wanted.into_iter().fold(case, |case, value| case.set("TRC_PROFILES", value));
        let config = case.config();
        assert_eq!(ids(&config).contains(&"async.pprof".to_owned()), pprof, "{wanted:?}");
        let after = unit(&config, "async.web").after.len();
        assert_eq!(after, 1 + usize::from(pprof), "{wanted:?}: references go with the unit");
        let why = config.left_out.get("async.pprof").map(String::as_str);
        let expected = "has the profiles debug, ci, none of which is in TRC_PROFILES";
        assert_eq!(why, (!pprof).then_some(expected));
        assert_eq!(config.left_out["async.off"], "is disabled");
    }
}

#[test]
fn a_profile_of_no_unit_is_pointed_out() {
    let case = Case::new().toml(UNITS).set("TRC_PROFILES", "debgu,*");
    let warning = "warning TRC_PROFILES: no unit has the profile `debgu` (did you mean `debug`?)";
    assert_eq!(case.remarks(), [warning]);
    toml_says(&[
        (
            "[async.a]\nexec = 'x'\nprofiles = ['a b', 'a,b', '']",
            &[
                "error trc.toml:3:13: `profiles`: \"a b\" is not a valid profile (a profile is a word of letters, digits, `_`, `.` and `-`)",
                "error trc.toml:3:20: `profiles`: \"a,b\" is not a valid profile (a profile is a word of letters, digits, `_`, `.` and `-`)",
                "error trc.toml:3:27: `profiles`: this must not be empty",
            ],
        ),
        (
            "[async.a]\nexec = 'x'\nprofile = 'a'",
            &[
                "error trc.toml:3:1: unknown key `profile` in `[async.a]` (in trc this is `profiles`: profiles = [\"debug\"])",
            ],
        ),
        (
            "[async.a]\nprofiles = 'a'",
            &["error trc.toml:1:8: `[async.a]` has no command: it needs `exec` or `script`"],
        ),
    ]);
}

#[test]
fn only_keeps_what_the_named_units_stand_on() {
    let always = ["boot.a", "halt.z"];
    for (only, kept) in [
        ("web", &["async.web", "async.db", "async.hook"][..]),
        ("async.db", &["async.db", "async.hook"]),
        ("twin", &["async.db", "async.hook", "async.twin"]),
        ("hook", &["async.hook"]),
        ("hook, twin", &["async.db", "async.hook", "async.twin"]),
        // As in Compose, a unit that is named needs no profile.
        ("pprof", &["async.pprof"]),
        ("halt.z", &[]),
    ] {
        let config = Case::new().toml(UNITS).arguments(&["--only", only]).config();
        assert_eq!(ids(&config), [kept, &always].concat(), "{only}");
        let variable = Case::new().toml(UNITS).set("TRC_ONLY", only).config();
        assert_eq!(ids(&variable), ids(&config), "{only}");
    }
    let command =
        Case::new().toml(UNITS).arguments(&["--only=hook", "-D", "a", "--", "b"]).config();
    assert_eq!(ids(&command), ["async.hook", "boot.a", "halt.z", "async.D1", "sync.cmd"]);
    let config = Case::new().toml(UNITS).arguments(&["--only=hook"]).config();
    assert_eq!(config.left_out["async.web"], "is left out by --only");
}

#[test]
fn only_names_units_that_are_there() {
    for (only, error) in [
        ("wbe", "there is no unit `wbe` (did you mean `web`?)"),
        ("async.wbe", "there is no unit `async.wbe` (did you mean `async.web`?)"),
        ("off", "async.off is disabled"),
    ] {
        let case = Case::new().toml(UNITS).arguments(&["--only", only]);
        assert_eq!(case.errors(), [format!("error --only: {error}")]);
        let case = Case::new().toml(UNITS).set("TRC_ONLY", only);
        assert_eq!(case.errors(), [format!("error TRC_ONLY: {error}")]);
    }
    // A mistake in a unit that is left out is still one.
    let wrong = format!("{UNITS}[async.last]\nexec = 'x'\nafter = ['wbe']\n");
    let case = Case::new().toml(&wrong).arguments(&["--only=web"]);
    assert_eq!(
        case.errors(),
        ["error trc.toml:27:10: there is no unit `wbe` (did you mean `web`?)"]
    );
}

#[test]
fn tests_of_units_that_are_left_out_are_skipped() {
    let tests = "[test.web]\nafter = ['web']\nexpect.tcp = 80\n[test.db]\nafter = ['db']\nexpect.tcp = 81\n";
    let case = || Case::new().toml(&format!("{UNITS}{tests}")).arguments(&["--test", "--only=db"]);
    let absent = |id: &str| unit(&case().config(), id).test.clone().unwrap().absent;
    assert_eq!(absent("test.web").as_deref(), Some("async.web is left out by --only"));
    assert_eq!(absent("test.db"), None);
}
