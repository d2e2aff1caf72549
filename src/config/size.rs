//! Parsing of sizes.

/// Parses `10MB` (a million bytes each), `10MiB`, `512k` (1024 bytes each, as with docker), or a
/// number of bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let scale = match unit.trim().to_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_units() {
        for (text, size) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("512k", Some(512 * 1024)),
            ("10MB", Some(10_000_000)),
            ("10 MiB", Some(10 << 20)),
            ("1g", Some(1 << 30)),
            ("1.5G", None),
            ("-1", None),
            ("k", None),
            ("10TB", None),
            ("99999999999999999999", None),
            ("18446744073709551615k", None),
        ] {
            assert_eq!(bytes(text), size, "{text}");
        }
    }
}
