//! The tantivy index: one document a phrasing, in the order of the corpus.
//!
//! A generation is one segment in its own folder, named by the fingerprint of what it was built from, and never changes.

mod build;
mod retrieve;
mod tokenizer;

use std::path::PathBuf;

use tantivy::schema::{Field as TantivyField, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};

pub use self::build::build_or_open;
pub use self::retrieve::{Budget, Hit, PhrasingIndex, ProbeTerm, rarity};

/// What of a phrasing a term is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Words, with the shorter words inside them.
    Words,
    /// Single characters and pairs of neighbours.
    Grams,
    /// Pairs of neighbouring syllables.
    Pinyin,
}

impl Field {
    const ALL: [Self; 3] = [Self::Words, Self::Grams, Self::Pinyin];

    /// Name of the field and of its tokenizer.
    const fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Grams => "grams",
            Self::Pinyin => "pinyin",
        }
    }
}

/// Why an index could not be built or opened.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The folder cannot be written or read.
    #[error("the index folder {folder} cannot be used: {source}; name a writable folder with --index", folder = .folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// tantivy refused.
    #[error("the index could not be built or read: {0}")]
    Tantivy(#[from] tantivy::TantivyError),
}

fn schema() -> Schema {
    let mut builder = Schema::builder();
    for field in Field::ALL {
        // Scores come from the matcher, so neither frequencies, positions nor lengths are stored.
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(field.name())
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        builder.add_text_field(field.name(), TextOptions::default().set_indexing_options(indexing));
    }
    builder.build()
}

fn fields(schema: &Schema) -> Result<[TantivyField; 3], tantivy::TantivyError> {
    let [words, grams, pinyin] = Field::ALL.map(|field| schema.get_field(field.name()));
    Ok([words?, grams?, pinyin?])
}
