//! Tests of the drawings.

use tempfile::TempDir;

use super::picture::Picture;
use super::{dot, json, mermaid, svg, tree};
use crate::config::{CommandLine, load};
use crate::ctl::fitting;
use crate::ctl::live::Color;
use crate::graph::Graph;

/// Returns the picture of a configuration.
fn picture(toml: &str) -> Picture {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("trc.toml"), toml).unwrap();
    let line = CommandLine { work_dir: Some(dir.path().to_owned()), ..CommandLine::default() };
    let loaded = load(&line, &Vec::new()).unwrap();
    Picture::of(&Graph::build(&loaded.config).unwrap(), "shop")
}

const SHOP: &str = r#"
[boot.init]
exec = "init"
[async.cache]
exec = "cache"
ready.notify = true
restart = "always"
[async.db]
exec = "db"
ready.tcp = 5432
[async.migrate]
exec = "migrate"
after = ["db"]
oneshot = true
[async.app]
exec = "app"
after = ["db", "migrate", "cache"]
ready.http = "http://127.0.0.1/"
restart = { when = "on-failure", with = ["db"] }
[async.backup]
exec = "backup"
schedule = { when = "@daily", tz = "UTC" }
[async.debug]
exec = "debug"
autostart = false
[sync.shell]
exec = "shell"
after = ["app"]
[halt.report]
exec = "report"
after = { app = "failed" }
"#;

#[test]
fn a_unit_is_below_the_last_of_those_that_it_waits_for_and_the_others_name_it() {
    let shown = tree::draw(&picture(SHOP), None, Color::Never);
    let expected = "\
UNIT          KIND      READY   RESTART              STARTS
boot  before everything else, one after another
  init        one-shot
async  in the background, all at the same time
  cache       service   notify  always
  ╰╌ app
  db          service   tcp
  ├╌ app
  ╰─ migrate  one-shot                               after db
     ╰─ app   service   http    on-failure, with db  after db, migrate (succeeded), cache
        ╰╌ shell
  backup      job                                    @daily (UTC)
  debug       service                                on request
sync  in the foreground, one after another
  shell       service                                after app
halt  when everything has stopped, one after another
  report      one-shot                               after app (failed)

after: starts when these units are ready, or meet the condition in (…)
╰╌ units that also wait for the unit above, and are shown elsewhere

stop  each unit after all units that depend on it
  1  backup, debug, shell
  2  app
  3  cache, db
  4  the halt units
";
    assert_eq!(shown, expected);
}

#[test]
fn a_tree_is_as_wide_as_the_terminal_at_most() {
    let long =
        format!("[async.{}]\nexec = 'x'\n[async.'語語語語語']\nexec = 'x'\n", "n".repeat(90));
    let deep: Vec<String> = (1..60)
        .map(|at| format!("[async.u{at}]\nexec = 'x'\nafter = ['u{}', 'u0']\n", at - 1))
        .collect();
    let deep = format!("[async.u0]\nexec = 'x'\n{}", deep.concat());
    for toml in [SHOP, &long, &deep] {
        let picture = picture(toml);
        for width in 1..120 {
            let shown = tree::draw(&picture, Some(width), Color::Never);
            let widest = shown.lines().map(fitting::cells_of).max().unwrap();
            assert!(widest <= width.max(36), "{width}: {widest}\n{shown}");
        }
    }
}

#[test]
fn long_cells_continue_on_the_next_line_and_columns_are_left_out() {
    let shown = tree::draw(&picture(SHOP), Some(62), Color::Never);
    let app: Vec<&str> = shown.lines().skip_while(|line| !line.contains("─ app")).take(2).collect();
    assert_eq!(
        app,
        [
            "     ╰─ app   service   http    after db, migrate (succeeded),",
            "        │                       cache",
        ]
    );
    assert!(!shown.contains("RESTART"), "{shown}");
}

#[test]
fn colours_change_nothing_else() {
    let picture = picture(SHOP);
    let coloured = tree::draw(&picture, Some(80), Color::Always);
    assert!(coloured.contains("\x1b[32mservice\x1b[0m"), "{coloured}");
    let mut plain = String::new();
    let mut parts = coloured.split('\x1b');
    plain.push_str(parts.next().unwrap());
    parts.for_each(|part| plain.push_str(part.split_once('m').unwrap().1));
    assert_eq!(plain, tree::draw(&picture, Some(80), Color::Never));
}

#[test]
fn a_service_stops_after_those_that_depend_on_it_by_way_of_a_migration() {
    let picture = picture(
        "[async.app]\nexec = 'x'\nafter = ['migrate']\n[async.migrate]\nexec = 'x'\noneshot = true\n\
         after = ['db']\n[async.db]\nexec = 'x'\n",
    );
    let steps: Vec<Vec<&str>> = picture
        .stop
        .iter()
        .map(|step| step.iter().map(|at| picture.units[*at].label.as_str()).collect())
        .collect();
    assert_eq!(steps, [vec!["app"], vec!["db"]]);
}

#[test]
fn a_name_that_two_stages_have_is_shown_with_its_stage() {
    let picture =
        picture("[boot.db]\nexec = 'x'\n[async.db]\nexec = 'x'\n[async.web]\nexec = 'x'\n");
    let labels: Vec<&str> = picture.units.iter().map(|unit| unit.label.as_str()).collect();
    assert_eq!(labels, ["boot.db", "async.db", "web"]);
}

