//! A cheap guess whether an extent will shrink, from a sixteenth of its bytes.
//!
//! ```text
//!   sample: 16 bytes of every 256, of at most 128 KiB
//!     its halves are equal ......................... try   (a repeated pattern)
//!     few byte values .............................. try
//!     few byte values make up nine tenths .......... try
//!     nearly all are needed for nine tenths ........ doubt
//!     entropy below four fifths of a byte .......... try, else doubt
//!   in doubt: strings repeat (echo.rs) ............. try, else skip
//! ```
//!
//! The thresholds are those btrfs uses, whose verdict on doubt is skip: that leaves machine code raw which
//! shrinks to a half, a quarter of all savings on a large library. A wrong "try" costs one run of the
//! codec, a wrong "skip" the savings of one extent; of the latter, repeats farther apart than the looks
//! reach are left.

use super::echo::echo_percent;

/// Sampled bytes at one place.
const PIECE_LEN: usize = 16;
/// From one place to the next.
const STRIDE_LEN: usize = 256;
/// Plain bytes the sample looks at.
const WINDOW_LEN: usize = 128 << 10;
const SAMPLE_LEN_MAX: usize = WINDOW_LEN / STRIDE_LEN * PIECE_LEN;

const BYTE_SET_MAX: usize = 64;
const CORE_SET_SMALL: usize = 64;
const CORE_SET_LARGE: usize = 200;
const CORE_SET_PERCENT: u32 = 90;
/// Compressed and encrypted bytes have none, machine code has 18 and more.
const ECHO_PERCENT_MIN: usize = 5;
const ENTROPY_PERCENT_LOW: u32 = 65;
const ENTROPY_PERCENT_HIGH: u32 = 80;

/// Whether the codec should be asked, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It may shrink.
    Try(TryReason),
    /// It hardly will.
    Skip(SkipReason),
}

/// What speaks for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryReason {
    /// Too little to sample.
    Short,
    /// Both halves of the sample are equal.
    Repeats,
    /// So few byte values occur.
    ByteSet(usize),
    /// So few byte values make up nine tenths.
    CoreSet(usize),
    /// The entropy is low: so many percent of 8 bits.
    EntropyLow(u32),
    /// The entropy is middling: so many percent of 8 bits. The attempts that most often fail.
    EntropyMiddling(u32),
    /// The bytes look even, but so many strings in a hundred repeat.
    Echoes(usize),
}

/// What speaks against an attempt; strings do not repeat either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// So many byte values are needed for nine tenths.
    CoreSet(usize),
    /// The entropy is high: so many percent of 8 bits.
    EntropyHigh(u32),
}

/// Guesses about `plain`, the first 128 KiB of which are sampled.
pub fn worth(plain: &[u8]) -> Worth {
    match by_counts(plain) {
        doubt @ Worth::Skip(_) => match echo_percent(plain) {
            echoes @ ECHO_PERCENT_MIN.. => Worth::Try(TryReason::Echoes(echoes)),
            _ => doubt,
        },
        verdict @ Worth::Try(_) => verdict,
    }
}

/// The verdict of a sample's bytes alone.
fn by_counts(plain: &[u8]) -> Worth {
    let mut sample = [0; SAMPLE_LEN_MAX];
    let sample = collect(plain, &mut sample);
    if sample.len() < 2 * PIECE_LEN {
        return Worth::Try(TryReason::Short);
    }
    if repeats(sample) {
        return Worth::Try(TryReason::Repeats);
    }
    let mut counts = [0u32; 256];
    for &byte in sample {
        counts[usize::from(byte)] += 1;
    }
    let byte_set = counts.iter().filter(|&&count| count > 0).count();
    if byte_set < BYTE_SET_MAX {
        return Worth::Try(TryReason::ByteSet(byte_set));
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    match core_set(&counts, sample.len()) {
        core @ ..=CORE_SET_SMALL => return Worth::Try(TryReason::CoreSet(core)),
        core @ CORE_SET_LARGE.. => return Worth::Skip(SkipReason::CoreSet(core)),
        _ => {}
    }
    match entropy_percent(&counts, sample.len()) {
        low @ ..=ENTROPY_PERCENT_LOW => Worth::Try(TryReason::EntropyLow(low)),
        high @ ENTROPY_PERCENT_HIGH.. => Worth::Skip(SkipReason::EntropyHigh(high)),
        middling => Worth::Try(TryReason::EntropyMiddling(middling)),
    }
}

fn collect<'a>(plain: &[u8], sample: &'a mut [u8; SAMPLE_LEN_MAX]) -> &'a [u8] {
    let window = &plain[..plain.len().min(WINDOW_LEN)];
    let mut len = 0;
    for stride in window.chunks(STRIDE_LEN) {
        let piece = &stride[..stride.len().min(PIECE_LEN)];
        sample[len..len + piece.len()].copy_from_slice(piece);
        len += piece.len();
    }
    &sample[..len]
}

fn repeats(sample: &[u8]) -> bool {
    let (first, second) = sample.split_at(sample.len() / 2);
    first == &second[..first.len()]
}

/// How many of the most frequent byte values make up nine tenths.
fn core_set(falling: &[u32; 256], sample_len: usize) -> usize {
    let wanted = sample_len as u64 * u64::from(CORE_SET_PERCENT) / 100;
    let mut covered = 0;
    falling
        .iter()
        .take_while(|&&count| {
            let short = covered < wanted;
            covered += u64::from(count);
            short
        })
        .count()
}

