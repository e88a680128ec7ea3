//! Jobs through the client: submitted, followed, collected, explained, cancelled, forgotten.

use std::time::Duration;

use starling::api::client::Told;
use starling::api::types::JobOrder;
use starling::jobs::account::hex;
use starling::jobs::{JobState, SliceState};
use starling::node::Happening;
use starling_kernels::{Kernel, fractal, matmul};
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::{Bundle, Event};
use tokio::sync::mpsc;

use crate::{PATIENCE, served, served_through};

fn order(kernel: &dyn Kernel, params: &[u8]) -> JobOrder {
    JobOrder {
        kernel: kernel.id().to_string(),
        params: hex(params),
        inputs: Vec::new(),
        slice_tiles: Some(64),
        deadline_s: Some(300),
        max_price: None,
        stewards: None,
        full_audits: false,
        peers: None,
        wait_s: Some(30.0),
        output: None,
        cli: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_submitted_followed_collected_and_forgotten() {
    let served = served(2).await;
    let client = &served.client;
    let status = client.status().await.expect("a status");
    assert_eq!((status.schema, status.lends), (1, true));
    let params = fractal::Params::mandelbrot(256, 256, 400);
    let mut events = client.events(None, None);
    events.open().await.expect("a stream");
    let job = client
        .submit(&JobOrder {
            cli: Some("starling".into()),
            ..order(&fractal::Fractal, &params.encode())
        })
        .await
        .expect("submitted");
    let id = job.file.job.to_string();
    assert_eq!(job.file.slices.len(), 4);

    let mut ids = Vec::new();
    let mut done = 0;
    let follow = async {
        loop {
            let Told::Happening(one) = events.next().await.expect("the stream goes on") else {
                panic!("nothing is missed");
            };
            ids.push(one.id);
            match &one.happening {
                Happening::Core(Event::SliceDone { .. }) => {
                    done += 1;
                    client.picture(&id).await.expect("as far as it is");
                }
                Happening::Core(Event::JobDone { .. }) => return,
                Happening::Core(Event::JobFailed { reason, .. }) => panic!("{reason}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, follow)
        .await
        .expect("the job ends");
    assert_eq!(done, 4);
    assert!(
        ids.windows(2).all(|two| two[1] == two[0] + 1),
        "no gap: {ids:?}"
    );

    // Whoever comes back with a number gets the rest.
    let mut again = client.events(Some(&id), Some(ids[0]));
    let Told::Happening(first) = again.next().await.expect("kept") else {
        panic!("nothing is missed");
    };
    assert!(first.id > ids[0]);

    let view = client
        .job(&id[..10])
        .await
        .expect("the beginning of an id is enough");
    assert_eq!((view.file.state, view.receipts), (JobState::Done, 4));
    assert!(
        view.file
            .slices
            .iter()
            .all(|s| s.state == SliceState::Done && s.blob.is_some())
    );
    assert!(client.why("last").await.expect("known").reasons.is_empty());
    let local = fractal::Fractal
        .prepare(&params.encode(), &[])
        .expect("sound");
    let mut got = Vec::new();
    for slice in 0..4 {
        got.extend(client.output(&id, slice).await.expect("here"));
    }
    let tiles: Vec<u32> = (0..256).collect();
    assert!(
        got == local.run(&tiles),
        "the swarm computed what one process does"
    );
    let picture = params.png(&got).expect("all tiles");
    for _ in 0..2 {
        assert!(client.picture(&id).await.expect("whole") == picture);
    }
    assert_eq!(
        (view.bundles, view.file.cli.as_deref()),
        (1, Some("starling"))
    );
    let bundle =
        Bundle::from_bytes(&client.bundle(&id, 0).await.expect("receipts")).expect("sound");
    let verified = bundle.verify(&Ed25519Verifier).expect("sound");
    assert_eq!(verified.iter().filter(|v| v.is_ok()).count(), 4);

    assert!(client.collected(&id).await.expect("ended").file.collected);
    assert_eq!(
        client.output(&id, 0).await.expect_err("removed").code,
        "output_collected"
    );
    assert_eq!(client.jobs().await.expect("a list").jobs.len(), 1);
    client.forget(&id).await.expect("ended");
    assert_eq!(
        client.job(&id).await.expect_err("forgotten").code,
        "unknown_job"
    );
    assert!(client.jobs().await.expect("a list").jobs.is_empty());
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_not_is_said_by_code() {
    let served = served(0).await;
    let client = &served.client;
    let params = fractal::Params::mandelbrot(64, 64, 10).encode();
    let mut alone = order(&fractal::Fractal, &params);
    alone.wait_s = Some(0.2);
    let reason = client.submit(&alone).await.expect_err("nobody is there");
    assert_eq!(reason.code, "no_eligible_peer");
    assert_eq!(reason.params["known"], 0);
    assert!(reason.fix.is_some());
    let code =
        |order: JobOrder| async move { client.submit(&order).await.expect_err("wrong").code };
    let wrong = |change: &dyn Fn(&mut JobOrder)| {
        let mut order = alone.clone();
        change(&mut order);
        order
    };
    assert_eq!(
        code(wrong(&|o| o.kernel = "ab".repeat(32))).await,
        "unknown_kernel"
    );
    assert_eq!(
        code(wrong(&|o| o.kernel = "xyz".into())).await,
        "bad_request"
    );
    assert_eq!(code(wrong(&|o| o.params = "00".into())).await, "bad_params");
    assert_eq!(code(wrong(&|o| o.wait_s = Some(-1.0))).await, "bad_request");
    assert_eq!(
        code(wrong(&|o| o.inputs = vec![[7; 32].into()])).await,
        "bad_input"
    );
    let blob = client.put_blob(vec![1_u8; 6]).await.expect("stored");
    let product = matmul::Params {
        rows: 2,
        inner: 3,
        columns: 2,
    };
    let mut order = order(&matmul::Matmul, &product.encode());
    order.inputs = vec![blob.id];
    assert_eq!(code(order).await, "bad_input");
    for id in ["last", "beef"] {
        assert_eq!(
            client.job(id).await.expect_err("unknown").code,
            "unknown_job"
        );
        assert_eq!(
            client.cancel(id).await.expect_err("unknown").code,
            "unknown_job"
        );
        assert_eq!(
            client.forget(id).await.expect_err("unknown").code,
            "unknown_job"
        );
    }
    assert_eq!(
        client.job("../../etc").await.expect_err("no id").code,
        "bad_request"
    );
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_job_keeps_its_account() {
    let served = served(1).await;
    let client = &served.client;
    let params = fractal::Params::mandelbrot(2048, 2048, 20_000);
    let job = client
        .submit(&order(&fractal::Fractal, &params.encode()))
        .await
        .expect("submitted");
    let id = job.file.job.to_string();
    assert_eq!(
        client.forget(&id).await.expect_err("it runs").code,
        "job_running"
    );
    let reasons = client.why(&id).await.expect("known").reasons;
    assert!(
        reasons.iter().any(|r| r.code == "job_running"),
        "{reasons:?}"
    );
    let ended = client.cancel(&id).await.expect("it runs");
    assert_eq!(ended.file.state, JobState::Cancelled);
    assert_eq!(
        client.cancel(&id).await.expect("again").file.state,
        JobState::Cancelled
    );
    let reasons = client.why(&id).await.expect("known").reasons;
    assert_eq!(reasons[0].code, "cancelled");
    client.forget(&id).await.expect("it has ended");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_slice_is_not_given_out_and_its_bytes_are_removed() {
    let (say, said) = mpsc::channel(64);
    let on = say.clone();
    let through = |mut happenings: mpsc::Receiver<Happening>| {
        tokio::spawn(async move {
            while let Some(happening) = happenings.recv().await {
                // Its end is held back: a proof comes before it.
                if !matches!(happening, Happening::Core(Event::JobDone { .. })) {
                    on.send(happening).await.expect("the desk listens");
                }
            }
        });
        said
    };
    let served = served_through(2, through).await;
    let client = &served.client;
    let params = fractal::Params::mandelbrot(256, 128, 400);
    let order = order(&fractal::Fractal, &params.encode());
    let job = client.submit(&order).await.expect("submitted").file.job;
    let id = job.to_string();
    let until = tokio::time::Instant::now() + PATIENCE;
    let file = loop {
        let file = client.job(&id).await.expect("known").file;
        if file.done().count() == file.slices.len() {
            break file;
        }
        assert!(tokio::time::Instant::now() < until, "not done in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let blobs = served.desk.node().blobs();
    let blob = |n: usize| *file.slices[n].blob.expect("its bytes").as_bytes();
    assert!(blobs.has(&blob(0)) && blobs.has(&blob(1)));
    let revoked = Event::SliceReopened {
        job,
        slice: 0,
        worker: file.slices[0].worker.expect("somebody"),
        reason: starling_protocol::Reason::Refuted,
    };
    say.send(Happening::Core(revoked))
        .await
        .expect("it listens");
    while blobs.has(&blob(0)) {
        assert!(tokio::time::Instant::now() < until, "not removed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = client.output(&id, 0).await.expect_err("false");
    assert_eq!(refused.code, "slice_not_done");
    client.output(&id, 1).await.expect("the other one stays");
    drop(say);
    served.end().await;
}
