//! Faults in what an editor wrote: file, line, what is wrong, how to mend it.

use std::fmt;

use serde::Serialize;

/// Whether a fault stops the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The load stops; the old generation keeps serving.
    Error,
    /// The load goes on.
    Warning,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// File, relative to the `faq/` folder.
    pub file: String,
    /// Line, counted from 1; 0 when the fault is the whole file's.
    pub line: usize,
    /// Whether it stops the load.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {severity}: {}\n    mend: {}", self.what, self.mend)
    }
}

/// Faults of all files, gathered while reading goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds an error.
    pub fn error(&mut self, file: &str, line: usize, what: impl Into<String>, mend: impl Into<String>) {
        self.push(file, line, Severity::Error, what.into(), mend.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, file: &str, line: usize, what: impl Into<String>, mend: impl Into<String>) {
        self.push(file, line, Severity::Warning, what.into(), mend.into());
    }

    fn push(&mut self, file: &str, line: usize, severity: Severity, what: String, mend: String) {
        self.0.push(Fault { file: file.to_owned(), line, severity, what, mend });
    }

    /// Takes over the faults of another part.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Whether there are faults of this file.
    #[must_use]
    pub fn concern(&self, file: &str) -> bool {
        self.0.iter().any(|fault| fault.file == file)
    }

    /// Whether one of them stops the load.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// All faults by file and line.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Fault> {
        self.0.sort();
        self.0
    }
}
