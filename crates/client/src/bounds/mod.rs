//! What one connection, and all connections together, may cost.
//!
//! tungstenite ends the connection at a message over its limit, keeps no count of messages, and knows nothing of the
//! other connections. So a [`Bounded`] stands between it and the bytes: it follows the frames, lets a message that is
//! not to be kept stream by ([`frames`]), makes a peer that sends too many wait ([`rate`]), and counts what large
//! messages of all connections take ([`room`]). It refuses to look into a payload.

mod frames;
mod rate;
mod room;
mod stream;

pub(crate) use frames::skipped;
pub(crate) use rate::Rate;
pub(crate) use room::Room;
pub(crate) use stream::Bounded;

/// The bounds of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// The largest message that is kept, in bytes.
    pub(crate) max_message_bytes: usize,
    /// Frames that may come in a second.
    pub(crate) rate: Rate,
    /// What large messages of all connections may take together.
    pub(crate) room: Room,
}

#[cfg(test)]
mod tests;
