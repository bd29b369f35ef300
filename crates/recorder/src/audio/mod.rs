//! Audio: packets to files on one timeline.
//!
//! [`format`] says what a payload becomes; [`wav`] and [`ogg`] write one file each, and [`sink`] chooses between them;
//! [`reorder`] puts RTP packets in order; [`tracks`] ties them to the timeline. What is derived from the parties' files:
//! [`combined`] and [`rebuild`] make the stereo or summed WAV, [`mixture`] the same of Opus, by reading samples with
//! [`pcm`]; [`sound`] is what a video takes as its sound.

pub(crate) mod combined;
pub(crate) mod encode;
pub(crate) mod format;
pub(crate) mod header;
pub(crate) mod lead;
pub(crate) mod mixture;
pub(crate) mod note;
pub(crate) mod ogg;
pub(crate) mod party;
pub(crate) mod pcm;
pub(crate) mod rebuild;
pub(crate) mod reorder;
pub(crate) mod resample;
pub(crate) mod sink;
pub(crate) mod sound;
pub(crate) mod tracks;
pub(crate) mod wav;
