//! Every codec at every level: what goes in comes out; the limit holds to the byte; bytes nobody wrote are
//! refused, without a panic and without memory that they ask for.

use delalloc_engine::compress::{Codec, CodecError, Decoder, Encoder, compress, decompress};
use proptest::prelude::*;

/// Bytes of a shape that codecs treat differently.
fn plain_bytes() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![
        1usize..300,
        4000usize..4200,
        Just(16 << 10),
        60_000usize..70_000,
        Just(128 << 10),
    ];
    (len, 0u8..6, any::<u64>()).prop_map(|(len, shape, seed)| shaped(len, shape, seed))
}

fn shaped(len: usize, shape: u8, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut draw = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        state.to_le_bytes()[6]
    };
    match shape {
        0 => vec![0; len],
        1 => (0..len).map(|_| draw()).collect(),
        2 => (0..len).map(|_| b'a' + draw() % 8).collect(),
        3 => (0..len).map(|at| (at % 251).to_le_bytes()[0]).collect(),
        4 => {
            let head: Vec<u8> = (0..len / 2).map(|_| draw()).collect();
            [head.clone(), vec![b'-'; len - 2 * head.len()], head].concat()
        }
        _ => (0..len)
            .map(|at| if at < len / 2 { draw() } else { b'x' })
            .collect(),
    }
}

