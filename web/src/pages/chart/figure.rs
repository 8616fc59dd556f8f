//! Figures of companies as a reader expects them: parts as per cent, millions and more in short.
//!
//! The exact number goes along; what is shown of it is for the eye alone.

/// A figure and what is shown of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// As it was stated.
    pub exact: String,
    /// As it is shown.
    pub text: String,
}

/// Figures that are parts of one.
const PARTS: [&str; 9] = [
    "dividend_yield",
    "payout_ratio",
    "profit_margin",
    "gross_margin",
    "operating_margin",
    "return_on_equity",
    "return_on_assets",
    "part_held_by_institutions",
    "part_held_by_insiders",
];

/// A figure of that name.
#[must_use]
pub fn amount(name: &str, exact: &str) -> Amount {
    let Ok(value) = exact.parse::<f64>() else {
        return Amount { exact: exact.to_owned(), text: exact.to_owned() };
    };
    let size = value.abs();
    let text = if PARTS.contains(&name) {
        format!("{:.2} %", value * 100.0)
    } else if size >= 1e12 {
        format!("{:.2} T", value / 1e12)
    } else if size >= 1e9 {
        format!("{:.2} B", value / 1e9)
    } else if size >= 1e6 {
        format!("{:.2} M", value / 1e6)
    } else {
        format!("{value:.2}")
    };
    Amount { exact: exact.to_owned(), text: text.replace('-', "−") }
}

/// What a figure is called on a page.
#[must_use]
pub fn title(name: &str) -> &'static str {
    match name {
        "market_cap" => "Market capitalisation",
        "enterprise_value" => "Enterprise value",
        "trailing_pe" => "Price to earnings, last 12 months",
        "forward_pe" => "Price to earnings, next 12 months",
        "price_to_book" => "Price to book",
        "trailing_eps" => "Earnings per share",
        "dividend_yield" => "Dividend yield",
        "payout_ratio" => "Payout ratio",
        "beta" => "Beta",
        "profit_margin" => "Profit margin",
        "operating_margin" => "Operating margin",
        "return_on_equity" => "Return on equity",
        "current_ratio" => "Current ratio",
        "shares_outstanding" => "Shares outstanding",
        "part_held_by_institutions" => "Held by institutions",
        "short_ratio" => "Short ratio, days",
        "total_revenue" => "Revenue",
        "gross_profit" => "Gross profit",
        "operating_income" => "Operating income",
        "net_income" => "Net income",
        "diluted_eps" => "Earnings per share, diluted",
        "total_assets" => "Total assets",
        "total_debt" => "Total debt",
        "free_cash_flow" => "Free cash flow",
        _ => "Figure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_exact() {
        for (name, exact, text) in [
            ("market_cap", "2912345678901", "2.91 T"),
            ("total_revenue", "391035000000", "391.04 B"),
            ("net_income", "-2500000", "−2.50 M"),
            ("beta", "1.2", "1.20"),
            ("dividend_yield", "0.0055", "0.55 %"),
            ("beta", "unknown", "unknown"),
        ] {
            let amount = amount(name, exact);
            assert_eq!((amount.exact.as_str(), amount.text.as_str()), (exact, text));
        }
    }
}
