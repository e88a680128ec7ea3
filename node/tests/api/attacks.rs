//! What must not get in: other hosts, other origins, no token, and bodies that are too large, too slow or cut short.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use starling::api::scopes::{self, Scope};

use crate::{Served, served};

/// One request as raw text; the status and all that was said.
fn raw(served: &Served, request: String) -> (u16, String) {
    let mut stream = TcpStream::connect(served.server.address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it reads");
    answer(stream)
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    // A reset after the answer is an answer.
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    (
        status.unwrap_or_else(|| panic!("no answer: {text:?}")),
        text,
    )
}

pub(crate) fn request(served: &Served, line: &str, headers: &[&str]) -> (u16, String) {
    sent(served, line, headers, "")
}

fn sent(served: &Served, line: &str, headers: &[&str], body: &str) -> (u16, String) {
    let host = format!("Host: {}", served.server.address);
    let token = format!("Authorization: Bearer {}", served.token.text());
    let mut all: Vec<&str> = vec![line];
    let given = |name: &str| headers.iter().any(|h| h.starts_with(name));
    if !given("Host") {
        all.push(&host);
    }
    if !given("Authorization") {
        all.push(&token);
    }
    all.extend(headers.iter().filter(|h| !h.ends_with(": none")));
    all.push("Connection: close");
    raw(served, all.join("\r\n") + "\r\n\r\n" + body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_hosts_origins_and_tokens_are_refused() {
    let served = served(0).await;
    let port = served.server.address.port();
    let get = "GET /api/v1/status HTTP/1.1";
    let post = "POST /api/v1/jobs/last/cancel HTTP/1.1";
    let token = served.token.text().to_owned();
    let own = format!("Origin: http://127.0.0.1:{port}");
    let named = format!("Host: localhost:{port}");
    let six = format!("Host: [::1]:{port}");
    let other_port = format!("Host: localhost:{}", port.wrapping_add(1));
    let rebound = format!("Host: evil.example:{port}");
    let tricky = format!("Host: 127.0.0.1:{port}.evil.example");
    let short = format!("Authorization: Bearer {}", &token[..63]);
    let long = format!("Authorization: Bearer {token}0");
    let basic = format!("Authorization: Basic {token}");
    let in_url = format!("GET /api/v1/status?access_token={token} HTTP/1.1");
    let bare = format!("GET /api/v1/status?{token} HTTP/1.1");
    let cases: Vec<(&str, Vec<&str>, u16, &str)> = vec![
        (get, vec![], 200, "\"schema\":1"),
        (get, vec![&named], 200, ""),
        (get, vec![&six], 200, ""),
        (get, vec![&rebound], 403, "host_not_allowed"),
        (get, vec![&tricky], 403, "host_not_allowed"),
        (get, vec![&other_port], 403, "host_not_allowed"),
        (get, vec!["Host: localhost"], 403, "host_not_allowed"),
        (get, vec!["Authorization: none"], 401, "token_missing"),
        (get, vec!["Authorization: Bearer 00"], 401, "token_wrong"),
        (get, vec![&short], 401, "token_wrong"),
        (get, vec![&long], 401, "token_wrong"),
        (get, vec![&basic], 401, "token_missing"),
        (&in_url, vec![], 400, "token_in_url"),
        (&bare, vec!["Authorization: none"], 400, "token_in_url"),
        (post, vec!["Content-Length: 0"], 404, "unknown_job"),
        (post, vec!["Content-Length: 0", &own], 404, "unknown_job"),
        (
            post,
            vec!["Content-Length: 0", "Origin: http://evil.example"],
            403,
            "origin_not_allowed",
        ),
        (
            post,
            vec!["Content-Length: 0", "Origin: null"],
            403,
            "origin_not_allowed",
        ),
        (
            post,
            vec!["Content-Length: 0", "Sec-Fetch-Site: cross-site"],
            403,
            "origin_not_allowed",
        ),
        (
            "DELETE /api/v1/jobs/last HTTP/1.1",
            vec!["Origin: https://evil.example"],
            403,
            "origin_not_allowed",
        ),
        ("GET /api/v1/nothing HTTP/1.1", vec![], 404, "not_found"),
        // Its pages hold nothing of anybody.
        (
            "GET / HTTP/1.1",
            vec!["Authorization: none"],
            200,
            "default-src 'none'",
        ),
        (
            "GET / HTTP/1.1",
            vec!["Authorization: none", &rebound],
            403,
            "host_not_allowed",
        ),
        (
            "POST / HTTP/1.1",
            vec!["Authorization: none", "Content-Length: 0"],
            401,
            "token_missing",
        ),
        ("DELETE /api/v1/status HTTP/1.1", vec![], 405, "not_allowed"),
        (
            "GET /api/v1/jobs/..%2f..%2fetc HTTP/1.1",
            vec![],
            400,
            "bad_request",
        ),
        (
            "GET /api/v1/jobs/last/slices/-1/output HTTP/1.1",
            vec![],
            400,
            "",
        ),
    ];
    for (line, headers, status, says) in cases {
        let (got, text) = request(&served, line, &headers);
        assert!(
            got == status && text.contains(says),
            "{line} {headers:?}: {text}"
        );
        assert!(
            !text.contains(&token),
            "{line}: the token is never repeated"
        );
        if got != 200 && !says.is_empty() {
            assert!(text.contains("application/problem+json"), "{line}: {text}");
        }
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_too_large_too_slow_or_cut_short_are_refused() {
    let served = served(0).await;
    let json = "Content-Type: application/json";
    let large = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{json}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
        served.server.address,
        served.token.text(),
        2 << 20,
        " ".repeat(2 << 20)
    );
    let (status, text) = raw(&served, large);
    assert!(status == 413 && text.contains("body_too_large"), "{text}");
    for (body, kind) in [
        ("{", json),
        ("[]", json),
        ("{}", "Content-Type: text/plain"),
    ] {
        let request = format!(
            "POST /api/v1/jobs HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            served.server.address,
            served.token.text(),
            body.len()
        );
        let (status, text) = raw(&served, request);
        assert!(status == 400 && text.contains("bad_request"), "{text}");
    }
    let begun = |line: &str, len: u64| {
        let mut stream = TcpStream::connect(served.server.address).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout");
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\nContent-Length: {len}\r\n\r\nabc",
            served.server.address,
            served.token.text()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        stream
    };
    // Both wait at once.
    let (slow_post, slow_put) = (
        begun("POST /api/v1/jobs", 100),
        begun("PUT /api/v1/blobs", 100),
    );
    let cut = begun("PUT /api/v1/blobs", 100);
    cut.shutdown(Shutdown::Write).expect("open");
    let _ = tokio::task::spawn_blocking(move || answer(cut)).await;
    for slow in [slow_post, slow_put] {
        let (status, text) = tokio::task::spawn_blocking(move || answer(slow))
            .await
            .expect("an answer");
        assert!(status == 408 && text.contains("body_too_slow"), "{text}");
    }
    assert!(
        served.desk.node().blobs().list().is_empty(),
        "nothing half came in"
    );
    // Too long by a byte: refused before it is sent, and by its announcement.
    let refused = served.client.put_blob(vec![0_u8; (2 << 30) + 1]).await;
    assert_eq!(refused.expect_err("refused").code, "body_too_large");
    let long = begun("PUT /api/v1/blobs", (2 << 30) + 1);
    let (status, text) = tokio::task::spawn_blocking(move || answer(long))
        .await
        .expect("an answer");
    assert!(status == 413 && text.contains("body_too_large"), "{text}");
    for (len, bytes) in [(0, vec![]), (1, vec![9_u8])] {
        assert_eq!(
            served.client.put_blob(bytes).await.expect("stored").len,
            len
        );
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_come_too_slowly_are_cut_and_hold_nobody_up() {
    let served = served(0).await;
    let address = served.server.address;
    // One byte after the other, each in time, the whole never.
    let slow = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        let pause = Duration::from_millis(200);
        stream.set_read_timeout(Some(pause)).expect("a timeout");
        let endless = b"GET /api/v1/status HTTP/1.1\r\nX-Padding: "
            .iter()
            .chain(std::iter::repeat(&b'a'));
        for byte in endless.take(600) {
            let written = stream.write_all(&[*byte]);
            let gone = match stream.read(&mut [0; 1]) {
                Ok(_) => true,
                Err(e) => !matches!(
                    e.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ),
            };
            if written.is_err() || gone {
                return true;
            }
        }
        false
    });
    // More connections that say nothing than there are places: all are closed in time, and somebody else is served.
    let idle: Vec<_> = (0..150)
        .map(|_| TcpStream::connect(address).expect("it listens"))
        .collect();
    let (status, text) = request(&served, "GET /api/v1/status HTTP/1.1", &[]);
    assert_eq!(status, 200, "{text}");
    assert!(
        slow.join().expect("no panic"),
        "a slow head was waited for through two minutes"
    );
    for mut stream in idle {
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout");
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "closed");
    }
    let long = format!("X-Padding: {}", "a".repeat(64 * 1024));
    let (status, text) = request(&served, "GET /api/v1/status HTTP/1.1", &[&long]);
    assert_eq!(status, 431, "{text}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_after_the_last_number_or_says_what_is_missing() {
    let served = served(1).await;
    let stream = |line: &str, header: &str| {
        let mut stream = TcpStream::connect(served.server.address).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout");
        let head = format!(
            "GET {line} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{header}\r\n\r\n",
            served.server.address,
            served.token.text()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        stream
    };
    let until = |mut stream: TcpStream, text: &str| {
        let mut all = Vec::new();
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&all).contains(text) {
            let n = stream.read(&mut piece).expect("the stream goes on");
            assert!(n > 0, "{text:?}: {}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&piece[..n]);
        }
        String::from_utf8_lossy(&all).into_owned()
    };
    let feed = || {
        let address = "/ip4/127.0.0.1".into();
        let happening = starling::node::Happening::Listening { address };
        served.feed.push(starling::jobs::Side::Lender, happening);
    };
    (0..3).for_each(|_| feed());
    let last = served.feed.last();
    // The header counts more than the query.
    let header = format!("Last-Event-ID: {}", last - 1);
    let text = until(
        stream("/api/v1/events?after=0", &header),
        &format!("id: {last}\n"),
    );
    assert!(text.contains("text/event-stream"), "{text}");
    assert!(!text.contains(&format!("id: {}\n", last - 1)), "{text}");
    // As many as are kept push the first ones out.
    (0..4096).for_each(|_| feed());
    let text = until(stream("/api/v1/events?after=0", "X: y"), "\"missed\":");
    let (_, missed) = text.split_once("\"missed\":").expect("just seen");
    let digits: String = missed.chars().take_while(char::is_ascii_digit).collect();
    assert!(digits.parse().is_ok_and(|n: u64| n >= last), "{text}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_lists_every_resource_and_each_answers() {
    let served = served(0).await;
    let (_, text) = request(&served, "GET /api/v1/openapi.json HTTP/1.1", &[]);
    let body = text.split_once("\r\n\r\n").expect("a body").1;
    let body = body
        .lines()
        .find(|l| l.starts_with('{'))
        .expect("an object");
    let document: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 31, "{:?}", paths.keys());
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            let filled = path.replace("{id}", "feed").replace("{n}", "0");
            if path.ends_with("/events") {
                continue;
            }
            let line = format!("{} {filled} HTTP/1.1", method.to_uppercase());
            let (status, text) = request(&served, &line, &["Content-Length: 0"]);
            assert!(status < 500 && status != 405, "{line}: {text}");
            assert!(
                !text.contains("\"not_found\"")
                    || path.contains("peers")
                    // Without a shell behind it.
                    || text.contains("one of a command"),
                "{line}: {text}"
            );
        }
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_with_the_server() {
    let served = served(0).await;
    let mut events = served.client.events(None, None);
    events.open().await.expect("a stream");
    let address = served.server.address;
    let end = tokio::time::timeout(Duration::from_secs(20), served.end());
    end.await.expect("an open stream does not hold the server");
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(events.next().await.expect_err("gone").code, "no_daemon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browsers_session_is_opened_once_and_serves_the_peers_own_pages_only() {
    let served = served(0).await;
    let url = served.client.session_code().await.expect("a code").url;
    let code = url
        .split_once("/#code=")
        .expect("in the fragment")
        .1
        .to_owned();
    let own = format!("Origin: http://{}", served.server.address);
    let evil = "Origin: http://evil.example";
    let open = |code: &str, headers: &[&str]| {
        let body = format!("{{\"code\":\"{code}\"}}");
        let length = format!("Content-Length: {}", body.len());
        let kind = "Content-Type: application/json";
        let no_token = ["Authorization: none", kind, &length];
        let headers = [&no_token, headers].concat();
        sent(&served, "POST /api/v1/session HTTP/1.1", &headers, &body)
    };
    assert_eq!(open(&code, &[]).0, 403, "whose page asks?");
    assert_eq!(open(&code, &[evil]).0, 403);
    let (status, answer) = open(&"0".repeat(64), &[&own]);
    assert_eq!(status, 401);
    assert!(answer.contains("code_spent"), "{answer}");
    let (status, answer) = open(&code, &[&own]);
    assert_eq!(status, 204, "{answer}");
    let cookie = answer
        .lines()
        .find(|l| l.to_lowercase().starts_with("set-cookie:"));
    let cookie = cookie
        .expect("it is set")
        .split_once(": ")
        .expect("a value")
        .1;
    assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
    assert_eq!(open(&code, &[&own]).0, 401, "it is used up");

    let session = format!(
        "Cookie: theme=dark; {}",
        cookie.split(';').next().expect("a pair")
    );
    let of_other_port = session.replace("starling_", "starling_1");
    let get = "GET /api/v1/status HTTP/1.1";
    let post = "POST /api/v1/jobs/last/cancel HTTP/1.1";
    let none = "Authorization: none";
    let empty = "Content-Length: 0";
    for (line, headers, status, says) in [
        (get, vec![none, &session], 200, "\"schema\":1"),
        (get, vec![none, &of_other_port], 401, "token_missing"),
        (
            get,
            vec![none, "Cookie: starling_0=00"],
            401,
            "token_missing",
        ),
        (post, vec![none, &session, empty], 403, "origin_not_allowed"),
        (
            post,
            vec![none, &session, empty, evil],
            403,
            "origin_not_allowed",
        ),
        (post, vec![none, &session, empty, &own], 404, "unknown_job"),
        (
            "DELETE /api/v1/session HTTP/1.1",
            vec![none, &session],
            403,
            "origin_not_allowed",
        ),
        (
            "DELETE /api/v1/session HTTP/1.1",
            vec![none, &session, &own],
            204,
            "Max-Age=0",
        ),
        (get, vec![none, &session], 401, "session_over"),
    ] {
        let (found, answer) = request(&served, line, &headers);
        assert_eq!(found, status, "{line} {headers:?}: {answer}");
        assert!(answer.contains(says), "{line} {headers:?}: {answer}");
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_others_open_what_they_are_for_until_they_are_taken_back() {
    let served = served(1).await;
    let home = served.home.path().to_owned();
    let grant = |name: &str, scope| {
        let token = scopes::grant(&home, name, scope).expect("granted");
        format!("Authorization: Bearer {}", token.text())
    };
    let metrics = grant("prometheus", Scope::Metrics);
    let submit = grant("notebook", Scope::Submit);
    let cancel = "POST /api/v1/jobs/last/cancel HTTP/1.1";
    let empty = "Content-Length: 0";
    for (line, headers, status, says) in [
        (
            "GET /metrics HTTP/1.1",
            vec![metrics.as_str()],
            200,
            "starling_lending{} 1.0",
        ),
        (
            "GET /metrics HTTP/1.1",
            vec!["Authorization: none"],
            401,
            "token_missing",
        ),
        (
            "GET /metrics HTTP/1.1",
            vec![&submit],
            403,
            "scope_too_small",
        ),
        (
            "GET /api/v1/status HTTP/1.1",
            vec![&metrics],
            403,
            "scope_too_small",
        ),
        (
            "GET /api/v1/status HTTP/1.1",
            vec![&submit],
            200,
            "\"schema\":1",
        ),
        (cancel, vec![&submit, empty], 404, "unknown_job"),
        (
            "GET /api/v1/settings HTTP/1.1",
            vec![&submit],
            403,
            "scope_too_small",
        ),
        (
            "POST /api/v1/session/code HTTP/1.1",
            vec![&submit, empty],
            403,
            "scope_too_small",
        ),
        (
            "GET /healthz HTTP/1.1",
            vec!["Authorization: none"],
            200,
            "ok",
        ),
        (
            "GET /readyz HTTP/1.1",
            vec!["Authorization: none"],
            200,
            "ok",
        ),
        (
            "GET /healthz/../metrics HTTP/1.1",
            vec!["Authorization: none"],
            401,
            "",
        ),
    ] {
        let (found, answer) = request(&served, line, &headers);
        assert_eq!(found, status, "{line} {headers:?}: {answer}");
        assert!(answer.contains(says), "{line} {headers:?}: {answer}");
    }
    scopes::revoke(&home, "prometheus").expect("it is there");
    let (status, answer) = request(&served, "GET /metrics HTTP/1.1", &[&metrics]);
    assert!(status == 401 && answer.contains("token_wrong"), "{answer}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_streams_leaves_the_api_to_others() {
    let served = served(0).await;
    let open = || {
        let mut stream = TcpStream::connect(served.server.address).expect("it listens");
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).expect("a timeout");
        let head = format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            served.server.address,
            served.token.text()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("an answer");
        (String::from_utf8_lossy(&status[9..]).into_owned(), stream)
    };
    let flood: Vec<_> = (0..100).map(|_| open()).collect();
    let taken = flood.iter().filter(|(status, _)| status == "200").count();
    let refused = flood.iter().filter(|(status, _)| status == "429").count();
    assert_eq!((taken, refused), (32, 68));
    let (status, _) = request(&served, "GET /api/v1/status HTTP/1.1", &[]);
    assert_eq!(status, 200, "a flood of streams shut others out");
    drop(flood);
    // Its places are free again, once the server has noticed.
    let mut tries = 0;
    while open().0 != "200" {
        tries += 1;
        assert!(tries < 200, "places of closed streams stay taken");
        std::thread::sleep(Duration::from_millis(100));
    }
}
