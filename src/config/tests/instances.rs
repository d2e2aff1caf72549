//! `instances`: one table for several units.

use super::{Case, exec, ids, toml_says, unit};
use crate::config::{Command, Config, Found, Probe, SignalRule};

const BASE: &str = "[async.worker]\nexec = 'work ${INSTANCE}'\n";

fn after(config: &Config, id: &str) -> Vec<String> {
    unit(config, id).after.iter().map(|after| after.unit.value.clone()).collect()
}

#[test]
fn instances_are_numbered_or_named() {
    for (instances, names) in [
        ("2", &["1", "2"][..]),
        ("'2'", &["1", "2"]),
        ("'${WORKERS:-2}'", &["1", "2"]),
        ("'${THREE}'", &["1", "2", "3"]),
        ("['mail', 'video']", &["mail", "video"]),
        ("['${THREE}', 'x-y_z']", &["3", "x-y_z"]),
        ("0", &[]),
        ("[]", &[]),
    ] {
        let case = Case::new().toml(&format!("{BASE}instances = {instances}")).set("THREE", "3");
        let names: Vec<String> = names.iter().map(|name| format!("async.worker@{name}")).collect();
        assert_eq!(ids(&case.config()), names, "{instances}");
    }
    let case = Case::new().toml(&format!("{BASE}instances = 4"));
    for (value, count) in [("1", 1), ("['a', 'b']", 2)] {
        let case = Case::new()
            .toml(&format!("{BASE}instances = 4"))
            .set("TRC_ASYNC__WORKER__INSTANCES", value);
        assert_eq!(case.config().units.len(), count, "{value}");
    }
    assert_eq!(case.config().units.len(), 4);
}

#[test]
fn each_instance_has_its_name_in_a_variable() {
    let case = Case::new().toml(
        "[async.worker]\nexec = ['work', '${INSTANCE}']\ninstances = ['a', 'b']\n\
         ready.unix = '/run/${INSTANCE}.sock'\nenabled = '${INSTANCE} != ${OFF:-}'\n\
         output = { file = '/var/log/${INSTANCE}.log' }\n",
    );
    let config = case.config();
    for name in ["a", "b"] {
        let unit = unit(&config, &format!("async.worker@{name}"));
        assert_eq!(unit.instance.as_deref(), Some(name));
        assert_eq!((unit.declared_name(), unit.declared_id().as_str()), ("worker", "async.worker"));
        // The words are those of the table until the unit starts.
        assert_eq!(exec(unit), ["work", "${INSTANCE}"]);
        let socket = Probe::Unix(format!("/run/{name}.sock").into());
        assert_eq!(unit.ready.as_ref().unwrap().probe.value, socket);
        let file = &unit.output_file.as_ref().unwrap().value;
        assert_eq!(file.path, std::path::PathBuf::from(format!("/var/log/{name}.log")));
    }
    assert_eq!(ids(&case.set("OFF", "a").config()), ["async.worker@b"]);
}

#[test]
fn the_common_name_stands_for_all_instances() {
    let config = Case::new()
        .toml(
            "[signals]\nHUP = { to = ['worker'] }\n[exit]\nunit.worker = 'own'\n\
             [async.worker]\nexec = 'x'\ninstances = 2\nbefore = ['late']\n\
             [async.db]\nexec = 'x'\nbefore = ['worker', 'worker@1']\n\
             [async.late]\nexec = 'x'\nrestart.with = ['worker']\n\
             [sync.app]\nexec = 'x'\nafter = { worker = 'started', 'async.worker@2' = 'exited' }\n\
             [test.t]\nexec = 'x'\nafter = ['async.worker']\n",
        )
        .arguments(&["--test"])
        .config();
    let workers = ["async.worker@1", "async.worker@2"];
    assert_eq!(after(&config, "sync.app"), ["async.worker@1", "async.worker@2", "async.worker@2"]);
    assert_eq!(after(&config, "test.t"), workers);
    let before = |id: &str| -> Vec<String> {
        unit(&config, id).before.iter().map(|before| before.unit.value.clone()).collect()
    };
    assert_eq!(before("async.db"), ["async.worker@1", "async.worker@2", "async.worker@1"]);
    assert_eq!(before("async.worker@2"), ["async.late"]);
    let names = |units: &[crate::config::UnitRef]| -> Vec<String> {
        units.iter().map(|unit| unit.value.clone()).collect()
    };
    assert_eq!(names(&unit(&config, "async.late").restart.with), workers);
    assert_eq!(names(&config.exit.own), workers);
    let SignalRule::Forward { to, .. } = config.signals.values().next().unwrap() else { panic!() };
    assert_eq!(names(to), workers);
}

