//! `delalloc check` as scripts see it: exit codes, what it says about good, damaged, foreign and
//! missing images, and the shape of its JSON; and `delalloc export`, which copies out what is good.

mod support;

use std::path::PathBuf;

use predicates::prelude::*;
use serde_json::Value;
use support::{Bench, small};

const SUPERBLOCKS: [usize; 2] = [64 << 10, 128 << 10];
const AREA_START: usize = 256 << 10;

/// An image that a run left behind: a table overwritten at random, and a log.
fn image(bench: &Bench) -> PathBuf {
    let path = bench.path("device.img");
    if path.exists() {
        return path;
    }
    let text = small("").replace(
        "mem: { size: 64MiB }",
        "file: { path: device.img, size: 16MiB, buffered: true }",
    );
    let workload = bench.workload("image.yaml", &text);
    assert_eq!(bench.replay(&workload, "out", &[]).0, 0);
    path
}

fn damaged(bench: &Bench, name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(image(bench)).expect("an image");
    damage(&mut bytes);
    std::fs::write(bench.path(name), bytes).expect("a temporary file");
}

fn json(bench: &Bench, code: i32, args: &[&str]) -> Value {
    let output = bench
        .delalloc()
        .arg("check")
        .args(args)
        .arg("--json")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("one JSON document and nothing else")
}

fn says(bench: &Bench, code: i32, args: &[&str], what: &[&str]) {
    let mut all = bench.delalloc().arg("check").args(args).assert().code(code);
    for what in what {
        all = all.stdout(predicate::str::contains(*what));
    }
}

#[test]
fn a_good_image_is_proven_and_what_is_in_it_adds_up() {
    let bench = Bench::new();
    image(&bench);
    says(
        &bench,
        0,
        &["device.img"],
        &["check=good issues=0", "live", "dead", "image=device.img"],
    );
    let report = json(&bench, 0, &["device.img"]);
    let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name}"));
    assert_eq!(report["exit"]["code"], "good");
    assert_eq!((number("files"), number("issues_more")), (2, 0));
    assert_eq!(
        number("area_bytes"),
        number("node_bytes")
            + number("stored_bytes")
            + number("log_bytes")
            + number("logged_bytes")
            + number("free_bytes")
    );
    assert_eq!(
        number("plain_bytes"),
        number("live_bytes") + number("dead_bytes")
    );
    assert!(number("bookends") > 0, "overwrites at random leave some");
    assert!(number("extents_decoded") > 0);
    assert_eq!(number("sectors_verified") * 4096, number("stored_bytes"));
    let quick = json(&bench, 0, &["device.img", "--no-decode"]);
    assert_eq!(quick["extents_decoded"], 0);
}

#[test]
fn the_listing_names_every_file_and_extent() {
    let bench = Bench::new();
    image(&bench);
    says(
        &bench,
        0,
        &["device.img", "--extents"],
        &[
            "\"table\": size 2097152",
            "extent at ",
            "zstd",
            "check=good",
        ],
    );
    let report = json(&bench, 0, &["device.img", "--extents"]);
    let inventory = report["inventory"].as_array().expect("a list");
    let (mut stored_bytes, mut live_bytes, mut mapped_bytes, mut files) = (0, 0, 0, Vec::new());
    for entry in inventory {
        let number = |name: &str| entry["extent"][name].as_u64();
        if let Some(bytes) = number("stored_bytes") {
            stored_bytes += bytes;
            live_bytes += number("live_bytes").expect("of every extent");
            assert!(number("address") >= Some(AREA_START as u64));
            assert!(number("references") >= Some(1));
        } else {
            files.push(entry["file"]["name"].as_str().expect("a name"));
            mapped_bytes += entry["file"]["mapped_bytes"]
                .as_u64()
                .expect("of every file");
        }
    }
    files.sort_unstable();
    assert_eq!(files, ["log", "table"]);
    assert_eq!(report["stored_bytes"], stored_bytes);
    assert_eq!(report["live_bytes"], live_bytes);
    assert_eq!(live_bytes, mapped_bytes);
    assert_eq!(report["extents"], (inventory.len() - 2) as u64);
}

#[test]
fn the_shape_of_the_json_does_not_change_unnoticed() {
    let bench = Bench::new();
    damaged(&bench, "torn.img", |bytes| bytes[SUPERBLOCKS[0] + 9] ^= 1);
    let report = json(&bench, 0, &["torn.img"]);
    let mut names: Vec<&String> = report.as_object().expect("an object").keys().collect();
    names.sort_unstable();
    let wanted = "area_bytes bookends dead_bytes exit extents extents_decoded file_extents files \
                  free_bytes generation issues issues_more live_bytes log_batches log_bytes \
                  log_records logged_bytes node_bytes nodes orphans plain_bytes remedy sectors_verified stored_bytes";
    assert_eq!(names, wanted.split_whitespace().collect::<Vec<_>>());
    let issue = report["issues"][0].as_object().expect("an issue");
    let mut names: Vec<&String> = issue.keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["issue", "kind", "severity"]);
    assert_eq!(issue["kind"], "superblock_unusable");
    assert_eq!(issue["severity"], "warning");
    assert!(
        issue["issue"].as_str().expect("words").contains("65536"),
        "its place"
    );
}

