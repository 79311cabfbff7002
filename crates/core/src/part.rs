//! Shares of a job, for several processes that each do one.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ranks::Ranks;

/// A share of a job's pictures: those whose number modulo the number of shares is its index. As text: `0/4`
/// is the first of four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Part {
    index: u32,
    count: u32,
}

impl Part {
    /// The only share: all pictures.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The share of a rank of `world`.
    pub fn of(world: &dyn Ranks) -> Self {
        Self { index: world.rank() as u32, count: world.size() as u32 }
    }

    /// Its number among the shares, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// The number of shares.
    pub fn count(self) -> u32 {
        self.count
    }

    /// True if picture `number` is in it.
    pub fn has(self, number: u32) -> bool {
        number % self.count == self.index
    }
}

impl Display for Part {
    fn fmt(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            _ => Err(format!(
                "expected I/N with I from 0 to N - 1, such as 0/4 for the first of four, found {text}"
            )),
        }
    }
}

impl TryFrom<String> for Part {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        part.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_picture_is_in_one_part() {
        let parts = ["0/3", "1/3", "2/3"].map(|text| text.parse::<Part>().unwrap());
        for number in [0, 1, 2, 3, 100, u32::MAX] {
            let having: Vec<u32> =
                parts.iter().filter(|part| part.has(number)).map(|part| part.index()).collect();
            assert_eq!(having, [number % 3]);
        }
        assert!((0..9).all(|number| Part::WHOLE.has(number)));
    }

    #[test]
    fn a_part_is_written_as_it_is_read() {
        let text = serde_json::to_string(&"3/8".parse::<Part>().unwrap()).unwrap();
        assert_eq!(text, r#""3/8""#);
        assert_eq!(serde_json::from_str::<Part>(&text).unwrap().to_string(), "3/8");
        for wrong in ["", "1", "2/2", "0/0", "-1/2", "1/2/3", "a/b"] {
            assert!(wrong.parse::<Part>().unwrap_err().ends_with(&format!("found {wrong}")));
        }
    }
}
