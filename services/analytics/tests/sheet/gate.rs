//! Gates say what they cannot read, and fail what cannot be shown.

use std::collections::BTreeMap;

use analytics::gate::Gate;

fn failures(gate: &str, sharpe: Option<f64>, max_drawdown: f64) -> Vec<String> {
    let statistics =
        BTreeMap::from([("sharpe".to_owned(), sharpe), ("max_drawdown".to_owned(), Some(max_drawdown))]);
    gate.parse::<Gate>().unwrap().check(&statistics).iter().map(ToString::to_string).collect()
}

fn error(gate: &str) -> String {
    gate.parse::<Gate>().unwrap_err().to_string()
}

#[test]
fn a_condition_that_holds_fails_the_run() {
    assert_eq!(failures("sharpe<1", Some(0.5), -0.1), ["sharpe<1 holds: sharpe is 0.5"]);
    assert!(failures("sharpe<1", Some(1.0), -0.1).is_empty());
    assert_eq!(failures("sharpe<=1", Some(1.0), -0.1).len(), 1);
    assert_eq!(failures("sharpe >= 1 , max_drawdown < -20%", Some(2.0), -0.25).len(), 2);
    assert!(failures("max_drawdown<-0.2", None, -0.1).is_empty());
    assert_eq!(failures("sharpe<1", None, -0.1), ["sharpe<1 cannot be ruled out: sharpe is undefined"]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let unknown = error("sharp<1");
    assert!(
        unknown.starts_with("unknown metric \"sharp\" in \"sharp<1\"; did you mean sharpe?"),
        "{unknown}"
    );
    assert!(unknown.contains("max_drawdown, "), "{unknown}");
    assert!(!error("nothing_like_it<1").contains("did you mean"));
    assert_eq!(
        error("sharpe<high"),
        "\"high\" in \"sharpe<high\" is no number; expected one like 1, -0.2 or -20%"
    );
    assert!(error("sharpe").starts_with("\"sharpe\" is no condition; expected METRIC<NUMBER"));
    assert!(error("sharpe<1,").starts_with("\"\" is no condition"));
    assert!(error("sharpe<nan").contains("is no number"));
    assert_eq!(
        error("max_drawdown>20%"),
        "max_drawdown>0.2 never holds, because a drawdown is below zero or zero; write max_drawdown<-0.2"
    );
    assert!(error("sharpe<1,max_drawdown>=0.1").contains("never holds"));
    assert_eq!(failures("max_drawdown>-0.2", None, -0.1).len(), 1);
}
