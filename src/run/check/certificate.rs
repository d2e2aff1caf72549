//! The validity of X.509 certificates in a PEM file: RFC 7468, and RFC 5280, 4.1.

use std::time::{Duration, UNIX_EPOCH};

use super::file::unread;
use crate::civil;
use crate::config::CertificateCheck;
use crate::run::os::clock::wall;
use crate::run::os::file::look_into;
use crate::words::Wrong;

/// The largest file that is read, in bytes. It has room for several times the certificates of all
/// authorities.
const LONGEST: u64 = 2 * 1024 * 1024;
const BEGIN: [&str; 2] = ["-----BEGIN CERTIFICATE-----", "-----BEGIN TRUSTED CERTIFICATE-----"];
/// The tags of DER.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Checks that every certificate of a file is valid now, and will be for a time.
///
/// # Errors
/// Returns those that are not.
pub(crate) fn check(wanted: &CertificateCheck) -> Result<(), Wrong> {
    let bytes = look_into(&wanted.path, LONGEST).map_err(|why| unread(&why))?;
    let now = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    verdict(&String::from_utf8_lossy(&bytes), now, wanted.valid_for)
}

fn verdict(text: &str, now: Duration, valid_for: Duration) -> Result<(), Wrong> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let until = now.saturating_add_unsigned(valid_for.as_secs());
    let mut problems = Vec::new();
    let mut count = 0;
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if !BEGIN.contains(&line.trim()) {
            continue;
        }
        count += 1;
        let body = lines.by_ref().map(|(line, _)| line.trim());
        let body: String = body.take_while(|line| !line.starts_with("-----END")).collect();
        let times = base64(&body).and_then(|bytes| validity(&bytes));
        match times {
            None => problems.push(Wrong::NoCertificate(number)),
            Some((from, _)) if from > now => {
                problems.push(Wrong::NotYetValid(number, day(from)));
            }
            Some((_, to)) if to < now => problems.push(Wrong::Expired(number, day(to))),
            Some((_, to)) if to < until => {
                let left = (to - now).div_euclid(86_400);
                problems.push(Wrong::Expires(number, day(to), left, valid_for));
            }
            Some(_) => {}
        }
    }
    if count == 0 {
        return Err(Wrong::NoCertificates);
    }
    Wrong::all(problems)
}

/// Formats the day of a time: `2026-01-31`.
fn day(time: i64) -> String {
    let (year, month, day) = civil::date(time.div_euclid(86_400));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Decodes base64, with or without padding: RFC 4648, 4.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Takes the first value of DER off: its tag and its contents.
fn value<'a>(der: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [tag, length, rest @ ..] = *der else { return None };
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        // The low bits tell how many bytes the length has.
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    *der = rest;
    Some((*tag, contents))
}

fn sequence<'a>(der: &mut &'a [u8]) -> Option<&'a [u8]> {
    value(der).filter(|(tag, _)| *tag == SEQUENCE).map(|(_, contents)| contents)
}

/// Returns the time from which a certificate is valid and the time until which it is, in seconds
/// since 1970.
fn validity(mut der: &[u8]) -> Option<(i64, i64)> {
    let mut certificate = sequence(&mut der)?;
    let mut signed = sequence(&mut certificate)?;
    // The version, which may be missing, and the serial number.
    if value(&mut signed)?.0 == VERSION {
        value(&mut signed)?;
    }
    // The algorithm and the issuer.
    sequence(&mut signed)?;
    sequence(&mut signed)?;
    let mut times = sequence(&mut signed)?;
    Some((time(value(&mut times)?)?, time(value(&mut times)?)?))
}

/// Parses a time of RFC 5280, 4.1.2.5, which is in UTC.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let (year, rest) = match (tag, text.len()) {
        (UTC_TIME, 12) => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        (GENERALIZED_TIME, 14) => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let right = digits && (1..=12).contains(&month) && (1..=31).contains(&day);
    let days = right.then(|| civil::day(year, month, day))?;
    Some(days * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "openssl has to be started")]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(-631_152_000)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "20240229120000Z", Some(1_709_208_000)),
            (GENERALIZED_TIME, "20240229120000", None),
            (UTC_TIME, "20240229120000Z", None),
            (UTC_TIME, "991301000000Z", None),
            (UTC_TIME, "9912010000xxZ", None),
            (0x02, "991201000000Z", None),
        ] {
            assert_eq!(time((tag, text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn broken_der_is_no_certificate() {
        for der in [&[][..], &[0x30], &[0x30, 0x05, 0x30], &[0x30, 0x84, 1, 2, 3], &[0x30, 0xff]] {
            assert_eq!(validity(der), None, "{der:?}");
        }
        let pem = |body: &str| format!("{}\n{body}\n-----END CERTIFICATE-----\n", BEGIN[0]);
        let says =
            |text: &str| verdict(text, Duration::ZERO, Duration::ZERO).unwrap_err().to_string();
        assert_eq!(says(""), "it has no certificate");
        assert_eq!(says(&pem("")), "the certificate at line 1 cannot be read");
        assert_eq!(
            says(&format!("\n{}", pem("MIIB?"))),
            "the certificate at line 2 cannot be read"
        );
    }

    /// Every certificate that openssl makes is read as openssl reads it.
    #[test]
    fn the_validity_is_the_one_that_openssl_tells() {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = String::new();
        for (days, kind) in [(10, "rsa:2048"), (20_000, "ec")] {
            let path = dir.path().join("cert.pem");
            let mut command = Command::new("openssl");
            command.args(["req", "-x509", "-nodes", "-keyout", "/dev/null", "-out"]).arg(&path);
            command.args(["-newkey", kind, "-subj", "/CN=example", "-days", &days.to_string()]);
            if kind == "ec" {
                command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
            }
            assert!(command.output().unwrap().status.success());
            let pem = std::fs::read_to_string(&path).unwrap();
            let dates = Command::new("openssl")
                .args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"])
                .arg(&path)
                .output()
                .unwrap();
            let dates = String::from_utf8(dates.stdout).unwrap();
            let end = dates.trim().strip_prefix("notAfter=").unwrap();
            let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
            let (from, to) = validity(&base64(&body).unwrap()).unwrap();
            assert_eq!(to - from, days * 86_400, "{kind}");
            assert_eq!(day(to), end.split(' ').next().unwrap(), "{kind}");
            chain.push_str(&pem);
        }
        // It is an hour later, so that the days that are left are not whole ones.
        let now = wall().duration_since(UNIX_EPOCH).unwrap() + Duration::from_hours(1);
        let days = |days: u64| Duration::from_secs(days * 86_400);
        assert_eq!(verdict(&chain, now, Duration::ZERO), Ok(()));
        assert_eq!(verdict(&chain, now, days(9)), Ok(()));
        let soon = verdict(&chain, now, days(30)).unwrap_err().to_string();
        assert!(soon.starts_with("the certificate at line 1 expires on "), "{soon}");
        assert!(soon.ends_with(", in 9 days: sooner than in 30 days"), "{soon}");
        let late = verdict(&chain, now + days(11), Duration::ZERO).unwrap_err().to_string();
        assert!(late.starts_with("the certificate at line 1 expired on "), "{late}");
        let early =
            verdict(&chain, now.saturating_sub(days(1)), Duration::ZERO).unwrap_err().to_string();
        assert!(early.contains("the certificate at line 1 is not valid before "), "{early}");
    }
}
