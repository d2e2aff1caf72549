//! The command lines of the commands that ask a running trc, or change it.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::live::{self, Change, Options, Records};

use crate::{TEMPLATE, color, completions};

/// Returns the commands.
pub(crate) fn commands() -> [Command; 14] {
    [
        status(),
        change(
            "start",
            "Start units, and wait until they are up",
            "A unit that was stopped by hand, or has ended, is started again; a unit that is up is left alone.",
        ),
        change(
            "stop",
            "Stop units, and hold them",
            "Neither a restart policy nor a health check starts a unit again that was stopped by hand: only\n\
             `trcctl start` and `trcctl restart` do. The container stays up. Units that depend on the unit run\n\
             on, and the answer names them.",
        )
        .arg(
            Arg::new("dependents")
                .long("dependents")
                .help("First stop the units that depend on it, and hold them, too")
                .action(ArgAction::SetTrue),
        ),
        change(
            "restart",
            "Restart units, and wait until they are up",
            "No wait policy counts this as an end, and `restart.max` does not count it as a restart.",
        ),
        signal(),
        exec(),
        reload(),
        shutdown(),
        records("logs", "Show the last output of units"),
        records("events", "Show the last lines of trc itself, of every level"),
        health(),
        wait(),
        why(),
        top(),
    ]
}

/// Runs one of the commands, if it is one of them.
pub(crate) fn run(name: &str, arguments: &ArgMatches) -> Option<u8> {
    let options = Options {
        socket: arguments.try_get_one::<PathBuf>("socket").ok().flatten().cloned(),
        json: arguments.try_get_one::<bool>("json").ok().flatten().is_some_and(|json| *json),
        color: color::asked(arguments),
    };
    let units = || -> Vec<String> {
        arguments.get_many::<String>("unit").unwrap_or_default().cloned().collect()
    };
    let change = match name {
        "status" => return Some(live::status(&options, &units(), arguments.get_flag("watch"))),
        "reload" => {
            let (dry_run, keep) = (arguments.get_flag("dry-run"), arguments.get_flag("keep"));
            if units().is_empty() {
                let plan = arguments.get_one("plan").copied();
                return Some(live::reload(&options, dry_run, keep, plan));
            }
            Change::Reload
        }
        "shutdown" => return Some(live::shutdown(&options, arguments.get_one("exit").copied())),
        "top" => return Some(live::top(&options)),
        "health" => return Some(live::health(&options, &units())),
        "logs" | "events" => {
            let records = Records {
                units: units(),
                last: arguments.get_one("n").copied().unwrap_or(100),
                since: arguments.get_one("since").copied(),
                grep: arguments.get_one("grep").cloned(),
                follow: arguments.get_flag("follow"),
            };
            return Some(live::logs(&options, records, name == "events"));
        }
        "wait" => {
            let goals: Vec<String> =
                arguments.get_many("goal").unwrap_or_default().cloned().collect();
            return Some(live::wait(&options, &goals, arguments.get_one("for").copied()));
        }
        "why" => return Some(live::why(&options, arguments.get_one::<String>("unit")?)),
        "exec" => {
            let command: Vec<String> =
                arguments.get_many("command").unwrap_or_default().cloned().collect();
            let tty = match (arguments.get_flag("tty"), arguments.get_flag("no-tty")) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            };
            let unit = arguments.get_one::<String>("unit")?;
            return Some(live::exec(&options, unit, &command, tty));
        }
        "start" => Change::Start,
        "stop" if arguments.get_flag("dependents") => Change::StopWithDependents,
        "stop" => Change::Stop,
        "restart" => Change::Restart,
        "signal" => Change::Signal(arguments.get_one::<String>("signal")?.clone()),
        _ => return None,
    };
    let no_wait = name != "signal" && arguments.get_flag("no-wait");
    Some(live::act(&options, &units(), &change, no_wait))
}

const STATUSES: &str = "\
Exit status:
  0   all is as asked
  1   it was refused, or has failed
  64  the command line is wrong, or there is no such unit
  69  no trc listens on the socket
  77  you may not ask for this: see [control] allow";

fn live_command(name: &'static str, about: &'static str) -> Command {
    screen_command(name, about)
        .arg(Arg::new("json").long("json").help("Print JSON").action(ArgAction::SetTrue))
}

fn screen_command(name: &'static str, about: &'static str) -> Command {
    asking_command(name, about).arg(color::argument())
}

