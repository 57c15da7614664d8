//! What a file holds, in one number: two recordings are the same one where it is the same, wherever they lie.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

/// A file up to this size counts to the last byte.
const WHOLE_BYTES_MAX: u64 = 1 << 30;
/// Of a larger one count its size and so many samples at equal distances, its beginning and its end among them.
const SAMPLES: u64 = 256;
const SAMPLE_BYTES: u64 = 1 << 20;
const _: () = assert!(SAMPLES * SAMPLE_BYTES <= WHOLE_BYTES_MAX);

/// XXH3-128 of what the file holds, in hexadecimal digits.
pub(crate) fn digest(path: &Path) -> io::Result<String> {
    digest_of(File::open(path)?, WHOLE_BYTES_MAX, SAMPLE_BYTES)
}

fn digest_of(
    mut source: impl Read + Seek,
    whole_bytes_max: u64,
    sample_bytes: u64,
) -> io::Result<String> {
    let bytes = source.seek(SeekFrom::End(0))?;
    source.rewind()?;
    let mut sum = Xxh3::new();
    if bytes <= whole_bytes_max {
        add(&mut sum, &mut source)?;
    } else {
        sum.update(&bytes.to_le_bytes());
        let last = u128::from(bytes - sample_bytes);
        for nth in 0..SAMPLES {
            let at = last * u128::from(nth) / u128::from(SAMPLES - 1);
            let at = u64::try_from(at).expect("no sample begins behind the last");
            source.seek(SeekFrom::Start(at))?;
            add(&mut sum, &mut source.by_ref().take(sample_bytes))?;
        }
    }
    Ok(format!("{:032x}", sum.digest128()))
}

fn add(sum: &mut Xxh3, source: &mut impl Read) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => sum.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn of(bytes: &[u8], whole_bytes_max: u64) -> String {
        digest_of(Cursor::new(bytes), whole_bytes_max, 4).unwrap()
    }

    #[test]
    fn every_byte_of_a_small_file_counts() {
        let bytes = vec![7; 4096];
        let whole = of(&bytes, 4096);
        assert_eq!(
            whole,
            format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes))
        );
        for at in [0, 2049, 4095] {
            let mut other = bytes.clone();
            other[at] = 8;
            assert_ne!(of(&other, 4096), whole);
        }
    }

    #[test]
    fn of_a_large_file_size_beginning_end_and_samples_count() {
        let bytes = vec![7; 40_000];
        let sampled = of(&bytes, 4096);
        assert_ne!(sampled, of(&bytes[1..], 4096));
        for at in [0, 3, (40_000 - 4) / 255, 39_999] {
            let mut other = bytes.clone();
            other[at] = 8;
            assert_ne!(of(&other, 4096), sampled, "{at}");
        }
        let mut between = bytes;
        between[100] = 8;
        assert_eq!(of(&between, 4096), sampled);
    }
}
