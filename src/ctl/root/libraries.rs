//! Shared libraries that programs need, looked for as the loader does: ld.so(8), and musl's `ldso`.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, FileHeader32, FileHeader64,
    PT_LOAD,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, ReadCache, ReadRef};

use super::{Kind, LARGEST, Root};

/// The directories of glibc after those of its configuration.
const GLIBC: [&str; 6] = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/lib32", "/usr/lib32"];

/// The names of Debian's directories for each processor.
const TRIPLES: [&str; 9] = [
    "x86_64-linux-gnu",
    "aarch64-linux-gnu",
    "i386-linux-gnu",
    "arm-linux-gnueabihf",
    "arm-linux-gnueabi",
    "powerpc64le-linux-gnu",
    "s390x-linux-gnu",
    "riscv64-linux-gnu",
    "loongarch64-linux-gnu",
];

/// The directories of musl if `/etc/ld-musl-ARCH.path` does not name others.
const MUSL: [&str; 3] = ["/lib", "/usr/local/lib", "/usr/lib"];

/// The libraries that are part of musl's loader. Whatever follows the name, the loader is meant.
const IN_MUSL: [&str; 8] =
    ["libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet.", "libcrypt."];

/// The most libraries of a program that are looked at.
const MOST: usize = 2000;

/// The most files that are looked at to find a library anywhere in the image.
const MOST_FILES: usize = 100_000;

/// A library that the loader does not find.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Missing {
    /// Its name.
    pub name: String,
    /// The library that needs it, if it is not the program itself.
    pub needed_by: Option<String>,
    /// A file with this name that the loader passes over, because it is for another processor.
    pub foreign: Option<PathBuf>,
    /// The directory that has it, in which the loader does not look.
    pub elsewhere: Option<PathBuf>,
}

/// What the dynamic section of a program or a library says.
#[derive(Debug)]
struct Object {
    /// The directory that it is in.
    origin: PathBuf,
    /// Its name, if it is not the program.
    name: Option<String>,
    /// The class and the processor, which those of its libraries have to equal.
    kind: (bool, u16),
    needed: Vec<String>,
    soname: Option<String>,
    rpath: Vec<String>,
    runpath: Vec<String>,
    /// The object that loaded it, by its index.
    parent: Option<usize>,
}

/// The loader of a program.
struct Loader<'a> {
    root: &'a Root,
    musl: bool,
    /// The directories of `LD_LIBRARY_PATH`.
    first: Vec<PathBuf>,
    /// The directories of the system.
    last: Vec<PathBuf>,
    /// The text of `/etc/ld.so.cache`, which can have more than its configuration.
    cache: Vec<u8>,
}

/// Returns the libraries of a program that its loader does not find. What cannot be decided is not
/// among them.
pub(super) fn missing(
    root: &Root,
    program: &Path,
    loader: &str,
    library_path: &OsStr,
) -> Vec<Missing> {
    let Some(mut found) = Loader::new(root, loader, library_path) else { return Vec::new() };
    let Some(object) = read(root, program, None) else { return Vec::new() };
    found.walk(object, loader).into_iter().filter_map(|missing| found.placed(missing)).collect()
}

impl<'a> Loader<'a> {
    /// Returns the loader with this path, if its rules are known.
    fn new(root: &'a Root, loader: &str, library_path: &OsStr) -> Option<Self> {
        let path = Path::new(loader);
        let (dir, name) = (path.parent()?.to_str()?, path.file_name()?.to_str()?);
        // That of Nix, for example, has directories of its own.
        let is_usual = GLIBC.contains(&dir) || TRIPLES.iter().any(|it| dir.ends_with(it));
        let musl = name.starts_with("ld-musl-");
        let glibc = ["ld-linux", "ld64.so", "ld.so"].iter().any(|it| name.starts_with(it));
        if !is_usual || !(musl || glibc) {
            return None;
        }
        let dirs = library_path.as_bytes().split(|byte| matches!(byte, b':' | b';'));
        let first = dirs.map(|dir| PathBuf::from(OsStr::from_bytes(dir)));
        let first = first.filter(|dir| dir.is_absolute()).collect();
        let (last, cache) = if musl {
            let arch = name.strip_prefix("ld-musl-")?.split('.').next()?;
            let file = format!("/etc/ld-musl-{arch}.path");
            let text = root.head(Path::new(&file), LARGEST);
            let text = String::from_utf8_lossy(&text);
            let written = text.split([':', '\n']).map(str::trim).filter(|dir| dir.starts_with('/'));
            let mut dirs: Vec<PathBuf> = written.map(PathBuf::from).collect();
            if root.kind(Path::new(&file)) == Kind::Nothing {
                dirs = MUSL.map(PathBuf::from).into();
            }
            (dirs, Vec::new())
        } else {
            let mut dirs = configured(root, Path::new("/etc/ld.so.conf"), 0);
            for dir in GLIBC {
                dirs.push(dir.into());
                dirs.extend(TRIPLES.map(|triple| Path::new(dir).join(triple)));
            }
            (dirs, root.head(Path::new("/etc/ld.so.cache"), 8 * LARGEST))
        };
        Some(Self { root, musl, first, last, cache })
    }

