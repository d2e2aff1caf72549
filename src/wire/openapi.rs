//! `docs/openapi.json` describes the protocol, and these tests compare it with the code.
//! `tests/openapi.rs` compares the real answers with it.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use super::{Act, Ask, Code, UnitState};
use crate::config::Access;

/// The source of the routes.
const SOURCE: &str = include_str!("ask.rs");

fn file() -> Value {
    serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap()
}

/// An operation of the file.
struct Operation {
    id: String,
    method: String,
    path: String,
    level: String,
    parameters: Vec<Value>,
    /// The example of its body.
    body: Option<Value>,
}

impl Operation {
    fn all(file: &Value) -> Vec<Self> {
        let resolved = |of: &Value| -> Vec<Value> {
            let all = of["parameters"].as_array().cloned().unwrap_or_default();
            let resolve = |it: Value| match it["$ref"].as_str() {
                Some(name) => file.pointer(&name[1..]).unwrap().clone(),
                None => it,
            };
            all.into_iter().map(resolve).collect()
        };
        let mut all = Vec::new();
        for (path, item) in file["paths"].as_object().unwrap() {
            for (method, it) in
                item.as_object().unwrap().iter().filter(|(it, _)| *it != "parameters")
            {
                let parameters = [resolved(item), resolved(it)].concat();
                let text = |name: &str| it[name].as_str().unwrap().to_owned();
                let (id, level) = (text("operationId"), text("x-level"));
                let (method, path) = (method.to_uppercase(), path.clone());
                let body = it.pointer("/requestBody/content/application~1json/example").cloned();
                all.push(Self { id, method, path, level, parameters, body });
            }
        }
        all
    }

    fn example(example: &Value) -> String {
        let first = example.as_array().map_or(example, |all| &all[0]);
        first.as_str().map_or_else(|| first.to_string(), str::to_owned)
    }

    fn within(&self, place: &str) -> impl Iterator<Item = &Value> {
        self.parameters.iter().filter(move |it| it["in"] == place)
    }

    /// Returns the names of all parameters that are not in the path, and an example of each.
    fn parameters(&self) -> BTreeMap<String, String> {
        let of_query =
            self.within("query").map(|it| (it["name"].as_str().unwrap(), &it["example"]));
        let of_body = self.body.iter().flat_map(|it| it.as_object().unwrap());
        let of_body = of_body.map(|(name, example)| (name.as_str(), example));
        of_query.chain(of_body).map(|(name, it)| (name.to_owned(), Self::example(it))).collect()
    }

    /// Returns a request with all that is required, and these parameters.
    fn read(&self, others: &[(&str, &str)]) -> Result<Ask, super::Problem> {
        let mut path = self.path.clone();
        for it in self.within("path") {
            let name = format!("{{{}}}", it["name"].as_str().unwrap());
            path = path.replace(&name, &Self::example(&it["example"]));
        }
        let required = self.within("query").filter(|it| it["required"] == true);
        let mut query: Vec<String> = required
            .filter(|it| others.iter().all(|(name, _)| it["name"] != *name))
            .map(|it| format!("{}={}", it["name"].as_str().unwrap(), Self::example(&it["example"])))
            .collect();
        query.extend(others.iter().map(|(name, value)| format!("{name}={value}")));
        let mut body = self.body.clone().unwrap_or_default();
        if let Value::Object(body) = &mut body {
            body.retain(|name, _| others.iter().all(|(other, _)| name != other));
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Ask::read(&self.method, &format!("{path}?{}", query.join("&")), body.as_bytes())
    }
}

/// Returns the name that the file has for a request. Add an operation to the file for a new one.
fn operation(ask: &Ask) -> &'static str {
    match ask {
        Ask::About => "about",
        Ask::Health(..) => "health",
        Ask::Units => "units",
        Ask::Unit(..) => "unit",
        Ask::Act(_, act) => match act {
            Act::Start => "start",
            Act::Stop | Act::StopWithDependents => "stop",
            Act::Restart => "restart",
            Act::Reload => "reload_unit",
            Act::Signal(_) => "signal",
            Act::Reset => "reset",
        },
        Ask::Exec(_) => "exec",
        Ask::Cancel(_) => "cancel",
        Ask::Reload(_) => "reload",
        Ask::Shutdown(_) => "shutdown",
        Ask::Job(..) => "job",
        Ask::Logs(_) => "logs",
        Ask::Events(_) => "events",
        Ask::Metrics => "metrics",
        Ask::Graph => "graph",
        Ask::Timeline => "timeline",
        Ask::Config => "config",
    }
}

