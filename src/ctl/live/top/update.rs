//! Changes the state of `trcctl top` by one event.

use nix::sys::signal::Signal;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Note, Page, Picture, Question, State, Stream};
use crate::ctl::live::act::sentence;
use crate::text::harmless;
use crate::wire::{Act, Entry, JobState, JobStatus};

/// The number of rows that a page of keys moves by.
const PAGE: usize = 10;

/// Something has happened.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody has pressed a key.
    Key(KeyEvent),
    /// Somebody has pasted a text.
    Paste(String),
    /// The terminal has another size.
    Resized,
    /// trc has answered, or why not.
    Looked(Result<Box<Picture>, String>),
    /// A record of the stream with this number.
    Record(u32, Entry),
    /// The stream with this number is over, and why, if it did not end by itself.
    Over(u32, Option<String>),
    /// trc has answered a request, or why not.
    Answered(String, Act, Result<JobState, String>),
    /// A signal for this process.
    Signal(Signal),
}

/// Something to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// Follow this stream, with this number, instead of any other one.
    Follow(u32, Stream),
    /// Ask trc for a change.
    Act(String, Act),
    /// Draw the whole screen anew.
    Redraw,
    /// Suspend this process.
    Suspend,
    /// Quit.
    Quit,
    /// End by this signal.
    EndBy(Signal),
}

/// Changes the state by an event. Returns what is to be done.
pub(super) fn update(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => pressed(state, key),
        Event::Paste(text) => {
            // A pasted text is never a command.
            if let Some(to) = written(state) {
                to.push_str(&harmless(&text));
            }
            settle(state)
        }
        Event::Resized => Vec::new(),
        Event::Looked(Ok(picture)) => {
            let other = state
                .picture
                .as_ref()
                .is_some_and(|last| last.about.boot_id != picture.about.boot_id);
            let back = state.gone.take().is_some() || other;
            state.picture = Some(*picture);
            let again = back || state.over.is_some();
            if other {
                state.asked.clear();
            }
            let events = state.stream == Some(Stream::Events);
            if again {
                state.stream = None;
            }
            if again && events && state.page == Page::Records {
                return follow(state, Stream::Events);
            }
            settle(state)
        }
        Event::Looked(Err(why)) => {
            state.gone = Some(why);
            state.asked.clear();
            Vec::new()
        }
        Event::Record(number, entry) => {
            if number == state.number {
                // Whoever has scrolled back keeps seeing the same lines.
                if state.scroll > 0 && state.shows(&entry) {
                    state.scroll += 1;
                }
                state.records.push(entry);
            }
            Vec::new()
        }
        Event::Over(number, why) => {
            if number == state.number {
                state.over = Some(why.unwrap_or_else(|| "the output has ended".to_owned()));
            }
            Vec::new()
        }
        Event::Answered(unit, act, answer) => {
            let (text, bad, done) = match answer {
                Ok(job) => {
                    let bad = match job.status {
                        JobStatus::Running | JobStatus::Done => false,
                        JobStatus::Failed
                        | JobStatus::Superseded
                        | JobStatus::Cancelled
                        | JobStatus::Stopped => true,
                    };
                    let done = job.status != JobStatus::Running;
                    (sentence(job, act), bad, done)
                }
                Err(why) => (why, true, true),
            };
            state.note = Some(Note { text: harmless(&text), bad });
            if done {
                state.asked.retain(|asked| *asked != (unit.clone(), act));
            }
            Vec::new()
        }
        Event::Signal(Signal::SIGTSTP) => vec![Effect::Suspend],
        Event::Signal(Signal::SIGCONT) => vec![Effect::Redraw],
        Event::Signal(signal) => vec![Effect::EndBy(signal)],
    }
}

fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => vec![Effect::Quit],
            KeyCode::Char('z') => vec![Effect::Suspend],
            KeyCode::Char('l') => vec![Effect::Redraw],
            KeyCode::Char('u') => {
                if let Some(text) = written(state) {
                    text.clear();
                }
                settle(state)
            }
            _ => Vec::new(),
        };
    }
    state.note = None;
    if state.question.is_some() {
        return answered(state, key.code);
    }
    match (state.page, key.code) {
        (Page::Units, KeyCode::Char('q')) => vec![Effect::Quit],
        (Page::Units, KeyCode::Esc) => {
            state.filter.clear();
            settle(state)
        }
        (Page::Help, _) => {
            state.page = Page::Units;
            Vec::new()
        }
        (_, KeyCode::Char('?' | 'h')) => {
            leave(state);
            state.page = Page::Help;
            settle(state)
        }
        (_, KeyCode::Char('/')) => {
            state.question = Some(Question::Filter);
            Vec::new()
        }
        (Page::Records, code) => in_records(state, code),
        (Page::Units, code) => in_units(state, code),
    }
}

fn in_records(state: &mut State, code: KeyCode) -> Vec<Effect> {
    clamp(state);
    match code {
        KeyCode::Esc | KeyCode::Enter | KeyCode::Left | KeyCode::Char('q') => {
            leave(state);
            return settle(state);
        }
        KeyCode::Char('e') => {
            let events = state.stream == Some(Stream::Events);
            leave(state);
            if events {
                return settle(state);
            }
            state.page = Page::Records;
            return follow(state, Stream::Events);
        }
        KeyCode::Up => state.scroll += 1,
        KeyCode::Down => state.scroll = state.scroll.saturating_sub(1),
        KeyCode::PageUp => state.scroll += PAGE,
        KeyCode::PageDown | KeyCode::Char(' ') => state.scroll = state.scroll.saturating_sub(PAGE),
        KeyCode::Home | KeyCode::Char('g') => state.scroll = usize::MAX,
        KeyCode::End | KeyCode::Char('G' | 'f') => state.scroll = 0,
        _ => {}
    }
    clamp(state);
    Vec::new()
}

