//! A media socket, from Zoom's side: the handshake, then packets on the stream's schedule once the client is ready.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rtms_protocol::{MediaKind, MsgType, peek_msg_type};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::handshake::{self, MediaGranted, Rejected};
use super::keep_alive::{Beat, KeepAlive, half_open};
use super::rubbish::{self, On};
use super::socket::{Receiver, Sender, Socket};
use crate::faults::{Cut, Rubbish};
use crate::player::{Grant, Player};
use crate::stream::{MediaSeat, Phase, Stage, Stream};

/// Messages written with one flush at most, so that a burst of buffered sound does not starve keep-alives.
const BURST: usize = 64;

/// Serves one media socket to its end.
pub(super) async fn serve(shared: Arc<Shared>, mut socket: Socket, server: u32, only: Option<MediaKind>) {
    let Ok(Some(first)) = timeout(shared.config.timing.handshake, socket.receiver.receive()).await else {
        return;
    };
    let MediaGranted { stream, seat, grant } = match handshake::media(&shared, server, only, &first) {
        Ok(granted) => granted,
        Err(Rejected::Cut(how)) => return shared.unanswered(socket, how).await,
        Err(Rejected::Refused(refused)) => {
            tracing::debug!(status = refused.code.name(), reason = %refused.reason, "media handshake refused");
            let answer = json!({"msg_type": 4, "protocol_version": 1, "status_code": refused.code.code(),
                "reason": refused.reason});
            if socket.sender.send(&answer).await.is_ok() {
                socket.end(Cut::Close).await;
            }
            return;
        }
    };
    // Seen: Zoom's own client gives up on an answer without `payload_encrypted`, which no document shows.
    let answer = json!({"msg_type": 4, "protocol_version": 1, "sequence": 1, "status_code": 0, "reason": "",
        "payload_encrypted": false, "media_params": grant.params});
    let seat_id = seat.id;
    // To encode a round of a voice takes longer than a packet may be late. Nobody waits for what is there already.
    let program = Arc::clone(&stream.program);
    let _ = tokio::task::spawn_blocking(move || program.render(&grant.params)).await;
    if socket.sender.send(&answer).await.is_ok() {
        let how = play(&shared, &stream, &mut socket, seat, &grant).await;
        if how == Cut::Silence {
            return half_open(&shared, &stream, socket, || stream.detach_media(seat_id)).await;
        }
        stream.detach_media(seat_id);
        socket.end(how).await;
    } else {
        stream.detach_media(seat_id);
    }
}

/// Plays until something ends the socket, and says how it is to end.
async fn play(
    shared: &Shared,
    stream: &Arc<Stream>,
    socket: &mut Socket,
    seat: MediaSeat,
    grant: &Grant,
) -> Cut {
    let mut player = None;
    let how = play_with(&mut player, shared, stream, socket, seat, grant).await;
    if let (Cut::Reset, Some(player)) = (how, &mut player) {
        player.reset();
    }
    how
}

