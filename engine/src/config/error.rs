//! What is wrong with a knob, said so that it can be put right.

/// A knob that does not exist, or a value it cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnobError {
    /// No knob of this name.
    #[error("no knob is named {name:?}{}", suggested(.suggestion))]
    Unknown {
        /// As given.
        name: String,
        /// The knob that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// Not a value of the knob's unit.
    #[error("{knob}: {text:?} is not {expected}")]
    NotAValue {
        /// The knob.
        knob: &'static str,
        /// As given.
        text: String,
        /// What would be one, with an example.
        expected: &'static str,
    },
    /// Beyond the knob's range.
    #[error("{knob}: {text} is outside its range, {min} to {max}")]
    OutOfRange {
        /// The knob.
        knob: &'static str,
        /// As given.
        text: String,
        /// The least.
        min: String,
        /// The most.
        max: String,
    },
    /// In range, but between two steps.
    #[error("{knob}: {text} is not a multiple of {step}")]
    NotAMultiple {
        /// The knob.
        knob: &'static str,
        /// As given.
        text: String,
        /// What it has to be a multiple of.
        step: String,
    },
    /// Not one of the words the knob takes.
    #[error("{knob}: {text:?} is none of {}{}", .choices.join(", "), suggested(.suggestion))]
    NotAChoice {
        /// The knob.
        knob: &'static str,
        /// As given.
        text: String,
        /// All of them.
        choices: &'static [&'static str],
        /// The one that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// Two knobs that do not go together; the text names both and says what would do.
    #[error("{0}")]
    Relation(String),
}

fn suggested(suggestion: &Option<&'static str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// The candidate that `given` was probably meant to be: with the fewest letters changed, if those are
/// at most a third of it, or the only one that ends in it after a dot.
pub(super) fn closest(
    given: &str,
    candidates: impl Iterator<Item = &'static str> + Clone,
) -> Option<&'static str> {
    let mut last_words = candidates
        .clone()
        .filter(|name| name.rsplit('.').next() == Some(given));
    if let (Some(only), None) = (last_words.next(), last_words.next()) {
        return Some(only);
    }
    candidates
        .map(|name| (edits(given, name), name))
        .min()
        .filter(|(edits, name)| edits * 3 <= name.len().max(given.len()))
        .map(|(_, name)| name)
}

/// Letters to insert, delete or replace to make one of the other.
fn edits(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(!from.eq_ignore_ascii_case(&to));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("LZ4", "lz4"), 0);
    }

    #[test]
    fn the_closest_is_close() {
        let names = [
            "dirty.background",
            "dirty.limit",
            "budget.bytes",
            "cache.bytes",
        ];
        let closest = |given| closest(given, names.into_iter());
        assert_eq!(closest("dirty.backgroud"), Some("dirty.background"));
        assert_eq!(closest("limit"), Some("dirty.limit"));
        assert_eq!(closest("bytes"), None, "two end in it");
        assert_eq!(closest("colour"), None);
    }
}
