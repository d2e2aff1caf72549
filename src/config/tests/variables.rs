//! `TRC_…` and `RC_…`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use crate::config::unit::Form;
use crate::config::{Condition, WaitPolicy, is_own_variable};

use super::{Case, exec, unit};

#[test]
fn variables_set_keys_whatever_their_case() {
    let config = Case::new()
        .toml("[async.my-web]\nexec = \"x\"\nstop.timeout = 1\n[async.db]\nexec = \"y\"")
        .set("TRC_WAIT", "all")
        .set("TRC_LOG__LEVEL", "debug")
        .set("TRC_ASYNC__MY_WEB__STOP__TIMEOUT", "3s")
        .set("TRC_ASYNC__MY_WEB__SUCCESS", "[0, 3]")
        .set("TRC_ASYNC__MY_WEB__AFTER__DB", "started")
        .set("TRC_ASYNC__MY_WEB__ENV_CLEAR", "true")
        .set("TRC_async__my_web__UMASK", "027")
        .set("TRC_ASYNC__MY_WEB__ENV__HTTP_PORT", "80")
        .set("TRC_ENV__a__B", "{x}")
        .set("TRC_SIGNALS__USR1", "ignore")
        .set("TRC_SIGNALS__HUP", "{ forward = 'QUIT', to = ['my-web'] }")
        .set("TRC_EXIT__138", "0")
        .set("TRC_SHELL", "[\"/bin/ash\", \"-c\"]")
        .set("TRC_SYNC__NEW_ONE__EXEC", "nginx -g \"daemon off;\"")
        .set("TRC_SYNC__F1__USER", "flag")
        .arguments(&["-F", "x"])
        .config();
    assert_eq!(config.wait, WaitPolicy::All);
    assert_eq!(config.log.level, log::LevelFilter::Debug);
    let web = unit(&config, "async.my-web");
    assert_eq!(web.stop.timeout, Some(Duration::from_secs(3)));
    assert_eq!(web.success, Some(vec![0, 3]));
    assert_eq!(web.after[0].unit.value, "async.db");
    assert_eq!(web.after[0].condition, Some(Condition::Started));
    assert!(web.identity.env_clear);
    assert_eq!(web.identity.umask, Some(0o027));
    assert_eq!(web.identity.env["HTTP_PORT"].value.source(), "80");
    assert_eq!(config.env["a__B"].value.source(), "{x}");
    assert_eq!(config.signals.len(), 2);
    assert_eq!(config.exit.statuses, [(138, 0)].into());
    assert_eq!(config.shell.as_ref().unwrap(), &["/bin/ash", "-c"]);
    assert_eq!(exec(unit(&config, "sync.new-one")), ["nginx", "-g", "daemon off;"]);
    let flag = unit(&config, "sync.F1");
    assert_eq!(flag.identity.user.as_ref().unwrap().value, "flag");
    assert_eq!(flag.form, Form::Flag);
}

#[test]
fn a_name_that_is_no_setting_is_a_warning() {
    let case = Case::new()
        .set("TRC_PORT_80_TCP", "tcp://10.0.0.1:80")
        .set("TRC_WIAT", "all")
        .set("TRC_LOGLEVEL", "all")
        .set("TRC_ASYNC_WEB_EXEC", "x")
        .set("TRC_WAIT", "")
        .set("TRC_FOO", "x")
        .set("TRC_ASYN__WEB__USER", "x")
        .set("PATH", "/bin");
    assert_eq!(
        case.remarks(),
        [
            "warning TRC_ASYNC_WEB_EXEC: `TRC_ASYNC_WEB_EXEC` is not a setting of trc (two underscores separate keys: `TRC_ASYNC__…`; trc ignores it)",
            "warning TRC_ASYN__WEB__USER: `TRC_ASYN__WEB__USER` is not a setting of trc (did you mean `TRC_ASYNC__…`?)",
            "warning TRC_FOO: `TRC_FOO` is not a setting of trc (trc ignores it; docker or Kubernetes may have set it)",
            "warning TRC_LOGLEVEL: `TRC_LOGLEVEL` is not a setting of trc (did you mean `TRC_LOG_LEVEL`?)",
            "warning TRC_PORT_80_TCP: `TRC_PORT_80_TCP` is not a setting of trc (trc ignores it; docker or Kubernetes may have set it)",
            "warning TRC_WIAT: `TRC_WIAT` is not a setting of trc (did you mean `TRC_WAIT`?)",
        ]
    );
}

#[test]
fn what_an_outer_trc_sets_for_its_units_is_no_concern_of_an_inner_one() {
    let case = Case::new()
        .set("TRC_UNIT", "async.x")
        .set("TRC_STAGE", "async")
        .set("TRC_EXIT_STATUS", "1")
        .set("TRC_EXIT_REASON", "x");
    assert_eq!(case.remarks(), [""; 0]);
}

