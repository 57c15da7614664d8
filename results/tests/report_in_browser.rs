//! The page in a real browser: it is used by keyboard, fits its window, fetches nothing, says nothing.
//!
//! Needs Chromium. Where there is none the tests say SKIPPED and prove nothing.

#[path = "support/browser.rs"]
mod browser;
mod support;

use browser::{Browser, chromium};
use delalloc_results::record::{RunRecord, Tool, Workload};
use delalloc_results::{render, render_comparison};
use serde_json::json;
use support::{Size, TYPICAL};

fn typical() -> RunRecord {
    support::record(Size {
        rounds: 2,
        operations: 200,
        ..TYPICAL
    })
}

fn empty() -> RunRecord {
    RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default())
}

#[test]
fn no_page_is_wider_than_its_window_fetches_anything_or_complains() {
    let Some(chromium) = chromium() else { return };
    let mut browser = Browser::start(&chromium);
    let record = typical();
    let pages = [
        ("a sweep", render(&record)),
        ("an empty run", render(&empty())),
        (
            "two runs",
            render_comparison(("before", &record), ("after", &record)),
        ),
    ];
    for (name, page) in &pages {
        for width in [375, 1600] {
            browser.open(page, width, "");
            let too_wide = browser.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth",
            );
            assert_eq!(too_wide, json!(0), "{name} at {width} pixels");
            let alive = browser.evaluate("document.documentElement.dataset.ready");
            assert_eq!(alive, json!("yes"), "{name}");
            assert!(
                browser.complaints.is_empty(),
                "{name}: {:?}",
                browser.complaints
            );
        }
    }
}

#[test]
fn both_themes_colour_the_charts() {
    let Some(chromium) = chromium() else { return };
    let mut browser = Browser::start(&chromium);
    let page = render(&typical());
    for (theme, colour) in [("dark", "rgb(86, 180, 233)"), ("light", "rgb(0, 114, 178)")] {
        browser.open(&page, 1600, &format!("theme={theme}"));
        let line = "document.querySelector('#time polyline[stroke=\"var(--series-0)\"]')";
        let stroke = browser.evaluate(&format!("getComputedStyle({line}).stroke"));
        assert_eq!(stroke, json!(colour), "{theme}");
    }
}

#[test]
fn tables_sort_and_filter_by_keyboard_alone() {
    let Some(chromium) = chromium() else { return };
    let mut browser = Browser::start(&chromium);
    browser.open(&render(&typical()), 1600, "");

    // Nothing but Tab until the head of the rates has the focus.
    let is_there = "document.activeElement.closest('#numbers th')?.cellIndex === 2";
    let mut presses = 0;
    while browser.evaluate(is_there) != json!(true) {
        presses += 1;
        assert!(presses < 200, "Tab does not reach the head of a table");
        browser.press("Tab", 9, "");
    }
    let ring = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(ring, json!("solid"), "the focus is seen");
    let rates = "[...document.querySelector('#numbers tbody').rows].map((row) => Number(row.cells[2].dataset.sort))";
    for (nth, wanted) in ["ascending", "descending"].into_iter().enumerate() {
        browser.press("Enter", 13, "\r");
        let sort = "document.activeElement.closest('th').getAttribute('aria-sort')";
        assert_eq!(browser.evaluate(sort), json!(wanted));
        let sorted = format!(
            "{rates}.every((rate, i, all) => i === 0 || (all[i - 1] - rate) * {} <= 0)",
            [1, -1][nth]
        );
        assert_eq!(browser.evaluate(&sorted), json!(true), "{wanted}");
    }

    // What is missing comes last either way: the kernel filesystem has no value of a swept knob.
    browser
        .evaluate("document.querySelector('#sweep details thead th:nth-child(3) button').focus()");
    let last = "[...document.querySelectorAll('#sweep details tbody tr')].at(-1).textContent";
    for wanted in ["ascending", "descending"] {
        browser.press("Enter", 13, "\r");
        let sort = "document.activeElement.closest('th').getAttribute('aria-sort')";
        assert_eq!(browser.evaluate(sort), json!(wanted));
        let last = browser.evaluate(last);
        assert!(
            last.as_str().is_some_and(|row| row.contains("on-btrfs")),
            "{last}"
        );
    }

    browser.evaluate("document.querySelector('#sweep details .filter input').focus()");
    for letter in "64mib".chars() {
        browser.press(&letter.to_string(), 0, &letter.to_string());
    }
    let shown =
        "[...document.querySelectorAll('#sweep details tbody tr')].filter((row) => !row.hidden)";
    let few =
        format!("{shown}.length < document.querySelectorAll('#sweep details tbody tr').length");
    assert_eq!(browser.evaluate(&few), json!(true));
    let right =
        format!("{shown}.length > 3 && {shown}.every((row) => row.textContent.includes('64MiB'))");
    assert_eq!(browser.evaluate(&right), json!(true));
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}

#[test]
fn the_raw_data_comes_out_of_the_page() {
    let Some(chromium) = chromium() else { return };
    let mut browser = Browser::start(&chromium);
    browser.open(&render(&typical()), 1600, "");
    // The file is caught where the page makes it, on its way to the disk.
    let text = browser.evaluate(
        "new Promise((done) => {
            const make = URL.createObjectURL;
            URL.createObjectURL = (blob) => { blob.text().then(done); return make.call(URL, blob); };
            document.querySelector('button[data-download=\"cells.csv\"]').click();
        })",
    );
    let text = text.as_str().expect("a text");
    assert!(text.starts_with("run,target,round,"), "{text}");
    assert!(text.lines().count() > 100);
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}
