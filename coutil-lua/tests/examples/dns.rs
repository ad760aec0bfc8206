//! Queries, good and bad.

use super::*;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::thread;

/// A query for a name.
fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut query = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        query.push(label.len().try_into().unwrap());
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    query
}

/// The code of an answer, and the data of its records.
fn records(answer: &[u8], asked: &[u8]) -> (u8, Vec<Vec<u8>>) {
    assert_eq!(answer[..2], asked[..2], "the number");
    assert_eq!(answer[2] & 0x85, 0x85, "an answer of ours, with the wish of the query");
    let mut found = Vec::new();
    let mut at = 12 + if answer[5] == 1 { asked.len() - 12 } else { 0 };
    for _ in 0..u16::from_be_bytes([answer[6], answer[7]]) {
        assert_eq!(answer[at..at + 2], [192, 12]);
        let length: usize = u16::from_be_bytes([answer[at + 10], answer[at + 11]]).into();
        found.push(answer[at + 12..at + 12 + length].to_vec());
        at += 12 + length;
    }
    assert_eq!(at, answer.len());
    found.sort();
    (answer[3] & 15, found)
}

#[test]
fn the_name_server_answers_and_survives_anything() {
    let server = Server::start("dns.lua", &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.connect(&server.address).unwrap();
    let mut buffer = [0; 2048];
    let mut ask = |message: &[u8]| {
        socket.send(message).unwrap();
        let count = socket.recv(&mut buffer).unwrap();
        buffer[..count].to_vec()
    };
    let mut number = 0;
    let mut look_up = |name: &str, kind: u16| {
        number += 1;
        let query = query(number, name, kind);
        records(&ask(&query), &query)
    };
    assert_eq!(look_up("web.example", 1), (0, vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2]]));
    assert_eq!(look_up("WWW.Web.Example.", 1), (0, vec![vec![192, 0, 2, 1]]));
    assert_eq!(look_up("web.example", 28).1[0][..4], [0x20, 1, 0x0d, 0xb8]);
    assert_eq!(look_up("web.example", 16).1[0][1..], *b"v=example A web server that does not exist.");
    assert_eq!(look_up("mail.example", 28), (0, vec![]));
    assert_eq!(look_up("nowhere.example", 1), (3, vec![]));
    assert_eq!(look_up("", 1), (3, vec![]));
    // Whatever is cut off, or changed, is answered or dropped.
    let good = query(7, "web.example", 1);
    for length in 12..good.len() {
        assert_eq!(ask(&good[..length])[3] & 15, 1, "{length} bytes");
    }
    let mut random = 1_u32;
    for _ in 0..5000 {
        let mut bad = good.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (random >> 8) as usize % bad.len();
            bad[at] = (random >> 24) as u8;
        }
        bad[2] |= 0x80; // so that nothing comes back, and the next answer is that of the next query
        socket.send(&bad).unwrap();
        bad[2] &= 0x7f;
        bad[..2].copy_from_slice(&[0, 9]);
        let answer = ask(&bad);
        assert_eq!((&answer[..2], answer[2] & 0x80), (&[0, 9][..], 0x80), "{bad:?}");
    }
    socket.send(b"").unwrap();
    socket.send(&good[..11]).unwrap();
    assert_eq!(records(&ask(&good), &good).0, 0);
    // Over TCP: several in one piece, and one in pieces.
    let mut stream = server.connect();
    let framed = [&u16::try_from(good.len()).unwrap().to_be_bytes()[..], &good].concat();
    stream.write_all(&framed.repeat(3)).unwrap();
    for byte in &framed {
        stream.write_all(&[*byte]).unwrap();
    }
    for _ in 0..4 {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(records(&answer, &good).1.len(), 2);
    }
}

#[test]
fn the_name_server_under_load() {
    let server = Server::start("dns.lua", &[]);
    thread::scope(|scope| {
        for client in 0..8_u16 {
            let address = &server.address;
            scope.spawn(move || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                socket.connect(address).unwrap();
                let mut buffer = [0; 512];
                for round in 0..1000 {
                    let asked = query(client * 1000 + round, "web.example", 1);
                    socket.send(&asked).unwrap();
                    let count = socket.recv(&mut buffer).unwrap();
                    assert_eq!(records(&buffer[..count], &asked).1.len(), 2);
                }
            });
        }
    });
}
