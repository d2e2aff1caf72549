//! Manual pages, made of the help.

use std::process::Command;

use crate::common::has;

fn page(words: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_trcctl")).arg("man").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn help(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_trcctl")).args(words).arg("--help").output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// Returns the commands that `trcctl --help` lists.
fn commands() -> Vec<String> {
    let help = help(&[]);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let list = list.lines().take_while(|line| !line.is_empty());
    let names = list.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    names.filter(|name| name != "help").collect()
}

#[test]
fn every_command_has_a_page_with_the_examples_and_exit_statuses_of_its_help() {
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for name in &commands {
        let (page, help) = (page(&[name]), help(&[name]));
        assert!(page.contains(&format!(".TH trcctl-{name} 1 ")), "{page}");
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"SEE ALSO\""] {
            assert!(page.contains(&format!(".SH {heading}\n")), "{name}: {heading}\n{page}");
        }
        for (written, heading) in [("Examples:", "EXAMPLES"), ("Exit status:", "\"EXIT STATUS\"")] {
            let is_there = page.contains(&format!(".SH {heading}\n"));
            assert_eq!(is_there, help.contains(written), "{name}: {heading}");
        }
        assert!(page.is_ascii(), "{name}");
    }
}

#[test]
fn the_page_of_trcctl_lists_its_commands() {
    let page = page(&[]);
    for name in commands() {
        assert!(page.contains(&format!("trcctl\\-{name}(1)\n")), "{name}:\n{page}");
    }
}

#[test]
fn trc_has_a_page_too() {
    let page = page(&["trc"]);
    assert!(page.contains("trc \\- a declarative init (PID 1) for containers\n"), "{page}");
    assert!(page.contains(".TP\n\\fB64\\fR\nthe command line is wrong\n"), "{page}");
    assert!(page.contains(".TP\n\\fBtrc \\-\\-bare sh\\fR\nRun a shell"), "{page}");
}

#[test]
fn there_is_no_page_of_another_command() {
    let other = Command::new(env!("CARGO_BIN_EXE_trcctl")).args(["man", "nix"]).output().unwrap();
    assert_eq!(other.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&other.stderr).contains("there is no command `nix`"));
}

#[test]
fn groff_formats_every_page_without_a_warning() {
    if !has("groff") {
        return;
    }
    let commands = commands();
    let pages = commands.iter().map(String::as_str).chain(["trc"]).map(|name| page(&[name]));
    for text in pages.chain([page(&[])]) {
        let dir = tempfile::TempDir::new().unwrap();
        std::fs::write(dir.path().join("page"), &text).unwrap();
        let said = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(dir.path().join("page"))
            .output()
            .unwrap();
        assert!(said.status.success() && said.stderr.is_empty(), "{said:?}\n{text}");
    }
}
