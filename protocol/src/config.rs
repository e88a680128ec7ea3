//! Every cap and every timer of the protocol, in one place. Strangers fill nothing that has no number here.

use core::time::Duration;

/// Version of the rules, part of every kernel id and manifest.
pub const RULES_VERSION: u16 = 1;

// ---- sizes on the wire, bytes ----

/// A control message.
pub const MESSAGE_MAX: usize = 64 * 1024;
/// A manifest. With signatures and a full roster of 1024 keys it must still fit one control message.
pub const MANIFEST_MAX: usize = 24 * 1024;
/// A kernel's parameters inside the manifest.
pub const PARAMS_MAX: usize = 16 * 1024;
/// A worker's opening.
pub const OPENING_MAX: usize = 16 * 1024;
/// A fraud proof.
pub const FRAUD_PROOF_MAX: usize = 4 * 1024;
/// A receipt.
pub const RECEIPT_MAX: usize = 4 * 1024;
/// A gossiped advert.
pub const ADVERT_MAX: usize = 4 * 1024;
/// A slice's output up to this travels in its message; a longer one is fetched as a blob.
pub const INLINE_MAX: usize = 16 * 1024;
/// One tile of output.
pub const TILE_MAX: u32 = 64 * 1024;
/// A receipt bundle on disk.
pub const BUNDLE_MAX: usize = 16 * 1024 * 1024;
/// A genesis file.
pub const GENESIS_MAX: usize = 4 * 1024;
/// What one side of a connection shows to be let in.
pub const CREDENTIAL_MAX: usize = 4 * 1024;
/// An invitation, before it becomes letters.
pub const INVITATION_MAX: usize = 4 * 1024;

// ---- shapes of jobs ----

/// Peers in a roster.
pub const ROSTER_MAX: usize = 1024;
/// Tiles in a slice: bounds openings and the memory of a commitment.
pub const SLICE_TILES_MAX: u32 = 1024;
/// A slice has at least this many tiles, or is the whole job, unless its requester asks for smaller ones: drawn
/// samples of those are soon all of their tiles.
pub const SLICE_TILES_MIN: u32 = 64;
/// Slices in a job.
pub const SLICES_MAX: u32 = 65_536;
/// A job's deadline lies at most this far ahead, seconds: 30 days.
pub const DEADLINE_MAX_S: u32 = 30 * 24 * 60 * 60;
/// Input blobs of a job.
pub const INPUTS_MAX: usize = 16;
/// Bytes of one input blob: what kernels take.
pub const INPUT_LEN_MAX: u64 = 2 << 30;
/// Stewards of a job.
pub const STEWARDS_MAX: usize = 8;
/// Stewards that a requester appoints beside itself ...
pub const STEWARDS: usize = 3;
/// ... while so many peers are left that can judge a worker: with fewer, one that is silent costs the quorum.
pub const JUDGES_MIN: usize = 4;
/// Jobs whose records a peer keeps, and ids of ended ones beside them.
pub const BOOK_JOBS_MAX: usize = 256;
/// Bytes of messages kept until the record of their job has come, per job: some 200 calls to audit.
pub const PARKED_BYTES_PER_JOB: usize = 256 * 1024;
/// ... and in all.
pub const PARKED_BYTES: usize = 1024 * 1024;

// ---- closed swarms ----

/// Certificates in a list of revocations. With a certificate it must fit [`CREDENTIAL_MAX`].
pub const REVOCATIONS_MAX: usize = 128;
/// Peers that an invitation names.
pub const ENTRANCES_MAX: usize = 4;
/// Invitations that an issuer has open at once.
pub const INVITATIONS_MAX: usize = 64;
/// Members that an issuer keeps, those that are no more included.
pub const MEMBERS_MAX: usize = 1_024;
/// Homes whose certificates a peer remembers to have seen.
pub const MET_MAX: usize = 1_024;

// ---- committee ----

/// Witnesses asked first.
pub const WITNESSES: usize = 3;
/// Witnesses asked at all when some are silent.
pub const WITNESS_RANKS: usize = 10;
/// The least chance of a full audit, in 1/65536: one in twenty.
pub const P_FULL_MIN: u16 = 3_277;
/// Tiles of each slice that a requester computes itself, while others audit it.
pub const RINGERS: usize = 2;
/// Slices of which it does so at one time: its CPU reference may be slow, and the swarm large.
pub const RINGERS_UNDER_WAY: usize = 16;
/// Tiles that a requester recomputes when no quorum comes together.
pub const SELF_CHECK_TILES: u32 = 32;

