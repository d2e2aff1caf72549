//! Output files that several units share. The settings for rotation belong to the file, whichever
//! unit has them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use super::keys::decode::Decoder;
use super::{Origin, OutputFile, Unit};

/// A setting of a file, and the unit that has it.
type Said<T> = Option<(T, String)>;

impl Decoder<'_> {
    /// Applies the settings that one unit has for its file to all units with the same file, so that
    /// it does not matter which of them starts first. Reports different settings.
    pub(super) fn share_files(&mut self, units: &mut [Unit]) {
        let mut known: BTreeMap<PathBuf, (Said<u64>, Said<u32>)> = BTreeMap::new();
        for unit in &*units {
            let Some(file) = &unit.output_file else { continue };
            let OutputFile { path, max_size, keep } = &file.value;
            let (size, kept) = known.entry(path.clone()).or_default();
            self.agree("output.max_size", size, *max_size, unit, &file.origin);
            self.agree("output.keep", kept, *keep, unit, &file.origin);
        }
        for file in units.iter_mut().filter_map(|unit| unit.output_file.as_mut()) {
            if let Some((size, kept)) = known.get(&file.value.path) {
                file.value.max_size = size.as_ref().map(|(size, _)| *size);
                file.value.keep = kept.as_ref().map(|(kept, _)| *kept);
            }
        }
    }

    fn agree<T: PartialEq + Display>(
        &mut self,
        key: &str,
        said: &mut Said<T>,
        value: Option<T>,
        unit: &Unit,
        origin: &Origin,
    ) {
        let Some(value) = value else { return };
        match said {
            Some((other, first)) if *other != value => {
                let message = format!(
                    "`{key}`: {} and {first} write to the same file, but set different values: {value} and {other}",
                    unit.id()
                );
                self.error(origin, message, None);
            }
            Some(_) => {}
            None => *said = Some((value, unit.id())),
        }
    }
}
