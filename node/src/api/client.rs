//! The other end of the local API: typed requests, errors as [`Reason`]s, and an event stream that goes on after a cut.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use futures::StreamExt as _;
use reqwest::{Method, RequestBuilder, Response, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use starling_protocol::SwarmId;
use tokio::time::Instant;

use super::Token;
use super::lending::{LendOrder, LendView, SensorsView, WorkView};
use super::members::{InvitationCode, InvitationOrder, RevocationOrder, Revoked, SwarmView};
use super::owner::Logs;
use super::preflight::{Preflight, PreflightOrder};
use super::session::CodeView;
use super::types::{
    BlobInfo, JobOrder, JobView, Jobs, NetView, PeerInfo, Peers, Problem, Status, Why,
};
use crate::blobs::{BlobError, MAX_BLOB_BYTES};
use crate::home::disk::write_atomically;
use crate::jobs::Numbered;
use crate::reason::Reason;

/// Where a running peer says how it is reached, within its home.
pub const API_FILE: &str = "api.json";
/// Where its token is.
pub const TOKEN_FILE: &str = "api.token";
/// Longest such file that is believed, in bytes.
const API_FILE_MAX: u64 = 64 * 1024;
/// Between two attempts to go on with a stream.
const AGAIN: Duration = Duration::from_millis(300);
/// Attempts.
const TRIES: u32 = 5;
/// Longest event that is taken.
const EVENT_MAX: usize = 4 << 20;

/// What a running peer tells programs of this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiFile {
    /// Its process.
    pub pid: u32,
    /// Base address.
    pub url: String,
    /// Its swarm.
    pub swarm: SwarmId,
}

impl ApiFile {
    /// Writes it into a home.
    ///
    /// # Errors
    /// `disk_failed`.
    pub fn write(&self, home: &Path) -> Result<(), Reason> {
        let text = serde_json::to_vec(self).map_err(|e| Reason::of("error", e))?;
        Ok(write_atomically(&home.join(API_FILE), &text)?)
    }

    fn read(home: &Path) -> Option<Self> {
        let path = home.join(API_FILE);
        let about = std::fs::metadata(&path).ok()?;
        let small = about.is_file() && about.len() <= API_FILE_MAX;
        serde_json::from_slice(&std::fs::read(small.then_some(path)?).ok()?).ok()
    }
}

/// A client; clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Token,
}

impl Client {
    /// The peer that runs in a home.
    ///
    /// # Errors
    /// `no_daemon` if none does; those of its token's file.
    pub async fn connect(home: &Path) -> Result<Self, Reason> {
        let file = ApiFile::read(home).ok_or_else(no_daemon)?;
        let client = Self::at(&file.url, Token::load(&home.join(TOKEN_FILE))?)?;
        // Whoever wrote the file may be gone, and its port another program's.
        match client.status().await {
            Ok(status) if status.pid == file.pid && status.swarm == file.swarm => Ok(client),
            _ => Err(no_daemon()),
        }
    }

    /// The peer at an address.
    ///
    /// # Errors
    /// If the HTTP library cannot be set up.
    pub fn at(url: &str, token: Token) -> Result<Self, Reason> {
        // A proxy of the environment has no business on loopback.
        let http = reqwest::Client::builder()
            .no_proxy()
            // The server closes what idles for longer.
            .pool_idle_timeout(super::listen::HEAD_TIME / 2)
            .build();
        Ok(Self {
            http: http.map_err(|e| Reason::of("error", e))?,
            base: format!("{url}/api/v1"),
            token,
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.http
            .request(method, url)
            .bearer_auth(self.token.text())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Reason> {
        let answer = request.send().await.map_err(unreachable)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        match answer.json::<Problem>().await {
            Ok(problem) => Err(problem.reason),
            Err(_) => Err(Reason::of("error", format!("the peer answered {status}"))),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Reason> {
        json(self.send(self.request(Method::GET, path)).await?).await
    }

    async fn post(&self, path: &str) -> Result<JobView, Reason> {
        json(self.send(self.request(Method::POST, path)).await?).await
    }

    /// The peer.
    ///
    /// # Errors
    /// As every request: `no_daemon` if it cannot be reached, else what it answers.
    pub async fn status(&self) -> Result<Status, Reason> {
        self.get("/status").await
    }

    /// Whether it is lent, and why not.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn lend(&self) -> Result<LendView, Reason> {
        self.get("/lend").await
    }

    /// Switches lending on, off, or pauses it.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn set_lend(&self, order: &LendOrder) -> Result<LendView, Reason> {
        json(
            self.send(self.request(Method::POST, "/lend").json(order))
                .await?,
        )
        .await
    }

    /// What it does for others.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn work(&self) -> Result<WorkView, Reason> {
        self.get("/work").await
    }

    /// How its device was in the last hour.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn sensors(&self) -> Result<SensorsView, Reason> {
        self.get("/sensors").await
    }

    /// An address that opens its pages, once and within a minute.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn session_code(&self) -> Result<CodeView, Reason> {
        json(
            self.send(self.request(Method::POST, "/session/code"))
                .await?,
        )
        .await
    }

