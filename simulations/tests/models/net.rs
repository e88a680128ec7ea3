use crate::{PLAIN, bare, network, secs};
use core::time::Duration;
use starling_protocol::Time;
use starling_sim::engine::Streams;
use starling_sim::net::latency::Table;
use starling_sim::net::partition::{Group, Window};
use starling_sim::net::{
    Disk, Knobs, Mix, Nat, Network, Packet, PacketKind, Place, Reach, Tier, places,
};

fn packet(from: u32, to: u32, bytes: u32, kind: PacketKind) -> Packet {
    Packet {
        from,
        to,
        bytes,
        kind,
    }
}

fn control(from: u32, to: u32) -> Packet {
    packet(from, to, 200, PacketKind::Control)
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

#[test]
fn packets_between_regions_take_the_tables_median_and_90th_percentile() {
    let table = Table::aws();
    assert_eq!(table.regions().len(), 33);
    assert_eq!(table.regions()[usize::from(PLAIN.region)], "us-east-1");
    let pairs = [
        ("us-east-1", "us-west-2"),
        ("eu-central-1", "ap-northeast-1"),
        ("sa-east-1", "af-south-1"),
        ("ca-west-1", "ca-west-1"),
        ("ap-northeast-3", "ap-northeast-3"),
        ("eu-west-3", "ap-east-2"),
    ];
    for (from, to) in pairs {
        let region = |name| table.region(name).expect("in the table");
        let (from, to) = (region(from), region(to));
        let at = |region| Place { region, ..PLAIN };
        let mut net = network(&bare(), &[at(from), at(to)]);
        let sample = |_| ms(net.send(Time(0), &control(0, 1)).expect("nothing is lost"));
        let mut sample: Vec<_> = (0..20_000).map(sample).collect();
        sample.sort_by(f64::total_cmp);
        let truth = table.round_trip(from, to);
        for (share, round_trip) in [(0.5, truth.p50_ms), (0.9, truth.p90_ms)] {
            let measured = 2.0 * sample[(share * sample.len() as f64) as usize];
            let off = (measured - round_trip).abs() / round_trip;
            assert!(off < 0.03, "{from} to {to}: {measured} for {round_trip}");
        }
    }
}

#[test]
fn every_pair_of_the_table_has_a_tail_that_the_shifted_exponential_can_meet() {
    let table = Table::aws();
    for from in 0..33 {
        for to in 0..33 {
            let pair = table.round_trip(from, to);
            assert!(0.0 < pair.p50_ms && pair.p50_ms <= pair.p90_ms);
            assert!(pair.p50_ms > (pair.p90_ms - pair.p50_ms) * (2_f64.ln() / 5_f64.ln()));
        }
    }
}

#[test]
fn a_link_sends_one_after_another_and_the_slower_end_decides() {
    let knobs = Knobs {
        one_way_ms: Some(20.0),
        limit_bandwidth: true,
        ..bare()
    };
    let at = |tier| Place { tier, ..PLAIN };
    let swarm = [at(Tier::Home), at(Tier::Ultra), at(Tier::Ultra)];
    // 1 MB at 10 Mbit/s up: 800 ms.
    let mut net = network(&knobs, &swarm);
    let blob = packet(0, 1, 1_000_000, PacketKind::Blob);
    let mut send = |now, packet: &Packet| ms(net.send(now, packet).expect("nothing is lost"));
    assert_eq!(send(Time(0), &blob), 820.0);
    assert_eq!(send(Time(0), &blob), 1_620.0);
    // What is small does not wait for blobs; the next blob waits for both.
    let small = packet(0, 2, 12_500, PacketKind::Gossip);
    assert_eq!(send(Time(0), &small), 30.0);
    assert_eq!(send(Time(1_000_000), &blob), 1_430.0);
    // An idle link has forgotten.
    assert_eq!(send(secs(60), &blob), 820.0);

    // 1 MB at 50 Mbit/s down: 160 ms, from two fast senders at once.
    let mut net = network(&knobs, &swarm);
    let mut send = |from, at| {
        let blob = packet(from, 0, 1_000_000, PacketKind::Blob);
        ms(net.send(secs(at), &blob).expect("nothing is lost"))
    };
    let (first, second) = (send(1, 0), send(2, 0));
    assert!((first - 180.0).abs() < 0.1, "{first}");
    assert!((second - 340.0).abs() < 0.1, "{second}");
    assert!((send(1, 9) - 180.0).abs() < 0.1);
}

#[test]
fn a_transfer_is_a_request_and_its_bytes_at_the_slower_rate() {
    let knobs = Knobs {
        one_way_ms: Some(20.0),
        limit_bandwidth: true,
        ..bare()
    };
    let at = |tier| Place { tier, ..PLAIN };
    let mut net = network(&knobs, &[at(Tier::Low), at(Tier::Home)]);
    // 100 MB at 50 Mbit/s down, though 75 up: 16 s.
    let takes = ms(net.transfer(Time(0), 0, 1, 100_000_000).expect("direct"));
    assert!((takes - 16_040.0).abs() < 1.0, "{takes}");
    // 10 GB in parts of a GiB, at 10 Mbit/s up.
    let takes = ms(net
        .transfer(secs(100), 1, 0, 10_000_000_000)
        .expect("direct"));
    assert!((takes / 8_000_040.0 - 1.0).abs() < 1e-3, "{takes}");
}

#[test]
fn what_arrives_out_of_order_does_not_hold_an_idle_downlink() {
    // A far sender's packet is asked for first, but the near one's arrives first.
    let table = Table::aws();
    let at = |name| Place {
        region: table.region(name).expect("in the table"),
        tier: Tier::Low,
        ..PLAIN
    };
    let swarm = [at("us-east-1"), at("af-south-1"), at("us-east-1")];
    let knobs = Knobs {
        limit_bandwidth: true,
        ..bare()
    };
    let mut net = network(&knobs, &swarm);
    let far = ms(net.send(Time(0), &control(1, 0)).expect("arrives"));
    let near = ms(net.send(Time(0), &control(2, 0)).expect("arrives"));
    assert!(far > 100.0 && near < 20.0, "{far} {near}");
}

#[test]
fn a_downlink_takes_no_more_than_its_rate_from_near_and_far() {
    let table = Table::aws();
    let at = |name, tier| Place {
        region: table.region(name).expect("in the table"),
        tier,
        ..PLAIN
    };
    let swarm = [
        at("us-east-1", Tier::Home),
        at("us-east-1", Tier::Ultra),
        at("af-south-1", Tier::Ultra),
    ];
    let knobs = Knobs {
        limit_bandwidth: true,
        ..bare()
    };
    let mut net = network(&knobs, &swarm);
    // Twenty times 160 ms at once, half of it from over 100 ms further away.
    let arrive = |i: u32| {
        let blob = packet(1 + i % 2, 0, 1_000_000, PacketKind::Blob);
        ms(net.send(Time(0), &blob).expect("nothing is lost"))
    };
    let last = (0..20).map(arrive).fold(0.0, f64::max);
    assert!((3_200.0..3_400.0).contains(&last), "{last}");
}

#[test]
fn kademlias_requests_are_sent_again_when_they_are_lost() {
    let knobs = Knobs {
        loss_share: 0.2,
        one_way_ms: Some(20.0),
        ..bare()
    };
    let mut net = network(&knobs, &[PLAIN; 2]);
    let rtts: Vec<_> = (0..10_000)
        .map(|_| ms(net.rtt(Time(0), 0, 1).expect("reliable")))
        .collect();
    let share =
        |rtt: f64| rtts.iter().filter(|r| (**r - rtt).abs() < 0.5).count() as f64 / 10_000.0;
    let (none, once, twice) = (share(40.0), share(1_039.0), share(2_038.0));
    assert!((none - 0.64).abs() < 0.02, "{none}");
    assert!((none + once + twice - 1.0).abs() < 1e-9 && twice > 0.03);
}

#[test]
fn losses_come_at_their_rate_and_leave_latencies_alone() {
    let lossy = Knobs {
        loss_share: 0.25,
        ..bare()
    };
    let (mut without, mut with) = (network(&bare(), &[PLAIN; 2]), network(&lossy, &[PLAIN; 2]));
    let mut lost = 0;
    for _ in 0..20_000 {
        let (a, b) = (
            without.send(Time(0), &control(0, 1)),
            with.send(Time(0), &control(0, 1)),
        );
        assert!(b.is_none() || a == b);
        lost += u32::from(b.is_none());
    }
    assert!((4_800..5_200).contains(&lost), "{lost} of 20000");
    assert_eq!(with.counters().lost, u64::from(lost));
    assert_eq!(without.counters().lost, 0);
}

#[test]
fn bursts_lose_neighbours_together() {
    let knobs = Knobs {
        burst_loss_share: 1.0,
        burst_s: 1.0,
        burst_every_s: 19.0,
        ..bare()
    };
    let mut net = network(&knobs, &[PLAIN; 2]);
    // A packet every 10 ms for 20,000 s: two links, each bad for 1 s in 20.
    let lost: Vec<_> = (0..2_000_000)
        .map(|i| net.send(Time(i * 10_000), &control(0, 1)).is_none())
        .collect();
    let share = lost.iter().filter(|l| **l).count() as f64 / lost.len() as f64;
    assert!((share - (1.0 - 0.95 * 0.95)).abs() < 0.01, "{share}");
    let both = lost.windows(2).filter(|w| w[0] && w[1]).count() as f64 / lost.len() as f64;
    assert!(both / share > 0.95, "{both} of {share} follow each other");
}

#[test]
fn a_partition_stops_one_direction_for_its_time() {
    let window = Window {
        a: Group::Peers(0, 1),
        b: Group::Others,
        start_s: 10.0,
        end_s: 20.0,
        both_ways: false,
    };
    let knobs = Knobs {
        partitions: vec![window.clone()],
        ..bare()
    };
    let mut net = network(&knobs, &[PLAIN; 4]);
    let mut arrives = |s, from, to| net.send(secs(s), &control(from, to)).is_some();
    assert!(arrives(9, 0, 2));
    assert!(!arrives(10, 0, 2) && !arrives(19, 1, 3));
    assert!(arrives(15, 2, 0) && arrives(15, 0, 1) && arrives(15, 2, 3));
    assert!(arrives(20, 0, 2));
    // Instants need not ascend.
    assert!(!arrives(12, 0, 2));
    assert_eq!(net.reaches(secs(12), 0, 2), Reach::No);
    assert_eq!(net.reaches(secs(12), 2, 0), Reach::Direct);
    assert_eq!(net.counters().partitioned, 3);
    assert!(net.transfer(secs(12), 0, 2, 1).is_none() && net.rtt(secs(12), 2, 0).is_none());

    let both_ways = true;
    let knobs = Knobs {
        partitions: vec![Window {
            both_ways,
            ..window
        }],
        ..bare()
    };
    let mut net = network(&knobs, &[PLAIN; 4]);
    assert!(net.send(secs(15), &control(2, 0)).is_none());
}

#[test]
fn seven_tenths_of_natted_pairs_get_through_and_the_rest_take_a_detour() {
    let nat = |nat| Place { nat, ..PLAIN };
    let mut swarm = vec![nat(Nat::Punchable); 200];
    swarm.push(nat(Nat::Public));
    swarm.extend([nat(Nat::Symmetric); 12]);
    let knobs = Knobs {
        one_way_ms: Some(20.0),
        ..bare()
    };
    let mut net = network(&knobs, &swarm);
    let (mut punched, mut pairs) = (0, 0);
    for a in 0..200 {
        for b in 0..a {
            let reach = net.reaches(Time(0), a, b);
            assert_eq!(reach, net.reaches(secs(9), b, a), "one draw for a pair");
            let takes = ms(net.send(Time(0), &control(a, b)).expect("relays exist"));
            assert_eq!(takes, if reach == Reach::Punched { 20.0 } else { 40.0 });
            punched += u32::from(reach == Reach::Punched);
            pairs += 1;
        }
    }
    let share = f64::from(punched) / f64::from(pairs);
    assert!((share - 0.70).abs() < 0.015, "{share} of {pairs}");
    assert_eq!(net.counters().relayed, u64::from(pairs - punched));
    assert_eq!(net.reaches(Time(0), 3, 200), Reach::Direct);
    for other in 202..213 {
        assert_eq!(net.reaches(Time(0), 201, other), Reach::Relayed);
    }

    let relays = false;
    let mut net = network(&Knobs { relays, ..knobs }, &swarm);
    assert_eq!(net.reaches(Time(0), 201, 202), Reach::No);
    assert!(net.send(Time(0), &control(201, 202)).is_none());
    assert_eq!(net.counters().unreachable, 1);
}

#[test]
fn clocks_and_disks_are_those_of_the_place() {
    let swarm = [
        Place {
            skew_ms: -1_500,
            ..PLAIN
        },
        Place {
            disk: Disk::Slow,
            ..PLAIN
        },
    ];
    let mut net = network(&Knobs::default(), &swarm);
    assert_eq!(net.unix_s(0, Time(0), 1_000), 998);
    assert_eq!(net.unix_s(0, secs(2), 1_000), 1_000);
    assert_eq!(net.unix_s(1, secs(2), 1_000), 1_002);
    assert_eq!(net.disk_delay(0), Duration::from_millis(4));
    let slow: Vec<_> = (0..1_000).map(|_| ms(net.disk_delay(1))).collect();
    assert!(slow.iter().all(|t| (50.0..=200.0).contains(t)));
    assert!(slow.iter().any(|t| *t < 60.0) && slow.iter().any(|t| *t > 190.0));
}

#[test]
fn a_population_has_its_shares_and_a_peer_stays_itself_in_a_larger_one() {
    let mix = Mix::default();
    let swarm = places(&mix, 20_000, &Streams::new(4));
    assert_eq!(places(&mix, 100, &Streams::new(4)), swarm[..100]);
    let share = |is: &dyn Fn(&Place) -> bool| {
        swarm.iter().filter(|p| is(p)).count() as f64 / swarm.len() as f64
    };
    let near = |a: f64, b: f64| assert!((a - b).abs() < 0.012, "{a} for {b}");
    near(share(&|p| p.region == PLAIN.region), 0.15);
    near(share(&|p| p.tier == Tier::Home), mix.tiers.home);
    near(share(&|p| p.nat == Nat::Punchable), mix.nats.punchable);
    near(share(&|p| p.disk == Disk::Slow), mix.slow_disk_share);
    near(share(&|p| p.skew_ms > 25), 0.25);
    assert!(swarm.iter().all(|p| p.skew_ms.abs() <= 50));
}

#[test]
fn the_first_knob_out_of_range_is_named() {
    assert_eq!(Knobs::default().fault(), None);
    let fault = |edit: fn(&mut Knobs)| {
        let mut knobs = Knobs::default();
        edit(&mut knobs);
        knobs.check().expect_err("out of range")
    };
    assert_eq!(
        fault(|k| k.loss_share = f64::NAN),
        "network.loss_share should be a share from 0 to 1"
    );
    assert!(fault(|k| k.home_up_mbps = 0.0).contains("home_up_mbps"));
    assert!(fault(|k| k.slow_disk_min_ms = 300.0).contains("slow_disk_max_ms"));
    assert!(fault(|k| k.mix.tiers.low = -1.0).contains("mix.tiers"));
    assert!(fault(|k| k.mix.regions = [("mars".to_owned(), 1.0)].into()).contains("mix.regions"));
    let others = |k: &mut Knobs| {
        k.partitions = vec![Window {
            a: Group::Others,
            b: Group::Others,
            start_s: 0.0,
            end_s: 1.0,
            both_ways: true,
        }];
    };
    assert!(fault(others).contains("partitions"));
    let text = "one_way_ms = 5.0\n[[partitions]]\na = { regions = [\"eu-west-1\"] }\nb = \"everybody\"\n\
                start_s = 1.0\nend_s = 2.0\n[mix.regions]\neu-west-1 = 1.0\n";
    let knobs: Knobs = toml::from_str(text).expect("a scenario's table");
    assert_eq!(knobs.fault(), None);
    assert!(toml::from_str::<Knobs>("loss = 0.1").is_err());
    let again: Knobs = toml::from_str(&toml::to_string(&knobs).expect("TOML")).expect("its own");
    assert_eq!(again, knobs);
}

#[test]
fn the_same_seed_gives_the_same_network() {
    let trace = |seed| {
        let streams = Streams::new(seed);
        let swarm = places(&Mix::default(), 50, &streams);
        let mut net = Network::new(&Knobs::default(), swarm, &streams);
        let send = |i: u32| {
            net.send(
                Time(u64::from(i) * 100),
                &control(i * 7 % 50, (i * 7 + i % 49 + 1) % 50),
            )
        };
        (0..1_000).map(send).collect::<Vec<_>>()
    };
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5), trace(6));
}
