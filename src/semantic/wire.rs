//! The shapes of OpenAI's embeddings API, <https://platform.openai.com/docs/api-reference/embeddings/create>.

use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub(super) struct Request<'a> {
    pub model: &'a str,
    pub input: &'a [&'a str],
    pub encoding_format: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Reply {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

/// A vector whose numbers are all below this is no direction.
const LEAST: f32 = 1e-6;

/// Most numbers that a vector may have.
const MOST_DIMENSIONS: usize = 8_192;

impl Reply {
    /// The vectors of an answer, one a text, in the order of the texts, all of one length and finite.
    pub fn vectors(body: &[u8], texts: usize) -> Result<Vec<Vec<f32>>, String> {
        let Self { mut data } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        data.sort_unstable_by_key(|item| item.index);
        if data.len() != texts || data.iter().enumerate().any(|(place, item)| item.index != place) {
            return Err(format!("{} vectors for {texts} texts", data.len()));
        }
        let dimensions = data.first().map_or(0, |item| item.embedding.len());
        for item in &data {
            if item.embedding.len() != dimensions || dimensions == 0 || dimensions > MOST_DIMENSIONS {
                return Err(format!(
                    "vector {} has {} numbers, the first has {dimensions}",
                    item.index,
                    item.embedding.len()
                ));
            }
            if item.embedding.iter().any(|value| !value.is_finite())
                || item.embedding.iter().all(|value| value.abs() < LEAST)
            {
                return Err(format!("vector {} is no direction", item.index));
            }
        }
        Ok(data.into_iter().map(|item| item.embedding).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_in_the_order_of_the_texts() {
        let body =
            br#"{"object":"list","data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1.5,2]}],"model":"m"}"#;
        assert_eq!(Reply::vectors(body, 2).unwrap(), [vec![1.5, 2.0], vec![3.0, 4.0]]);
    }

    #[test]
    fn lies_are_refused() {
        for body in [
            r#"{"data":[]}"#,
            r#"{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}"#,
            r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#,
            r#"{"data":[{"index":0,"embedding":[1]},{"index":7,"embedding":[1]}]}"#,
            r#"{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1]}]}"#,
            r#"{"data":[{"index":0,"embedding":[0,0]},{"index":1,"embedding":[1,2]}]}"#,
            r#"{"data":[{"index":0,"embedding":[NaN]},{"index":1,"embedding":[1]}]}"#,
            r#"{"data":[{"index":0,"embedding":[null]},{"index":1,"embedding":[1]}]}"#,
            r#"{"data":[{"index":0,"embedding":[1e99]},{"index":1,"embedding":[1]}]}"#,
            r#"{"error":"no"}"#,
            "<html>",
            "",
        ] {
            assert!(Reply::vectors(body.as_bytes(), 2).is_err(), "{body}");
        }
    }
}
