//! The unit that an image without trc becomes: what its Dockerfile says, in the words of `trc.toml`.

use std::fmt::Write as _;
use std::time::Duration;

use super::engine::{Healthcheck, Inspected};

/// The name of the unit.
pub(super) const NAME: &str = "app";

/// The defaults of `HEALTHCHECK` where it says nothing.
const INTERVAL: Duration = Duration::from_secs(30);
const RETRIES: u64 = 3;

/// The shortest time in which the unit has to be ready: that of units in general.
const WITHIN: Duration = Duration::from_mins(1);

/// Returns the `trc.toml` with the unit that runs this command. With `own_ready`, a file of the user
/// says when the unit is ready, and the image's health check does not.
///
/// The engine itself sets the user, the directory and the environment of the image for trc, and the
/// unit has them from trc.
pub(super) fn toml(command: &[String], image: &Inspected, own_ready: bool) -> String {
    let mut out = format!("[async.{NAME}]\nexec = {}\n", array(command));
    if let Some(signal) = image.config().stop_signal.filter(|signal| !signal.is_empty()) {
        _ = writeln!(out, "stop.signal = {}", string(&signal));
    }
    if let Some(check) = image.healthcheck().filter(|_| !own_ready) {
        out.push_str(&ready(&check));
    }
    out
}

fn ready(check: &Healthcheck) -> String {
    let command = check.command().unwrap_or_default();
    let mut out = format!("ready.exec = {}\n", array(&command));
    let time = |nanoseconds| Duration::from_nanos(nanoseconds);
    if check.timeout > 0 {
        _ = writeln!(out, "ready.timeout = \"{}ms\"", time(check.timeout).as_millis().max(1));
    }
    let interval = if check.interval > 0 { time(check.interval) } else { INTERVAL };
    let retries = if check.retries > 0 { check.retries } else { RETRIES };
    let retries = u32::try_from(retries).unwrap_or(u32::MAX);
    // An engine takes the container for unhealthy after this time.
    let within = time(check.start_period).saturating_add(interval.saturating_mul(retries));
    let within = within.clamp(WITHIN, Duration::from_hours(24));
    _ = writeln!(out, "ready.within = \"{}s\"", within.as_secs());
    out
}

fn array(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| string(word)).collect();
    format!("[{}]", words.join(", "))
}

/// Returns a string of TOML in which trc replaces nothing.
fn string(text: &str) -> String {
    // JSON escapes whatever TOML escapes, and in the same way, but for DEL.
    let quoted = serde_json::to_string(&text.replace('$', "$$")).unwrap_or_default();
    quoted.replace('\x7f', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::super::engine::Config;
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_image_becomes_a_unit() {
        let check = Healthcheck {
            test: Some(words(&["CMD-SHELL", "curl -f $HOST"])),
            timeout: 1_500_000_000,
            ..Healthcheck::default()
        };
        let config = Config { stop_signal: Some("SIGQUIT".to_owned()), ..Config::default() };
        let image =
            Inspected { config: Some(config), healthcheck: Some(check), ..Inspected::default() };
        let command = words(&["/entry point", "daemon \"off\";", "${A} \u{7f}\n", ""]);
        let unit = toml(&command, &image, false);
        assert_eq!(
            unit,
            "[async.app]\n\
             exec = [\"/entry point\", \"daemon \\\"off\\\";\", \"$${A} \\u007f\\n\", \"\"]\n\
             stop.signal = \"SIGQUIT\"\n\
             ready.exec = [\"/bin/sh\", \"-c\", \"curl -f $$HOST\"]\n\
             ready.timeout = \"1500ms\"\n\
             ready.within = \"90s\"\n"
        );
        let read: toml::Table = unit.parse().unwrap();
        let exec = read["async"]["app"]["exec"].as_array().unwrap();
        assert_eq!(exec[2].as_str(), Some("$${A} \u{7f}\n"));
        assert!(!toml(&command, &image, true).contains("ready"));
        let plain = toml(&words(&["sh"]), &Inspected::default(), false);
        assert_eq!(plain, "[async.app]\nexec = [\"sh\"]\n");
    }

    #[test]
    fn a_health_check_has_as_long_as_the_engine_gives_it() {
        let nanoseconds = |seconds: u64| seconds * 1_000_000_000;
        for (start, interval, retries, within) in
            [(0, 0, 0, 90), (0, 5, 2, 60), (120, 10, 5, 170), (u64::MAX, 1, 1, 86400)]
        {
            let check = Healthcheck {
                test: Some(words(&["CMD", "true"])),
                start_period: start.saturating_mul(1_000_000_000),
                interval: nanoseconds(interval),
                retries,
                ..Healthcheck::default()
            };
            let text = ready(&check);
            assert!(text.contains(&format!("ready.within = \"{within}s\"")), "{text}");
        }
    }
}
