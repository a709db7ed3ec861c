//! What happens, over a WebSocket (RFC 6455): each message in a text, and nothing that the client says but that it is there.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use hyper_tungstenite::WebSocketStream;
use hyper_tungstenite::tungstenite::Message as Sent;
use hyper_tungstenite::tungstenite::error::Error;
use hyper_tungstenite::tungstenite::protocol::frame::Frame;
use hyper_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use hyper_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio::io::AsyncWriteExt;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::event_form::Message;
use super::sse::HEARTBEAT;
use crate::gateway::{Ended, Events};
use crate::server::Upgraded;

/// At which heartbeat in a row without a sign of life a client is gone.
const MOST_SILENT: u8 = 3;

/// How long it may take to send a piece of a message. A client that is slower than this has been silent too.
const SEND_TIMEOUT: Duration = Duration::from_secs(45);

/// How many pings and pongs a client may send between two heartbeats; it is asked for one.
const MOST_HEARD: u16 = 64;

/// How long a client may take to take leave.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// The most bytes that are read at once, and of one message: nothing but a few bytes of control is expected.
const MOST_READ: usize = 1024;

/// More than any piece that is sent.
const MOST_UNSENT: usize = 256 * 1024;

type Socket = WebSocketStream<Upgraded>;

/// Why nothing more is told.
#[derive(Clone, Copy)]
enum End {
    /// The client has left, or does not answer.
    Gone,
    /// The client is told why.
    Told(CloseCode, &'static str),
}

/// Tells a client what happens, until either has enough.
pub(super) async fn speak(upgraded: Upgraded, mut events: Events) {
    let config = WebSocketConfig::default()
        .read_buffer_size(MOST_READ)
        .write_buffer_size(0)
        .max_write_buffer_size(MOST_UNSENT)
        .max_message_size(Some(MOST_READ))
        .max_frame_size(Some(MOST_READ));
    let mut socket = Socket::from_raw_socket(upgraded, Role::Server, Some(config)).await;
    let end = tell(&mut socket, &mut events).await;
    // Nothing is held any more for one who takes its time to leave.
    drop(events);
    let _gone = timeout(LEAVE_TIMEOUT, leave(socket, end)).await;
}

async fn tell(socket: &mut Socket, events: &mut Events) -> End {
    let mut beats = interval(HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats.reset();
    let (mut silent, mut heard) = (0, 0);
    loop {
        tokio::select! {
            biased;
            told = socket.next() => match told {
                Some(Ok(Sent::Ping(_) | Sent::Pong(_))) if heard < MOST_HEARD => {
                    (silent, heard) = (0, heard + 1);
                }
                Some(
                    Ok(Sent::Ping(_) | Sent::Pong(_) | Sent::Text(_) | Sent::Binary(_) | Sent::Frame(_))
                    | Err(Error::Capacity(_)),
                ) => return End::Told(CloseCode::Policy, "nothing is to be sent here"),
                Some(Ok(Sent::Close(_)) | Err(_)) | None => return End::Gone,
            },
            _ = beats.tick() => {
                (silent, heard) = (silent + 1, 0);
                if silent == MOST_SILENT {
                    return End::Gone;
                }
                if let Err(end) = send(socket, events, Sent::Ping(Bytes::new())).await {
                    return end;
                }
            }
            happened = events.next() => {
                let sent = match happened {
                    Ok(happened) => send_pieces(socket, events, Message::of(happened)).await,
                    Err(ended) => Err(ended.into()),
                };
                if let Err(end) = sent {
                    return end;
                }
            }
        }
    }
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Stopping => Self::Told(CloseCode::Away, "the gateway is stopping"),
            Ended::Revoked => Self::Told(CloseCode::Policy, "no longer permitted"),
        }
    }
}

/// Sends a message, each piece of it in a frame.
async fn send_pieces(
    socket: &mut Socket,
    events: &mut Events,
    mut message: Message,
) -> Result<(), End> {
    let mut kind = Data::Text;
    loop {
        let mut piece = BytesMut::new();
        let is_last = message.write(&mut piece);
        let frame = Frame::message(piece, OpCode::Data(kind), is_last);
        send(socket, events, Sent::Frame(frame)).await?;
        if is_last {
            return Ok(());
        }
        kind = Data::Continue;
    }
}

/// Sends a frame, for as long as the client is to be told anything.
async fn send(socket: &mut Socket, events: &mut Events, frame: Sent) -> Result<(), End> {
    let mut sending = pin!(timeout(SEND_TIMEOUT, socket.send(frame)));
    let sent = tokio::select! {
        sent = &mut sending => sent,
        ended = events.ended() => return Err(ended.into()),
    };
    sent.map_or(Err(End::Gone), |sent| sent.map_err(|_| End::Gone))
}

/// Takes leave, and waits until the client has too.
async fn leave(mut socket: Socket, end: End) {
    if let End::Told(code, reason) = end {
        let reason = reason.into();
        let _gone = socket
            .send(Sent::Close(Some(CloseFrame { code, reason })))
            .await;
    }
    // Who left first is answered by this.
    while let Some(Ok(_)) = socket.next().await {}
    let _gone = socket.get_mut().shutdown().await;
}