#[test]
fn a_wrong_name_below_a_known_table_is_an_error() {
    let case = Case::new()
        .toml("[async.cron]\nexec = \"cron\"\n[async.a-b]\nexec = \"x\"\n[async.a_b]\nexec = \"x\"")
        .set("TRC_ASYNC__CORN__ENABLED", "false")
        .set("TRC_LOG__LEVLE", "info")
        .set("TRC_ASYNC__CRON__USR", "x")
        .set("TRC_ASYNC__A_B__USER", "x")
        .set("TRC_ASYNC__CRON__AFTER", "[1")
        .set("TRC_SHUTDOWN__TIMEOUT", OsString::from_vec(vec![0xff]));
    assert_eq!(
        case.errors(),
        [
            "error TRC_ASYNC__A_B__USER: A_B is ambiguous: it may be a-b or a_b",
            "error TRC_ASYNC__CORN__ENABLED: there is no unit `async.corn` (did you mean `async.cron`?)",
            "error TRC_ASYNC__CRON__AFTER: unclosed array: expected `]`, in the value [1",
            "error TRC_ASYNC__CRON__USR: unknown key `usr` in `[async.cron]` (did you mean `user`?)",
            "error TRC_LOG__LEVLE: unknown key `levle` in `[log]` (did you mean `level`?)",
            "error TRC_SHUTDOWN__TIMEOUT: the value is not UTF-8",
        ]
    );
}

#[test]
fn trivialrc_s_variables_keep_working() {
    let config = Case::new().set("RC_WAIT_POLICY", "wait_all").set("RC_DEBUG", "true").config();
    assert_eq!(config.wait, WaitPolicy::All);
    assert!(config.xtrace);
    for (variables, level) in [
        (&["RC_VERBOSE"][..], log::LevelFilter::Info),
        (&["RC_VERBOSE_EXTRA"], log::LevelFilter::Debug),
        (&["RC_VERBOSE", "RC_VERBOSE_EXTRA"], log::LevelFilter::Debug),
    ] {
        let case = variables.iter().fold(Case::new(), |case, name| case.set(name, "true"));
        assert_eq!(case.config().log.level, level);
        let case = case.set("TRC_LOG_LEVEL", "error");
        assert_eq!(case.config().log.level, log::LevelFilter::Error);
    }
    let case = Case::new().set("RC_WAIT_POLICY", "wait_eny");
    assert_eq!(
        case.errors(),
        [
            "error RC_WAIT_POLICY: `wait`: expected any, all, err or forever, found \"wait_eny\" (did you mean `any`?)"
        ]
    );
    let case = Case::new().set("RC_VERBOSE", "yes");
    assert_eq!(
        case.remarks(),
        ["warning RC_VERBOSE: expected true or false, found \"yes\"; trc ignores the variable"]
    );
}

#[test]
fn wait_policies_have_two_names_everywhere() {
    for (name, policy) in [
        ("any", WaitPolicy::Any),
        ("wait_all", WaitPolicy::All),
        ("err", WaitPolicy::Err),
        ("wait_forever", WaitPolicy::Forever),
    ] {
        for case in [
            Case::new().toml(&format!("wait = \"{name}\"")),
            Case::new().set("TRC_WAIT", name),
            Case::new().set("TRC_WAIT", format!("\"{name}\"")),
            Case::new().set("RC_WAIT_POLICY", name),
            Case::new().arguments(&["--wait", name]),
            Case::new().arguments(&["-c", &format!("wait={name}")]),
            Case::new().arguments(&["-c", &format!("wait = \"{name}\"")]),
        ] {
            assert_eq!(case.config().wait, policy);
        }
    }
}

#[test]
fn settings_are_told_from_other_variables() {
    for name in [
        "TRC_WAIT",
        "TRC_LOG_LEVEL",
        "TRC_WORKDIR",
        "TRC_BARE",
        "TRC_CONFIG",
        "TRC_ASYNC__WEB__EXEC",
        "TRC_LOG__LEVLE",
        "TRC_log__level",
        "RC_WAIT_POLICY",
        "RC_VERBOSE",
        "RC_VERBOSE_EXTRA",
        "RC_DEBUG",
        "RC_WORK_DIR",
    ] {
        assert!(is_own_variable(name.as_ref()), "{name}");
    }
    for name in ["TRC_PORT", "TRC_PORT_80_TCP", "TRC_UNIT", "TRC_", "TRC", "PATH", "RC_X", ""] {
        assert!(!is_own_variable(name.as_ref()), "{name}");
    }
}
