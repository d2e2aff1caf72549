//! The identity and the privileges of a unit's process: limits, priorities, capabilities,
//! terminals, input and secrets, as the kernel reports them.

use std::os::unix::fs::PermissionsExt;

use crate::common::{TERM, Trc, has, python, root, table, terminal};

/// Returns the output of a program that runs as a unit with these keys.
fn unit(keys: &str, program: &str) -> Trc {
    Trc::toml(&format!(
        "log.level = 'warn'\n[sync.x]\n{keys}\nexec = ['sh', '-c', '''{program}''']\n"
    ))
}

#[test]
fn every_limit_can_be_set() {
    let rows = [
        ("as = '1GiB'", "Max address space +1073741824 +1073741824"),
        ("core = 0", "Max core file size +0 +0"),
        ("cpu = '100:200'", "Max cpu time +100 +200"),
        ("data = '512MB'", "Max data size +512000000 +512000000"),
        ("fsize = '1m:unlimited'", "Max file size +1048576 +unlimited"),
        ("locks = 7", "Max file locks +7 +7"),
        ("memlock = '64k'", "Max locked memory +65536 +65536"),
        ("msgqueue = 819200", "Max msgqueue size +819200 +819200"),
        ("nice = 0", "Max nice priority +0 +0"),
        ("nofile = '100:1000'", "Max open files +100 +1000"),
        ("nproc = 500", "Max processes +500 +500"),
        ("rss = 'infinity'", "Max resident set +unlimited +unlimited"),
        ("rtprio = 0", "Max realtime priority +0 +0"),
        ("rttime = 200000", "Max realtime timeout +200000 +200000"),
        ("sigpending = 64", "Max pending signals +64 +64"),
        ("stack = '4MiB:16MiB'", "Max stack size +4194304 +16777216"),
    ];
    if !root() {
        return;
    }
    table(
        &rows,
        |row| row.0.to_owned(),
        |(limit, line)| {
            let outcome = unit(&format!("limits = {{ {limit} }}"), "cat /proc/self/limits").run();
            outcome.status(0);
            let line = regex::Regex::new(line).unwrap();
            assert!(line.is_match(&outcome.out()), "{line}: {}", outcome.out());
        },
    );
}

#[test]
fn priorities_can_be_set() {
    if root() {
        let keys = "nice = -5\noom_score_adj = 500";
        let program = "cut -d\" \" -f19 /proc/self/stat; cat /proc/self/oom_score_adj";
        unit(keys, program).run().status(0).stdout_is("-5\n500\n");
    }
}

#[test]
fn the_oom_score_of_a_unit_is_not_trcs_own() {
    let program = "cat /proc/$$PPID/oom_score_adj /proc/self/oom_score_adj";
    for stage in ["async", "sync"] {
        let keys = format!("log.level = 'warn'\nwait = 'all'\n[{stage}.x]\noutput = 'inherit'");
        let toml = format!("{keys}\noom_score_adj = 777\nexec = ['sh', '-c', '{program}']\n");
        let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        Trc::toml(&toml).run().status(0).stdout_is(&format!("{own}777\n"));
    }
}

#[test]
fn a_low_limit_of_descriptors_is_in_the_way_of_nothing_else() {
    let toml = "log.level = 'warn'\n[sync.x]\noom_score_adj = 7\nlimits.nofile = 4\n\
                exec = ['cat', '/proc/self/oom_score_adj']\n";
    // `cat` needs four descriptors, of which one may have been inherited by the tests.
    Trc::toml(toml).before("exec 3>&-").run().status(0).stdout_is("7\n");
}

#[test]
fn new_privileges_can_be_refused() {
    let program = "grep NoNewPrivs /proc/self/status";
    unit("no_new_privs = true", program).run().status(0).stdout_is("NoNewPrivs:\t1\n");
    unit("", program).run().status(0).stdout_is("NoNewPrivs:\t0\n");
}

