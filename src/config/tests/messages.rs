//! The messages about mistakes, and the places that they name.

use super::{Case, toml_says, unit};

#[test]
fn a_wrong_key_is_named_with_its_place_and_the_nearest_right_one() {
    toml_says(&[
        ("wiat = 1", &["error trc.toml:1:1: unknown key `wiat` (did you mean `wait`?)"]),
        (
            "\n[log]\n  levle = 1\n",
            &["error trc.toml:3:3: unknown key `levle` in `[log]` (did you mean `level`?)"],
        ),
        // The message used to explain the `type` of a unit here.
        ("[log]\ntype = 1", &["error trc.toml:2:1: unknown key `type` in `[log]`"]),
        (
            "[async.web]\nexce = \"x\"",
            &["error trc.toml:2:1: unknown key `exce` in `[async.web]` (did you mean `exec`?)"],
        ),
        (
            "async.web = { exec = \"x\", stop.signl = 1 }",
            &["error trc.toml:1:32: unknown key `signl` in `stop` (did you mean `signal`?)"],
        ),
        (
            "exec = \"x\"",
            &[
                "error trc.toml:1:1: unknown key `exec` (`exec` is a key of a unit: write it below `[STAGE.NAME]`, or in a file named STAGE.NAME.toml)",
            ],
        ),
        (
            "[asink.web]\nexec = \"x\"",
            &["error trc.toml:1:2: unknown key `asink` (did you mean `async`?)"],
        ),
        // It causes no further error, because the unit exists once the stage is right.
        (
            "[asink.web]\nexec = \"x\"\n[async.b]\nexec = \"x\"\nafter = [\"web\"]\nrestart.with = [\"async.web\"]",
            &["error trc.toml:1:2: unknown key `asink` (did you mean `async`?)"],
        ),
        (
            "[signals]\nHUP = { forwrad = 1, to = [] }",
            &[
                "error trc.toml:2:9: unknown key `forwrad` in `signals.SIGHUP` (did you mean `forward`?)",
            ],
        ),
    ]);
}

/// Loads this as `[test.t]`, and checks the message about its second line.
#[test]
fn a_key_of_a_test_that_stands_elsewhere_is_told_where_it_belongs() {
    let timeout = "did you mean `max_runtime`, for the command, or `expect.within`, for how long trc tries again?";
    for (line, key, place, help) in [
        ("within = '3s'", "within", "[test.t]", "it belongs in `expect`: expect = { within = … }"),
        ("stdout = 'x'", "stdout", "[test.t]", "it belongs in `expect`: expect = { stdout = … }"),
        ("exit = 3", "exit", "[test.t]", "it belongs in `expect`: expect = { exit = … }"),
        (
            "max-memory = 1",
            "max-memory",
            "[test.t]",
            "it belongs in `expect`: expect = { max_memory = … }",
        ),
        ("timeout = '3s'", "timeout", "[test.t]", timeout),
        (
            "command = 'x'",
            "command",
            "[test.t]",
            "in trc this is `exec`: exec = \"nginx -g 'daemon off;'\"",
        ),
        ("expect.timeout = 1", "timeout", "expect", "did you mean `within`?"),
        ("expect.exit-status = 0", "exit-status", "expect", "did you mean `exit`?"),
        (
            "expect.status = 0",
            "status",
            "expect",
            "did you mean `exit`, or the `status` of `http`?",
        ),
        ("expect.body = 'x'", "body", "expect", "it belongs in `http`: http = { body = … }"),
        ("expect.contains = 'x'", "contains", "expect", "it belongs in `file` or `log`"),
    ] {
        let column = line.find(key).unwrap() + 1;
        let expected =
            format!("error trc.toml:2:{column}: unknown key `{key}` in `{place}` ({help})");
        assert_eq!(Case::new().toml(&format!("[test.t]\n{line}")).errors(), [expected], "{line}");
    }
}

#[test]
fn a_backslash_in_double_quotes_is_told_to_take_single_ones() {
    let errors = Case::new().toml("[test.t]\nexec = 'x'\nexpect.stdout = \"/^\\w+$/\"\n").errors();
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(error.starts_with("error trc.toml:3:21: missing escaped value"), "{error}");
    let help = r"(a string in single quotes keeps its backslashes: '/^\w+$/')";
    assert!(error.ends_with(help), "{error}");
}

#[test]
fn a_mistake_is_told_once_and_not_what_follows_from_it() {
    toml_says(&[
        (
            "[test.a]\nexpect.http = { url = 'http://a/', stauts = 200 }",
            &[
                "error trc.toml:2:36: unknown key `stauts` in `expect.http` (did you mean `status`?)",
            ],
        ),
        (
            "[test.a]\nexpect.http = { ulr = 'http://a/' }",
            &["error trc.toml:2:17: unknown key `ulr` in `expect.http` (did you mean `url`?)"],
        ),
        (
            "[test.a]\nexpect = 0",
            &[
                "error trc.toml:2:10: `expect`: expected a table, found the integer 0 (write expect = { exit = 0 })",
            ],
        ),
        (
            "[test.a]\nexec = 'x'\n[test.a]\nexec = 'y'\n[test.b]\nexec = 'x'\nexec = 'y'",
            &[
                "error trc.toml:3:7: the key `a` is written twice; the first one is on line 1 (merge the two tables into one)",
                "error trc.toml:7:1: the key `exec` is written twice; the first one is on line 6",
            ],
        ),
    ]);
}

