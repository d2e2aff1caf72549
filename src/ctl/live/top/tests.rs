//! Whole screens as text, and what each key does. `TRC_TEST_UPDATE=1` writes the screens anew: look at
//! them.

use std::fmt::Write as _;
use std::path::Path;

use nix::sys::signal::Signal;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color as Hue;
use serde_json::json;

use super::records::{KEEP, KEEP_BYTES, LONGEST};
use super::state::{Need, Page, Picture, State, Stream};
use super::update::{Effect, Event, update};
use super::view::view;
use crate::ctl::live::Color;
use crate::wire::{Act, Entry, JobState, UnitState, Written};

fn unit(name: &str, more: &serde_json::Value) -> UnitState {
    let mut unit = json!({
        "name": name, "phase": "running", "wanted": "up", "since_ms": 191_000, "healthy": true,
        "restarts": 0,
    });
    for (key, value) in more.as_object().unwrap() {
        unit[key] = value.clone();
    }
    serde_json::from_value(unit).unwrap()
}

fn process(pid: i32) -> serde_json::Value {
    json!({ "pid": pid, "memory": 22_439_526, "cpu_ms": 1200, "uptime_ms": 191_000 })
}

fn need(unit: &str, of: &str, condition: &str) -> Need {
    Need { unit: unit.to_owned(), of: of.to_owned(), condition: condition.to_owned() }
}

/// A shop whose database is not ready, and whose worker fails.
fn shop() -> Picture {
    let units = vec![
        unit(
            "async.db",
            &json!({ "ready": false, "why": "is not ready yet: 127.0.0.1:5432: connection refused",
                "description": "the database, データベース", "deadline_ms": 48_000, "process": process(12) }),
        ),
        unit(
            "async.web",
            &json!({ "phase": "waiting", "why": "waits for async.db", "waits_for": "async.db" }),
        ),
        unit(
            "async.worker",
            &json!({ "phase": "backoff", "restarts": 4, "since_ms": 2100, "deadline_ms": 5900,
                "why": "failed with status 1, and is about to be started again",
                "last_end": { "status": 1, "why": "failed with status 1", "ago_ms": 2100 } }),
        ),
        unit("async.cache", &json!({ "ready": true, "process": process(15) })),
        unit(
            "sync.main",
            &json!({ "wanted": "held", "phase": "waiting", "why": "was stopped by hand" }),
        ),
    ];
    let needs = vec![
        need("async.web", "async.db", "ready"),
        need("async.web", "async.cache", "started"),
        need("sync.main", "async.web", "ready"),
    ];
    picture(units, needs)
}

fn picture(units: Vec<UnitState>, needs: Vec<Need>) -> Picture {
    Picture {
        about: serde_json::from_value(json!({
            "version": "0.1.0", "api": 1, "boot_id": "a", "pid": 1, "generation": 0, "phase": "up",
            "uptime_ms": 192_000,
        }))
        .unwrap(),
        health: serde_json::from_value(json!({
            "state": "unhealthy", "unit": "async.worker",
            "why": "failed with status 1, and is about to be started again",
        }))
        .unwrap(),
        units,
        needs,
    }
}

fn many() -> Picture {
    let units = (1..=60)
        .map(|at| unit(&format!("async.worker-{at:02}"), &json!({ "process": process(100 + at) })));
    picture(units.collect(), Vec::new())
}

fn seen(picture: Picture) -> State {
    let mut state = State::default();
    look(&mut state, picture);
    state
}

fn look(state: &mut State, picture: Picture) -> Vec<Effect> {
    update(state, Event::Looked(Ok(Box::new(picture))))
}