    /// Loads the program and its libraries, breadth first as the loader does, and returns those that
    /// are not found.
    fn walk(&mut self, program: Object, loader: &str) -> Vec<Missing> {
        let own = Path::new(loader).file_name().map(|name| name.to_string_lossy().into_owned());
        let mut known: BTreeSet<String> = own.into_iter().collect();
        let mut objects = vec![program];
        let mut next = VecDeque::from([0]);
        let mut missing = Vec::new();
        while let Some(at) = next.pop_front() {
            for name in objects[at].needed.clone() {
                let in_loader = self.musl && IN_MUSL.iter().any(|lib| name.starts_with(lib));
                if in_loader || objects.len() > MOST || !known.insert(name.clone()) {
                    continue;
                }
                match self.find(&objects, at, &name) {
                    Ok(Some(mut object)) => {
                        object.parent = Some(at);
                        known.extend(object.soname.clone());
                        objects.push(object);
                        next.push_back(objects.len() - 1);
                    }
                    // It cannot be decided.
                    Ok(None) => {}
                    Err(foreign) => missing.push(Missing {
                        name,
                        needed_by: objects[at].name.clone(),
                        foreign,
                        elsewhere: None,
                    }),
                }
            }
        }
        // Another library may be loaded under this name.
        let sonames: BTreeSet<&String> =
            objects.iter().filter_map(|it| it.soname.as_ref()).collect();
        missing.retain(|it| !sonames.contains(&it.name));
        missing
    }

    /// Returns the library that the loader finds for an object; nothing if that cannot be decided.
    ///
    /// # Errors
    /// Returns the file with this name that is for another processor, if there is one.
    fn find(
        &self,
        objects: &[Object],
        at: usize,
        name: &str,
    ) -> Result<Option<Object>, Option<PathBuf>> {
        let object = &objects[at];
        let mut foreign = None;
        let mut open = |path: &Path| {
            let found = read(self.root, path, Some(name))?;
            if found.kind == object.kind {
                return Some(found);
            }
            foreign.get_or_insert(path.to_owned());
            None
        };
        if name.contains('/') {
            let Some(paths) = expanded(name, &object.origin) else { return Ok(None) };
            let mut known = paths.iter().filter(|path| path.is_absolute()).peekable();
            if known.peek().is_none() {
                return Ok(None);
            }
            let found = known.find_map(|path| open(path));
            return found.map(Some).ok_or(foreign);
        }
        let mut dirs = Vec::new();
        let chain = std::iter::successors(Some(at), |at| objects[*at].parent);
        for (step, at) in chain.enumerate() {
            let it = &objects[at];
            let (own, inherited) = (step == 0, it.runpath.is_empty());
            // musl makes no difference between the two.
            let paths = match (self.musl, own) {
                (true, _) => it.rpath.iter().chain(&it.runpath).collect::<Vec<_>>(),
                (false, true) => it.rpath.iter().filter(|_| inherited).chain(&it.runpath).collect(),
                (false, false) => {
                    it.rpath.iter().filter(|_| inherited && object.runpath.is_empty()).collect()
                }
            };
            for path in paths {
                let Some(found) = expanded(path, &it.origin) else { return Ok(None) };
                dirs.extend(found);
            }
        }
        // The order is of no importance for whether there is one.
        let dirs = self.first.iter().chain(&dirs).chain(&self.last);
        let mut dirs = dirs.filter(|dir| dir.is_absolute());
        if let Some(found) = dirs.find_map(|dir| open(&dir.join(name))) {
            return Ok(Some(found));
        }
        let cached = self
            .cache
            .windows(name.len() + 1)
            .any(|part| part.ends_with(b"\0") && part[..name.len()] == *name.as_bytes());
        if cached { Ok(None) } else { Err(foreign) }
    }

    /// Looks for the library in the whole image. Nothing is returned if it may be found by a variable
    /// that only the image's own configuration has.
    fn placed(&self, missing: Missing) -> Option<Missing> {
        if missing.foreign.is_some() {
            return Some(missing);
        }
        let mut left = MOST_FILES;
        let mut dirs = vec![(PathBuf::from("/"), 0)];
        while let Some((dir, depth)) = dirs.pop() {
            for name in self.root.list(&dir).unwrap_or_default() {
                left = left.checked_sub(1)?;
                let path = dir.join(&name);
                if name == missing.name && matches!(self.root.kind(&path), Kind::File(_)) {
                    let elsewhere = Some(dir);
                    return self.root.is_here().then_some(Missing { elsewhere, ..missing });
                }
                let is_of_kernel = depth == 0 && ["proc", "sys", "dev"].contains(&&*name);
                let descends = depth < 12 && name != "." && name != ".." && !is_of_kernel;
                if descends && self.root.is_directory(&path) {
                    dirs.push((path, depth + 1));
                }
            }
        }
        Some(missing)
    }
}

