//! If a child may not share trc's memory, it gets a copy, and nobody notices: under an emulator of
//! another machine, and behind a filter of system calls.

use crate::common::{MODES, TERM, Trc, has, python, table};

/// Makes `clone` with `CLONE_VM` fail with this error, as seccomp(2) can, and executes the rest.
fn refusing(errno: i32) -> String {
    let clone = if cfg!(target_arch = "aarch64") { 220 } else { 56 };
    // A program of classic BPF: the call's number, then the low half of its first argument.
    format!(
        "import ctypes, os, struct, sys\n\
         op = lambda code, yes, no, value: struct.pack('HBBI', code, yes, no, value)\n\
         code = (op(0x20, 0, 0, 0) + op(0x15, 0, 3, {clone}) + op(0x20, 0, 0, 16)\n    \
             + op(0x45, 0, 1, 0x100) + op(0x06, 0, 0, 0x50000 | {errno}) + op(0x06, 0, 0, 0x7fff0000))\n\
         program = ctypes.create_string_buffer(code)\n\
         header = struct.pack('HxxxxxxP', 6, ctypes.addressof(program))\n\
         prctl = ctypes.CDLL(None, use_errno=True).prctl\n\
         assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, header, 0, 0) == 0, ctypes.get_errno()\n\
         os.execvp(sys.argv[1], sys.argv[1:])\n"
    )
}

/// Units of each kind.
const UNITS: &str = "log.level = 'warn'\n\
    [boot.first]\nscript = 'export WORD=word; echo first'\n\
    [async.web]\nexec = ['sh', '-c', 'echo web; : > up; read x < $$W/never']\noutput = 'inherit'\n\
    ready.exec = 'test -e up'\n\
    [sync.main]\nafter = ['web']\nexec = ['sh', '-c', 'echo $$WORD; exit 3']\n";

#[test]
fn units_start_where_a_filter_refuses_shared_memory() {
    let rows: Vec<_> = [nix::libc::EPERM, nix::libc::ENOSYS, nix::libc::EINVAL]
        .into_iter()
        .flat_map(|errno| MODES.map(|mode| (errno, mode)))
        .collect();
    table(
        &rows,
        |row| format!("{row:?}"),
        |(errno, mode)| {
            let filter = [python(), "-c", &refusing(*errno)];
            let outcome = Trc::toml(UNITS).mode(*mode).wrap(&filter).run();
            outcome.status(3).stdout_is("first\nweb\nword\n");
            let outcome = Trc::with(&["sh", "-c", "exit 5"]).mode(*mode).wrap(&filter).run();
            outcome.status(5).stdout_is("").stderr_is("");
        },
    );
}

/// Signals are held until the command is executed, although nobody waits for that here.
#[test]
fn a_transparent_command_gets_signals_where_a_filter_refuses_shared_memory() {
    let running =
        Trc::with(&["sh", "-c", "trap 'echo told; exit 4' TERM; echo ready; read x < $W/never"])
            .wrap(&[python(), "-c", &refusing(nix::libc::EPERM)])
            .spawn();
    running.wait_for("ready").signal(TERM);
    running.finish().status(4).stdout_is("ready\ntold\n");
}

/// An image for another architecture runs in this way, under `binfmt_misc(5)`.
#[test]
fn units_start_under_an_emulator() {
    let emulator =
        if cfg!(target_arch = "aarch64") { "qemu-aarch64-static" } else { "qemu-x86_64-static" };
    if has(emulator) {
        Trc::toml(UNITS).wrap(&[emulator]).run().status(3).stdout_is("first\nweb\nword\n");
        Trc::with(&["sh", "-c", "exit 5"]).wrap(&[emulator]).run().status(5);
    }
}
