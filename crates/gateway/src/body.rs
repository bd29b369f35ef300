//! Reading a stranger's body without giving it our memory.
//!
//! A body may have 1 MiB, but Zoom's have a few hundred bytes: what grows beyond [`SMALL`] needs one of few
//! places. What is too large is still read for a while (and thrown away), because a client that is cut off
//! while it sends often never sees the 413.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

/// The largest body, in bytes.
const LARGEST: usize = 1024 * 1024;
/// Up to here a body is read without asking for a place, in bytes.
const SMALL: usize = 64 * 1024;
/// Bodies beyond [`SMALL`] at the same time.
const PLACES: usize = 32;
/// As much of a body that is too large is read and thrown away, in bytes.
const DRAINED: usize = 8 * LARGEST;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// More than 1 MiB.
    #[error("the body is larger than 1 MiB")]
    TooLarge,
    /// Too many large bodies at the same time.
    #[error("too many large bodies at the same time, try again")]
    Crowded,
    /// The connection broke, or the framing is wrong.
    #[error("the body could not be read")]
    Broken,
}

/// Reads bodies for one listener.
pub(crate) struct BodyReader {
    places: Semaphore,
}

impl BodyReader {
    pub(crate) fn new() -> Self {
        Self { places: Semaphore::new(PLACES) }
    }

    /// The whole body, or why not.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, BodyError> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse::<usize>().ok())
            .unwrap_or_default();
        if announced > DRAINED {
            return Err(BodyError::TooLarge);
        }
        let mut chunks = body.into_data_stream();
        let mut kept = Vec::new();
        let mut length = 0_usize;
        let mut place = None;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| BodyError::Broken)?;
            length = length.saturating_add(chunk.len());
            if length > DRAINED {
                break;
            }
            if length.max(announced) > LARGEST {
                kept = Vec::new();
                continue;
            }
            if length > SMALL && place.is_none() {
                place = Some(self.places.try_acquire().map_err(|_| BodyError::Crowded)?);
            }
            kept.extend_from_slice(&chunk);
        }
        if length.max(announced) > LARGEST { Err(BodyError::TooLarge) } else { Ok(Bytes::from(kept)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(size: usize) -> Result<usize, BodyError> {
        BodyReader::new().read(&HeaderMap::new(), Body::from(vec![7_u8; size])).await.map(|body| body.len())
    }

    #[tokio::test]
    async fn one_mebibyte_and_not_a_byte_more() {
        assert_eq!(read(0).await, Ok(0));
        assert_eq!(read(LARGEST).await, Ok(LARGEST));
        assert_eq!(read(LARGEST + 1).await, Err(BodyError::TooLarge));
        assert_eq!(read(DRAINED + 1).await, Err(BodyError::TooLarge));
    }

    #[tokio::test]
    async fn large_bodies_share_few_places() {
        let reader = BodyReader::new();
        let all = reader.places.acquire_many(u32::try_from(PLACES).unwrap()).await.unwrap();
        let large = || Body::from(vec![7_u8; SMALL + 1]);
        assert_eq!(reader.read(&HeaderMap::new(), large()).await, Err(BodyError::Crowded));
        assert!(reader.read(&HeaderMap::new(), Body::from("small")).await.is_ok());
        drop(all);
        assert!(reader.read(&HeaderMap::new(), large()).await.is_ok());
    }
}