/// Returns the directories of a file of ldconfig(8), with those of the files that it includes.
fn configured(root: &Root, file: &Path, depth: u8) -> Vec<PathBuf> {
    let text = root.head(file, LARGEST);
    let text = String::from_utf8_lossy(&text);
    let mut dirs = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let included = line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t']));
        match included {
            Some(patterns) if depth < 5 => {
                let base = file.parent().unwrap_or(Path::new("/"));
                for pattern in patterns.split_whitespace() {
                    for file in matching(root, &base.join(pattern)) {
                        dirs.extend(configured(root, &file, depth + 1));
                    }
                }
            }
            Some(_) => {}
            None => {
                // Old files name the type of a library after `=`.
                let words = line.split([' ', '\t', ':', ',']).filter(|word| word.starts_with('/'));
                dirs.extend(words.map(|word| word.split('=').next().unwrap_or(word).into()));
            }
        }
    }
    dirs
}

/// Returns the files that a path stands for, whose last part may have one `*`.
fn matching(root: &Root, pattern: &Path) -> Vec<PathBuf> {
    let (Some(dir), Some(name)) = (pattern.parent(), pattern.file_name().and_then(OsStr::to_str))
    else {
        return Vec::new();
    };
    let Some((before, after)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let fits = |name: &String| {
        name.len() >= before.len() + after.len()
            && name.starts_with(before)
            && name.ends_with(after)
            && (!name.starts_with('.') || before.starts_with('.'))
    };
    let mut names: Vec<String> =
        root.list(dir).unwrap_or_default().into_iter().filter(fits).collect();
    names.sort();
    names.iter().map(|name| dir.join(name)).collect()
}

/// Returns the paths that a path with `$ORIGIN` or `$LIB` may stand for, or nothing if it has another
/// variable.
fn expanded(path: &str, origin: &Path) -> Option<Vec<PathBuf>> {
    let origin = origin.to_str()?;
    let path = path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
    let path = path.replace("${LIB}", "$LIB");
    if !path.contains("$LIB") {
        return (!path.contains('$')).then(|| vec![path.into()]);
    }
    let debian = TRIPLES.map(|triple| format!("lib/{triple}"));
    let names = ["lib", "lib64"].into_iter().chain(debian.iter().map(String::as_str));
    let paths: Vec<String> = names.map(|name| path.replace("$LIB", name)).collect();
    let is_known = paths.iter().all(|path| !path.contains('$'));
    is_known.then(|| paths.into_iter().map(PathBuf::from).collect())
}

/// Reads the dynamic section of a file, if it is a program or a library.
fn read(root: &Root, path: &Path, name: Option<&str>) -> Option<Object> {
    if !matches!(root.kind(path), Kind::File(_)) {
        return None;
    }
    let data = ReadCache::new(root.file(path).ok()?);
    // `$ORIGIN` of a program is where the links to it lead.
    let real = if name.is_none() { root.real(path) } else { None };
    let origin = real.as_deref().unwrap_or(path).parent()?.to_owned();
    let object = match data.read_bytes_at(4, 1).ok()? {
        [1] => dynamic::<FileHeader32<Endianness>>(&data),
        _ => dynamic::<FileHeader64<Endianness>>(&data),
    }?;
    Some(Object { origin, name: name.map(str::to_owned), ..object })
}

fn dynamic<Elf: FileHeader<Endian = Endianness>>(data: &ReadCache<File>) -> Option<Object> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let kind = (header.is_type_64(), header.e_machine(endian).0);
    let mut object = Object {
        origin: PathBuf::new(),
        name: None,
        kind,
        needed: Vec::new(),
        soname: None,
        rpath: Vec::new(),
        runpath: Vec::new(),
        parent: None,
    };
    let entries = segments.iter().find_map(|segment| segment.dynamic(endian, data).ok().flatten());
    let Some(entries) = entries else { return Some(object) };
    let value = |tag| entries.iter().find(|it| it.tag(endian) == tag).map(|it| it.val(endian));
    let (address, size) = (value(DT_STRTAB)?, value(DT_STRSZ)?);
    let start = segments.iter().filter(|it| it.p_type(endian) == PT_LOAD).find_map(|segment| {
        let within = address.checked_sub(segment.p_vaddr(endian).into())?;
        let is_in = within < segment.p_filesz(endian).into();
        is_in.then(|| segment.p_offset(endian).into().checked_add(within))?
    })?;
    let strings = data.read_bytes_at(start, size).ok()?;
    for entry in entries {
        let tag = entry.tag(endian);
        if ![DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH].contains(&tag) {
            continue;
        }
        let at = usize::try_from(entry.val(endian)).ok()?;
        let text = strings.get(at..)?.split(|byte| *byte == 0).next()?;
        let text = std::str::from_utf8(text).ok()?.to_owned();
        let paths = || text.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned);
        match tag {
            DT_NEEDED => object.needed.push(text),
            DT_SONAME => object.soname = Some(text),
            DT_RPATH => object.rpath.extend(paths()),
            _ => object.runpath.extend(paths()),
        }
    }
    Some(object)
}
