//! Where and when an entry or a script holds.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Where an entry holds; an empty list means everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// Platforms, such as `taobao`.
    pub platform: Vec<String>,
    /// Shop ids.
    pub shop: Vec<String>,
    /// Product categories.
    pub category: Vec<String>,
    /// Product ids.
    pub product: Vec<String>,
}

/// Where a message was written, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Platform of the shop.
    pub platform: Option<String>,
    /// Shop id.
    pub shop: String,
    /// Category of the product asked about.
    pub category: Option<String>,
    /// Product asked about.
    pub product: Option<String>,
}

impl Scope {
    /// `None` when the scope excludes the place, else how specific it is (platform 1 < shop 2 < category 4 < product 8,
    /// added up): the most specific entry wins.
    #[must_use]
    pub fn specificity(&self, place: &Place) -> Option<u8> {
        let sides = [
            (1, &self.platform, place.platform.as_deref()),
            (2, &self.shop, Some(place.shop.as_str())),
            (4, &self.category, place.category.as_deref()),
            (8, &self.product, place.product.as_deref()),
        ];
        let mut total = 0;
        for (weight, list, value) in sides {
            if list.is_empty() {
                continue;
            }
            if !value.is_some_and(|value| list.iter().any(|known| known == value)) {
                return None;
            }
            total += weight;
        }
        Some(total)
    }
}

/// First and last day, both included, in the shop's time zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validity {
    /// First day.
    pub from: Option<Date>,
    /// Last day.
    pub until: Option<Date>,
}

impl Validity {
    /// Whether `day` is inside.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }
}
