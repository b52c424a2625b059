//! The query string of a platform's call, read by name.

use std::borrow::Cow;

use form_urlencoded::parse;

/// The value of `name` in a raw query string, without its `?`: percent-encoding decoded, `+` read as a space, bytes that
/// are no UTF-8 as U+FFFD (<https://url.spec.whatwg.org/#urlencoded-parsing>).
///
/// `None` when the name is missing, and also when it is there twice, however it is encoded: one reader takes the first
/// value and another the last, so nobody can say which of them was signed.
#[must_use]
pub fn value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut values = parse(query.as_bytes()).filter(|(found, _)| found == name).map(|(_, value)| value);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::value;

    #[test]
    fn a_value_is_found_by_its_name() {
        let query = "signature=ab&timestamp=1410685589&nonce=&openid";
        assert_eq!(value(query, "signature").as_deref(), Some("ab"));
        assert_eq!(value(query, "timestamp").as_deref(), Some("1410685589"));
        assert_eq!(value(query, "nonce").as_deref(), Some(""));
        assert_eq!(value(query, "openid").as_deref(), Some(""));
        assert_eq!(value(query, "sign"), None);
        assert_eq!(value("", "signature"), None);
    }

    #[test]
    fn names_and_values_are_decoded_once() {
        assert_eq!(value("echostr=4ByGGj%2BsVC%3D%3D", "echostr").as_deref(), Some("4ByGGj+sVC=="));
        assert_eq!(value("hub.challenge=a+b", "hub.challenge").as_deref(), Some("a b"));
        assert_eq!(value("n%6Fnce=%2541&x=%E4%BA%B2", "nonce").as_deref(), Some("%41"));
        assert_eq!(value("x=%E4%BA%B2", "x").as_deref(), Some("亲"));
        assert_eq!(value("x=%FF&y=%zz", "x").as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn a_name_that_is_there_twice_has_no_value() {
        for query in ["nonce=a&nonce=b", "nonce=a&nonce=a", "nonce=a&n%6fnce=b", "nonce&x=1&nonce=a"] {
            assert_eq!(value(query, "nonce"), None, "{query}");
        }
        assert_eq!(value("nonce=a&Nonce=b", "nonce").as_deref(), Some("a"), "names are told apart by letter case");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(name in any::<String>(), text in any::<String>(), other in "[a-z]{3}") {
            let other = format!("{name}{other}");
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair(&other, "no")
                .append_pair(&name, &text)
                .finish();
            assert_eq!(value(&query, &name).as_deref(), Some(text.as_str()));
        }

        #[test]
        fn any_text_can_be_asked(query in any::<String>(), name in any::<String>()) {
            let _ = value(&query, &name);
        }
    }
}