/// Returns everything in the code of `ask.rs` that a pattern finds.
fn found(pattern: &str) -> BTreeSet<String> {
    let code = SOURCE.split("#[cfg(test)]").next().unwrap();
    let found = Regex::new(pattern).unwrap();
    found.captures_iter(code).map(|it| it[1].to_owned()).collect()
}

#[test]
fn each_operation_of_the_file_is_one_of_trc_and_needs_that_level() {
    for it in Operation::all(&file()) {
        let ask = it.read(&[]).unwrap_or_else(|why| panic!("{} {}: {why:?}", it.method, it.path));
        assert_eq!(operation(&ask), it.id);
        let level = match ask.needs() {
            Access::Health => "health",
            Access::Read => "read",
            Access::Operate => "operate",
        };
        assert_eq!(level, it.level, "{}", it.id);
    }
}

#[test]
fn each_route_of_trc_is_in_the_file() {
    let file = file();
    let operations = Operation::all(&file);
    let arms = found(r#"\[("v1"[^\]]*)\] =>"#);
    assert!(arms.len() > 8, "{arms:?}");
    for arm in &arms {
        let arm: Vec<&str> = arm.split(", ").collect();
        let fits = |path: &str| {
            let parts: Vec<&str> = path.split('/').skip(1).collect();
            let same = |(part, pattern): (&&str, &&str)| {
                pattern.strip_prefix('"').is_none_or(|word| word.trim_end_matches('"') == *part)
            };
            parts.len() == arm.len() && parts.iter().zip(&arm).all(same)
        };
        assert!(operations.iter().any(|it| fits(&it.path)), "docs/openapi.json lacks {arm:?}");
    }
    let acts = found(r#""(\w+)"(?: if [^\n]*)? => Act::"#);
    assert!(acts.len() > 3, "{acts:?}");
    for act in acts {
        let path = format!("/v1/units/{{unit}}/{act}");
        assert!(operations.iter().any(|it| it.path == path), "docs/openapi.json lacks {path}");
    }
}

#[test]
fn each_operation_takes_the_parameters_of_the_file_and_no_others() {
    let mut known = found(r#"(?:given|self)\s*\.(?:one|all|flag|time|number)\("(\w+)"\)"#);
    assert!(known.len() > 8, "{known:?}");
    let file = file();
    let operations = Operation::all(&file);
    known.extend(operations.iter().flat_map(|it| it.parameters().into_keys()));
    for it in &operations {
        let documented = it.parameters();
        for name in &known {
            let value = documented.get(name).map_or("true", String::as_str);
            let answer = it.read(&[(name, value)]);
            if documented.contains_key(name) {
                assert!(answer.is_ok(), "{}: {name}={value}: {answer:?}", it.id);
            } else {
                let taken = !answer.as_ref().is_err_and(|why| why.detail.contains("does not take"));
                assert!(!taken, "{}: docs/openapi.json lacks {name}: {answer:?}", it.id);
            }
        }
        // Each value that the file lists is one.
        for parameter in it.within("query") {
            for value in parameter["schema"]["enum"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                let answer = it.read(&[(name, value.as_str().unwrap())]);
                assert!(answer.is_ok(), "{}: {name}={value}: {answer:?}", it.id);
            }
        }
    }
}

#[test]
fn the_file_has_each_code_of_a_problem_and_each_state_of_a_unit() {
    let file = file();
    let problem = &file["components"]["schemas"]["Problem"]["properties"];
    let listed = problem["code"]["oneOf"].as_array().unwrap().iter().map(|it| {
        let text = |name: &str| it[name].as_str().unwrap().to_owned();
        (text("const"), text("title"), text("description"))
    });
    let codes = Code::ALL.iter().map(|code| {
        let text = |text: &str| text.to_owned();
        (text(code.word()), text(code.title()), format!("HTTP {}", code.status()))
    });
    assert_eq!(listed.collect::<Vec<_>>(), codes.collect::<Vec<_>>());
    let listed = problem["status"]["enum"].as_array().unwrap().iter();
    let listed: BTreeSet<u64> = listed.map(|status| status.as_u64().unwrap()).collect();
    assert_eq!(listed, Code::ALL.iter().map(|code| u64::from(code.status())).collect());
    let states = &file["components"]["schemas"]["Node"]["properties"]["state"]["enum"];
    assert_eq!(*states, serde_json::json!(UnitState::STATES));
}
