//! `dirs` and `files`: directories that trc makes, and files that it writes.

use super::{Case, toml_says, unit};
use crate::config::{Dir, FileSource, Owner, Recurse};

fn dirs(toml: &str) -> Vec<(String, Dir)> {
    let case = Case::new().toml(&format!("[async.x]\nexec = 'x'\n{toml}")).set("USER_ID", "33");
    let config = case.config();
    let dirs = unit(&config, "async.x").dirs.clone();
    dirs.into_iter()
        .map(|dir| (dir.value.path.source().into_string().unwrap(), dir.value))
        .collect()
}

#[test]
fn directories_can_be_an_array_or_a_table() {
    let paths = |toml| dirs(toml).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(paths("dirs = ['/run/b', '/run/a/']"), ["/run/b", "/run/a/"]);
    assert_eq!(paths("dirs = '/run/b'"), ["/run/b"]);
    assert_eq!(paths("dirs = { '/run/b' = {}, '${DATA}/a' = {} }"), ["/run/b", "${DATA}/a"]);
    assert!(paths("dirs = []").is_empty());
}

#[test]
fn a_directory_has_an_owner_a_mode_and_recurse() {
    let keys = |keys: &str| {
        let (_, dir) = dirs(&format!("[async.x.dirs.'/a']\n{keys}\n")).remove(0);
        (dir.owner.map(|owner| owner.value), dir.mode, dir.recurse)
    };
    let owner = |user: &str, group: Option<&str>| {
        Some(Owner { user: user.to_owned(), group: group.map(str::to_owned) })
    };
    for (text, expected) in [
        ("", (None, None, Recurse::Never)),
        ("owner = 'web'", (owner("web", None), None, Recurse::Never)),
        ("owner = 'web:ssl'", (owner("web", Some("ssl")), None, Recurse::Never)),
        ("owner = 33", (owner("33", None), None, Recurse::Never)),
        ("owner = '${USER_ID}:0'", (owner("33", Some("0")), None, Recurse::Never)),
        ("mode = '0700'", (None, Some(0o700), Recurse::Never)),
        ("mode = 0o2775", (None, Some(0o2775), Recurse::Never)),
        ("recurse = 'if-top-differs'", (None, None, Recurse::IfTopDiffers)),
        ("recurse = 'always'", (None, None, Recurse::Always)),
    ] {
        assert_eq!(keys(text), expected, "{text}");
    }
}

#[test]
fn a_wrong_directory_is_an_error_at_its_place() {
    let unit = "[async.x]\nexec = 'x'\n";
    toml_says(&[
        (
            &format!("{unit}dirs = ['/a', 'run/x']"),
            &["error trc.toml:3:15: `dirs`: the path must begin with `/`"],
        ),
        (
            &format!("{unit}dirs = ['/a/../b']"),
            &["error trc.toml:3:9: `dirs`: the path must not contain `..`"],
        ),
        (
            &format!("{unit}dirs = ['/']"),
            &["error trc.toml:3:9: `dirs`: trc does not make the root directory"],
        ),
        (
            &format!("{unit}dirs = ['~/x']"),
            &[
                "error trc.toml:3:9: `dirs`: `~` stands for a home directory only in a shell (write \"${HOME}/x\")",
            ],
        ),
        (
            &format!("{unit}dirs = true"),
            &["error trc.toml:3:8: `dirs`: expected a string or an array of strings, found true"],
        ),
        (
            &format!("{unit}dirs = [{{ path = '/a' }}]"),
            &[
                "error trc.toml:3:9: `dirs`: expected a string, found a table (write one table for all directories: dirs = { \"/run/web\" = { mode = \"0750\" } })",
            ],
        ),
        (
            &format!("{unit}dirs = {{ 'a' = {{}} }}"),
            &["error trc.toml:3:10: `dirs.a`: the path must begin with `/`"],
        ),
        (
            &format!("{unit}dirs = {{ '/a' = 'web' }}"),
            &["error trc.toml:3:17: `dirs./a`: expected a table, found the string \"web\""],
        ),
        (
            &format!("{unit}dirs = {{ '/a' = {{ onwer = 'web' }} }}"),
            &["error trc.toml:3:19: unknown key `onwer` in `dirs./a` (did you mean `owner`?)"],
        ),
        (
            &format!("{unit}dirs = {{ '/a' = {{ owner = 'web:' }} }}"),
            &[
                "error trc.toml:3:27: `dirs./a.owner`: expected an owner such as \"web\" or \"root:web\", found the string \"web:\"",
            ],
        ),
        (
            &format!("{unit}dirs = {{ '/a' = {{ owner = 'a:b:c' }} }}"),
            &[
                "error trc.toml:3:27: `dirs./a.owner`: expected an owner such as \"web\" or \"root:web\", found the string \"a:b:c\"",
            ],
        ),
        (
            &format!("{unit}dirs = {{ '/a' = {{ mode = 700 }} }}"),
            &[
                "error trc.toml:3:26: `dirs./a.mode`: expected permissions such as \"640\" or 0o640, found the integer 700",
            ],
        ),
        (
            &format!("{unit}dirs = {{ '/a' = {{ recurse = 'if-top-difers' }} }}"),
            &[
                "error trc.toml:3:29: `dirs./a.recurse`: expected never, if-top-differs or always, found \"if-top-difers\" (did you mean `if-top-differs`?)",
            ],
        ),
        (
            "[async.x]\nready.tcp = 1\ndirs = ['/a']",
            &[
                "error trc.toml:3:1: `dirs`: async.x has no command, and only a process can have this (add `exec` or `script`; without a command, the unit stands for something that trc does not start)",
            ],
        ),
        (
            "[test.x]\nexec = 'x'\ndirs = ['/a']",
            &["error trc.toml:3:1: unknown key `dirs` in `[test.x]` (a test cannot have this key)"],
        ),
    ]);
}

