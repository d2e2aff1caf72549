//! `trcctl reload`.

use std::fmt::Write as _;

use super::ask::{NoAnswer, Trc};
use super::{Options, complain, failed, note, say};
use crate::status;
use crate::wire::{Ask, Code, Does, Plan, Reload, Step};

/// The exit status of a plan that changes something.
const CHANGES: u8 = 2;

/// Lets trc read its configuration anew, or only shows what that would do. Returns the exit status:
/// 0 if it is done or there is nothing to do, 2 if `dry_run` and something would change, 78 if the
/// new configuration has errors. With `plan`, it is done only if that is still the plan.
pub fn reload(options: &Options, dry_run: bool, keep: bool, plan: Option<u64>) -> u8 {
    let reload = if dry_run { Reload::Plan } else { Reload::Apply { keep, plan } };
    match Trc::at(options.socket.as_deref()).get::<Plan>(&Ask::Reload(reload)) {
        Ok(plan) => {
            if options.json {
                say(&(serde_json::to_string_pretty(&plan).unwrap_or_default() + "\n"));
            } else {
                say(&text(&plan, dry_run));
            }
            if dry_run && plan.changed { CHANGES } else { 0 }
        }
        Err(NoAnswer::Refused(problem)) if problem.code == Code::InvalidConfig => {
            for diagnostic in &problem.diagnostics {
                note(&format!("{diagnostic}\n\n"));
            }
            complain(&problem.detail);
            status::CONFIG
        }
        Err(why) => failed(&why),
    }
}

fn text(plan: &Plan, dry_run: bool) -> String {
    if !plan.changed {
        return "nothing has changed\n".to_owned();
    }
    let mut text: String = plan.steps.iter().map(|step| line(step, dry_run)).collect();
    if dry_run {
        _ = writeln!(text, "\nTo do exactly this: trcctl reload --plan {}", plan.id);
    }
    text
}

fn line(step: &Step, dry_run: bool) -> String {
    let unit = step.unit.as_deref().unwrap_or("trc");
    // A whole unit is new or gone, and has no changed keys.
    let whole = step.because.iter().all(|because| because.key.is_empty());
    let does = match (step.does, dry_run) {
        (Does::Apply, _) if whole && !step.runs => "is new",
        (Does::Start, true) if !whole => "would start",
        (Does::Start, false) if !whole => "starts",
        (Does::Stop, _) if !step.runs => "is gone",
        (Does::Apply, true) if !step.runs => "would get new settings",
        (Does::Apply, false) if !step.runs => "has new settings",
        (Does::Apply, true) => "would get new settings, and run on",
        (Does::Apply, false) => "has new settings, and runs on",
        (Does::Start, true) => "is new, and would start",
        (Does::Start, false) => "is new, and starts",
        (Does::Restart, true) => "would be restarted",
        (Does::Restart, false) => "is restarted",
        (Does::Stop, true) => "is gone, and would stop",
        (Does::Stop, false) => "is gone, and has stopped",
        (Does::Nothing, _) => "needs a new container",
    };
    let because: Vec<String> = step
        .because
        .iter()
        .filter(|because| !because.key.is_empty())
        .map(|because| format!("\n  {} at {}", because.key, because.origin))
        .collect();
    format!("{unit} {does}{}\n", because.concat())
}
