//! Builds a generation's index, or opens the one that is there already.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::directory::{Directory, MmapDirectory, RamDirectory};
use tantivy::schema::Field as TantivyField;
use tantivy::tokenizer::TokenizerManager;
use tantivy::{Index, TantivyDocument};

use super::retrieve::PhrasingIndex;
use super::tokenizer::CanonicalTokenizer;
use super::{Field, IndexError, fields, schema};
use crate::analysis::Analyzer;

/// Memory tantivy may use while building, in bytes.
const BUILD_MEMORY: usize = 256 << 20;

/// Generations kept beside the newest one, for rolling back.
const KEPT: usize = 2;

/// The index of `texts` (canonical, one a phrasing) under `folder/fingerprint`; without a folder it lives in memory.
///
/// A build goes into a temporary folder that is renamed when it is whole: a kill half-way leaves nothing behind that
/// could be taken for an index.
///
/// # Errors
/// [`IndexError::Folder`] when the folder cannot be used.
pub fn build_or_open<'a>(
    folder: Option<&Path>,
    fingerprint: &str,
    texts: impl Iterator<Item = &'a str>,
    analyzer: &Arc<Analyzer>,
) -> Result<PhrasingIndex, IndexError> {
    let Some(folder) = folder else {
        return PhrasingIndex::new(&write(RamDirectory::create(), texts, analyzer)?);
    };
    let home = folder.join(fingerprint);
    if let Some(index) = open(&home, analyzer) {
        return Ok(index);
    }
    build(folder, &home, texts, analyzer)
}

/// `None` when there is no whole index of this fingerprint and format.
fn open(home: &Path, analyzer: &Arc<Analyzer>) -> Option<PhrasingIndex> {
    let mut index = Index::open_in_dir(home).ok()?;
    let damaged = index.validate_checksum().map_or(true, |files| !files.is_empty());
    if damaged || index.schema() != schema() {
        return None;
    }
    index.set_tokenizers(tokenizers(analyzer));
    PhrasingIndex::new(&index).ok()
}

fn build<'a>(
    folder: &Path,
    home: &Path,
    texts: impl Iterator<Item = &'a str>,
    analyzer: &Arc<Analyzer>,
) -> Result<PhrasingIndex, IndexError> {
    let unusable = |source| IndexError::Folder { folder: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let workshop = tempfile::Builder::new().prefix(".building-").tempdir_in(folder).map_err(unusable)?;
    let directory = MmapDirectory::open(workshop.path()).map_err(tantivy::TantivyError::from)?;
    drop(write(directory, texts, analyzer)?);
    if home.is_dir() {
        std::fs::remove_dir_all(home).map_err(unusable)?;
    } else if home.exists() {
        std::fs::remove_file(home).map_err(unusable)?;
    }
    std::fs::rename(workshop.path(), home).map_err(unusable)?;
    remove_old(folder, home);
    open(home, analyzer).ok_or_else(|| unusable(std::io::Error::other("the index just written cannot be opened")))
}

fn tokenizers(analyzer: &Arc<Analyzer>) -> TokenizerManager {
    let manager = TokenizerManager::default();
    for field in Field::ALL {
        manager.register(field.name(), CanonicalTokenizer { field, analyzer: Arc::clone(analyzer) });
    }
    manager
}

/// One segment, written in order, so that the document id is the phrasing's number.
fn write<'a>(
    directory: impl Into<Box<dyn Directory>>,
    texts: impl Iterator<Item = &'a str>,
    analyzer: &Arc<Analyzer>,
) -> Result<Index, IndexError> {
    let schema = schema();
    let fields: [TantivyField; 3] = fields(&schema)?;
    let builder = Index::builder().schema(schema).tokenizers(tokenizers(analyzer));
    let mut writer = builder.single_segment_index_writer(directory, BUILD_MEMORY)?;
    for text in texts {
        let mut document = TantivyDocument::new();
        for field in fields {
            document.add_text(field, text);
        }
        writer.add_document(document)?;
    }
    Ok(writer.finalize()?)
}

/// Deletes generations beyond the newest few; one that cannot be deleted is left for the next time.
fn remove_old(folder: &Path, newest: &Path) {
    let Ok(listing) = std::fs::read_dir(folder) else { return };
    let mut old: Vec<(std::time::SystemTime, PathBuf)> = listing
        .flatten()
        .filter(|item| item.path() != newest && item.path().join("meta.json").exists())
        .filter_map(|item| Some((item.metadata().ok()?.modified().ok()?, item.path())))
        .collect();
    old.sort();
    for (_, path) in old.iter().rev().skip(KEPT) {
        drop(std::fs::remove_dir_all(path));
    }
}
