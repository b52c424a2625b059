//! Measures of a run over labelled questions: ranking, confidence, and decisions at the shipped thresholds.

use std::fmt;

use serde::Serialize;

/// What was right for one query, and what the system did with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Ids of the acceptable entries (`id` and `ok_ids`); empty when no entry is right.
    pub expected: Vec<String>,
    /// Distinct entry ids, best first; empty when nothing was found.
    pub ranked: Vec<String>,
    /// Confidence in `ranked[0]`, 0..=1.
    pub confidence: f64,
    /// What the shipped thresholds made of it.
    pub action: Action,
    /// Time the query took, in microseconds.
    pub micros: f64,
}

impl Outcome {
    fn is_answerable(&self) -> bool {
        !self.expected.is_empty()
    }

    /// The 1-based rank of the best right entry.
    fn rank(&self) -> Option<usize> {
        let right = |id| self.expected.contains(id);
        self.ranked.iter().position(right).map(|index| index + 1)
    }

    fn is_top_right(&self) -> bool {
        self.rank() == Some(1)
    }

    fn is_answered(&self) -> bool {
        self.action == Action::Answer && !self.ranked.is_empty()
    }

    /// Entries a menu showed; 0 when there was no menu.
    fn shown(&self) -> usize {
        match self.action {
            Action::Menu(shown) => shown.min(self.ranked.len()),
            Action::Answer | Action::Abstain => 0,
        }
    }
}

/// What the system did with a query; with nothing ranked, every action counts as abstaining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Gave the answer of `ranked[0]`.
    Answer,
    /// Asked back, showing this many entries from the top of `ranked`.
    Menu(usize),
    /// Gave nothing.
    Abstain,
}

/// Measures of one set. Shares are 0..=1; a share of nothing (no answers, no menus, ..) is 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Number of queries.
    pub queries: usize,
    /// Number of queries with a right entry.
    pub answerable: usize,
    /// Share of answerable queries with a right entry ranked first.
    pub top1: f64,
    /// Share of answerable queries with a right entry among the first three.
    pub hit3: f64,
    /// Mean over answerable queries of 1 / rank of the best right entry; 0 beyond rank 10.
    pub mrr10: f64,
    /// Coverage at 95 % precision: of all thresholds on the confidence that give at least ten answers (to
    /// whatever query), this share of them right, the most right answers / `answerable`; 0 if none does.
    pub cov95: f64,
    /// Coverage at 90 % precision.
    pub cov90: f64,
    /// Coverage at 80 % precision.
    pub cov80: f64,
    /// Share of all queries answered; at the shipped thresholds, as all down to `menu_hits`.
    pub answered: f64,
    /// Share of answers that are right; 0 when nothing was answered.
    pub precision: f64,
    /// Right answers / `answerable`.
    pub coverage: f64,
    /// Answers to queries without a right entry / those queries.
    pub false_answers: f64,
    /// Share of all queries met with a menu.
    pub menus: f64,
    /// Share of menus which show a right entry, over the menus for answerable queries only.
    pub menu_hits: f64,
    /// Expected calibration error (Naeini et al., AAAI 2015): mean of |confidence - precision| over the
    /// bins of `reliability`, weighted by their count.
    pub ece: f64,
    /// Median time of a query, microseconds (nearest rank).
    pub us_p50: f64,
    /// 99th percentile of the time of a query, microseconds (nearest rank).
    pub us_p99: f64,
    /// Ten equal bins of the confidence, over all queries with anything ranked.
    pub reliability: [Bin; 10],
}

const BINS: usize = 10;

/// One bin of the reliability diagram: confidences in `lo..hi`, the last with 1 itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Lower bound, inside.
    pub lo: f64,
    /// Upper bound, outside but for the last bin.
    pub hi: f64,
    /// Queries whose confidence falls here.
    pub count: usize,
    /// Their mean confidence; 0 when there are none.
    pub confidence: f64,
    /// Share of them whose first entry is right; 0 when there are none.
    pub precision: f64,
}

