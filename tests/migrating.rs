//! What `docs/migrating-tests.md` says that other tools' tests become works.

use crate::common;
use crate::common::Trc;
use crate::readme::{blocks, page};

#[test]
fn each_kind_of_resource_that_goss_has_is_tested() {
    if !common::root() {
        return;
    }
    let page = page("docs/migrating-tests.md");
    let all = blocks(&page, "toml").into_iter().find(|block| block.starts_with("# goss.toml\n"));
    let all = all.expect("a block");
    // The port may be in use on this machine.
    let alone = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"];
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let outcome = Trc::toml(&all).wrap(&alone).env("PATH", path).arg("--test").run();
    let kinds = [
        "addr",
        "command",
        "dns",
        "file",
        "no-file",
        "group",
        "http",
        "interface",
        "kernel-param",
        "mount",
        "package",
        "port",
        "process",
        "user",
    ];
    for (at, kind) in kinds.iter().enumerate() {
        outcome.stdout_has(&format!("\nok {} - test.{kind}\n", at + 1));
    }
    outcome.status(0);
}
