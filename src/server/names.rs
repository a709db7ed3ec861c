//! The names in a certificate, as text.

use std::net::IpAddr;

use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// The longest name that counts, in bytes.
const MAX_NAME: usize = 256;

/// The most names of one certificate that count.
const MOST_NAMES: usize = 64;

/// Every name in a certificate that was verified, each once: DNS names, email addresses, URIs and IP addresses of the
/// subject alternative name, and the common name. None where it cannot be read.
pub(super) fn of(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    // An extension that stands twice is an error, and gives none.
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        names.extend(alternative.value.general_names.iter().filter_map(text));
    }
    let common = certificate.subject().iter_common_name();
    names.extend(common.filter_map(|name| name.as_str().ok().map(str::to_owned)));

    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if kept.len() < MOST_NAMES && is_plain(&name) && !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            Some(ip.ok()?.to_string())
        }
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

/// SECURITY: a control character could make one name look like another, or like a line of the log.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    fn check(common: &[&str], alternative: &[SanType], expected: &[&str]) {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.subject_alt_names = alternative.to_vec();
        for name in common {
            params
                .distinguished_name
                .push(DnType::CommonName, DnValue::Utf8String((*name).to_owned()));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(super::of(certificate.der()), expected);
    }

    #[test]
    fn names_of_every_kind() {
        let text = |text: &str| text.try_into().unwrap();
        check(&["bot"], &[], &["bot"]);
        check(&[], &[], &[]);
        check(
            &["käfer bot"],
            &[
                SanType::DnsName(text("bot.example.org")),
                SanType::Rfc822Name(text("bot@example.org")),
                SanType::URI(text("spiffe://example.org/bot")),
                SanType::IpAddress([10, 0, 0, 2].into()),
                SanType::IpAddress("2001:db8::1".parse().unwrap()),
            ],
            &[
                "bot.example.org",
                "bot@example.org",
                "spiffe://example.org/bot",
                "10.0.0.2",
                "2001:db8::1",
                "käfer bot",
            ],
        );
        check(&["a"], &[SanType::DnsName(text("a"))], &["a"]);
    }

    #[test]
    fn names_that_could_be_taken_for_others_are_left_out() {
        for name in ["a\0b", "a\nb", "a\u{7f}", "a\u{85}", "", &"x".repeat(257)] {
            check(&[name], &[], &[]);
        }
        let longest = "x".repeat(256);
        check(&[&longest], &[], &[&longest]);
        let split = SanType::DnsName("a\0.example.org".try_into().unwrap());
        check(&["b"], &[split], &["b"]);
        let other = SanType::OtherName((
            vec![1, 2, 3],
            rcgen::OtherNameValue::Utf8String("c".to_owned()),
        ));
        check(&["b"], &[other], &["b"]);
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        assert!(super::of(b"").is_empty());
        assert!(super::of(b"\x30\x03\x02\x01\x00").is_empty());
    }
}
