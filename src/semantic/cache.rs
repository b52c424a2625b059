//! Vectors on disk, by the hash of their text: a reload fetches only what is new.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};
use sha2::{Digest, Sha256};

/// First bytes of a file.
const MAGIC: &[u8; 8] = b"yingda-v";

/// Hash of a text.
type Key = [u8; 16];

/// Vectors of one model.
pub(super) struct Cache {
    /// `None` keeps them in memory only.
    file: Option<PathBuf>,
    vectors: FxHashMap<Key, Vec<f32>>,
    /// Whether there is something that the file does not have.
    is_new: bool,
}

impl Cache {
    /// The vectors of a model that were kept under `folder`; none when there is no whole file of them.
    pub fn open(folder: Option<&Path>, endpoint: &str, model: &str) -> Self {
        let name = hex::encode(&Sha256::digest(format!("{endpoint}\n{model}"))[..8]);
        let file = folder.map(|folder| folder.join(format!("vectors-{name}.bin")));
        let vectors =
            file.as_ref().and_then(|file| std::fs::read(file).ok()).and_then(|bytes| read(&bytes)).unwrap_or_default();
        Self { file, vectors, is_new: false }
    }

    /// Texts without a vector, each once.
    pub fn missing<'a>(&self, texts: &[&'a str]) -> Vec<&'a str> {
        let mut seen = FxHashSet::default();
        texts.iter().copied().filter(|text| !self.vectors.contains_key(&key(text)) && seen.insert(key(text))).collect()
    }

    /// Whether the vectors are not all of one length: they are not of one model then.
    pub fn is_mixed(&self) -> bool {
        let mut lengths = self.vectors.values().map(Vec::len);
        lengths.next().is_some_and(|first| lengths.any(|length| length != first))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.vectors.clear();
    }

    pub fn keep(&mut self, text: &str, vector: Vec<f32>) {
        self.vectors.insert(key(text), vector);
        self.is_new = true;
    }

    pub fn get(&self, text: &str) -> Option<Vec<f32>> {
        self.vectors.get(&key(text)).cloned()
    }

    /// Writes the vectors of these texts, and of no others, in place of the file there was; leaves a file that lacks none.
    pub fn save(&self, texts: &[&str]) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.is_new) else { return Ok(()) };
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut workshop = tempfile::Builder::new().prefix(".vectors-").tempfile_in(folder)?;
        let mut bytes = MAGIC.to_vec();
        let mut seen = FxHashSet::default();
        for key in texts.iter().map(|text| key(text)).filter(|key| seen.insert(*key)) {
            if let Some(vector) = self.vectors.get(&key) {
                bytes.extend(key);
                bytes.extend(u32::try_from(vector.len()).unwrap_or(0).to_le_bytes());
                vector.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
            }
        }
        bytes.extend(Sha256::digest(&bytes));
        workshop.write_all(&bytes)?;
        workshop.persist(file).map_err(|error| error.error)?;
        Ok(())
    }
}

fn key(text: &str) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&Sha256::digest(text)[..16]);
    key
}

/// `None` when the bytes are not a whole file.
fn read(bytes: &[u8]) -> Option<FxHashMap<Key, Vec<f32>>> {
    let (whole, sum) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    if Sha256::digest(whole)[..] != *sum {
        return None;
    }
    let mut rest = whole.strip_prefix(MAGIC)?;
    let mut vectors = FxHashMap::default();
    while let Some((key, after)) = rest.split_first_chunk::<16>() {
        let (length, after) = after.split_first_chunk::<4>()?;
        let (numbers, after) = after.split_at_checked(4 * u32::from_le_bytes(*length) as usize)?;
        let vector = numbers.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        vectors.insert(*key, vector);
        rest = after;
    }
    Some(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_two_models_are_noticed() {
        let mut cache = Cache::open(None, "http://a", "m");
        cache.keep("a", vec![1.0, 2.0]);
        assert!(!cache.is_mixed());
        cache.keep("b", vec![1.0]);
        assert!(cache.is_mixed());
        cache.clear();
        assert!(!cache.is_mixed() && cache.missing(&["a"]) == ["a"]);
    }

    #[test]
    fn what_is_kept_is_read_again_and_a_damaged_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let open = |model| Cache::open(Some(folder.path()), "http://a", model);
        let mut cache = open("m");
        assert_eq!(cache.missing(&["a", "b", "a"]), ["a", "b"]);
        cache.keep("a", vec![1.0, -0.5]);
        cache.keep("gone", vec![2.0]);
        cache.save(&["a", "b", "a"]).unwrap();
        assert_eq!(open("m").missing(&["a", "b", "gone"]), ["b", "gone"]);
        assert_eq!(open("m").get("a").unwrap(), [1.0, -0.5]);
        assert_eq!(open("other").missing(&["a"]), ["a"]);
        let file = cache.file.clone().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[30] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(open("m").missing(&["a"]), ["a"]);
        std::fs::write(&file, b"").unwrap();
        assert_eq!(open("m").missing(&["a"]), ["a"]);
    }
}
