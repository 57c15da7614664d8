//! Items of a line complete once each, in the order they entered, whatever order they finish in: by a
//! model on one thread, and by threads that check it from the inside.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use delalloc_engine::pool::{Ordered, Place};
use proptest::prelude::*;

proptest! {
    /// The model: a line completes exactly the longest finished prefix, as soon as it is finished.
    #[test]
    fn a_line_completes_its_finished_prefix(
        keys in proptest::collection::vec(0u64..4, 1..60),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let ordered: Ordered<usize> = Ordered::new();
        let mut open: Vec<(usize, Place)> =
            keys.iter().enumerate().map(|(item, &key)| (item, ordered.enter(key))).collect();
        let mut lines: HashMap<u64, Vec<usize>> = HashMap::new();
        for (item, &key) in keys.iter().enumerate() {
            lines.entry(key).or_default().push(item);
        }
        let mut finished = vec![false; keys.len()];
        let mut completed: HashMap<u64, usize> = HashMap::new();
        for pick in &order[..keys.len()] {
            let (item, place) = open.swap_remove(pick.index(open.len()));
            finished[item] = true;
            let mut head = ordered.finish(place, item);
            while let Some((place, item)) = head {
                let done = completed.entry(keys[item]).or_default();
                prop_assert_eq!(lines[&keys[item]][*done], item);
                *done += 1;
                head = ordered.advance(place);
            }
            for (key, items) in &lines {
                let prefix = items.iter().take_while(|&&item| finished[item]).count();
                prop_assert_eq!(completed.get(key).copied().unwrap_or(0), prefix);
            }
            let all: usize = completed.values().sum();
            prop_assert_eq!(ordered.waiting(), finished.iter().filter(|&&is| is).count() - all);
        }
        prop_assert_eq!(ordered.line_count(), 0);
    }
}

/// A head in its second phase holds back those behind it, also when they finish meanwhile.
#[test]
fn the_head_stays_until_its_second_phase_is_over() {
    let ordered: Ordered<char> = Ordered::new();
    let (a, b, c) = (ordered.enter(7), ordered.enter(7), ordered.enter(8));
    assert!(ordered.finish(b, 'b').is_none(), "b is not the head");
    let (head, item) = ordered.finish(a, 'a').expect("a is the head");
    assert_eq!(item, 'a');
    let late = ordered.enter(7);
    assert!(ordered.finish(late, 'd').is_none(), "a is still completing");
    let (other, item) = ordered.finish(c, 'c').expect("another line does not wait");
    assert_eq!(item, 'c');
    assert!(ordered.advance(other).is_none());
    let (head, item) = ordered.advance(head).expect("b is next");
    assert_eq!(item, 'b');
    let (head, item) = ordered.advance(head).expect("d is next");
    assert_eq!(item, 'd');
    assert!(ordered.advance(head).is_none());
    assert_eq!(ordered.line_count(), 0);
}

/// Several threads enter and finish; each completion checks its turn and that it is alone in its line.
#[test]
fn threads_complete_each_line_in_order_and_alone() {
    const KEYS: usize = 3;
    const THREADS: u64 = 4;
    const ITEMS: u64 = 3000;
    struct Line {
        /// Numbers in the order of entering; entering and numbering are one step.
        entered: std::sync::Mutex<u64>,
        completed: AtomicU64,
        completing: AtomicBool,
    }
    let ordered: Arc<Ordered<(usize, u64)>> = Arc::new(Ordered::new());
    let lines: Vec<Line> = (0..KEYS)
        .map(|_| Line {
            entered: std::sync::Mutex::new(0),
            completed: AtomicU64::new(0),
            completing: AtomicBool::new(false),
        })
        .collect();
    let longest_drain = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (ordered, lines, longest_drain) = (&ordered, &lines, &longest_drain);
            scope.spawn(move || {
                let mut held = Vec::new();
                let mut draw = thread + 1;
                for _ in 0..ITEMS {
                    draw = draw
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    let key = (draw >> 33) as usize % KEYS;
                    {
                        let mut entered = lines[key].entered.lock().expect("no panic");
                        held.push((ordered.enter(key as u64), (key, *entered)));
                        *entered += 1;
                    }
                    while held.len() as u64 > (draw >> 40) % 8 {
                        let at = (draw >> 50) as usize % held.len();
                        let (place, item) = held.swap_remove(at);
                        complete(lines, ordered, place, item, longest_drain);
                    }
                }
                for (place, item) in held {
                    complete(lines, ordered, place, item, longest_drain);
                }
            });
        }
    });
    let completed: u64 = lines
        .iter()
        .map(|line| line.completed.load(Ordering::SeqCst))
        .sum();
    assert_eq!(completed, THREADS * ITEMS);
    assert_eq!((ordered.line_count(), ordered.waiting()), (0, 0));
    assert!(
        longest_drain.into_inner() > 1,
        "some worker completed for others"
    );

    fn complete(
        lines: &[Line],
        ordered: &Ordered<(usize, u64)>,
        place: Place,
        item: (usize, u64),
        longest_drain: &AtomicUsize,
    ) {
        let mut drained = 0;
        let mut head = ordered.finish(place, item);
        while let Some((place, (key, number))) = head {
            let line = &lines[key];
            assert!(
                !line.completing.swap(true, Ordering::Relaxed),
                "alone in its line"
            );
            assert_eq!(
                line.completed.load(Ordering::Relaxed),
                number,
                "in its turn"
            );
            line.completed.store(number + 1, Ordering::Relaxed);
            line.completing.store(false, Ordering::Relaxed);
            drained += 1;
            head = ordered.advance(place);
        }
        longest_drain.fetch_max(drained, Ordering::Relaxed);
    }
}