    /// The swarm, and who belongs to it.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn swarm(&self) -> Result<SwarmView, Reason> {
        self.get("/swarm").await
    }

    /// Makes an invitation.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn invite(&self, order: &InvitationOrder) -> Result<InvitationCode, Reason> {
        let request = self.request(Method::POST, "/swarm/invitations");
        json(self.send(request.json(order)).await?).await
    }

    /// Takes back a certificate or an invitation.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn revoke(&self, order: &RevocationOrder) -> Result<Revoked, Reason> {
        let request = self.request(Method::POST, "/swarm/revocations");
        json(self.send(request.json(order)).await?).await
    }

    /// How it stands in its network.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn net(&self) -> Result<NetView, Reason> {
        self.get("/net").await
    }

    /// The latest lines of its log.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn logs(&self) -> Result<Logs, Reason> {
        self.get("/logs").await
    }

    /// Peers that it knows.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn peers(&self) -> Result<Peers, Reason> {
        self.get("/peers").await
    }

    /// One peer by its key or the beginning of it.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn peer(&self, id: &str) -> Result<PeerInfo, Reason> {
        self.get(&format!("/peers/{}", word(id)?)).await
    }

    /// Peers that would compute a kernel (its id, hexadecimal) for this home's requester now.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn eligible(&self, kernel: &str, max_price: Option<u64>) -> Result<Peers, Reason> {
        let price = max_price.map_or(String::new(), |most| format!("?max_price={most}"));
        self.get(&format!("/kernels/{}/peers{price}", word(kernel)?))
            .await
    }

    /// All jobs, the newest first.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn jobs(&self) -> Result<Jobs, Reason> {
        self.get("/jobs").await
    }

    /// One job by its id, the beginning of it, or `last`.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn job(&self, id: &str) -> Result<JobView, Reason> {
        self.get(&format!("/jobs/{}", word(id)?)).await
    }

    /// Why it is not done.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn why(&self, id: &str) -> Result<Why, Reason> {
        self.get(&format!("/jobs/{}/why", word(id)?)).await
    }

    /// What a job would be, without submitting it.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn preflight(&self, order: &PreflightOrder) -> Result<Preflight, Reason> {
        json(
            self.send(self.request(Method::POST, "/preflight").json(order))
                .await?,
        )
        .await
    }

    /// Submits a job.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn submit(&self, order: &JobOrder) -> Result<JobView, Reason> {
        json(
            self.send(self.request(Method::POST, "/jobs").json(order))
                .await?,
        )
        .await
    }

    /// Looks for a job that this identity submitted elsewhere.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn collect(&self, id: &str) -> Result<JobView, Reason> {
        self.post(&format!("/jobs/{}/collect", word(id)?)).await
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn cancel(&self, id: &str) -> Result<JobView, Reason> {
        self.post(&format!("/jobs/{}/cancel", word(id)?)).await
    }

    /// Has the outputs of a job removed, because they are here.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn collected(&self, id: &str) -> Result<JobView, Reason> {
        self.post(&format!("/jobs/{}/collected", word(id)?)).await
    }

    /// Has a job forgotten.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn forget(&self, id: &str) -> Result<(), Reason> {
        let path = format!("/jobs/{}", word(id)?);
        self.send(self.request(Method::DELETE, &path))
            .await
            .map(drop)
    }

    /// The picture that its tiles give so far, as PNG.
    ///
    /// # Errors
    /// See [`Client::status`]; `not_found` if it gives none.
    pub async fn picture(&self, id: &str) -> Result<Vec<u8>, Reason> {
        let path = format!("/jobs/{}/picture.png", word(id)?);
        bytes(self.send(self.request(Method::GET, &path)).await?).await
    }

    /// The bytes of a finished slice.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn output(&self, id: &str, slice: u32) -> Result<Vec<u8>, Reason> {
        let path = format!("/jobs/{}/slices/{slice}/output", word(id)?);
        bytes(self.send(self.request(Method::GET, &path)).await?).await
    }

    /// A job's receipts, `part` by part.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn bundle(&self, id: &str, part: usize) -> Result<Vec<u8>, Reason> {
        let path = format!("/jobs/{}/bundle?part={part}", word(id)?);
        bytes(self.send(self.request(Method::GET, &path)).await?).await
    }

    /// Puts an input into the requester's store; one that is too long is not even sent.
    ///
    /// # Errors
    /// `body_too_large`, and see [`Client::status`].
    pub async fn put_blob(&self, bytes: impl Into<Bytes>) -> Result<BlobInfo, Reason> {
        let (bytes, max) = (bytes.into(), MAX_BLOB_BYTES);
        let len = bytes.len() as u64;
        if len > max {
            return Err(BlobError::TooLarge { len, max }.into());
        }
        json(
            self.send(self.request(Method::PUT, "/blobs").body(bytes))
                .await?,
        )
        .await
    }

    /// Follows what happens after a number; with none, from now on.
    pub fn events(&self, job: Option<&str>, after: Option<u64>) -> Events {
        let path = match job {
            Some(id) => format!("/jobs/{id}/events"),
            None => "/events".into(),
        };
        Events {
            client: self.clone(),
            path,
            last: after,
            stream: None,
            buffer: Vec::new(),
            ready: VecDeque::new(),
            tries: 0,
            again: Instant::now(),
        }
    }
}