/// Only the first mistake used to be reported.
#[test]
fn the_same_wrong_key_in_several_layers_is_told_for_each() {
    let case = Case::new()
        .toml("[sync.web]\nexec = 'x'\nrestrat = 'no'")
        .file("trc.d/10.toml", "exec = 'a'\n[sync.web]\nrestrat = 'always'\n[asink.x]\nexec = 'x'")
        .file("trc.d/20.toml", "\nexec = 'b'\n[asink.y]\nexec = 'x'\n")
        .file("trc.d/sync.web.toml", "restrat = { max = 1 }")
        .set("TRC_SYNC__WEB__RESTRAT", "always");
    let key = "unknown key `restrat` in `[sync.web]` (did you mean `restart`?)";
    let exec = "unknown key `exec` (`exec` is a key of a unit: write it below `[STAGE.NAME]`, or in a file named STAGE.NAME.toml)";
    let stage = "unknown key `asink` (did you mean `async`?)";
    assert_eq!(
        case.errors(),
        [
            format!("error trc.toml:3:1: {key}"),
            format!("error trc.d/sync.web.toml:1:1: {key}"),
            format!("error trc.d/10.toml:1:1: {exec}"),
            format!("error trc.d/10.toml:3:1: {key}"),
            format!("error trc.d/10.toml:4:2: {stage}"),
            format!("error trc.d/20.toml:2:1: {exec}"),
            format!("error trc.d/20.toml:3:2: {stage}"),
            format!("error TRC_SYNC__WEB__RESTRAT: {key}"),
        ]
    );
}

#[test]
fn a_wrong_key_beside_ready_is_all_that_is_wrong() {
    toml_says(&[
        (
            "[sync.web]\nexce = 'x'\nready.tcp = 80\nhealth.tcp = 80",
            &["error trc.toml:2:1: unknown key `exce` in `[sync.web]` (did you mean `exec`?)"],
        ),
        (
            "[async.web]\nexce = 'x'\nready.log = 'up'\nmax_runtime = 5",
            &["error trc.toml:2:1: unknown key `exce` in `[async.web]` (did you mean `exec`?)"],
        ),
    ]);
}

