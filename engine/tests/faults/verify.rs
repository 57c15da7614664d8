//! The image on a device that works again: it checks, it opens, and what was acknowledged is there.

use std::sync::Arc;

use delalloc_backends::{Backend, MemBackend};
use delalloc_engine::recover::check;
use delalloc_engine::{File, Result, Volume};

use super::device::try_open;
use crate::support::config;
use crate::support::oracle::History;
use crate::support::watchdog::Place;

/// All of a file.
pub(crate) fn read_whole(file: &File) -> Result<Vec<u8>> {
    let size_bytes = usize::try_from(file.size_bytes()).expect("a small file");
    let mut bytes = vec![0xee; size_bytes];
    let read_bytes = file.read_at(0, &mut bytes)?;
    assert_eq!(read_bytes, size_bytes, "a short read");
    Ok(bytes)
}

/// Every file of a volume, by name.
pub(crate) fn read_all(volume: &Volume) -> Result<Vec<(String, Vec<u8>)>> {
    let names = volume.list()?.into_iter().map(|info| info.name);
    names
        .map(|name| {
            let bytes = read_whole(&volume.open_file(&name)?)?;
            Ok((name, bytes))
        })
        .collect()
}

/// Proves the image and compares it with what the files may be.
pub(crate) fn verify(memory: &Arc<MemBackend>, files: &[History], place: &Place) {
    place.at("checking the image");
    let report = check(memory.as_ref());
    assert!(report.is_clean(), "{place}: {report:?}");
    place.at("opening the image");
    let backend: Arc<dyn Backend> = Arc::<MemBackend>::clone(memory);
    let volume = try_open(&backend, &config(&[("thread_pool_size", "1")]))
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    let found = read_all(&volume).unwrap_or_else(|error| panic!("{place}: {error}"));
    place.at("comparing the image");
    compare(&found, files, place);
    volume
        .close()
        .unwrap_or_else(|error| panic!("{place}: closing a whole volume: {error}"));
}

/// Compares what was found under names with what the files may be.
pub(crate) fn compare(found: &[(String, Vec<u8>)], files: &[History], place: &Place) {
    for file in files.iter().filter(|file| file.must_exist()) {
        let own = |(name, _): &&(String, Vec<u8>)| {
            file.names().iter().any(|own| own.as_ref() == Some(name))
        };
        let mut refused = Vec::new();
        let there = found.iter().filter(own).any(|(name, bytes)| {
            let answer = file.accept(bytes);
            refused.extend(answer.as_ref().err().map(|why| format!("{name}: {why}")));
            answer.is_ok()
        });
        assert!(
            there,
            "{place}: an acknowledged file named {:?} is gone or not what it was: {refused:?}",
            file.names()
        );
    }
    for (name, bytes) in found {
        let mut refused = Vec::new();
        let known = files.iter().any(|file| {
            let named = file.names().iter().any(|own| own.as_ref() == Some(name));
            if !named {
                return false;
            }
            let answer = file.accept(bytes);
            refused.extend(answer.as_ref().err().cloned());
            answer.is_ok()
        });
        assert!(
            known,
            "{place}: {name:?} is nothing that was ever written: {refused:?}"
        );
    }
}