/// Returns a command that asks trc, and prints nothing itself.
fn asking_command(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).help_template(TEMPLATE).arg(
        Arg::new("socket")
            .long("socket")
            .value_name("PATH")
            .help("The control socket of trc [default: TRC_SOCKET, or /run/trc.sock]")
            .value_parser(value_parser!(PathBuf)),
    )
}

fn units(help: &'static str) -> Arg {
    Arg::new("unit").value_name("UNIT").help(help).num_args(0..).add(completions::units())
}

fn unit() -> Arg {
    Arg::new("unit").value_name("UNIT").help("The unit").required(true).add(completions::units())
}

fn status() -> Command {
    live_command("status", "Show what runs, and why a unit is not up")
        .arg(units("The units to show [default: all]"))
        .override_usage("trcctl status [OPTIONS] [UNIT…]")
        .arg(
            Arg::new("watch")
                .short('w')
                .long("watch")
                .help("Show it again every second, until Ctrl-C")
                .action(ArgAction::SetTrue),
        )
        .after_help(
            "Examples:\n  \
               docker exec CONTAINER trcctl status         Show all units\n  \
               docker exec CONTAINER trcctl status web     Show one unit\n  \
               docker exec -it CONTAINER trcctl status -w  Show all units, every second\n\n\
             Exit status:\n  \
               0   trc has answered\n  \
               64  the command line is wrong, or there is no such unit\n  \
               69  no trc listens on the socket\n  \
               77  you may not ask for this: see [control] allow",
        )
}

fn change(name: &'static str, about: &'static str, more: &'static str) -> Command {
    live_command(name, about)
        .before_help(more)
        .override_usage(format!("trcctl {name} [OPTIONS] UNIT…"))
        .after_help(format!("Examples:\n  docker exec CONTAINER trcctl {name} web\n\n{STATUSES}"))
        .arg(units("The units").required(true))
        .arg(
            Arg::new("no-wait")
                .long("no-wait")
                .help("Do not wait until it is done")
                .action(ArgAction::SetTrue),
        )
}

fn signal() -> Command {
    live_command("signal", "Send a signal to units")
        .before_help(
            "The signal goes to the main process of a unit, or to its whole process group if its stop\n\
             signal would go there.",
        )
        .override_usage("trcctl signal [OPTIONS] SIGNAL UNIT…")
        .after_help(format!(
            "Examples:\n  docker exec CONTAINER trcctl signal HUP nginx\n\n{STATUSES}"
        ))
        .arg(
            Arg::new("signal")
                .value_name("SIGNAL")
                .help("The signal, such as HUP, SIGUSR1 or 12")
                .add(completions::signals())
                .required(true),
        )
        .arg(units("The units").required(true))
}

fn exec() -> Command {
    let flag = |name: &'static str, short: char, help: &'static str| {
        Arg::new(name).long(name).short(short).help(help).action(ArgAction::SetTrue)
    };
    asking_command("exec", "Run a command as a unit: as its user, and with its environment")
        .before_help(
            "The command runs as the unit does: with its user, groups, capabilities, limits, environment and\n\
             working directory. The unit does not have to be running, and does not notice. The command reads\n\
             and writes the standard streams of trcctl. If these are a terminal, the command gets a terminal\n\
             of its own, with job control. If trcctl goes away, the command gets SIGHUP, and SIGKILL after 5\n\
             seconds.",
        )
        .override_usage("trcctl exec [OPTIONS] UNIT [--] CMD…")
        .after_help(
            "Examples:\n  \
               docker exec -it CONTAINER trcctl exec web -- bash      Look around with a shell\n  \
               docker exec CONTAINER trcctl exec web -- env           Show the environment of a unit\n  \
               docker exec -i CONTAINER trcctl exec db -- psql <FILE  Read from a file\n\n\
             Exit status: that of the command, 128+N if signal N has terminated it, or\n  \
               1    it was refused\n  \
               64   the command line is wrong, or there is no such unit\n  \
               69   no trc listens on the socket\n  \
               77   you may not ask for this: see [control] allow\n  \
               126  the command cannot be executed\n  \
               127  the command does not exist",
        )
        .arg(flag("tty", 't', "Give the command a terminal [default: if input and output are one]"))
        .arg(flag("no-tty", 'T', "Give the command no terminal").overrides_with("tty"))
        .arg(unit())
        .arg(
            Arg::new("command")
                .value_name("CMD")
                .help("The command and its arguments")
                .required(true)
                .num_args(1..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true),
        )
}

