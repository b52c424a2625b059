//! Webhooks as Standard Webhooks 1.0 has them: secrets, signatures, one delivery, and when to try again.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::OutboundError;
use super::guard::{Client, read_start};

/// Tries after which a message is a dead letter. With [`back_off`] the last comes 12 to 24 hours after the first, plus
/// what the calls themselves take and what receivers ask for by Retry-After.
pub const ATTEMPTS: u32 = 36;

/// First wait between two tries.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Longest wait between two tries, whatever a receiver asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Bytes of a key: 192 to 512 bits (spec, "Signature scheme").
const KEY: std::ops::RangeInclusive<usize> = 24..=64;

/// Base64 with or without padding: both are about.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text is no secret. Does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and 24 to 64 bytes in base64")]
pub struct SecretError;

/// A key that two sides share. Read from `whsec_` and base64, or from base64 alone; never shown.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let key = BASE64.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| SecretError)?;
        if !KEY.contains(&key.len()) {
            return Err(SecretError);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| SecretError)
    }
}

/// Signature of a message, `v1,` and base64: HMAC-SHA256 of `id.timestamp.body`. The timestamp is that of the try, in
/// seconds since 1970; the id stays the same from try to try and has no full stop (spec, "Signature scheme").
#[must_use]
pub fn sign(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac = secret.0.clone();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It may be an old one, sent again by somebody who overheard it.
    #[error("the timestamp is too far from now")]
    Timestamp,
    /// Nobody who knows a secret signed it.
    #[error("no signature is right")]
    Signature,
}

/// Checks a message: whether one of the signatures in `header`, separated by spaces, was made with one of the secrets,
/// and whether its timestamp (seconds since 1970) is within `tolerance` of now. Takes the same time whichever is right.
///
/// # Errors
/// When either is not so.
pub fn verify(
    secrets: &[Secret],
    id: &str,
    timestamp: i64,
    body: &[u8],
    header: &str,
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), SignatureError> {
    if now.as_second().abs_diff(timestamp) > tolerance.as_secs() {
        return Err(SignatureError::Timestamp);
    }
    let mut is_right = Choice::from(0);
    for secret in secrets {
        let wanted = sign(secret, id, timestamp, body);
        for signature in header.split(' ') {
            is_right |= wanted.as_bytes().ct_eq(signature.as_bytes());
        }
    }
    if is_right.into() { Ok(()) } else { Err(SignatureError::Signature) }
}

/// What came of one try. `why` is for people: one short line without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Delivered,
    /// The receiver wants no more messages at this address (410).
    Gone,
    /// It may go better later.
    Retry {
        /// How long the receiver asked to be left alone; above zero, an hour at most.
        after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// It will not go better: the address may not be called.
    Refused {
        /// What is wrong with it.
        why: String,
    },
}

/// Posts a signed JSON message to a receiver, once.
pub async fn deliver(client: &Client, url: &str, secret: &Secret, id: &str, now: Timestamp, body: &[u8]) -> Delivery {
    match send(client, url, secret, id, now, body).await {
        Ok(response) => outcome(response, now).await,
        Err(error @ (OutboundError::Forbidden(_) | OutboundError::Config(_))) => {
            Delivery::Refused { why: clean(&error.to_string()) }
        }
        Err(error) => Delivery::Retry { after: None, why: clean(&error.to_string()) },
    }
}

/// Posts a signed JSON message; the answer's body is not yet read.
pub(super) async fn send(
    client: &Client,
    url: &str,
    secret: &Secret,
    id: &str,
    now: Timestamp,
    body: &[u8],
) -> Result<Response, OutboundError> {
    let wrong = |_| OutboundError::Config("the message's id cannot stand in a header".to_owned());
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_str(id).map_err(wrong)?);
    headers.insert("webhook-timestamp", HeaderValue::from(now.as_second()));
    let signature = sign(secret, id, now.as_second(), body);
    headers.insert("webhook-signature", HeaderValue::from_str(&signature).map_err(wrong)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    client.post(url, headers, body).await
}

/// Bytes of a refusal that are read to tell why.
const READ: usize = 4096;

async fn outcome(mut response: Response, now: Timestamp) -> Delivery {
    let status = response.status();
    if status.is_success() {
        return Delivery::Delivered;
    }
    if status == StatusCode::GONE {
        return Delivery::Gone;
    }
    let after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
    let why = if status.is_redirection() {
        "redirects are not followed".to_owned()
    } else {
        clean(&String::from_utf8_lossy(&read_start(&mut response, READ).await))
    };
    Delivery::Retry { after, why: format!("answers {}: {why}", status.as_u16()) }
}

/// How long a Retry-After asks to wait: seconds or an HTTP date (RFC 9110, 10.2.3). `None` when that is no time.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
            Duration::try_from(date.duration_since(now)).ok()?
        }
    };
    (!wait.is_zero()).then_some(wait.min(LONGEST_WAIT))
}

/// Characters of a text from outside that are told.
const TOLD: usize = 200;

/// A text from outside as one short line.
fn clean(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_invisible(*c)).collect();
    line.trim().chars().take(TOLD).collect()
}

