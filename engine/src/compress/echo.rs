//! How much of an extent says again what it said before.
//!
//! The second opinion on bytes that look even: machine code uses nearly all byte values nearly alike, and
//! yet a third of it is repeated strings. Counting bytes cannot see that; looking up each four of them in a
//! small table of those before can.

/// Strings of this length are compared.
const STRING_LEN: usize = 4;
/// Pieces looked at, spread evenly. They share the table, so what one says another may repeat.
const PIECES: usize = 4;
/// Bytes in each. Longer ones see more repeats and cost their length, about a nanosecond a byte.
const PIECE_LEN: usize = 4096;

const TABLE_BITS: u32 = 12;

/// How many positions in a hundred repeat a string seen before, rounded down; an extent too short to tell
/// has none.
pub(super) fn echo_percent(plain: &[u8]) -> usize {
    // The last string of each hash, and not where it was: there is nothing to copy. Zeros are not
    // counted, so that 0 can mean none yet.
    let mut table = [0u32; 1 << TABLE_BITS];
    let (mut positions, mut echoes) = (0, 0);
    let stride = (plain.len() / PIECES).max(PIECE_LEN);
    for piece in plain.chunks(stride) {
        let piece = &piece[..piece.len().min(PIECE_LEN)];
        for string in piece.array_windows::<STRING_LEN>() {
            let string = u32::from_le_bytes(*string);
            let slot = &mut table[hash(string)];
            positions += 1;
            echoes += usize::from(*slot == string && string != 0);
            *slot = string;
        }
    }
    (echoes * 100usize).checked_div(positions).unwrap_or(0)
}

fn hash(string: u32) -> usize {
    (string.wrapping_mul(0x9E37_79B1) >> (u32::BITS - TABLE_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_are_counted_across_pieces() {
        let mut state = 5u64;
        let piece: Vec<u8> = (0..PIECE_LEN)
            .map(|_| {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                state.to_le_bytes()[6]
            })
            .collect();
        assert_eq!(echo_percent(&piece), 0, "nothing repeats");
        let twice = [&piece[..], &piece[..]].concat();
        // Half of the positions repeat, of which the table still knows about two in five.
        let percent = echo_percent(&twice);
        assert!((15..=25).contains(&percent), "{percent}");
    }

    #[test]
    fn short_extents_have_none() {
        assert_eq!(echo_percent(b""), 0);
        assert_eq!(echo_percent(b"abc"), 0);
        assert_eq!(echo_percent(b"abcdabcd"), 20);
    }
}
