//! Flags of the embedding model, shared by the commands that match.

use anyhow::Context;

use crate::semantic::{Semantic, SemanticConfig};

#[derive(Debug, clap::Args)]
pub(super) struct SemanticFlags {
    /// Address of an OpenAI-compatible embeddings API, as http://127.0.0.1:8000/v1; its key is in YINGDA_SEMANTIC_KEY
    #[arg(long, value_name = "URL", env = "YINGDA_SEMANTIC_URL")]
    semantic_url: Option<String>,
    /// Name of the embedding model
    #[arg(long, value_name = "NAME", env = "YINGDA_SEMANTIC_MODEL")]
    semantic_model: Option<String>,
    /// Milliseconds that the embedding of a text may take
    #[arg(long, value_name = "MS", env = "YINGDA_SEMANTIC_TIMEOUT_MS")]
    semantic_timeout_ms: Option<u64>,
}

/// Stands above the file's key.
const KEY: &str = "YINGDA_SEMANTIC_KEY";

impl SemanticFlags {
    /// The settings: these flags, or else the file's.
    pub fn config(&self, file: Option<&SemanticConfig>) -> Option<SemanticConfig> {
        let mut config = match &self.semantic_url {
            Some(url) => SemanticConfig::new(url, self.semantic_model.as_deref().unwrap_or("default")),
            None => file?.clone(),
        };
        config.timeout_ms = self.semantic_timeout_ms.unwrap_or(config.timeout_ms);
        config.key = std::env::var(KEY).ok().filter(|key| !key.is_empty()).or(config.key);
        Some(config)
    }

    /// The model, when one is named, with what is needed to ask it from a command.
    pub fn open(&self) -> anyhow::Result<Option<Asked>> {
        let Some(config) = self.config(None) else { return Ok(None) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        Ok(Some(Asked { semantic: Semantic::new(config)?, runtime }))
    }
}

/// A model that is asked one text after another.
pub(super) struct Asked {
    pub semantic: Semantic,
    runtime: tokio::runtime::Runtime,
}

impl Asked {
    /// Vector of a text, within the budget.
    pub fn vector(&self, text: &str) -> Option<Vec<f32>> {
        self.runtime.block_on(self.semantic.vector(text))
    }
}
