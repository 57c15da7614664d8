//! How faults are drawn: all at once, each under its own bytes, in whatever text those stand.

use super::{GOOD, rendered, short, try_load, with};

#[test]
fn several_faults_are_drawn_at_once() {
    let text = GOOD.replace("size: 256MiB", "size: 256, sise: 3").replace(
        "{ write: table, block: 1MiB }",
        "{ write: tabel, blok: 1MiB }",
    );
    assert_eq!(
        rendered(&text, &[]),
        "\
error: the size of a file: `256` has no unit
 --> w.yaml:5:18
  |
5 |   table: { size: 256, sise: 3 }
  |                  ^^^
  |
  = help: did you mean `256KiB`?

error: a file has no key `sise`
 --> w.yaml:5:23
  |
5 |   table: { size: 256, sise: 3 }
  |                       ^^^^ unknown key
  |
  = help: did you mean `size`?

error: `write` needs `block:`
 --> w.yaml:8:14
  |
8 |     jobs: [{ write: tabel, blok: 1MiB }]
  |              ^^^^^
  |
  = help: the size of one operation, such as block: 4KiB

error: no file is called `tabel`
 --> w.yaml:8:21
  |
8 |     jobs: [{ write: tabel, blok: 1MiB }]
  |                     ^^^^^
  |
  = help: did you mean `table`?

error: a job has no key `blok`
 --> w.yaml:8:28
  |
8 |     jobs: [{ write: tabel, blok: 1MiB }]
  |                            ^^^^ unknown key
  |
  = help: did you mean `block`?

w.yaml: 5 faults; nothing was run"
    );
}

#[test]
fn a_key_written_twice_shows_both() {
    assert_eq!(
        rendered(&with("phases:", "files: {}\nphases:"), &[]),
        "\
error: `files` is written twice
 --> w.yaml:6:1
  |
4 | files:
  | ----- first here
5 |   table: { size: 256MiB }
6 | files: {}
  | ^^^^^ again here

w.yaml: 1 fault; nothing was run"
    );
}

#[test]
fn an_override_is_drawn_under_its_own_text() {
    assert_eq!(
        rendered(GOOD, &["rounds=0", "phases.lod.duration=2s"]),
        "\
error: rounds is a number from 1 to 1000, not `0`
 --> --set:1:8
  |
1 | rounds=0
  |        ^

error: there is no `lod` among 1 items
 --> --set:1:1
  |
1 | phases.lod.duration=2s
  | ^^^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `load`?

w.yaml: 2 faults; nothing was run"
    );
}

#[test]
fn knobs_are_set_one_by_one() {
    let set = "compression={level: 9}";
    let plan = try_load(GOOD, &["compression.level=9", "engine={}"]);
    assert!(plan.is_ok(), "{plan:?}");
    assert_eq!(
        rendered(GOOD, &[set, "engine={compression.level: 9}", "dirty={}"]),
        "\
error: knobs are set one by one, not as a map
 --> --set:1:13
  |
1 | compression={level: 9}
  |             ^
  |
  = help: such as --set compression.level=VALUE

error: knobs are set one by one, not as a map
 --> --set:1:8
  |
1 | engine={compression.level: 9}
  |        ^
  |
  = help: such as --set compression.level=VALUE

error: knobs are set one by one, not as a map
 --> --set:1:7
  |
1 | dirty={}
  |       ^
  |
  = help: such as --set dirty.NAME=VALUE

w.yaml: 3 faults; nothing was run"
    );
}

#[test]
fn an_objective_is_set_from_outside_like_anything_else() {
    let text = with("phases:", "objective: { maximise: a }\nphases:");
    let plan = try_load(
        &text,
        &["objective.maximise=b", "objective.subject_to=c < 1"],
    )
    .unwrap();
    let objective = plan.objective.unwrap();
    assert_eq!(objective.maximise.as_deref(), Some("b"));
    assert_eq!(objective.subject_to, ["c < 1"]);
}

#[test]
fn what_is_no_yaml_says_where() {
    let faults = short("version: 1\nphases: [1, 2\nname: x\n", &[]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("not YAML"), "{faults:?}");
}

#[test]
fn a_fault_in_a_swept_field_is_under_its_value() {
    let text = with(
        "phases:",
        "sweep:\n  phases.load.jobs.0.block: [1MiB, 1GiB, 4k]\nphases:",
    );
    assert_eq!(
        short(&text, &[]),
        [
            "7:36 a block of 1GiB does not fit into 256MiB of `table`",
            "7:42 a block: `k` is no unit of a size; there are KiB, MiB, GiB, TiB, B, kB, MB, GB, TB [4KiB]",
        ]
    );
}
