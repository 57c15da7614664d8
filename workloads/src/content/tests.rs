//! Content keeps its ratio, its shape and its promise: the same bytes however they are asked for.

use proptest::prelude::*;

use super::model::is_zero;
use super::*;
use crate::plan::{Looks, MosaicPlan};

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
    for asked in [1.5, 2.5, 6.0, 8.0, 11.0, 15.0] {
        let content = built(ContentPlan::Ratio(asked));
        let found = ratio_of(&content, 8 << 20, zstd_bytes(1));
        assert!((found / asked - 1.0).abs() < 0.02, "{asked}: {found}");
    }
}

#[test]
fn small_writes_apart_compress_as_they_are_said_to() {
    let text = "version: 1\ntargets: { n: null }\nseed: 7\ncontent: { text: { ratio: 3 } }\nfiles: { t: { size: 64MiB } }\nphases: [{ name: p, duration: 9s, jobs: [{ write: t, block: 1MiB }, { write: t, block: 4KiB, pattern: random }, { write: t, block: 4KiB }] }]\n";
    let plan = crate::load_str(text, "w", &[], crate::Checks::none()).unwrap();
    let load = &plan.loads[0];
    let content = Content::build(load).unwrap();
    let said = &content.achieved(&[load])[0];
    let [apart, in_a_row, whole] = &said.written[..] else {
        panic!("three ways of writing: {:?}", said.written);
    };
    assert_eq!((apart.block_bytes, apart.extent_bytes), (4096, 4096));
    assert_eq!(
        (in_a_row.block_bytes, in_a_row.extent_bytes),
        (4096, 128 << 10)
    );
    assert_eq!((whole.block_bytes, whole.ratio), (1 << 20, said.ratio));

    // The same, measured on what two loads write: pages here and there, and extents of pages one after the other.
    let stored = |pages: u64, step: u64| {
        let mut extent = vec![0; 4096 * usize::try_from(pages).unwrap()];
        let mut stored = 0;
        for nth in 0..2048 / pages {
            for (page, bytes) in extent.chunks_mut(4096).enumerate() {
                let nth = nth * pages + page as u64;
                content.fill(FileSlot(0), nth * step % 16384 * 4096, 99 + nth, bytes);
            }
            stored += zstd_bytes(1)(&extent);
        }
        f64::from(2048 * 4096) / stored as f64
    };
    for (said, found) in [
        (apart.ratio, stored(1, 6007)),
        (in_a_row.ratio, stored(32, 1)),
    ] {
        assert!(
            (said / found - 1.0).abs() < 0.03,
            "said {said}, found {found}"
        );
    }
    assert!(
        apart.ratio < 0.9 * in_a_row.ratio && in_a_row.ratio < whole.ratio,
        "{said:?}"
    );
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
        matches!(self.default.source, Source::Pool(_))
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
        built(repeating(0.4, ContentPlan::Ratio(3.0))),
        built(repeating(
            0.4,
            ContentPlan::Mosaic(MosaicPlan {
                unit_bytes: 16 << 10,
                parts: vec![
                    part(1.0, ContentPlan::Zeros),
                    part(1.0, ContentPlan::Random),
                ],
            }),
        )),
        built(ContentPlan::Recipe(RecipePlan {
            recipe: Recipe::Borders {
                distance_bytes: 256 << 10,
                share: 0.5,
            },
            ratio: Some(2.0),
            codec: RatioCodec::Lz4,
        })),
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

/// What is written today has to be what was written last year.
#[test]
fn the_bytes_are_what_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let file: Vec<u8> = (0..40_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(directory.path().join("a"), file).unwrap();
    let part = |weight, content| MixPart { weight, content };
    let contents = [
        ContentPlan::Random,
        ContentPlan::Ratio(1.3),
        ContentPlan::Ratio(2.5),
        ContentPlan::Ratio(6.0),
        ContentPlan::Corpus(directory.path().to_owned()),
        ContentPlan::Mix(vec![
            part(2.0, ContentPlan::Zeros),
            part(1.0, ContentPlan::Random),
            part(3.0, ContentPlan::Ratio(2.5)),
        ]),
    ];
    let mut bytes = vec![0; 1 << 20];
    let hashes: Vec<String> = contents
        .into_iter()
        .map(|plan| {
            built(plan).fill(FileSlot(3), 12_345, 77, &mut bytes);
            format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes))
        })
        .collect();
    let pinned = [
        "f4ba1da4fb7d391b",
        "a6ab063eca87bdeb",
        "3e488cc970b27786",
        "f9734b6aa548d339",
        "8e50a344656ae2a9",
        "b0ef54218837f717",
    ];
    assert_eq!(hashes, pinned);
}

fn repeating(share: f64, of: ContentPlan) -> ContentPlan {
    ContentPlan::Dedupe(DedupePlan {
        share,
        block_bytes: 4096,
        working_set_bytes: 512 << 10,
        of: Box::new(of),
    })
}