#[test]
fn a_wrong_value_is_shown_with_what_was_expected() {
    let unit = |line: &str, expected: &str| {
        let errors = Case::new().toml(&format!("[async.web]\nexec = \"a\"\n{line}")).errors();
        assert_eq!(errors, [format!("error trc.toml:{expected}")], "{line}");
    };
    unit(
        "enabled = \"yes\"",
        "3:11: `enabled`: expected true or false, found \"yes\" (write true)",
    );
    unit("oneshot = 1", "3:11: `oneshot`: expected true or false, found the integer 1");
    unit(
        "success = [0, 256]",
        "3:15: `success`: expected an exit status from 0 to 255, found the integer 256",
    );
    unit(
        "success = 256",
        "3:11: `success`: expected an exit status from 0 to 255, found the integer 256",
    );
    unit(
        "stop.signal = \"TREM\"",
        "3:15: `stop.signal`: there is no signal \"TREM\" (did you mean `SIGTERM`?)",
    );
    unit("stop = 1", "3:8: `stop`: expected a table, found the integer 1");
    unit("user = -1", "3:8: `user`: expected a name or a number, found the integer -1");
    unit(
        "umask = 22",
        "3:9: `umask`: expected an octal mask such as \"022\" or 0o022, found the integer 22",
    );
    unit(
        "umask = \"8\"",
        "3:9: `umask`: expected an octal mask such as \"022\" or 0o022, found the string \"8\"",
    );
    unit("output = {}", "3:10: `output`: this table needs a `file`");
    for (output, error) in [
        ("{ pty = false }", "3:10: `output`: this table needs a `file`"),
        ("{ pty = true, keep = 1 }", "3:10: `output`: this table needs a `file`"),
        (
            "[]",
            "3:10: `output`: this list is empty (to discard the output, write output = \"null\")",
        ),
        (
            "['prefix', 'prefix']",
            "3:21: `output`: the output goes to the log already (for a pseudo-terminal, write { pty = true } in place of \"prefix\")",
        ),
        (
            "['prefix', { pty = true }]",
            "3:21: `output`: the output goes to the log already (for a pseudo-terminal, write { pty = true } in place of \"prefix\")",
        ),
        (
            "[{ file = '/a' }, { file = '/b' }]",
            "3:28: `output`: trc writes the output of a unit to one file",
        ),
        (
            "['null', 'prefix']",
            "3:11: `output`: \"inherit\" and \"null\" stand for themselves, and not in a list",
        ),
        ("['prefix', 5]", "3:21: `output`: expected a string, found the integer 5"),
        (
            "['prefix', '/x']",
            "3:21: `output`: expected inherit, prefix or null, found \"/x\" (write output = { file = \"/x\" })",
        ),
        (
            "['prefix', { fil = '/x' }]",
            "3:23: unknown key `fil` in `output` (did you mean `file`?)",
        ),
    ] {
        unit(&format!("output = {output}"), error);
    }
    unit("output.file = \"x\"", "3:15: `output.file`: the path must begin with `/`");
    unit(
        "output = { file = \"/x\", max_size = \"1.5G\" }",
        "3:36: `output.max_size`: expected a size such as \"10MB\" or \"512KiB\", found the string \"1.5G\"",
    );
    unit(
        "output = { file = \"/x\", keep = -1 }",
        "3:32: `output.keep`: expected a number from 0 to 1000, found the integer -1",
    );
    unit(
        "on_failure = \"sotp\"",
        "3:14: `on_failure`: expected policy, stop or ignore, found \"sotp\" (did you mean `stop`?)",
    );
    for (text, expected) in [
        ("env.A = []", "3:9: `env.A`: expected a string, a number or a boolean, found an array"),
        ("env.A = {}", "3:9: `env.A`: this table needs a `file`"),
        ("env.A = { flie = 1 }", "3:11: unknown key `flie` in `env.A` (did you mean `file`?)"),
        (
            "limits = { nofiles = 1 }",
            "3:12: unknown key `nofiles` in `limits` (did you mean `nofile`?)",
        ),
        (
            "limits.core = \"2:1\"",
            "3:15: `limits.core`: the soft limit is higher than the hard limit",
        ),
        (
            "limits.cpu = \"1k\"",
            "3:14: `limits.cpu`: expected a number, \"unlimited\", or two as SOFT:HARD, found the string \"1k\"",
        ),
        ("nice = 20", "3:8: `nice`: expected a number from -20 to 19, found the integer 20"),
        (
            "oom_score_adj = \"x\"",
            "3:17: `oom_score_adj`: expected a number from -1000 to 1000, found the string \"x\"",
        ),
        (
            "capabilities = [\"CAP_NET_BIND\", \"chown\"]",
            "3:17: `capabilities`: there is no capability \"CAP_NET_BIND\" (did you mean `net_bind_service`?)",
        ),
        (
            "capabilities = \"net_bind_servic\"",
            "3:16: `capabilities`: there is no capability \"net_bind_servic\" (did you mean `net_bind_service`?)",
        ),
        ("tty = true", "3:7: `tty`: expected false, or the path of a terminal, found true"),
        (
            "stdin = \"nul\"",
            "3:9: `stdin`: expected null or inherit, found \"nul\" (did you mean `null`?)",
        ),
    ] {
        unit(text, expected);
    }
    toml_says(&[
        (
            "wait = \"anny\"",
            &[
                "error trc.toml:1:8: `wait`: expected any, all, err or forever, found \"anny\" (did you mean `any`?)",
            ],
        ),
        ("wait = 1", &["error trc.toml:1:8: `wait`: expected a string, found the integer 1"]),
        ("log = 1", &["error trc.toml:1:7: `log`: expected a table, found the integer 1"]),
        (
            "log.level = \"verbose\"",
            &[
                "error trc.toml:1:13: `log.level`: expected off, error, warn, info, debug or trace, found \"verbose\" (write log.level = \"debug\")",
            ],
        ),
        ("async = 1", &["error trc.toml:1:9: `async`: expected a table, found the integer 1"]),
        (
            "async.web = 1",
            &["error trc.toml:1:13: `async.web`: expected a table, found the integer 1"],
        ),
        (
            "[[async.web]]\nexec = \"x\"",
            &[
                "error trc.toml:1:1: `async.web`: expected a table, found an array (use single brackets for the table of a unit: [async.web])",
            ],
        ),
        (
            "[async.web]\nexec = 1",
            &[
                "error trc.toml:2:8: `exec`: expected a command, as a string or an array of words, found the integer 1",
            ],
        ),
        (
            "[async.web]\nexec = [\"a\", 1]",
            &["error trc.toml:2:14: `exec`: expected a string, found the integer 1"],
        ),
        (
            "exit.256 = 0\nexit.1 = -1",
            &[
                "error trc.toml:1:6: `exit.256`: expected an exit status from 0 to 255, found the string \"256\"",
                "error trc.toml:2:10: `exit.1`: expected an exit status from 0 to 255, found the integer -1",
            ],
        ),
        (
            "a = 99999999999999999999",
            &["error trc.toml:1:5: the integer 99999999999999999999 is too large"],
        ),
    ]);
}

