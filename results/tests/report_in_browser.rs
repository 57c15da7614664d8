//! The page in a real browser: its script runs, its console stays quiet, both themes are readable.
//!
//! Needs Chromium. Where there is none the test says SKIPPED and proves nothing.

mod support;

use delalloc_results::render;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Size, TYPICAL};

fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let folders = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no Chromium on PATH, so the page was not opened in a browser");
    }
    found
}

/// The page's elements after its script ran, and what the browser said meanwhile.
fn open(browser: &Path, page: &str, hash: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("report.html");
    std::fs::write(&file, page).expect("written");
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            "--window-size=375,900",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg(format!("file://{}#{hash}", file.display()))
        .output()
        .expect("the browser starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_page_comes_alive_without_a_word_on_the_console() {
    let Some(browser) = chromium() else { return };
    let probe = "<script>
        const wide = document.documentElement.scrollWidth > innerWidth;
        document.documentElement.dataset.overflow = wide ? 'yes' : 'no';
        const head = document.querySelectorAll('#numbers th button')[2];
        head.click();
        const rates = [...head.closest('table').tBodies[0].rows].map((row) => Number(row.cells[2].dataset.sort));
        const sorted = rates.every((rate, index) => index === 0 || rates[index - 1] <= rate);
        document.documentElement.dataset.sorted = sorted && rates.length > 2 ? 'yes' : 'no';
        const line = document.querySelector('#time polyline[stroke=\"var(--series-0)\"]');
        document.documentElement.dataset.line = getComputedStyle(line).stroke;
        const record = JSON.parse(document.querySelector('script[data-blob=\"cells.csv\"]').textContent);
        document.documentElement.dataset.blob = record.startsWith('target,round') ? 'yes' : 'no';
        </script></body>";
    let size = Size {
        rounds: 2,
        operations: 200,
        ..TYPICAL
    };
    let page = render(&support::record(size)).replace("</body>", probe);
    let (dom, said) = open(&browser, &page, "theme=dark");
    for marker in [
        "data-ready=\"yes\"",
        "data-theme=\"dark\"",
        "data-overflow=\"no\"",
        "data-sorted=\"yes\"",
        "data-blob=\"yes\"",
        "data-line=\"rgb(86, 180, 233)\"",
    ] {
        let root = dom.split('>').nth(1).unwrap_or_default();
        assert!(
            dom.contains(marker),
            "{marker} is not on the root element: {root}\n{said}"
        );
    }
    assert!(!said.contains("CONSOLE"), "{said}");
}