#[test]
fn only_the_capabilities_that_are_named_are_kept() {
    if !root() {
        return;
    }
    let set = |names: &[&str]| names.iter().map(|set| format!("Cap{set}:\t")).collect::<Vec<_>>();
    let sets = set(&["Inh", "Prm", "Eff", "Bnd", "Amb"]);
    let all = |mask: &str| sets.join(&format!("{mask}\n")) + mask + "\n";
    for (kept, mask) in [
        ("['net_bind_service']", "0000000000000400"),
        ("['CAP_CHOWN', 'Kill']", "0000000000000021"),
        ("[]", "0000000000000000"),
    ] {
        for user in ["", "user = 'nobody'\n"] {
            let keys = format!("{user}capabilities = {kept}");
            let outcome = unit(&keys, "grep ^Cap /proc/self/status").run();
            outcome.status(0).stdout_is(&all(mask));
        }
    }
}

#[test]
fn an_ordinary_user_may_serve_port_80() {
    if !root() {
        return;
    }
    let program = format!(
        "exec {} -c \"import os, socket; s = socket.socket(); s.bind((\\\"\\\", 80)); print(os.getuid())\"",
        python()
    );
    // If everybody may bind every port, this proves nothing, so restrict the ports.
    let before = "echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start";
    let private = |trc: Trc| {
        trc.wrap(&[
            "unshare",
            "--net",
            "--mount",
            "sh",
            "-c",
            &format!("{before}; exec \"$@\""),
            "-",
        ])
    };
    let keys = "user = 65534\ngroup = 65534\n";
    private(unit(&format!("{keys}capabilities = ['net_bind_service']"), &program))
        .run()
        .status(0)
        .stdout_is("65534\n");
    private(unit(keys, &program)).run().status(1).stderr_has("PermissionError");
}

#[test]
fn what_trc_itself_may_not_give_is_said_with_its_place() {
    if !root() || !has("setpriv") {
        return;
    }
    let plain = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ];
    let rows = [
        (
            "capabilities = ['net_admin']",
            "cannot keep the capability net_admin: trc itself does not have it",
            "trc.toml:3:17",
        ),
        (
            "limits.nofile = 100000000",
            "the limit nofile of 100000000 is above the hard limit of ",
            "trc.toml:3:17",
        ),
        (
            "capabilities = []",
            "cannot limit the capabilities: trc itself lacks the capability setpcap",
            "trc.toml:2:",
        ),
        (
            "nice = -5",
            "cannot set its nice value -5: a value below trc's own needs the capability sys_nice",
            "trc.toml:3:8",
        ),
        (
            "oom_score_adj = -900",
            "cannot set its oom_score_adj -900: a value below trc's own needs the capability sys_resource",
            "trc.toml:3:17",
        ),
        (
            "user = 'nobody'\ngroup = 7",
            "cannot switch to its user or group nobody: trc is not root, and only root can",
            "trc.toml:3:8",
        ),
        (
            "groups = ['daemon']",
            "cannot switch to its user or group daemon: trc is not root, and only root can",
            "trc.toml:3:11",
        ),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(keys, why, place)| {
            let trc = unit(keys, "echo ran").wrap(&plain);
            trc.run().status(126).stdout_lacks("ran").stderr_has(why).stderr_has(place);
        },
    );
}

#[test]
fn what_the_root_of_a_user_namespace_may_not_give_is_said_with_its_place() {
    if !root() {
        return;
    }
    let rows = [
        (
            "limits = { core = 0, nofile = '100:1000000' }",
            "the limit nofile of 1000000 is above the hard limit of 2000, and trc itself lacks",
            "trc.toml:3:31",
        ),
        ("nice = -5", "cannot set its nice value -5: a value below trc's own", "trc.toml:3:8"),
        (
            "oom_score_adj = -900",
            "cannot set its oom_score_adj -900: a value below trc's own",
            "trc.toml:3:17",
        ),
        (
            "user = 'nobody'",
            "cannot switch to its user or group nobody: trc lacks the capabilities setuid and setgid, \
             or its user namespace forbids it",
            "trc.toml:3:8",
        ),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(keys, why, place)| {
            let namespace = ["unshare", "--user", "--map-root-user"];
            let trc = unit(keys, "echo ran").before("ulimit -n 2000").wrap(&namespace);
            let outcome = trc.run();
            outcome.status(126).stdout_lacks("ran").stderr_has(why).stderr_has(place);
        },
    );
}