#[test]
fn the_order_within_a_stage_is_an_edge_that_nobody_has_written() {
    let picture = picture(
        "[sync.a]\nexec = 'x'\n[sync.b]\nexec = 'x'\n[sync.c]\nexec = 'x'\nafter = ['b']\n",
    );
    let json: serde_json::Value = serde_json::from_str(&json::write(&picture)).unwrap();
    let edges = json["edges"].as_array().unwrap();
    let between = |from: &str, to: &str| -> Vec<&serde_json::Value> {
        let is = |edge: &&serde_json::Value| edge["from"] == from && edge["to"] == to;
        edges.iter().filter(is).map(|edge| &edge["written"]).collect()
    };
    assert_eq!(between("sync.a", "sync.b"), [false]);
    assert_eq!(between("sync.b", "sync.c"), [false, true]);
    let dot = dot::write(&picture);
    assert!(dot.contains(r#""sync.a" -> "sync.b" [style=dotted]"#), "{dot}");
    assert!(dot.contains(r#""sync.b" -> "sync.c" [label="started"]"#), "{dot}");
    assert_eq!(dot.matches(" -> ").count(), 2, "{dot}");
}

#[test]
fn a_dark_page_has_a_colour_for_every_colour_of_a_light_one() {
    let drawn = svg::draw(&picture(SHOP));
    let (style, rest) = drawn.split_once("</style>").unwrap();
    let mut classes =
        rest.split("class=\"").skip(1).flat_map(|it| it.split_once('"').unwrap().0.split(' '));
    assert!(classes.all(|class| style.contains(&format!(".{class}{{"))), "{drawn}");
    assert!(!drawn.contains("var(") && !drawn.contains("<script"));
}

#[test]
fn the_picture_has_its_contents_in_words() {
    let drawn = svg::draw(&picture(SHOP));
    for words in [
        "<title id=\"trc-title\">The units of shop</title>",
        "app (service) after db (ready), migrate (succeeded), cache (ready);",
        "Stop order: backup and debug and shell, then app, then cache and db.",
        "<title>async.app waits for async.db (ready), and restarts with it</title>",
    ] {
        assert!(drawn.contains(words), "{words}\n{drawn}");
    }
}

#[test]
fn nothing_is_drawn_outside_the_picture() {
    let many: Vec<String> = (0..60)
        .map(|at| {
            format!(
                "[async.unit-{at}]\nexec = 'x'\nafter = [{}]\n",
                match at {
                    0..12 => String::new(),
                    _ => format!("'unit-{}', 'unit-{}'", at * 7 % (at / 2), at / 3),
                }
            )
        })
        .collect();
    for toml in ["", SHOP, &many.concat(), "[boot.x]\nexec = 'x'\n", "[halt.x]\nexec = 'x'\n"] {
        let drawn = svg::draw(&picture(toml));
        let size = |name: &str| -> f64 {
            let (_, rest) = drawn.split_once(&format!(" {name}=\"")).unwrap();
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        let (width, height) = (size("width"), size("height"));
        for rect in drawn.split("<rect ").skip(2) {
            let value = |name: &str| -> f64 {
                let (_, rest) = rect.split_once(&format!("{name}=\"")).unwrap();
                rest.split_once('"').unwrap().0.parse().unwrap()
            };
            assert!(value("x") >= 0.0 && value("x") + value("width") <= width, "{rect}");
            assert!(value("y") >= 0.0 && value("y") + value("height") <= height, "{rect}");
        }
    }
}

#[test]
fn names_are_escaped() {
    let picture = picture(concat!(
        "[async.end]\nexec = 'x'\n[async.\"a \\\"b\\\" <i> --> & #35; \\\\ `c`\"]\nexec = 'x'\nafter = ['end']\n",
        "[async.\"1. one\"]\nexec = 'x'\n",
    ));
    let nasty = "a \"b\" <i> --> & #35; \\ `c`";
    assert_eq!(picture.units[1].label, nasty);
    assert!(tree::draw(&picture, None, Color::Never).contains(nasty));
    let dot = dot::write(&picture);
    assert!(
        dot.contains(r#""async.a \"b\" <i> --> & #35; \\ `c`" [label="a \"b\" <i> --> &amp; #35; \\ `c`\nservice"]"#),
        "{dot}"
    );
    let mermaid = mermaid::write(&picture);
    assert!(mermaid.contains("u0(\"end<br>service\")\n"), "{mermaid}");
    assert!(
        mermaid.contains("a #34;b#34; #60;i#62; --#62; #38; #35;35#59; #92; #96;c#96;<br>"),
        "{mermaid}"
    );
    assert!(mermaid.contains("u2(\"1#46; one<br>"), "{mermaid}");
    let svg = svg::draw(&picture);
    assert!(svg.contains("a &quot;b&quot; &lt;i&gt; --&gt; &amp; #35; \\ `c`</text>"), "{svg}");
    let json: serde_json::Value = serde_json::from_str(&json::write(&picture)).unwrap();
    assert_eq!(json["units"][1]["name"], format!("async.{nasty}"));
}
