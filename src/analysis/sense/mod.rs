//! What words mean, as far as 64 numbers can say it: 寄出, 发货 and ship lie close together.
//!
//! The numbers ship inside the program (`words.bin`, made by `make.py` from an MIT-licensed embedding model); a text's
//! sense is the mean of its words', each weighted by how little it is used in general (Arora, Liang and Ma, "A simple
//! but tough-to-beat baseline for sentence embeddings", ICLR 2017). No model runs: a text takes microseconds.

use super::Analysis;

/// Numbers in a sense.
pub const DIMENSIONS: usize = 64;

/// Direction of a text's meaning: of length 1, or 0 when no word of it is known.
pub type Sense = [f32; DIMENSIONS];

/// See `make.py` for the format.
static FILE: &[u8] = include_bytes!("words.bin");

/// Sense of the words of a text; an unknown word of Han characters counts as its characters.
#[must_use]
pub fn sense(analysis: &Analysis) -> Sense {
    let mut sum = [0.0; DIMENSIONS];
    let table = Table::of(FILE);
    for word in analysis.words.iter().filter(|word| !word.inner) {
        let word = &analysis.text[word.span.clone()];
        if let Some(place) = table.find(word) {
            table.add(place, 1.0, &mut sum);
        } else {
            let share = 1.0 / word.chars().count().max(1) as f32;
            for character in word.split("").filter_map(|character| table.find(character)) {
                table.add(character, share, &mut sum);
            }
        }
    }
    normalised(sum)
}

fn normalised(mut sum: Sense) -> Sense {
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|value| *value /= length);
    }
    sum
}

/// The parts of the file; words are in byte order.
#[derive(Clone, Copy)]
struct Table<'a> {
    /// End of each word in `texts`, four bytes each.
    ends: &'a [u8],
    texts: &'a [u8],
    /// 255 for the rarest words.
    weights: &'a [u8],
    /// `DIMENSIONS` signed bytes a word.
    vectors: &'a [u8],
}

impl<'a> Table<'a> {
    const HEADER: usize = 8;

    fn of(file: &'a [u8]) -> Self {
        let count = number(file, 0);
        let (ends, rest) = file[Self::HEADER..].split_at(4 * count);
        let (texts, rest) = rest.split_at(number(ends, count - 1));
        let (weights, vectors) = rest.split_at(count);
        Self { ends, texts, weights, vectors }
    }

    fn word(&self, place: usize) -> &'a [u8] {
        let start = place.checked_sub(1).map_or(0, |before| number(self.ends, before));
        &self.texts[start..number(self.ends, place)]
    }

    fn find(&self, word: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.weights.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.word(middle).cmp(word.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    fn add(&self, place: usize, share: f32, sum: &mut Sense) {
        let weight = share * f32::from(self.weights[place]);
        let vector = &self.vectors[place * DIMENSIONS..][..DIMENSIONS];
        for (value, byte) in sum.iter_mut().zip(vector) {
            *value += weight * f32::from(byte.cast_signed());
        }
    }
}

/// The `place`th little-endian number of four bytes.
fn number(bytes: &[u8], place: usize) -> usize {
    let four = &bytes[4 * place..][..4];
    four.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole_and_in_order() {
        let table = Table::of(FILE);
        assert_eq!(number(FILE, 1), DIMENSIONS);
        assert_eq!(table.vectors.len(), table.weights.len() * DIMENSIONS);
        assert!((1..table.weights.len()).all(|place| table.word(place - 1) < table.word(place)));
        assert!((0..table.weights.len()).step_by(997).all(|place| {
            let word = std::str::from_utf8(table.word(place)).unwrap();
            table.find(word) == Some(place)
        }));
    }

    #[test]
    fn an_unknown_word_is_not_found() {
        let table = Table::of(FILE);
        assert!(["", "龘龘龘", "zzzz", "\u{10FFFF}"].iter().all(|word| table.find(word).is_none()));
    }
}
