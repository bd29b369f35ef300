//! Pictures as messages, and the tracks that show them; made when they are first asked for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rtms_protocol::{MediaKind, MediaPacket, VideoCodec};

use super::{PLACEHOLDER, Template, base64};
use crate::scenario::{PictureSource, PictureTrack, Program, Whose};

#[derive(Debug, PartialEq, Eq, Hash)]
struct TrackKey {
    whose: Whose,
    codec: VideoCodec,
    fps: u8,
}

/// The pictures of one program.
#[derive(Debug, Default)]
pub(crate) struct PictureCache {
    tracks: Mutex<HashMap<TrackKey, Arc<PictureTrack>>>,
    messages: Mutex<HashMap<PictureSource, Template>>,
}

impl PictureCache {
    /// The track of somebody's pictures.
    pub(crate) fn track(
        &self,
        program: &Program,
        whose: Whose,
        codec: VideoCodec,
        fps: u8,
    ) -> Arc<PictureTrack> {
        let mut tracks = self.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        let lay_out = || Arc::new(PictureTrack::lay_out(program, whose, codec, fps));
        Arc::clone(tracks.entry(TrackKey { whose, codec, fps }).or_insert_with(lay_out))
    }

    /// The message of one picture; to clone one is cheap.
    pub(crate) fn message(&self, program: &Program, source: PictureSource, picture: &[u8]) -> Template {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.entry(source).or_insert_with(|| message(program, source, picture)).clone()
    }
}

fn message(program: &Program, source: PictureSource, picture: &[u8]) -> Template {
    let kind = if source.camera.is_some() { MediaKind::Video } else { MediaKind::Share };
    let party = &program.scenario.parties[source.party];
    let mut packet = MediaPacket::new(kind, PLACEHOLDER, base64(picture));
    packet.length = u32::try_from(picture.len()).ok();
    packet.user_id = Some(party.user_id.clone());
    packet.user_name = Some(Cow::Borrowed(party.name(source.name)));
    Template::render(&packet)
}