/// Sums up the outcomes of one set, as defined in the README of the evaluation sets.
pub fn summarise(outcomes: &[Outcome]) -> Summary {
    let count = |keep: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|it| keep(it)).count();
    let within = |k: usize| count(&|it| it.rank().is_some_and(|rank| rank <= k));
    let answerable = count(&Outcome::is_answerable);
    let answered = count(&Outcome::is_answered);
    let right = count(&|it| it.is_answered() && it.is_top_right());
    let mistaken = count(&|it| it.is_answered() && !it.is_answerable());
    let menus = count(&|it| it.shown() > 0 && it.is_answerable());
    let menu_hits = count(&|it| it.rank().is_some_and(|rank| rank <= it.shown()));
    let mut candidates = Vec::from_iter(outcomes.iter().filter(|it| !it.ranked.is_empty()));
    candidates.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let covered = |percent| share(right_answers_at(&candidates, percent), answerable);
    let reliability = reliability(&candidates);
    Summary {
        queries: outcomes.len(),
        answerable,
        top1: share(within(1), answerable),
        hit3: share(within(3), answerable),
        mrr10: mean(reciprocal_ranks(outcomes), answerable),
        cov95: covered(95),
        cov90: covered(90),
        cov80: covered(80),
        answered: share(answered, outcomes.len()),
        precision: share(right, answered),
        coverage: share(right, answerable),
        false_answers: share(mistaken, outcomes.len() - answerable),
        menus: share(count(&|it| it.shown() > 0), outcomes.len()),
        menu_hits: share(menu_hits, menus),
        ece: calibration_error(&reliability),
        us_p50: percentile(outcomes, 50),
        us_p99: percentile(outcomes, 99),
        reliability,
    }
}

fn share(part: usize, whole: usize) -> f64 {
    mean(part as f64, whole)
}

fn mean(sum: f64, count: usize) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}

fn reciprocal_ranks(outcomes: &[Outcome]) -> f64 {
    let ranks = outcomes.iter().filter_map(Outcome::rank);
    ranks.filter(|rank| *rank <= 10).map(|rank| 1.0 / rank as f64).sum()
}

/// The largest number of right answers a threshold allows at `percent` precision; see [`Summary::cov95`].
/// Needs the candidates by falling confidence.
fn right_answers_at(candidates: &[&Outcome], percent: usize) -> usize {
    const MIN_ANSWERS: usize = 10;
    let (mut answers, mut right, mut best) = (0, 0, 0);
    for tied in candidates.chunk_by(|a, b| a.confidence == b.confidence) {
        answers += tied.len();
        right += tied.iter().filter(|it| it.is_top_right()).count();
        if answers >= MIN_ANSWERS && right * 100 >= percent * answers {
            best = right; // only ever grows
        }
    }
    best
}

fn reliability(candidates: &[&Outcome]) -> [Bin; BINS] {
    let bin = |it: &Outcome| ((it.confidence * BINS as f64) as usize).min(BINS - 1);
    std::array::from_fn(|index| {
        let members = Vec::from_iter(candidates.iter().filter(|it| bin(it) == index));
        let right = members.iter().filter(|it| it.is_top_right()).count();
        Bin {
            lo: share(index, BINS),
            hi: share(index + 1, BINS),
            count: members.len(),
            confidence: mean(members.iter().map(|it| it.confidence).sum(), members.len()),
            precision: share(right, members.len()),
        }
    })
}

fn calibration_error(bins: &[Bin; BINS]) -> f64 {
    let gap = |bin: &Bin| bin.count as f64 * (bin.confidence - bin.precision).abs();
    let count = bins.iter().map(|bin| bin.count).sum();
    mean(bins.iter().map(gap).sum(), count)
}

