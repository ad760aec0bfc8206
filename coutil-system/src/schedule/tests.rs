//! The order, compared with a naive model of it, which moves names between vectors.

use super::*;
use proptest::prelude::*;

type Name = u32;

/// How an operation is started.
#[derive(Clone, Copy, Debug)]
enum Start {
    Suspend,
    Defer,
    Timer(u64),
    Park,
    /// Only after a try; otherwise as `Park`.
    ParkAgain,
}

/// What the host does between two deliveries. Numbers choose among those that there are.
#[derive(Clone, Copy, Debug)]
enum Action {
    New(Start),
    /// Starts the operation again that is being delivered.
    Again(Start),
    Cancel(usize),
    /// Holds one wherever it stands, as when its source is closed, and ends it or starts it again.
    Take(usize, Option<Start>),
    MakeDue(usize, bool),
    Time(u64),
    /// The delivery ends, and the next one follows.
    Next,
    /// The delivery ends, and a new pass begins although this one has not ended.
    Abandon,
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        4 => Just(Start::Suspend),
        1 => Just(Start::Defer),
        3 => (0..4u64).prop_map(Start::Timer),
        3 => Just(Start::Park),
        1 => Just(Start::ParkAgain),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => start().prop_map(Action::New),
        6 => start().prop_map(Action::Again),
        2 => any::<usize>().prop_map(Action::Cancel),
        2 => (any::<usize>(), prop::option::of(start())).prop_map(|(which, start)| Action::Take(which, start)),
        5 => any::<(usize, bool)>().prop_map(|(which, accept)| Action::MakeDue(which, accept)),
        1 => (0..3u64).prop_map(Action::Time),
        12 => Just(Action::Next),
        1 => Just(Action::Abandon),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Timers,
    Zero,
    Due,
}

/// All names of a list stand in the order in which they are delivered.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    started: u64,
    /// The list that the pass visits, and the one that it fills: there also stands the one that is being delivered.
    visited: Vec<Name>,
    filled: Vec<Name>,
    /// Deadline, and order of the start.
    timers: Vec<(u64, u64, Name)>,
    parked: Vec<(u64, Name)>,
    /// Whether it is no accept, and order of the start.
    due: Vec<(bool, u64, Name)>,
    /// What the pass delivers of those.
    delivered: Vec<(bool, u64, Name)>,
    deferred: Vec<Name>,
    /// The one that is being delivered, and when it was started if it was due.
    held: Option<(Name, Option<u64>)>,
}

impl Model {
    fn leave(&mut self, name: Name) {
        for list in [&mut self.visited, &mut self.filled, &mut self.deferred] {
            list.retain(|other| *other != name);
        }
        self.timers.retain(|(_, _, other)| *other != name);
        self.parked.retain(|(_, other)| *other != name);
        for list in [&mut self.due, &mut self.delivered] {
            list.retain(|(_, _, other)| *other != name);
        }
        if self.held.is_some_and(|(held, _)| held == name) {
            self.held = None;
        }
    }

    fn start(&mut self, name: Name, start: Start) {
        let keeps_place = self.filled.contains(&name);
        let tried = self.held.and_then(|(held, order)| if held == name { order } else { None });
        self.held = None;
        if keeps_place && matches!(start, Start::Suspend) {
            return;
        }
        self.leave(name);
        self.started += 1;
        match start {
            Start::Suspend => self.filled.insert(0, name),
            Start::Defer => self.deferred.push(name),
            Start::Timer(delay) => self.timers.push((self.now + delay.max(1), self.started, name)),
            Start::Park => self.parked.push((self.started, name)),
            Start::ParkAgain => self.parked.push((tried.unwrap_or(self.started), name)),
        }
    }

    fn make_due(&mut self, name: Name, accept: bool) {
        let order = self.parked.iter().find(|(_, other)| *other == name).expect("it is parked").0;
        self.leave(name);
        self.due.push((!accept, order, name));
    }

