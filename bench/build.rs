//! Names the revision the binary is built from, and the libraries of its codecs, so that a record can; and what compiles
//! it, since that decides how many instructions it takes.
//!
//! A revision with changes that no commit holds ends in `-dirty`: what is built then is in no history. Only what becomes
//! part of the binary counts, so that this runs again when that changes, and at no other time.
//!
//! Without git, or outside a repository, the revision is empty: a record says so rather than guess. The
//! same goes for the libraries without a lock file.

use std::process::Command;

/// Codecs, and the packages that decide what they make of bytes.
const CODECS: [(&str, &str); 3] = [
    ("lz4", "lz4_flex"),
    ("zlib", "zlib-rs"),
    ("zstd", "zstd-sys"),
];

/// The crates that become part of the binary, from here.
const CRATES: [&str; 5] = [
    ".",
    "../engine",
    "../backends",
    "../workloads",
    "../results",
];

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let mut revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    let sources = sources();
    // Without waiting for locks: somebody may be committing.
    let mut status = vec!["--no-optional-locks", "status", "--porcelain", "--"];
    status.extend(sources.iter().map(String::as_str));
    if !revision.is_empty() && git(&status).is_none_or(|changes| !changes.is_empty()) {
        revision.push_str("-dirty");
    }
    for path in &sources {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rustc-env=DELALLOC_REVISION={revision}");
    let lock = std::fs::read_to_string("../Cargo.lock").unwrap_or_default();
    let codecs = CODECS.iter().filter_map(|(codec, package)| {
        let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
        let (version, _) = rest.split_once('"')?;
        Some(format!("{codec}={package} {version}"))
    });
    let codecs: Vec<String> = codecs.collect();
    println!("cargo::rustc-env=DELALLOC_CODECS={}", codecs.join(","));
    println!("cargo::rustc-env=DELALLOC_BUILT_WITH={}", built_with());
    println!("cargo::rerun-if-env-changed=CC");
    // HEAD names the branch, its log grows with every commit and checkout.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// What is compiled, and how: sources, manifests, the lock, and the workloads of the library.
fn sources() -> Vec<String> {
    let of_crate = |home: &&str| [format!("{home}/src"), format!("{home}/Cargo.toml")];
    let mut paths: Vec<String> = CRATES.iter().flat_map(of_crate).collect();
    let shared = ["build.rs", "../Cargo.toml", "../Cargo.lock"];
    paths.extend(shared.map(str::to_owned));
    let library = std::fs::read_dir("../workloads").into_iter().flatten();
    let names = library
        .flatten()
        .map(|entry| entry.path().display().to_string());
    paths.extend(names.filter(|path| path.ends_with(".yaml")));
    paths.sort_unstable();
    paths
}

/// Compilers, target and profile as `NAME=TEXT`, with tabs between.
fn built_with() -> String {
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok();
        let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
        let line = text.as_deref().and_then(|text| text.lines().next());
        line.unwrap_or("unknown").trim().to_owned()
    };
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    // Flags are parted by a character of their own.
    let flags = set("CARGO_ENCODED_RUSTFLAGS").replace('\u{1f}', " ");
    let facts = [
        ("rustc", version(&set("RUSTC"))),
        ("cc", version(&cc)),
        ("target", set("TARGET")),
        (
            "profile",
            format!("{}, opt-level {}", set("PROFILE"), set("OPT_LEVEL")),
        ),
        (
            "rustflags",
            if flags.is_empty() {
                "none".to_owned()
            } else {
                flags
            },
        ),
    ];
    facts
        .map(|(name, fact)| format!("{name}={fact}"))
        .join("\t")
}
