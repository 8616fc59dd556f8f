//! Batches that are not answered, and those that are.

use std::sync::Arc;

use domain::calendar::Market;
use event_log::MemoryLog;

use super::*;
use crate::import::known::Effect;

fn importer() -> Importer {
    let market = Market::Xnys;
    let teller = Teller { source: "test".to_owned(), origin: Origin::Import, told: None, market };
    let tape: Tape = Arc::new(MemoryLog::new());
    Importer::new(tape, teller, Standards::default(), Known::default())
}

/// So many batches on their way that nobody answers.
fn unanswered(batches: usize) -> VecDeque<Underway> {
    let lost = || async { Err(AppendError::Unavailable(LogError::new("append a batch", "no answer"))) };
    let underway = || Underway { prepared: Prepared::default(), task: tokio::spawn(lost()) };
    std::iter::repeat_with(underway).take(batches).collect()
}

#[tokio::test]
async fn an_outage_counts_once_a_round_however_many_batches_it_meets() {
    let mut importer = importer();
    for round in 1..=AGAIN_MAX {
        importer.underway = unanswered(UNDERWAY_MAX);
        assert!(importer.settle(Prepared::default()).await.unwrap().is_none());
        assert_eq!((importer.failures, importer.underway.len()), (round, 0));
    }
    importer.underway = unanswered(UNDERWAY_MAX);
    let given_up = importer.settle(Prepared::default()).await.unwrap_err().to_string();
    assert!(given_up.contains("no answer"), "{given_up}");
    // One that is stored ends the outage.
    let stored = async { Ok(Vec::new()) };
    importer.underway =
        VecDeque::from([Underway { prepared: Prepared::default(), task: tokio::spawn(stored) }]);
    assert!(importer.settle(Prepared::default()).await.unwrap().is_some());
    assert_eq!(importer.failures, 0);
}

#[tokio::test]
async fn what_was_on_its_way_when_something_failed_is_counted() {
    let mut importer = importer();
    let bar = |sequence: u64, duplicate: bool| {
        let effect = Effect::Bar { close_ns: 0, values: 0, source: 0, prices: None };
        let (subjects, effects) = (vec![Subject::bar("1h", "X")], vec![effect]);
        let stored = async move { Ok(vec![Appended { sequence, duplicate }]) };
        let prepared = Prepared { subjects, effects, ..Prepared::default() };
        Underway { prepared, task: tokio::spawn(stored) }
    };
    importer.underway = unanswered(1);
    importer.underway.extend([bar(1, false), bar(2, true), bar(3, false)]);
    importer.settle_rest().await;
    assert_eq!((importer.report.appended, importer.underway.len()), (2, 0));
}

#[tokio::test]
async fn a_tape_that_stays_silent_ends_the_import() {
    let mut importer = importer();
    let silent = || {
        let task = tokio::spawn(std::future::pending());
        Underway { prepared: Prepared::default(), task }
    };
    importer.patience = Patience::new(Duration::from_millis(20));
    importer.underway = VecDeque::from([silent(), silent(), silent()]);
    let given_up = importer.settle(Prepared::default()).await.unwrap_err();
    assert!(matches!(given_up, ImportError::Append(AppendError::Unavailable(_))), "{given_up}");
    assert!(given_up.to_string().contains("the tape has not answered for"), "{given_up}");
    // The others are not waited for as long again.
    importer.settle_rest().await;
    assert_eq!((importer.report.appended, importer.underway.len()), (0, 0));
}

#[tokio::test]
async fn what_is_refused_for_ever_ends_the_import() {
    let mut importer = importer();
    let answered = |duplicate| {
        let stored = async move { Ok(vec![Appended { sequence: 1, duplicate }]) };
        VecDeque::from([Underway { prepared: Prepared::default(), task: tokio::spawn(stored) }])
    };
    for _ in 0..2 {
        for _ in 0..IN_VAIN_MAX {
            importer.underway = answered(true);
            assert!(importer.settle(Prepared::default()).await.unwrap().is_none());
        }
        // One that is stored in between shows that deciding again helps.
        importer.underway = answered(false);
        assert!(importer.settle(Prepared::default()).await.unwrap().is_some());
    }
    for _ in 0..IN_VAIN_MAX {
        importer.underway = answered(true);
        assert!(importer.settle(Prepared::default()).await.unwrap().is_none());
    }
    importer.underway = answered(true);
    let given_up = importer.settle(Prepared::default()).await.unwrap_err().to_string();
    assert!(given_up.contains("1000 times in a row"), "{given_up}");
}
