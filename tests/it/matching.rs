//! Candidates: bounded, in order, the same every time; a phrasing finds its own entry.

use std::sync::Arc;

use proptest::prelude::*;
use yingda::knowledge::{Extras, Generation, build_matcher};
use yingda::matching::{Features, Match, Matcher};

use crate::harness::{TODAY, fixture, fixture_shop, starter_pack};

fn pack() -> Arc<Generation> {
    starter_pack().current()
}

fn extras(generation: &Generation) -> Extras<'_> {
    Extras { out_of_scope: &generation.corpus.out_of_scope, learns_out_of_scope: true, semantic: None }
}

fn ask(matcher: &Matcher, text: &str, limit: usize) -> Match {
    matcher.find(&matcher.analyzer().analyse(text), limit, |_| Some(0)).unwrap()
}

/// Questions, fragments of questions and rubbish.
fn questions() -> impl Strategy<Value = String> {
    let letters: Vec<char> =
        "什么时候发货怎退款快递运费优惠券尺码大小颜色换开票地址改没收到坏了吗呢亲請問發貨".chars().collect();
    prop_oneof![
        prop::collection::vec(prop::sample::select(letters), 0..16).prop_map(|letters| letters.into_iter().collect()),
        any::<String>(),
        "[a-z ]{0,30}",
    ]
}

fn in_bounds(value: f32) -> bool {
    (0.0..=1.0).contains(&value)
}

