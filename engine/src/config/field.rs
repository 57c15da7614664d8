//! Fields of the configuration as numbers: what a row reads and writes.
//!
//! A word is its place among the choices of its type; the words are here, once.

use std::time::Duration;

use super::engine::{OrderScope, Populate, Preset};
use crate::compress::Codec;
use crate::pool::PoolKind;
use crate::writeback::throttle::Throttle;

/// A field that a row can read and write.
pub(super) trait Field: Sized {
    fn to_number(self) -> i64;
    /// `number` was checked against the row's domain.
    fn from_number(number: i64) -> Self;
}

macro_rules! number_fields {
    ($($field:ty),*) => {$(
        impl Field for $field {
            fn to_number(self) -> i64 {
                i64::try_from(self).unwrap_or(i64::MAX)
            }
            fn from_number(number: i64) -> Self {
                Self::try_from(number).expect("the row's range fits the field")
            }
        }
    )*};
}
number_fields!(u64, usize, u32, i32);

/// None is 0: the knob follows another.
impl Field for Option<usize> {
    fn to_number(self) -> i64 {
        self.map_or(0, Field::to_number)
    }
    fn from_number(number: i64) -> Self {
        (number != 0).then(|| usize::from_number(number))
    }
}

impl Field for bool {
    fn to_number(self) -> i64 {
        i64::from(self)
    }
    fn from_number(number: i64) -> Self {
        number != 0
    }
}

impl Field for Duration {
    fn to_number(self) -> i64 {
        i64::try_from(self.as_millis()).unwrap_or(i64::MAX)
    }
    fn from_number(number: i64) -> Self {
        Self::from_millis(u64::from_number(number))
    }
}

macro_rules! choice_fields {
    ($($words:ident: $field:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        pub(super) const $words: &[&str] = &[$($word),*];
        impl Field for $field {
            fn to_number(self) -> i64 {
                let all = [$(Self::$variant),*];
                let place = all.into_iter().zip(0..).find(|(choice, _)| *choice == self);
                place.expect("every variant has a word").1
            }
            fn from_number(number: i64) -> Self {
                let all = [$(Self::$variant),*];
                all[usize::from_number(number)]
            }
        }
    )*};
}
choice_fields! {
    PRESETS: Preset { Default = "default", Seed2008 = "seed2008" }
    CODECS: Codec { None = "none", Lz4 = "lz4", Zstd = "zstd", Zlib = "zlib" }
    POOL_KINDS: PoolKind { Seed2008 = "seed2008", Threshold2014 = "threshold2014", Plain = "plain" }
    ORDER_SCOPES: OrderScope { Volume = "volume", File = "file", None = "none" }
    THROTTLES: Throttle { Wall = "wall", Curve = "curve" }
    POPULATES: Populate { Off = "off", Forward = "forward", Both = "both" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_types() {
        for codec in Codec::ALL {
            assert_eq!(CODECS[usize::from_number(codec.to_number())], codec.name());
        }
        for kind in PoolKind::ALL {
            assert_eq!(
                POOL_KINDS[usize::from_number(kind.to_number())],
                kind.name()
            );
        }
    }
}
