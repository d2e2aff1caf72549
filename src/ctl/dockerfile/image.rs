//! The image that a Dockerfile describes: the settings of its last stage.

use super::parse::{Form, Instruction, form};

/// What the last stage of a Dockerfile says, with the stages that it is based on.
#[derive(Clone, Default, Debug)]
pub(super) struct Image<'a> {
    /// The image outside that it is based on, which may have settings that nobody can know.
    pub base: Option<&'a Instruction>,
    pub entrypoint: Option<&'a Instruction>,
    pub cmd: Option<&'a Instruction>,
    pub user: Option<&'a Instruction>,
    pub stop_signal: Option<&'a Instruction>,
    pub healthcheck: Option<&'a Instruction>,
    /// The values of `ENV`.
    pub env: Vec<(String, String)>,
    /// The instructions that change files.
    pub changes: Vec<&'a Instruction>,
}

impl<'a> Image<'a> {
    /// Returns the image of the last stage.
    pub(super) fn last(instructions: &'a [Instruction]) -> Self {
        let mut stages: Vec<(Option<String>, Self)> = Vec::new();
        let mut begun = 0;
        for it in instructions {
            if it.name == "FROM" {
                begun = it.line;
                let words: Vec<&str> = it.text.split_whitespace().collect();
                let base = words.first().copied().unwrap_or_default();
                let is_it = |(name, _): &&(Option<String>, Self)| {
                    name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(base))
                };
                // An ENTRYPOINT that a stage inherits goes on, and so does everything else.
                let image = stages.iter().find(is_it).map(|(_, image)| image.clone());
                let image = image.unwrap_or_else(|| Self { base: Some(it), ..Self::default() });
                let name = match words[..] {
                    [_, word, name, ..] if word.eq_ignore_ascii_case("AS") => Some(name.to_owned()),
                    _ => None,
                };
                stages.push((name, image));
                continue;
            }
            let Some((_, image)) = stages.last_mut() else { continue };
            match it.name.as_str() {
                "ENTRYPOINT" => {
                    image.entrypoint = Some(it);
                    // It resets the CMD of a base image, but not one of its own stage.
                    image.cmd = image.cmd.filter(|cmd| cmd.line > begun);
                }
                "CMD" => image.cmd = Some(it),
                "USER" => image.user = Some(it),
                "STOPSIGNAL" => image.stop_signal = Some(it),
                "HEALTHCHECK" => image.healthcheck = Some(it),
                "ENV" => image.env.extend(variables(&it.text)),
                "RUN" | "COPY" | "ADD" | "VOLUME" => image.changes.push(it),
                _ => {}
            }
        }
        stages.pop().map(|(_, image)| image).unwrap_or_default()
    }

    /// Returns whether the image is based on nothing.
    pub(super) fn is_from_scratch(&self) -> bool {
        self.base.is_some_and(|base| base.text.split_whitespace().next() == Some("scratch"))
    }

    /// Returns the value of a variable, if it has one that is known.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.env.iter().rfind(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns whether an instruction may change the rights of a path or of a directory above it.
    pub(super) fn changes(&self, path: &str) -> bool {
        let mentions = |it: &&Instruction| {
            let words = it.text.split(|c: char| c.is_whitespace() || "\"'[],;=()".contains(c));
            let mut paths = words.filter(|word| word.starts_with('/') && word.len() > 1);
            paths.any(|word| path.starts_with(word.trim_end_matches('/')) || word.starts_with(path))
                || it.text.contains('$')
        };
        self.changes.iter().copied().any(|it| mentions(&it))
    }
}

/// The command of a `HEALTHCHECK`, if it has one.
pub(super) fn health_command(it: &Instruction) -> Option<Form> {
    let (word, rest) = it.text.split_once(char::is_whitespace)?;
    word.eq_ignore_ascii_case("CMD").then(|| form(rest))
}

/// Returns the variables of an `ENV`.
fn variables(text: &str) -> Vec<(String, String)> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        // The old form: one variable, whose value is the rest of the line.
        let pair = text.split_once(char::is_whitespace);
        return pair
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .into_iter()
            .collect();
    }
    let words = shell_words::split(text).unwrap_or_default();
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::parse::instructions;
    use super::Image;

    #[test]
    fn the_last_stage_counts_with_what_it_is_based_on() {
        let all = instructions(
            "FROM debian AS base\nUSER app\nENV A=1 B='2 3'\nENV C 4 5\nFROM rust AS build\nCMD x\n\
             FROM base\nONBUILD USER root\nENTRYPOINT [\"trc\"]\n",
        );
        let image = Image::last(&all);
        assert_eq!(image.user.unwrap().text, "app");
        assert_eq!(image.entrypoint.unwrap().line, 9);
        assert!(image.cmd.is_none() && image.base.unwrap().text.starts_with("debian"));
        let values = ["A", "B", "C", "D"].map(|name| image.variable(name));
        assert_eq!(values, [Some("1"), Some("2 3"), Some("4 5"), None]);
    }
}
