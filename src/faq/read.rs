//! Files of a `faq/` folder as text.

use std::path::Path;

use super::fault::Faults;

/// A file and its text.
pub(super) struct SourceFile {
    /// Path relative to the folder, with `/`.
    pub name: String,
    pub text: String,
}

/// Reads every `.toml`, `.jsonl` and lexicon file of the folder and its sub-folders, by name.
pub(super) fn read_folder(dir: &Path, faults: &mut Faults) -> Vec<SourceFile> {
    let mut names = Vec::new();
    collect(dir, "", &mut names, faults);
    names.sort();
    names.into_iter().filter_map(|name| read_file(dir, name, faults)).collect()
}

fn collect(dir: &Path, prefix: &str, names: &mut Vec<String>, faults: &mut Faults) {
    let listing = match std::fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(error) => {
            let what = format!("the folder {} cannot be read: {error}", dir.display());
            faults.error(
                if prefix.is_empty() { "faq" } else { prefix },
                0,
                what,
                "name an existing, readable folder with --faq",
            );
            return;
        }
    };
    for item in listing.flatten() {
        let Ok(file_name) = item.file_name().into_string() else {
            continue;
        };
        if file_name.starts_with('.') || file_name.ends_with('~') {
            continue;
        }
        let name = if prefix.is_empty() { file_name.clone() } else { format!("{prefix}/{file_name}") };
        if item.path().is_dir() {
            collect(&item.path(), &name, names, faults);
        } else if is_content(&file_name) && !item.path().is_file() && item.path().exists() {
            faults.error(&name, 0, "no regular file", "delete the pipe or device, or give it another name");
        } else if is_content(&file_name) {
            names.push(name);
        }
    }
}

fn is_content(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((_, "toml" | "jsonl")))
        || matches!(name, "dictionary.txt" | "synonyms.txt" | "rewrites.txt" | "out_of_scope.txt")
}

fn read_file(dir: &Path, name: String, faults: &mut Faults) -> Option<SourceFile> {
    let bytes = match std::fs::read(dir.join(&name)) {
        Ok(bytes) => bytes,
        Err(error) => {
            faults.error(&name, 0, format!("cannot be read: {error}"), "check the file's permissions");
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(SourceFile { name, text: text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text) }),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
            faults.error(&name, line, "not UTF-8", "save the file as UTF-8 (Excel and WPS save GB18030 by default)");
            None
        }
    }
}