fn in_units(state: &mut State, code: KeyCode) -> Vec<Effect> {
    let last = state.units().len().saturating_sub(1);
    let at = state.unit().map_or(0, |(at, _)| at);
    let to = match code {
        KeyCode::Up => at.saturating_sub(1),
        KeyCode::Down => (at + 1).min(last),
        KeyCode::PageUp => at.saturating_sub(PAGE),
        KeyCode::PageDown | KeyCode::Char(' ') => (at + PAGE).min(last),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => last,
        _ => return chosen(state, code),
    };
    state.selected = state.units().get(to).map(|unit| unit.name.clone());
    settle(state)
}

/// Does what a key says to the selected unit.
fn chosen(state: &mut State, code: KeyCode) -> Vec<Effect> {
    if code == KeyCode::Char('e') {
        state.page = Page::Records;
        return follow(state, Stream::Events);
    }
    let Some(unit) = state.unit().map(|(_, unit)| unit.name.clone()) else { return Vec::new() };
    match code {
        KeyCode::Enter | KeyCode::Right => {
            state.page = Page::Records;
            settle(state)
        }
        KeyCode::Char('s') => act(state, unit, Act::Start),
        KeyCode::Char('r') => act(state, unit, Act::Restart),
        KeyCode::Char('l') => act(state, unit, Act::Reload),
        KeyCode::Char('x') => {
            let dependents = state.dependents(&unit).into_iter().map(str::to_owned).collect();
            state.question = Some(Question::Stop(unit, dependents));
            Vec::new()
        }
        KeyCode::Char('k') => {
            state.question = Some(Question::Signal(unit, String::new()));
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Takes a key that answers the question.
fn answered(state: &mut State, code: KeyCode) -> Vec<Effect> {
    match (state.question.take(), code) {
        (Some(Question::Stop(unit, _)), KeyCode::Char('y')) => act(state, unit, Act::Stop),
        (Some(Question::Stop(unit, some)), KeyCode::Char('d')) if !some.is_empty() => {
            act(state, unit, Act::StopWithDependents)
        }
        (Some(Question::Signal(unit, text)), KeyCode::Enter) if !text.trim().is_empty() => {
            match text.trim().parse() {
                Ok(signal) => act(state, unit, Act::Signal(signal)),
                Err(why) => {
                    state.note = Some(Note { text: why, bad: true });
                    Vec::new()
                }
            }
        }
        (Some(Question::Filter), KeyCode::Esc) => {
            if let Some(text) = written_filter(state) {
                text.clear();
            }
            settle(state)
        }
        (Some(Question::Stop(..) | Question::Signal(..)), KeyCode::Esc | KeyCode::Enter)
        | (Some(Question::Stop(..)) | None, _)
        | (Some(Question::Filter), KeyCode::Enter) => settle(state),
        (question, code) => {
            state.question = question;
            if let Some(text) = written(state) {
                match code {
                    KeyCode::Char(c) => text.push(c),
                    KeyCode::Backspace => _ = text.pop(),
                    _ => {}
                }
            }
            settle(state)
        }
    }
}

/// Returns the text that is being written.
fn written(state: &mut State) -> Option<&mut String> {
    match &state.question {
        Some(Question::Filter) => written_filter(state),
        Some(Question::Signal(..)) => match &mut state.question {
            Some(Question::Signal(_, text)) => Some(text),
            Some(Question::Stop(..) | Question::Filter) | None => None,
        },
        Some(Question::Stop(..)) | None => None,
    }
}

/// Returns the filter of the page.
fn written_filter(state: &mut State) -> Option<&mut String> {
    match state.page {
        Page::Units => Some(&mut state.filter),
        Page::Records => Some(&mut state.grep),
        Page::Help => None,
    }
}

/// Asks for a change, unless trc has not answered the same request yet.
fn act(state: &mut State, unit: String, act: Act) -> Vec<Effect> {
    let one = (unit, act);
    let bad = state.gone.is_some();
    let text = if bad {
        "trc is gone: it cannot be asked for anything".to_owned()
    } else {
        format!("asking trc to {} {}", act.word(), one.0)
    };
    state.note = Some(Note { text, bad });
    if bad || state.asked.contains(&one) {
        return Vec::new();
    }
    state.asked.push(one.clone());
    vec![Effect::Act(one.0, one.1)]
}

/// Goes back to the table.
fn leave(state: &mut State) {
    state.page = Page::Units;
    state.grep.clear();
    state.scroll = 0;
}

/// Sees to it that a unit is selected that is shown, and that its output is followed.
fn settle(state: &mut State) -> Vec<Effect> {
    if state.page == Page::Units && state.unit().is_none() {
        state.selected = state.units().first().map(|unit| unit.name.clone());
    }
    clamp(state);
    let events = state.page == Page::Records && state.stream == Some(Stream::Events);
    match state.selected.clone() {
        Some(unit) if !events => follow(state, Stream::Output(unit)),
        Some(_) | None => Vec::new(),
    }
}

fn follow(state: &mut State, stream: Stream) -> Vec<Effect> {
    if state.stream.as_ref() == Some(&stream) {
        return Vec::new();
    }
    state.number = state.number.wrapping_add(1);
    state.stream = Some(stream.clone());
    state.records.clear();
    state.over = None;
    state.scroll = 0;
    vec![Effect::Follow(state.number, stream)]
}

/// Scrolls no further than to the first record. This may search all of them, so it is done for a key,
/// but not for each record that comes.
fn clamp(state: &mut State) {
    state.scroll = state.below();
}
