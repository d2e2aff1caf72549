//! Units with `autostart = false`, as a user sees them.

use crate::common::{Mode, TERM, Trc};
use crate::control::{Asked, rewrite, same};

const MAIN: &str = "[sync.main]\nscript = 'echo main; exec cat $W/never'\n";

/// Returns a unit that starts only when it has to, with these keys.
fn idle(name: &str, keys: &str) -> String {
    format!(
        "[async.{name}]\nscript = 'echo {name}; exec cat $W/never'\nautostart = false\n{keys}\n"
    )
}

#[test]
fn a_unit_starts_when_somebody_asks_for_it_with_what_it_stands_on() {
    let toml = format!("{MAIN}{}{}", idle("store", ""), idle("proxy", "after = ['store']"));
    let it = Asked::new(&toml, Mode::Subreaper);
    it.running.wait_for("main\n");
    same(&it.get("/v1/health?wait=ready&for=30s").body["state"], "ready");
    for unit in ["store", "proxy"] {
        same(&it.get(&format!("/v1/units/{unit}")).body["wanted"], "idle");
    }
    same(&it.done("/v1/units/proxy/start")["status"], "done");
    it.running.wait_for("]: store\n").wait_for("]: proxy\n");
    same(&it.get("/v1/units/store").body["wanted"], "up");
    it.stop().status(143);
}

#[test]
fn a_unit_that_another_one_needs_starts_as_if_the_key_were_not_there() {
    let toml = format!("{MAIN}after = ['store']\n{}", idle("store", ""));
    let running = Trc::toml(&toml).spawn();
    running.wait_for("]: store\n").wait_for("main\n").signal(TERM);
    running.finish().status(143);
}

#[test]
fn a_job_without_autostart_runs_only_by_hand() {
    let job = "[async.job]\nexec = 'echo job'\nautostart = false\n\
               schedule = { when = 'every 1s', at_start = true }\n";
    let it = Asked::new(&format!("{MAIN}{job}"), Mode::Subreaper);
    it.running.wait_for("main\n");
    let unit = it.get("/v1/units/job").body;
    same(&unit["wanted"], "idle");
    assert!(unit["next_run_ms"].is_null(), "{unit}");
    same(&it.done("/v1/units/job/start")["status"], "done");
    same(&it.get("/v1/units/job").body["last_end"]["status"], 0);
    it.stop().status(143).stdout_has("]: job\n");
}

#[test]
fn only_starts_what_it_names() {
    let toml = idle("a", "") + &idle("b", "");
    let running = Trc::toml(&toml).args(&["--only", "a"]).spawn();
    running.wait_for("]: a\n").signal(TERM);
    running.finish().status(143).stdout_lacks("]: b\n");
}

#[test]
fn a_container_in_which_nothing_starts_says_so() {
    Trc::toml(&idle("a", ""))
        .run()
        .status(0)
        .stderr_has("nothing starts by itself: all units have `autostart = false`");
}

#[test]
fn a_test_starts_what_it_names_and_other_tests_do_not_wait_for_the_rest() {
    let toml = format!(
        "{MAIN}{}{}[test.a]\nafter = ['a']\nexec = 'true'\n[test.all]\nexec = 'true'\n",
        idle("a", ""),
        idle("b", "")
    );
    let outcome = Trc::toml(&toml).args(&["--test"]).run();
    outcome.status(0).stdout_has("async.a.run").stdout_lacks("async.b");
}

#[test]
fn a_reload_wakes_what_has_to_start_now() {
    let toml = format!("{MAIN}{}", idle("a", ""));
    let it = Asked::new(&toml, Mode::Subreaper);
    it.running.wait_for("main\n");
    rewrite(&it, &toml.replace("autostart = false", "autostart = true"));
    it.post("/v1/reload");
    it.running.wait_for("]: a\n");
    it.stop().status(143);
}
