//! Reading a configuration takes time and memory in proportion to its size, whatever it contains.
//! The bounds are generous: quadratic code took minutes for these sizes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::config::load;
use crate::graph::Graph;

use super::Case;

/// Returns a configuration with this many of something.
fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, at| {
        _ = writeln!(text, "{}", one(at));
        text
    })
}

/// Returns all messages about a configuration and its graph, which have to come soon.
#[expect(clippy::disallowed_methods, reason = "a test may look at the clock")]
fn soon(name: &str, case: &Case) -> Vec<String> {
    let start = Instant::now();
    let said = match load(&case.line(), &case.environment) {
        Ok(loaded) => match Graph::build(&loaded.config) {
            Ok(graph) => [loaded.config.remarks.clone(), graph.remarks(None, &|_| None)].concat(),
            Err(errors) => loaded.illustrate(errors),
        },
        Err(refused) => {
            let cycles = Graph::cycles(&refused.understood.config);
            refused.beside(cycles)
        }
    };
    let took = start.elapsed();
    assert!(took < Duration::from_mins(1), "{name} took {took:?}");
    case.said(&said)
}

/// 100,000 unknown keys and 8,000 disabled units used to take a minute and a half.
#[test]
fn many_mistakes_are_told_soon_and_the_first_of_them() {
    let unit = |at: usize, rest: &str| format!("[async.u{at}]\n{rest}");
    let unknown = |at: usize| format!("error trc.toml:{}:1: unknown key `kye{at}`", at + 1);
    for (name, text, count, severity, first) in [
        ("unknown keys", many(100_000, |at| format!("kye{at} = 1")), 100_000, "error", unknown(0)),
        (
            "disabled units",
            many(8000, |at| unit(at, "enabled = false")),
            8000,
            "warning",
            "warning trc.toml:1:8: there is no unit `async.u0` to disable".to_owned(),
        ),
        (
            "units with nothing to run",
            many(8000, |at| unit(at, "cwd = '/'")),
            8000,
            "error",
            "error trc.toml:1:8: `[async.u0]` has no command".to_owned(),
        ),
        (
            "wrong values",
            many(9000, |at| unit(at, "exec = 'x'\nuser = []")),
            9000,
            "error",
            "error trc.toml:3:8: `user`: expected a name or a number".to_owned(),
        ),
        (
            "unknown names",
            format!(
                "{}after = ['{}']",
                unit(0, "exec = 'x'\n"),
                many(50_000, |at| format!("x{at}")).trim().replace('\n', "', '")
            ),
            50_000,
            "error",
            "error trc.toml:3:10: there is no unit `x0`".to_owned(),
        ),
        (
            "wrong statuses in one line",
            format!("{}success = [{}]", unit(0, "exec = 'x'\n"), "999, ".repeat(50_000)),
            50_000,
            "error",
            "error trc.toml:3:12: `success`: expected an exit status".to_owned(),
        ),
        (
            "wrong signals",
            format!("[signals]\n{}", many(20_000, |at| format!("X{at} = 'stop'"))),
            20_000,
            "error",
            "error trc.toml:2:1: `signals.X0`: there is no signal".to_owned(),
        ),
    ] {
        let said = soon(name, &Case::new().toml(&text));
        assert!(said[0].starts_with(&first), "{name}: {}", said[0]);
        assert_eq!(said.len(), 51, "{name}");
        let others = format!(
            "{severity} other places: {} more {severity}s like these are not shown",
            count - 50
        );
        assert_eq!(said[50], others, "{name}");
    }
}

/// trc looks for brackets and quotes that are never closed once the parser has refused a text.
#[test]
fn a_text_that_is_no_configuration_is_refused_soon() {
    const MANY: usize = 400_000;
    for (name, text, first) in [
        ("brackets", "a = [".repeat(MANY) + &"}".repeat(MANY), "error trc.toml:1:"),
        ("braces", "{[".repeat(MANY) + &"]".repeat(MANY), "error trc.toml:1:"),
        ("strings", format!("x = [{}", "'''a''', ".repeat(MANY)), "error trc.toml:1:5: this `[`"),
        ("a long key", format!("{} = '''", "k".repeat(MANY)), "error trc.toml:1:"),
    ] {
        let said = soon(name, &Case::new().toml(&text));
        assert!(said[0].starts_with(first), "{name}: {}", said[0]);
    }
}

