//! The number of passes in which a contextual model generates an image (Draft-and-Revise, arXiv 2206.04452,
//! section 3.3).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::filter::Filter;
use crate::error::{Error, Result};
use crate::text::counted;

/// Default number of parts of a draft of a whole stack. The paper's figures use 64, which takes four times as
/// long but is better.
const DRAFT: u32 = 16;

/// Limit on the parts of a pass: there are no more cells.
const MOST_PARTS: u32 = 1 << 16;

/// Limit on revisions: every draw of an image is numbered in 32 bits.
const MOST_ROUNDS: u32 = 1000;

/// How a contextual model generates an image: a draft of all codes that are not given, then revisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Parts that the draft fills in turn, each given the earlier ones; 0 for no draft, only revisions of
    /// given codes.
    pub draft: u32,
    /// The revisions after the draft.
    pub revise: Rounds,
    /// Filters for the revisions, one per depth; the draft's are in the request.
    pub filters: Vec<Filter>,
}

/// How often an image is revised, and in how many parts: each part is resampled given all other cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// Number of revisions; 0 for none.
    pub rounds: u32,
    /// Parts per revision, at least 1.
    pub parts: u32,
}

/// The values for the paper's figures.
impl Default for Rounds {
    fn default() -> Self {
        Self { rounds: 2, parts: 2 }
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rounds {
            0 => write!(f, "0"),
            rounds => write!(f, "{rounds}x{}", self.parts),
        }
    }
}

impl FromStr for Rounds {
    type Err = Error;

    /// Parses `2x4` (two rounds of four parts) or `0`.
    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str| text.parse::<u32>().ok();
        let found = match text.split_once('x') {
            Some((rounds, parts)) => number(rounds).zip(number(parts)),
            None => number(text).filter(|&rounds| rounds == 0).map(|rounds| (rounds, 1)),
        };
        let found = found.map(|(rounds, parts)| Self { rounds, parts });
        found.filter(|found| found.parts > 0).ok_or_else(|| {
            Error::usage(format!("expected rounds and parts, such as 2x4, or 0 for none, found {text}"))
        })
    }
}

impl Schedule {
    /// The default for `free` of a stack's `cells` cells, with `filters` for the revisions. Each part of the
    /// draft has as many cells as in a draft of the whole stack, so a region needs only its share of the
    /// parts. The revisions draw every free cell again, in as many parts whatever the region.
    pub fn usual(filters: &[Filter], free: usize, cells: usize) -> Self {
        let draft = (DRAFT as usize * free).div_ceil(cells.max(1)).max(1) as u32;
        Self { draft, revise: Rounds::default(), filters: filters.to_vec() }
    }

    /// Checks the schedule for stacks of `depth` depths.
    ///
    /// # Errors
    /// A number is too large, there is neither a draft nor a revision, or there is not one filter per depth.
    pub fn check(&self, depth: usize) -> Result<()> {
        let Rounds { rounds, parts } = self.revise;
        for (name, found, most) in [
            ("parts of the draft", self.draft, MOST_PARTS),
            ("parts of a revision", parts, MOST_PARTS),
            ("revisions", rounds, MOST_ROUNDS),
        ] {
            if found > most {
                return Err(Error::usage(format!("{name}: expected at most {most}, found {found}")));
            }
        }
        if parts == 0 || self.draft == 0 && rounds == 0 {
            return Err(Error::usage(
                "expected a draft or revisions, found neither: nothing would be sampled",
            ));
        }
        if self.filters.len() != depth {
            return Err(Error::usage(format!(
                "expected {}, one for each depth, found {}",
                counted(depth, "filter"),
                self.filters.len()
            )));
        }
        self.filters.iter().try_for_each(Filter::check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_round_trip_through_text() {
        for (rounds, parts) in [(2, 4), (1, 1), (1000, 64)] {
            let rounds = Rounds { rounds, parts };
            assert_eq!(rounds.to_string().parse::<Rounds>().unwrap(), rounds);
        }
        assert_eq!("0".parse::<Rounds>().unwrap().rounds, 0);
        for wrong in ["", "2", "x", "2x", "x4", "2x0", "-1x4", "2x4x4", "2 x 4"] {
            assert!(wrong.parse::<Rounds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_region_is_drafted_in_its_share_of_the_parts() {
        for (free, cells, expected) in
            [(64, 64, 16), (16, 64, 4), (5, 64, 2), (4, 64, 1), (0, 64, 1), (64, 256, 4), (8, 16, 8)]
        {
            let usual = Schedule::usual(&[Filter::NONE], free, cells);
            assert_eq!((usual.draft, usual.revise), (expected, Rounds::default()), "{free} of {cells}");
            assert!(usual.check(1).is_ok());
        }
    }

    #[test]
    fn a_schedule_that_does_nothing_or_too_much_is_refused() {
        let usual = Schedule { draft: DRAFT, revise: Rounds::default(), filters: vec![Filter::NONE; 2] };
        assert!(usual.check(2).is_ok() && usual.check(3).is_err());
        let none = Rounds { rounds: 0, parts: 1 };
        assert!(Schedule { revise: none, ..usual.clone() }.check(2).is_ok());
        assert!(Schedule { draft: 0, ..usual.clone() }.check(2).is_ok());
        for schedule in [
            Schedule { draft: 0, revise: none, ..usual.clone() },
            Schedule { draft: MOST_PARTS + 1, ..usual.clone() },
            Schedule { revise: Rounds { rounds: MOST_ROUNDS + 1, parts: 1 }, ..usual.clone() },
            Schedule { revise: Rounds { rounds: 1, parts: 0 }, ..usual },
        ] {
            assert!(schedule.check(2).is_err(), "{schedule:?}");
        }
    }
}