/// Nearest rank: the smallest time that `percent` % of the queries do not exceed; 0 of none.
fn percentile(outcomes: &[Outcome], percent: usize) -> f64 {
    let mut micros: Vec<f64> = outcomes.iter().map(|it| it.micros).collect();
    micros.sort_by(f64::total_cmp);
    let rank = (micros.len() * percent).div_ceil(100);
    micros.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// An aligned table, one measure a line under the key it has in JSON, then the bins that hold anything.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("queries", self.queries as f64, 0),
            ("answerable", self.answerable as f64, 0),
            ("top1", self.top1, 3),
            ("hit3", self.hit3, 3),
            ("mrr10", self.mrr10, 3),
            ("cov95", self.cov95, 3),
            ("cov90", self.cov90, 3),
            ("cov80", self.cov80, 3),
            ("answered", self.answered, 3),
            ("precision", self.precision, 3),
            ("coverage", self.coverage, 3),
            ("false_answers", self.false_answers, 3),
            ("menus", self.menus, 3),
            ("menu_hits", self.menu_hits, 3),
            ("ece", self.ece, 3),
            ("us_p50", self.us_p50, 0),
            ("us_p99", self.us_p99, 0),
        ];
        for (key, value, decimals) in rows {
            writeln!(f, "{key:<14}{value:>9.decimals$}")?;
        }
        f.write_str("\nreliability       count  confidence  precision\n")?;
        for bin in self.reliability.iter().filter(|bin| bin.count > 0) {
            write!(f, "{:.1}-{:.1}{:>16}", bin.lo, bin.hi, bin.count)?;
            writeln!(f, "{:>12.3}{:>11.3}", bin.confidence, bin.precision)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query whose right entries and ranking are single letters: `outcome("a", "bca", ..)`.
    fn outcome(expected: &str, ranked: &str, confidence: f64, action: Action) -> Outcome {
        let ids = |letters: &str| letters.chars().map(String::from).collect();
        Outcome { expected: ids(expected), ranked: ids(ranked), confidence, action, micros: 0.0 }
    }

    /// Queries answered at these confidences, rightly or wrongly.
    fn answers(count: usize, right: bool, confidence: f64) -> Vec<Outcome> {
        let ranked = if right { "a" } else { "b" };
        vec![outcome("a", ranked, confidence, Action::Answer); count]
    }

    fn assert_near(measured: f64, expected: f64) {
        assert!((measured - expected).abs() < 1e-12, "{measured} {expected}");
    }

    #[test]
    fn ranking_is_measured_over_queries_with_a_right_entry() {
        let summary = summarise(&[
            outcome("a", "abc", 0.9, Action::Abstain),
            outcome("xb", "abc", 0.8, Action::Abstain), // an ok_id at rank 2
            outcome("d", "abcd", 0.7, Action::Abstain),
            outcome("k", "abcdefghijk", 0.6, Action::Abstain), // rank 11
            outcome("z", "", 0.0, Action::Abstain),
            outcome("", "abc", 0.9, Action::Abstain),
        ]);
        assert_eq!((summary.queries, summary.answerable), (6, 5));
        assert_near(summary.top1, 1.0 / 5.0);
        assert_near(summary.hit3, 2.0 / 5.0);
        assert_near(summary.mrr10, (1.0 + 0.5 + 0.25) / 5.0);
    }

    #[test]
    fn decisions_are_measured_as_taken() {
        let summary = summarise(&[
            outcome("a", "ab", 0.9, Action::Answer),
            outcome("b", "ab", 0.9, Action::Answer), // wrong
            outcome("", "ab", 0.9, Action::Answer),  // false
            outcome("b", "abc", 0.5, Action::Menu(2)),
            outcome("c", "abc", 0.5, Action::Menu(2)), // not shown
            outcome("", "abc", 0.5, Action::Menu(3)),  // nothing to show
            outcome("a", "a", 0.1, Action::Abstain),
            outcome("", "a", 0.1, Action::Abstain),
        ]);
        assert_near(summary.answered, 3.0 / 8.0);
        assert_near(summary.precision, 1.0 / 3.0);
        assert_near(summary.coverage, 1.0 / 5.0);
        assert_near(summary.false_answers, 1.0 / 3.0);
        assert_near(summary.menus, 3.0 / 8.0);
        assert_near(summary.menu_hits, 1.0 / 2.0);
    }

    #[test]
    fn with_nothing_ranked_nothing_is_answered_or_shown() {
        let mut outcomes = vec![outcome("a", "", 1.0, Action::Answer); 20];
        outcomes.extend(vec![outcome("a", "", 1.0, Action::Menu(3)); 5]);
        let summary = summarise(&outcomes);
        assert_eq!((summary.answered, summary.menus), (0.0, 0.0));
        assert_eq!((summary.cov80, summary.ece), (0.0, 0.0));
        assert!(summary.reliability.iter().all(|bin| bin.count == 0));
    }

    #[test]
    fn coverage_is_the_best_threshold_for_each_precision() {
        // Right: 19 of 20, then 27 of 30, then 32 of 40, then 32 of 42.
        let outcomes = [
            answers(19, true, 0.9),
            answers(1, false, 0.9),
            answers(8, true, 0.8),
            answers(2, false, 0.8),
            answers(5, true, 0.7),
            answers(5, false, 0.7),
            answers(2, false, 0.6),
        ]
        .concat();
        let summary = summarise(&outcomes);
        assert_eq!(summary.answerable, 42);
        assert_near(summary.cov95, 19.0 / 42.0);
        assert_near(summary.cov90, 27.0 / 42.0);
        assert_near(summary.cov80, 32.0 / 42.0);
    }

    #[test]
    fn a_lower_threshold_may_do_where_a_higher_one_does_not() {
        let outcomes = [
            answers(2, false, 0.9), // the most confident answers are wrong
            answers(8, true, 0.8),  // 8 of 10
            answers(10, true, 0.7), // 18 of 20
        ]
        .concat();
        let summary = summarise(&outcomes);
        assert_near(summary.cov95, 0.0);
        assert_near(summary.cov90, 18.0 / 20.0);
        assert_near(summary.cov80, 18.0 / 20.0);
    }

    #[test]
    fn equal_confidences_stand_or_fall_together() {
        // Ten right answers come first in the list, but no threshold parts them from the wrong ones.
        let outcomes = [answers(10, true, 0.9), answers(10, false, 0.9)].concat();
        assert_eq!(summarise(&outcomes).cov80, 0.0);
        let outcomes = [answers(10, true, 0.91), answers(10, false, 0.9)].concat();
        assert_near(summarise(&outcomes).cov95, 10.0 / 20.0);
    }

    #[test]
    fn fewer_than_ten_answers_cover_nothing() {
        assert_eq!(summarise(&answers(9, true, 0.9)).cov80, 0.0);
        assert_eq!(summarise(&answers(10, true, 0.9)).cov95, 1.0);
        let nine_then_one = [answers(9, true, 0.9), answers(1, true, 0.2)].concat();
        assert_eq!(summarise(&nine_then_one).cov95, 1.0);
    }

    #[test]
    fn answers_to_queries_without_a_right_entry_count_against_coverage() {
        let mut outcomes = answers(12, true, 0.9);
        outcomes.extend(vec![outcome("", "a", 0.9, Action::Abstain); 3]); // 12 of 15
        let summary = summarise(&outcomes);
        assert_eq!((summary.cov90, summary.cov80), (0.0, 1.0));
    }

    #[test]
    fn a_set_without_right_entries_measures_only_false_answers() {
        let mut outcomes = vec![outcome("", "a", 0.95, Action::Answer); 15];
        outcomes.extend(vec![outcome("", "a", 0.15, Action::Menu(1)); 5]);
        let summary = summarise(&outcomes);
        assert_eq!((summary.queries, summary.answerable), (20, 0));
        assert_eq!((summary.top1, summary.mrr10, summary.cov80), (0.0, 0.0, 0.0));
        assert_eq!((summary.precision, summary.coverage), (0.0, 0.0));
        assert_near(summary.false_answers, 0.75);
        assert_eq!((summary.menus, summary.menu_hits), (0.25, 0.0));
        assert_near(summary.ece, 0.75 * 0.95 + 0.25 * 0.15);
    }

    #[test]
    fn nothing_measured_is_zero_everywhere() {
        let value = serde_json::to_value(summarise(&[])).unwrap();
        for (key, measure) in value.as_object().unwrap() {
            if key != "reliability" {
                assert_eq!(measure.as_f64(), Some(0.0), "{key}");
            }
        }
    }

    #[test]
    fn calibration_weighs_each_bin_by_its_count() {
        let outcomes = [
            answers(3, true, 0.95),
            answers(1, false, 0.95), // mean .95, precision .75
            answers(1, true, 0.2),   // mean .2, precision 1
            vec![outcome("a", "", 0.2, Action::Abstain); 5],
        ]
        .concat();
        let summary = summarise(&outcomes);
        assert_near(summary.ece, (4.0 * 0.2 + 1.0 * 0.8) / 5.0);
        let [.., last] = summary.reliability;
        assert_eq!((last.lo, last.hi, last.count), (0.9, 1.0, 4));
        assert_near(last.confidence, 0.95);
        assert_near(last.precision, 0.75);
        assert_eq!(summary.reliability[2].count, 1);
    }

    #[test]
    fn a_bin_holds_its_lower_bound_and_the_last_also_one() {
        let bounds = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
        let outcomes = bounds.map(|confidence| outcome("a", "a", confidence, Action::Answer));
        let counts = summarise(&outcomes).reliability.map(|bin| bin.count);
        assert_eq!(counts, [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn times_are_nearest_ranks() {
        let timed = |micros: f64| Outcome { micros, ..outcome("a", "a", 0.9, Action::Answer) };
        let hundred: Vec<Outcome> = (1..=100).rev().map(|at| timed(f64::from(at))).collect();
        let summary = summarise(&hundred);
        assert_eq!((summary.us_p50, summary.us_p99), (50.0, 99.0));
        let summary = summarise(&[timed(7.0), timed(3.0), timed(5.0)]);
        assert_eq!((summary.us_p50, summary.us_p99), (5.0, 7.0));
    }

    #[test]
    fn the_keys_are_those_of_the_readme() {
        let json = serde_json::to_string(&summarise(&[])).unwrap();
        let keys = "queries answerable top1 hit3 mrr10 cov95 cov90 cov80 answered precision coverage \
                    false_answers menus menu_hits ece us_p50 us_p99 reliability lo hi count confidence";
        for key in keys.split_whitespace() {
            assert!(json.contains(&format!("\"{key}\":")), "{key}");
        }
    }

    #[test]
    fn the_table_is_aligned() {
        let table = summarise(&answers(12, true, 0.9)).to_string();
        assert!(table.starts_with("queries              12\nanswerable           12\ntop1              1.000\n"));
        assert!(table.ends_with(
            "\nreliability       count  confidence  precision\n\
             0.9-1.0              12       0.900      1.000\n"
        ));
    }
}
