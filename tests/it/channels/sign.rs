//! How platforms sign: HMAC-SHA256, written in hexadecimal or base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

fn hmac(secret: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// In lower-case hexadecimal.
pub fn hmac_hex(secret: &str, text: &str) -> String {
    hex::encode(hmac(secret, text))
}

/// In base64 with its padding.
pub fn hmac_base64(secret: &str, text: &str) -> String {
    STANDARD.encode(hmac(secret, text))
}
