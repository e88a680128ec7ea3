//! The loop behind the local API: takes connections, and bounds what each may cost before it has shown a token.
//!
//! Any user of this machine can connect. So there are only so many connections at once, a request's head has to come
//! within seconds (a connection that idles is closed by the same clock), and it is short. Bodies are `guard`'s affair.
//! Invariant: whoever holds connections without sending requests loses them, and then the next in line is served.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once; more wait in the system's queue.
pub(super) const CONNECTIONS: usize = 128;
/// How long a request's head may take, counted from the end of the last answer.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// Longest head, in bytes.
const HEAD_MAX: usize = 32 * 1024;
/// Headers of one request.
const HEADERS: usize = 64;
/// Before the next attempt, when the system gave no connection: it is out of files for a moment.
const AGAIN: Duration = Duration::from_millis(200);

/// Serves until `stopped`, then until what is being answered is answered.
pub(super) async fn run(listener: TcpListener, app: Router, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS);
    let mut connections = JoinSet::new();
    let stop = stopped.clone();
    loop {
        tokio::select! {
            // A sender that is gone stops the server as well.
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => {}
            (place, stream) = next(&places, &listener) => {
                connections.spawn(one(http.clone(), app.clone(), stream, place, stop.clone()));
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is a place for it.
async fn next(
    places: &Arc<Semaphore>,
    listener: &TcpListener,
) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (place, stream),
            Err(error) => {
                tracing::debug!(%error, "the API took no connection");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// One connection to its end.
async fn one(
    http: http1::Builder,
    app: Router,
    stream: TcpStream,
    _place: Option<OwnedSemaphorePermit>,
    mut stopped: watch::Receiver<bool>,
) {
    // Small answers at once; without it they only come later.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(app);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection of the API broke off");
                }
                return;
            }
            _ = stopped.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