fn reload() -> Command {
    live_command("reload", "Reload the configuration of trc, or let units reload their own")
        .before_help(
            "With units: each unit reloads its own configuration, as its `reload` says, and keeps its process.\n\
             A unit whose reload fails runs on.\n\n\
             Without units: trc reads its own configuration again, and applies what has changed. It reads and\n\
             checks everything first: if there is an error, nothing changes. Units that have not changed run\n\
             on, units that need a new process are restarted, new units start, and removed units stop. If a\n\
             unit does not come up, the old configuration comes back. Boot units do not run again.",
        )
        .override_usage("trcctl reload [OPTIONS] [UNIT…]")
        .after_help(
            "Examples:\n  \
               trcctl reload --dry-run   Show what would happen, and why\n  \
               trcctl reload             Do it\n  \
               trcctl reload --plan ID   Do it if it is still what --dry-run has shown\n  \
               trcctl reload nginx       Let one unit reload\n\n\
             Exit status:\n  \
               0   it is done, or nothing has changed\n  \
               1   it was refused, or a unit did not reload\n  \
               2   with --dry-run: something would change\n  \
               64  the command line is wrong, or there is no such unit\n  \
               69  no trc listens on the socket\n  \
               77  you may not ask for this: see [control] allow\n  \
               78  the new configuration has errors, and nothing has changed",
        )
        .arg(units("The units that reload their own configuration [default: trc reloads its own]"))
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .help("Without units: show what would happen, and change nothing")
                .action(ArgAction::SetTrue)
                .conflicts_with("unit"),
        )
        .arg(
            Arg::new("keep")
                .long("keep")
                .help("Without units: keep the new configuration even if one of its units does not come up")
                .action(ArgAction::SetTrue)
                .conflicts_with("unit"),
        )
        .arg(
            Arg::new("plan")
                .long("plan")
                .value_name("ID")
                .help("Without units: do it only if it is still what --dry-run has shown, with this ID")
                .value_parser(|text: &str| u64::from_str_radix(text, 16))
                .conflicts_with_all(["unit", "dry-run"]),
        )
        .arg(
            Arg::new("no-wait")
                .long("no-wait")
                .help("With units: do not wait until they have reloaded")
                .action(ArgAction::SetTrue)
                .requires("unit"),
        )
}

fn shutdown() -> Command {
    live_command("shutdown", "Stop all units and the run")
        .before_help(
            "The run stops as after `docker stop`: in the same order and within the same time. Then trc exits\n\
             with N, or 0.",
        )
        .override_usage("trcctl shutdown [OPTIONS]")
        .after_help(
            "Examples:\n  \
               trcctl shutdown            Stop the container; it exits with 0\n  \
               trcctl shutdown --exit 3   Stop the container; it exits with 3\n\n\
             Exit status:\n  \
               0   the run is stopping\n  \
               1   it was refused\n  \
               64  the command line is wrong\n  \
               69  no trc listens on the socket\n  \
               77  you may not ask for this: see [control] allow",
        )
        .arg(
            Arg::new("exit")
                .long("exit")
                .value_name("N")
                .help("The exit status of trc [default: 0]")
                .value_parser(value_parser!(u8)),
        )
}

fn records(name: &'static str, about: &'static str) -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    live_command(name, about)
        .override_usage(format!("trcctl {name} [OPTIONS] [UNIT…]"))
        .after_help(format!(
            "trc keeps the last lines in memory ([control] log_buffer), and says so where lines are missing.\n\n\
             Examples:\n  \
               trcctl {name} -f           Follow all units\n  \
               trcctl {name} -n 20 web    Show the last 20 lines of one unit\n\n\
             Exit status:\n  \
               0   trc has answered\n  \
               64  the command line is wrong, or there is no such unit\n  \
               69  no trc listens on the socket\n  \
               77  you may not ask for this: see [control] allow"
        ))
        .arg(units("The units [default: all]"))
        .arg(
            Arg::new("follow")
                .short('f')
                .long("follow")
                .help("Go on with lines as they come")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("n")
                .short('n')
                .long("lines")
                .value_name("N")
                .help("The number of past lines [default: 100]")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            value("since", "SEQ", "Begin after the line with this number, as --json shows it")
                .value_parser(value_parser!(u64)),
        )
        .arg(value("grep", "TEXT", "Show only lines that contain TEXT"))
}