/// Control characters and those that turn the direction of text.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// How long to wait after the try of this number, counted from 1: a second, doubled from try to try up to an hour; of
/// that the upper half by chance, so that those who failed together do not come back together. `random` is any number.
#[must_use]
pub fn back_off(attempt: u32, random: u64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    let half = u64::try_from(doubled.min(LONGEST_WAIT).as_millis() / 2).unwrap_or(u64::MAX);
    Duration::from_millis(half + random % (half + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn secret(text: &str) -> Secret {
        text.parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What the reference libraries of standard-webhooks test themselves with (Go, Rust); the last is made with Python's.
    #[test]
    fn signatures_are_those_of_the_reference_libraries() {
        for (key, id, time, body, signature) in [
            (
                KEY_TEXT,
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                "msg_3",
                1_700_000_000,
                r#"{"名":"王小姐"}"#,
                "v1,I/XVamvM7lPd8XJeZDPW18w7HKpggKgaV0WG31FExuY=",
            ),
        ] {
            assert_eq!(sign(&secret(key), id, time, body.as_bytes()), signature);
            let tolerance = Duration::from_secs(300);
            assert_eq!(verify(&[secret(key)], id, time, body.as_bytes(), signature, at(time), tolerance), Ok(()));
        }
    }

    #[test]
    fn secrets_are_read_with_and_without_prefix_and_never_shown() {
        let signed = |text: &str| sign(&secret(text), "a", 1, b"");
        assert_eq!(signed(KEY_TEXT), signed(&KEY_TEXT["whsec_".len()..]));
        assert_eq!(signed(KEY_TEXT), signed(&format!("{KEY_TEXT}\n")));
        let of = |bytes: usize| format!("whsec_{}", BASE64.encode(vec![7; bytes]));
        assert_eq!(signed(&of(25)), signed(of(25).trim_end_matches('=')), "padding or none");
        for bytes in [24, 32, 64] {
            assert_eq!(format!("{:?}", secret(&of(bytes))), "Secret(..)");
        }
        for text in [of(23), of(65), String::new(), "whsec_".to_owned(), format!("{KEY_TEXT}!"), format!("x{KEY_TEXT}")]
        {
            assert_eq!(text.parse::<Secret>().unwrap_err(), SecretError, "{text}");
        }
    }

    #[test]
    fn only_what_was_signed_just_now_with_a_known_secret_is_believed() {
        let (old, new, tolerance) = (secret(KEY_TEXT), secret(&"A".repeat(32)), Duration::from_secs(300));
        let (time, body) = (1_700_000_000, b"{}");
        let right = sign(&old, "m", time, body);
        let check = |secrets: &[Secret], id: &str, body: &[u8], header: &str, now: i64| {
            verify(secrets, id, time, body, header, at(now), tolerance)
        };
        let both = [new.clone(), old.clone()];
        assert_eq!(check(&both, "m", body, &right, time), Ok(()));
        assert_eq!(check(&both, "m", body, &format!("v1,AAAA v1a,x  {right} v2,y"), time + 300), Ok(()));
        let half = &right[..right.len() - 1];
        for header in ["", " ", "v1,", &right[3..], half, &format!("{right},"), &right.to_uppercase()] {
            assert_eq!(check(&both, "m", body, header, time), Err(SignatureError::Signature), "{header}");
        }
        assert_eq!(check(&[new], "m", body, &right, time), Err(SignatureError::Signature));
        assert_eq!(check(&[], "m", body, &right, time), Err(SignatureError::Signature));
        assert_eq!(check(&both, "n", body, &right, time), Err(SignatureError::Signature));
        assert_eq!(check(&both, "m", b"{ }", &right, time), Err(SignatureError::Signature));
        for now in [time - 301, time + 301, 0] {
            assert_eq!(check(&both, "m", body, &right, now), Err(SignatureError::Timestamp));
        }
        let far = verify(&both, "m", i64::MIN, body, &right, at(time), tolerance);
        assert_eq!(far, Err(SignatureError::Timestamp));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_an_hour_at_most() {
        let now = at(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        let seconds = |value: &str| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 1 "), Some(1));
        assert_eq!(seconds("86400"), Some(3600));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Mon, 07 Nov 1994 08:49:37 GMT"), Some(3600));
        for value in ["0", "-1", "1.5", "soon", "", "99999999999999999999999", "Sun, 06 Nov 1994 08:49:36 GMT"] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }

    #[test]
    fn waits_double_up_to_an_hour_and_vary_in_their_upper_half() {
        for (attempt, longest) in [(0, 1), (1, 1), (2, 2), (3, 4), (11, 1024), (12, 2048), (13, 3600), (40, 3600)] {
            let longest = Duration::from_secs(longest);
            assert_eq!(back_off(attempt, 0), longest / 2);
            for random in [1, 12_345, u64::MAX / 3, u64::MAX] {
                assert!((longest / 2..=longest).contains(&back_off(attempt, random)), "{attempt} {random}");
            }
        }
        assert_eq!(back_off(u32::MAX, 0), LONGEST_WAIT / 2);
        let shortest: Duration = (1..ATTEMPTS).map(|attempt| back_off(attempt, 0)).sum();
        assert_eq!(shortest * 2, Duration::from_secs(4095 + 23 * 3600), "12 to 24 hours");
    }

    #[test]
    fn a_text_from_outside_is_one_short_line() {
        assert_eq!(clean(" a\r\nb\u{1b}[31m\u{0}c\u{202e}d\t"), "a  b[31mcd");
        assert_eq!(clean(&"坏".repeat(500)), "坏".repeat(200));
    }
}