#[test]
fn the_root_of_a_user_namespace_may_do_what_takes_nothing_more() {
    if root() {
        // No value is above this one, even if the tests run at a raised one.
        let keys = "user = 'root'\nnice = 19\noom_score_adj = 1000\nlimits.nofile = '10:20'\n\
                    capabilities = ['chown']\nno_new_privs = true";
        let program = "ulimit -Hn; grep -E \"^(CapAmb|NoNew)\" /proc/self/status";
        let trc = unit(keys, program).wrap(&["unshare", "--user", "--map-root-user"]);
        trc.run().status(0).stdout_is("20\nCapAmb:\t0000000000000001\nNoNewPrivs:\t1\n");
    }
}

#[test]
fn a_terminal_that_can_not_be_had_is_said_with_its_place() {
    for (path, why) in
        [("/no/such", "No such file or directory"), ("/dev/null", "it is not a terminal")]
    {
        let outcome = unit(&format!("tty = '{path}'"), "echo ran").run();
        outcome.status(126).stdout_is("").stderr_has("trc.toml:3:7");
        outcome.stderr_has(&format!("cannot take its terminal {path}: {why}"));
    }
}

#[test]
fn input_is_what_is_written() {
    let toml = |stdin: &str, stage: &str| {
        format!(
            "log.level = 'warn'\nwait = 'all'\n[{stage}.x]\n{stdin}\noutput = 'inherit'\nexec = 'cat'\n"
        )
    };
    for stage in ["async", "sync"] {
        let trc = Trc::toml(&toml("stdin = { file = '${W}/input' }", stage));
        trc.file("input", "from a file\n").run().status(0).stdout_is("from a file\n");
        Trc::toml(&toml("stdin = 'null'", stage)).run().status(0).stdout_is("");
        let mut running = Trc::toml(&toml("stdin = 'inherit'", stage)).stdin_piped().spawn();
        running.write("from trc's own\n").close_input();
        running.finish().status(0).stdout_is("from trc's own\n");
    }
    for (path, why) in [("/no/such", "No such file or directory"), ("/etc", "Is a directory")] {
        let outcome = Trc::toml(&toml(&format!("stdin = {{ file = '{path}' }}"), "sync")).run();
        outcome
            .status(126)
            .stderr_has(&format!("cannot read {path}: {why}"))
            .stderr_has("trc.toml:4:18");
    }
}

#[test]
fn a_unit_may_run_on_a_terminal_of_its_own() {
    let pty = terminal();
    let path = nix::unistd::ttyname(&pty.slave).unwrap();
    let toml = format!(
        "log.level = 'warn'\n[sync.x]\ntty = '{}'\n\
         exec = ['sh', '-c', 'tty >$W/tty; ps -o tty= -p $$$$ >$W/ps; echo hello; read x; echo $x >$W/read']\n",
        path.display()
    );
    let running = Trc::toml(&toml).spawn();
    running.read_terminal(&pty.master);
    running.wait_for("hello");
    nix::unistd::write(&pty.master, b"typed\n").unwrap();
    assert_eq!(running.wait_for_file("read"), "typed");
    let number = path.strip_prefix("/dev").unwrap().display().to_string();
    assert_eq!(running.wait_for_file("tty"), path.display().to_string());
    assert_eq!(running.wait_for_file("ps"), number);
    drop(pty.slave);
    drop(pty.master);
    running.finish().status(0);
}