// ---- limits of one peer ----

/// Slices that a worker leaves without a receipt per requester.
pub const UNRECEIPTED_MAX: usize = 4;
/// Audits that a peer has in flight: those of 16 busy collectors.
pub const AUDITS_MAX: usize = 1_024;
/// Audits in flight that one collector can fill. If all its workers have [`UNRECEIPTED_MAX`] slices audited by 16
/// peers each, every peer has 64 on average; whoever is drawn more often must not seem silent.
pub const AUDITS_PER_COLLECTOR: usize = 256;
/// Witness states kept (locks outlive restarts in the log; this bounds memory).
pub const LOCKS_MAX: usize = 65_536;
/// Witness states that one collector can fill.
pub const LOCKS_PER_COLLECTOR: usize = 8_192;
/// Signatures that a peer remembers to have held: those of the slices that it has to do with at one time.
pub const SIGNATURES_HELD_MAX: usize = 512;
/// Adverts kept.
pub const ADVERTS_MAX: usize = 4_096;
/// Jobs that one requester runs at once.
pub const OWN_JOBS_MAX: usize = 64;
/// A worker leaves a job after so many leases that its device could not fulfil, and a steward stops leasing to one
/// that let so many in a row lapse.
pub const FAILURES_MAX: u32 = 3;
/// False accusers that a collector remembers, one for each job that it heard them in; the oldest go first.
pub const DISCREDITED_MAX: usize = 256;
/// Jobs of others that a peer is a steward of.
pub const STEWARDED_MAX: usize = 64;
/// ... of them, of one requester.
pub const STEWARDED_PER_REQUESTER: usize = 16;
/// ... and how many slices those have together: each costs a steward some 100 bytes of memory.
pub const STEWARDED_SLICES_MAX: u32 = 131_072;
/// ... and how many bytes of inputs and outputs the jobs of one requester may have: what a steward's disk is asked for.
pub const STEWARDED_BYTES_PER_REQUESTER: u64 = 8 << 30;
/// Slices that a steward hands over in a second, of one job: each is a look into the log.
pub const RECALLS_PER_S: u32 = 64;
/// Slices of a job that its steward takes another one's word for that they are leased.
pub const BUSY_MAX: usize = 4_096;
/// Slices of one request that a steward hands over; it asks for [`SETTLING_MAX`] at most itself.
pub const SETTLE_MAX: usize = 16;
/// Slices of a job that a steward asks others for or fetches from them at once.
pub const SETTLING_MAX: usize = 8;
/// So many times a steward did not hand over what it said to have: it is not believed in this job any more.
pub const BROKEN_MAX: u32 = 8;
/// Own jobs that a peer looks for at once, and how often each before it gives up.
pub const SEEKING_MAX: usize = 16;
/// See [`SEEKING_MAX`].
pub const SEEK_TRIES: u32 = 24;
/// Peers that stand accused by fraud proofs that this peer has not recomputed ...
pub const SUSPECTS_MAX: usize = 256;
/// ... how many proofs of each it keeps, and of each accuser.
pub const PROOFS_PER_PEER: usize = 4;
/// Fraud proofs that are known again when they come again.
pub const PROOFS_SEEN_MAX: usize = 1_024;
/// A worker takes no lease under which more tiles could be drawn than this: its opening would be too long to be taken,
/// and it would be blamed. A newcomer's audit has 45 of 15 auditors, which is the most.
pub const AUDITED_TILES_MAX: u32 = 48;
/// Jobs of one requester that a worker considers at once.
pub const WORKER_JOBS_PER_REQUESTER: usize = 16;
/// Jobs that a worker considers at once.
pub const WORKER_JOBS_MAX: usize = 32;

// ---- reputation ----

