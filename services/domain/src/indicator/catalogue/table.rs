//! The rows of the catalogue.

use super::study::{one, two};
use super::{Entry, Parameter, Range};
use crate::indicator::{self as of, Values as _};

const MAX: u32 = 100_000;

const fn bars(name: &'static str, description: &'static str, min: u32, default: &'static str) -> Parameter {
    Parameter { name, description, unit: "bars", range: Range::Integer { min, max: MAX }, default }
}

const fn multiple(name: &'static str, description: &'static str, default: &'static str) -> Parameter {
    Parameter {
        name,
        description,
        unit: "multiple",
        range: Range::Decimal { min: 0.0, max: 1_000.0 },
        default,
    }
}

const fn length(min: u32, default: &'static str) -> Parameter {
    bars("length", "bars it looks at", min, default)
}

const FAST: Parameter = bars("fast", "bars of the fast average", 2, "12");
const SLOW: Parameter = bars("slow", "bars of the slow average", 2, "26");
const SIGNAL: Parameter = bars("signal", "values of which %D is the mean", 1, "3");
const DDOF: Parameter = Parameter {
    name: "ddof",
    description: "degrees of freedom lost: 0 for the population's deviation, 1 for the sample's",
    unit: "count",
    range: Range::Integer { min: 0, max: 1 },
    default: "0",
};

/// A row whose figures are prices, with what most rows share.
const fn price(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    parameters: &'static [Parameter],
    make: fn(&super::Arguments) -> super::Built,
) -> Entry {
    Entry {
        name,
        title,
        description,
        unit: "US dollars per share",
        outputs: f64::NAMES,
        parameters,
        against: false,
        on_price: true,
        ordered: false,
        make,
    }
}

/// A row whose figures are on a scale of their own.
const fn scale(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    parameters: &'static [Parameter],
    make: fn(&super::Arguments) -> super::Built,
) -> Entry {
    Entry { unit, on_price: false, ..price(name, title, description, parameters, make) }
}

const PERCENT: &str = "percent";
const DOLLARS: &str = "US dollars per share";
const SHARES: &str = "shares";

