//! From a file, a name or a text to a plan.

use std::path::{Path, PathBuf};

use crate::decode::nearest;
use crate::fault::Faults;
use crate::include::Home;
use crate::knob::Checks;
use crate::library::{self, library};
use crate::plan::WorkloadPlan;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Neither a file nor a workload of the library.
    #[error("no file and no workload of the library is called `{name}`{}", guess.as_ref().map(|g| format!("; did you mean `{g}`?")).unwrap_or_default())]
    UnknownName {
        /// What was asked for.
        name: String,
        /// The closest name there is.
        guess: Option<String>,
    },
    /// It was read and is wrong; the faults say where.
    #[error("{0}")]
    Faults(Box<Faults>),
}

/// Loads a file or, where there is none of this name, a workload of the library.
///
/// `sets` are `name=value` as given to `--set`.
///
/// # Errors
/// What is wrong with it.
pub fn load(
    file_or_name: &str,
    sets: &[String],
    checks: Checks<'_>,
) -> Result<WorkloadPlan, LoadError> {
    let path = Path::new(file_or_name);
    if path.exists() {
        let text = std::fs::read_to_string(path).map_err(|source| LoadError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let home = Home::File(path.to_owned());
        return load_text(&text, file_or_name, &home, sets, checks);
    }
    let Some(text) = library::find(file_or_name) else {
        return Err(LoadError::UnknownName {
            name: file_or_name.to_owned(),
            guess: nearest(file_or_name, library().iter().map(|(name, _)| *name))
                .map(str::to_owned),
        });
    };
    load_str(text, file_or_name, sets, checks)
}

/// Loads a text; `origin` is what messages call it. It may include workloads of the library, and no files.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load_str(
    text: &str,
    origin: &str,
    sets: &[String],
    checks: Checks<'_>,
) -> Result<WorkloadPlan, LoadError> {
    load_text(text, origin, &Home::Nowhere, sets, checks)
}

fn load_text(
    text: &str,
    origin: &str,
    home: &Home,
    sets: &[String],
    checks: Checks<'_>,
) -> Result<WorkloadPlan, LoadError> {
    crate::plan::resolve(text, origin, home, sets, checks)
        .map_err(|faults| LoadError::Faults(Box::new(faults)))
}