fn press(state: &mut State, code: KeyCode) -> Vec<Effect> {
    update(state, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// Presses keys: each letter is one, `↓` and so on are what they show.
fn keys(state: &mut State, keys: &str) -> Vec<Effect> {
    let code = |c| match c {
        '↓' => KeyCode::Down,
        '↑' => KeyCode::Up,
        '↵' => KeyCode::Enter,
        '⎋' => KeyCode::Esc,
        '⌫' => KeyCode::Backspace,
        '⇱' => KeyCode::Home,
        '⇲' => KeyCode::End,
        c => KeyCode::Char(c),
    };
    keys.chars().flat_map(|c| press(state, code(c))).collect()
}

fn written(seq: u64, line: &str) -> Entry {
    Entry::Written(Written {
        seq,
        time: format!("2026-11-26T09:14:{:02}.117Z", seq % 60),
        unit: "async.db".to_owned(),
        pid: 12,
        stream: if line.starts_with("FATAL") { "stderr" } else { "stdout" }.to_owned(),
        line: line.to_owned(),
    })
}

fn print(state: &mut State, lines: &[&str]) {
    for (seq, line) in (1..).zip(lines) {
        update(state, Event::Record(state.number, written(seq, line)));
    }
}

const OUTPUT: [&str; 4] = [
    "LOG:  database system was shut down at 2026-11-26 09:14:02 UTC",
    "LOG:  \x1b[32mredo\x1b[0m starts at 0/15D6B40\t\x07done",
    "FATAL:  the database system is starting up; 数据库系统正在启动，请稍候片刻再试一次，谢谢您的耐心等待",
    "LOG:  database system is ready to accept connections",
];

fn drawn(state: &State, color: Color, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(state, color, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            // The cell after a wide character is a part of it.
            x += u16::try_from(ratatui::text::Span::raw(symbol).width().max(1)).unwrap();
        }
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    text
}

#[test]
fn screens_look_as_they_should() {
    let shop_with = |typed: &str| {
        let mut state = seen(shop());
        print(&mut state, &OUTPUT);
        keys(&mut state, typed);
        state
    };
    let gone = {
        let mut state = shop_with("");
        update(&mut state, Event::Looked(Err("no trc listens on /run/trc.sock".to_owned())));
        state
    };
    let refused = {
        let mut state = shop_with("s");
        let why = "uid 33 may not start units: [control] allow gives it `read`".to_owned();
        update(&mut state, Event::Answered("async.db".to_owned(), Act::Start, Err(why)));
        state
    };
    for (name, width, height, state) in [
        ("usual", 80, 24, shop_with("")),
        ("cause", 80, 24, shop_with("↓")),
        ("wide", 130, 24, shop_with("↓")),
        ("narrow", 40, 10, shop_with("↓")),
        ("many", 80, 24, {
            let mut state = seen(many());
            keys(&mut state, "↓↓G↑↑");
            state
        }),
        ("filter", 80, 16, shop_with("/wo")),
        ("stop", 80, 16, shop_with("↓x")),
        ("stop_narrow", 40, 10, shop_with("↓x")),
        ("signal", 60, 14, shop_with("khup")),
        ("refused", 60, 14, refused),
        ("gone", 80, 20, gone),
        ("output", 50, 14, shop_with("↵")),
        ("help", 80, 24, shop_with("?")),
        ("nothing", 60, 10, seen(picture(Vec::new(), Vec::new()))),
    ] {
        let screen = text(&drawn(&state, Color::Always, width, height));
        let path = format!("src/ctl/live/top/screens/{name}.txt");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("TRC_TEST_UPDATE").is_some() {
            std::fs::write(&path, &screen).unwrap();
        }
        let right = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(screen == right, "{name} is\n{screen}\nand should be\n{right}");
    }
}

#[test]
fn every_size_can_be_drawn() {
    let mut state = seen(shop());
    print(&mut state, &OUTPUT);
    for typed in ["", "↓", "x", "n", "↵", "↑", "⎋", "?"] {
        keys(&mut state, typed);
        for width in [1, 2, 7, 19, 20, 21, 40, 59, 60, 80, 119, 120, 200] {
            for height in [1, 2, 4, 5, 6, 9, 10, 15, 16, 24, 60] {
                drawn(&state, Color::Always, width, height);
            }
        }
    }
}

#[test]
fn states_have_the_colours_of_status_unless_there_are_none() {
    let of = |color| -> Vec<Hue> {
        let buffer = drawn(&seen(shop()), color, 80, 24);
        let mut all: Vec<Hue> = buffer.content().iter().map(|cell| cell.fg).collect();
        all.sort_by_key(|hue| format!("{hue:?}"));
        all.dedup();
        all
    };
    assert_eq!(of(Color::Never), [Hue::Reset]);
    assert_eq!(
        of(Color::Always),
        [Hue::Cyan, Hue::Green, Hue::Magenta, Hue::Red, Hue::Reset, Hue::Yellow]
    );
}

#[test]
fn control_characters_of_units_do_not_reach_the_terminal() {
    let mut picture = shop();
    picture.units[0].description = Some("a\x1b]0;title\x07b\nc".to_owned());
    picture.units[0].why = Some("x\x1b[2Jy".to_owned());
    let mut state = seen(picture);
    print(&mut state, &["\x1b[31mred\x1b[0m\x1b]52;c;AAAA\x07 \u{9b}2J\r\x08end", "\x1b[", "\x1b"]);
    let screen = text(&drawn(&state, Color::Always, 80, 24));
    assert!(!screen.replace('\n', "").contains(char::is_control), "{screen:?}");
    assert!(screen.contains("│ red ]52;c;AAAA"), "{screen}");
}

#[test]
fn keys_act_on_the_selected_unit() {
    let db = || "async.db".to_owned();
    let web = || "async.web".to_owned();
    for (typed, effects) in [
        ("s", vec![Effect::Act(db(), Act::Start)]),
        ("r", vec![Effect::Act(db(), Act::Restart)]),
        ("l", vec![Effect::Act(db(), Act::Reload)]),
        ("x", vec![]),
        ("xy", vec![Effect::Act(db(), Act::Stop)]),
        ("xd", vec![Effect::Act(db(), Act::StopWithDependents)]),
        ("xn", vec![]),
        ("x⎋y", vec![]),
        ("x↵", vec![]),
        // A person who presses the key twice has not confirmed anything.
        ("xx", vec![]),
        ("khup↵", vec![Effect::Act(db(), Act::Signal("HUP".parse().unwrap()))]),
        ("kTERN⌫M↵", vec![Effect::Act(db(), Act::Signal("TERM".parse().unwrap()))]),
        ("k↵", vec![]),
        ("kterm⎋", vec![]),
        ("kno-signal↵", vec![]),
        // The same request goes out once until trc has answered it.
        ("rr", vec![Effect::Act(db(), Act::Restart)]),
        ("↓s", vec![Effect::Follow(2, Stream::Output(web())), Effect::Act(web(), Act::Start)]),
        (
            "/web↵r",
            vec![Effect::Follow(2, Stream::Output(web())), Effect::Act(web(), Act::Restart)],
        ),
        ("/none↵r", vec![]),
        ("/xyz⎋s", vec![Effect::Act(db(), Act::Start)]),
        ("e", vec![Effect::Follow(2, Stream::Events)]),
        // In the lines, these keys act on nothing.
        ("↵srlxk", vec![]),
        ("?s", vec![]),
        ("q", vec![Effect::Quit]),
        ("↵q", vec![]),
        ("?q", vec![]),
        ("xq", vec![]),
    ] {
        assert_eq!(keys(&mut seen(shop()), typed), effects, "{typed}");
    }
}

#[test]
fn ctrl_keys_and_signals_quit_suspend_and_draw() {
    let ctrl = |c| Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
    for typed in ["", "x", "/", "↵", "?"] {
        for (event, effect) in [
            (ctrl('c'), Effect::Quit),
            (ctrl('z'), Effect::Suspend),
            (ctrl('l'), Effect::Redraw),
            (Event::Signal(Signal::SIGTSTP), Effect::Suspend),
            (Event::Signal(Signal::SIGCONT), Effect::Redraw),
            (Event::Signal(Signal::SIGTERM), Effect::EndBy(Signal::SIGTERM)),
            (Event::Signal(Signal::SIGHUP), Effect::EndBy(Signal::SIGHUP)),
        ] {
            let mut state = seen(shop());
            keys(&mut state, typed);
            let what = format!("{typed} {event:?}");
            assert_eq!(update(&mut state, event), [effect], "{what}");
        }
    }
}

#[test]
fn a_pasted_text_is_never_a_command() {
    let paste = |state: &mut State| update(state, Event::Paste("xy\nq".to_owned()));
    let mut state = seen(shop());
    assert_eq!(paste(&mut state), []);
    assert_eq!(state.question, None);
    keys(&mut state, "/");
    paste(&mut state);
    assert_eq!(state.filter, "xy q");
}

#[test]
fn the_answer_of_trc_is_shown_and_lets_the_same_request_go_out_again() {
    let mut state = seen(shop());
    let job = |status: &str| -> JobState {
        serde_json::from_value(json!({ "id": 1, "unit": "async.db", "task": "restart",
            "changed": true, "status": status, "message": "async.db is up" }))
        .unwrap()
    };
    keys(&mut state, "r");
    let answer =
        |status: &str| Event::Answered("async.db".to_owned(), Act::Restart, Ok(job(status)));
    update(&mut state, answer("running"));
    assert_eq!(state.note.as_ref().unwrap().text, "trc is about to restart async.db (job 1)");
    assert_eq!(keys(&mut state, "r"), []);
    update(&mut state, answer("done"));
    assert_eq!(state.note.as_ref().unwrap().text, "async.db is up");
    assert_eq!(keys(&mut state, "r").len(), 1);
}

#[test]
fn a_trc_that_comes_back_is_followed_anew() {
    let mut state = seen(shop());
    let gone = |state: &mut State| update(state, Event::Looked(Err("no trc listens".to_owned())));
    assert_eq!(gone(&mut state), []);
    // Nothing goes out to a trc that is gone.
    assert_eq!(keys(&mut state, "s"), []);
    assert!(state.note.as_ref().unwrap().bad);
    let follow = |number| [Effect::Follow(number, Stream::Output("async.db".to_owned()))];
    assert_eq!(look(&mut state, shop()), follow(2));
    assert_eq!(look(&mut state, shop()), []);
    // Another run may be there at the next look.
    let mut other = shop();
    other.about.boot_id = "b".to_owned();
    assert_eq!(look(&mut state, other.clone()), follow(3));
    // A stream can break off without the looks noticing it.
    update(&mut state, Event::Over(3, None));
    assert_eq!(look(&mut state, other), follow(4));
    // It may have other units.
    gone(&mut state);
    let other = Stream::Output("async.worker-01".to_owned());
    assert_eq!(look(&mut state, many()), [Effect::Follow(5, other)]);
    keys(&mut state, "e");
    gone(&mut state);
    assert_eq!(look(&mut state, many()), [Effect::Follow(7, Stream::Events)]);
}

#[test]
fn late_records_of_another_unit_do_not_count_and_the_kept_ones_are_bounded() {
    let mut state = seen(shop());
    let earlier = state.number - 1;
    update(&mut state, Event::Record(earlier, written(1, "late")));
    update(&mut state, Event::Over(earlier, None));
    assert_eq!((state.records.iter().count(), &state.over), (0, &None));
    let lines = vec!["x"; KEEP + 10];
    print(&mut state, &lines);
    assert_eq!(state.records.iter().count(), KEEP);
}

#[test]
fn long_lines_are_cut_and_few_of_them_kept() {
    let mut state = seen(shop());
    let long = "ü".repeat(LONGEST);
    print(&mut state, &vec![long.as_str(); 2 * KEEP_BYTES / LONGEST]);
    let kept: Vec<&str> = state
        .records
        .iter()
        .map(|entry| match entry {
            Entry::Written(line) => line.line.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(kept.iter().all(|line| line.len() <= LONGEST && line.ends_with("ü…")));
    assert_eq!(kept.len(), KEEP_BYTES / LONGEST);
}

#[test]
fn whoever_has_scrolled_to_records_that_are_forgotten_sees_the_first_one() {
    let mut state = seen(shop());
    print(&mut state, &vec!["x"; KEEP]);
    keys(&mut state, "↵⇱");
    print(&mut state, &["y"; 30]);
    assert_eq!(state.below(), KEEP - 1);
    keys(&mut state, "↓");
    assert_eq!(state.below(), KEEP - 2);
}

#[test]
fn whoever_scrolls_back_keeps_seeing_the_same_lines() {
    let mut state = seen(shop());
    print(&mut state, &vec!["x"; 50]);
    keys(&mut state, "↵↑↑");
    assert_eq!(state.scroll, 2);
    print(&mut state, &["y"; 3]);
    assert_eq!(state.scroll, 5);
    keys(&mut state, "⇱");
    assert_eq!(state.scroll, 52);
    keys(&mut state, "⇲");
    assert_eq!((state.scroll, state.page), (0, Page::Records));
}

#[test]
fn the_selection_follows_the_unit_and_not_its_place() {
    let mut state = seen(shop());
    keys(&mut state, "↓↓");
    let mut other = shop();
    other.units.remove(0);
    look(&mut state, other);
    assert_eq!(state.unit().map(|(at, unit)| (at, unit.name.as_str())), Some((1, "async.worker")));
    // If it is gone, there is another one.
    let mut other = shop();
    other.units.truncate(2);
    let effects = look(&mut state, other);
    assert_eq!(effects, [Effect::Follow(4, Stream::Output("async.db".to_owned()))]);
}