#[test]
fn a_background_unit_on_a_terminal_writes_there_and_is_probed_and_stopped_without_it() {
    let pty = terminal();
    let path = nix::unistd::ttyname(&pty.slave).unwrap();
    let toml = format!(
        "log.level = 'warn'\n[async.x]\ntty = '{}'\n\
         exec = ['sh', '-c', 'echo hello; exec cat $W/never']\n\
         ready = {{ exec = ['sh', '-c', 'tty >$W/probe; :'], every = '10s', within = '8s' }}\n\
         stop.exec = ['sh', '-c', 'tty >$W/stop; kill $TRC_PID']\n\
         [sync.y]\nafter = {{ x = 'ready' }}\nexec = 'true'\n",
        path.display()
    );
    let running = Trc::toml(&toml).spawn();
    running.read_terminal(&pty.master);
    running.wait_for("hello");
    running.wait_until("it has ended", || running.ended());
    for name in ["probe", "stop"] {
        assert_eq!(std::fs::read_to_string(running.path(name)).unwrap(), "not a tty\n");
    }
    drop(pty.slave);
    drop(pty.master);
    running.finish().status(0).stderr_lacks("cannot");
}

#[test]
fn a_secret_is_read_from_a_file_and_never_said() {
    let toml = "log.level = 'debug'\n[env]\nGLOBAL = { file = '${W}/secret' }\n\
                [sync.x]\nenv.PASSWORD = { file = '${W}/secret' }\n\
                exec = ['sh', '-c', 'printf \"<%s%s>\" \"$PASSWORD\" \"$GLOBAL\" >$W/seen']\n";
    for (content, seen) in [
        ("s-3cret", "s-3cret"),
        ("s-3cret\n", "s-3cret"),
        ("s-3cret\r\n", "s-3cret"),
        ("s-3\ncret\n\n", "s-3\ncret\n"),
    ] {
        let running = Trc::toml(toml).file("secret", content).spawn();
        let path = running.path("seen");
        running.wait_until("it has run", || path.exists() || running.ended());
        running.wait_until("it has ended", || running.ended());
        assert_eq!(std::fs::read_to_string(path).unwrap(), format!("<{seen}{seen}>"));
        running.finish().status(0).stdout_lacks("s-3").stderr_lacks("s-3");
    }
}

