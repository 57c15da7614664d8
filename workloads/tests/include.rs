//! Workloads that start from others: what wins, where faults stand, and what is refused.

use std::path::PathBuf;

use delalloc_workloads::{Checks, LoadError, WorkloadPlan, load, load_str};

struct Shelf(tempfile::TempDir);

impl Shelf {
    fn new(files: &[(&str, &str)]) -> Self {
        let shelf = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = shelf.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        shelf
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, name: &str) -> Result<WorkloadPlan, LoadError> {
        load(self.path(name).to_str().unwrap(), &[], Checks::none())
    }

    /// Every fault, drawn, with the place of the shelf taken out.
    fn faults(&self, name: &str) -> String {
        match self.load(name) {
            Err(LoadError::Faults(faults)) => faults
                .render(false)
                .replace(&format!("{}/", self.0.path().display()), ""),
            other => panic!("faults were expected: {other:?}"),
        }
    }
}

const BASE: &str = "\
version: 1
seed: 7
targets:
  n: { null: {} }
engine: { compression: { level: 1, codec: zstd } }
content: { ratio: 2 }
files:
  t: { size: 1MiB, filled: true }
phases:
  - name: serve
    duration: 5s
    jobs: [{ read: t, block: 4KiB }]
sweep: { thread_pool_size: [1, 2] }
";

#[test]
fn what_is_said_wins_key_by_key() {
    let shelf = Shelf::new(&[
        ("lib/base.yaml", BASE),
        (
            "w.yaml",
            "include: lib/base.yaml\ntargets: { m: { null: {} } }\nengine: { compression.level: 3 }\ncontent: zeros\nfiles: { t: { size: 2MiB }, log: {} }\nphases:\n  - { name: serve, duration: 9s }\n  - { name: more, jobs: [{ append: log, block: 4KiB, ops: 3 }] }\nsweep: null\n",
        ),
    ]);
    let plan = shelf
        .load("w.yaml")
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((plan.seed, plan.points.len()), (7, 1));
    let targets: Vec<&str> = plan.targets.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(targets, ["n", "m"]);
    let knobs: Vec<(&str, &str)> = plan.points[0].base_knobs.iter().collect();
    assert_eq!(
        knobs,
        [("compression.codec", "zstd"), ("compression.level", "3")]
    );
    let load = &plan.loads[0];
    assert_eq!(load.files[0].size_bytes, Some(2 << 20));
    let phases: Vec<&str> = load.phases.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(phases, ["prepare", "serve", "more"], "t is still filled");
    assert_eq!(load.phases[1].duration_ns, Some(9_000_000_000));
    assert_eq!(load.phases[1].jobs.len(), 1);
    assert_eq!(plan.source.included.len(), 1);
}

#[test]
fn a_fault_stands_in_its_own_file() {
    let shelf = Shelf::new(&[
        (
            "lib/base.yaml",
            &BASE.replace("4KiB", "4k").replace("seed: 7", "sead: 7"),
        ),
        ("w.yaml", "include: lib/base.yaml\nrounds: 0\nsweep: null\n"),
    ]);
    assert_eq!(
        shelf.faults("w.yaml"),
        "\
error: rounds is a number from 1 to 1000, not `0`
 --> w.yaml:2:9
  |
2 | rounds: 0
  |         ^

error: a workload has no key `sead`
 --> lib/base.yaml:2:1
  |
2 | sead: 7
  | ^^^^ unknown key
  |
  = help: did you mean `seed`?

error: a block: `k` is no unit of a size; there are KiB, MiB, GiB, TiB, B, kB, MB, GB, TB
  --> lib/base.yaml:12:30
   |
12 |     jobs: [{ read: t, block: 4k }]
   |                              ^^
   |
   = help: did you mean `4KiB`?

w.yaml: 3 faults; nothing was run"
    );
}

#[test]
fn keys_written_twice_are_found_on_either_side() {
    let twice = BASE.replace("seed: 7", "seed: 7\nseed: 8");
    let shelf = Shelf::new(&[
        ("base.yaml", BASE),
        ("twice.yaml", &twice),
        ("over.yaml", "include: base.yaml\nseed: 1\nseed: 2\n"),
        ("under.yaml", "include: twice.yaml\n"),
    ]);
    let over = shelf.faults("over.yaml");
    assert!(
        over.contains("`seed` is written twice") && over.contains("over.yaml:3:1"),
        "{over}"
    );
    let under = shelf.faults("under.yaml");
    assert!(under.contains("twice.yaml:3:1"), "{under}");
}

#[test]
fn circles_depth_and_what_is_not_there_are_refused() {
    let deep: Vec<(String, String)> = (0..12)
        .map(|nth| {
            (
                format!("d{nth}.yaml"),
                format!("include: d{}.yaml\n", nth + 1),
            )
        })
        .collect();
    let mut files: Vec<(&str, &str)> = deep.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    files.extend([
        ("a.yaml", "include: sub/b.yaml\n"),
        ("sub/b.yaml", "include: ../a.yaml\n"),
        ("gone.yaml", "include: nowhere.yaml\n"),
        ("near.yaml", "include: statrer\n"),
        ("bad.yaml", "include: broken.yaml\n"),
        ("broken.yaml", "a: [1\n"),
        ("dir.yaml", "include: sub\n"),
    ]);
    let shelf = Shelf::new(&files);
    let circle = shelf.faults("a.yaml");
    assert!(circle.contains("`../a.yaml` includes itself"), "{circle}");
    assert!(circle.contains("sub/b.yaml:1:10"), "{circle}");
    let depth = shelf.faults("d0.yaml");
    assert!(
        depth.contains("d8.yaml:1:10") && depth.contains("8 deep"),
        "{depth}"
    );
    let gone = shelf.faults("gone.yaml");
    assert!(
        gone.contains("there is no workload `nowhere.yaml`"),
        "{gone}"
    );
    assert!(
        shelf
            .faults("near.yaml")
            .contains("did you mean `starter`?")
    );
    let bad = shelf.faults("bad.yaml");
    assert!(
        bad.contains("not YAML") && bad.contains("broken.yaml:"),
        "{bad}"
    );
    assert!(shelf.faults("dir.yaml").contains("is no file"));
}

#[test]
fn a_text_of_nowhere_includes_the_library_and_no_file() {
    let plan = load_str("include: starter\nrounds: 9\n", "w", &[], Checks::none()).unwrap();
    assert_eq!(plan.rounds, 9);
    let shelf = Shelf::new(&[("base.yaml", BASE)]);
    let text = format!("include: {}\n", shelf.path("base.yaml").display());
    assert!(load_str(&text, "w", &[], Checks::none()).is_err());
}
