//! A disk that is full or hangs for a while: streams stay connected, a hole is silence, and what comes after is in its
//! place.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::crash::{Place, Worker, holes, play, system_with_process};
use crate::system::{Setup, System};

/// Files may be this long while the disk is full, bytes: about three seconds of one party.
const FULL_AT: u64 = 100_000;

async fn until_health(system: &System, status: &str, within: Duration) -> Value {
    let began = Instant::now();
    loop {
        let (_, health) = system.get("/health").await;
        if health["status"] == status {
            return health;
        }
        assert!(began.elapsed() < within, "not {status}: {health}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_a_hole_and_nothing_else() {
    const COUNT: usize = 3;
    let (system, worker) = system_with_process("handover").await;
    let system = Arc::new(system);
    worker.limit_files(Some(FULL_AT));
    let calls = play(&system, COUNT, 24_000);
    worker.until_streaming(&system, COUNT, Duration::from_secs(10)).await;
    let health = until_health(&system, "degraded", Duration::from_secs(10)).await;
    assert!(health["reason"].as_str().is_some_and(|reason| reason.contains("audio")), "{health}");
    assert_eq!(health["activeEngagements"], COUNT);
    // The stereo files are full first. The parties' own follow, and then what a writer gathers meanwhile is used up.
    tokio::time::sleep(Duration::from_secs(5)).await;
    worker.until_streaming(&system, COUNT, Duration::from_secs(1)).await;
    worker.limit_files(None);
    until_health(&system, "ok", Duration::from_secs(20)).await;
    for call in calls {
        let outcome = call.await.unwrap();
        let manifest = system.finished(&outcome.played.identity.stream_id).await;
        assert_eq!(manifest["state"], "complete", "{}", worker.log(&system));
        let holes = holes(&system, &manifest, &outcome);
        assert!(holes.iter().any(|&hole| hole > 16_000), "the disk was full for seconds: {holes:?}");
        assert!(holes.iter().all(|&hole| hole < 16_000 * 12), "it was well again before the end: {holes:?}");
        assert!(manifest["dropped"]["disk"].as_u64().unwrap() > 0, "{manifest:#}");
        let transcript = manifest["tracks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|track| track["kind"] == "transcript")
            .unwrap();
        let text = std::fs::read_to_string(system.data().join(transcript["file"].as_str().unwrap())).unwrap();
        for said in &outcome.played.transcript {
            assert!(text.contains(&said.text), "no word is lost: {} is not in\n{text}", said.text);
        }
    }
    drop(worker);
}

/// A file system of its own at a folder, which can be made to hang.
struct Volume {
    at: PathBuf,
    /// The planned end of a hang: without it the file system cannot be unmounted.
    thaw: Option<Child>,
}

impl Volume {
    /// `None` where this user may not mount one.
    fn mount(image: &Path, at: &Path) -> Option<Self> {
        let ran = |program: &str, arguments: &[&str]| {
            Command::new(program)
                .args(arguments)
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        std::fs::File::create(image).unwrap().set_len(64 * 1024 * 1024).unwrap();
        std::fs::create_dir_all(at).unwrap();
        let (image, folder) = (image.to_str().unwrap(), at.to_str().unwrap());
        let made = ran("mkfs.ext4", &["-q", image]) && ran("mount", &["-o", "loop", image, folder]);
        made.then(|| Self { at: at.to_path_buf(), thaw: None })
    }

    /// Lets every write hang for so many seconds from now on. A process of its own begins and ends it: nothing that goes
    /// wrong here can leave it hanging.
    fn hang(&mut self, seconds: u32) {
        let folder = self.at.to_str().unwrap();
        let hang = format!("fsfreeze -f '{folder}' && echo frozen; sleep {seconds}; fsfreeze -u '{folder}'");
        let mut thaw = Command::new("sh").args(["-c", &hang]).stdout(Stdio::piped()).spawn().unwrap();
        // To freeze takes as long as to write what waits, on a busy disk seconds.
        let mut said = String::new();
        std::io::BufReader::new(thaw.stdout.take().unwrap()).read_line(&mut said).unwrap();
        self.thaw = Some(thaw);
        assert_eq!(said, "frozen\n");
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if let Some(mut thaw) = self.thaw.take() {
            drop(thaw.wait());
        }
        drop(Command::new("umount").arg("-l").arg(&self.at).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_for_seconds_costs_nothing() {
    let place = Place::own();
    // Zoom cuts whoever misses three of these: three seconds, and the disk hangs for six.
    let setup = Setup::default().speed(1.0).keep_alive(Duration::from_secs(1));
    let system = setup.worker_elsewhere(&place.url()).start().await;
    let Some(mut volume) = Volume::mount(&system.folder().join("image"), &system.data()) else {
        eprintln!("NOT TESTED, this user may not mount a file system, or there is no loop device");
        return;
    };
    let worker = Worker::start(&system, place, "handover").await;
    let system = Arc::new(system);
    let calls = play(&system, 3, 16_000);
    worker.until_streaming(&system, 3, Duration::from_secs(10)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    volume.hang(6);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (_, health) = system.get("/health").await;
    assert_eq!(health["activeEngagements"], 3, "it answers while the disk hangs: {health}");
    for call in calls {
        let outcome = call.await.unwrap();
        let manifest = system.finished(&outcome.played.identity.stream_id).await;
        assert_eq!(manifest["state"], "complete", "{}", worker.log(&system));
        assert_eq!(manifest["interruptions"], serde_json::json!([]), "keep-alives were answered");
        assert_eq!(holes(&system, &manifest, &outcome), [0, 0], "{}", worker.log(&system));
    }
    drop(worker);
}
