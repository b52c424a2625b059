//! Signatures as the platforms make them, and their comparison in constant time.
//!
//! A signature is made over the bytes that came, before anything reads them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::settings;

/// The secret that a platform and the shop share, as a key of HMAC-SHA256; never shown.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A secret of no bytes, or the one that examples show: everybody could sign with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is empty or a placeholder: write the platform's, or \"env:NAME\"")]
pub struct EmptyKey;

impl TryFrom<String> for Key {
    type Error = EmptyKey;

    fn try_from(secret: String) -> Result<Self, EmptyKey> {
        Self::new(settings::written(&secret)?.as_bytes())
    }
}

impl Key {
    /// A key of the bytes of a secret, as many as there are (RFC 2104, section 3).
    ///
    /// # Errors
    /// When there are none.
    pub fn new(secret: &[u8]) -> Result<Self, EmptyKey> {
        if secret.is_empty() {
            return Err(EmptyKey);
        }
        Hmac::new_from_slice(secret).map(Self).map_err(|_| EmptyKey)
    }

    /// HMAC-SHA256 (RFC 2104) of the parts, one after another with nothing between them.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Signature {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        Signature(mac.finalize().into_bytes().into())
    }
}

/// An HMAC-SHA256. Compare what a platform sent by [`is_hex`](Self::is_hex) or [`is_base64`](Self::is_base64).
#[derive(Clone, Copy)]
pub struct Signature([u8; 32]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(..)")
    }
}

impl Signature {
    /// 64 lower-case hexadecimal digits: Meta, TikTok Shop, Shopee, Chatwoot.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// 64 upper-case hexadecimal digits: calls to Lazada
    /// (<https://open.lazada.com/apps/doc/doc?nodeId=10400&docId=108068>).
    #[must_use]
    pub fn upper_hex(&self) -> String {
        hex::encode_upper(self.0)
    }

    /// Its first 16 bytes.
    #[must_use]
    pub fn half(&self) -> [u8; 16] {
        self.0.first_chunk().copied().unwrap_or_default()
    }

    /// Base64 with padding: LINE.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Whether `given` is this signature in hexadecimal, see [`same_hex`].
    #[must_use]
    pub fn is_hex(&self, given: &str) -> bool {
        same_hex(given, &self.hex())
    }

    /// Whether `given` is this signature in base64, see [`same`].
    #[must_use]
    pub fn is_base64(&self, given: &str) -> bool {
        same(given, &self.base64())
    }
}

