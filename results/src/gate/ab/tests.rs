//! Every verdict has its way, and no way to be green without a comparison.

use super::judged::twice;
use super::*;

fn arm(class: AbClass, shift: f64, noise: f64) -> AbArm {
    // Twelve values around the shift, symmetric, none alike.
    let around = |shift: f64| {
        (0..12)
            .map(|i| shift + noise * (f64::from(i) - 5.5) / 5.5)
            .collect()
    };
    AbArm {
        metric: "write ns".to_owned(),
        class,
        better: Better::Lower,
        effects: around(shift),
        null_effects: around(0.0),
        confirm: None,
        unfit: None,
    }
}

/// A fresh stage of these effects, with a quiet null arm.
fn again(effects: Vec<f64>) -> Option<Stage> {
    Some(Stage {
        null_effects: vec![0.0; effects.len()],
        effects,
        unfit: None,
    })
}

fn one(arm: AbArm) -> AbRow {
    judge(&[arm], &|arm| arm.class.rule().floor, 1).remove(0)
}

fn exit(row: AbRow) -> ExitCode {
    conclude(&[row]).code
}

#[test]
fn each_verdict_has_its_way_and_its_code() {
    let row = one(arm(AbClass::Sliced, 0.05, 0.01));
    assert_eq!(
        (row.verdict, row.reason),
        (Verdict::Regressed, Reason::Worse)
    );
    assert_eq!(exit(row), ExitCode::Regression);
    let row = one(arm(AbClass::Sliced, -0.05, 0.01));
    assert_eq!(
        (row.verdict, row.reason),
        (Verdict::Improved, Reason::Better)
    );
    let row = one(arm(AbClass::Sliced, 0.0, 0.01));
    assert_eq!((row.verdict, row.reason), (Verdict::Pass, Reason::Within));
    let detectable = row.detectable.expect("beside every pass");
    assert!((0.03..0.06).contains(&detectable), "{detectable}");
    assert_eq!(exit(row), ExitCode::Good);
    let row = one(arm(AbClass::Sliced, 0.0, 0.2));
    assert_eq!(
        (row.verdict, row.reason),
        (Verdict::Unstable, Reason::TooWide)
    );
    assert_eq!(exit(row), ExitCode::Inconclusive);
}

#[test]
fn a_change_beyond_zero_and_within_the_floor_passes() {
    let row = one(arm(AbClass::Sliced, 0.02, 0.01));
    assert!(row.change.expect("measured").low > 1.0);
    assert_eq!(row.verdict, Verdict::Pass);
}

#[test]
fn less_throughput_is_worse() {
    let mut arm = arm(AbClass::Sliced, -0.05, 0.01);
    arm.better = Better::Higher;
    let row = one(arm);
    assert_eq!(row.verdict, Verdict::Regressed);
    let change = row.change.expect("measured");
    assert!(change.low <= change.ratio && change.ratio <= change.high && change.high < 1.0);
}

#[test]
fn a_base_that_differs_from_itself_silences_every_timing() {
    let mut loud = arm(AbClass::Rounds, 0.0, 0.01);
    loud.null_effects = vec![0.08; 12];
    let rows = judge(
        &[arm(AbClass::Sliced, 0.2, 0.01), loud],
        &|arm| arm.class.rule().floor,
        1,
    );
    assert!(
        rows.iter()
            .all(|row| row.verdict == Verdict::Abstained && row.reason == Reason::NullArm)
    );
    assert_eq!(conclude(&rows).code, ExitCode::Inconclusive);
}

#[test]
fn comparing_nothing_is_not_good() {
    assert_eq!(conclude(&[]).code, ExitCode::Inconclusive);
    let mut few = arm(AbClass::Sliced, 0.0, 0.01);
    few.effects.truncate(7);
    assert_eq!(one(few).reason, Reason::TooFew);
    let mut blind = arm(AbClass::Sliced, 0.0, 0.01);
    blind.null_effects.clear();
    assert_eq!(one(blind).reason, Reason::TooFew);
    let mut unfit = arm(AbClass::Tail, 0.0, 0.01);
    unfit.unfit = Some(Unfit::NotMeasured(
        "one build has no such number".to_owned(),
    ));
    let row = one(unfit);
    assert_eq!(
        (row.verdict, row.reason),
        (Verdict::Abstained, Reason::NotMeasured)
    );
    assert_eq!(exit(row), ExitCode::Inconclusive);
}

