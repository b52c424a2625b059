//! Two nodes on one database: each message is decided once, and what one leaves undone the other does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::node::{Caller, Home, within};
use super::receiver::Receiver;
use super::traffic::{Ledger, Posted, at_once, audit, config, everything_acknowledged_is_there, message_to, settled};
use crate::postgres::database_url;
use crate::stand_in::Answer as Reply;

async fn two_homes(receiver: &Receiver) -> [Home; 2] {
    let url = database_url().await;
    [&url; 2].map(|url| Home::postgres(url).with_config(&config(receiver)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_round_robin_each_message_is_decided_once_and_in_order() {
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let homes = two_homes(&receiver).await;
    let nodes = homes.each_ref().map(Home::start);
    let callers = nodes.each_ref().map(super::node::Node::caller);
    let mut ledger = Ledger::default();
    for number in 0..6 {
        let event = message_to("robin", number, "什么时候发货");
        let answers = at_once(callers.iter().cycle().take(50).cloned(), &event).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert!(
            answers.iter().all(|answer| answer.status == 200),
            "{:?}",
            answers.iter().map(|a| a.status).collect::<Vec<_>>()
        );
        assert_eq!(answers.iter().map(|answer| &answer.body).collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(answers.iter().filter(|answer| !answer.is_duplicate()).count(), 1);
        ledger.take(vec![Posted { event, acknowledged: Some(answers[0].body.clone()) }]);
    }
    let senders: Vec<_> = (0..6).map(|sender| tokio::spawn(write_by_turns(callers.clone(), sender))).collect();
    for sender in senders {
        ledger.take(sender.await.unwrap());
    }
    settled(20, &callers[0], &receiver, &ledger).await;
    everything_acknowledged_is_there(&callers[1], &ledger).await;
}

/// Forty messages of one sender by turns through both nodes, into conversations that others write into as well.
async fn write_by_turns(callers: [Caller; 2], sender: u64) -> Vec<Posted> {
    let (mut posted, mut seqs) = (Vec::new(), Vec::new());
    for turn in 0..40 {
        let event = message_to("robin", turn % 4, &format!("{sender} {turn} 会员日是哪天"));
        let answer = callers[usize::try_from(turn % 2).unwrap()].post(&event).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        seqs.push(event["message_id"].as_str().unwrap().to_owned());
        posted.push(Posted { event, acknowledged: Some(answer.body) });
    }
    for conversation in 0..4 {
        let channel = if conversation % 2 == 0 { "web" } else { "push" };
        let events = callers[0].events(channel, &format!("robin-{conversation}")).await;
        let mine: Vec<&str> = events.iter().filter_map(|event| event["event"]["message_id"].as_str()).collect();
        let mine: Vec<&str> = mine.into_iter().filter(|id| seqs.iter().any(|known| known == id)).collect();
        let wanted: Vec<&String> = seqs.iter().skip(conversation).step_by(4).collect();
        assert_eq!(mine, wanted, "in the order in which they were posted");
    }
    posted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_node_leaves_undone_the_other_does_within_ten_seconds() {
    // The first attempts are never answered: the node dies while it waits.
    let receiver = Receiver::start(|attempt| if attempt < 3 { Reply::Hangs } else { Reply::ok() }).await;
    let homes = two_homes(&receiver).await;
    let mut first = homes[0].start();
    let (caller, mut ledger) = (first.caller(), Ledger::default());
    for number in 0..3 {
        let event = message_to("left", 2 * number + 1, "什么时候发货");
        let answer = caller.post(&event).await.unwrap();
        ledger.take(vec![Posted { event, acknowledged: Some(answer.body) }]);
    }
    within(5, async || match receiver.attempts().len() {
        3.. => Ok(()),
        count => Err(format!("{count} attempts")),
    })
    .await;
    let second = homes[1].start();
    // Timers that nobody has fired yet, and no push for them.
    for number in 0..20 {
        let event = message_to("late", 2 * number + 1, "会员日是哪天");
        let answer = caller.post(&event).await.unwrap();
        ledger.take(vec![Posted { event, acknowledged: Some(answer.body) }]);
    }
    first.kill();
    let killed = Instant::now();
    within(20, async || audit(&second.caller(), &receiver, &ledger).await).await;
    let took = killed.elapsed();
    println!("taken over after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    everything_acknowledged_is_there(&second.caller(), &ledger).await;
}
