//! The AES envelope in which WeChat and WeCom wrap what they send.
//!
//! AES-256-CBC of `16 random bytes ‖ length of the message, 4 bytes, big-endian ‖ message ‖ receive id`, padded by PKCS#7
//! to 32 bytes, in base64. The initialisation vector is the first half of the key. The envelope itself is not
//! authenticated: check its [`signature`] before it is opened.
//!
//! <https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/Technical_Plan.html>,
//! <https://developer.work.weixin.qq.com/document/path/90968>

use aes::Aes256;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use subtle::{Choice, ConstantTimeEq, ConstantTimeGreater};

use super::signature::sorted_sha1;

/// Characters of an `EncodingAESKey`: 32 bytes in base64 without its padding.
const KEY_CHARS: usize = 43;

/// Bytes to a multiple of which a text is padded, twice the block of AES.
const PADDED: usize = 32;

/// Random bytes that an envelope begins with.
const RANDOM: usize = 16;

/// Bytes that tell the length of the message.
const LENGTH: usize = 4;

/// Reads keys. Three of four texts of 43 characters end in bits that belong to no byte, and WeChat hands them out.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Why there is no message. Tells nothing of the key or the text, nor which check failed: whoever may send envelopes and
/// learns which are padded rightly can read them (Vaudenay, EUROCRYPT 2002).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The setting is no key.
    #[error("an EncodingAESKey is 43 characters of base64")]
    Key,
    /// It was made with another key, for another receiver, or is damaged.
    #[error("the envelope cannot be opened")]
    Envelope,
}

/// Opens and closes the envelopes of one receiver.
#[derive(Clone)]
pub struct Crypto {
    key: [u8; 32],
    receive_id: Vec<u8>,
}

impl std::fmt::Debug for Crypto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crypto(..)")
    }
}

impl Crypto {
    /// Takes the `EncodingAESKey` of the platform's settings, and the id that its envelopes end with: the appid of an
    /// official account, the corpid of WeCom, nothing for WeCom's intelligent robots.
    ///
    /// # Errors
    /// [`CryptoError::Key`] when the key is not 43 characters of base64.
    pub fn new(encoding_aes_key: &str, receive_id: &str) -> Result<Self, CryptoError> {
        if encoding_aes_key.len() != KEY_CHARS {
            return Err(CryptoError::Key);
        }
        let key = KEY_BASE64.decode(encoding_aes_key).map_err(|_| CryptoError::Key)?;
        let key = key.try_into().map_err(|_| CryptoError::Key)?;
        Ok(Self { key, receive_id: receive_id.as_bytes().to_vec() })
    }

    /// The message in an envelope, the text of `Encrypt` or `echostr`.
    ///
    /// # Errors
    /// [`CryptoError::Envelope`], whatever is wrong with it.
    pub fn decrypt(&self, base64: &str) -> Result<Vec<u8>, CryptoError> {
        let mut bytes = general_purpose::STANDARD.decode(base64).map_err(|_| CryptoError::Envelope)?;
        let (blocks, rest) = Array::slice_as_chunks_mut(&mut bytes);
        if !rest.is_empty() {
            return Err(CryptoError::Envelope);
        }
        cbc::Decryptor::<Aes256>::new(&self.key.into(), &self.iv().into()).decrypt_blocks(blocks);
        self.open(&bytes).map(<[u8]>::to_vec).ok_or(CryptoError::Envelope)
    }

    /// An envelope around a message, in base64. The random bytes must be new ones each time: the first block hides the
    /// rest. No platform takes a message of 4 GiB; what is beyond that is cut off.
    #[must_use]
    pub fn encrypt(&self, random: [u8; 16], message: &[u8]) -> String {
        let message = message.get(..u32::MAX as usize).unwrap_or(message);
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(RANDOM + LENGTH + message.len() + self.receive_id.len() + PADDED);
        bytes.extend_from_slice(&random);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(message);
        bytes.extend_from_slice(&self.receive_id);
        let padding = PADDED - bytes.len() % PADDED;
        bytes.resize(bytes.len() + padding, u8::try_from(padding).unwrap_or_default());
        let (blocks, _) = Array::slice_as_chunks_mut(&mut bytes);
        cbc::Encryptor::<Aes256>::new(&self.key.into(), &self.iv().into()).encrypt_blocks(blocks);
        general_purpose::STANDARD.encode(bytes)
    }

    /// The first half of the key.
    fn iv(&self) -> [u8; 16] {
        let mut iv = [0; 16];
        iv.iter_mut().zip(self.key).for_each(|(byte, key)| *byte = key);
        iv
    }

