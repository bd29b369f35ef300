//! Pictures, of cameras and of the screen share alike: H.264 to MP4, JPG and PNG to Matroska or to image files.

pub(crate) mod access_unit;
pub(crate) mod annexb;
pub(crate) mod boxes;
pub(crate) mod ebml;
pub(crate) mod image;
pub(crate) mod images;
pub(crate) mod index;
pub(crate) mod mkv;
pub(crate) mod mkv_cluster;
pub(crate) mod mkv_front;
pub(crate) mod mkv_sound;
pub(crate) mod moment;
pub(crate) mod mp4;
pub(crate) mod parameter_sets;
pub(crate) mod shown;
pub(crate) mod sink;
pub(crate) mod sound;
pub(crate) mod track;
