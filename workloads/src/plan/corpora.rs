//! What the corpora of a workload hold, by path: two directories with the same files are the same content.
//!
//! A sweep names a corpus once per load; each is read once. Not here: its bytes as content (`content/corpus`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{ContentPlan, LoadPlan};
use crate::content::corpus_digest;

/// What was read of each; none where it cannot be read, which is told when its content is made.
#[derive(Debug, Default)]
pub struct Corpora(HashMap<PathBuf, Option<String>>);

impl Corpora {
    fn digest(&mut self, path: &Path) -> Option<&str> {
        let seen = self.0.entry(path.to_owned());
        seen.or_insert_with(|| corpus_digest(path)).as_deref()
    }
}

impl LoadPlan {
    /// Names each corpus by what it holds.
    pub(super) fn without_places_of_corpora(&mut self, corpora: &mut Corpora) {
        self.content.without_places(corpora);
        let own = self.files.iter_mut().flat_map(|file| &mut file.content);
        own.for_each(|content| content.without_places(corpora));
    }
}

impl ContentPlan {
    fn without_places(&mut self, corpora: &mut Corpora) {
        match self {
            Self::Corpus(path) => {
                if let Some(digest) = corpora.digest(path) {
                    *path = digest.into();
                }
            }
            Self::Mix(parts) => {
                let contents = parts.iter_mut().map(|part| &mut part.content);
                contents.for_each(|content| content.without_places(corpora));
            }
            Self::Mosaic(plan) => {
                let contents = plan.parts.iter_mut().map(|part| &mut part.content);
                contents.for_each(|content| content.without_places(corpora));
            }
            Self::Dedupe(plan) => plan.of.without_places(corpora),
            Self::Zeros | Self::Random | Self::Ratio(_) | Self::Recipe(_) => {}
        }
    }
}