async fn play_with(
    player: &mut Option<Player>,
    shared: &Shared,
    stream: &Arc<Stream>,
    Socket { sender, receiver }: &mut Socket,
    mut seat: MediaSeat,
    grant: &Grant,
) -> Cut {
    let (done, caught_up) = (Arc::clone(&seat.done), Arc::clone(&seat.caught_up));
    let mut stage = stream.stage.subscribe();
    let mut keep_alive = KeepAlive::begin(stream.timing);
    let mut timer = pin!(sleep_until(far()));
    let mut messages: Vec<Bytes> = Vec::with_capacity(BURST);
    loop {
        let phase = {
            let now = stage.borrow_and_update();
            let phase = now.phase;
            match player {
                Some(player) => player.update(&now),
                None if now.ready => {
                    let here = stream.clock.offset();
                    drop(now);
                    *player = Some(Player::begin(Arc::clone(stream), grant, here));
                }
                None => {}
            }
            phase
        };
        if phase == Phase::Closed {
            return Cut::Close;
        }
        // Asked by a waker of its own: while a packet leaves every 20 ms, nobody looks at what has not changed.
        let mut news = FuturesUnordered::new();
        news.push(listen(&mut seat, &mut stage, receiver, keep_alive.next()));
        let heard = loop {
            let next = player.as_ref().and_then(Player::next_due);
            if player.is_some() && next.is_none_or(|due| due > stream.clock.offset()) {
                stream.mark_caught_up(&caught_up);
            }
            // A client that has taken its seat is about to say that it is ready, and then gets what was buffered.
            if phase >= Phase::Draining && player.is_some() && next.is_none() {
                stream.mark_done(&done);
            }
            timer.as_mut().reset(next.map_or_else(far, |offset| stream.clock.due(offset)));
            tokio::select! {
                biased;
                Some(heard) = news.next() => break heard,
                () = &mut timer => {
                    if let Some(player) = player
                        && send_due(shared, stream, sender, player, &mut messages).await.is_err()
                    {
                        return Cut::Reset;
                    }
                }
            }
        };
        drop(news);
        match heard {
            Heard::Cut(how) => return how,
            Heard::Stage => {}
            Heard::Answer => keep_alive.answered(),
            Heard::Rubbish(what) => {
                if sender.send_frames(rubbish::frames(what, On::Media)).await.is_err() {
                    return Cut::Reset;
                }
            }
            Heard::Beat => match keep_alive.beat() {
                Beat::Ask(request) => {
                    if sender.send(&request).await.is_err() {
                        return Cut::Reset;
                    }
                }
                Beat::Dead => {
                    tracing::info!(stream = %stream.identity.stream_id, "media keep-alives are not answered; the socket is cut");
                    return Cut::End;
                }
            },
        }
    }
}

/// What there may be besides packets that are due.
enum Heard {
    /// The socket is to end like this.
    Cut(Cut),
    /// The stream's stage has changed.
    Stage,
    /// A keep-alive was answered.
    Answer,
    /// This is to be sent.
    Rubbish(Rubbish),
    /// A keep-alive is due.
    Beat,
}

/// Waits for it.
async fn listen(
    seat: &mut MediaSeat,
    stage: &mut watch::Receiver<Stage>,
    receiver: &mut Receiver,
    beat: Instant,
) -> Heard {
    loop {
        tokio::select! {
            biased;
            cut = seat.cut.changed() => {
                let how = *seat.cut.borrow();
                if cut.is_err() || how.is_some() {
                    return Heard::Cut(how.unwrap_or(Cut::Close));
                }
            }
            _ = stage.changed() => return Heard::Stage,
            message = receiver.receive() => match message {
                Some(message) if peek_msg_type(&message) == Some(MsgType::KeepAliveResponse) => {
                    return Heard::Answer;
                }
                Some(_) => {}
                None => return Heard::Cut(Cut::Close),
            },
            Some(what) = seat.rubbish.recv() => return Heard::Rubbish(what),
            () = sleep_until(beat) => return Heard::Beat,
        }
    }
}

/// Sends what is due now, at most one burst.
async fn send_due(
    shared: &Shared,
    stream: &Stream,
    sender: &mut Sender,
    player: &mut Player,
    messages: &mut Vec<Bytes>,
) -> Result<(), super::socket::Gone> {
    // tokio's timers are exact to 1 ms and never early; rounding must not make us wait for what is due now.
    let now_ms = stream.clock.offset() + 1;
    while messages.len() < BURST {
        let Some(due) = player.take_due(now_ms, messages) else { break };
        // What was due when the client came is not late: the clock may have stood still there for long.
        if due > player.live_ms {
            let late = Instant::now().saturating_duration_since(stream.clock.due(due));
            shared.lateness.record(u64::try_from(late.as_millis()).unwrap_or(u64::MAX));
        }
    }
    if messages.is_empty() {
        return Ok(());
    }
    sender.write(messages).await
}

fn far() -> Instant {
    Instant::now() + std::time::Duration::from_secs(86_400)
}
