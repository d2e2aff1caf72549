//! Makes units of the configuration of recorded units.

use std::ffi::OsString;

use serde_json::{Value as Json, json};

use super::unit::{Named, Recorded, Runs, STAND_IN};
use crate::config::privilege::Resource;
use crate::config::{
    After, Command, Condition, Identity, Limit, Origin, Placed, ReloadBy, Template, Tty, Unit,
};

impl Named {
    /// Adds the settings to an identity.
    fn complete(&self, own: &mut Identity) {
        fn placed<T>(value: T, place: &str) -> Placed<T> {
            Placed { value, origin: Origin::Flag(place.into()) }
        }
        let tty = self.tty.as_ref();
        own.tty = tty.map(|(path, place)| placed(Tty::Own(path.into()), place));
        own.nice = self.nice.as_ref().map(|(nice, place)| placed(*nice, place));
        own.oom_score_adj = self.oom_score_adj.as_ref().map(|(it, place)| placed(*it, place));
        own.user = self.who.as_ref().map(|(who, place)| placed(who.clone(), place));
        let cwd = self.cwd.as_ref();
        own.cwd = cwd.map(|(cwd, place)| placed(Template::literal(cwd.as_str()), place));
        let limit = Limit { resource: Resource { name: "", number: 0 }, soft: 0, hard: 0 };
        own.limits = self.limits.iter().map(|place| placed(limit, place)).collect();
        own.capabilities = self.capabilities.as_ref().map(|place| vec![placed(0, place)]);
    }
}

impl Recorded {
    /// Returns the unit as a table of the configuration.
    pub(super) fn table(&self) -> Json {
        let (stage, name) = self.id.split_once('.').unwrap_or_default();
        json!({ stage: { name: self.keys } })
    }

    /// Adds what the keys could not hold to a unit, unless these `KEY=VALUE` set it.
    pub(super) fn complete(&self, unit: &mut Unit, set: &[String]) {
        let literal = |words: &[String]| -> Vec<Template> {
            words.iter().map(|text| Template::literal(text.as_str())).collect()
        };
        let stands_in = |words: &[Template]| matches!(words, [one] if one.source() == STAND_IN);
        if matches!(&unit.command, Command::Exec(words) if stands_in(words)) {
            unit.command = match &self.runs {
                Runs::Exec(words) => Command::Exec(literal(words)),
                Runs::Script(text) => Command::Script(text.into()),
                Runs::File(path) => Command::File(path.into()),
                Runs::Words(words) => Command::Words(words.iter().map(OsString::from).collect()),
                Runs::Nothing => Command::Nothing,
            };
        }
        let mut others = [&mut unit.pre_start, &mut unit.post_stop]
            .map(|hook| hook.as_mut().map(|hook| &mut hook.exec));
        let [pre_start, post_stop] = &mut others;
        let reload = match unit.reload.as_mut().map(|reload| &mut reload.by) {
            Some(ReloadBy::Exec(exec)) => Some(exec),
            Some(ReloadBy::Signal(_)) | None => None,
        };
        let all = [pre_start.take(), post_stop.take(), reload];
        for (exec, words) in all.into_iter().zip(&self.others) {
            if let (Some(exec), Some(words)) = (exec, words)
                && stands_in(exec)
            {
                *exec = literal(words);
            }
        }
        self.named.complete(&mut unit.identity);
        let named = |all: &[(String, Option<Condition>)]| {
            let after = |(name, condition): &(String, Option<Condition>)| After {
                unit: Placed { value: name.clone(), origin: Origin::Default },
                condition: *condition,
            };
            all.iter().map(after).collect()
        };
        let is_set = |key: &str| set.iter().any(|it| it.starts_with(&format!("{}.{key}", self.id)));
        if !is_set("after") {
            unit.after = named(&self.after);
        }
        if !is_set("before") {
            unit.before = named(&self.before);
        }
        unit.form = self.form;
        unit.origin = Origin::Flag(self.origin.as_str().into());
        unit.command_at = Origin::Flag(self.command_at.as_str().into());
        if let Some(test) = &mut unit.test {
            test.absent.clone_from(&self.absent);
        }
    }
}
