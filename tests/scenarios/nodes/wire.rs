//! A wire between a server and what it needs: it passes everything on, hangs, refuses, or answers nonsense.
//! Nodes are cut off from their store with it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Through,
    /// Connections stand, and nothing comes over them.
    Hangs,
    /// Nobody listens.
    Refuses,
    /// Octets come that mean nothing.
    Babbles,
}

/// A wire. It ends when it is dropped.
pub(crate) struct Wire {
    port: u16,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Wire {
    /// To a port of loopback.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (here, mode) = (listener.local_addr().unwrap(), watch::Sender::new(Mode::Through));
        let there = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let task = tokio::spawn(listen(listener, here, there, mode.subscribe()));
        Self { port: here.port(), mode, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on. Connections that stand are hung, cut or babbled at, too.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(first: TcpListener, here: SocketAddr, there: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let mut listener = Some(first);
    loop {
        if *mode.borrow_and_update() == Mode::Refuses {
            listener = None;
            mode.changed().await.unwrap();
            continue;
        }
        let heard = match listener.take() {
            Some(heard) => heard,
            None => TcpListener::bind(here).await.unwrap(),
        };
        tokio::select! {
            accepted = heard.accept() => {
                tokio::spawn(carry(accepted.unwrap().0, there, mode.clone()));
            }
            changed = mode.changed() => changed.unwrap(),
        }
        listener = Some(heard);
    }
}

/// One connection, until the mode changes.
async fn carry(mut client: TcpStream, there: SocketAddr, mut mode: watch::Receiver<Mode>) {
    if *mode.borrow_and_update() == Mode::Through {
        let Ok(mut server) = TcpStream::connect(there).await else { return };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            changed = mode.changed() => if changed.is_err() { return },
        }
    }
    let now = *mode.borrow_and_update();
    match now {
        // A connection of before is of no use any more.
        Mode::Through | Mode::Refuses => {}
        Mode::Hangs => drop(mode.changed().await),
        Mode::Babbles => {
            let _gone = client.write_all(&[0x7f; 512]).await;
            drop(mode.changed().await);
        }
    }
}