#[test]
fn a_nul_or_a_newline_where_none_may_be_is_an_error() {
    toml_says(&[
        (
            "async.a.exec = \"a\\u0000\"",
            &["error trc.toml:1:18: `exec`: this must not contain a NUL character"],
        ),
        (
            "async.a.exec = [\"a\", \"\\u0000\"]",
            &["error trc.toml:1:22: `exec`: this must not contain a NUL character"],
        ),
        (
            "async.a.script = \"\\u0000\"",
            &["error trc.toml:1:18: `script`: this must not contain a NUL character"],
        ),
        (
            "async.a = { exec = \"a\", cwd = \"\\u0000\" }",
            &["error trc.toml:1:31: `cwd`: this must not contain a NUL character"],
        ),
        (
            "env.A = \"\\u0000\"",
            &["error trc.toml:1:9: `env.A`: this must not contain a NUL character"],
        ),
        ("env.\"A=B\" = 1", &["error trc.toml:1:5: \"A=B\" is not a valid name of a variable"]),
        ("env.\"\" = 1", &["error trc.toml:1:5: \"\" is not a valid name of a variable"]),
        (
            "env.\"a\\u0000\" = 1",
            &["error trc.toml:1:5: \"a\\u{0}\" is not a valid name of a variable"],
        ),
        (
            "async.\"a\\nb\".exec = \"x\"",
            &[
                "error trc.toml:1:7: \"a\\nb\" is not a valid name of a unit: it must be one line of text",
            ],
        ),
        (
            "async.\"\".exec = \"x\"",
            &[
                "error trc.toml:1:7: \"\" is not a valid name of a unit: it must be one line of text",
            ],
        ),
        (
            "async.a = { exec = \"a\", user = \"a\\nb\" }",
            &["error trc.toml:1:32: `user`: \"a\\nb\" is not a valid name"],
        ),
        (
            "async.a = { exec = \"a\", env_file = [\"a\\nb\"] }",
            &["error trc.toml:1:37: `env_file`: this must not contain a newline"],
        ),
        (
            "async.a = { exec = \"a\", env_file = \"\" }",
            &["error trc.toml:1:36: `env_file`: this must not be empty"],
        ),
        (
            "async.a = { exec = \"a\", cwd = \"\" }",
            &["error trc.toml:1:31: `cwd`: this must not be empty"],
        ),
    ]);
}

#[test]
fn broken_toml_is_explained_at_its_place() {
    toml_says(&[
        ("wait = ", &["error trc.toml:1:8: a value is missing"]),
        ("wait = all", &["error trc.toml:1:8: a string must be in quotes"]),
        ("wait = \"all", &["error trc.toml:1:12: the string is never closed: expected `\"`"]),
        (
            "wait = \"all\"\nwait = \"any\"",
            &["error trc.toml:2:1: the key `wait` is written twice; the first one is on line 1"],
        ),
        (
            "[log]\n[log]\n",
            &[
                "error trc.toml:2:2: the key `log` is written twice; the first one is on line 1 (merge the two tables into one)",
            ],
        ),
        (
            "é = 1",
            &["error trc.toml:1:1: invalid unquoted key: expected letters, numbers, `-`, `_`"],
        ),
        (
            "x = 1\n\ty = 08",
            &[
                "error trc.toml:2:6: unexpected leading zero (write a mode in quotes (\"0644\") or as 0o644, and other numbers without the zero)",
            ],
        ),
        // The lines after these are correct.
        (
            "a = \"x\nb = 'y\nwait = 'all'",
            &[
                "error trc.toml:1:7: the string is never closed: expected `\"`",
                "error trc.toml:2:7: the string is never closed: expected `'`",
            ],
        ),
        (
            "a = \nb = \"\nc",
            &[
                "error trc.toml:1:5: a value is missing",
                "error trc.toml:2:6: the string is never closed: expected `\"`",
                "error trc.toml:3:2: key with no value: expected `=`",
            ],
        ),
    ]);
}

#[test]
fn what_stands_twice_is_told_with_the_place_of_the_first() {
    let both = "(merge the two tables into one)";
    toml_says(&[
        (
            "[async.web]\nexec = 'x'\n[async.db]\nexec = 'x'\n  [async.web]\nexec = 'y'",
            &[&format!(
                "error trc.toml:5:10: the key `web` is written twice; the first one is on line 1 {both}"
            )],
        ),
        (
            "\nasync.web.exec = 'x'\n[async.web]\nuser = 'y'",
            &[&format!(
                "error trc.toml:3:8: the key `web` is written twice; the first one is on line 2 {both}"
            )],
        ),
        (
            "[async.\"my web\"]\nexec = 'x'\na.b = 1\n\na.b = 2",
            &["error trc.toml:5:3: the key `b` is written twice; the first one is on line 3"],
        ),
        ("a = { b = 1, c = 2, b = 3 }", &["error trc.toml:1:21: the key `b` is written twice"]),
    ]);
}