#[test]
fn damage_is_named_with_its_place_and_what_to_do() {
    let bench = Bench::new();
    damaged(&bench, "flipped.img", |bytes| {
        // Data is placed from the front of the area on.
        for at in (AREA_START..AREA_START + (1 << 20)).step_by(4096) {
            bytes[at] ^= 0x10;
        }
    });
    says(
        &bench,
        4,
        &["flipped.img"],
        &[
            "error: stored bytes at ",
            "crc32c",
            "delalloc export",
            "check=failed",
        ],
    );
    let report = json(&bench, 4, &["flipped.img"]);
    assert_eq!(report["exit"]["code"], "failed");
    assert_eq!(report["issues"][0]["kind"], "data_checksum");

    damaged(&bench, "wiped.img", |bytes| {
        bytes[64 << 10..AREA_START].fill(0)
    });
    says(
        &bench,
        4,
        &["wiped.img"],
        &["fatal: no superblock", "magic DELALLOC"],
    );
    // A killed copy.
    damaged(&bench, "cut.img", |bytes| bytes.truncate(8 << 20));
    says(
        &bench,
        4,
        &["cut.img"],
        &["the volume has 16777216 bytes, the device only 8388608"],
    );
    let report = json(&bench, 4, &["cut.img", "--extents"]);
    assert_eq!(report["inventory"], Value::Array(Vec::new()));
    assert_eq!(report["issues"][0]["kind"], "no_superblock");
}

#[test]
fn what_is_no_image_is_told_apart() {
    let bench = Bench::new();
    bench.workload("notes.txt", &"not an image\n".repeat(100_000));
    says(&bench, 4, &["notes.txt"], &["not a delalloc volume"]);
    for (what, why) in [("absent.img", "absent.img"), (".", ".")] {
        bench
            .delalloc()
            .args(["check", what])
            .assert()
            .code(2)
            .stdout("")
            .stderr(predicate::str::contains(why));
        let report = json(&bench, 2, &[what]);
        assert_eq!(report["exit"]["code"], "usage");
    }
    bench.delalloc().arg("check").assert().code(2);
    bench
        .delalloc()
        .args(["check", "--help"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("--extents").and(predicate::str::contains("  4  ")));
}

#[test]
fn a_check_writes_nothing() {
    let bench = Bench::new();
    let path = image(&bench);
    let before = std::fs::read(&path).expect("an image");
    let mut permissions = std::fs::metadata(&path).expect("an image").permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).expect("our own file");
    says(&bench, 0, &["device.img", "--extents"], &["check=good"]);
    assert_eq!(std::fs::read(&path).expect("an image"), before);
}

/// Three files of 256 KiB that no codec makes smaller.
fn three_files(bench: &Bench) {
    let text = "version: 1
name: three
seed: 3
targets:
  engine: { engine: { backend: { file: { path: three.img, size: 16MiB, buffered: true } } } }
content: { ratio: 1 }
files:
  a: { size: 256KiB }
  b: { size: 256KiB }
  c: { size: 256KiB }
phases:
  - name: load
    jobs:
      - { write: a, pattern: sequential, block: 64KiB }
      - { write: b, pattern: sequential, block: 64KiB }
      - { write: c, pattern: sequential, block: 64KiB }
    end: sync
";
    let workload = bench.workload("three.yaml", text);
    assert_eq!(bench.replay(&workload, "three", &[]).0, 0);
}

#[test]
fn what_reads_well_is_copied_out_of_a_damaged_image() {
    let bench = Bench::new();
    three_files(&bench);
    let export = |to: &str, code| {
        let output = bench.delalloc().args(["export", "three.img", to]).output();
        let output = output.expect("the binary runs");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let bytes = |path: &str| std::fs::read(bench.path(path)).expect("a file");
    export("whole", 0);

    let report = json(&bench, 0, &["three.img", "--extents"]);
    let entries = report["inventory"].as_array().expect("a list");
    let number = entries.iter().find(|entry| entry["file"]["name"] == "a");
    let number = number.expect("it is there")["file"]["number"].as_u64();
    let extent = entries
        .iter()
        .find(|entry| entry["extent"]["file"].as_u64() == number && number.is_some())
        .expect("it has one");
    let at = extent["extent"]["address"].as_u64().expect("a place");
    let mut image = bytes("three.img");
    image[usize::try_from(at).expect("small") + 5] ^= 1;
    std::fs::write(bench.path("three.img"), &image).expect("a temporary file");

    let said = export("part", 4);
    assert!(
        said.contains("\"a\"") && said.contains("4096 bytes at "),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    for sound in ["b", "c"] {
        assert_eq!(
            bytes(&format!("part/{sound}")),
            bytes(&format!("whole/{sound}"))
        );
    }
    let (part, whole) = (bytes("part/a"), bytes("whole/a"));
    let differ = |(one, other): &(&[u8], &[u8])| one != other;
    let lost: Vec<_> = part
        .chunks(4096)
        .zip(whole.chunks(4096))
        .filter(differ)
        .collect();
    assert_eq!((part.len(), lost.len()), (whole.len(), 1));
    assert_eq!(lost[0].0, [0; 4096]);
    assert_eq!(bytes("three.img"), image, "nothing is written to it");

    // What is there stays, and what is not is copied.
    std::fs::remove_file(bench.path("part/c")).expect("it was copied");
    let said = export("part", 4);
    assert_eq!(said.matches("exists").count(), 2, "{said}");
    assert_eq!(bytes("part/c"), bytes("whole/c"));
}
