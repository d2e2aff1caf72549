//! The images of the how-to pages in `docs/howto/` test themselves. Needs a container engine, as
//! `container/mod.rs` says:
//!
//!     TRC_CONTAINER_ENGINE=docker cargo test --test suite howto:: -- --ignored
//!
//! Returns the files of a page: each block whose first line is a comment with the name of a file is
//! that file. The page's image is built from them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::container::{Ended, ROOT, Run, built_trc, call, remember};
use regex::Regex;
use tempfile::TempDir;

/// The pages with an image.
const PAGES: [&str; 6] = ["cron", "gunicorn-celery", "jvm", "nginx-php-fpm", "node", "postgres"];

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(format!("docs/howto/{name}.md"))).unwrap()
}

/// Builds the image of a page.
fn image(page_name: &str) -> String {
    let file =
        Regex::new(r"(?m)^```\w+\n((?:#|//|--|;|<\?php //) ([\w.-]+)\n(?s:.*?))^```$").unwrap();
    let folder = TempDir::new().unwrap();
    for found in file.captures_iter(&page(page_name)) {
        let text = found[1].replace("--from=trc ", &format!("--from={} ", built_trc()));
        fs::write(folder.path().join(&found[2]), text).unwrap();
    }
    let image = format!("trc-test-howto-{page_name}-{}", std::process::id());
    remember(&image);
    call(&["build", "-t", &image, folder.path().to_str().unwrap()]);
    image
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

/// Runs the image as Kubernetes does: see `docs/howto/kubernetes.md`.
#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn node_without_any_privilege() {
    let image = image("node");
    let restricted = |run: Run| -> Ended {
        let options = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
        run.options(&options).options(&["--user", "10001:10001"]).run()
    };
    let number = |run: Run| run.env("TRC_SYNC__APP__USER", "10001");
    restricted(number(Run::new(&image, &["--test=page,port,stop"]))).status(0);

    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).unwrap();
    let volume = format!("{}:/dev/termination-log", log.display());
    let broken = number(Run::new(&image, &[])).options(&["-v", &volume]);
    let broken = broken.env("TRC_SYNC__APP__EXEC", "node missing.js");
    restricted(broken.env("TRC_SYNC__APP__OUTPUT", "prefix")).status(1);
    let message = fs::read_to_string(&log).unwrap();
    assert!(message.starts_with("sync.app failed with status 1; its last output: "), "{message}");
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