    fn next(&mut self, phase: Phase) -> Option<Name> {
        let (name, order) = match phase {
            Phase::Timers => {
                self.timers.sort_unstable();
                let (deadline, _, name) = *self.timers.first()?;
                if deadline > self.now {
                    return None;
                }
                self.timers.remove(0);
                (name, None)
            }
            Phase::Zero => {
                if self.visited.is_empty() {
                    return None;
                }
                let name = self.visited.remove(0);
                self.filled.push(name);
                (name, None)
            }
            Phase::Due => {
                if self.delivered.is_empty() {
                    return None;
                }
                let (_, order, name) = self.delivered.remove(0);
                (name, Some(order))
            }
        };
        self.held = Some((name, order));
        Some(name)
    }

    fn begin(&mut self, phase: Phase) {
        match phase {
            Phase::Timers => {}
            Phase::Zero if self.visited.is_empty() => std::mem::swap(&mut self.visited, &mut self.filled),
            Phase::Zero => {}
            Phase::Due => {
                self.delivered.append(&mut self.due);
                self.delivered.sort_unstable();
            }
        }
    }

    fn end(&mut self) {
        for name in std::mem::take(&mut self.deferred) {
            self.filled.insert(0, name);
        }
    }
}

/// Both, side by side.
struct Pair {
    schedule: Schedule<Name>,
    model: Model,
    /// Everything that there is, with its id.
    live: Vec<(Name, OpId)>,
    made: Name,
    phase: Phase,
}

impl Pair {
    fn new() -> Self {
        Self {
            schedule: Schedule::new(),
            model: Model::default(),
            live: Vec::new(),
            made: 0,
            phase: Phase::Timers,
        }
    }

    fn id(&self, name: Name) -> OpId {
        self.live.iter().find(|(other, _)| *other == name).expect("it is alive").1
    }

    fn start(&mut self, name: Name, start: Start) {
        let id = self.id(name);
        let tried = self.model.held.is_some_and(|(_, order)| order.is_some());
        let start = if matches!(start, Start::ParkAgain) && !tried { Start::Park } else { start };
        match start {
            Start::Suspend => self.schedule.suspend(id),
            Start::Defer => self.schedule.defer(id),
            Start::Timer(delay) => self.schedule.set_timer(id, self.schedule.now() + delay),
            Start::Park => self.schedule.park(id),
            Start::ParkAgain => self.schedule.park_again(id),
        }
        assert!(!self.schedule.is_held(id), "{start:?}");
        self.model.start(name, start);
    }

    fn end(&mut self, name: Name) {
        self.model.leave(name);
        self.live.retain(|(other, _)| *other != name);
    }

    /// The host comes back from a delivery.
    fn settle(&mut self) {
        if let Some((name, _)) = self.model.held {
            assert!(self.schedule.release(self.id(name)), "{name} is held");
            self.end(name);
        }
    }