/// Peers of which something is remembered.
pub const REPUTATION_MAX: usize = 4_096;
/// Classes of kernels remembered of one peer: as many as it can advertise.
pub const REPUTATION_CLASSES_MAX: usize = 16;
/// Whoever has fewer consecutive valid slices is a newcomer.
pub const TRUSTED_CV: u32 = 10;
/// ... as is whoever had them for fewer requesters: one alone could vouch for its own keys.
pub const TRUSTED_REQUESTERS: usize = 3;
/// What was seen of others, but for blame, is logged so often: a crash may take as much. The log is never compacted.
pub const REPUTATION_SAVE: Duration = Duration::from_secs(300);
/// Consecutive valid slices are half as many for every so many seconds without one: a week.
pub const CV_HALVES_S: u64 = 7 * 24 * 60 * 60;
/// Marks of liars, lazy auditors and false accusers fade more slowly: half in thirty days.
pub const MARKS_HALVE_S: u64 = 30 * 24 * 60 * 60;
/// Withheld openings that make a liar: one may have been a peer that was killed between its draw and its opening.
pub const WITHHELD_FORGIVEN: u32 = 2;
/// A roster of so many has full committees for every worker: 2 x 16 ranks of auditors, and the worker. Whoever was
/// caught is left out only of those that are this large without it.
pub const ROSTER_ENOUGH: usize = 33;
/// One in so many of those that are offered a job is a newcomer, however slow.
pub const NEWCOMERS_OFFERED: usize = 4;
/// One in so many leases of a job is kept for a newcomer that waits for one.
pub const NEWCOMERS_LEASED: u32 = 8;
/// ... for so long.
pub const KEPT_WAIT: Duration = Duration::from_secs(2);

// ---- capacity proofs ----

/// How the jobs of probes are made: whoever makes them otherwise is not probed. Part of no kernel's id, for kernels say
/// nothing of it.
pub const PROBE_VERSION: u16 = 1;
/// A probe's job takes so long, ms, if its claim is true.
pub const PROBE_MS: u32 = 500;
/// ... but has at most so many work units, and a faster device is measured for less time: two tiles of them have to be
/// computed on a CPU.
pub const PROBE_UNITS_MAX: u64 = 1 << 44;
/// Its tiles: their hashes fit a message easily, and two are little work.
pub const PROBE_TILES: u32 = 512;
/// A job that has one of so many of the units asked for, or less, measures nothing: a tenth of a second is full of accidents.
pub const PROBE_SHORTEST: u64 = 5;
/// A prober begins a probe this often at most, one at a time.
pub const PROBE_SPACING: Duration = Duration::from_secs(15);
/// A probed peer answers so many at first, one at a time ...
pub const PROBES_AT_FIRST: u32 = 4;
/// ... and then one for each of these: 500 ms of 60 s is less than a hundredth of its device.
pub const PROBE_EARNED: Duration = Duration::from_secs(60);
/// Each step of a probe is waited for so long. A shader may have to be compiled first.
pub const PROBE_WAIT: Duration = Duration::from_secs(10);
/// ... and the prober's own CPU so long.
pub const PROBE_CHECK_WAIT: Duration = Duration::from_secs(60);
/// Of a round trip so much is deducted at most: whoever delays its answers may look a little faster, not much.
pub const PROBE_TRIP_MAX: Duration = Duration::from_millis(250);
/// The median of so many own measurements counts ...
pub const PROBES_ENOUGH: usize = 3;
/// ... and of so many, the latest, at most.
pub const PROBES_KEPT: usize = 5;
/// Unanswered probes in a row after which a claim is not chosen by.
pub const PROBES_UNANSWERED: u32 = 3;
/// A busy peer is asked again after this, and after twice as long each time ...
pub const PROBE_RETRY: Duration = Duration::from_secs(15);
/// ... so many times.
pub const PROBES_BUSY: u32 = 6;
/// What has been measured is measured again after this; what was struck after a third.
pub const PROBE_AGAIN: Duration = Duration::from_secs(30 * 60);
/// A peer probes for so long after its last submission: who asks for nothing needs no proof.
pub const PROBE_WHILE: Duration = Duration::from_secs(30 * 60);
/// Kernels of which it does.
pub const PROBE_KERNELS_MAX: usize = 16;
/// Claims that are remembered.
pub const PROOFS_MAX: usize = 1_024;

// ---- timers ----