/// Each codec with levels that take different ways through it.
fn codec_and_level() -> impl Strategy<Value = (Codec, i32)> {
    prop_oneof![
        Just((Codec::Lz4, 0)),
        (1i32..=9).prop_map(|level| (Codec::Zlib, level)),
        prop_oneof![-20i32..=9, Just(-131_072), Just(15), Just(19), Just(22)]
            .prop_map(|level| (Codec::Zstd, level)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_goes_in_comes_out((codec, level) in codec_and_level(), plain in plain_bytes()) {
        let mut out = vec![0xEE; 2 * plain.len() + 1024];
        let stored = compress(codec, level, &plain, &mut out).expect("it compresses");
        let stored = stored.expect("the worst case fits");
        // The last sector is filled up with zeros.
        out.truncate(stored);
        out.resize(stored.next_multiple_of(4096), 0);
        let mut back = vec![0x55; plain.len()];
        decompress(codec, &out, &mut back).expect("it is what was written");
        prop_assert!(back == plain, "{codec} {level} of {} bytes", plain.len());
    }

    #[test]
    fn the_limit_holds_to_the_byte((codec, level) in codec_and_level(), plain in plain_bytes()) {
        let mut out = vec![0; 2 * plain.len() + 1024];
        let stored = compress(codec, level, &plain, &mut out).expect("it compresses").expect("it fits");
        for room in [0, 1, 4, 5, stored / 2, stored - 1] {
            let room = room.min(stored - 1);
            let mut guarded = vec![0xEE; room + 16];
            let result = compress(codec, level, &plain, &mut guarded[..room]);
            prop_assert_eq!(result, Ok(None), "{} of {} bytes", room, stored);
            prop_assert!(guarded[room..].iter().all(|&byte| byte == 0xEE));
        }
        // Zstd may refuse the last bytes of its room; the others use it up.
        if codec != Codec::Zstd {
            let exact = compress(codec, level, &plain, &mut out[..stored]);
            prop_assert_eq!(exact, Ok(Some(stored)));
        }
        let again = compress(codec, level, &plain, &mut out[..stored + 512]);
        prop_assert_eq!(again, Ok(Some(stored)), "after failures the context is as new");
    }

    #[test]
    fn damage_is_refused_or_harmless(
        (codec, level) in codec_and_level(),
        plain in plain_bytes(),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        let mut out = vec![0; 2 * plain.len() + 1024];
        let stored = compress(codec, level, &plain, &mut out).expect("it compresses").expect("it fits");
        out.truncate(stored);
        for (at, bits) in hits {
            let at = at.index(stored);
            out[at] ^= bits;
        }
        let mut back = vec![0; plain.len()];
        // Whether it is noticed is the checksum's business; here it must end.
        let _ = decompress(codec, &out, &mut back);
    }

    #[test]
    fn a_cut_or_a_wrong_length_is_refused(
        (codec, level) in codec_and_level(),
        plain in plain_bytes(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut out = vec![0; 2 * plain.len() + 1024];
        let stored = compress(codec, level, &plain, &mut out).expect("it compresses").expect("it fits");
        let mut back = vec![0; plain.len()];
        let cut = decompress(codec, &out[..cut.index(stored)], &mut back);
        prop_assert!(cut.is_err());
        let mut long = vec![0; plain.len() + 1];
        prop_assert!(decompress(codec, &out[..stored], &mut long).is_err());
        let short = plain.len() - 1;
        prop_assert!(decompress(codec, &out[..stored], &mut back[..short]).is_err());
    }

    #[test]
    fn bytes_nobody_wrote_are_survived(
        codec in prop_oneof![Just(Codec::Lz4), Just(Codec::Zlib), Just(Codec::Zstd)],
        mut stored in proptest::collection::vec(any::<u8>(), 0..9000),
        magic in any::<bool>(),
    ) {
        if magic && codec == Codec::Zstd && stored.len() > 4 {
            stored[..4].copy_from_slice(&[0x28, 0xB5, 0x2F, 0xFD]);
        }
        let mut back = vec![0; 128 << 10];
        let _ = decompress(codec, &stored, &mut back);
    }
}

/// A frame that announces a gigabyte, and one that is only skipped.
#[test]
fn announced_lengths_cost_nothing() {
    let mut back = vec![0; 4096];
    let gigabyte = [0x28, 0xB5, 0x2F, 0xFD, 0xA0, 0, 0, 0, 0x40, 1, 0, 0];
    let refused = decompress(Codec::Zstd, &gigabyte, &mut back);
    assert_eq!(
        refused,
        Err(CodecError::Length {
            codec: Codec::Zstd,
            expected_bytes: 4096,
            found_bytes: 1 << 30
        })
    );
    let skippable = [0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    assert!(decompress(Codec::Zstd, &skippable, &mut back).is_err());
    assert!(decompress(Codec::Lz4, &[0xFF; 4], &mut back).is_err());
}

/// The deflate below panics at level 1 when it runs out of room in the middle of noise.
#[test]
fn noise_within_a_limit_is_given_up_at_every_level_of_zlib() {
    let noise = shaped(128 << 10, 1, 3);
    for level in 1..=9 {
        for room in [0, 11, 4096, (124 << 10) - 1, 124 << 10] {
            let mut out = vec![0; room];
            assert_eq!(compress(Codec::Zlib, level, &noise, &mut out), Ok(None));
        }
    }
}

#[test]
fn levels_out_of_range_are_named() {
    let mut out = [0; 100];
    for (codec, level) in [(Codec::Zlib, 0), (Codec::Zlib, 10), (Codec::Zstd, 23)] {
        let error = compress(codec, level, b"plain", &mut out).expect_err("no such level");
        assert_eq!(error, CodecError::Level { codec, level });
    }
    let error = compress(Codec::Zlib, 10, b"plain", &mut out).expect_err("no such level");
    assert_eq!(error.to_string(), "zlib has no level 10; it has 1 to 9");
}

#[test]
fn one_encoder_serves_all_codecs_and_levels_in_turn() {
    let plain = shaped(100_000, 2, 77);
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let mut out = vec![0; 200_000];
    let mut sizes = Vec::new();
    for _ in 0..2 {
        for (codec, level) in [
            (Codec::Zstd, 19),
            (Codec::Lz4, 0),
            (Codec::Zlib, 9),
            (Codec::Zstd, -5),
            (Codec::Zlib, 1),
        ] {
            let stored = encoder
                .compress(codec, level, &plain, &mut out)
                .expect("it compresses");
            let stored = stored.expect("it fits");
            let mut back = vec![0; plain.len()];
            decoder
                .decompress(codec, &out[..stored], &mut back)
                .expect("it is what was written");
            assert!(back == plain, "{codec} {level}");
            sizes.push(stored);
        }
    }
    assert_eq!(
        sizes[..5],
        sizes[5..],
        "a level is not left over from the one before"
    );
    assert!(sizes[0] < sizes[3], "zstd 19 is smaller than zstd -5");
}

#[test]
fn raw_bytes_are_copied_and_never_produced() {
    let mut out = [0; 8];
    assert_eq!(compress(Codec::None, 0, b"12345678", &mut out), Ok(None));
    assert_eq!(
        decompress(Codec::None, b"12345678 and zeros", &mut out),
        Ok(())
    );
    assert_eq!(&out, b"12345678");
    assert!(decompress(Codec::None, b"1234", &mut out).is_err());
}