pub(super) const ENTRIES: &[Entry] = &[
    price("sma", "Simple moving average", "mean of the last closes", &[length(1, "30")], |a| {
        one(of::SimpleMovingAverage::new(a.length("length")))
    }),
    price(
        "ema",
        "Exponential moving average",
        "average of closes with a factor of 2 / (length + 1)",
        &[length(1, "30")],
        |a| one(of::ExponentialMovingAverage::new(a.length("length"))),
    ),
    price(
        "wma",
        "Weighted moving average",
        "mean of the last closes with weights 1 to length",
        &[length(1, "30")],
        |a| one(of::WeightedMovingAverage::new(a.length("length"))),
    ),
    price("dema", "Double exponential moving average", "2 EMA − EMA of EMA", &[length(1, "30")], |a| {
        one(of::DoubleExponential::new(a.length("length")))
    }),
    price(
        "tema",
        "Triple exponential moving average",
        "3 EMA − 3 EMA² + EMA³",
        &[length(1, "30")],
        |a| one(of::TripleExponential::new(a.length("length"))),
    ),
    price(
        "kama",
        "Kaufman adaptive moving average",
        "average that is fast in a straight move and slow in noise",
        &[length(2, "30")],
        |a| one(of::AdaptiveMovingAverage::new(a.length("length"))),
    ),
    Entry {
        outputs: of::Channel::NAMES,
        ..price(
            "bbands",
            "Bollinger bands",
            "mean of the last closes and lines some standard deviations away",
            &[
                length(2, "20"),
                multiple("above", "standard deviations from the mean to the upper line", "2"),
                multiple("below", "standard deviations from the mean to the lower line", "2"),
            ],
            |a| one(of::BollingerBands::new(a.length("length"), a.number("above"), a.number("below"))),
        )
    },
    Entry {
        outputs: of::Channel::NAMES,
        ..price(
            "donchian",
            "Donchian channel",
            "highest high and lowest low of the last bars, the newest included",
            &[length(1, "20")],
            |a| one(of::DonchianChannel::new(a.length("length"))),
        )
    },
    Entry {
        outputs: of::Channel::NAMES,
        ..price(
            "keltner",
            "Keltner channel",
            "exponential average of closes and lines some average true ranges away",
            &[
                length(1, "20"),
                bars("range", "bars of the average true range", 1, "10"),
                multiple("multiple", "average true ranges from the middle to a line", "2"),
            ],
            |a| one(of::KeltnerChannel::new(a.length("length"), a.length("range"), a.number("multiple"))),
        )
    },
    price(
        "vwap",
        "Volume-weighted average price",
        "average of typical prices (high + low + close) / 3, weighted with volume, since an anchor",
        &[
            Parameter {
                name: "anchor",
                description: "session: since the day began in New York; series: since the first bar; \
                              rolling: over `length` bars",
                unit: "",
                range: Range::Choice(&["session", "series", "rolling"]),
                default: "session",
            },
            bars("length", "bars it looks at when the anchor is rolling", 1, "20"),
        ],
        |a| {
            let anchor = if a.is("anchor", "rolling") {
                of::Anchor::Rolling(a.length("length"))
            } else if a.is("anchor", "series") {
                of::Anchor::Series
            } else {
                of::Anchor::Session
            };
            one(of::VolumeWeightedPrice::new(anchor))
        },
    ),
    price(
        "sar",
        "Parabolic stop and reverse",
        "stop that follows a move and turns when the price touches it",
        &[
            Parameter {
                name: "step",
                description: "what acceleration starts with and grows by at each new extreme",
                unit: "share of the distance",
                range: Range::Decimal { min: 0.0, max: 10.0 },
                default: "0.02",
            },
            Parameter {
                name: "most",
                description: "largest acceleration",
                unit: "share of the distance",
                range: Range::Decimal { min: 0.0, max: 10.0 },
                default: "0.2",
            },
        ],
        |a| one(Ok(of::Parabolic::new(a.number("step"), a.number("most")))),
    ),
    price("max", "Rolling maximum", "highest of the last closes", &[length(1, "30")], |a| {
        one(of::RollingExtreme::highest(a.length("length")))
    }),
    price("min", "Rolling minimum", "lowest of the last closes", &[length(1, "30")], |a| {
        one(of::RollingExtreme::lowest(a.length("length")))
    }),
    Entry {
        outputs: of::Line::NAMES,
        unit: "US dollars per share; slope: the same per bar; angle: degrees",
        on_price: false,
        ..price(
            "linearreg",
            "Linear regression",
            "least-squares line through the last closes",
            &[length(2, "14")],
            |a| one(of::LinearRegression::new(a.length("length"))),
        )
    },
    Entry {
        outputs: of::Convergence::NAMES,
        ordered: true,
        ..scale(
            "macd",
            "Moving average convergence divergence",
            "fast minus slow exponential average of closes, its average, and the difference",
            DOLLARS,
            &[FAST, SLOW, bars("signal", "bars of the average of the difference", 1, "9")],
            |a| one(of::Macd::new(a.length("fast"), a.length("slow"), a.length("signal"))),
        )
    },
    Entry {
        ordered: true,
        ..scale(
            "ppo",
            "Percentage price oscillator",
            "how far a fast average of closes lies above a slow one",
            PERCENT,
            &[
                FAST,
                SLOW,
                Parameter {
                    name: "average",
                    description: "kind of both averages",
                    unit: "",
                    range: Range::Choice(&["simple", "exponential"]),
                    default: "simple",
                },
            ],
            |a| {
                let kind = if a.is("average", "exponential") {
                    of::AverageKind::Exponential
                } else {
                    of::AverageKind::Simple
                };
                one(of::PercentageOscillator::new(a.length("fast"), a.length("slow"), kind))
            },
        )
    },
    scale("mom", "Momentum", "change of the close over the last bars", DOLLARS, &[length(1, "10")], |a| {
        one(of::Momentum::dollars(a.length("length")))
    }),
    scale(
        "roc",
        "Rate of change",
        "change of the close over the last bars, relative to then",
        PERCENT,
        &[length(1, "10")],
        |a| one(of::Momentum::percent(a.length("length"))),
    ),
    scale(
        "trix",
        "TRIX",
        "change over one bar of a triple exponential average",
        PERCENT,
        &[length(1, "30")],
        |a| one(of::Trix::new(a.length("length"))),
    ),
    scale(
        "rsi",
        "Relative strength index",
        "average gain as a share of average gain and loss",
        "0 to 100",
        &[length(2, "14")],
        |a| one(of::RelativeStrengthIndex::new(a.length("length"))),
    ),
    Entry {
        outputs: of::Stochastics::NAMES,
        ..scale(
            "stoch",
            "Stochastic, slow",
            "where the close lies in the range of the last bars, smoothed twice",
            "0 to 100",
            &[length(1, "5"), bars("smoothing", "raw values of which %K is the mean", 1, "3"), SIGNAL],
            |a| one(of::Stochastic::new(a.length("length"), a.length("smoothing"), a.length("signal"))),
        )
    },
    Entry {
        outputs: of::Stochastics::NAMES,
        ..scale(
            "stochf",
            "Stochastic, fast",
            "where the close lies in the range of the last bars, and its mean",
            "0 to 100",
            &[length(1, "5"), SIGNAL],
            |a| one(of::Stochastic::new(a.length("length"), 1, a.length("signal"))),
        )
    },
    Entry {
        outputs: of::Stochastics::NAMES,
        ..scale(
            "stochrsi",
            "Stochastic RSI",
            "where the relative strength index lies in its own range, and its mean",
            "0 to 100",
            &[length(2, "14"), bars("range", "bars of the index' range", 1, "5"), SIGNAL],
            |a| one(of::StochasticRsi::new(a.length("length"), a.length("range"), a.length("signal"))),
        )
    },
    scale(
        "willr",
        "Williams %R",
        "how far the close lies below the highest high, in the range",
        "−100 to 0",
        &[length(2, "14")],
        |a| one(of::WilliamsR::new(a.length("length"))),
    ),
    scale(
        "cci",
        "Commodity channel index",
        "distance of the typical price from its mean",
        "0.015 mean deviations",
        &[length(2, "14")],
        |a| one(of::CommodityChannel::new(a.length("length"))),
    ),
    Entry {
        outputs: of::Aroons::NAMES,
        ..scale(
            "aroon",
            "Aroon",
            "how recent the highest high and the lowest low are",
            "0 to 100; oscillator: −100 to 100",
            &[length(2, "14")],
            |a| one(of::Aroon::new(a.length("length"))),
        )
    },
    scale(
        "ultosc",
        "Ultimate oscillator",
        "where closes lie in their true ranges, over three windows weighted 4, 2 and 1",
        "0 to 100",
        &[
            bars("short", "bars of one window; the shortest weighs most", 1, "7"),
            bars("medium", "bars of another window", 1, "14"),
            bars("long", "bars of the last window", 1, "28"),
        ],
        |a| one(of::UltimateOscillator::new(["short", "medium", "long"].map(|name| a.length(name)))),
    ),
    Entry {
        outputs: of::Direction::NAMES,
        ..scale(
            "adx",
            "Average directional index, +DI, −DI",
            "strength and direction of a trend",
            "0 to 100",
            &[length(2, "14")],
            |a| one(of::DirectionalMovement::new(a.length("length"))),
        )
    },
    scale("atr", "Average true range", "Wilder's average of true ranges", DOLLARS, &[length(1, "14")], |a| {
        one(of::AverageTrueRange::dollars(a.length("length")))
    }),
    scale(
        "natr",
        "Normalised average true range",
        "average true range relative to the close",
        PERCENT,
        &[length(1, "14")],
        |a| one(of::AverageTrueRange::percent(a.length("length"))),
    ),
    scale(
        "stddev",
        "Standard deviation",
        "spread of the last closes around their mean",
        DOLLARS,
        &[length(2, "5"), DDOF],
        |a| one(of::Spread::deviation(a.length("length"), a.length("ddof"))),
    ),
    scale(
        "zscore",
        "Z-score",
        "distance of the close from the mean of the last closes",
        "standard deviations",
        &[length(2, "20"), DDOF],
        |a| one(of::Spread::z_score(a.length("length"), a.length("ddof"))),
    ),
    scale(
        "volatility",
        "Realised volatility",
        "sample deviation of the last logarithmic returns, per year",
        "share of the price per year",
        &[
            length(2, "20"),
            Parameter {
                name: "periods",
                description: "bars in a year: 252 daily bars, 1638 hourly ones of the regular session",
                unit: "bars",
                range: Range::Decimal { min: 1.0, max: 10_000_000.0 },
                default: "252",
            },
        ],
        |a| one(of::RealisedVolatility::new(a.length("length"), a.number("periods"))),
    ),
    scale(
        "obv",
        "On-balance volume",
        "volume added on a higher close and taken off on a lower one",
        SHARES,
        &[],
        |_| one(Ok(of::OnBalanceVolume::new())),
    ),
    scale(
        "ad",
        "Accumulation/distribution line",
        "sum of volume times the close's place in its bar",
        SHARES,
        &[],
        |_| one(Ok(of::AccumulationDistribution::new())),
    ),
    scale(
        "adosc",
        "Chaikin oscillator",
        "fast minus slow exponential average of the accumulation/distribution line",
        SHARES,
        &[
            bars("fast", "bars of the fast average", 2, "3"),
            bars("slow", "bars of the slow average", 2, "10"),
        ],
        |a| one(of::ChaikinOscillator::new(a.length("fast"), a.length("slow"))),
    ),
    scale(
        "mfi",
        "Money flow index",
        "share of traded dollars in bars of a rising typical price",
        "0 to 100",
        &[length(2, "14")],
        |a| one(of::MoneyFlowIndex::new(a.length("length"))),
    ),
    Entry {
        against: true,
        ..scale(
            "beta",
            "Beta",
            "slope of the series' returns on those of another",
            "ratio",
            &[length(2, "5")],
            |a| two(of::Beta::new(a.length("length"))),
        )
    },
    Entry {
        against: true,
        ..scale(
            "correl",
            "Correlation",
            "Pearson's correlation of the closes of two series",
            "−1 to 1",
            &[length(2, "30")],
            |a| two(of::Correlation::new(a.length("length"))),
        )
    },
];