/// The message used to name the end of the file.
#[test]
fn a_string_that_is_never_closed_is_told_where_it_begins() {
    let help = |quotes: &str| {
        format!(
            "(write {quotes} after its last line, or after the last line of an earlier string that these quotes were meant to close)"
        )
    };
    let error = |place: &str, quotes: &str| {
        let help = help(quotes);
        format!(
            "error trc.toml:{place}: the string that begins here with {quotes} is never closed {help}"
        )
    };
    let lines = "'''";
    toml_says(&[
        ("[boot.a]\nscript = '''\na\n", &[&error("2:10", lines)]),
        ("[boot.a]\nscript = \"\"\"\na \\\"\"\" b\n", &[&error("2:10", "\"\"\"")]),
        (
            "# it's\nx = '''\n\"\n'''\n# \"it\"\"\" is\ny = '\"' # '\nz = '''\n",
            &[&error("7:5", lines)],
        ),
    ]);
}

/// Up to ten errors used to be reported on correct lines.
#[test]
fn what_is_never_closed_is_the_only_error_and_is_told_where_it_begins() {
    let after = "\nuser = 'x'\n\n[async.db]\nexec = ['db', \"}\"] # }\nready = { tcp = 80 }\nstop = { signal = 'INT' }\n";
    let brace = |at| {
        format!("error trc.toml:{at}: this `{{` is never closed (write `}}` after its last key)")
    };
    let bracket = |at| {
        format!(
            "error trc.toml:{at}: this `[` is never closed (write `]` after its last value, or after the name of the table)"
        )
    };
    let string = |at, quotes, help| {
        format!(
            "error trc.toml:{at}: the string that begins here with {quotes} is never closed (write {quotes} {help})"
        )
    };
    let quote = |at, quote| string(at, quote, "at its end, in the same line");
    let lines = |at, quotes| {
        string(
            at,
            quotes,
            "after its last line, or after the last line of an earlier string that these quotes were meant to close",
        )
    };
    for (text, expected) in [
        ("stop = { signal = 'INT', timeout = '20s'", brace("2:8")),
        ("ready = { http = { url = 'http://x/' }, within = '1m'", brace("2:9")),
        ("a = { b = { c = 1 }", brace("2:5")),
        ("stop = {\n  signal = 'INT',", brace("2:8")),
        ("exec = ['a', 'b'", bracket("2:8")),
        ("exec = [\n  'a',\n  'b'", bracket("2:8")),
        ("a = { b = [1, 2 }", bracket("2:11")),
        ("a = [{ b = 1, { c = 2 }]", brace("2:6")),
        ("[async.web\nexec = 'x'", bracket("2:1")),
        ("[[async.web]\nexec = 'x'", bracket("2:1")),
        ("exec = ['a', 'b]", quote("2:14", "'")),
        ("exec = [\"a\", \"b]", quote("2:14", "\"")),
        (
            "script = \"\"\"\na\n\n[async.c]\nscript = \"\"\"\nb [ {\n\"\"\"",
            lines("2:10", "\"\"\""),
        ),
        ("script = '''\nit's [", lines("2:10", "'''")),
    ] {
        let after = if text.starts_with("script = '''") { "" } else { after };
        let errors = Case::new().toml(&format!("# '{{[\n{text}{after}")).errors();
        assert_eq!(errors, [expected], "{text}");
    }
    toml_says(&[(
        "wait = all\nx = bob's [\ny = [1",
        &[
            "error trc.toml:1:8: a string must be in quotes",
            "error trc.toml:2:5: a string must be in quotes",
            &bracket("3:5"),
        ],
    )]);
}

#[test]
fn a_value_with_a_variable_in_it_is_told_what_the_variable_has_to_do_with_it() {
    let says = |text: &str, expected: &str| {
        let errors = Case::new().toml(text).set("PORT", "abc").set("EMPTY", "").errors();
        assert_eq!(errors, [format!("error trc.toml:{expected}")], "{text}");
    };
    let missing = |right: &str| {
        format!(
            "variables in `env` are for units only; for this key trc looks in its own environment: write {right} here as well"
        )
    };
    let ready = "ready = { http = \"http://127.0.0.1:${WEB}/\" }";
    says(
        &format!("[env]\nWEB = \"${{WEB:-8090}}\"\n[async.web]\nexec = 'x'\n{ready}"),
        &format!("5:18: `ready.http`: the variable WEB is not set ({})", missing("`${WEB:-8090}`")),
    );
    says(
        &format!("[async.web]\nexec = 'x'\nenv = {{ WEB = 8090 }}\n{ready}"),
        &format!(
            "4:18: `ready.http`: the variable WEB is not set ({})",
            missing("`${WEB:-DEFAULT}`, or the value itself")
        ),
    );
    // The variable belongs to another unit.
    says(
        &format!("[async.db]\nexec = 'x'\nenv = {{ WEB = 1 }}\n[async.web]\nexec = 'x'\n{ready}"),
        "6:18: `ready.http`: the variable WEB is not set",
    );
    says(
        "[async.web]\nexec = 'x'\nready = { http = { url = \"http://127.0.0.1:${PORT}\" } }",
        "3:34: `ready.http.url`: \"127.0.0.1:abc\" is not a valid host, with or without a port (this contains the value of PORT from trc's environment)",
    );
    says(
        "wait = \"${PORT:-any}\"",
        "1:8: `wait`: expected any, all, err or forever, found \"abc\" (this contains the value of PORT from trc's environment)",
    );
    says("[async.web]\nexec = \"${PORT} 'x\"", "2:17: `exec`: the quote ' is never closed");
}

