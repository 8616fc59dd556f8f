//! Dates of exchange time in queries: what `domain::calendar::Calendar::date_of` answers, for many rows at once.

/// SQL of the date in exchange time at an instant. `$ns` is an expression in UTC nanoseconds, `$exchange` the parameter that
/// names the calendar. A session of 24x5 begins at 17:00 of the day before, and on Fridays it lasts to 18:00.
macro_rules! date_of {
    ($ns:literal, $exchange:literal) => {
        concat!(
            "(CASE ",
            $exchange,
            "::text WHEN '24x7' THEN to_timestamp((",
            $ns,
            ") / 1000000000) AT TIME ZONE 'UTC'
             WHEN '24x5' THEN (to_timestamp((",
            $ns,
            ") / 1000000000) AT TIME ZONE 'America/New_York')
                 + CASE extract(isodow FROM (to_timestamp((",
            $ns,
            ") / 1000000000) AT TIME ZONE 'America/New_York') + interval '7 hours')
                   WHEN 6 THEN interval '6 hours' ELSE interval '7 hours' END
             ELSE to_timestamp((",
            $ns,
            ") / 1000000000) AT TIME ZONE 'America/New_York' END)::date"
        )
    };
}

pub(super) use date_of;
