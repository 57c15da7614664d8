//! Which pages of a compressed extent enter the cache once it has been decoded for the sake of some.
//!
//! The whole extent is read and decoded anyway; its other pages are a by-product worth keeping. The
//! seed looks forward only and gives up after it has met more than four pages that are there
//! already: then somebody else is reading here, and the by-product would be work for nothing.
//! Looking both ways helps a backward reader, who otherwise decodes the extent once per page.
//!
//! Pure. Not here: reading and decoding (fill), room in the cache (cache/frame).

use crate::config::Populate;
use crate::units::{FileRange, PageIndex};

/// The pages of `range` that should enter the cache, those of `wanted` first.
pub(crate) fn choose(
    range: FileRange,
    wanted: FileRange,
    populate: Populate,
    miss_limit: usize,
    mut is_present: impl FnMut(PageIndex) -> bool,
) -> Vec<PageIndex> {
    let mut chosen: Vec<PageIndex> = wanted
        .intersect(range)
        .pages()
        .filter(|&page| !is_present(page))
        .collect();
    let after = FileRange::new(wanted.end.clamp(range.start, range.end), range.end);
    let before = FileRange::new(range.start, wanted.start.clamp(range.start, range.end));
    let mut misses = 0;
    let mut take = |pages: &mut dyn Iterator<Item = PageIndex>| {
        for page in pages {
            if !is_present(page) {
                chosen.push(page);
                continue;
            }
            misses += 1;
            if misses > miss_limit {
                return;
            }
        }
    };
    match populate {
        Populate::Off => {}
        Populate::Forward => take(&mut after.pages()),
        Populate::Both => take(&mut after.pages().chain(before.pages())),
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(populate: Populate, present: &[u64]) -> Vec<u64> {
        let range = FileRange::new(0, 10 * 4096);
        let wanted = FileRange::new(3 * 4096, 4 * 4096);
        choose(range, wanted, populate, 2, |page| present.contains(&page.0))
            .into_iter()
            .map(|page| page.0)
            .collect()
    }

    #[test]
    fn wanted_pages_come_first_and_others_by_direction() {
        assert_eq!(pages(Populate::Off, &[]), [3]);
        assert_eq!(pages(Populate::Forward, &[]), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(pages(Populate::Both, &[]), [3, 4, 5, 6, 7, 8, 9, 0, 1, 2]);
    }

    #[test]
    fn more_than_the_limit_of_present_pages_ends_the_search() {
        assert_eq!(pages(Populate::Forward, &[4, 6]), [3, 5, 7, 8, 9]);
        assert_eq!(pages(Populate::Forward, &[4, 6, 7]), [3, 5]);
        assert_eq!(pages(Populate::Forward, &[3]), [4, 5, 6, 7, 8, 9]);
    }
}