#[test]
fn mistakes_in_many_files_are_told_soon_in_their_order() {
    let mut case = Case::new();
    for at in 0..2000 {
        case = case.file(format!("trc.d/async.u{at:04}.toml"), "exec = 'x'\nkye = 1");
    }
    let said = soon("drop-ins", &case);
    assert_eq!(said[1], "error trc.d/async.u0001.toml:2:1: unknown key `kye` in `[async.u0001]`");
    assert_eq!(said[50], "error other places: 1950 more errors like these are not shown");
}

#[test]
fn many_units_and_edges_are_read_soon() {
    let unit = |at: usize, rest: &str| format!("[async.u{at}]\nexec = 'x'\n{rest}");
    let last = 9_999;
    let rows = [
        ("units", many(10_000, |at| unit(at, "")), vec![]),
        (
            "a chain",
            many(10_000, |at| {
                unit(at, &if at == 0 { String::new() } else { format!("after = ['u{}']", at - 1) })
            }),
            vec![],
        ),
        (
            "a chain that is declared the other way round, with stop timeouts",
            many(10_000, |at| {
                let after =
                    if at == last { String::new() } else { format!("after = ['u{}']", at + 1) };
                unit(at, &format!("{after}\nstop.timeout = '1ms'"))
            }),
            vec![
                "warning trc.toml:1:8: stopping may take 12 s, but docker sends SIGKILL after 10 s (shorten the stop timeouts; or, if your containers have a grace period of at least 14 s, set [shutdown] timeout = \"12s\") \
                 [these units stop one after another: async.u0 (0.001 s), then async.u1 (0.001 s), then async.u2 (0.001 s), then \
                 async.u3 (0.001 s), then async.u4 (0.001 s), then async.u5 (0.001 s), then \
                 async.u6 (0.001 s), then async.u7 (0.001 s), then 9992 more]",
            ],
        ),
        (
            "a star",
            many(10_000, |at| unit(at, if at == 0 { "" } else { "after = ['u0']" })),
            vec![],
        ),
        (
            "one unit after others, again and again",
            many(10, |at| unit(at, ""))
                + "[async.z]\nexec = 'x'\nafter = ["
                + &many(100_000, |at| format!("'u{}',", at % 10))
                + "]",
            vec![],
        ),
    ];
    for (name, text, expected) in rows {
        assert_eq!(soon(name, &Case::new().toml(&text)), expected, "{name}");
    }
    let ring = many(10_000, |at| unit(at, &format!("after = ['u{}']", (at + 1) % 10_000)));
    let said = soon("a ring", &Case::new().toml(&ring));
    let [said] = said.as_slice() else { panic!("{said:?}") };
    let names = "async.u18 -> async.u19 -> … 9980 more … -> async.u0";
    assert!(said.contains(names), "{said}");
}

#[test]
fn what_is_too_large_is_refused() {
    let large = Case::new().toml(&"#".repeat(5 << 20));
    let name = large.path("trc.toml");
    assert_eq!(
        soon("a large file", &large),
        [format!("error trc.toml: cannot read {}: it is larger than 4 MiB", name.display())
            .replace(&format!("{}/", large.dir.path().display()), "")]
    );
    let mut files = Case::new();
    for at in 1..=3 {
        files = files.file(format!("trc.d/{at}.toml"), "#".repeat(3 << 20));
    }
    assert_eq!(
        soon("large files", &files),
        ["error trc.d/3.toml: cannot read trc.d/3.toml: all files together are larger than 8 MiB"]
    );
    let units = many(10_002, |at| format!("async.u{at}.exec = 'x'"));
    assert_eq!(
        soon("too many units", &Case::new().toml(&units)),
        ["error trc.toml:10001:7: there are 10002 units, but trc runs at most 10000"]
    );
}

#[test]
fn values_that_grow_by_their_variables_are_bounded() {
    let deep = format!("{}x{}", "${A:-".repeat(17), "}".repeat(17));
    let wide = "${A:-xxxxxxxx}".repeat(20_000);
    for (value, expected) in [
        (deep.as_str(), "`user`: defaults are nested more than 16 levels deep"),
        (
            &wide,
            "`user`: after its variables are replaced, this is longer than 128 KiB, which is the most that the kernel passes to a program",
        ),
    ] {
        let text = format!("[async.a]\nexec = 'x'\nuser = \"{value}\"");
        let said = soon("a value", &Case::new().toml(&text));
        assert!(said.len() == 1 && said[0].ends_with(expected), "{said:?}");
    }
}
