//! Shares that an entry gets within a bar: its exits sell none of them at a price from before.
//!
//! Given a bracket whose entry fills by a tenth of the volume, accepted at 15:00 UTC of a summer's Tuesday in New York.

use contracts::v1::{Costs, OrderType, Side};

use crate::matching_types::{World, bracket, hour, typed, with_volume};
use crate::support::price;

/// 100 bought at 49 or better, with a target at 55 and a stop at 45.
fn given() -> World {
    let limit = typed("e", Side::Buy, OrderType::Limit, Some("49"), None);
    let costs = Costs { volume_share_most_e9: price("0.1").0, ..Costs::default() };
    World::given(&bracket(limit, "55", "45")).costing(costs)
}

#[test]
fn a_stop_that_waits_sells_what_comes_within_a_bar_at_the_price_of_the_entry() {
    let mut world = given();
    // The entry takes all of the volume, so that the stop is reached and sells nothing yet.
    let lines = world.when(&with_volume(hour(0, ["50", "50", "44", "46"]), 400));
    assert_eq!(lines, ["e filled 40 at 49", "s triggered at 45"]);
    // Again nothing is left for the stop.
    let lines = world.when(&with_volume(hour(1, ["46", "47", "46", "47"]), 500));
    assert_eq!(lines, ["e filled 50 at 46"]);
    let lines = world.when(&with_volume(hour(2, ["52", "53", "51", "52"]), 900));
    assert_eq!(lines, ["s filled 90 at 52"]);
    // Nothing is held; what comes at 49 within the bar was never there at its open of 54.
    let lines = world.when(&with_volume(hour(3, ["54", "54", "48", "50"]), 900));
    assert_eq!(lines, ["e filled 10 at 49", "s filled 10 at 49", "t cancelled"]);
}

#[test]
fn an_exit_at_the_open_leaves_what_comes_within_the_bar() {
    let mut gap = given();
    let lines = gap.when(&with_volume(hour(0, ["50", "50", "48", "50"]), 400));
    assert_eq!(lines, ["e filled 40 at 49"]);
    // It opens beyond the target, where 40 are held, and falls to the entry's limit afterwards.
    let lines = gap.when(&with_volume(hour(1, ["56", "57", "48", "50"]), 2_000));
    assert_eq!(lines, ["e filled 60 at 49", "t filled 40 at 56"]);
    let lines = gap.when(&with_volume(hour(2, ["54", "56", "53", "54"]), 2_000));
    assert_eq!(lines, ["t filled 60 at 55", "s cancelled"]);

    // A stop that the bar reaches after its open closes all of it.
    let mut falls = given();
    falls.when(&with_volume(hour(0, ["50", "50", "48", "50"]), 400));
    let lines = falls.when(&with_volume(hour(1, ["50", "50", "44", "45"]), 2_000));
    assert_eq!(lines, ["e filled 60 at 49", "s triggered at 45", "s filled 100 at 45", "t cancelled"]);
}

#[test]
fn what_a_target_at_the_open_leaves_is_stopped_within_the_bar() {
    let mut gap = given();
    assert_eq!(gap.when(&with_volume(hour(0, ["50", "50", "48", "50"]), 1_000)), ["e filled 100 at 49"]);
    // The open is beyond the target, which takes all of the volume; then the bar falls through the stop.
    let lines = gap.when(&with_volume(hour(1, ["56", "57", "44", "52"]), 300));
    assert_eq!(lines, ["t filled 30 at 56", "s triggered at 45"]);
    // It would reach the target again, but what is triggered sells at once.
    let lines = gap.when(&with_volume(hour(2, ["52", "58", "51", "57"]), 1_000));
    assert_eq!(lines, ["s filled 70 at 52", "s cancelled", "t cancelled"]);

    // A target that sells everything at the open leaves nothing to stop.
    let mut whole = given();
    whole.when(&with_volume(hour(0, ["50", "50", "48", "50"]), 1_000));
    let lines = whole.when(&with_volume(hour(1, ["56", "57", "44", "52"]), 1_000));
    assert_eq!(lines, ["t filled 100 at 56", "s cancelled"]);

    // What the entry gets within the bar, after the open, is stopped as well.
    let mut fresh = given();
    fresh.when(&with_volume(hour(0, ["50", "50", "48", "50"]), 400));
    let lines = fresh.when(&with_volume(hour(1, ["56", "57", "44", "52"]), 2_000));
    let expected = [
        "e filled 60 at 49",
        "t filled 40 at 56",
        "s triggered at 45",
        "s filled 60 at 45",
        "s cancelled",
        "t cancelled",
    ];
    assert_eq!(lines, expected);
}