#[test]
fn references_go_with_the_last_instance() {
    let app = |after: &str| format!("[sync.app]\nexec = 'x'\nafter = {after}\n");
    let both = "['worker', 'worker@1']";
    for (keys, references, left_out) in [
        ("instances = 0", "['worker']", "has no instances"),
        ("instances = 2\nenabled = false", both, "is disabled"),
        ("instances = '${NOPE}'\nenabled = false", "['worker']", "is disabled"),
        ("instances = 2\nprofiles = 'x'", both, "has the profile x, which is not in TRC_PROFILES"),
    ] {
        let config = Case::new().toml(&format!("{BASE}{keys}\n{}", app(references))).config();
        assert_eq!(ids(&config), ["sync.app"], "{keys}");
        assert_eq!(after(&config, "sync.app"), [""; 0], "{keys}");
        let left: Vec<(&str, &str)> =
            config.left_out.iter().map(|(id, why)| (id.as_str(), why.as_str())).collect();
        assert_eq!(left, [("async.worker", left_out)], "{keys}: one line is enough");
    }
}

#[test]
fn only_takes_all_instances_or_one() {
    for keys in ["", "profiles = ['x']\n"] {
        let case = || Case::new().toml(&format!("{BASE}instances = 3\n{keys}"));
        let only = |name: &str| ids(&case().arguments(&["--only", name]).config());
        assert_eq!(only("worker"), ["async.worker@1", "async.worker@2", "async.worker@3"]);
        assert_eq!(only("worker@2"), ["async.worker@2"]);
        assert_eq!(only("async.worker@2"), ["async.worker@2"]);
    }
}

#[test]
fn what_needs_one_unit_names_an_instance() {
    let test = |unit: &str| {
        let fault = format!("expect.log = {{ unit = '{unit}', contains = 'x' }}");
        Case::new().toml(&format!("{BASE}instances = 2\n[test.t]\n{fault}")).arguments(&["--test"])
    };
    assert_eq!(
        test("worker").errors(),
        [
            "error trc.toml:5:23: `async.worker` has 2 instances, and this needs one (write async.worker@1 or async.worker@2)"
        ]
    );
    let config = test("worker@2").config();
    let checks = &unit(&config, "test.t").test.as_ref().unwrap().checks;
    let crate::config::Check::Found(Found::Said { unit: Some(unit), .. }) = &checks[0].value else {
        panic!("{checks:?}")
    };
    assert_eq!(unit.value, "async.worker@2");
}

#[test]
fn what_is_wrong_with_instances_is_said_once_with_its_place() {
    let number = "expected a number from 0 to 1000 or an array of names, found";
    let name = "(it is a word of letters, digits, `_` and `-`)";
    for (text, errors) in [
        ("instances = -1", &[format!("3:13: `instances`: {number} the integer -1")][..]),
        ("instances = 1001", &[format!("3:13: `instances`: {number} the integer 1001")]),
        ("instances = 'many'", &[format!("3:13: `instances`: {number} the string \"many\"")]),
        ("instances = true", &[format!("3:13: `instances`: {number} true")]),
        ("instances = '${NOPE}'", &["3:13: `instances`: the variable NOPE is not set".to_owned()]),
        (
            "instances = ['a b', 'a@b', 'a.b', '']",
            &[
                format!("3:14: `instances`: \"a b\" is not a valid name of an instance {name}"),
                format!("3:21: `instances`: \"a@b\" is not a valid name of an instance {name}"),
                format!("3:28: `instances`: \"a.b\" is not a valid name of an instance {name}"),
                format!("3:35: `instances`: \"\" is not a valid name of an instance {name}"),
            ],
        ),
        (
            "instances = ['a', 'b', 'a']",
            &["3:24: `instances`: the instance \"a\" is there twice".to_owned()],
        ),
        // A mistake in the table is not one of each instance.
        (
            "instances = 3\nuser = []\nkye = 1",
            &[
                "4:8: `user`: expected a name or a number, found an array".to_owned(),
                "5:1: unknown key `kye` in `[async.worker]`".to_owned(),
            ],
        ),
        (
            "instances = 2\n[async.'worker@2']\nexec = 'x'",
            &[
                "4:8: `async.worker@2` is an instance of `async.worker`, which has the same keys for all (choose values by `${INSTANCE}` in `[async.worker]`)".to_owned(),
            ],
        ),
        (
            "instances = 2\n[sync.app]\nexec = 'x'\nafter = ['worker@3']",
            &["6:10: there is no unit `worker@3` (did you mean `worker@1`?)".to_owned()],
        ),
    ] {
        let errors: Vec<String> =
            errors.iter().map(|error| format!("error trc.toml:{error}")).collect();
        let case = Case::new().toml(&format!("{BASE}{text}"));
        assert_eq!(case.errors(), errors, "{text}");
    }
    toml_says(&[
        (
            "[sync.app]\nexec = 'x'\ninstances = 2",
            &[
                "error trc.toml:3:1: `instances`: sync.app cannot have instances: sync units run one at a time",
            ],
        ),
        (
            "[async.web]\nexec = 'x'\nreplicas = 2",
            &[
                "error trc.toml:3:1: unknown key `replicas` in `[async.web]` (in trc this is `instances`: instances = 4)",
            ],
        ),
    ]);
}

#[test]
fn a_script_file_can_have_instances() {
    let case = Case::new().file("trc.d/async.worker", "echo $INSTANCE\n");
    let config = case.toml("[async.worker]\ninstances = 2\n").config();
    assert_eq!(ids(&config), ["async.worker@1", "async.worker@2"]);
    assert!(matches!(unit(&config, "async.worker@2").command, Command::File(_)));
}