/// The advice used to lead to another mistake.
#[test]
fn advice_can_be_followed_as_it_stands() {
    let tls = "trc does not speak TLS: ask a port without it with `http`, write `tcp`, or let a command ask, such as `curl -fsS https://…`";
    toml_says(&[
        (
            "[async]\nexec = 'nginx'",
            &[
                "error trc.toml:2:8: `async.exec`: expected a table, found the string \"nginx\" (give the unit a name: write its keys below [async.NAME])",
            ],
        ),
        (
            "[boot]\noneshot = true",
            &[
                "error trc.toml:2:11: `boot.oneshot`: expected a table, found true (give the unit a name: write its keys below [boot.NAME])",
            ],
        ),
        (
            "[async.a]\nexec = 'x'\nrestart = { when = 'on_failure', max = 3 }",
            &[
                "error trc.toml:3:20: `restart.when`: expected no, on-failure or always, found \"on_failure\" (write when = \"on-failure\")",
            ],
        ),
        (
            "[async.a]\nexec = 'x'\nrestart = 'on_failure'",
            &[
                "error trc.toml:3:11: `restart`: expected no, on-failure or always, found \"on_failure\" (write restart = \"on-failure\")",
            ],
        ),
        (
            "[async.a]\nexec = 'x'\nrestart = { when = 'on-failure:5' }",
            &[
                "error trc.toml:3:20: `restart.when`: expected no, on-failure or always, found \"on-failure:5\" (write when = \"on-failure\", max = 5)",
            ],
        ),
        (
            "[test.a]\nexpect = { https = 'https://x/' }",
            &[&format!("error trc.toml:2:12: unknown key `https` in `expect` ({tls})")],
        ),
        (
            "[async.a]\nexec = 'x'\nready = { https = 'https://x/' }",
            &[&format!("error trc.toml:3:11: unknown key `https` in `ready` ({tls})")],
        ),
        (
            "[async.a]\nexec = 'x'\nstop.signal = 'SIGFOO'",
            &["error trc.toml:3:15: `stop.signal`: there is no signal \"SIGFOO\""],
        ),
        (
            "[async.a]\nexec = 'x'\nstop.signal = 'SIGTREM'",
            &[
                "error trc.toml:3:15: `stop.signal`: there is no signal \"SIGTREM\" (did you mean `SIGTERM`?)",
            ],
        ),
    ]);
}

/// The messages used not to say how to write these.
#[test]
fn common_mistakes_are_told_what_to_write() {
    let time = "expected a time such as \"5s\", \"200ms\", \"1m30s\" or \"2h\"";
    let unit = |line: &str, expected: &str| {
        let errors = Case::new().toml(&format!("[async.web]\nexec = 'x'\n{line}")).errors();
        assert_eq!(errors, [format!("error trc.toml:{expected}")], "{line}");
    };
    unit(
        "output = '/var/log/x'",
        "3:10: `output`: expected inherit, prefix or null, found \"/var/log/x\" (write output = { file = \"/var/log/x\" })",
    );
    unit(
        "capabilities = 'NET_BIND'",
        "3:16: `capabilities`: there is no capability \"NET_BIND\" (did you mean `net_bind_service`?)",
    );
    for (wrong, right) in [("20sec", "20s"), ("5 minutes", "5m"), ("1Hr", "1h"), ("9msec", "9ms")] {
        unit(
            &format!("stop.timeout = '{wrong}'"),
            &format!(
                "3:16: `stop.timeout`: {time}, found the string \"{wrong}\" (did you mean \"{right}\"?)"
            ),
        );
    }
    unit(
        "max_runtime = '5 days'",
        &format!("3:15: `max_runtime`: {time}, found the string \"5 days\""),
    );
    toml_says(&[
        (
            "wait = 'al'",
            &[
                "error trc.toml:1:8: `wait`: expected any, all, err or forever, found \"al\" (did you mean `all`?)",
            ],
        ),
        (
            "[web]\nexec = 'x'",
            &[
                "error trc.toml:1:2: unknown key `web` (a unit needs a stage: [async.web] in the background, [sync.web] in the foreground)",
            ],
        ),
        (
            "[test.a]\nexec = 'x'\nrestart = 'always'",
            &[
                "error trc.toml:3:1: unknown key `restart` in `[test.a]` (it belongs in `expect`: expect = { restart = … })",
            ],
        ),
        (
            "[test.a]\nexec = 'x'\npre_start = 'y'",
            &[
                "error trc.toml:3:1: unknown key `pre_start` in `[test.a]` (a test cannot have this key)",
            ],
        ),
    ]);
    let case = Case::new().file("trc.d/async.baz.toml", "[async.baz]\nexec = 'x'");
    assert_eq!(
        case.errors(),
        [
            "error trc.d/async.baz.toml:1:2: unknown key `async` in `[async.baz]` (a file named STAGE.NAME.toml is the unit: write its keys without [STAGE.NAME] above them)"
        ]
    );
}

