//! Data folders: made for this user alone, and never opened or closed to others behind the operator's back.
//!
//! A folder that exists keeps its mode, since somebody may have meant it (a backup's group, a volume of a cluster).
//! What is made inside is private in any case; that others may enter is said once, at the start.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// Permission bits of the group and of everybody else.
const OTHERS: u32 = 0o077;

/// Makes `folder`, with those above it, for this user alone (0700). One that exists is left as it is.
///
/// # Errors
/// When it cannot be made.
pub fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// What an operator is to know where others may enter `folder`; `None` where they may not.
#[must_use]
pub fn open_to_others(folder: &Path) -> Option<String> {
    let mode = folder.metadata().ok()?.permissions().mode() & 0o777;
    (mode & OTHERS != 0)
        .then(|| format!("others may enter it (mode {mode:04o}); chmod 700 keeps it to this user"))
}

/// The good news of `check` about a folder that can be written.
#[must_use]
pub fn writable(folder: &Path) -> String {
    match open_to_others(folder) {
        Some(advice) => format!("can be written; {advice}"),
        None => "can be written".to_owned(),
    }
}

/// Warns where others may enter `folder`, the value of `variable`.
pub fn warn_if_open(variable: &str, folder: &Path) {
    if let Some(advice) = open_to_others(folder) {
        tracing::warn!(folder = %folder.display(), "{variable}: {advice}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions};

    use super::*;

    #[test]
    fn a_new_folder_is_ours_alone_and_an_old_one_keeps_its_mode() {
        let dir = tempfile::tempdir().expect("tempdir");
        let new = dir.path().join("a/b");
        make_private(&new).expect("made");
        for made in [&new, &dir.path().join("a")] {
            assert_eq!(made.metadata().expect("there").permissions().mode() & 0o777, 0o700);
            assert_eq!(open_to_others(made), None);
        }
        let old = dir.path().join("old");
        create_dir(&old).expect("made");
        for (mode, open) in [(0o755, true), (0o750, true), (0o701, true), (0o700, false)] {
            set_permissions(&old, Permissions::from_mode(mode)).expect("ours");
            make_private(&old).expect("exists");
            assert_eq!(old.metadata().expect("there").permissions().mode() & 0o777, mode);
            assert_eq!(open_to_others(&old).is_some(), open, "{mode:o}");
        }
    }
}
