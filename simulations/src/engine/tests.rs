use super::*;
use heap::Heap;

#[test]
fn events_come_by_time_then_by_order_of_scheduling() {
    let mut engine = Engine::default();
    engine.at(Time(20), 'c');
    engine.at(Time(10), 'a');
    engine.at(Time(10), 'b');
    let mut seen = Vec::new();
    while let Some(event) = engine.next(Time(15)) {
        seen.push((engine.now().0, event));
    }
    assert_eq!(seen, [(10, 'a'), (10, 'b')]);
    assert_eq!(engine.now(), Time(15), "nothing more happens until then");
    // The past cannot be scheduled.
    engine.at(Time(3), 'd');
    assert_eq!((engine.next(Time(30)), engine.now()), (Some('d'), Time(15)));
    assert_eq!(
        (engine.next(Time(30)), engine.next(Time(30))),
        (Some('c'), None)
    );
}

/// The heap keeps sequence numbers, the wheel none: they agree on every order.
#[test]
fn the_wheel_tells_the_same_order_as_a_heap() {
    for seed in 0..50 {
        let mut stream = Streams::new(seed).stream(Purpose::Workload, 0);
        let (mut wheel, mut heap) = (Wheel::default(), Heap::default());
        let (mut now, mut popped) = (0_u64, 0);
        for event in 0..20_000_u32 {
            // Spans of all sizes, many of them equal: up to 2^40 microseconds, some 12 days.
            let bits = stream.below(41);
            let span = if stream.below(4) == 0 {
                0
            } else {
                stream.bits() >> (64 - bits.max(1))
            };
            wheel.push(now + span, event);
            heap.push(now + span, event);
            if stream.below(3) > 0 {
                let until = now + (stream.bits() >> 30);
                let expected = heap.pop(until);
                assert_eq!(wheel.pop(until), expected, "seed {seed}, event {event}");
                popped += u32::from(expected.is_some());
                now = expected.map_or(until, |(at, _)| at);
            }
        }
        while let Some(expected) = heap.pop(u64::MAX) {
            assert_eq!(wheel.pop(u64::MAX), Some(expected), "seed {seed}");
        }
        assert!(wheel.is_empty() && wheel.pop(u64::MAX).is_none());
        assert!(popped > 5_000, "seed {seed}: only {popped} in between");
    }
}

#[test]
fn a_window_shows_what_is_due_within_it() {
    let mut engine = Engine::default();
    let start = 1_000 * wheel::WINDOW;
    for (at, event) in [(0, 'a'), (0, 'b'), (7, 'c'), (255, 'd'), (256, 'e')] {
        engine.at(Time(start + at), event);
    }
    let window = engine.window();
    assert_eq!(engine.in_window().count(), 0, "it is far off");
    assert_eq!(engine.next(Time(u64::MAX)), Some('a'));
    assert_ne!(engine.window(), window);
    assert_eq!(engine.in_window().collect::<String>(), "bcd");
}
