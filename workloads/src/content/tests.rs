//! Content keeps its ratio, its shape and its promise: the same bytes however they are asked for.

use proptest::prelude::*;

use super::*;

fn load(content: ContentPlan) -> LoadPlan {
    LoadPlan {
        seed: 7,
        content,
        files: Vec::new(),
        phases: Vec::new(),
    }
}

fn built(content: ContentPlan) -> Content {
    Content::build(&load(content)).unwrap()
}

/// What a sequential load of 1 MiB writes compresses to in pieces of 128 KiB.
fn ratio_of(content: &Content, bytes: u64, compress: impl Fn(&[u8]) -> usize) -> f64 {
    let mut block = vec![0; 1 << 20];
    let mut stored = 0;
    for nth in 0..bytes >> 20 {
        content.fill(FileSlot(3), nth << 20, (1 << 40) | nth, &mut block);
        stored += block.chunks(128 << 10).map(&compress).sum::<usize>();
    }
    bytes as f64 / stored as f64
}

fn zstd_bytes(level: i32) -> impl Fn(&[u8]) -> usize {
    move |piece| zstd::bulk::compress(piece, level).unwrap().len()
}

#[test]
fn a_ratio_is_kept_under_zstd_1() {
    for asked in [1.5, 2.5, 6.0] {
        let content = built(ContentPlan::Ratio(asked));
        let found = ratio_of(&content, 8 << 20, zstd_bytes(1));
        assert!((found / asked - 1.0).abs() < 0.02, "{asked}: {found}");
    }
}

#[test]
fn other_codecs_find_the_same_content_harder_or_easier_but_not_absurd() {
    let content = built(ContentPlan::Ratio(2.5));
    let zstd_3 = ratio_of(&content, 4 << 20, zstd_bytes(3));
    let lz4 = ratio_of(&content, 4 << 20, |piece| lz4_flex::compress(piece).len());
    assert!((2.3..3.2).contains(&zstd_3), "zstd 3: {zstd_3}");
    assert!((1.5..2.3).contains(&lz4), "lz4: {lz4}");
}

#[test]
fn random_content_does_not_compress() {
    let content = built(ContentPlan::Random);
    let found = ratio_of(&content, 4 << 20, zstd_bytes(3));
    assert!((0.99..1.0).contains(&found), "{found}");
    assert!(built(ContentPlan::Ratio(1.0)).default_is_pool());
}

#[test]
fn pages_overwritten_one_by_one_keep_the_ratio_nearly() {
    // Every page of an extent in a version of its own: matches across pages are gone, as in life.
    let content = built(ContentPlan::Ratio(2.5));
    let mut extent = vec![0; 128 << 10];
    let mut stored = 0;
    for nth in 0..16u64 {
        for (page, bytes) in extent.chunks_mut(4096).enumerate() {
            let offset = nth * (128 << 10) + page as u64 * 4096;
            content.fill(FileSlot(0), offset, 1 + nth * 977 + page as u64 * 31, bytes);
        }
        stored += zstd_bytes(1)(&extent);
    }
    let found = (16 * (128 << 10)) as f64 / stored as f64;
    assert!((1.9..2.6).contains(&found), "{found}");
}

#[test]
fn a_mix_has_its_shares() {
    let part = |weight, content| MixPart { weight, content };
    let content = built(ContentPlan::Mix(vec![
        part(3.0, ContentPlan::Zeros),
        part(1.0, ContentPlan::Random),
    ]));
    let mut piece = vec![0; 128 << 10];
    let zeros = (0..2000u64)
        .filter(|nth| {
            content.fill(FileSlot(0), nth * (128 << 10), 1, &mut piece);
            is_zero(&piece)
        })
        .count();
    assert!((1400..1600).contains(&zeros), "{zeros}");
}

