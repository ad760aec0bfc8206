//! The core against a naive model: a list of all who wait, searched from the front.

use coutil_channel::core::{ChannelId, Endpoint, PartyId, Rendezvous};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Somebody comes to a channel.
    Come(usize, Endpoint),
    /// One of those who wait gives up.
    Leave(usize),
    /// A channel is closed, and opened anew.
    Renew(usize),
    /// An id that is out of date is used.
    Stale(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let endpoint = prop_oneof![Just(Endpoint::In), Just(Endpoint::Out), Just(Endpoint::Any)];
    let step = prop_oneof![
        8 => (0..3usize, endpoint).prop_map(|(channel, endpoint)| Step::Come(channel, endpoint)),
        4 => any::<usize>().prop_map(Step::Leave),
        1 => (0..3usize).prop_map(Step::Renew),
        2 => any::<usize>().prop_map(Step::Stale),
    ];
    prop::collection::vec(step, 0..200)
}

/// Whether the two can be matched, by the table of the contract.
fn meets(waiting: Endpoint, arriving: Endpoint) -> bool {
    !matches!((waiting, arriving), (Endpoint::In, Endpoint::In) | (Endpoint::Out, Endpoint::Out))
}

proptest! {
    /// [20 5.8]
    #[test]
    fn as_the_model(steps in steps()) {
        let mut rendezvous = Rendezvous::<u32, usize>::new();
        let mut channels: Vec<ChannelId> = (0..3).map(|number| rendezvous.open(number)).collect();
        let mut model: Vec<(usize, Endpoint, u32, PartyId)> = Vec::new();
        let mut gone: Vec<PartyId> = Vec::new();
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Come(channel, endpoint) => {
                    let first = model.iter().position(|other| other.0 == channel && meets(other.1, endpoint));
                    let met = rendezvous.meet(channels[channel], endpoint);
                    match first {
                        Some(at) => {
                            let (_, _, name, party) = model.remove(at);
                            prop_assert_eq!(met, Some(party));
                            prop_assert!(!rendezvous.is_waiting(party));
                            prop_assert_eq!(rendezvous.leave(party), None);
                            prop_assert_eq!(rendezvous.remove(party), Some(name));
                            gone.push(party);
                        }
                        None => {
                            prop_assert_eq!(met, None);
                            let party = rendezvous.join(channels[channel], endpoint, number);
                            model.push((channel, endpoint, number, party));
                        }
                    }
                }
                Step::Leave(which) if !model.is_empty() => {
                    let (channel, _, name, party) = model.remove(which % model.len());
                    prop_assert_eq!(rendezvous.leave(party), Some(channels[channel]));
                    prop_assert_eq!(rendezvous.remove(party), Some(name));
                    gone.push(party);
                }
                Step::Renew(channel) => {
                    prop_assert_eq!(rendezvous.close(channels[channel]), Some(channel));
                    gone.extend(model.iter().filter(|other| other.0 == channel).map(|other| other.3));
                    model.retain(|other| other.0 != channel);
                    prop_assert_eq!(rendezvous.data(channels[channel]), None);
                    prop_assert_eq!(rendezvous.meet(channels[channel], Endpoint::Any), None);
                    channels[channel] = rendezvous.open(channel);
                }
                Step::Stale(which) if !gone.is_empty() => {
                    let party = gone[which % gone.len()];
                    prop_assert!(!rendezvous.is_waiting(party));
                    prop_assert_eq!(rendezvous.get(party), None);
                    prop_assert_eq!(rendezvous.remove(party), None);
                }
                _ => {}
            }
            for (index, channel) in channels.iter().enumerate() {
                let waiting = model.iter().filter(|other| other.0 == index).count();
                prop_assert_eq!(rendezvous.waiting(*channel), waiting);
            }
            prop_assert_eq!(rendezvous.parties(), model.len());
        }
    }
}

#[test]
#[should_panic(expected = "somebody waits there to be met")]
fn who_could_be_met_is_not_queued_behind() {
    let mut rendezvous = Rendezvous::<()>::new();
    let channel = rendezvous.open(());
    rendezvous.join(channel, Endpoint::In, ());
    rendezvous.join(channel, Endpoint::Any, ());
}
