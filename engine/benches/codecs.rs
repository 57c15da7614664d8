//! Codecs on one extent of 128 KiB, one thread: the ceiling of the engine's throughput per core, and what
//! the cheap looks before a codec cost.
//!
//! The bytes are words of a skewed vocabulary, numbers and phrases said before, and shrink about as much as
//! source code and logs do: to a half by lz4, to a third by zstd.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use delalloc_engine::compress::{
    Attempt, Codec, Compression, Decoder, Encoder, encode, is_zero, stored_bytes_max, worth,
};

const EXTENT: usize = 128 << 10;

/// A small generator, pinned here so that the bytes never change.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        self.0 >> 33
    }
}

fn noise() -> Vec<u8> {
    let mut draw = Draw(7);
    (0..EXTENT).map(|_| draw.next().to_le_bytes()[2]).collect()
}

fn text() -> Vec<u8> {
    let mut draw = Draw(1);
    let words: Vec<String> = (0..4096)
        .map(|_| {
            let letters = 2 + draw.next() % 9;
            (0..letters)
                .map(|_| char::from(b"etaoinshrdlucmfwypvbgkqjxz"[skewed(&mut draw, 26)]))
                .collect()
        })
        .collect();
    let mut text = String::new();
    while text.len() < EXTENT {
        match draw.next() % 24 {
            0 => text.push('\n'),
            1 => text.push_str(&draw.next().to_string()),
            2..=3 if text.len() > 4096 => {
                let back = usize::try_from(draw.next() % 4000).expect("it is small") + 80;
                let len = usize::try_from(16 + draw.next() % 64).expect("it is small");
                text.extend_from_within(text.len() - back..text.len() - back + len);
            }
            _ => {
                text.push_str(&words[skewed(&mut draw, words.len())]);
                text.push(' ');
            }
        }
    }
    text.truncate(EXTENT);
    text.into_bytes()
}

/// An index below `count`, small ones more often.
fn skewed(draw: &mut Draw, count: usize) -> usize {
    let mut index = count as u64;
    for _ in 0..2 {
        index = draw.next() % index.max(1);
    }
    usize::try_from(index).expect("below count")
}

const LEVELS: [(Codec, i32); 10] = [
    (Codec::Lz4, 0),
    (Codec::Zstd, -5),
    (Codec::Zstd, 1),
    (Codec::Zstd, 3),
    (Codec::Zstd, 9),
    (Codec::Zstd, 15),
    (Codec::Zstd, 19),
    (Codec::Zlib, 1),
    (Codec::Zlib, 3),
    (Codec::Zlib, 9),
];

fn codecs(criterion: &mut Criterion) {
    let plain = text();
    let limit = stored_bytes_max(plain.len());
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let mut out = vec![0; limit];
    let mut back = vec![0; plain.len()];
    for (codec, level) in LEVELS {
        let stored = encoder
            .compress(codec, level, &plain, &mut out)
            .expect("the level is valid")
            .expect("text shrinks");
        let id = format!("{codec} {level}, {}%", stored * 100 / plain.len());
        let mut group = criterion.benchmark_group("codec");
        group.throughput(Throughput::Bytes(EXTENT as u64));
        if level > 9 {
            group.sample_size(10);
        }
        group.bench_function(BenchmarkId::new("compress", &id), |bencher| {
            bencher.iter(|| {
                encoder
                    .compress(codec, level, black_box(&plain), &mut out)
                    .expect("the level is valid")
            });
        });
        group.bench_function(BenchmarkId::new("decompress", &id), |bencher| {
            bencher.iter(|| {
                decoder
                    .decompress(codec, black_box(&out[..stored]), &mut back)
                    .expect("it is what was written");
            });
        });
        group.finish();
        assert!(back == plain, "{codec} {level} loses bytes");
    }
}

fn looks(criterion: &mut Criterion) {
    let (zeros, text, noise) = (vec![0; EXTENT], text(), noise());
    let mut out = vec![0; stored_bytes_max(EXTENT)];
    let mut group = criterion.benchmark_group("look");
    group.throughput(Throughput::Bytes(EXTENT as u64));
    group.bench_function("is_zero, zeros", |bencher| {
        bencher.iter(|| is_zero(black_box(&zeros)));
    });
    group.bench_function("is_zero, text", |bencher| {
        bencher.iter(|| is_zero(black_box(&text)));
    });
    for (name, plain) in [("zeros", &zeros), ("text", &text), ("noise", &noise)] {
        group.bench_function(BenchmarkId::new("worth", name), |bencher| {
            bencher.iter(|| worth(black_box(plain)));
        });
        group.bench_function(BenchmarkId::new("encode", name), |bencher| {
            let compression = Compression::default();
            bencher.iter(|| encode(&compression, Attempt::Try, black_box(plain), &mut out));
        });
    }
    group.finish();
}

criterion_group!(benches, codecs, looks);
criterion_main!(benches);