#[test]
fn a_secret_of_root_reaches_a_unit_of_another_user() {
    if root() {
        let toml = "log.level = 'warn'\n[sync.x]\nuser = 'nobody'\nenv.PASSWORD = { file = '${W}/secret' }\n\
                    exec = ['sh', '-c', 'echo $PASSWORD; cat $W/secret']\n";
        let trc = Trc::toml(toml).file("secret", "s3cret\n");
        let path = trc.path("secret");
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        trc.run().status(1).stdout_is("s3cret\n");
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_it() {
    let large = b"s-3".repeat(70_000);
    let rows: [(&str, &[u8], &str); 5] = [
        ("${W}/never", b"", "it is not a regular file"),
        ("${W}/secret", &large, "it is larger than 128 KiB"),
        ("/no/such", b"", "cannot read /no/such: No such file or directory"),
        ("${W}", b"", "it is not a regular file"),
        ("${W}/secret", b"s-3\0cret", "contains a NUL byte, which a variable cannot contain"),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(path, content, why)| {
            let toml = format!("[sync.x]\nenv.A = {{ file = '{path}' }}\nexec = 'true'\n");
            let outcome = Trc::toml(&toml).file("secret", content).run();
            outcome.status(126).stderr_has(why).stderr_has("trc.toml:2:9").stderr_lacks("s-3");
        },
    );
}

#[test]
fn the_images_convention_of_name_file_is_behind_a_switch() {
    let program = "env | grep -E '^[AB](_FILE)?=' | sort | tr '\\n' ' '";
    let run = |switch: &str| {
        let toml = format!(
            "{switch}\nlog.level = 'warn'\n[sync.x]\nexec = [\"sh\", \"-c\", \"{}\"]\n",
            program.replace('\\', "\\\\")
        );
        let trc = Trc::toml(&toml).file("secret", "s3cret\n");
        let path = trc.path("secret").display().to_string();
        (trc.env("A_FILE", &path).env("B_FILE", &path), path)
    };
    let (trc, path) = run("");
    trc.run().stdout_is(&format!("A_FILE={path} B_FILE={path} "));
    let (trc, _) = run("file_env = true");
    trc.run().stdout_is("A=s3cret B=s3cret ");
    let (trc, path) = run("file_env = ['A']");
    trc.run().stdout_is(&format!("A=s3cret B_FILE={path} "));
    let (trc, _) = run("file_env = true");
    trc.env("A", "x").run().status(126).stderr_has("both A and A_FILE are set (file_env)");
    let (trc, _) = run("file_env = true");
    let outcome = trc.env("C_FILE", "/no/such").run();
    outcome.status(126).stderr_has("C_FILE: cannot read /no/such: No such file or directory");
}

#[test]
fn the_configuration_can_refer_to_a_variable_that_comes_from_a_file() {
    let run = |table: &str, name: &str| {
        let toml = format!(
            "log.level = 'warn'\nfile_env = true\n{table}\n[sync.x]\n\
             exec = ['sh', '-c', 'env | grep -E ^[AU] | sort']\n"
        );
        let trc = Trc::toml(&toml).file("secret", "s3cret\n");
        let path = trc.path("secret").display().to_string();
        trc.env(name, path).run()
    };
    for name in ["A_FILE", "FILE__A"] {
        run("[env]\nA = '${A:?set A or A_FILE}'", name).status(0).stdout_is("A=s3cret\n");
        let url = run("[env]\nURL = 'pg://me:${A}@db'", name);
        url.status(0).stdout_is("A=s3cret\nURL=pg://me:s3cret@db\n");
        // The configuration says one thing, and the variable another.
        let both = run("[env]\nA = 'x'", name);
        both.status(126).stderr_has(&format!("both A and {name} are set (file_env)"));
    }
    run("", "FILE__A_FILE").stdout_is("A_FILE=s3cret\n");
}

#[test]
fn all_variables_that_are_missing_are_named_at_once() {
    let toml = "[env]\nA = '${A:?the first}'\nB = 'here'\nC = '${C}'\n[sync.x]\nexec = 'true'\n";
    let outcome = Trc::toml(toml).run();
    outcome.status(126).stderr_has("sync.x could not be started: A: the first (");
    outcome.stderr_has("/trc.toml:2:5); the variable C is not set (");
    let toml = "[sync.x]\nexec = 'true'\nenv = { A = '${A}', B = '${A}${B:?the second}' }\n";
    let outcome = Trc::toml(toml).env("A", "a").run();
    outcome.status(126).stderr_has("could not be started: B: the second (").stderr_lacks(";");
}

#[test]
fn the_convention_of_linuxserver_io_is_behind_the_same_switch() {
    let run = |switch: &str, names: &[&str]| {
        let toml = format!(
            "{switch}\nlog.level = 'warn'\n[sync.x]\n\
             exec = ['sh', '-c', \"env | grep -E '^(FILE__)?[AB](_FILE)?=' | sort\"]\n"
        );
        let trc = Trc::toml(&toml).file("secret", "s3cret\n");
        let path = trc.path("secret").display().to_string();
        let trc = names.iter().fold(trc, |trc, name| trc.env(name, &path));
        (trc.run(), path)
    };
    let (off, path) = run("", &["FILE__A"]);
    off.stdout_is(&format!("FILE__A={path}\n"));
    run("file_env = true", &["FILE__A", "B_FILE"]).0.stdout_is("A=s3cret\nB=s3cret\n");
    let (only, path) = run("file_env = ['B']", &["FILE__A", "FILE__B"]);
    only.stdout_is(&format!("B=s3cret\nFILE__A={path}\n"));
    // The value of FILE__NAME is a file, whatever NAME ends with.
    run("file_env = true", &["FILE__A_FILE"]).0.stdout_is("A_FILE=s3cret\n");
    for (names, error) in [
        (["A", "FILE__A"], "both A and FILE__A are set (file_env)"),
        (["A_FILE", "FILE__A"], "both A_FILE and FILE__A are set (file_env)"),
    ] {
        run("file_env = true", &names).0.status(126).stderr_has(error);
    }
}

#[test]
fn a_limit_holds_for_stop_commands_and_probes_too() {
    let toml = "log.level = 'warn'\n[async.x]\noutput = 'inherit'\nlimits.nofile = 99\n\
                exec = 'cat ${W}/never'\n\
                ready = { exec = ['sh', '-c', 'ulimit -n >$W/probe'] }\n\
                stop.exec = ['sh', '-c', 'ulimit -n >$W/stop; kill $TRC_PID']\n";
    let running = Trc::toml(toml).spawn();
    assert_eq!(running.wait_for_file("probe"), "99");
    running.signal(TERM);
    let path = running.path("stop");
    running.wait_until("it has ended", || running.ended());
    assert_eq!(std::fs::read_to_string(path).unwrap(), "99\n");
    running.finish().status(143);
}

#[test]
fn a_user_has_a_home_and_a_name_of_its_own() {
    if !root() {
        return;
    }
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let (home, uid) = (nobody.dir.display(), nobody.uid);
    let nobody = format!("nobody {uid}:{}", nobody.gid);
    let rows: [(&str, &str); 11] = [
        ("user = 54321", "/ - - 54321:0"),
        ("user = 54321\ngroup = 7", "/ - - 54321:7"),
        ("user = 54321\nenv_clear = true", "/ - - 54321:0"),
        ("user = 'nobody'", &format!("{home} nobody {nobody}")),
        (&format!("user = {uid}"), &format!("{home} nobody {nobody}")),
        ("user = 'nobody'\nenv.HOME = '/h'", &format!("/h nobody {nobody}")),
        ("user = 'nobody'\nenv.USER = '${HOME}'", &format!("{home} {home} {nobody}")),
        ("user = 54321\nenv_file = '${W}/file'", "/f - - 54321:0"),
        ("user = 'root'", "/root root root 0:0"),
        ("user = 0", "/root root root 0:0"),
        ("", "/r r r 0:0"),
    ];
    let program = "echo $HOME $${USER--} $${LOGNAME--} $(id -u):$(id -g)";
    table(
        &rows,
        |row| row.0.to_owned(),
        |(keys, who)| {
            let trc = unit(keys, program).file("file", "HOME=/f\n");
            let trc = trc.env("HOME", "/r").env("USER", "r").env("LOGNAME", "r");
            trc.run().status(0).stdout_is(&format!("{who}\n"));
        },
    );
}

/// Returns what `env` shows of the variables that such a file sets.
fn from_env_file(text: &str) -> Trc {
    let toml = "log.level = 'warn'\n[env]\nC = 'written'\n\
                [sync.x]\nenv_file = '${W}/file'\nenv_clear = true\nexec = ['sh', '-c', 'env | grep ^[A-E]= | sort']\n";
    Trc::toml(toml).file("file", text)
}

#[test]
fn an_environment_file_is_read_as_docker_reads_it() {
    let rows = [
        ("A=1\nB=two words \n", "A=1\nB=two words \nC=written\n"),
        ("# A=1\n\n  \t\n \t# B=1\nA=#1\n", "A=#1\nC=written\n"),
        ("A=\"1\"\nB='x'\n", "A=\"1\"\nB='x'\nC=written\n"),
        (" \tA= 1\n", "A= 1\nC=written\n"),
        ("A=1\r\nB=2\r\n\r\n", "A=1\nB=2\nC=written\n"),
        ("\u{feff}A=1\n", "A=1\nC=written\n"),
        ("A=1=2\nB=", "A=1=2\nB=\nC=written\n"),
        ("A=1\nA=2\n", "A=2\nC=written\n"),
        ("A=${C}\n", "A=${C}\nC=written\n"),
        ("C=file\n", "C=file\n"),
        ("D\nE\n", "C=written\nD=trc's\n"),
    ];
    table(
        &rows,
        |row| format!("{:?}", row.0),
        |(text, out)| {
            from_env_file(text).env("D", "trc's").run().status(0).stdout_is(out);
        },
    );
}

#[test]
fn what_is_no_environment_file_is_said_with_its_line_and_without_its_content() {
    let rows = [
        ("A=1\n=s-3cret\n", "file:2: a name is missing before `=`"),
        ("A=1\n\nexport B=s-3cret\n", "file:3: the name of a variable contains white space"),
        ("A =s-3cret\n", "file:1: the name of a variable contains white space"),
        ("A=-----BEGIN\nmore s-3cret\n", "file:2: the name of a variable contains white space"),
        ("A=s-3\0cret\n", "file:1: a variable cannot contain a NUL byte"),
    ];
    table(
        &rows,
        |row| format!("{:?}", row.0),
        |(text, why)| {
            let outcome = from_env_file(text).run();
            outcome.status(126).stderr_has(why).stderr_has("trc.toml:5:12").stderr_lacks("s-3");
        },
    );
}

#[test]
fn a_setting_of_trcs_own_is_passed_on_by_no_environment_file() {
    let toml =
        "[sync.x]\nenv_file = '${W}/file'\nexec = ['sh', '-c', 'echo $${TRC_LOG_LEVEL-unset}']\n";
    let trc = Trc::toml(toml).file("file", "TRC_LOG_LEVEL\n");
    trc.env("TRC_LOG_LEVEL", "warn").run().status(0).stdout_is("unset\n");
}

#[test]
fn a_secret_may_be_named_by_a_variable() {
    let trc = unit("", "echo $PASSWORD").file("secret", "s3cret\n");
    let value = format!("{{ file = \"{}\" }}", trc.path("secret").display());
    let trc = trc.env("TRC_SYNC__X__ENV__PASSWORD", value);
    trc.run().status(0).stdout_is("s3cret\n").stderr_lacks("s3cret");
}

/// `${NAME}` refers to the environment before it was cleared. Otherwise, no variable could be
/// passed on.
#[test]
fn what_is_cleared_away_may_still_be_passed_on_by_name() {
    let rows = [
        ("env.DB = '${SECRET}'\n", "DB=s3cret\n"),
        ("env.SECRET = '${SECRET}'\n", "SECRET=s3cret\n"),
        ("env.DB = '${NO:-none}'\n", "DB=none\n"),
        ("env.A = '1'\nenv.B = '${A:-none}'\n", "A=1\nB=none\n"),
    ];
    for (keys, says) in rows {
        let toml = format!(
            "log.level = 'warn'\n[sync.x]\nenv_clear = true\n{keys}\
             exec = ['sh', '-c', 'env | grep -v ^TRC_ | grep -v ^PWD | grep -v ^_ | sort']\n"
        );
        Trc::toml(&toml).env("SECRET", "s3cret").run().status(0).stdout_is(says);
    }
    let toml = "log.level = 'warn'\n[sync.x]\nenv_clear = true\ncwd = '${W}'\n\
                exec = ['sh', '-c', 'pwd; echo $0 $${SECRET-gone}', '${SECRET}']\n";
    let trc = Trc::toml(toml).env("SECRET", "s3cret");
    let says = format!("{}\ns3cret gone\n", trc.dir().display());
    trc.run().status(0).stdout_is(&says);
    Trc::toml("[sync.x]\nenv_clear = true\nenv.A = '${NO}'\nexec = 'true'\n")
        .run()
        .status(126)
        .stderr_has("the variable NO is not set");
}

/// nginx's logs are links to these, in its official image.
#[test]
fn a_unit_with_a_user_of_its_own_can_open_the_streams_that_it_inherits_by_name() {
    if !root() {
        return;
    }
    let program = "echo out >/dev/stdout; echo err >/dev/stderr";
    let rows: Vec<(&str, Trc)> = vec![
        (
            "a foreground unit",
            Trc::toml(&format!("[sync.x]\nuser = 'nobody'\nexec = ['sh', '-c', '{program}']\n")),
        ),
        (
            "a background unit",
            Trc::toml(&format!(
                "wait = 'all'\n[async.x]\noutput = 'inherit'\nuser = 'nobody'\nscript = '{program}'\n"
            )),
        ),
        (
            "a drop-in script",
            Trc::toml("wait = 'all'\nasync.x.user = 'nobody'\n").file("trc.d/async.x", program),
        ),
        ("the command", Trc::with(&["sh", "-c", program]).env("TRC_SYNC__CMD__USER", "nobody")),
        ("a halt unit", Trc::toml("halt.H1.user = 'nobody'\n").args(&["-H", program])),
    ];
    for (name, trc) in rows {
        let outcome = trc.run();
        assert!(outcome.out().contains("out\n") && outcome.err().contains("err\n"), "{name}");
        outcome.stderr_lacks("denied");
    }
}

#[test]
fn two_units_of_different_users_can_both_open_what_they_inherit_by_name() {
    if !root() {
        return;
    }
    let unit = |name, user| {
        format!("[sync.{name}]\nuser = {user}\nexec = ['sh', '-c', 'echo {name} >/dev/stdout']\n")
    };
    let toml = format!("wait = 'all'\n{}{}{}", unit("a", 65534), unit("b", 12345), unit("c", 0));
    let outcome = Trc::toml(&toml).run();
    outcome.status(0).stdout_has("a\n").stdout_has("b\n").stdout_has("c\n");
}

#[test]
fn a_unit_with_a_user_of_its_own_can_open_its_streams_by_name_on_a_terminal_too() {
    if !root() {
        return;
    }
    let pty = terminal();
    let program = "echo out >/dev/stdout; echo err >/dev/stderr";
    let running = Trc::with(&["sh", "-c", program])
        .env("TRC_SYNC__CMD__USER", "nobody")
        .terminal(&pty.slave)
        .pid1()
        .spawn();
    running.read_terminal(&pty.master);
    drop(pty.slave);
    running.wait_for("out").wait_for("err");
    running.finish().status(0);
}

/// A terminal on which trc runs as a plain child belongs to a person.
#[test]
fn a_terminal_elsewhere_than_in_a_container_keeps_its_permissions() {
    if !root() {
        return;
    }
    let pty = terminal();
    let file = std::fs::File::from(pty.slave.try_clone().unwrap());
    file.set_permissions(std::fs::Permissions::from_mode(0o620)).unwrap();
    let running = Trc::with(&["echo", "hello"])
        .env("TRC_SYNC__CMD__USER", "nobody")
        .terminal(&pty.slave)
        .spawn();
    running.read_terminal(&pty.master);
    running.wait_for("hello");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o620);
    drop((file, pty.slave));
    running.finish().status(0);
}

/// trc does not change a file that somebody else has opened for it.
#[test]
fn a_file_that_trc_inherits_keeps_its_permissions() {
    if !root() {
        return;
    }
    let trc = Trc::toml("[sync.x]\nuser = 'nobody'\nexec = 'true'\n");
    let path = trc.path("log");
    let file = std::fs::File::create(&path).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    trc.stdout_to(file.try_clone().unwrap()).run().status(0);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_pipe_of_a_units_notification_descriptor_belongs_to_its_user() {
    if !root() {
        return;
    }
    let toml = "[sync.x]\nready.fd = 3\nready.within = '2s'\nuser = 'nobody'\n\
                exec = ['sh', '-c', 'echo up >/dev/fd/3; cat $W/never']\n";
    Trc::toml(toml).signalled("sync.x is ready", TERM).status(143);
}
