//! Lists: how many rows of one a command prints.

use projections::queries::LIMIT_MAX;

use crate::exit::Failure;

/// Refuses a number of rows that no list has; `example` is a command with one that it may have.
pub fn check_limit(limit: u32, example: &str) -> Result<(), Failure> {
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(());
    }
    Err(Failure::usage(format!("--limit {limit}: expected 1 to {LIMIT_MAX}"), example))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_rows_that_no_list_has_is_refused_and_not_made_to_fit() {
        for limit in [1, LIMIT_MAX] {
            assert!(check_limit(limit, "tapedeck order list").is_ok(), "{limit}");
        }
        for (limit, words) in [(0, "--limit 0: expected 1 to 200"), (201, "--limit 201: expected 1 to 200")] {
            let refused = check_limit(limit, "tapedeck order list").unwrap_err();
            assert_eq!((refused.code, refused.message.as_str()), (2, words));
        }
    }
}