#[test]
fn a_corpus_is_its_files_and_used_evenly() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("b"), [b'b'; 3 * 4096 + 5]).unwrap();
    std::fs::write(directory.path().join("small"), [b's'; 100]).unwrap();
    let packed = zstd::bulk::compress(&[b'a'; 4096], 1).unwrap();
    std::fs::write(directory.path().join("a.zst"), packed).unwrap();
    let content = built(ContentPlan::Corpus(directory.path().to_owned()));
    let mut bytes = vec![0; 4096];
    let count = |letter: u8, bytes: &[u8]| bytes.iter().filter(|b| **b == letter).count();
    let mut letters = [0usize; 2];
    for version in 1..=4000 {
        content.fill(FileSlot(0), 0, version, &mut bytes);
        letters[0] += count(b'a', &bytes);
        letters[1] += count(b'b', &bytes);
    }
    let share = letters[0] as f64 / (4000.0 * 4096.0);
    assert!((share - 0.25).abs() < 0.01, "{share}");
    assert_eq!(letters[0] + letters[1], 4000 * 4096);

    let missing = Content::build(&load(ContentPlan::Corpus("/no/such/place".into())));
    assert!(matches!(missing, Err(ContentError::Corpus { .. })));
}

#[test]
fn a_wrong_byte_is_found_and_placed() {
    let content = built(ContentPlan::Ratio(2.0));
    let mut bytes = vec![0; 100_000];
    content.fill(FileSlot(1), 777, 42, &mut bytes);
    assert_eq!(content.verify(FileSlot(1), 777, 42, &bytes), Ok(()));
    for at in [0, 1263, 1270, 1271, 50_000, 99_999] {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        let mismatch = content.verify(FileSlot(1), 777, 42, &wrong).unwrap_err();
        assert_eq!(mismatch.offset, 777 + at as u64);
        assert_eq!((mismatch.expected, mismatch.found), (bytes[at], wrong[at]));
        assert_eq!(mismatch.bytes_wrong, 1);
    }
}

#[test]
fn another_version_file_or_offset_is_wrong_in_every_cell() {
    let content = built(ContentPlan::Ratio(2.0));
    let mut bytes = vec![0; 4096];
    content.fill(FileSlot(1), 8192, 42, &mut bytes);
    for version in (1..2000).filter(|version| *version != 42) {
        assert!(content.verify(FileSlot(1), 8192, version, &bytes).is_err());
    }
    assert!(content.verify(FileSlot(2), 8192, 42, &bytes).is_err());
    for cell in (0..5000).filter(|cell| *cell != 2) {
        assert!(
            content
                .verify(FileSlot(1), cell * 4096, 42, &bytes)
                .is_err()
        );
    }
}

impl Content {
    fn default_is_pool(&self) -> bool {
        matches!(self.default, Model::Pool(_))
    }
}

fn every_model() -> &'static [Content] {
    static MODELS: std::sync::OnceLock<Vec<Content>> = std::sync::OnceLock::new();
    MODELS.get_or_init(build_every_model)
}

fn build_every_model() -> Vec<Content> {
    let part = |weight, content| MixPart { weight, content };
    vec![
        built(ContentPlan::Zeros),
        built(ContentPlan::Random),
        built(ContentPlan::Ratio(3.0)),
        built(ContentPlan::Mix(vec![
            part(1.0, ContentPlan::Zeros),
            part(1.0, ContentPlan::Random),
            part(1.0, ContentPlan::Ratio(3.0)),
        ])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_part_is_the_part_of_the_whole(
        start in 0u64..20_000_000,
        cuts in proptest::collection::vec((0usize..300_000, 1usize..20_000), 20),
        version in 1u64..1 << 50,
    ) {
        for content in every_model() {
            let mut whole = vec![0; 320_000];
            content.fill(FileSlot(5), start, version, &mut whole);
            prop_assert_eq!(content.verify(FileSlot(5), start, version, &whole), Ok(()));
            for (at, bytes) in &cuts {
                let mut part = vec![0xaa; *bytes];
                let offset = start + *at as u64;
                content.fill(FileSlot(5), offset, version, &mut part);
                prop_assert!(part == whole[*at..*at + *bytes]);
                prop_assert_eq!(content.verify(FileSlot(5), offset, version, &part), Ok(()));
            }
        }
    }
}
