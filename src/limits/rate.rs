//! Rates as they are written: `20/s`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use governor::Quota;

/// The most that the number of a rate can be.
const MOST: u32 = 1_000_000;

/// So many requests in a unit of time, and as many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    number: NonZeroU32,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Rate {
    pub(super) const fn quota(self) -> Quota {
        match self.unit {
            Unit::Second => Quota::per_second(self.number),
            Unit::Minute => Quota::per_minute(self.number),
            Unit::Hour => Quota::per_hour(self.number),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Second => "s",
            Unit::Minute => "m",
            Unit::Hour => "h",
        };
        write!(f, "{}/{unit}", self.number)
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    /// # Errors
    ///
    /// A sentence that says what a rate looks like.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a rate is a number and a unit of time, `s`, `m` or `h`, such as `20/s`";
        const RANGE: &str = "the number is from 1 to 1000000; for no limit at all, remove the key";
        let (number, unit) = text.split_once('/').ok_or(FORM)?;
        let unit = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return Err(FORM),
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FORM);
        }
        let number = number.parse().map_err(|_| RANGE)?;
        let fitting = NonZeroU32::new(number).filter(|number| number.get() <= MOST);
        let number = fitting.ok_or(RANGE)?;
        Ok(Self { number, unit })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rate;

    fn check(text: &str, expected: Result<Duration, &str>) {
        match (text.parse::<Rate>(), expected) {
            (Ok(rate), Ok(interval)) => {
                assert_eq!(rate.to_string(), text);
                assert_eq!(rate.quota().replenish_interval(), interval, "{text}");
                let burst = rate.quota().burst_size().to_string();
                assert_eq!(text.split_once('/').unwrap().0, burst);
            }
            (Err(told), Err(part)) => assert!(told.contains(part), "{text}: {told}"),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }

    #[test]
    fn rates() {
        check("20/s", Ok(Duration::from_millis(50)));
        check("1/m", Ok(Duration::from_mins(1)));
        check("3600/h", Ok(Duration::from_secs(1)));
        check("1000000/s", Ok(Duration::from_micros(1)));
        check("0/s", Err("from 1"));
        check("1000001/h", Err("to 1000000"));
        check("99999999999999999999/s", Err("to 1000000"));
        for text in [
            "", "20", "/s", "20/", "20/d", "20/S", "20 / s", "+2/s", "-1/s", "2.5/s", "20/s/s",
        ] {
            check(text, Err("such as `20/s`"));
        }
    }
}