#[test]
fn what_is_only_shown_is_neither_doubt_nor_comparison() {
    let mut shown = arm(AbClass::Tail, 0.5, 0.01);
    shown.unfit = Some(Unfit::Informational("50 operations make no p99".to_owned()));
    let floor = |arm: &AbArm| arm.class.rule().floor;
    let rows = judge(&[shown.clone()], &floor, 1);
    assert_eq!(rows[0].reason, Reason::Informational);
    assert_eq!(conclude(&rows).code, ExitCode::Inconclusive);
    let rows = judge(&[arm(AbClass::Sliced, 0.0, 0.01), shown], &floor, 1);
    assert_eq!(conclude(&rows).code, ExitCode::Good);
}

#[test]
fn a_change_of_everything_is_seen_among_any_number_of_numbers() {
    let floor = |arm: &AbArm| arm.class.rule().floor;
    let regressed = |row: &AbRow| row.verdict == Verdict::Regressed;
    for class in [AbClass::Sliced, AbClass::Rounds] {
        let mut worse = arm(class, 0.7, 0.01);
        // 2^-12 a hundred times is too much for one stage, and 2^-24 is not for two.
        worse.effects.extend([0.7; 3]);
        worse.confirm = again(worse.effects.clone());
        let mut many = vec![arm(class, 0.0, 0.01); 99];
        many.push(worse);
        let rows = judge(&many, &floor, 1);
        assert!(regressed(&rows[99]), "{:?}", rows[99]);
    }
}

#[test]
fn numbers_that_are_not_judged_do_not_make_the_others_less_sure() {
    let floor = |arm: &AbArm| arm.class.rule().floor;
    let fit = vec![arm(AbClass::Sliced, 0.05, 0.02); 20];
    let mut mixed = fit.clone();
    let mut unfit = arm(AbClass::Tail, 0.0, 0.01);
    unfit.unfit = Some(Unfit::Informational("few".to_owned()));
    mixed.extend(vec![unfit; 40]);
    let (alone, among) = (judge(&fit, &floor, 1), judge(&mixed, &floor, 1));
    assert_eq!(alone[0].p_adjusted, among[0].p_adjusted);
    assert_eq!(alone[0].verdict, among[0].verdict);
    assert_eq!(among[20].p_adjusted, None);
}

#[test]
fn a_second_stage_of_few_confirms_nothing() {
    let mut regressed = arm(AbClass::Rounds, 0.12, 0.01);
    regressed.confirm = again(vec![0.11; 7]);
    assert_eq!(one(regressed).reason, Reason::Unconfirmed);
}

#[test]
fn rounds_have_to_be_seen_twice_and_what_is_cleared_is_kept() {
    let mut regressed = arm(AbClass::Rounds, 0.12, 0.01);
    assert_eq!(one(regressed.clone()).reason, Reason::Unconfirmed);
    regressed.confirm = again(vec![0.11; 12]);
    assert_eq!(one(regressed.clone()).verdict, Verdict::Regressed);
    regressed.confirm = again(vec![0.0; 12]);
    let row = one(regressed);
    assert_eq!((row.verdict, row.reason), (Verdict::Pass, Reason::Cleared));
    assert!(row.detail.contains("+12"), "{}", row.detail);
}

/// Twelve values whose interval is `low` to `high` (as parts), around the middle of both.
fn between(low: f64, high: f64) -> Vec<f64> {
    let (low, high) = (low.ln_1p(), high.ln_1p());
    let middle = f64::midpoint(low, high);
    [vec![low; 4], vec![middle; 4], vec![high; 4]].concat()
}

#[test]
fn what_both_stages_saw_is_not_cleared_because_the_second_is_less_sure() {
    let mut seen = arm(AbClass::Rounds, 0.12, 0.01);
    seen.effects = between(0.055, 0.11);
    seen.confirm = again(between(0.046, 0.108));
    let row = one(seen);
    let [first, second] = [row.change, row.confirm].map(|change| change.expect("measured"));
    assert!(first.low > 1.05 && second.low < 1.05 && second.ratio > 1.07);
    assert_eq!(
        (row.verdict, row.reason),
        (Verdict::Unstable, Reason::Unconfirmed)
    );
    assert!(row.detail.contains("+7.7 %"), "{}", row.detail);
    assert_eq!(exit(row), ExitCode::Inconclusive);
}

#[test]
fn a_second_stage_well_below_the_first_clears_it() {
    let mut once = arm(AbClass::Rounds, 0.30, 0.01);
    once.confirm = again(between(0.03, 0.10));
    let row = one(once);
    assert_eq!((row.verdict, row.reason), (Verdict::Pass, Reason::Cleared));
    assert!(
        row.detail.contains("+35") && row.detail.contains("+6"),
        "both stages are told: {}",
        row.detail
    );
}