/// SHA-1 of the parts in the order of their bytes, as 40 lower-case hexadecimal digits: the `signature` of WeChat
/// (token, timestamp, nonce) and the `msg_signature` of WeChat and WeCom (those and the `Encrypt` or `echostr`).
///
/// <https://developers.weixin.qq.com/doc/subscription/guide/dev/push/encryption.md>,
/// <https://developer.work.weixin.qq.com/document/path/90930>
#[must_use]
pub fn sorted_sha1(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    let mut hash = Sha1::new();
    for part in sorted {
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// Whether two texts are the same. How long it takes tells their lengths, never where they differ.
#[must_use]
pub fn same(given: &str, wanted: &str) -> bool {
    given.as_bytes().ct_eq(wanted.as_bytes()).into()
}

/// As [`same`], whatever the case of ASCII letters: the platforms' documents seldom say which case their digits have.
#[must_use]
pub fn same_hex(given: &str, wanted: &str) -> bool {
    same(&given.to_ascii_lowercase(), &wanted.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{EmptyKey, Key, Signature, same, same_hex, sorted_sha1};

    fn sign(secret: &str, parts: &[&str]) -> Signature {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        Key::new(secret.as_bytes()).unwrap().sign(&parts)
    }

    #[test]
    fn the_vectors_of_line_are_reproduced() {
        // line-bot-sdk-python tests/v3/test_webhook.py and line-bot-sdk-nodejs.
        assert_eq!(
            sign("channel_secret", &["bodybodybodybody"]).base64(),
            "/gg9a+LvFevTH1sd7XCQycD7tsWclCsInj7MhBHxN7k="
        );
        assert_eq!(
            sign("test_secret", &[r#"{"hello":"world"}"#]).base64(),
            "t7Hn4ZDHqs6e+wdvI5TyQIvzie0DmMUmuXEBqyyE/tM="
        );
    }

    #[test]
    fn the_vector_of_hub_256_is_reproduced() {
        // docs.github.com, "Validating webhook deliveries"; Meta uses the same recipe.
        let wanted = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let signature = sign("It's a Secret to Everybody", &["Hello, World!"]);
        assert_eq!(signature.hex(), wanted);
        assert!(signature.is_hex(wanted) && signature.is_hex(&wanted.to_uppercase()));
    }

    #[test]
    fn the_vector_of_lazada_is_reproduced() {
        let text = "/order/getaccess_tokentestapp_key123456order_id1234sign_methodsha256timestamp1517820392000";
        let wanted = "4190D32361CFB9581350222F345CB77F3B19F0E31D162316848A2C1FFD5FAB4A";
        assert_eq!(sign("helloworld", &[text]).upper_hex(), wanted);
    }

    #[test]
    fn the_vector_of_wechat_is_reproduced_in_any_order() {
        let wanted = "f21891de399b4e33a1a93c9a7b8a8fffb5a443ff";
        assert_eq!(sorted_sha1(&["test", "1410685589", "test"]), wanted);
        assert_eq!(sorted_sha1(&["1410685589", "test", "test"]), wanted);
    }

    #[test]
    fn parts_are_signed_as_one_text() {
        let whole = sign("secret", &["1700000000.{\"text\":\"亲\"}"]);
        assert!(whole.is_hex(&sign("secret", &["1700000000", ".", "{\"text\":\"亲\"}", ""]).hex()));
        assert!(!whole.is_hex(&sign("secret", &["1700000000", "{\"text\":\"亲\"}"]).hex()));
    }

    #[test]
    fn long_secrets_and_short_ones_sign_as_the_standard_says() {
        // RFC 4231, test cases 2 and 6.
        assert_eq!(
            sign("Jefe", &["what do ya want for nothing?"]).hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long = Key::new(&[0xaa; 131]).unwrap();
        assert_eq!(
            long.sign(&[b"Test Using Larger Than Block-Size Key - Hash Key First"]).hex(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn nobody_signs_with_an_empty_secret() {
        assert_eq!(Key::new(b"").unwrap_err(), EmptyKey);
    }

    #[test]
    fn a_forged_signature_is_refused() {
        let signature = sign("secret", &["body"]);
        let (hex, base64) = (signature.hex(), signature.base64());
        assert!(signature.is_hex(&hex) && signature.is_base64(&base64));
        for (forged, _) in hex.char_indices() {
            let mut other = hex.clone().into_bytes();
            other[forged] = if other[forged] == b'0' { b'1' } else { b'0' };
            assert!(!signature.is_hex(std::str::from_utf8(&other).unwrap()), "digit {forged}");
        }
        for wrong in ["", &hex[1..], &format!("{hex}0"), &format!(" {hex}"), &base64] {
            assert!(!signature.is_hex(wrong), "{wrong}");
        }
        for wrong in ["", base64.trim_end_matches('='), &base64.to_lowercase(), &hex] {
            assert!(!signature.is_base64(wrong), "{wrong}");
        }
    }

    #[test]
    fn only_ascii_letters_are_alike_in_either_case() {
        assert!(same_hex("AbC", "aBc") && !same("AbC", "aBc"));
        assert!(!same_hex("\u{212a}", "k"), "the Kelvin sign is no k");
    }

    #[test]
    fn neither_keys_nor_signatures_are_shown() {
        let signature = sign("a secret", &["body"]);
        assert_eq!(format!("{:?} {signature:?}", Key::new(b"a secret").unwrap()), "Key(..) Signature(..)");
    }
}
