//! The header of a program: whether it runs in any image, and on which processor.
//!
//! elf(5) describes the format.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::config::reason;

/// What the header of a program says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ctl) struct Program {
    /// The loader that the program needs in the image, if it is linked dynamically.
    pub loader: Option<String>,
    /// The processor in the words of container images, such as `amd64`, if it is a known one.
    pub processor: Option<&'static str>,
}

/// The kind of a program header that names the loader.
const PT_INTERP: u32 = 3;

/// The longest name of a loader that is read.
const LONGEST: usize = 256;

/// Reads the header of a program.
///
/// # Errors
/// Returns the reason why the file cannot be one, as the end of a sentence that begins with its path.
pub(super) fn read(path: &Path) -> Result<Program, String> {
    read_from(File::open(path).map_err(|error| because(&error))?)
}

/// Does the same for a file that is open.
///
/// # Errors
/// The same.
pub(super) fn read_from(mut file: File) -> Result<Program, String> {
    let mut head = Vec::new();
    file.by_ref().take(64).read_to_end(&mut head).map_err(|error| because(&error))?;
    let no_program = || "is not a program for Linux (ELF)".to_owned();
    let (class, order) = match head.get(..6) {
        Some([0x7f, b'E', b'L', b'F', class @ (1 | 2), order @ (1 | 2)]) => (*class, *order),
        _ => return Err(no_program()),
    };
    let (wide, little) = (class == 2, order == 1);
    let word = |bytes: &[u8], at: usize, size: usize| -> Option<u64> {
        let bytes = bytes.get(at..at + size)?;
        let one = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
        Some(if little { bytes.iter().rev().fold(0, one) } else { bytes.iter().fold(0, one) })
    };
    // The places in the header: e_machine, e_phoff, e_phentsize, e_phnum.
    let (headers, size, count) = if wide { ((32, 8), 54, 56) } else { ((28, 4), 42, 44) };
    let machine = word(&head, 18, 2).ok_or_else(no_program)?;
    let first = word(&head, headers.0, headers.1).ok_or_else(no_program)?;
    let size = word(&head, size, 2).ok_or_else(no_program)?;
    let count = word(&head, count, 2).ok_or_else(no_program)?;
    let mut loader = None;
    for at in 0..count {
        let mut header = [0; 56];
        let header = &mut header[..if wide { 56 } else { 32 }];
        let place = at.checked_mul(size).and_then(|offset| offset.checked_add(first));
        let place = place.ok_or_else(no_program)?;
        file.read_exact_at(header, place).map_err(|_| no_program())?;
        if word(header, 0, 4) != Some(u64::from(PT_INTERP)) {
            continue;
        }
        // p_offset and p_filesz.
        let (offset, length) = if wide { ((8, 8), (32, 8)) } else { ((4, 4), (16, 4)) };
        let offset = word(header, offset.0, offset.1).unwrap_or_default();
        let length = word(header, length.0, length.1).unwrap_or_default();
        let mut name = vec![0; usize::try_from(length).unwrap_or(LONGEST).min(LONGEST)];
        let read = file.read_at(&mut name, offset).unwrap_or(0);
        name.truncate(read);
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        loader = Some(crate::text::harmless(&String::from_utf8_lossy(name)));
    }
    Ok(Program { loader, processor: processor(machine, wide, little) })
}

fn because(error: &std::io::Error) -> String {
    format!("cannot be read: {}", reason(error))
}

/// Returns the name that container images have for a machine (`e_machine`).
fn processor(machine: u64, wide: bool, little: bool) -> Option<&'static str> {
    Some(match (machine, wide, little) {
        (3, false, true) => "386",
        (62, true, true) => "amd64",
        (40, false, true) => "arm",
        (183, true, true) => "arm64",
        (21, true, true) => "ppc64le",
        (22, true, false) => "s390x",
        (243, true, true) => "riscv64",
        (258, true, true) => "loong64",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a header, and the program header of a loader.
    fn program(wide: bool, little: bool, machine: u16, loader: Option<&str>) -> Vec<u8> {
        let mut bytes = vec![0; if wide { 64 } else { 52 }];
        bytes[..6].copy_from_slice(&[
            0x7f,
            b'E',
            b'L',
            b'F',
            if wide { 2 } else { 1 },
            if little { 1 } else { 2 },
        ]);
        let put = |bytes: &mut Vec<u8>, at: usize, size: usize, value: u64| {
            let all = value.to_be_bytes();
            let mut part = all[8 - size..].to_vec();
            if little {
                part.reverse();
            }
            bytes[at..at + size].copy_from_slice(&part);
        };
        let (head, entry) = if wide { (64, 56_u32) } else { (52, 32) };
        put(&mut bytes, 18, 2, machine.into());
        put(&mut bytes, if wide { 32 } else { 28 }, if wide { 8 } else { 4 }, head);
        put(&mut bytes, if wide { 54 } else { 42 }, 2, entry.into());
        put(&mut bytes, if wide { 56 } else { 44 }, 2, 1 + u64::from(loader.is_some()));
        let mut load = vec![0; entry as usize];
        put(&mut load, 0, 4, 1);
        bytes.extend(load);
        if let Some(loader) = loader {
            let mut interp = vec![0; entry as usize];
            put(&mut interp, 0, 4, PT_INTERP.into());
            let (offset, length, size) = if wide { (8, 32, 8) } else { (4, 16, 4) };
            put(&mut interp, offset, size, head + 2 * u64::from(entry));
            put(&mut interp, length, size, loader.len() as u64 + 1);
            bytes.extend(interp);
            bytes.extend(loader.bytes().chain([0]));
        }
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<Program, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path())
    }

    #[test]
    fn a_program_tells_its_processor_and_its_loader() {
        for (wide, little, machine, name) in [
            (true, true, 62, Some("amd64")),
            (true, true, 183, Some("arm64")),
            (false, true, 40, Some("arm")),
            (false, true, 3, Some("386")),
            (true, false, 22, Some("s390x")),
            (true, true, 9999, None),
        ] {
            for loader in [None, Some("/lib/ld.so")] {
                let found = read_bytes(&program(wide, little, machine, loader)).unwrap();
                let expected = Program { loader: loader.map(str::to_owned), processor: name };
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn anything_else_is_no_program() {
        let whole = program(true, true, 62, Some("/lib/ld.so"));
        for bytes in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF", &whole[..30], &whole[..70]] {
            assert_eq!(read_bytes(bytes).unwrap_err(), "is not a program for Linux (ELF)");
        }
        let why = read(Path::new("/nonexistent/trc")).unwrap_err();
        assert_eq!(why, "cannot be read: No such file or directory");
    }
}
