//! An echo server: `cargo run --example echo [ADDRESS]`, and then `nc 127.0.0.1 7007`.

use coutil_system::{EventLoop, Result, TcpListener, TcpStream};
use std::net::SocketAddr;
use std::time::Duration;

async fn echo(stream: &TcpStream) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.shutdown().await,
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".to_owned());
    let Ok(address) = address.parse::<SocketAddr>() else {
        eprintln!("no address: {address}");
        std::process::exit(2);
    };
    let events = EventLoop::new()?;
    let listener = TcpListener::bind(&events, address)?;
    println!("listening on {}", listener.local_addr()?);
    events.block_on(async {
        loop {
            match listener.accept().await {
                Ok(stream) => events
                    .spawn(async move {
                        let peer = stream.peer_addr();
                        let outcome = echo(&stream).await;
                        println!("{peer:?}: {outcome:?}");
                    })
                    .detach(),
                Err(error) => {
                    // For lack of descriptors, as a rule: others give theirs back meanwhile.
                    eprintln!("not accepted: {error}");
                    events.sleep(Duration::from_millis(100)).await;
                }
            }
        }
    })?
}
