//! The hook in the transport upgrade: certificates cross before anybody hears of a connection.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use starling::net::{Admission, AdmissionError, Handshake, NetEvent, PeerKey};

use crate::support::{Node, QUIC, Setup, TCP};

/// Admits whoever shows the password.
struct Password {
    mine: &'static [u8],
    seen: Mutex<Vec<(PeerKey, bool)>>,
}

impl Password {
    fn new(mine: &'static [u8]) -> Arc<Self> {
        Arc::new(Password {
            mine,
            seen: Mutex::default(),
        })
    }
}

impl Admission for Password {
    fn admit<'a>(
        &'a self,
        mut handshake: Handshake<'a>,
    ) -> BoxFuture<'a, Result<(), AdmissionError>> {
        async move {
            let theirs = if handshake.dialed() {
                handshake.greet(self.mine).await?
            } else {
                let theirs = handshake.hear().await?;
                handshake.answer(self.mine).await?;
                theirs
            };
            let seen = (handshake.remote(), handshake.dialed());
            self.seen.lock().unwrap().push(seen);
            if theirs == b"sesame" {
                Ok(())
            } else {
                Err(AdmissionError::Refused("wrong password".into()))
            }
        }
        .boxed()
    }
}

async fn node(listen: &'static str, admission: Arc<Password>) -> Node {
    Node::start(Setup {
        listen,
        admission: Some(admission),
        ..Setup::default()
    })
    .await
}

async fn admits_and_refuses(listen: &'static str) {
    let (door, friend) = (Password::new(b"sesame"), Password::new(b"sesame"));
    let mut a = node(listen, door.clone()).await;
    let mut b = node(listen, friend.clone()).await;
    b.net.dial(a.address.clone()).await.unwrap();
    a.connected(b.key()).await;
    b.connected(a.key()).await;
    assert_eq!(*door.seen.lock().unwrap(), [(b.key(), false)]);
    assert_eq!(*friend.seen.lock().unwrap(), [(a.key(), true)]);
    b.net.send(a.key(), 1, b"after".to_vec()).await.unwrap();
    a.wait("the connection still works", |event| match event {
        NetEvent::Message { bytes, .. } => (bytes == b"after").then_some(()),
        _ => None,
    })
    .await;

    let stranger = node(listen, Password::new(b"please")).await;
    stranger.net.dial(a.address.clone()).await.unwrap();
    let (name, about) = (stranger.key(), |event| match event {
        NetEvent::PeerConnected { peer }
        | NetEvent::WrongSwarm { peer }
        | NetEvent::PeerLost { peer } => Some(peer),
        _ => None,
    });
    let quiet = a
        .silent(Duration::from_secs(1), |event| {
            about(event).filter(|peer| *peer == name)
        })
        .await;
    assert!(quiet, "the core heard of a refused peer");
    assert!(
        door.seen.lock().unwrap().contains(&(name, false)),
        "it did knock"
    );
    assert_eq!(a.net.connected().await.unwrap(), [b.key()]);
    assert!(stranger.net.connected().await.unwrap().is_empty());
}

#[tokio::test]
async fn certificates_are_exchanged_over_tcp() {
    admits_and_refuses(TCP).await;
}

#[tokio::test]
async fn certificates_are_exchanged_over_quic() {
    admits_and_refuses(QUIC).await;
}

/// Refuses everybody without a word.
struct Closed;

impl Admission for Closed {
    fn admit<'a>(&'a self, _: Handshake<'a>) -> BoxFuture<'a, Result<(), AdmissionError>> {
        async { Err(AdmissionError::Refused("closed".into())) }.boxed()
    }
}

#[tokio::test]
async fn a_refusing_dialer_reports_its_own_refusal() {
    let mut a = Node::start(Setup::default()).await;
    let mut b = Node::start(Setup {
        admission: Some(Arc::new(Closed)),
        ..Setup::default()
    })
    .await;
    b.net.dial(a.address.clone()).await.unwrap();
    let reason = b
        .wait("the refusal", |event| match event {
            NetEvent::DialFailed { reason, .. } => Some(reason),
            NetEvent::PeerConnected { .. } => panic!("refused peers are not connected"),
            _ => None,
        })
        .await;
    assert!(reason.contains("not admitted: closed"), "{reason}");
    let connected = |event| match event {
        NetEvent::PeerConnected { .. } => Some(()),
        _ => None,
    };
    assert!(a.silent(Duration::from_millis(500), connected).await);
}
