//! The kept inputs, `fuzz/corpus/NAME/*`, through the same bodies as the fuzz targets.

use std::fs;
use std::path::Path;

use rtms_fuzz_bodies::BODIES;

#[test]
fn kept_inputs_keep_their_promises() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, body) in BODIES {
        let folder = corpus.join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 3, "{name} has hardly any inputs");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let kept = std::panic::catch_unwind(|| body(&bytes));
            assert!(kept.is_ok(), "{} breaks a promise, see above", file.display());
        }
    }
}

#[test]
fn no_bytes_at_all_are_an_input_too() {
    for (_, body) in BODIES {
        body(&[]);
        body(&[0; 64]);
        body(&[0xff; 64]);
    }
}