#[test]
fn few_clusters_are_never_surer_than_so_many_coins() {
    let mut worse = arm(AbClass::Sliced, 0.0, 0.01);
    worse.effects = vec![0.05; 8];
    let alone = one(worse.clone());
    assert_eq!(alone.p_adjusted, Some(1.0 / 256.0));
    assert_eq!(alone.verdict, Verdict::Regressed);

    let mut quiet = arm(AbClass::Sliced, 0.0, 0.01);
    quiet.effects.truncate(8);
    let mut many = vec![worse];
    many.extend(vec![quiet; 39]);
    let row = judge(&many, &|arm| arm.class.rule().floor, 1).remove(0);
    assert!(row.p_adjusted.expect("fit") >= 40.0 / 256.0, "{row:?}");
    assert_eq!(
        (row.verdict, row.reason),
        (Verdict::Unstable, Reason::Multiplicity)
    );
    assert!(row.detail.contains("--pairs 13"), "{}", row.detail);
}

#[test]
fn a_null_arm_of_the_second_stage_makes_everything_doubtful_too() {
    let mut twice_seen = arm(AbClass::Rounds, 0.12, 0.01);
    twice_seen.confirm = again(vec![0.12; 12]);
    assert_eq!(one(twice_seen.clone()).verdict, Verdict::Regressed);
    if let Some(again) = &mut twice_seen.confirm {
        again.null_effects = vec![0.08; 12];
    }
    let floor = |arm: &AbArm| arm.class.rule().floor;
    let rows = judge(&[twice_seen, arm(AbClass::Sliced, 0.0, 0.01)], &floor, 1);
    for row in &rows {
        let verdict = (row.verdict, row.reason);
        assert_eq!(verdict, (Verdict::Abstained, Reason::NullArm));
        let said = "itself in the second measurement: write ns +8.3 %";
        assert!(row.detail.contains(said), "{}", row.detail);
    }
    assert!(rows[0].confirm_null.expect("measured").low > 1.08);
    assert_eq!(rows[0].confirm_null_effects, [0.08; 12]);
    assert_eq!(conclude(&rows).code, ExitCode::Inconclusive);
}

#[test]
fn a_second_stage_that_is_not_fit_neither_confirms_nor_clears() {
    let few = || Unfit::Informational("50 operations a round".to_owned());
    let gone = || Unfit::NotMeasured("one build has no such number".to_owned());
    for (unfit, effect) in [(few(), 0.0), (gone(), 0.0), (gone(), 0.12)] {
        let mut seen = arm(AbClass::Tail, 0.5, 0.01);
        seen.confirm = again(vec![effect; 12]);
        let stage = seen.confirm.as_mut().expect("there");
        stage.unfit = Some(unfit.clone());
        let row = one(seen);
        assert_eq!(row.reason, Reason::Unconfirmed);
        assert!(row.detail.contains(unfit.text()), "{}", row.detail);
        assert_eq!(exit(row), ExitCode::Inconclusive);
    }
}

#[test]
fn an_improvement_that_many_numbers_make_unsure_is_no_doubt_that_it_is_not_worse() {
    let mut many = vec![arm(AbClass::Rounds, -0.2, 0.01)];
    many.extend(vec![arm(AbClass::Rounds, 0.0, 0.01); 39]);
    let rows = judge(&many, &|arm| arm.class.rule().floor, 1);
    let verdict = (rows[0].verdict, rows[0].reason);
    assert_eq!(verdict, (Verdict::Pass, Reason::Multiplicity));
    assert!(rows[0].detail.contains("--blocks 13"), "{}", rows[0].detail);
    assert_eq!(conclude(&rows).code, ExitCode::Good);
}

/// All pairs of a grid over both stages stand for two uniform p-values.
#[test]
fn two_stages_have_as_many_false_alarms_as_their_p_says() {
    const STEPS: u32 = 500;
    let place = |step: u32| LEVEL * (f64::from(step) + 0.5) / f64::from(STEPS);
    let products: Vec<f64> = (0..STEPS)
        .flat_map(|first| (0..STEPS).map(move |second| place(first) * place(second)))
        .collect();
    let both = LEVEL * LEVEL;
    for (first, second) in [(1e-3, 1e-3), (3e-4, 0.004), (0.004, 0.004)] {
        let as_small = products.iter().filter(|p| **p <= first * second).count();
        let share = both * as_small as f64 / products.len() as f64;
        let p = twice(first, second);
        assert!((p / share - 1.0).abs() < 0.02, "{p} and {share}");
        assert!(p > first * second, "the product alone promises too much");
    }
    assert_eq!(twice(0.3, 1e-4), 0.3);
}

