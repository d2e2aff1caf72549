//! The command line of `trcctl serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::serve::{Serve, serve};

use crate::TEMPLATE;

/// The address on which it listens if nothing else is said.
const LISTEN: &str = "127.0.0.1:9180";

/// Returns the command.
pub(crate) fn command() -> Command {
    Command::new("serve")
        .about("Serve a page about the run, probes and metrics over HTTP")
        .help_template(TEMPLATE)
        .before_help(
            "Run it as a unit, under a user to which [control] allow gives access:\n\n  \
               [control]\n  \
               allow = { nobody = \"read\" }\n\n  \
               [async.status]\n  \
               exec = [\"trcctl\", \"serve\"]\n  \
               user = \"nobody\"\n  \
               ready = { notify = true }\n\n\
             Whoever reaches the port sees what this user may ask for: the state and the output of all units.\n\n  \
               /          a page with the units, their graph, their timeline and their output\n  \
               /healthz   503 if trc does not answer or is unhealthy, otherwise 200, for a liveness probe\n  \
               /readyz    200 if the container can do its work, for a readiness probe\n  \
               /metrics   metrics for Prometheus",
        )
        .override_usage("trcctl serve [OPTIONS]")
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("IP:PORT")
                .help("The address to listen on, such as 0.0.0.0:9180 or [::]:9180")
                .default_value(LISTEN)
                .value_parser(address),
        )
        .arg(
            Arg::new("host")
                .long("host")
                .value_name("NAME")
                .help("A name for this server besides localhost and IP addresses; repeat the option for more names")
                .action(ArgAction::Append),
        )
        .arg(
            Arg::new("allow-operate")
                .long("allow-operate")
                .help("Let clients start, stop and restart units, if they have the token")
                .requires("token-file")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("token-file")
                .long("token-file")
                .value_name("FILE")
                .help("The file with the token that clients need to change anything")
                .requires("allow-operate")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("socket")
                .long("socket")
                .value_name("PATH")
                .help("The control socket of trc [default: TRC_SOCKET, or /run/trc.sock]")
                .value_parser(value_parser!(PathBuf)),
        )
        .after_help(
            "Examples:\n  \
               trcctl serve                            Serve on 127.0.0.1:9180\n  \
               trcctl serve --listen 0.0.0.0:9180 --host shop\n                                          \
                                                       Serve on all addresses, also as http://shop:9180/\n  \
               trcctl serve --allow-operate --token-file /run/secrets/trc\n                                          \
                                                       Serve buttons that start and stop units, too\n\n\
             Exit status:\n  \
               0   SIGTERM stopped it\n  \
               1   it cannot listen, for example because the port is in use\n  \
               64  the command line is wrong\n  \
               77  you may not listen on this port\n  \
               78  the token file is missing, or has no token",
        )
}

/// Serves. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> u8 {
    let listen = arguments.get_one::<SocketAddr>("listen").copied();
    serve(&Serve {
        socket: arguments.get_one("socket").cloned(),
        listen: listen.expect("it has a default"),
        hosts: arguments.get_many("host").unwrap_or_default().cloned().collect(),
        token_file: arguments.get_one("token-file").cloned(),
    })
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:9180 or [::]:9180")
}
