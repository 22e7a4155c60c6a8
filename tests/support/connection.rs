//! One connection: TLS, one HTTP request, one answer, however it is to be.

use super::behaviour::Behaviour;
use super::identity_provider::{DISCOVERY_PATH, Request, Shared};
use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// No connection is held longer than this by a silent client.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two bytes of a dripping answer.
const DRIP: Duration = Duration::from_millis(50);

/// Where an endless body ends after all.
const HUGE_BYTES: usize = 64 * 1024 * 1024;

/// A stream with or without TLS.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// An answer that is not odd in its framing.
struct Answer {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
}

pub(super) fn serve(tcp: TcpStream, shared: &Shared) -> io::Result<()> {
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    tcp.set_nodelay(true)?;
    if shared.state().behaviour == Behaviour::TlsStall {
        // Until the client gives up, or the provider stops.
        return io::copy(&mut &tcp, &mut io::sink()).map(|_| ());
    }
    let mut stream: Box<dyn Stream> = match &shared.tls {
        None => Box::new(tcp),
        Some(config) => {
            let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            Box::new(StreamOwned::new(connection, tcp))
        }
    };
    let request = read_request(&mut stream)?;
    let behaviour = shared.note(&request);
    if request.path == DISCOVERY_PATH {
        if let Behaviour::SlowEverywhere(time) = behaviour
            && !shared.pause(time)
        {
            return Ok(());
        }
        return send(&mut stream, discovery(&behaviour, shared));
    }
    keys(&mut stream, &request, &behaviour, shared)
}

fn read_request(stream: &mut Box<dyn Stream>) -> io::Result<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 || head.len() > 64 * 1024 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Ok(Request {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        headers,
    })
}

fn discovery(behaviour: &Behaviour, shared: &Shared) -> Answer {
    let issuer = shared.issuer();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "jwks_uri": format!("{issuer}{}", super::identity_provider::JWKS_PATH),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    let mut status = 200;
    match behaviour {
        Behaviour::WrongDiscoveryIssuer => document["issuer"] = json!("https://other.example"),
        Behaviour::JwksUri(uri) => document["jwks_uri"] = json!(uri),
        Behaviour::DiscoveryStatus(other) => status = *other,
        _ => {}
    }
    Answer::new(status, document.to_string())
}

fn keys(
    stream: &mut Box<dyn Stream>,
    request: &Request,
    behaviour: &Behaviour,
    shared: &Shared,
) -> io::Result<()> {
    let Some((body, version)) = shared.key_set(&request.path) else {
        return send(stream, Answer::new(404, "{}"));
    };
    match behaviour {
        Behaviour::Slow(time) | Behaviour::SlowEverywhere(time) if !shared.pause(*time) => {
            return Ok(());
        }
        Behaviour::Reset => return Ok(()),
        Behaviour::NotHttp => return stream.write_all(b"SSH-2.0-test\r\n\r\n"),
        Behaviour::DripHeader => return drip(stream, b"HTTP/1.1 200 OK\r\nX-Drip: ", shared),
        Behaviour::Drip => {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n";
            stream.write_all(head.as_bytes())?;
            return drip(stream, body.as_bytes(), shared);
        }
        Behaviour::Truncated => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body.as_bytes()[..body.len() / 2])?;
            return stream.flush();
        }
        Behaviour::Huge => return endless(stream),
        _ => {}
    }
    send(stream, answer(request, behaviour, body, version))
}

/// What a request for keys is answered with, where only the answer matters.
fn answer(request: &Request, behaviour: &Behaviour, body: String, version: u64) -> Answer {
    let etag = format!("\"v{version}\"");
    let modified = format!("Thu, 01 Jan 2026 00:00:{:02} GMT", version % 60);
    let is_known = if *behaviour == Behaviour::LastModifiedOnly {
        request.header("if-modified-since") == Some(modified.as_str())
    } else {
        request.header("if-none-match") == Some(etag.as_str())
    };
    let mut answer = Answer::new(200, body);
    match behaviour {
        Behaviour::Garbage => answer.body = (0..=255).rev().collect(),
        Behaviour::Html => answer.body = b"<!DOCTYPE html><title>Welcome</title>".to_vec(),
        Behaviour::EmptyBody => answer.body.clear(),
        Behaviour::EmptySet => answer.body = b"{\"keys\":[]}".to_vec(),
        Behaviour::Status(status) => answer.status = *status,
        Behaviour::Redirect(to) => {
            answer.status = 302;
            answer.headers.push(format!("Location: {to}"));
        }
        Behaviour::HugeHeader => {
            answer
                .headers
                .push(format!("X-Large: {}", "x".repeat(64 * 1024)));
        }
        Behaviour::OddKeys => answer.body = with_odd_keys(&answer.body, true),
        Behaviour::OnlyOddKeys => answer.body = with_odd_keys(&answer.body, false),
        Behaviour::ClaimsGzip => answer.headers.push("Content-Encoding: gzip".to_owned()),
        Behaviour::WrongEtag304 => answer = Answer::new(304, ""),
        _ if is_known => answer = Answer::new(304, ""),
        _ => {}
    }
    match behaviour {
        Behaviour::LastModifiedOnly => answer.headers.push(format!("Last-Modified: {modified}")),
        _ => answer.headers.push(format!("ETag: {etag}")),
    }
    if let Behaviour::MaxAge(seconds) = behaviour {
        answer
            .headers
            .push(format!("Cache-Control: public, max-age={seconds}"));
    }
    answer
}

/// The published keys between keys of unknown kinds, weak ones, secret ones and no keys at all.
fn with_odd_keys(body: &[u8], keep: bool) -> Vec<u8> {
    let published: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut keys = vec![
        json!({"kty": "LMS", "kid": "unknown"}),
        json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}),
        json!({"kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB"}),
    ];
    if keep {
        keys.extend(published["keys"].as_array().cloned().unwrap_or_default());
    }
    keys.push(json!({"kty": "EC", "kid": "off the curve", "crv": "P-256", "x": "AA", "y": "AA"}));
    keys.push(json!("no object"));
    json!({ "keys": keys }).to_string().into_bytes()
}

impl Answer {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }
}

fn send(stream: &mut Box<dyn Stream>, answer: Answer) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Test\r\nConnection: close\r\n", answer.status);
    head.push_str("Content-Type: application/json\r\n");
    for header in &answer.headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    if !matches!(answer.status, 204 | 304) {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if !matches!(answer.status, 204 | 304) {
        stream.write_all(&answer.body)?;
    }
    stream.flush()
}

/// Sends these bytes again and again, one at a time.
fn drip(stream: &mut Box<dyn Stream>, bytes: &[u8], shared: &Shared) -> io::Result<()> {
    for byte in bytes.iter().cycle().take(100_000) {
        stream.write_all(&[*byte])?;
        stream.flush()?;
        if !shared.pause(DRIP) {
            break;
        }
    }
    Ok(())
}

fn endless(stream: &mut Box<dyn Stream>) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    let chunk = " ".repeat(16 * 1024);
    for _ in 0..HUGE_BYTES / chunk.len() {
        stream.write_all(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes())?;
    }
    Ok(())
}