    /// The message of a decrypted text, if its padding, its length and its receive id are right.
    fn open<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        let (padding, is_padded) = padding(text)?;
        let text = text.get(RANDOM..text.len().checked_sub(padding)?)?;
        let (length, text) = text.split_first_chunk::<LENGTH>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (message, receive_id) = text.split_at_checked(length)?;
        bool::from(is_padded & receive_id.ct_eq(&self.receive_id)).then_some(message)
    }
}

/// How many bytes at the end of a text are padding, by its last byte, and whether they are PKCS#7 of 1 to 32 bytes.
/// Looks at the last 32 bytes alike, whatever they are. `None` if there are fewer.
fn padding(text: &[u8]) -> Option<(usize, Choice)> {
    let end = text.last_chunk::<PADDED>()?;
    let [.., last] = *end;
    let mut is_right = !last.ct_eq(&0) & !last.ct_gt(&(PADDED as u8));
    for (place, byte) in (1..=PADDED as u8).rev().zip(end) {
        is_right &= place.ct_gt(&last) | byte.ct_eq(&last);
    }
    Some((usize::from(last), is_right))
}

/// The `msg_signature` of an envelope; compare it by [`same_hex`](super::signature::same_hex). `encrypt` is the text of
/// `Encrypt`, or of `echostr` when WeCom checks an address.
#[must_use]
pub fn signature(token: &str, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    sorted_sha1(&[token, timestamp, nonce, encrypt])
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use cbc::cipher::{Array, BlockModeEncrypt, KeyIvInit};
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::{Crypto, CryptoError, signature};

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    const APPID: &str = "wxb11529c136998cb6";

    fn crypto() -> Crypto {
        Crypto::new(KEY, APPID).unwrap()
    }

    /// An envelope around a text of whole blocks, whatever stands in it.
    fn wrapped(text: &[u8]) -> String {
        let crypto = crypto();
        let mut bytes = text.to_vec();
        let (blocks, rest) = Array::slice_as_chunks_mut(&mut bytes);
        assert!(rest.is_empty());
        cbc::Encryptor::<aes::Aes256>::new(&crypto.key.into(), &crypto.iv().into()).encrypt_blocks(blocks);
        STANDARD.encode(bytes)
    }

    /// Random bytes, a length, a message of `hello`, an id and a padding.
    fn text(length: u32, receive_id: &str, padding: &[u8]) -> Vec<u8> {
        [&[7; 16][..], &length.to_be_bytes(), b"hello", receive_id.as_bytes(), padding].concat()
    }

    #[test]
    fn the_vector_of_wechat_is_reproduced() {
        // Wechat-Group/WxJava WxCryptUtilTest.
        let envelope = "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg==";
        let message = "我是中文abcd123";
        assert_eq!(crypto().encrypt(*b"aaaabbbbccccdddd", message.as_bytes()), envelope);
        assert_eq!(crypto().decrypt(envelope).unwrap(), message.as_bytes());
    }

    #[test]
    fn the_vector_of_wecom_is_reproduced() {
        // wechatpy tests/test_crypto.py.
        let echo = "4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q==";
        let crypto = Crypto::new("kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR", "wx49f0ab532d5d035a").unwrap();
        assert_eq!(signature("123456", "1411443780", "437374425", echo), "dd6b9c95b495b3f7e2901bfbc76c664930ffdb96");
        assert_eq!(crypto.decrypt(echo).unwrap(), b"5927782489442352469");
    }

    #[test]
    fn a_key_is_43_characters_of_base64() {
        for last in ['A', 'Q', 'G', '9', '/'] {
            assert!(Crypto::new(&format!("{}{last}", &KEY[..42]), APPID).is_ok(), "{last}");
        }
        for wrong in ["", &KEY[1..], &format!("{KEY}="), &format!("{KEY}A"), &KEY.replace('b', "-"), &"亲".repeat(15)]
        {
            assert_eq!(Crypto::new(wrong, APPID).unwrap_err(), CryptoError::Key, "{wrong}");
        }
    }

    #[test]
    fn neither_key_nor_receiver_is_shown() {
        assert_eq!(format!("{:?}", crypto()), "Crypto(..)");
    }

    #[test]
    fn an_envelope_for_somebody_else_is_refused() {
        let envelope = crypto().encrypt([1; 16], b"hello");
        for other in ["", "wxb11529c136998cb7", "wxb11529c136998cb", "xb11529c136998cb6", "WXB11529C136998CB6"] {
            let refused = Crypto::new(KEY, other).unwrap().decrypt(&envelope);
            assert_eq!(refused.unwrap_err(), CryptoError::Envelope, "{other}");
        }
        let stranger = Crypto::new(&KEY.replace('a', "b"), APPID).unwrap();
        assert_eq!(stranger.decrypt(&envelope).unwrap_err(), CryptoError::Envelope);
    }

    #[test]
    fn a_receiver_without_an_id_takes_envelopes_without_one_only() {
        let robot = Crypto::new(KEY, "").unwrap();
        assert_eq!(robot.decrypt(&robot.encrypt([1; 16], b"hello")).unwrap(), b"hello");
        assert!(crypto().decrypt(&robot.encrypt([1; 16], b"hello")).is_err());
    }

    #[test]
    fn the_length_must_leave_exactly_the_receive_id() {
        // 16 + 4 + 5 + 18 bytes: 21 bytes of padding to 64.
        let padding = [21; 21];
        assert_eq!(crypto().decrypt(&wrapped(&text(5, APPID, &padding))).unwrap(), b"hello");
        for length in [0, 4, 6, 23, 24, 44, 45, 1 << 16, u32::MAX] {
            assert!(crypto().decrypt(&wrapped(&text(length, APPID, &padding))).is_err(), "{length}");
        }
    }

    #[test]
    fn padding_is_1_to_32_bytes_that_tell_their_number() {
        let whole = |padding: &[u8], message: usize| {
            let length = u32::try_from(message).unwrap().to_be_bytes();
            [&[7; 16][..], &length, &vec![b'a'; message], APPID.as_bytes(), padding].concat()
        };
        for size in 1..=32_u8 {
            let padding = vec![size; usize::from(size)];
            let message = 96 - 38 - usize::from(size);
            assert_eq!(crypto().decrypt(&wrapped(&whole(&padding, message))).unwrap().len(), message, "{size}");
            for place in 0..padding.len() {
                let mut other = padding.clone();
                other[place] ^= 1;
                let refused = crypto().decrypt(&wrapped(&whole(&other, message)));
                assert_eq!(refused.unwrap_err(), CryptoError::Envelope, "{size} bytes, the one at {place}");
            }
        }
        for size in [33, 48, 64] {
            let padding = vec![size; usize::from(size)];
            assert!(crypto().decrypt(&wrapped(&whole(&padding, 160 - 38 - usize::from(size)))).is_err(), "{size}");
        }
        assert!(crypto().decrypt(&wrapped(&[0; 64])).is_err());
        assert!(crypto().decrypt(&wrapped(&[32; 32])).is_err());
    }

    #[test]
    fn a_shortened_envelope_is_refused() {
        let envelope = crypto().encrypt([1; 16], &[b'a'; 100]);
        for end in 0..envelope.len() {
            assert_eq!(crypto().decrypt(&envelope[..end]).unwrap_err(), CryptoError::Envelope, "{end} characters");
        }
        let bytes = STANDARD.decode(&envelope).unwrap();
        for end in 0..bytes.len() {
            let refused = crypto().decrypt(&STANDARD.encode(&bytes[..end]));
            assert_eq!(refused.unwrap_err(), CryptoError::Envelope, "{end} bytes");
        }
    }

    #[test]
    fn a_changed_bit_never_brings_the_message_through_whole() {
        // CBC alone cannot refuse them all: a change in the middle garbles a block of the message. One in the length,
        // the id or the padding is refused.
        let message = [b'a'; 60];
        let bytes = STANDARD.decode(crypto().encrypt([1; 16], &message)).unwrap();
        let mut refused = 0;
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            match crypto().decrypt(&STANDARD.encode(other)) {
                Ok(read) => assert_ne!(read, message, "bit {bit}"),
                Err(error) => {
                    assert_eq!(error, CryptoError::Envelope);
                    refused += 1;
                }
            }
        }
        assert!(refused >= 3 * 128, "{refused}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_wrapped_is_unwrapped(random in any::<[u8; 16]>(), message in vec(any::<u8>(), 0..5000), id in ".{0,40}") {
            let crypto = Crypto::new(KEY, &id).unwrap();
            let envelope = crypto.encrypt(random, &message);
            assert_eq!(STANDARD.decode(&envelope).unwrap().len() % 32, 0);
            assert_eq!(crypto.decrypt(&envelope).unwrap(), message);
        }

        #[test]
        fn any_text_is_refused_in_peace(text in any::<String>(), bytes in vec(any::<u8>(), 0..200)) {
            assert_eq!(crypto().decrypt(&text).unwrap_err(), CryptoError::Envelope);
            assert_eq!(crypto().decrypt(&STANDARD.encode(bytes)).unwrap_err(), CryptoError::Envelope);
        }
    }
}
