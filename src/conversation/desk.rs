//! Who answers at a shop right now: agents with their presence, capacity and load, and the queue before them. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::faq::Audience;
use crate::faq::script::AgentsState;

/// What an agent says of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Takes conversations.
    Online,
    /// Is there, and takes no more.
    Busy,
    /// Is not there.
    Away,
}

/// Most conversations that an agent can hold.
pub const MOST_CAPACITY: u32 = 1_000;

/// An agent 客服 of one shop; always a human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Shop.
    pub shop: String,
    /// Unique in the shop: 工号.
    pub id: String,
    /// What the agent says.
    pub presence: Presence,
    /// Conversations that the agent can hold at once.
    pub capacity: u32,
    /// Desks that the agent sits at; empty means all.
    pub audiences: Vec<Audience>,
    /// When the agent last said so.
    pub updated_at: Timestamp,
}

/// An agent and the conversations the agent holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seat {
    /// Who.
    #[serde(flatten)]
    pub agent: Agent,
    /// Conversations held.
    pub load: u32,
}

impl Seat {
    fn serves(&self, audience: Option<Audience>) -> bool {
        audience.is_none_or(|audience| self.agent.audiences.is_empty() || self.agent.audiences.contains(&audience))
    }

    /// Conversations that could be taken now.
    #[must_use]
    pub fn room(&self) -> u32 {
        match self.agent.presence {
            Presence::Online => self.agent.capacity.saturating_sub(self.load),
            Presence::Busy | Presence::Away => 0,
        }
    }
}

/// A customer in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Since when.
    pub since: Timestamp,
    /// For which desk.
    pub audience: Option<Audience>,
}

/// One shop's desk. Without agents the shop does not tell us who is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desk {
    /// Its agents.
    pub seats: Vec<Seat>,
    /// Its queue, longest wait first.
    pub queue: Vec<Waiting>,
}

/// Place in the queue and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub position: u32,
    /// Expected wait.
    pub minutes: u32,
}

/// How a shop's agents work through the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handling {
    /// What one customer takes.
    pub minutes: u32,
    /// Agents of one desk help out at another.
    pub overflow: bool,
}