#[test]
fn a_message_shows_the_line_and_a_caret() {
    let case = Case::new().toml("[async.web]\n\texec = \"é 'x\"\n");
    let errors = case.load().err().unwrap();
    let expected = format!(
        "error: `exec`: the quote ' is never closed\n  --> {}:2:12\n   |\n 2 | \texec = \"é 'x\"\n   | \t          ^^^",
        case.path("trc.toml").display()
    );
    assert_eq!(errors[0].to_string(), expected);
}

#[test]
fn an_operator_of_the_shell_where_there_is_none_is_pointed_out() {
    let case = Case::new().toml("[sync.a]\nexec = \"make && make install\"");
    assert_eq!(
        case.remarks(),
        [
            "warning trc.toml:2:8: `exec`: `&&` has no meaning here, because no shell runs this command (use `script` if a shell should run it)"
        ]
    );
}

#[test]
fn only_a_halt_unit_may_run_always() {
    let case = Case::new().toml("[async.a]\nexec = 'true'\nalways = true\n");
    assert_eq!(
        case.errors(),
        [
            "error trc.toml:3:1: `always`: async.a is not a halt unit: only halt units can run after a boot unit has failed"
        ]
    );
    let case = Case::new().toml("[halt.a]\nexec = 'true'\nalways = true\n");
    assert!(unit(&case.config(), "halt.a").always);
}