/// A witness, or a nonce, is waited for this long.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);
/// A message waits this long for the record of its job.
pub const PARKED_WAIT: Duration = Duration::from_secs(5);
/// Seals are waited for at least this long; see `collector`.
pub const SEAL_WAIT_MIN: Duration = Duration::from_secs(10);
/// ... and at most this long.
pub const SEAL_WAIT_MAX: Duration = Duration::from_secs(60);
/// One try for an opening, and the wait for attestations.
pub const OPENING_WAIT: Duration = Duration::from_secs(10);
/// A quorum waits so long for what its requester computes itself.
pub const RINGER_WAIT: Duration = Duration::from_secs(10);
/// Tries for an opening before the listed auditors are asked for it.
pub const OPENING_TRIES: u32 = 3;
/// One fetch of a slice's output.
pub const STORE_WAIT: Duration = Duration::from_secs(30);
/// Tries to get a slice's output, asked for at the pace of [`RETRY`].
pub const DELIVERY_TRIES: u32 = 8;
/// A worker whose collector has fallen silent after the opening turns so often to another steward, [`OPENING_WAIT`]
/// apart: for as long as it would have waited for that one alone.
pub const HANDOVER_TRIES: usize = 29;
/// Concluded leases whose receipts, or verdicts, are kept at hand for those that missed them.
pub const CONCLUDED_MAX: usize = 256;
/// Peers that were silent twice in a row are waited for only this long: their rank is still asked.
pub const SILENT_WAIT: Duration = Duration::from_millis(500);
/// ... and for so long after the last time that they were waited for in full, if they answer other questions.
pub const SILENT_KEPT: Duration = Duration::from_secs(300);
/// Waits between the tries of an unacknowledged message.
pub const RETRY: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// An idle worker asks again for a lease after this.
pub const LEASE_RETRY: Duration = Duration::from_millis(500);
/// ... and after twice as long each time that nothing is open, so many times over.
pub const LEASE_RETRY_DOUBLINGS: u32 = 4;
/// Workers that found nothing open and are told of a slice that is open again.
pub const TOLD_OF_OPEN: usize = 3;
/// So long a slice whose lease has ended is kept for workers that have done another one of the job.
pub const REOPENED_WAIT: Duration = Duration::from_secs(10);
/// The least and the most time that a lease leaves for computing.
pub const LEASE_TTL_MIN: Duration = Duration::from_secs(15);
/// See [`LEASE_TTL_MIN`].
pub const LEASE_TTL_MAX: Duration = Duration::from_secs(600);
/// A steward that was asked for a lease in vain is passed over for so long ...
pub const MUTE_WAIT: Duration = Duration::from_secs(30);
/// ... and for twice as long each time that it was in a row, so many times over.
pub const MUTE_DOUBLINGS: u32 = 4;
/// Stewards tell each other how far a job is this long after something has changed ...
pub const TELL_SOON: Duration = Duration::from_secs(1);
/// ... and this often anyway.
pub const TELL: Duration = Duration::from_secs(10);
/// Another steward's word that a slice is leased holds so long since it was first given: the longest lease, and its
/// audit.
pub const BUSY_WAIT: Duration = Duration::from_secs(900);
/// ... and so long at the requester, which leads: time to end what is computed, and to be audited.
pub const BUSY_WAIT_LED: Duration = Duration::from_secs(60);
/// Between two fraud proofs that are recomputed at least this long passes: strangers' claims cost no more.
pub const JUDGE_SPACING: Duration = Duration::from_secs(5);
/// A fraud proof that nobody had reason to recompute is forgotten after this.
pub const SUSPECT_KEPT: Duration = Duration::from_secs(3_600);
/// A requester that looks for a job asks again after this.
pub const SEEK: Duration = Duration::from_secs(5);
/// A job without any lease for this long has failed to find a worker once.
pub const STARVED_WAIT: Duration = Duration::from_secs(10);
/// A requester that comes back gives itself this long to meet its peers before it offers its jobs again.
pub const RESUME_WAIT: Duration = Duration::from_secs(2);
/// After this many failures to find a worker the requester computes a slice itself.
pub const STARVED_MAX: u32 = 3;
/// Audits, finished work and the records of ended jobs are forgotten after this.
pub const LINGER: Duration = Duration::from_secs(300);
/// An idle worker looks the boards up this often.
pub const BOARD_LOOKUP: Duration = Duration::from_secs(15);
/// ... and after twice as long each time that it has learnt of no job since, so many times over: a look takes some
/// fifty requests in a swarm of a hundred thousand.
pub const BOARD_LOOKUP_DOUBLINGS: u32 = 2;
/// Adverts are republished no faster than this, whatever happens.
pub const ADVERT_SPACING: Duration = Duration::from_millis(1_000);
/// Absolute times may be off by this much, seconds.
pub const CLOCK_SKEW_S: u64 = 120;
/// Peers met lately whose clocks are remembered.
pub const CLOCKS_MET: usize = 8;
