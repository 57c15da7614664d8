//! Names the revision the binary is built from, and the libraries of its codecs, so that a record can.
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

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    println!("cargo::rustc-env=DELALLOC_REVISION={revision}");
    let lock = std::fs::read_to_string("../Cargo.lock").unwrap_or_default();
    let codecs = CODECS.iter().filter_map(|(codec, package)| {
        let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
        let (version, _) = rest.split_once('"')?;
        Some(format!("{codec}={package} {version}"))
    });
    let codecs: Vec<String> = codecs.collect();
    println!("cargo::rustc-env=DELALLOC_CODECS={}", codecs.join(","));
    println!("cargo::rerun-if-changed=../Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
    // HEAD names the branch, its log grows with every commit and checkout.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}
