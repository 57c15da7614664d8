//! Versions: the number that a write's bytes are made from.

/// How many streams a plan can have.
pub(crate) const STREAM_COUNT_MAX: u64 = 1 << 24;
/// Bits of a version that count the writes of a stream.
const COUNT_BITS: u32 = 40;

/// Numbers the writes of one stream; no two writes of a run have the same, and none has 0.
#[derive(Debug, Clone)]
pub(crate) struct Versions {
    stream: u64,
    written: u64,
}

impl Versions {
    /// Those of the `stream`-th stream of the plan.
    pub(crate) fn new(stream: u64) -> Self {
        assert!(stream + 1 < STREAM_COUNT_MAX, "too many streams: {stream}");
        Self {
            stream: (stream + 1) << COUNT_BITS,
            written: 0,
        }
    }

    /// The version of the next write.
    pub(crate) fn next(&mut self) -> u64 {
        let version = self.numbered(self.written);
        self.written += 1;
        version
    }

    /// The version of the `nth` write, for streams that count elsewhere.
    pub(crate) fn numbered(&self, nth: u64) -> u64 {
        assert!(nth < 1 << COUNT_BITS, "a stream of 2^40 writes");
        self.stream | nth
    }
}