/// One desk of a shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Which.
    pub audience: Audience,
    /// As a message would find it; none when no agent is known.
    pub state: Option<AgentsState>,
    /// Agents who are there, some of them perhaps at other desks too.
    pub agents: u32,
    /// Conversations that they hold, of whatever desk.
    pub load: u32,
    /// Conversations that they could take now.
    pub room: u32,
    /// Customers who wait for it.
    pub queued: u32,
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Desk {
    /// Whether a human can answer a customer of this desk now; `None` when the shop's agents are not known here.
    /// `on_duty` tells whose roster holds now. With `overflow`, agents of other desks help out.
    #[must_use]
    pub fn state(
        &self,
        audience: Option<Audience>,
        overflow: bool,
        on_duty: &dyn Fn(&str) -> bool,
    ) -> Option<AgentsState> {
        if self.seats.is_empty() {
            return None;
        }
        let there: Vec<&Seat> = self.there(on_duty).collect();
        if there.is_empty() {
            return Some(AgentsState::OffHours);
        }
        let own = there.iter().any(|seat| seat.serves(audience) && seat.room() > 0);
        let others = overflow && there.iter().any(|seat| seat.room() > 0);
        Some(if own || others { AgentsState::Free } else { AgentsState::Busy })
    }

    /// The place of a customer who has queued since `since`, and the wait: each customer before them, and they
    /// themselves, take `handling_minutes` of one of the agents who are there. With `overflow` all desks are one queue, for
    /// whoever has room takes whoever waits longest.
    #[must_use]
    pub fn place(
        &self,
        audience: Option<Audience>,
        since: Timestamp,
        handling: Handling,
        on_duty: &dyn Fn(&str) -> bool,
    ) -> Place {
        let Handling { minutes, overflow } = handling;
        let same = |other: &&Waiting| overflow || other.audience == audience;
        let position = number(self.queue.iter().filter(same).filter(|other| other.since < since).count());
        let position = position.saturating_add(1);
        let agents = number(self.there(on_duty).filter(|seat| overflow || seat.serves(audience)).count()).max(1);
        Place { position, minutes: position.saturating_mul(minutes).div_ceil(agents) }
    }

    /// One desk's agents who are there, what they hold, and who waits for it.
    #[must_use]
    pub fn share(&self, audience: Audience, overflow: bool, on_duty: &dyn Fn(&str) -> bool) -> Share {
        let own: Vec<&Seat> = self.there(on_duty).filter(|seat| seat.serves(Some(audience))).collect();
        Share {
            audience,
            state: self.state(Some(audience), overflow, on_duty),
            agents: number(own.len()),
            load: own.iter().map(|seat| seat.load).sum(),
            room: own.iter().map(|seat| seat.room()).sum(),
            queued: number(self.queue.iter().filter(|waiting| waiting.audience == Some(audience)).count()),
        }
    }

    fn there<'a>(&'a self, on_duty: &'a dyn Fn(&str) -> bool) -> impl Iterator<Item = &'a Seat> {
        self.seats.iter().filter(move |seat| seat.agent.presence != Presence::Away && on_duty(&seat.agent.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(id: &str, presence: Presence, capacity: u32, load: u32, audiences: &[Audience]) -> Seat {
        let (shop, updated_at) = ("demo".to_owned(), Timestamp::UNIX_EPOCH);
        let agent = Agent { shop, id: id.to_owned(), presence, capacity, audiences: audiences.to_vec(), updated_at };
        Seat { agent, load }
    }

    fn desk(seats: &[Seat]) -> Desk {
        Desk { seats: seats.to_vec(), queue: Vec::new() }
    }

    const PRE: Option<Audience> = Some(Audience::PreSale);

    #[test]
    fn the_state_follows_presence_capacity_and_overflow() {
        let free = seat("a", Presence::Online, 2, 1, &[Audience::PreSale]);
        let full = seat("b", Presence::Online, 2, 2, &[Audience::PreSale]);
        let busy = seat("c", Presence::Busy, 9, 0, &[]);
        let away = seat("d", Presence::Away, 9, 0, &[]);
        let other = seat("e", Presence::Online, 1, 0, &[Audience::AfterSale]);
        for (seats, overflow, state) in [
            (vec![], true, None),
            (vec![free.clone()], false, Some(AgentsState::Free)),
            (vec![full.clone()], false, Some(AgentsState::Busy)),
            (vec![busy], false, Some(AgentsState::Busy)),
            (vec![away.clone()], false, Some(AgentsState::OffHours)),
            (vec![full.clone(), other.clone()], false, Some(AgentsState::Busy)),
            (vec![full, other], true, Some(AgentsState::Free)),
            (vec![away, free], true, Some(AgentsState::Free)),
        ] {
            assert_eq!(desk(&seats).state(PRE, overflow, &|_| true), state, "{seats:?}");
        }
        let off_duty = desk(&[seat("a", Presence::Online, 2, 0, &[])]);
        assert_eq!(off_duty.state(PRE, true, &|_| false), Some(AgentsState::OffHours));
    }

    #[test]
    fn the_place_counts_those_who_wait_longer_for_the_same_desk() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let waiting = |second, audience| Waiting { since: at(second), audience };
        let queue = vec![waiting(1, PRE), waiting(2, Some(Audience::AfterSale)), waiting(3, PRE), waiting(7, PRE)];
        let seats = vec![seat("a", Presence::Online, 1, 1, &[]), seat("b", Presence::Online, 1, 1, &[])];
        let helper = seat("c", Presence::Busy, 1, 1, &[Audience::AfterSale]);
        let desk = Desk { seats: [seats, vec![helper]].concat(), queue };
        let place = |overflow| desk.place(PRE, at(7), Handling { minutes: 3, overflow }, &|_| true);
        assert_eq!(place(false), Place { position: 3, minutes: 5 }, "two agents");
        assert_eq!(place(true), Place { position: 4, minutes: 4 }, "one queue, and three agents");
    }

    #[test]
    fn a_desk_s_share_counts_its_own_agents_and_who_waits_for_it() {
        let waiting = |audience| Waiting { since: Timestamp::UNIX_EPOCH, audience };
        let seats = vec![
            seat("a", Presence::Online, 3, 1, &[Audience::PreSale]),
            seat("b", Presence::Busy, 5, 4, &[]),
            seat("c", Presence::Away, 5, 2, &[Audience::PreSale]),
            seat("d", Presence::Online, 2, 0, &[Audience::AfterSale]),
        ];
        let desk = Desk { seats, queue: vec![waiting(PRE), waiting(Some(Audience::AfterSale)), waiting(PRE)] };
        let share = desk.share(Audience::PreSale, false, &|_| true);
        let state = Some(AgentsState::Free);
        assert_eq!(share, Share { audience: Audience::PreSale, state, agents: 2, load: 5, room: 2, queued: 2 });
        assert_eq!(desk.share(Audience::PreSale, false, &|id| id == "b").state, Some(AgentsState::Busy));
    }
}
