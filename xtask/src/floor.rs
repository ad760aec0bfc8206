//! The system calls of some workloads and nothing else: no Lua, no event loop. They show which part of a time nobody can
//! do anything about.

use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// The workloads that there are.
pub(crate) const NAMES: &[&str] = &["bulk", "connect", "echo", "fileblock", "local", "pingpong", "upload"];

/// Runs one, and prints what its scripts print: seconds, processor seconds, messages.
pub(crate) fn floor(name: &str, count: u64) -> Result<()> {
    let (seconds, cpu, messages) = match name {
        "echo" => round_trips(connections(64)?, 512, 5, count)?,
        "pingpong" => round_trips(connections(1)?, 64, 64, count)?,
        "local" => round_trips(local_connections(64)?, 512, 5, count)?,
        "upload" => upload(count)?,
        "connect" => connect(count)?,
        "fileblock" => file(count)?,
        "bulk" => bulk(count)?,
        _ => bail!("there is no such workload"),
    };
    println!("{seconds:.6} {cpu:.6} {messages}");
    Ok(())
}

/// Both ends of some connections. They are what the scripts have: without delay, and reads never wait.
fn connections(count: usize) -> Result<Vec<(TcpStream, TcpStream)>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let connect = |_| {
        let client = TcpStream::connect(address)?;
        let (server, _) = listener.accept()?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
        }
        Ok((client, server))
    };
    (0..count).map(connect).collect()
}

/// The same, without a network.
fn local_connections(count: usize) -> Result<Vec<(UnixStream, UnixStream)>> {
    let pair = |_| {
        let (client, server) = UnixStream::pair()?;
        for stream in [&client, &server] {
            stream.set_nonblocking(true)?;
        }
        Ok((client, server))
    };
    (0..count).map(pair).collect()
}

/// All clients write, then all servers read and write, then all clients read: each thing is there when it is asked for.
fn round_trips<S: Read + Write>(
    mut connections: Vec<(S, S)>,
    request: usize,
    reply: usize,
    rounds: u64,
) -> Result<(f64, f64, u64)> {
    let mut buffer = vec![b'q'; request.max(reply)];
    let (start, busy) = (Instant::now(), processor()?);
    for _ in 0..rounds {
        for (client, _) in &mut connections {
            client.write_all(&buffer[..request])?;
        }
        for (_, server) in &mut connections {
            fill(server, &mut buffer[..request])?;
            server.write_all(&buffer[..reply])?;
        }
        for (client, _) in &mut connections {
            fill(client, &mut buffer[..reply])?;
        }
    }
    Ok((start.elapsed().as_secs_f64(), processor()? - busy, 2 * connections.len() as u64 * rounds))
}

/// Connections, 32 at a time: made, accepted, closed, and closed by the client when it has read the end.
fn connect(count: u64) -> Result<(f64, f64, u64)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (start, busy) = (Instant::now(), processor()?);
    let mut left = count;
    while left > 0 {
        let some = left.min(32);
        left -= some;
        let mut clients = (0..some).map(|_| TcpStream::connect(address)).collect::<Result<Vec<_>, _>>()?;
        for _ in 0..some {
            listener.accept()?;
        }
        for client in &mut clients {
            if client.read(&mut [0; 16])? != 0 {
                bail!("nobody sent anything");
            }
        }
    }
    Ok((start.elapsed().as_secs_f64(), processor()? - busy, count))
}

/// As many writes as fit, then as many reads as there is something to read.
fn upload(writes: u64) -> Result<(f64, f64, u64)> {
    let mut connections = connections(1)?;
    let (client, server) = &mut connections[0];
    let (data, mut buffer) = ([b'x'; 512], vec![0; 65536]);
    let (mut sent, mut received, all) = (0, 0, writes * 512);
    let (start, busy) = (Instant::now(), processor()?);
    while received < all {
        // As often as a loop goes on before it looks for news.
        for _ in 0..64 {
            if sent == all {
                break;
            }
            // What was written in part goes on where it was.
            match client.write(&data[(sent % 512) as usize..]) {
                Ok(bytes) => sent += bytes as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        match server.read(&mut buffer) {
            Ok(bytes) => received += bytes as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((start.elapsed().as_secs_f64(), processor()? - busy, writes))
}

/// Reads and writes of 512 bytes of a file, at offsets.
fn file(rounds: u64) -> Result<(f64, f64, u64)> {
    use std::os::unix::fs::FileExt;

    let path = std::env::temp_dir().join(format!("coutil-floor-{}", std::process::id()));
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.set_len(1 << 20)?;
    let mut buffer = [0; 512];
    let (start, busy) = (Instant::now(), processor()?);
    for round in 0..rounds {
        let offset = round % 2048 * 512;
        let written = file.write_at(&buffer, offset)?;
        if written != 512 || file.read_at(&mut buffer, offset)? != 512 {
            bail!("short");
        }
    }
    Ok((start.elapsed().as_secs_f64(), processor()? - busy, 2 * rounds))
}

/// Writes of a mebibyte, by a thread that waits in them, and reads by another one.
fn bulk(writes: u64) -> Result<(f64, f64, u64)> {
    let (mut client, mut server) = connections(1)?.remove(0);
    for stream in [&client, &server] {
        stream.set_nonblocking(false)?;
    }
    let data = vec![b'x'; 1 << 20];
    let (start, busy) = (Instant::now(), processor()?);
    let writer = std::thread::spawn(move || (0..writes).try_for_each(|_| client.write_all(&data)));
    let (mut buffer, mut received) = (vec![0; 1 << 20], 0);
    loop {
        match server.read(&mut buffer)? {
            0 => break,
            bytes => received += bytes as u64,
        }
    }
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    if received != writes << 20 {
        bail!("{received} bytes arrived");
    }
    Ok((start.elapsed().as_secs_f64(), processor()? - busy, writes))
}

/// Reads until the buffer is full.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> Result<()> {
    let mut length = 0;
    while length < buffer.len() {
        match stream.read(&mut buffer[length..]) {
            Ok(0) => bail!("the other end closed"),
            Ok(bytes) => length += bytes,
            // Rare: the loopback has it for us before `write` returns, unless it is busy.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The processor time of this process in seconds, to the hundredth that the system counts in.
fn processor() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name of the program, which may contain anything: the state is field 3, these are 14 and 15.
    let (_, fields) = text.rsplit_once(')').context("what is this process called?")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
