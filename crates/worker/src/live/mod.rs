//! Listening in: the sound and the words of an engagement for machines, while it goes on.
//!
//! The engagement's task owns a `tap`. While nobody listens, a packet costs it one relaxed load. While somebody does,
//! the tap parses and decodes the packet once and puts it into the `ring` of each listener. What is shared between
//! the task and those who come and go is the `hall`: what is known of the stream, and the rings. On the other side one
//! task a listener takes from its ring and writes to its connection: `audio` a WebSocket, `words` server-sent events.
//!
//! A listener that is too slow loses packets, the oldest first, and is told how many. Nothing here ever waits for a
//! listener: not the engagement, not its recording, not another listener.
//!
//! It refuses to keep anything for whoever comes later: what was said before is in the recording.

mod audio;
mod hall;
mod heard;
mod listeners;
mod message;
mod packet;
mod ring;
mod tap;
mod upgrade;
mod words;

pub(crate) use audio::serve as serve_audio;
pub(crate) use hall::{Feed, Hall};
pub(crate) use listeners::{Listener, Listeners, Refused};
pub(crate) use tap::Tap;
pub(crate) use upgrade::upgrade;
pub(crate) use words::body as words_body;