#[test]
fn a_variable_without_braces_is_pointed_out_where_no_shell_reads_it() {
    let hint = |place: &str, key: &str, name: &str| {
        let why =
            if key.starts_with("env") { "it has no braces" } else { "no shell runs this command" };
        format!(
            "warning trc.toml:{place}: `{key}`: `${name}` is not replaced, because {why} (write `${{{name}}}` for the value of the variable, or `$${name}` for the text itself)"
        )
    };
    for (text, remark) in [
        ("exec = 'web --home $HOME/x'", Some(hint("2:8", "exec", "HOME"))),
        ("exec = ['web', '$DATA_1']", Some(hint("2:8", "exec", "DATA_1"))),
        ("exec = 'web'\nstop.exec = 'quit $SOCKET'", Some(hint("3:13", "stop.exec", "SOCKET"))),
        ("exec = 'web'\nenv.PATH = '/opt/bin:$PATH'", Some(hint("3:12", "env.PATH", "PATH"))),
        ("exec = 'web ${HOME} $$HOME $host $1'", None),
        ("exec = ['sh', '-c', 'echo $HOME']", None),
        ("exec = \"/bin/bash -c 'echo $HOME'\"", None),
        ("exec = ['gawk', '{ print $NF }']", None),
        ("script = 'echo $HOME'", None),
    ] {
        let case = Case::new().toml(&format!("[sync.a]\n{text}")).set("HOME", "/");
        assert_eq!(case.remarks(), remark.into_iter().collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn a_large_wrong_file_gets_one_message_soon() {
    let case = Case::new().toml(&"a\n".repeat(1 << 20));
    assert_eq!(case.errors(), ["error trc.toml:1:2: key with no value: expected `=`"]);
}

#[test]
fn a_long_line_is_not_shown_whole_and_a_terminal_obeys_no_file() {
    let case = Case::new().toml(&format!("wait = \"{}\"", "x".repeat(100_000)));
    let message = case.load().err().unwrap()[0].to_string();
    assert!(message.len() < 2000, "{}", message.len());

    let case = Case::new().toml("wait = '\u{1b}[2J'");
    let message = case.load().err().unwrap()[0].to_string();
    assert!(!message.contains('\u{1b}'), "{message:?}");
}

#[test]
fn a_deep_nest_is_an_error_and_no_crash() {
    let key = vec!["a"; 79].join(".");
    for text in [
        format!("x = {}", "[".repeat(10_000)),
        format!("x = {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("x = {}", "{a=".repeat(10_000)),
        format!("{} = 1", vec!["a"; 10_000].join(".")),
        format!("[{}]", vec!["a"; 10_000].join(".")),
        // Each key and the brackets are within the parser's limits, but not together.
        format!("{key} = {}1{}", format!("{{{key} = ").repeat(78), "}".repeat(78)),
    ] {
        let errors = Case::new().toml(&text).errors();
        assert!(errors[0].contains("nested too deeply"), "{errors:?}");
    }
    let case = Case::new()
        .set("TRC_ASYNC", "{x=".repeat(10_000))
        .set("TRC_ENV__A", "${A:-".repeat(100_000))
        .set("TRC_ENV__B", format!("{}{}", "${A:-".repeat(9999), "}".repeat(9999)));
    assert_eq!(case.errors().len(), 3);
    let case = Case::new()
        .set(&format!("TRC_ASYNC{}", "__A".repeat(30_000)), "x")
        .arguments(&["-c", &format!("{}a=1", "a.".repeat(60_000))]);
    assert_eq!(case.errors().len(), 2);
}

#[test]
fn everything_wrong_in_all_layers_is_said_at_once_in_their_order() {
    let case = Case::new()
        .toml(
            "wait = 1\n[async.web]\nexec = \"x\"\nafter = [\"dbb\"]\nuser = [1]\n[async.db]\nexec=\"y\"",
        )
        .file("trc.d/10.toml", "x = 1")
        .file("trc.d/async.broken.toml", "exec = ")
        .file("trc.d/zz.toml", [b'a', b'\n', b' ', 0xff])
        .set("TRC_LOG__LEVLE", "info")
        .arguments(&["-c", "log.formt=trc"]);
    std::fs::create_dir(case.path("trc.d/async.directory")).unwrap();
    let says = [
        "error trc.toml:1:8: `wait`: expected a string, found the integer 1",
        "error trc.toml:5:8: `user`: expected a name or a number, found an array",
        "error trc.d/async.broken.toml:1:8: a value is missing",
        "error trc.d/async.directory: cannot read trc.d/async.directory: it is a directory",
        "error trc.d/10.toml:1:1: unknown key `x` (the keys here are wait, shell, shutdown, log, control, env, file_env, signals, exit, boot, async, sync, test, halt)",
        "error trc.d/zz.toml:2:2: the file is not UTF-8: byte 3 is 0xff",
        "error TRC_LOG__LEVLE: unknown key `levle` in `[log]` (did you mean `level`?)",
        "error --config log.formt=trc: unknown key `formt` in `[log]` (did you mean `format`?)",
    ];
    assert_eq!(case.errors(), says);
    // Names are checked once every file can be read.
    std::fs::remove_dir(case.path("trc.d/async.directory")).unwrap();
    for broken in ["trc.d/async.broken.toml", "trc.d/zz.toml"] {
        std::fs::remove_file(case.path(broken)).unwrap();
    }
    assert_eq!(
        case.errors(),
        [
            says[0],
            "error trc.toml:4:10: there is no unit `dbb` (did you mean `db`?)",
            says[1],
            says[4],
            says[6],
            says[7],
        ]
    );
}

#[test]
fn no_text_makes_the_reader_panic() {
    const SAMPLE: &str = r#"wait = "all"
shell = ["a"]
[env]
A = "${B:-c}"
[signals]
HUP = { forward = "QUIT", to = ["web"] }
[exit]
138 = 0
[async.web]
exec = "a 'b' \"c\""
after = { db = "started" }
stop = { timeout = "1m30s", signal = "TERM" }
umask = 0o022
success = [0, 1]
user = 1.5
[sync.db]
script = '''
x
'''
"#;
    const ODD: &[u8] = b"\"'[]{}=.,\\$\n\r\t\0#-_0 \xc3\xa9\xff";
    // xorshift: the same texts each time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let case = Case::new();
    for _ in 0..1500 {
        let mut text = SAMPLE.as_bytes().to_vec();
        for _ in 0..=random(6) {
            let at = random(text.len());
            match random(3) {
                0 => text[at] = ODD[random(ODD.len())],
                1 => _ = text.remove(at),
                _ => text.insert(at, ODD[random(ODD.len())]),
            }
        }
        std::fs::write(case.path("trc.toml"), &text).unwrap();
        let diagnostics = case.load().map_or_else(|errors| errors, |loaded| loaded.config.remarks);
        for diagnostic in diagnostics {
            assert!(!diagnostic.to_string().is_empty());
        }
    }
}

/// The conditions were listed, and nothing was said of which of them is meant.
#[test]
fn a_condition_of_another_program_is_told_as_what_it_is_in_trc() {
    let ready =
        "write \"ready\": the condition holds while the unit is ready, which its `ready` checks";
    let started = "write \"started\", which waits until the command has been executed, or \"ready\", which waits until the unit can do its work";
    let succeeded = "write \"succeeded\", which waits until the unit has exited with success, or \"exited\", which also holds if it failed";
    let expected = "expected started, ready, exited, succeeded, failed or settled, found";
    let db = "[async.db]\nexec = 'x'\nready.tcp = 80\n[async.web]\nexec = 'x'\n";
    for (word, help) in [
        ("healthy", ready),
        ("service_healthy", ready),
        ("service_started", started),
        ("running", started),
        ("service_completed_successfully", succeeded),
        ("completed", succeeded),
        ("done", succeeded),
        ("Service-Healthy", ready),
        ("redy", "did you mean `ready`?"),
    ] {
        let errors = Case::new().toml(&format!("{db}after = {{ db = '{word}' }}")).errors();
        let place = "error trc.toml:6:16: `after.db`";
        assert_eq!(errors, [format!("{place}: {expected} \"{word}\" ({help})")], "{word}");
    }
    let text = format!("{db}after = {{ db = {{ condition = 'service_healthy' }} }}");
    let table = format!(
        "error trc.toml:6:16: `after.db`: {expected} a table (write the condition itself in place of the table; {ready})"
    );
    assert_eq!(Case::new().toml(&text).errors(), [table]);
}
