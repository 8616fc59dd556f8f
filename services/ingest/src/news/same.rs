//! Whether two articles are one: by address, by headline. Pure.

/// Parameters of addresses that tell where a reader came from.
const TRACKING: [&str; 13] = [
    "fbclid",
    "gclid",
    "msclkid",
    "mc_cid",
    "mc_eid",
    "ocid",
    "cmpid",
    "cmp",
    "guccounter",
    "guce_referrer",
    "guce_referrer_sig",
    ".tsrc",
    "soc_src",
];

/// An address without what does not tell pages apart: scheme, `www.`, fragment, tracking, slash at the end; the
/// parameters in order. Empty for what is no address.
pub(super) fn canonical(url: &str) -> String {
    let Some((scheme, rest)) = url.trim().split_once("://") else { return String::new() };
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return String::new();
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let host = host.to_ascii_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    if host.is_empty() {
        return String::new();
    }
    let tells = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default().to_ascii_lowercase();
        !name.is_empty() && !name.starts_with("utm_") && !TRACKING.contains(&name.as_str())
    };
    let mut parameters: Vec<&str> = query.split('&').filter(tells).collect();
    parameters.sort_unstable();
    let mut address = format!("{host}/{}", path.trim_end_matches('/'));
    if !parameters.is_empty() {
        address.push('?');
        address.push_str(&parameters.join("&"));
    }
    address
}

/// A headline's words in lower case, without the publisher that some add at its end.
pub(super) fn words(headline: &str, publisher: &str) -> String {
    let ending = format!(" - {publisher}");
    let bare = if publisher.is_empty() { None } else { headline.strip_suffix(ending.as_str()) };
    let bare = bare.unwrap_or(headline).to_lowercase();
    let kept = bare.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    kept.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_one_came_there() {
        let page = canonical("https://news.example/a/1");
        for other in [
            "http://www.news.example/a/1/",
            "https://NEWS.example/a/1#comments",
            "https://news.example/a/1?utm_source=x&gclid=y",
        ] {
            assert_eq!(canonical(other), page, "{other}");
        }
        assert_ne!(canonical("https://news.example/a/2"), page);
        assert_ne!(canonical("https://news.example/A/1"), page, "paths tell capitals apart");
        assert_eq!(canonical("https://x.example/?b=2&a=1"), canonical("https://x.example?a=1&b=2"));
        assert_eq!(canonical("mailto:a@b"), "");
        assert_eq!(canonical("nowhere"), "");
    }

    #[test]
    fn a_headline_is_its_words() {
        let told = words("Profit up 5%: \u{201c}great\u{201d} - Example News", "Example News");
        assert_eq!(told, words("PROFIT UP 5% \"Great\"", ""));
        assert_ne!(told, words("Profit up 6%: great", ""));
    }
}