/// Shannon entropy in percent of 8 bits, rounded down.
fn entropy_percent(counts: &[u32; 256], sample_len: usize) -> u32 {
    let total = u32::try_from(sample_len).expect("a sample is small");
    let bits: u64 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| u64::from(count) * u64::from(log2(total) - log2(count)))
        .sum();
    let full = u64::from(total) * 8 * u64::from(LOG2_ONE);
    u32::try_from(bits * 100 / full).expect("an entropy is at most 8 bits per byte")
}

/// 1.0 in the fixed point of `log2`.
const LOG2_ONE: u32 = 1 << 16;
const MANTISSA_BITS: u32 = 8;

/// Fractions of logarithms by the leading bits behind the first one.
const LOG2_FRACTIONS: [u32; 1 << MANTISSA_BITS] = {
    let mut table = [0; 1 << MANTISSA_BITS];
    let mut index = 0;
    while index < table.len() {
        // Squaring doubles a logarithm: each time it passes 2, one bit of the fraction is set.
        let mut x = ((1 << MANTISSA_BITS) + index as u64) << (31 - MANTISSA_BITS);
        let mut bit = LOG2_ONE >> 1;
        while bit > 0 {
            x = (x * x) >> 31;
            if x >= 2 << 31 {
                x >>= 1;
                table[index] |= bit;
            }
            bit >>= 1;
        }
        index += 1;
    }
    table
};

/// The logarithm of `n` to base 2, in fixed point: integers, so that a verdict is the same everywhere.
fn log2(n: u32) -> u32 {
    let whole = n.ilog2();
    let aligned = u64::from(n) << (32 - whole);
    let mantissa = (aligned >> (32 - MANTISSA_BITS)) as usize & ((1 << MANTISSA_BITS) - 1);
    whole * LOG2_ONE + LOG2_FRACTIONS[mantissa]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes drawn evenly from `values` values.
    fn noise(len: usize, values: u64) -> Vec<u8> {
        let mut state = 1u64;
        (0..len)
            .map(|_| {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                u8::try_from((state >> 40) % values).expect("at most 256 values")
            })
            .collect()
    }

    #[test]
    fn noise_is_skipped_and_says_why() {
        assert!(matches!(
            worth(&noise(128 << 10, 256)),
            Worth::Skip(SkipReason::CoreSet(200..))
        ));
        // 200 even values: 180 make up nine tenths, and each takes 7.6 bits.
        let verdict = worth(&noise(128 << 10, 200));
        assert!(
            matches!(verdict, Worth::Skip(SkipReason::EntropyHigh(94..=95))),
            "{verdict:?}"
        );
    }

    #[test]
    fn each_step_has_its_own_reason_to_try() {
        assert_eq!(worth(&[7; 16]), Worth::Try(TryReason::Short));
        assert_eq!(worth(&[0; 128 << 10]), Worth::Try(TryReason::Repeats));
        let few = worth(&noise(128 << 10, 60));
        assert_eq!(few, Worth::Try(TryReason::ByteSet(60)));
        // Half of the pieces are one letter, half are of 100 values.
        let mut skewed = noise(128 << 10, 100);
        for stride in skewed.chunks_mut(512) {
            stride[..256].fill(b'x');
        }
        assert!(
            matches!(worth(&skewed), Worth::Try(TryReason::EntropyLow(50..=60))),
            "{:?}",
            worth(&skewed)
        );
        let mut core = noise(128 << 10, 100);
        for (index, stride) in core.chunks_mut(256).enumerate() {
            if index % 16 > 0 {
                stride.fill(b'x');
            }
        }
        assert_eq!(worth(&core), Worth::Try(TryReason::CoreSet(1)));
        // A third of one letter, two thirds of 160 values: (log2(3) + 2 log2(240)) / 24 = 72 %.
        let mut middling = noise(128 << 10, 160);
        for (index, stride) in middling.chunks_mut(256).enumerate() {
            if index % 3 == 0 {
                stride.fill(b'x');
            }
        }
        let verdict = worth(&middling);
        assert!(
            matches!(verdict, Worth::Try(TryReason::EntropyMiddling(71..=73))),
            "{verdict:?}"
        );
    }

    #[test]
    fn only_the_first_128_kib_are_sampled() {
        let mut plain = noise(256 << 10, 256);
        plain[128 << 10..].fill(0);
        assert!(matches!(worth(&plain), Worth::Skip(_)));
    }

    #[test]
    fn even_bytes_that_repeat_are_tried() {
        // Each eighth byte begins four that were there 512 bytes before.
        let mut plain = noise(128 << 10, 256);
        for at in (512..plain.len() - 4).step_by(8) {
            plain.copy_within(at - 512..at - 508, at);
        }
        assert!(matches!(by_counts(&plain), Worth::Skip(_)));
        let verdict = worth(&plain);
        assert!(
            matches!(verdict, Worth::Try(TryReason::Echoes(5..=13))),
            "{verdict:?}"
        );
    }

    #[test]
    fn the_entropy_of_even_counts_is_known() {
        for bits in 0..=8u32 {
            let mut counts = [0; 256];
            counts[..1 << bits].fill(8192 >> bits);
            assert_eq!(
                entropy_percent(&counts, 8192),
                bits * 100 / 8,
                "{bits} bits"
            );
        }
    }

    #[test]
    fn the_logarithm_is_near_and_never_above() {
        for n in 1..=8192u32 {
            let exact = f64::from(n).log2();
            let ours = f64::from(log2(n)) / f64::from(LOG2_ONE);
            assert!(
                ours <= exact + 1e-9 && exact - ours < 0.006,
                "{n}: {ours} for {exact}"
            );
        }
    }
}
