//! Jobs looked at before they are submitted, and submitted as they were looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use starling::api::preflight::{Preflight, PreflightOrder};
use starling::api::types::JobView;
use starling::jobs::JobState;
use starling::product::files::{Kind, Options};
use starling_kernels::npy;

use crate::{PATIENCE, Served, served};

/// A triangle, from two files.
const SCENE: &str = "mtllib triangle.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n";
const MATERIAL: &str = "newmtl red\nKd 0.8 0.1 0.1\n";

fn matrix(rows: u32, columns: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    npy::write_header_of(&mut bytes, "|i1", &[rows, columns]).expect("memory");
    bytes.extend((0..rows * columns).map(|n| (n % 7) as u8));
    bytes
}

impl Served {
    async fn look(&self, kind: Kind, files: &[(&str, &[u8])], options: Options) -> Preflight {
        let mut ids = BTreeMap::new();
        for (name, bytes) in files {
            let blob = self.client.put_blob(bytes.to_vec()).await.expect("stored");
            ids.insert((*name).to_owned(), blob.id);
        }
        let order = PreflightOrder {
            product: kind,
            files: ids,
            options,
        };
        self.client.preflight(&order).await.expect("looked at")
    }

    /// Submits it, and waits until it is done.
    async fn done(&self, preflight: &Preflight) -> JobView {
        let order = preflight.order.as_ref().expect("accepted");
        let job = self.client.submit(order).await.expect("submitted");
        let id = job.file.job.to_string();
        let done = async {
            loop {
                let job = self.client.job(&id).await.expect("known");
                if job.file.state != JobState::Running {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, done).await.expect("in time")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_is_what_is_computed() {
    let served = served(1).await;
    let small = Options {
        size: Some("64x48".into()),
        spp: Some(4),
        ..Options::default()
    };
    let fractal = served.look(Kind::Fractal, &[], small.clone()).await;
    assert_eq!(
        fractal.cli,
        "starling run fractal --size 64x48 -o fractal.png"
    );
    let estimate = fractal.estimate.as_ref().expect("a peer is there");
    assert_eq!((estimate.peers, estimate.price), (1, [0, 0]));
    assert!(estimate.least_seconds > 0.0 && estimate.least_seconds <= estimate.seconds);

    let scene = [
        ("triangle.obj", SCENE.as_bytes()),
        ("triangle.mtl", MATERIAL.as_bytes()),
    ];
    let render = served.look(Kind::Render, &scene, small).await;
    assert!(render.refusals.is_empty(), "{:?}", render.refusals);
    let (a, b) = (matrix(70, 5), matrix(5, 90));
    let factors = [("a.npy", &a[..]), ("b.npy", &b[..])];
    let dear = Options {
        max_price: Some(3),
        full_audits: true,
        ..Options::default()
    };
    let product = served.look(Kind::Matmul, &factors, dear).await;
    let order = product.order.as_ref().expect("accepted");
    assert_eq!((order.max_price, order.full_audits), (Some(3), true));

    assert!(
        served.client.jobs().await.expect("a list").jobs.is_empty(),
        "none is submitted"
    );
    for looked in [&fractal, &render, &product] {
        let job = served.done(looked).await;
        assert_eq!(job.file.state, JobState::Done, "{}", looked.cli);
        assert_eq!(job.file.tiles, looked.tiles, "{}", looked.cli);
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_and_nothing_is_read_elsewhere() {
    let served = served(0).await;
    let none = Options::default;
    let refused = async |kind, files: &[(&str, &[u8])], options| {
        let looked = served.look(kind, files, options).await;
        assert!(looked.order.is_none() && looked.estimate.is_none());
        let reason = looked.refusals.into_iter().next().expect("a refusal");
        assert!(!reason.what.contains(".preflight"), "{}", reason.what);
        (reason.code.into_owned(), reason.what, reason.params)
    };
    let wide = Options {
        size: Some("wide".into()),
        ..none()
    };
    let (code, what, _) = refused(Kind::Fractal, &[], wide).await;
    assert_eq!(
        (&code[..], &what[..]),
        ("bad_params", "\"wide\" is no size")
    );
    let (code, ..) = refused(Kind::Render, &[("a.obj", b"f 1 2 3")], none()).await;
    assert_eq!(code, "bad_input");
    let (code, ..) = refused(Kind::Render, &[("a.png", b"")], none()).await;
    assert_eq!(code, "bad_params");
    let elsewhere = b"mtllib ../api.token\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n";
    let (_, what, _) = refused(Kind::Render, &[("a.obj", elsewhere)], none()).await;
    assert!(what.contains("not a relative path inside"), "{what}");
    let (a, b) = (matrix(2, 3), matrix(4, 5));
    let unequal = [("a.npy", &a[..]), ("b.npy", &b[..])];
    let (_, what, _) = refused(Kind::Matmul, &unequal, none()).await;
    assert!(what.starts_with("2 x 3 times 4 x 5"), "{what}");
    let broken = [("a.npy", &a[..]), ("b.npy", b"no array")];
    let (code, _, params) = refused(Kind::Matmul, &broken, none()).await;
    assert_eq!((&code[..], &params["file"]), ("bad_input", &"b.npy".into()));

    // What makes no sense as a request is an error.
    let blob = served.client.put_blob("words").await.expect("stored");
    for (name, id) in [("../a.obj", blob.id), ("a.obj", [7; 32].into())] {
        let order = PreflightOrder {
            product: Kind::Render,
            files: BTreeMap::from([(name.to_owned(), id)]),
            options: none(),
        };
        served.client.preflight(&order).await.expect_err("refused");
    }
    served.end().await;
}
