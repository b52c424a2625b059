//! Incidents opened, changed, closed and expired; who subscribes is told.

use jiff::Timestamp;
use serde_json::json;

use super::pushes::push;
use super::{Bot, BotError};
use crate::conversation::incident::Incident;
use crate::conversation::outgoing::{Outgoing, PushKind};

impl Bot {
    /// Opens an incident, or changes the one of the same id.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn open_incident(&self, incident: &Incident, now: Timestamp) -> Result<(), BotError> {
        let pushes = self.incident_pushes(incident, "open", now);
        Ok(self.store.put_incident(incident, &pushes, now).await?)
    }

    /// Closes an incident; whether it was open.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn close_incident(&self, id: &str, now: Timestamp) -> Result<bool, BotError> {
        let open = self.store.incidents(false).await?;
        let pushes = match open.iter().find(|incident| incident.id == id) {
            Some(incident) => {
                let closed = Incident { closed_at: Some(now), ..incident.clone() };
                self.incident_pushes(&closed, "closed", now)
            }
            None => Vec::new(),
        };
        Ok(self.store.close_incident(id, &pushes, now).await?)
    }

    /// Closes incidents whose time is over; how many.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn expire_incidents(&self, now: Timestamp) -> Result<usize, BotError> {
        let mut expired = 0;
        for incident in self.store.incidents(false).await? {
            if incident.expires_at.is_some_and(|end| end <= now) && self.close_incident(&incident.id, now).await? {
                tracing::info!(incident = incident.id, "incident expired");
                expired += 1;
            }
        }
        Ok(expired)
    }

    fn incident_pushes(&self, incident: &Incident, state: &str, now: Timestamp) -> Vec<Outgoing> {
        let shops = &incident.scope.shop;
        let touches =
            |name: &[String]| shops.is_empty() || name.is_empty() || name.iter().any(|shop| shops.contains(shop));
        let wanting = self.subscribers.iter().filter(|subscriber| subscriber.events.contains(&PushKind::Incident));
        let data = json!({ "state": state, "incident": incident });
        let about = [&incident.id, state, &now.to_string()];
        let touched = wanting.filter(|subscriber| touches(&subscriber.shops));
        touched.map(|subscriber| push(subscriber, PushKind::Incident, &about, now, &data)).collect()
    }
}
