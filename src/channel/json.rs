//! JSON as platforms and their clients really write it.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a body says in JSON; none when it is not of that shape.
///
/// A member that is null is as one that is not there: programs that write their own models out leave nulls where the
/// platform itself leaves nothing (aiogram's `Update.model_dump_json` does). Half a surrogate pair is read as U+FFFD: programs
/// that count UTF-16 units cut emoji in two, and `JSON.stringify` writes the half out
/// (<https://tc39.es/ecma262/#sec-quotejsonstring>).
#[must_use]
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let mut value = serde_json::from_slice(body).or_else(|_| serde_json::from_slice(&paired(body))).ok()?;
    drop_nulls(&mut value);
    T::deserialize(value).ok()
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The same with `\\ufffd` in place of each escaped surrogate that has no other half.
fn paired(body: &[u8]) -> Vec<u8> {
    let (mut mended, mut rest) = (Vec::with_capacity(body.len()), body);
    while let Some(start) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(start);
        mended.extend_from_slice(before);
        let (kept, length): (Option<&[u8]>, _) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (escape.get(..12), 12),
            (Some(0xD800..=0xDFFF), _) => (Some(b"\\ufffd"), 6),
            _ => (escape.get(..2), 2),
        };
        mended.extend_from_slice(kept.unwrap_or(escape));
        rest = escape.get(length..).unwrap_or_default();
    }
    mended.extend_from_slice(rest);
    mended
}

/// The UTF-16 unit that an escape at the beginning stands for.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Body {
        #[serde(default)]
        text: String,
        items: Vec<Value>,
    }

    #[test]
    fn what_is_null_is_not_there_and_items_keep_their_places() {
        let read = |body: &str| read(body.as_bytes());
        let body = r#"{"text":null,"items":[null,{"a":null,"b":{"c":null}}]}"#;
        assert_eq!(read(body), Some(Body { text: String::new(), items: vec![Value::Null, json!({ "b": {} })] }));
        for body in ["", "{", "null", "[]", r#"{"items":null}"#, r#"{"items":[],"text":1}"#] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    #[test]
    fn half_an_emoji_takes_nothing_else_with_it() {
        for (written, text) in [
            (r"a\ud83d", "a\u{fffd}"),
            (r"\uDE00b", "\u{fffd}b"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
            (r"\ud83d\ude00\ude00\u4eb2", "😀\u{fffd}亲"),
            (r#"\\ud83d \ud83d\n\""#, "\\ud83d \u{fffd}\n\""),
            (r"\ud83d\\ude00", "\u{fffd}\\ude00"),
        ] {
            assert_eq!(read(format!("\"{written}\"").as_bytes()), Some(Value::from(text)), "{written}");
        }
        for body in [r#""\ud83"#, r#""\u"#, r#""\"#, r#""\ud83d"#, r#""\ud83d\"#, r#""\ud83d\ude00"#, r#""\ux""#] {
            assert_eq!(read::<Value>(body.as_bytes()), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn what_is_whole_is_left_as_it_is(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let written = json!({ "text": text }).to_string();
            assert_eq!(paired(written.as_bytes()), written.as_bytes());
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            assert_eq!(paired(escaped.as_bytes()), escaped.as_bytes());
            drop(paired(&bytes));
        }
    }
}
