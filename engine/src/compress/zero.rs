//! Is it all zeros?

/// Bytes looked at between two branches: enough to fill the vector units, few enough that data which is
/// not zero is told by its first cache lines.
const STEP_LEN: usize = 256;

/// Every byte is 0. At the speed of memory for zeros, a few nanoseconds for most else.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (steps, rest) = bytes.as_chunks::<STEP_LEN>();
    steps.iter().all(|step| or(step) == 0) && or(rest) == 0
}

fn or(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |all, byte| all | byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_anywhere_is_found() {
        for len in [0, 1, 15, 255, 256, 257, 4096 + 3] {
            let mut bytes = vec![0; len];
            assert!(is_zero(&bytes));
            for at in 0..len {
                bytes[at] = 0x80;
                assert!(!is_zero(&bytes), "byte {at} of {len}");
                bytes[at] = 0;
            }
        }
    }
}
