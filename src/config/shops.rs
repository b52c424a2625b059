//! The shops that are served, each as its own table stands on the defaults, with the channel accounts it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::{Table, Value};

use crate::channel::account::Account;
use crate::channel::settings;
use crate::outbound::facts::FactsConfig;
use crate::reply::policy::{ChannelPolicy, Delivery, ShopPolicy};

/// The shops that are served.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shops {
    defaults: Shop,
    named: BTreeMap<String, Shop>,
}

/// A shop as configured.
#[derive(Debug, Clone, PartialEq, Default)]
struct Shop {
    policy: Arc<ShopPolicy>,
    facts: Option<FactsConfig>,
}

impl Shops {
    /// Where named shops' own systems answer.
    pub fn facts(&self) -> impl Iterator<Item = (&str, &FactsConfig)> {
        self.named.iter().filter_map(|(name, shop)| Some((name.as_str(), shop.facts.as_ref()?)))
    }

    /// Where the systems of all other shops answer.
    #[must_use]
    pub fn default_facts(&self) -> Option<&FactsConfig> {
        self.defaults.facts.as_ref()
    }

    /// Shops from the tables of the file, each on top of the defaults.
    ///
    /// # Errors
    /// What is wrong, and in which table.
    pub(super) fn read(defaults: Table, named: BTreeMap<String, Table>) -> Result<Self, String> {
        let mut shops = Self::default();
        for (name, table) in named {
            let merged = merge(defaults.clone(), table);
            let read = shop(merged).map_err(|what| format!("[shops.{name}]: {what}"))?;
            shops.named.insert(name, read);
        }
        shops.defaults = shop(defaults).map_err(|what| format!("[defaults]: {what}"))?;
        Ok(shops)
    }

    /// Has a channel account served as its platform wants it.
    ///
    /// # Errors
    /// When its shop is unknown, or its replies are configured elsewhere.
    pub(super) fn serve(&mut self, account: &Account) -> Result<(), String> {
        let (name, shop) = (account.name.as_str(), account.shop.as_str());
        let unknown = || format!("[[channels]] `{name}`: unknown shop `{shop}`: configure [shops.{shop}]");
        let served = match self.named.is_empty() {
            true => &mut self.defaults,
            false => self.named.get_mut(shop).ok_or_else(unknown)?,
        };
        let replies = if account.channel().answers_in_response() { Delivery::Response } else { Delivery::Push };
        let policy = ChannelPolicy { replies, debounce_ms: account.debounce_ms };
        match Arc::make_mut(&mut served.policy).channels.insert(name.to_owned(), policy) {
            None => Ok(()),
            Some(_) => Err(format!(
                "channel account `{name}`: its platform tells how replies go out; take it out of `channels` of the shop"
            )),
        }
    }

    /// Whether any shop is served.
    pub(super) fn are_any(&self) -> bool {
        self.named.is_empty()
    }

    /// The shops that are served, by name; the defaults, under no name, where any shop is.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &ShopPolicy)> {
        let any = self.named.is_empty().then_some(("", &*self.defaults.policy));
        any.into_iter().chain(self.named.iter().map(|(name, shop)| (name.as_str(), &*shop.policy)))
    }

    /// The policy of a shop that may not be configured any more: what was promised to its customers is still kept.
    #[must_use]
    pub fn policy_or_default(&self, shop: &str) -> &Arc<ShopPolicy> {
        &self.named.get(shop).unwrap_or(&self.defaults).policy
    }

    /// The policy of a shop. When the configuration names no shop, every shop has the defaults; when it names one, the
    /// others are unknown.
    #[must_use]
    pub fn policy(&self, shop: &str) -> Option<&Arc<ShopPolicy>> {
        let shop = if self.named.is_empty() { Some(&self.defaults) } else { self.named.get(shop) };
        shop.map(|shop| &shop.policy)
    }
}

fn shop(mut table: Table) -> Result<Shop, String> {
    let facts = table.remove("facts").map(FactsConfig::deserialize).transpose();
    let facts = facts.map_err(|error| format!("facts: {}", settings::fault(&error)))?;
    let policy = ShopPolicy::deserialize(Value::Table(table)).map_err(|error| settings::fault(&error))?;
    if !policy.thresholds.are_confidences() {
        return Err("thresholds are confidences: write values from 0 to 1".to_owned());
    }
    Ok(Shop { policy: Arc::new(policy), facts })
}

/// `over` on top of `base`, tables joined key by key.
fn merge(mut base: Table, over: Table) -> Table {
    for (key, value) in over {
        let joined = match (base.remove(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => Value::Table(merge(below, above)),
            (_, value) => value,
        };
        base.insert(key, joined);
    }
    base
}
