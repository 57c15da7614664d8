//! A baseline that takes the place of another one: what it may replace, and what is remembered.
//!
//! Nothing that was held by choice ends without a word: neither a part of a count nor a ratio that a blessing named.

use super::GateError;
use super::baseline::{Baseline, Blessing, Entry, Tolerance, unblessed};
use std::collections::BTreeSet;

/// Blessings that are remembered; older ones are in the repository's history.
const HISTORY_MAX: usize = 20;

impl Baseline {
    /// Takes the place of `before`, and keeps why that was held. A baseline of another workload is not replaced.
    pub fn succeed(&mut self, before: &Self) -> Result<(), GateError> {
        if before.workload != self.workload {
            let why = format!(
                "it would replace a baseline of workload {}; remove that first, or name another file",
                before.workload
            );
            return Err(unblessed(&why));
        }
        if before.tools.is_empty() != self.tools.is_empty() {
            let why = "it would replace a baseline of another sort; remove that first, or name another file";
            return Err(unblessed(why));
        }
        self.keeps_the_parts_of(before)?;
        self.keeps_the_ratios_of(before)?;
        let last = Blessing {
            revision: before.revision.clone(),
            blessed_at: before.blessed_at.clone(),
            reason: before.reason.clone(),
        };
        self.history = vec![last];
        self.history
            .extend(before.history.iter().take(HISTORY_MAX - 1).cloned());
        Ok(())
    }

    /// Refuses to hold fewer parts of a count than before: one that is gone most likely bears another name now, and a
    /// blessing would end its being held without a word.
    fn keeps_the_parts_of(&self, before: &Self) -> Result<(), GateError> {
        let held = |entry: &&Entry| {
            let mut entries = self.entries.iter();
            entries.any(|other| other.expression == entry.expression)
        };
        let gone = before.entries.iter().filter(|entry| !held(entry));
        let gone: Vec<&str> = gone.map(|entry| entry.expression.as_str()).collect();
        if self.tools.is_empty() || gone.is_empty() {
            return Ok(());
        }
        Err(unblessed(&format!(
            "nothing was counted for {}, held since {}; where its functions or files bear other names, bench/src/ab/profile.rs has to know them, \
             and where it is meant to be gone remove the old baseline first, or name another file",
            gone.join(" and "),
            before.blessed_at
        )))
    }

    /// Refuses to drop a ratio: a blessing holds those that it names, and who does not think of one would end its being held.
    fn keeps_the_ratios_of(&self, before: &Self) -> Result<(), GateError> {
        let held = self.entries.iter().map(|entry| &entry.expression);
        let demoted = self.demoted.iter().map(|demoted| &demoted.expression);
        let named: BTreeSet<&String> = held.chain(demoted).collect();
        let gone: BTreeSet<String> = before
            .entries
            .iter()
            .filter(|entry| is_ratio(entry) && !named.contains(&entry.expression))
            .map(|entry| match entry.tolerance {
                // Without what dividing by a hundred and back leaves behind the point.
                Tolerance::Relative(part) => {
                    let percent = (part * 1e8).round() / 1e6;
                    format!("--ratio '{}={percent}'", entry.expression)
                }
                Tolerance::Exact => format!("--ratio '{}=0'", entry.expression),
            })
            .collect();
        if !self.tools.is_empty() || gone.is_empty() {
            return Ok(());
        }
        let gone: Vec<String> = gone.into_iter().collect();
        Err(unblessed(&format!(
            "a ratio held since {} is not named; say it again (`delalloc gate bless` with {}), and where it is not to be held any more remove the old \
             baseline first, or name another file",
            before.blessed_at,
            gone.join(" ")
        )))
    }
}

/// Whether a blessing named it. Everything else is a counter, a target and a name in quotes, or held round by round.
fn is_ratio(entry: &Entry) -> bool {
    let counter = matches!(
        entry.expression.split('"').collect::<Vec<_>>()[..],
        ["", _, ":", _, ""]
    );
    !counter && entry.rounds.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Demoted;
    use crate::metric::{Better, Unit};

    fn entry(expression: &str, rounds: &[f64]) -> Entry {
        Entry {
            expression: expression.to_owned(),
            point: Vec::new(),
            value: 1.0,
            unit: Unit::Ratio,
            better: Better::Lower,
            tolerance: Tolerance::Relative(0.07),
            rounds: rounds.to_vec(),
        }
    }

    fn baseline(entries: &[Entry]) -> Baseline {
        Baseline {
            entries: entries.to_vec(),
            ..Baseline::default()
        }
    }

    #[test]
    fn a_ratio_goes_on_being_named_and_what_a_run_no_longer_counts_may_go() {
        let ratio = "\"a\":\"x\" / \"b\":\"x\"";
        let before = baseline(&[
            entry("\"a\":\"x\"", &[]),
            entry("p99(\"a\", \"serve.write\")", &[1.0]),
            entry(ratio, &[]),
        ]);
        let why = baseline(&[]).succeed(&before).expect_err("refused");
        let why = why.to_string();
        assert!(why.contains(&format!("--ratio '{ratio}=7'")), "{why}");
        assert_eq!(why.matches("--ratio").count(), 1, "{why}");
        baseline(&[entry(ratio, &[])])
            .succeed(&before)
            .expect("named");
        // Its rounds disagree now, which the baseline says.
        let mut demoted = baseline(&[]);
        demoted.demoted.push(Demoted {
            expression: ratio.to_owned(),
            reason: "its 3 rounds differ by 40.0 %".to_owned(),
        });
        demoted.succeed(&before).expect("named");
    }
}
