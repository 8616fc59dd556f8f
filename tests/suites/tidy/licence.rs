//! Licence expressions: `(MIT OR Apache-2.0) AND Unicode-3.0`, and the older `MIT/Apache-2.0`.

/// Whether a choice of licences that `allowed` accepts satisfies `expression`. What is not understood is not
/// accepted.
pub fn is_allowed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let accepted = any_of(&mut rest, allowed);
    accepted == Some(true) && rest.is_empty()
}

fn any_of(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut accepted = all_of(words, allowed)?;
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        accepted |= all_of(words, allowed)?;
    }
    Some(accepted)
}

fn all_of(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut accepted = one(words, allowed)?;
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        accepted &= one(words, allowed)?;
    }
    Some(accepted)
}

fn one(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    match *first {
        "(" => {
            let accepted = any_of(words, allowed)?;
            let (close, rest) = words.split_first()?;
            *words = rest;
            (*close == ")").then_some(accepted)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        name => match **words {
            ["WITH", exception, ..] => {
                *words = &words[2..];
                Some(allowed(&format!("{name} WITH {exception}")))
            }
            _ => Some(allowed(name)),
        },
    }
}

#[test]
fn expressions_are_read_as_written() {
    let check = |expression: &str, expected: bool| {
        let allowed = |name: &str| ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].contains(&name);
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    };
    check("MIT", true);
    check("GPL-3.0", false);
    check("GPL-3.0 OR MIT", true);
    check("GPL-3.0/MIT", true);
    check("GPL-3.0 AND MIT", false);
    check("MIT AND Zlib", true);
    // AND binds more strongly than OR.
    check("MIT OR GPL-3.0 AND GPL-2.0", true);
    check("(MIT OR GPL-3.0) AND GPL-2.0", false);
    check("(GPL-2.0 OR MIT) AND Zlib", true);
    check("Apache-2.0 WITH LLVM-exception", true);
    check("Apache-2.0", false);
    check("MIT MIT", false);
    check("(MIT", false);
    check("", false);
}
