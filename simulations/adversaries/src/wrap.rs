//! The wrapper: an unmodified core inside, and around it one layer per strategy, each of which sees what comes in and
//! what goes out.
//!
//! The first strategy of a list is next to the core: inputs reach it last, outputs first. A layer may change, drop and add
//! in both directions, and may wait for instants of its own. What it gives back to the core is given after the core's
//! outputs of the same call, so that log records keep their order. A layer whose time has not come
//! ([`Strategy::BehaveUntil`]) lets everything pass.

use crate::backend::Lies;
use crate::means::{Means, Shared};
use crate::strategy::{self, Strategy, StrategyError};
use crate::tricks;
use starling_protocol::io::{Event, Input, Output, Outputs};
use starling_protocol::time::Deadline;
use starling_protocol::{Core, Message, PeerKey, Time};
use std::collections::VecDeque;

/// What a layer has in hand while it acts.
pub(crate) struct Hand<'a> {
    pub(crate) now: Time,
    /// Goes out before what the layer lets pass.
    pub(crate) out: &'a mut Vec<Output>,
    /// Goes in before what the layer lets pass.
    pub(crate) back: &'a mut Vec<Input>,
}

impl Hand<'_> {
    pub(crate) fn send(&mut self, to: PeerKey, message: &Message) {
        let bytes = message.to_bytes();
        self.send_bytes(to, bytes);
    }

    pub(crate) fn send_bytes(&mut self, to: PeerKey, bytes: Vec<u8>) {
        self.out.push(Output::Send {
            to,
            bytes,
            after: None,
        });
    }
}

/// One strategy at work around a core.
pub(crate) trait Trick: Send {
    /// What the core shall see instead of `input`.
    fn on_input(&mut self, hand: &mut Hand<'_>, input: Input) -> Option<Input> {
        let _ = hand;
        Some(input)
    }

    /// What the world shall see instead of `output`.
    fn on_output(&mut self, hand: &mut Hand<'_>, output: Output) -> Option<Output> {
        let _ = hand;
        Some(output)
    }

    /// When it wants to act by itself.
    fn due(&self) -> Option<Deadline> {
        None
    }

    /// That instant has come.
    fn on_due(&mut self, hand: &mut Hand<'_>) {
        let _ = hand;
    }

    /// An input passes while its time has not come.
    fn asleep(&mut self, input: &Input) {
        let _ = input;
    }

    /// Its time has come; never called where it acts from the beginning.
    fn on_wake(&mut self, hand: &mut Hand<'_>) {
        let _ = hand;
    }
}

struct Layer {
    trick: Box<dyn Trick>,
    /// Receipts before it begins.
    after: u32,
    awake: bool,
}

/// A core and what is wrapped around it.
pub struct Adversary<C> {
    core: C,
    shared: Shared,
    /// The innermost first.
    layers: Vec<Layer>,
    outputs: Vec<Output>,
}

impl<C: Core> Adversary<C> {
    /// Wraps `strategies` around `core`, the first one next to it.
    ///
    /// # Errors
    /// What [`strategy::check`] says.
    pub fn new(core: C, strategies: &[Strategy], means: &Means) -> Result<Self, StrategyError> {
        strategy::check(strategies)?;
        let mut layers = Vec::new();
        let lies = Lies::new(strategies, means);
        pile(strategies, 0, &lies, means, &mut layers);
        Ok(Self {
            core,
            shared: means.shared.clone(),
            layers,
            outputs: Vec::new(),
        })
    }

    /// The core inside.
    pub fn inner(&self) -> &C {
        &self.core
    }

    /// An input on its way to the core, with the layers `0..depth` still before it.
    fn enter(
        &mut self,
        now: Time,
        depth: usize,
        input: Input,
        back: &mut VecDeque<(usize, Input)>,
    ) {
        let mut inputs = VecDeque::from([(depth, input)]);
        while let Some((depth, input)) = inputs.pop_front() {
            let Some(at) = depth.checked_sub(1) else {
                self.core_takes(now, input, back);
                continue;
            };
            let (mut out, mut fed) = (Vec::new(), Vec::new());
            let mut hand = Hand {
                now,
                out: &mut out,
                back: &mut fed,
            };
            let layer = &mut self.layers[at];
            let passed = if layer.awake {
                layer.trick.on_input(&mut hand, input)
            } else {
                layer.trick.asleep(&input);
                Some(input)
            };
            out.into_iter()
                .for_each(|o| self.leave(now, depth, o, back));
            inputs.extend(fed.into_iter().chain(passed).map(|i| (at, i)));
        }
    }

