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

use crate::container::{Container, ROOT, Run, built_trc, call, remember};
use regex::Regex;
use tempfile::TempDir;

/// The pages with an image.
const PAGES: [&str; 9] = [
    "cron",
    "from-s6-overlay",
    "from-supervisord",
    "gunicorn-celery",
    "jvm",
    "nginx-php-fpm",
    "node",
    "postgres",
    "web-app",
];

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
fn from_s6_overlay() {
    works("from-s6-overlay", r"<main/1\]: async\.redis is ready .*", 143);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn from_supervisord() {
    works("from-supervisord", r"<async/\d+\]: Launching on the background: worker@2: .*", 143);
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

/// Where the database's image and the application's find the password.
const SECRET: &str = "/run/secrets/app";

/// The database of the page, with the password `s3cret` for the role `app`.
fn database() -> Container {
    let run = Run::new(&image("postgres"), &[]).env("APP_PASSWORD_FILE", SECRET);
    let container = run.secret(SECRET, "s3cret\n").start();
    container.wait_for(r"<async/\d+\]: Exiting on the background \(exitcode=0\): schema: .*");
    container
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn postgres() {
    works("postgres", r"<async/\d+\]: Exiting on the background \(exitcode=0\): schema: .*", 0);

    let image = image("postgres");
    let run = Run::new(&image, &[]).env("TRC_TEST", "login").env("APP_PASSWORD_FILE", SECRET);
    let ended = run.secret(SECRET, "s3cret\n").run();
    ended.status(0);
    assert!(ended.out.contains("\nok 1 - test.login"), "{}", ended.text);
    assert!(!ended.text.contains("s3cret"), "{}", ended.text);
}

/// Runs an image as the page of the application does, with this database.
fn beside(database: &Container, image: &str, arguments: &[&str]) -> Run {
    Run::new(image, arguments)
        .options(&["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"])
        .options(&["--network", &format!("container:{}", database.name)])
        .env("PGHOST", "127.0.0.1")
        .env("PGUSER", "app")
        .env("PGDATABASE", "app")
        .env("PGPASSWORD_FILE", SECRET)
        // Its reader is not root.
        .mount(SECRET, "s3cret\n")
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn web_app() {
    let files = files("web-app");
    let (database, image) = (database(), image("web-app"));
    let ended = beside(&database, &image, &[]).env("TRC_TEST", "1").run();
    ended.status(0);
    assert!(!ended.out.contains("\nnot ok"), "{}", ended.text);

    let container = beside(&database, &image, &[]).env("ROLE", "worker").start();
    container.wait_for(r"<report/\d+\]: 1 orders, 119 in total");
    container.wait_for(r"<async/\d+\]: Launching on the background: worker@4: .*");
    assert!(!container.text().contains("gunicorn"), "{}", container.text());
    container.stop_in_time();
    container.wait().status(143);

    let ended = beside(&database, &image, &["--only", "migrate"]).run();
    ended.status(0).lacks("worker@1");

    let missing = Run::new(&image, &[]).run();
    missing.status(78).lines(&[".*PGHOST: the host of the database: docker run -e PGHOST=….*"]);

    let mut derived = files.clone();
    let dockerfile = derived.remove("derived.Dockerfile").unwrap();
    derived
        .insert("Dockerfile".to_owned(), dockerfile.replace("FROM shop", &format!("FROM {image}")));
    let derived = image_of("howto-web-app-derived", &derived);
    let ended = beside(&database, &derived, &[]).env("TRC_TEST", "1").run();
    ended.status(0).lines(&[r"ok \d+ - test\.stock: .*"]).lacks("worker@3");
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
