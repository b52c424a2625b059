//! The gate: what the matcher must reach on the project's own labelled questions.

use yingda::eval::dataset::read_queries;
use yingda::eval::metrics::{Summary, summarise};
use yingda::matching::Thresholds;

use crate::harness::starter_pack;

fn starter() -> Summary {
    let generation = starter_pack().current();
    let queries = read_queries(include_str!("../eval/starter/queries.jsonl")).unwrap();
    let outcomes =
        yingda::eval::run(&generation.matcher, &generation.corpus.entries, &queries, Thresholds::default(), |_| None)
            .unwrap();
    summarise(&outcomes)
}

#[test]
fn the_starter_pack_answers_its_questions_and_leaves_others_alone() {
    let reached = starter();
    let bars = [
        ("top1", reached.top1, 0.84),
        ("hit3", reached.hit3, 0.92),
        ("cov90", reached.cov90, 0.73),
        ("precision", reached.precision, 0.94),
        ("coverage", reached.coverage, 0.50),
        ("1 - false_answers", 1.0 - reached.false_answers, 0.97),
        ("1 - ece", 1.0 - reached.ece, 0.90),
    ];
    let missed: Vec<_> = bars.iter().filter(|(_, value, bar)| value < bar).collect();
    assert!(missed.is_empty(), "{missed:?}\n{reached}");
}