fn sound(found: &Match, limit: usize) -> Result<(), TestCaseError> {
    prop_assert!(found.candidates.len() <= limit);
    let mut entries: Vec<u32> = found.candidates.iter().map(|candidate| candidate.entry).collect();
    entries.sort_unstable();
    entries.dedup();
    prop_assert_eq!(entries.len(), found.candidates.len(), "an entry stands once");
    for candidate in &found.candidates {
        prop_assert!(in_bounds(candidate.confidence), "{:?}", candidate);
        prop_assert!(in_bounds(candidate.score / Features::MOST), "{:?}", candidate);
        let features = serde_json::to_value(candidate.features).unwrap();
        for (name, value) in features.as_object().unwrap() {
            prop_assert!(value.as_f64().is_some_and(|value| in_bounds(value as f32)), "{}: {:?}", name, candidate);
        }
        let phrasing_of = pack().matcher.phrasings().entry(candidate.phrasing as usize);
        prop_assert_eq!(phrasing_of, candidate.entry, "the best phrasing is the entry's own");
    }
    for pair in found.candidates.windows(2) {
        prop_assert!((pair[0].exact, pair[0].score) >= (pair[1].exact, pair[1].score), "{:?}", pair);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn candidates_are_bounded_and_in_order(text in questions(), limit in 0_usize..12) {
        sound(&ask(&pack().matcher, &text, limit), limit)?;
    }

    #[test]
    fn confidences_fall_with_the_order(text in questions()) {
        for pair in ask(&pack().matcher, &text, 8).candidates.windows(2) {
            prop_assert!(pair[0].confidence >= pair[1].confidence, "{:?}", pair);
        }
    }

    #[test]
    fn the_same_question_gets_the_same_candidates(text in questions()) {
        let generation = pack();
        prop_assert_eq!(ask(&generation.matcher, &text, 5), ask(&generation.matcher, &text, 5));
    }

    #[test]
    fn more_candidates_begin_with_the_fewer(text in questions()) {
        let generation = pack();
        let (few, many) = (ask(&generation.matcher, &text, 2), ask(&generation.matcher, &text, 8));
        let first: Vec<_> = many.candidates.iter().take(2).copied().collect();
        prop_assert_eq!(few.candidates, first);
    }
}

#[test]
fn every_phrasing_finds_its_own_entry_first_and_for_certain() {
    let generation = pack();
    for (number, entry) in generation.corpus.entries.iter().enumerate() {
        for phrasing in &entry.phrasings {
            let found = ask(&generation.matcher, phrasing, 3);
            let best = found.best().unwrap_or_else(|| panic!("{phrasing} finds nothing"));
            let name = &generation.corpus.entries[best.entry as usize].id;
            assert_eq!(best.entry as usize, number, "{phrasing} of {} finds {name}", entry.id);
            assert!(best.exact, "{phrasing}");
            assert!((best.confidence - 1.0).abs() < f32::EPSILON, "{phrasing}");
        }
    }
}

#[test]
fn a_phrasing_in_the_other_script_finds_its_own_entry_first() {
    let generation = pack();
    let analyzer = generation.matcher.analyzer();
    let (mut all, mut lost) = (0, Vec::new());
    for (number, entry) in generation.corpus.entries.iter().enumerate() {
        let traditional = analyzer.traditionalise(entry.question());
        let found = ask(&generation.matcher, &traditional, 3);
        all += 1;
        if found.best().is_none_or(|best| best.entry as usize != number) {
            lost.push(traditional);
        }
    }
    assert!(lost.len() * 50 <= all, "{} of {all}: {lost:?}", lost.len());
}

#[test]
fn two_builds_of_one_corpus_give_the_same_candidates() {
    let generation = pack();
    let analyzer = generation.matcher.analyzer();
    let folder = tempfile::tempdir().unwrap();
    let build =
        |index| build_matcher(&generation.corpus.entries, analyzer, "digest", extras(&generation), index).unwrap();
    let (in_memory, on_disk, reopened) = (build(None), build(Some(folder.path())), build(Some(folder.path())));
    for entry in generation.corpus.entries.iter().step_by(5) {
        let asked = format!("{}，还有别的吗", entry.question());
        let expected = ask(&in_memory, &asked, 10);
        assert_eq!(ask(&on_disk, &asked, 10), expected, "{asked}");
        assert_eq!(ask(&reopened, &asked, 10), expected, "{asked}");
    }
}

#[test]
fn an_index_folder_that_is_damaged_is_built_again() {
    let generation = fixture_shop().current();
    let folder = tempfile::tempdir().unwrap();
    let build = || {
        build_matcher(
            &generation.corpus.entries,
            generation.matcher.analyzer(),
            "digest",
            extras(&generation),
            Some(folder.path()),
        )
    };
    let expected = ask(&build().unwrap(), "多久才能发货", 5);
    let home = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    std::fs::write(home.join("meta.json"), "{ half").unwrap();
    assert_eq!(ask(&build().unwrap(), "多久才能发货", 5), expected);
    for item in std::fs::read_dir(&home).unwrap() {
        let path = item.unwrap().path();
        if path.extension().is_some_and(|kind| kind != "json" && kind != "lock") {
            std::fs::write(path, "").unwrap();
        }
    }
    assert_eq!(ask(&build().unwrap(), "多久才能发货", 5), expected);
}

#[test]
fn loading_twice_gives_the_same_fingerprint_and_a_change_another() {
    let load = |folder: &std::path::Path| {
        let loaded = yingda::faq::load::load(folder, TODAY).unwrap();
        Generation::build(loaded, None, None).unwrap().fingerprint
    };
    let copy = crate::harness::editable(&fixture("shop"));
    let before = load(copy.path());
    assert_eq!(before, fixture_shop().current().fingerprint);
    let scripts = copy.path().join("scripts.toml");
    let changed = std::fs::read_to_string(&scripts).unwrap().replace("再见", "下次见");
    std::fs::write(&scripts, changed).unwrap();
    assert_ne!(load(copy.path()), before);
}

#[test]
fn an_entry_that_does_not_hold_is_no_candidate() {
    let generation = pack();
    let analysis = generation.matcher.analyzer().analyse("什么时候发货");
    let all = generation.matcher.find(&analysis, 5, |_| Some(0)).unwrap();
    let best = all.best().unwrap().entry;
    let rest = generation.matcher.find(&analysis, 5, |entry| (entry != best).then_some(0)).unwrap();
    assert!(rest.candidates.iter().all(|candidate| candidate.entry != best));
    assert_eq!(generation.matcher.find(&analysis, 5, |_| None).unwrap(), Match::default());
}

#[test]
fn questions_of_many_threads_at_once_do_not_disturb_each_other() {
    let generation = pack();
    let expected: Vec<Match> =
        generation.corpus.entries.iter().map(|entry| ask(&generation.matcher, entry.question(), 5)).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (entry, expected) in generation.corpus.entries.iter().zip(&expected) {
                    assert_eq!(ask(&generation.matcher, entry.question(), 5), *expected, "{}", entry.question());
                }
            });
        }
    });
}

#[test]
fn a_question_about_nothing_here_is_not_answered() {
    let generation = pack();
    let thresholds = yingda::matching::Thresholds::default();
    for text in
        ["今天天气真不错", "写一首关于月亮的诗", "1+1等于几", "asdfghjkl", "谁是美国总统", "🙂🙂🙂", "量子力学入门"]
    {
        let verdict = thresholds.verdict(&ask(&generation.matcher, text, 3));
        assert_ne!(verdict, yingda::matching::Verdict::Answer, "{text}");
    }
}