/// A stream of happenings that survives a cut connection.
pub struct Events {
    client: Client,
    path: String,
    last: Option<u64>,
    stream: Option<futures::stream::BoxStream<'static, reqwest::Result<Bytes>>>,
    buffer: Vec<u8>,
    ready: VecDeque<Told>,
    /// Since it was cut, and the next one; kept here, because whoever looks at a clock meanwhile drops every wait.
    tries: u32,
    again: Instant,
}

/// What a stream brings.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something happened.
    Happening(Box<Numbered>),
    /// So many happenings were missed: look at the job itself.
    Missed(u64),
}

impl Events {
    /// Opens the stream: what happens from now on will be told.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn open(&mut self) -> Result<(), Reason> {
        let mut request = self.client.request(Method::GET, &self.path);
        if let Some(last) = self.last {
            request = request.header("last-event-id", last);
        }
        let answer = self
            .client
            .send(request.header(header::ACCEPT, "text/event-stream"))
            .await?;
        self.buffer.clear();
        self.stream = Some(answer.bytes_stream().boxed());
        Ok(())
    }

    /// The next one. Cancel-safe.
    ///
    /// # Errors
    /// When the peer is gone for good.
    pub async fn next(&mut self) -> Result<Told, Reason> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Ok(told);
            }
            let Some(stream) = &mut self.stream else {
                tokio::time::sleep_until(self.again).await;
                match self.open().await {
                    Ok(()) => {
                        self.tries = 0;
                        continue;
                    }
                    Err(reason) if self.tries == TRIES => return Err(reason),
                    Err(_) => {
                        self.tries += 1;
                        self.again = Instant::now() + AGAIN;
                        continue;
                    }
                }
            };
            match stream.next().await {
                Some(Ok(bytes)) if self.buffer.len() + bytes.len() <= EVENT_MAX => {
                    self.buffer.extend_from_slice(&bytes);
                    self.take();
                }
                _ => self.stream = None,
            }
        }
    }

    /// Takes whole events out of the buffer.
    fn take(&mut self) {
        while let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let data = event.lines().filter_map(|l| l.strip_prefix("data:"));
            let data: String = data.map(str::trim_start).collect::<Vec<_>>().join("\n");
            if event
                .lines()
                .any(|l| l.strip_prefix("event:").map(str::trim) == Some("missed"))
            {
                let missed = serde_json::from_str::<serde_json::Value>(&data).ok();
                let missed = missed.and_then(|v| v["missed"].as_u64());
                self.ready.push_back(Told::Missed(missed.unwrap_or(0)));
            } else if let Ok(one) = serde_json::from_str::<Numbered>(&data) {
                self.last = Some(one.id);
                self.ready.push_back(Told::Happening(Box::new(one)));
            }
        }
    }
}

/// A name that can stand in a path as it is.
fn word(id: &str) -> Result<&str, Reason> {
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(id);
    }
    let what = format!("{id:?} is no id: those are hexadecimal, or `last`");
    Err(Reason::new(
        "bad_request",
        what,
        "list jobs with `starling job ls`, peers with `starling peers`",
    ))
}

async fn json<T: DeserializeOwned>(answer: Response) -> Result<T, Reason> {
    // Read first: a peer that ends in mid-answer has not said something strange.
    let bytes = bytes(answer).await?;
    serde_json::from_slice(&bytes).map_err(|e| {
        if e.is_eof() {
            let mut reason = no_daemon();
            reason.what = "the peer's answer ends early: it was stopped meanwhile".into();
            return reason;
        }
        Reason::of("error", format!("the peer's answer is not understood: {e}"))
            .or_fix("use the same version of starling for the peer and this command")
    })
}

async fn bytes(answer: Response) -> Result<Vec<u8>, Reason> {
    answer.bytes().await.map(Vec::from).map_err(unreachable)
}

fn no_daemon() -> Reason {
    Reason::new(
        "no_daemon",
        "no peer runs in this home",
        "start one with `starling up`",
    )
}

fn unreachable(error: reqwest::Error) -> Reason {
    let mut reason = no_daemon();
    reason.what = format!("the peer does not answer: {error}");
    reason
}
