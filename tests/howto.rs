//! The images of the how-to pages in `docs/howto/` test themselves. Needs a container engine, as
//! `container/mod.rs` says:
//!
//!     TRC_CONTAINER_ENGINE=docker cargo test --test suite howto:: -- --ignored
//!
//! Each block of a page whose first line is a comment with the name of a file is that file. The
//! page's image is built from these files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::container::{ROOT, Run, built_trc, call, remember};
use regex::Regex;
use tempfile::TempDir;

/// The pages with an image.
const PAGES: [&str; 6] = ["cron", "gunicorn-celery", "jvm", "nginx-php-fpm", "node", "postgres"];

pub(crate) fn page(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(format!("docs/howto/{name}.md"))).unwrap()
}

/// Returns the files of a page and their texts.
pub(crate) fn files(page_name: &str) -> BTreeMap<String, String> {
    let file =
        Regex::new(r"(?m)^```\w+\n((?:#|//|--|;|<\?php //) ([\w.-]+)\n(?s:.*?))^```$").unwrap();
    let text = page(page_name);
    file.captures_iter(&text).map(|found| (found[2].to_owned(), found[1].to_owned())).collect()
}

/// Builds an image from files.
pub(crate) fn image_of(label: &str, files: &BTreeMap<String, String>) -> String {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let text = text.replace("--from=trc ", &format!("--from={} ", built_trc()));
        fs::write(folder.path().join(name), text).unwrap();
    }
    let image = format!("trc-test-{label}-{}", std::process::id());
    remember(&image);
    call(&["build", "-t", &image, folder.path().to_str().unwrap()]);
    image
}

/// Builds the image of a page.
pub(crate) fn image(page_name: &str) -> String {
    image_of(&format!("howto-{page_name}"), &files(page_name))
}

/// Tests an image, and then stops it as in production, once a line like `up` was printed.
fn works(page: &str, up: &str, status: i32) {
    let image = image(page);
    let ended = Run::new(&image, &[]).env("TRC_TEST", "1").run();
    ended.status(0);
    assert!(!ended.out.contains("\nnot ok"), "{}", ended.text);

    let container = Run::new(&image, &[]).start();
    container.wait_for(up).stop_in_time();
    container.wait().status(status);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn cron() {
    works("cron", r"<cleanup/\d+\]: report for nobody", 143);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn gunicorn_celery() {
    works("gunicorn-celery", r"<main/1\]: async\.worker is ready .*", 143);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn jvm() {
    works("jvm", r"<main/1\]: sync\.app is ready .*", 0);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn nginx_php_fpm() {
    works("nginx-php-fpm", r"<main/1\]: async\.nginx is ready .*", 143);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn node() {
    works("node", r"<main/1\]: sync\.app is ready .*", 0);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn postgres() {
    works("postgres", r"<async/\d+\]: Exiting on the background \(exitcode=0\): schema: .*", 0);
}

#[test]
fn every_page_with_an_image_is_tested() {
    let mut found = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join("docs/howto")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".md");
        if page(name).contains("\n# Dockerfile\n") {
            found.push(name.to_owned());
        }
    }
    found.sort();
    assert_eq!(found, PAGES);
}
