//! One run of a recorder: begun, taken so many steps, ended.

use std::path::Path;

use crate::choices::Choices;

/// Plays a run in a data folder of its own, as `bytes` choose, and sees that nothing was written beside that folder.
pub(crate) fn play<R>(
    bytes: &[u8],
    most_steps: usize,
    begin: impl FnOnce(&Path, &mut Choices<'_>) -> R,
    step: impl Fn(R, &mut Choices<'_>) -> R,
    end: impl FnOnce(R),
) {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let mut choices = Choices::new(bytes);
    let mut run = begin(&parent.path().join("data"), &mut choices);
    for _ in 0..most_steps {
        if choices.is_done() {
            break;
        }
        run = step(run, &mut choices);
    }
    end(run);
    let outside = std::fs::read_dir(parent.path()).expect("the parent").count();
    assert_eq!(outside, 1, "something was written beside the data folder");
}