#[test]
fn duplicates_keep_their_share_whichever_way_a_file_is_written() {
    let content = built(ContentPlan::Dedupe(DedupePlan {
        of: Box::new(ContentPlan::Random),
        share: 0.25,
        block_bytes: 4096,
        working_set_bytes: 64 << 10,
    }));
    let blocks = 4096;
    // The first block, and from each to the next, around.
    let orders = [
        ("forward", 0, 1),
        ("backward", 4095, 4095),
        ("every third", 0, 3),
        ("one block", 17, 0),
    ];
    for (order, first, step) in orders {
        for first_version in [1, 1 + blocks, 1 << 40] {
            let mut seen = std::collections::HashSet::new();
            let mut bytes = vec![0; 4096];
            for nth in 0..blocks {
                let at = (first + nth * step) % blocks * 4096;
                content.fill(FileSlot(0), at, first_version + nth, &mut bytes);
                seen.insert(bytes.clone());
            }
            let found = 1.0 - seen.len() as f64 / blocks as f64;
            assert!(
                (0.20..0.30).contains(&found),
                "{order} from {first_version}: {found}"
            );
        }
    }
}

#[test]
fn a_share_of_blocks_repeats_and_the_others_do_not() {
    for share in [0.05, 0.25, 0.8] {
        let load = load(repeating(share, ContentPlan::Random));
        let content = Content::build(&load).unwrap();
        // What is said of it, and what a load of many files, overwritten, comes to.
        let said = content.achieved(&[&load])[0].dedupe.unwrap();
        let mut seen = std::collections::HashSet::new();
        let mut block = vec![0; 4096];
        let blocks = 40_000;
        for nth in 0..blocks {
            let (file, at) = (FileSlot(nth % 3), u64::from(nth % 7000));
            content.fill(file, at * 4096, 1 + u64::from(nth), &mut block);
            seen.insert(xxhash_rust::xxh3::xxh3_128(&block));
        }
        let found = 1.0 - seen.len() as f64 / f64::from(blocks);
        // The first time that a block of the working set is shown it repeats nothing.
        let first = |blocks: f64| 128.0 / blocks;
        for value in [said + first(32_768.0), found + first(f64::from(blocks))] {
            assert!((value / share - 1.0).abs() < 0.02, "{share}: {value}");
        }
    }
}

#[test]
fn duplicates_leave_the_ratio_alone() {
    let recipe = RecipePlan {
        recipe: Recipe::Records { row_bytes: 128 },
        ratio: Some(3.0),
        codec: RatioCodec::DEFAULT,
    };
    for of in [ContentPlan::Ratio(3.0), ContentPlan::Recipe(recipe)] {
        let content = built(repeating(0.25, of));
        let found = ratio_of(&content, 16 << 20, zstd_bytes(1));
        assert!((found / 3.0 - 1.0).abs() < 0.02, "{found}");
    }
}

#[test]
fn what_repeats_across_borders_is_seen_by_larger_extents_alone() {
    let content = built(ContentPlan::Recipe(RecipePlan {
        recipe: Recipe::Borders {
            distance_bytes: 128 << 10,
            share: 1.0,
        },
        ratio: Some(2.0),
        codec: RatioCodec::DEFAULT,
    }));
    let mut write = vec![0; 1 << 20];
    let mut stored = [0usize; 2];
    for nth in 0..16u64 {
        content.fill(FileSlot(0), nth << 20, 1 + nth, &mut write);
        for (stored, extent_bytes) in stored.iter_mut().zip([128 << 10, 256 << 10]) {
            *stored += write.chunks(extent_bytes).map(zstd_bytes(3)).sum::<usize>();
        }
    }
    let gain = stored[0] as f64 / stored[1] as f64;
    assert!(gain > 1.6, "{gain}");
}

#[test]
fn what_looks_compressible_is_not() {
    let content = built(ContentPlan::Recipe(RecipePlan {
        recipe: Recipe::Adversarial {
            looks: Looks::Compressible,
        },
        ratio: None,
        codec: RatioCodec::DEFAULT,
    }));
    let found = ratio_of(&content, 4 << 20, zstd_bytes(3));
    assert!((0.99..1.05).contains(&found), "{found}");
}

#[test]
fn a_mosaic_of_blocks_has_its_parts_within_an_extent() {
    let part = |weight, content| MixPart { weight, content };
    let content = built(ContentPlan::Mosaic(MosaicPlan {
        unit_bytes: 4096,
        parts: vec![
            part(1.0, ContentPlan::Zeros),
            part(1.0, ContentPlan::Random),
        ],
    }));
    let mut extent = vec![0; 128 << 10];
    for nth in 0..50u64 {
        content.fill(FileSlot(0), nth << 17, 1, &mut extent);
        let zeros = extent.chunks(4096).filter(|page| is_zero(page)).count();
        assert!((3..30).contains(&zeros), "{zeros}");
    }
}
