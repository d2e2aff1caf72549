//! Tests of trc as its users see it. They are one program, so that it is linked once: `cargo test
//! --test suite FILE::` runs the tests of a file.

#![allow(clippy::disallowed_methods, reason = "tests start programs and wait")]

mod common;
mod container;

mod architecture;
mod attacks;
mod autostart;
mod bad_input;
mod budget;
mod busy_examples;
mod causes;
mod conf_d;
mod containers;
mod control;
mod control_load;
mod examples;
mod expectations;
mod files;
mod harness;
mod hooks;
mod howto;
mod identity;
mod injected_faults;
mod kubernetes;
mod layout;
mod left_behind;
mod line_endings;
mod listen;
mod migrating;
mod notify;
mod openapi;
mod orphans;
mod output;
mod pid_file;
mod policies;
mod polite_probes;
mod readme;
mod resources;
mod scarcity;
mod schedule;
mod schema;
mod scripts;
mod self_testing_images;
mod selftest;
mod signals;
mod supervision;
mod syslog;
mod terminal;
mod timed_tests;
mod trcctl_check;
mod trcctl_exec;
mod trcctl_explain;
mod trcctl_graph;
mod trcctl_image;
mod trcctl_live;
mod trcctl_man;
mod trcctl_series;
mod trcctl_serve;
mod trcctl_test;
mod trcctl_top;
mod trivialrc;
mod trivialrc_lines;
mod unshared_memory;
mod web_stack;
