//! Ogg Opus (RFC 3533, RFC 7845): the packets as Zoom sent them, in a container that players, browsers and speech
//! engines open.
//!
//! [`page`] is one page of the container; [`pages`] finds them in a file, also in one that was cut off; [`head`] are the
//! two pages a file begins with; [`writer`] writes a file that is whole after every page.
//!
//! Granule positions count all frames of 48 kHz up to a page's end. A player leaves out the first [`PRE_SKIP`] of them:
//! by so much an Opus decoder comes later than what went into the encoder, so sound lies in the file where it lay in
//! the call. A finished file ends in a packet of silence that pushes out the same number of frames at its end, and
//! whose granule position cuts off the rest. So seconds in the file are seconds of the call.

pub(crate) mod head;
pub(crate) mod packets;
pub(crate) mod page;
pub(crate) mod pages;
pub(crate) mod writer;

/// Delay of Zoom's Opus encoder, as of every common one: 6.5 ms, frames of 48 kHz. Packets that begin in mid-air need
/// a while to settle, but are worth more than a clean beginning: nothing that was said is left out.
pub(crate) const PRE_SKIP: u16 = 312;

/// Most frames that may be missing between two pages: more is damage. One day.
pub(crate) const MOST_HOLE: u64 = 86_400 * 48_000;
