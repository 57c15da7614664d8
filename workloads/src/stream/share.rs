//! What of a job falls to one of its clients.

/// One of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) client: u32,
    pub(crate) clients: u32,
}

impl Share {
    /// This client's part of `total`; the parts add up.
    pub(crate) fn of(self, total: u64) -> u64 {
        let range = self.range(total);
        range.end - range.start
    }

    /// The contiguous part of `0..total`.
    pub(crate) fn range(self, total: u64) -> std::ops::Range<u64> {
        let upto = |k: u32| {
            let part = u128::from(total) * u128::from(k) / u128::from(self.clients);
            u64::try_from(part).expect("a part is not larger than the whole")
        };
        upto(self.client)..upto(self.client + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        for (total, clients) in [(10u64, 3u32), (2, 5), (u64::MAX, 7), (0, 2)] {
            let sum: u64 = (0..clients)
                .map(|client| Share { client, clients }.of(total))
                .sum();
            assert_eq!(sum, total);
        }
    }
}
