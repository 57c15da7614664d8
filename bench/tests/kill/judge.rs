//! What a killed writer left: the image checks, and every acknowledged `sync` is there.
//!
//! A file is what it was at the last acknowledged `sync` or at a step between that and the next `sync`,
//! page by page; nothing later can have begun. Its name likewise.

use std::path::Path;

use delalloc_engine::Volume;
use delalloc_engine::recover::check;

use crate::image;
use crate::stream::{Known, Step, Stream, index};
use crate::writer::FILES;

const PAGE: usize = 4096;

/// What there is of each file.
pub(crate) fn known_files(volume: &Volume) -> Vec<Known> {
    let list = volume.list().expect("a list");
    (0..FILES)
        .map(|file| {
            let mut found = list.iter().filter_map(|info| {
                let mut known = Known::of_name(&info.name, file)?;
                let handle = volume.open_file(&info.name).expect("it is listed");
                known.bytes = vec![0xee; index(info.size_bytes)];
                let count = handle.read_at(0, &mut known.bytes).expect("it is read");
                assert_eq!(count, known.bytes.len(), "a short read");
                Some(known)
            });
            let first = found.next();
            assert!(found.next().is_none(), "file {file} has two names at once");
            first.unwrap_or_else(Known::none)
        })
        .collect()
}

/// Judges the image. `before` is what the writer found, `synced` the last step acknowledged of each
/// file. Returns what is there now, and how many files show something later than that.
pub(crate) fn judge(
    path: &Path,
    seed: u64,
    round: u64,
    before: &[Known],
    synced: &[Option<usize>],
) -> (Vec<Known>, usize) {
    let place = format!("{} seed {seed} round {round}", path.display());
    let backend = image::open(path);
    let report = check(backend.as_ref());
    assert!(report.is_clean(), "{place}: {report:?}");
    let volume = image::volume(&backend);
    let mut found = known_files(&volume);
    volume.close().expect("it closes");
    backend.close().expect("it closes");
    let mut later = 0;
    for (file, found) in found.iter_mut().enumerate() {
        let may_be = acceptable(seed, round, file, &before[file], synced[file]);
        accept(found, &may_be)
            .unwrap_or_else(|why| panic!("{place}: file {file} after {:?}: {why}", synced[file]));
        later += usize::from(*found != may_be[0]);
        if !found.there {
            // The next one has a name that was never used.
            found.incarnation = may_be
                .iter()
                .map(|known| known.incarnation)
                .max()
                .unwrap_or(0);
        }
    }
    (found, later)
}

/// Every moment of a file from the acknowledged step to the next `sync`.
fn acceptable(
    seed: u64,
    round: u64,
    file: usize,
    before: &Known,
    synced: Option<usize>,
) -> Vec<Known> {
    let mut states = vec![before.clone()];
    for (number, step) in Stream::new(seed, round, file, before).enumerate() {
        let last = states.last().expect("there is a first");
        let next = last.after(&step);
        states.push(next);
        if synced.is_some_and(|synced| number <= synced) {
            states.drain(..states.len() - 1);
        } else if matches!(step, Step::Sync) {
            break;
        }
    }
    states
}

fn accept(found: &Known, may_be: &[Known]) -> Result<(), String> {
    if !found.there {
        let gone = may_be.iter().any(|known| !known.there);
        return gone.then_some(()).ok_or_else(|| "it is gone".to_owned());
    }
    let own: Vec<&Known> = may_be
        .iter()
        .filter(|known| known.there && known.incarnation == found.incarnation)
        .collect();
    if !own.iter().any(|known| known.renamed == found.renamed) {
        let names: Vec<(bool, u64, bool)> = may_be
            .iter()
            .map(|known| (known.there, known.incarnation, known.renamed))
            .collect();
        return Err(format!(
            "incarnation {} was never called {}, of (there, incarnation, renamed) {names:?}",
            found.incarnation, found.renamed
        ));
    }
    let sizes = || own.iter().map(|known| known.bytes.len());
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    if !(least..=most).contains(&found.bytes.len()) {
        return Err(format!(
            "{} bytes, not {least} to {most}",
            found.bytes.len()
        ));
    }
    for (number, page) in found.bytes.chunks(PAGE).enumerate() {
        let start = number * PAGE;
        let shown = |known: &&&Known| known.bytes.get(start..start + page.len()) == Some(page);
        if !own.iter().any(|known| shown(&known)) {
            return Err(format!("page {number} was never like this"));
        }
    }
    Ok(())
}
