//! The web server.

use super::*;
use std::io::{Read, Write};

/// Reads one answer: its status line, its fields in lower case, and as many bytes as it says.
fn answer(reader: &mut impl BufRead, bare: bool) -> (String, Vec<String>, String) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.trim_end().to_owned();
    let (mut fields, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the answer ends early");
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        fields.push(line);
    }
    let mut body = vec![0; if bare { 0 } else { length }];
    reader.read_exact(&mut body).unwrap();
    (status, fields, String::from_utf8(body).unwrap())
}

#[test]
fn the_web_server_keeps_connections_and_answers_in_order() {
    let server = Server::start("http.lua", &[]);
    let mut stream = server.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    // Four requests at once, in two pieces that cut one of them.
    let requests = "GET / HTTP/1.1\r\nHost: x\r\n\r\n\
                    POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello there\
                    HEAD /time HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(&requests.as_bytes()[..70]).unwrap();
    let (status, _, body) = answer(&mut reader, false);
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("Coutil"), "{body}");
    stream.write_all(&requests.as_bytes()[70..]).unwrap();
    let (status, _, body) = answer(&mut reader, false);
    assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", "hello there"));
    assert_eq!(answer(&mut reader, true).0, "HTTP/1.1 200 OK");
    assert_eq!(answer(&mut reader, false).0, "HTTP/1.1 404 Not Found");
    // It can be ended from here.
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let (_, fields, _) = answer(&mut reader, false);
    assert!(fields.iter().any(|field| field == "connection: close"), "{fields:?}");
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn the_web_server_survives_bad_requests() {
    let server = Server::start("http.lua", &[]);
    for request in [
        "nonsense\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20)),
    ] {
        let mut stream = server.connect();
        // It may have answered, and gone, before it has read all of it.
        let _ = stream.write_all(request.as_bytes());
        let mut line = String::new();
        if BufReader::new(stream).read_line(&mut line).is_ok() && !line.is_empty() {
            assert!(line.starts_with("HTTP/1.1 4"), "{line}");
        }
    }
    // A client that goes in the middle of its request harms nobody.
    server.connect().write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(answer(&mut BufReader::new(stream), false).0, "HTTP/1.1 200 OK");
}