    fn core_takes(&mut self, now: Time, input: Input, back: &mut VecDeque<(usize, Input)>) {
        if let Input::Message { bytes, .. } = &input
            && let Ok(message) = Message::from_bytes(bytes)
        {
            self.shared.heard(&message);
        }
        let outputs: Vec<_> = self.core.handle(now, input).collect();
        for output in outputs {
            if let Output::Notify(Event::Earned { .. }) = &output {
                self.shared.earn();
            }
            if let Output::Send { bytes, .. } = &output
                && let Ok(message) = Message::from_bytes(bytes)
            {
                self.shared.said(&message);
            }
            self.leave(now, 0, output, back);
        }
    }

    /// An output on its way out, with the layers from `depth` on still before it.
    fn leave(
        &mut self,
        now: Time,
        depth: usize,
        output: Output,
        back: &mut VecDeque<(usize, Input)>,
    ) {
        let mut outputs = VecDeque::from([(depth, output)]);
        while let Some((depth, output)) = outputs.pop_front() {
            let Some(layer) = self.layers.get_mut(depth) else {
                self.outputs.push(output);
                continue;
            };
            if !layer.awake {
                outputs.push_front((depth + 1, output));
                continue;
            }
            let (mut out, mut fed) = (Vec::new(), Vec::new());
            let mut hand = Hand {
                now,
                out: &mut out,
                back: &mut fed,
            };
            let passed = layer.trick.on_output(&mut hand, output);
            out.extend(passed);
            back.extend(fed.into_iter().map(|i| (depth, i)));
            for output in out.into_iter().rev() {
                outputs.push_front((depth + 1, output));
            }
        }
    }

    /// Layers whose time has come, and those whose own instant has.
    fn stir(&mut self, now: Time, back: &mut VecDeque<(usize, Input)>) {
        let earned = self.shared.earned();
        for at in 0..self.layers.len() {
            let (mut out, mut fed) = (Vec::new(), Vec::new());
            let mut hand = Hand {
                now,
                out: &mut out,
                back: &mut fed,
            };
            let layer = &mut self.layers[at];
            if !layer.awake && earned >= layer.after {
                layer.awake = true;
                layer.trick.on_wake(&mut hand);
            }
            if layer.awake && layer.trick.due().is_some_and(|d| d.at <= now) {
                layer.trick.on_due(&mut hand);
            }
            back.extend(fed.into_iter().map(|i| (at, i)));
            out.into_iter()
                .for_each(|o| self.leave(now, at + 1, o, back));
        }
    }
}

impl<C: Core> Core for Adversary<C> {
    fn handle(&mut self, now: Time, input: Input) -> Outputs<'_> {
        // A core must hear `Started` before anything that a layer has for it.
        let mut waiting = VecDeque::new();
        let starts = matches!(input, Input::Started { .. });
        if !starts {
            self.stir(now, &mut waiting);
        }
        waiting.push_back((self.layers.len(), input));
        while let Some((depth, input)) = waiting.pop_front() {
            let mut back = VecDeque::new();
            self.enter(now, depth, input, &mut back);
            waiting.extend(back);
        }
        Outputs::from(&mut self.outputs)
    }

    fn next_deadline(&self) -> Option<Deadline> {
        let layers = self.layers.iter().filter(|l| l.awake);
        layers
            .filter_map(|l| l.trick.due())
            .chain(self.core.next_deadline())
            .min_by_key(|d| d.at)
    }
}

/// Wraps `strategies` around `core`, the first one next to it; without any, the core itself comes back.
///
/// # Errors
/// What [`strategy::check`] says.
pub fn wrap<C: Core + Send + 'static>(
    core: C,
    strategies: &[Strategy],
    means: &Means,
) -> Result<Box<dyn Core + Send>, StrategyError> {
    if strategies.is_empty() {
        return Ok(Box::new(core));
    }
    Ok(Box::new(Adversary::new(core, strategies, means)?))
}

fn pile(strategies: &[Strategy], after: u32, lies: &Lies, means: &Means, layers: &mut Vec<Layer>) {
    for strategy in strategies {
        if let Strategy::BehaveUntil { cv, then } = strategy {
            pile(then, after.max(*cv), lies, means, layers);
        } else if let Some(trick) = tricks::of(strategy, lies, means, layers.len()) {
            let awake = after == 0;
            layers.push(Layer {
                trick,
                after,
                awake,
            });
        }
    }
}