    fn next(&mut self) {
        self.settle();
        for _ in 0..3 {
            let expected = self.model.next(self.phase);
            let id = match self.phase {
                Phase::Timers => self.schedule.next_timer(),
                Phase::Zero => self.schedule.next_zero(),
                Phase::Due => self.schedule.next_due(),
            };
            assert_eq!(id.and_then(|id| self.schedule.waiter(id)).copied(), expected, "{:?}", self.phase);
            if let Some(id) = id {
                assert!(self.schedule.is_held(id));
                return;
            }
            self.phase = match self.phase {
                Phase::Timers => Phase::Zero,
                Phase::Zero => Phase::Due,
                Phase::Due => {
                    self.schedule.end();
                    self.model.end();
                    Phase::Timers
                }
            };
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.model.begin(self.phase);
        match self.phase {
            Phase::Timers => {}
            Phase::Zero => self.schedule.begin_zero(),
            Phase::Due => self.schedule.begin_due(),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::New(start) => {
                let (held, name) = (self.model.held, self.made);
                self.made += 1;
                let id = self.schedule.hold(name);
                self.live.push((name, id));
                // While another one is being delivered.
                let start = if matches!(start, Start::ParkAgain) { Start::Park } else { start };
                self.model.held = None;
                self.start(name, start);
                self.model.held = held;
            }
            Action::Again(start) => {
                if let Some((name, _)) = self.model.held {
                    self.start(name, start);
                }
            }
            Action::Cancel(which) if !self.live.is_empty() => {
                let (name, id) = self.live[which % self.live.len()];
                assert_eq!(self.schedule.remove(id), Some(name));
                assert_eq!(self.schedule.remove(id), None, "its id is out of date");
                self.end(name);
            }
            Action::Take(which, start) if !self.live.is_empty() => {
                let (name, id) = self.live[which % self.live.len()];
                let held = self.model.held.filter(|(held, _)| *held != name);
                self.schedule.take(id);
                self.model.leave(name);
                // It has no place to keep any more.
                self.model.held = None;
                match start {
                    Some(start) => self.start(name, start),
                    None => {
                        assert!(self.schedule.release(id));
                        self.end(name);
                    }
                }
                self.model.held = held;
            }
            Action::MakeDue(which, accept) if !self.model.parked.is_empty() => {
                let (_, name) = self.model.parked[which % self.model.parked.len()];
                self.model.make_due(name, accept);
                self.schedule.make_due(self.id(name), if accept { Class::Accept } else { Class::Other });
            }
            Action::Time(time) => {
                self.model.now += time;
                self.schedule.set_now(self.model.now);
            }
            Action::Next => self.next(),
            Action::Abandon => {
                self.settle();
                self.phase = Phase::Timers;
            }
            _ => {}
        }
        let (schedule, model) = (&self.schedule, &self.model);
        assert_eq!(schedule.len(), self.live.len());
        let waiting = self.live.iter().filter(|(_, id)| !schedule.is_held(*id));
        assert_eq!(schedule.waiting(), waiting.count());
        assert_eq!(schedule.deadline(), model.timers.iter().map(|(deadline, ..)| *deadline).min());
        assert_eq!(schedule.has_zero(), !model.visited.is_empty() || !model.filled.is_empty());
        assert!(schedule.has_due() || model.due.is_empty() && model.delivered.is_empty());
        assert!(schedule.has_deferred() || model.deferred.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// [30 S5] [30 S6] [30 S8] [30 S9] [30 S13] [30 A6]
    #[test]
    fn the_order_is_that_of_the_model(actions in prop::collection::vec(action(), 0..120)) {
        let mut pair = Pair::new();
        for action in actions {
            pair.act(action);
        }
        // All that can be delivered is, in the order of the model.
        for action in [Action::Time(10), Action::Next].into_iter().chain([Action::Next; 200]) {
            pair.act(action);
        }
        prop_assert_eq!(pair.live.len(), pair.model.parked.len(), "only what waits for others is left");
    }
}

#[test]
fn zero_delays_are_newest_first_and_keep_their_places() {
    // [30 S6]
    let mut schedule = Schedule::new();
    for name in ["a", "b", "c"] {
        let id = schedule.hold(name);
        schedule.suspend(id);
    }
    for _ in 0..3 {
        let mut order = String::new();
        schedule.begin_zero();
        while let Some(id) = schedule.next_zero() {
            order += schedule.waiter(id).expect("it is being delivered");
            schedule.suspend(id);
        }
        assert_eq!(order, "cba");
    }
}

#[test]
fn what_is_deferred_again_is_the_newest() {
    // Found by the model: it stood in the list twice, and the first entry counted.
    let mut schedule = Schedule::new();
    let [first, second] = ["first", "second"].map(|name| schedule.hold(name));
    schedule.defer(first);
    schedule.defer(second);
    schedule.take(first);
    schedule.defer(first);
    schedule.end();
    schedule.begin_zero();
    assert_eq!(schedule.next_zero(), Some(first));
    assert_eq!(schedule.next_zero(), Some(second));
}