fn health() -> Command {
    live_command("health", "Tell whether the container can do its work")
        .before_help(
            "For `HEALTHCHECK` in a Dockerfile. Every user may ask for this.\n\n  \
               ready      every unit is up\n  \
               degraded   a unit was stopped by hand, or has failed and `on_failure` ignores that\n  \
               starting   a unit is not up yet\n  \
               unhealthy  a unit has failed, is started again, or its health check fails\n  \
               stopping   the run is stopping",
        )
        .arg(units("The units that matter [default: all]"))
        .override_usage("trcctl health [OPTIONS] [UNIT…]")
        .after_help(
            "Examples:\n  \
               HEALTHCHECK CMD [\"trcctl\", \"health\"]   In a Dockerfile\n  \
               trcctl health web                      Ask for one unit\n\n\
             Exit status:\n  \
               0   ready or degraded\n  \
               1   starting, unhealthy or stopping\n  \
               64  the command line is wrong, or there is no such unit\n  \
               69  no trc listens on the socket",
        )
}

fn wait() -> Command {
    live_command("wait", "Wait until the container is ready, or a unit is")
        .before_help(
            "Waits for each of these, one after the other:\n\n  \
               ready            every unit is up: the health is ready or degraded\n  \
               stopped          the run has ended\n  \
               UNIT=CONDITION   the unit is started, ready, exited, succeeded, failed or settled\n\n\
             If the time is up, it shows what blocks. With --for, it also waits for trc to listen.",
        )
        .override_usage("trcctl wait [OPTIONS] ready|stopped|UNIT=CONDITION…")
        .arg(
            Arg::new("goal")
                .value_name("ready|stopped|UNIT=CONDITION")
                .help("What to wait for")
                .add(completions::goals())
                .required(true)
                .num_args(1..),
        )
        .arg(
            Arg::new("for")
                .long("for")
                .value_name("TIME")
                .help("The longest time to wait, such as 30s [default: no limit]")
                .value_parser(live::time),
        )
        .after_help(
            "Examples:\n  \
               docker exec CONTAINER trcctl wait ready --for 30s   Wait in a CI job\n  \
               docker exec CONTAINER trcctl wait db=ready web=ready  Wait for two units\n\n\
             Exit status:\n  \
               0    all is as asked\n  \
               1    this cannot come any more: a unit has failed, or the run is stopping\n  \
               64   the command line is wrong, or there is no such unit\n  \
               69   no trc listens on the socket\n  \
               77   you may not ask for this: see [control] allow\n  \
               124  the time is up",
        )
}

fn why() -> Command {
    live_command("why", "Show why a unit is not up: the units that it waits for, and the cause")
        .arg(unit())
        .override_usage("trcctl why [OPTIONS] UNIT")
        .after_help(
            "Examples:\n  \
               docker exec CONTAINER trcctl why web\n\n\
             Exit status:\n  \
               0   trc has answered\n  \
               64  the command line is wrong, or there is no such unit\n  \
               69  no trc listens on the socket\n  \
               77  you may not ask for this: see [control] allow",
        )
}

fn top() -> Command {
    screen_command("top", "Show the units on a full screen, with keys to act on them")
        .override_usage("trcctl top [OPTIONS]")
        .before_help(
            "Shows the health of the run, the table of `trcctl status`, and for the selected unit why it is\n\
             not up, its place in the graph, and its output as it comes. If trc is gone, top waits for it.\n\n  \
               ↑ ↓     select a unit              Enter   all of its output that trc keeps\n  \
               s       start it                   e       the lines of trc itself\n  \
               x       stop it, after asking you  /       show only what contains a text\n  \
               r       restart it                 ?       all keys\n  \
               l       let it reload              Ctrl-Z  suspend\n  \
               k       send it a signal           q       quit",
        )
        .after_help(
            "Examples:\n  \
               docker exec -it CONTAINER trcctl top   Look at a container\n  \
               NO_COLOR=1 trcctl top                  Without colors\n\n\
             Exit status:\n  \
               0   you quit\n  \
               64  the command line is wrong, or this is not a terminal\n  \
               69  no trc listens on the socket\n  \
               77  you may not ask for this: see [control] allow",
        )
}