#[test]
fn a_directory_that_is_there_twice_is_a_warning() {
    let case = Case::new().toml("[async.x]\nexec = 'x'\ndirs = ['/a', '/b', '/a/']");
    assert_eq!(case.remarks(), ["warning trc.toml:3:21: `dirs`: /a/ is in this array twice"]);
}

#[test]
fn layers_change_single_directories() {
    let case = Case::new()
        .toml("[async.x]\nexec = 'x'\ndirs = { '/a' = { mode = '0700' }, '/b' = {} }")
        .arguments(&["-c", "async.x.dirs.\"/a\".owner=web"]);
    let config = case.config();
    let dir = &unit(&config, "async.x").dirs[0].value;
    assert_eq!((dir.mode, dir.owner.as_ref().unwrap().value.user.as_str()), (Some(0o700), "web"));
}

#[test]
fn a_file_has_a_source_an_owner_a_mode_and_variables() {
    let case = Case::new().set("DIR", "/srv").toml(
        "[async.x]\nexec = 'x'\n\
         [async.x.files]\n\
         '/b' = { template = '${DIR}/b.in', owner = 'web:ssl', mode = '0640', vars = ['A', '_b1'] }\n\
         '${DATA}/a' = { text = 'x ${Y:?y} $z' }\n\
         '/c' = { text = '', vars = [] }\n",
    );
    let config = case.config();
    let files: Vec<_> = unit(&config, "async.x").files.iter().map(|file| &file.value).collect();
    let paths: Vec<_> = files.iter().map(|file| file.path.source()).collect();
    assert_eq!(paths, ["/b", "${DATA}/a", "/c"]);
    assert_eq!(files[0].source, FileSource::Template("/srv/b.in".into()));
    assert_eq!(files[1].source, FileSource::Text("x ${Y:?y} $z".to_owned()));
    let owner = Owner { user: "web".to_owned(), group: Some("ssl".to_owned()) };
    assert_eq!(files[0].owner.as_ref().map(|owner| &owner.value), Some(&owner));
    assert_eq!((files[0].mode, files[1].mode), (Some(0o640), None));
    let vars: Vec<_> = files.iter().map(|file| file.vars.clone()).collect();
    assert_eq!(vars, [Some(vec!["A".to_owned(), "_b1".to_owned()]), None, Some(vec![])]);
}

#[test]
fn a_wrong_file_is_an_error_at_its_place() {
    let with = |files: &str| format!("[async.x]\nexec = 'x'\nfiles = {files}");
    toml_says(&[
        (&with("['/a']"), &["error trc.toml:3:9: `files`: expected a table, found an array"]),
        (
            &with("{ '/a' = {} }"),
            &["error trc.toml:3:11: `files./a` needs a `template` or a `text`"],
        ),
        (
            &with("{ 'a' = { text = '' } }"),
            &["error trc.toml:3:11: `files.a`: the path must begin with `/`"],
        ),
        (
            &with("{ '/a' = { text = '', template = '/b' } }"),
            &[
                "error trc.toml:3:31: `[async.x.files./a]` has both `text` and `template` (remove one of them)",
            ],
        ),
        (
            &with("{ '/a' = { txt = '' } }"),
            &["error trc.toml:3:20: unknown key `txt` in `files./a` (did you mean `text`?)"],
        ),
        (
            &with("{ '/a' = { text = '', vars = ['A', '$B'] } }"),
            &[
                "error trc.toml:3:44: `files./a.vars`: expected the name of a variable, found the string \"$B\" (write \"B\")",
            ],
        ),
        (
            &with("{ '/a' = { text = 1 } }"),
            &["error trc.toml:3:27: `files./a.text`: expected a string, found the integer 1"],
        ),
    ]);
}

#[test]
fn a_later_layer_replaces_what_a_file_is_made_from() {
    let case = Case::new()
        .toml("[async.x]\nexec = 'x'\nfiles = { '/a' = { template = '/b', mode = '0600' } }")
        .arguments(&["-c", "async.x.files.\"/a\".text=x"]);
    let config = case.config();
    let file = &unit(&config, "async.x").files[0].value;
    assert_eq!((&file.source, file.mode), (&FileSource::Text("x".to_owned()), Some(0o600)));
}
