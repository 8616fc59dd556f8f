//! Subject filters: `*` stands for one token, a final `>` for one or more.

/// Whether `filter` covers `subject`, by the rules of NATS.
#[must_use]
pub fn covers(filter: &str, subject: &str) -> bool {
    let mut wanted = filter.split('.');
    let mut tokens = subject.split('.');
    loop {
        match (wanted.next(), tokens.next()) {
            (Some(">"), Some(_)) => return wanted.next().is_none(),
            (Some("*"), Some(_)) => {}
            (Some(want), Some(token)) if want == token => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Whether any of `filters` covers `subject`; no filter at all covers everything.
#[must_use]
pub(crate) fn any_covers(filters: &[String], subject: &str) -> bool {
    filters.is_empty() || filters.iter().any(|filter| covers(filter, subject))
}

/// Whether `filter` is well formed: no empty token, no white space, `>` only at the end.
#[must_use]
pub fn is_well_formed(filter: &str) -> bool {
    let mut tokens = filter.split('.').peekable();
    while let Some(token) = tokens.next() {
        let blank = token.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control());
        if token.is_empty() || blank || (token == ">" && tokens.peek().is_some()) {
            return false;
        }
    }
    true
}

/// The literal tokens of a filter with their positions.
pub(crate) fn literals(filter: &str) -> impl Iterator<Item = (usize, &str)> {
    filter.split('.').enumerate().filter(|(_, token)| !matches!(*token, "*" | ">"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covering_follows_the_rules_of_nats() {
        for (filter, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.b.c", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("*.x.>", "order.x.1", true),
            ("*.x.>", "order.y.1", false),
            ("*.x.>", "order.x", false),
        ] {
            assert_eq!(covers(filter, subject), expected, "{filter} over {subject}");
        }
    }

    #[test]
    fn malformed_filters_are_known() {
        for (filter, expected) in [
            ("a.>", true),
            (">", true),
            ("a.*.b", true),
            ("", false),
            ("a..b", false),
            ("a.>.b", false),
            ("a b", false),
        ] {
            assert_eq!(is_well_formed(filter), expected, "{filter:?}");
        }
    }
}