/// The normal distribution up to so many deviations, by small steps.
fn normal(deviations: f64) -> f64 {
    const STEP: f64 = 1e-3;
    let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let steps = (0..).map(|step| f64::from(step) * STEP - 8.0);
    steps
        .take_while(|x| *x < deviations)
        .map(density)
        .sum::<f64>()
        * STEP
}

#[test]
fn nine_of_ten_gates_find_what_is_called_detectable_also_where_two_stages_have_to() {
    // Half an interval of 99 % is 2.576 deviations of its centre.
    let found = |class: AbClass| normal((class.rule().detects() - 1.0) * 2.576);
    let sliced = found(AbClass::Sliced);
    assert!((0.9..0.91).contains(&sliced), "{sliced}");
    for class in [AbClass::Rounds, AbClass::Tail] {
        let twice = found(class).powi(2);
        assert!((0.9..0.91).contains(&twice), "{twice}");
    }
    let of = |class| one(arm(class, 0.0, 0.01)).detectable.expect("a pass");
    let (sliced, rounds) = (of(AbClass::Sliced) - 0.03, of(AbClass::Rounds) - 0.05);
    assert!(rounds > 1.08 * sliced, "{rounds} {sliced}");
}

#[test]
fn twenty_numbers_have_to_be_surer_than_one() {
    // Three of twelve pairs are on this side of the floor: sure enough alone, not among twenty.
    let mut edge = arm(AbClass::Sliced, 0.05, 0.001);
    for effect in &mut edge.effects[..2] {
        *effect = 0.0;
    }
    edge.effects[2] = 0.0;
    let alone = one(edge.clone());
    let p = alone.p_adjusted.expect("fit");
    let mut many = vec![edge];
    many.extend(vec![arm(AbClass::Sliced, 0.0, 0.01); 19]);
    let among = judge(&many, &|arm| arm.class.rule().floor, 1).remove(0);
    let p_among = among.p_adjusted.expect("fit");
    assert!(
        (p_among / p - 20.0).abs() < 1e-9 || p_among == 1.0,
        "{p} {p_among}"
    );
    assert!(among.verdict != Verdict::Regressed || p_among <= 0.005);
}

#[test]
fn instructions_are_held_to_one_per_cent_and_need_a_base_that_repeats() {
    let of = |base, head| judge_counted("instructions", base, head, 0.01);
    assert_eq!(of([1_000_000, 1_000_000], 1_005_000).verdict, Verdict::Pass);
    assert_eq!(
        of([1_000_000, 1_000_000], 1_011_000).verdict,
        Verdict::Regressed
    );
    assert_eq!(
        of([1_000_000, 1_000_000], 900_000).verdict,
        Verdict::Improved
    );
    let row = of([1_000_000, 1_000_000], 0);
    assert_eq!(
        (row.verdict, row.reason),
        (Verdict::Abstained, Reason::NotMeasured),
        "a part that head does not have is no gain"
    );
    let row = of([1_000_000, 1_020_000], 1_100_000);
    assert_eq!(
        (row.verdict, row.reason),
        (Verdict::Abstained, Reason::NullArm)
    );
}

#[test]
fn two_numbers_of_one_class_have_their_own_floors() {
    let worse = |metric: &str| AbArm {
        metric: metric.to_owned(),
        ..arm(AbClass::Sliced, 0.09, 0.01)
    };
    let arms = [worse("slices(load)"), worse("slices(serve)")];
    let floor = |arm: &AbArm| {
        if arm.metric == "slices(load)" {
            0.2
        } else {
            0.03
        }
    };
    let verdicts: Vec<Verdict> = judge(&arms, &floor, 1)
        .iter()
        .map(|row| row.verdict)
        .collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Regressed]);
}

#[test]
fn what_could_be_detected_follows_from_the_width_and_is_what_the_row_says() {
    let of = |shift: f64, noise: f64| {
        let arm = arm(AbClass::Sliced, shift, noise);
        let before = detectable(arm.class, &arm.effects, 0.03, 1);
        let row = judge(&[arm], &|_| 0.03, 1).remove(0);
        assert_eq!(before, row.detectable);
        before.expect("measured")
    };
    for shift in [0.2, -0.2] {
        for noise in [0.02, 0.2] {
            assert!((of(shift, noise) - of(0.0, noise)).abs() < 1e-9);
        }
    }
    assert!(of(0.0, 0.02) > 0.03 && of(0.0, 0.02) < 0.07);
    assert!(of(0.0, 0.2) > 0.1);
    assert_eq!(detectable(AbClass::Sliced, &[], 0.03, 1), None);
}
