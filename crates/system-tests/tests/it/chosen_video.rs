//! One participant's video, chosen while the stream runs.

use rtms_protocol::Product;
use rtms_simulator::faults::Faults;
use serde_json::json;

use crate::files::{packet_times, picture_digests};
use crate::system::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_a_choice_and_zooms_answer_is_told() {
    let system = Setup::default().worker("RTMS_VIDEO_STREAMS", "chosen").start().await;
    let program = system.simulator.usual_program(Product::Meeting, 24_000);
    let camera = program.scenario.cameras.first().expect("a camera is on");
    let user_id: i64 = program.scenario.parties[camera.party].user_id.to_string().parse().unwrap();
    let plan = system.plan(Product::Meeting, "m", "chosen", program, Faults::default());
    let choose = async {
        let shown = system.until_state("chosen", "streaming").await;
        assert!(shown.get("video_user_id").is_none(), "{shown}");
        let path = "/engagements/chosen/video";
        let (code, answer) = system.post(path, &json!({"user_id": 1})).await;
        assert_eq!((code, &answer["status"], &answer["code"]), (422, &json!("INVALID_PAYLOAD"), &json!(4)));
        assert!(answer["error"].as_str().unwrap().contains("INVALID_PAYLOAD"), "{answer}");
        for id in [json!(user_id), json!(user_id.to_string())] {
            let (code, answer) = system.post(path, &json!({"user_id": id})).await;
            assert_eq!((code, answer), (200, json!({"status": "chosen", "user_id": user_id.to_string()})));
        }
        let (_, shown) = system.get("/engagements/chosen").await;
        assert_eq!(shown["video_user_id"], user_id.to_string());
        assert_eq!(system.post(path, &json!({"user": 1})).await.0, 400);
        assert_eq!(system.post("/engagements/other/video", &json!({"user_id": 1})).await.0, 404);
    };
    let (outcome, ()) = tokio::join!(system.play(plan), choose);
    let recorded = system.recorded("chosen", outcome).await;
    let played = &recorded.outcome.played;
    let video = recorded.any_track("video");
    let file = recorded.file(video);
    let (first, offset) = (played.video[0].at, video["offset_ms"].as_i64().unwrap().max(0));
    let times: Vec<_> = played.video.iter().map(|picture| picture.at.since(first) + offset).collect();
    assert_eq!(packet_times(&file), times);
    assert_eq!(video["shown"][0]["user_id"], user_id.to_string());
    let source = system.data().join("source.h264");
    std::fs::write(&source, played.video.iter().flat_map(|p| p.bytes.iter().copied()).collect::<Vec<u8>>())
        .unwrap();
    assert_eq!(picture_digests(&file, None), picture_digests(&source, Some("h264")));
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_could_come_of_a_choice_it_is_refused_at_once() {
    let system = Setup::default().start().await;
    let program = system.simulator.usual_program(Product::Meeting, 24_000);
    let plan = system.plan(Product::Meeting, "m", "speaker", program, Faults::default());
    let choose = async {
        system.until_state("speaker", "streaming").await;
        let (code, answer) = system.post("/engagements/speaker/video", &json!({"user_id": 1})).await;
        assert_eq!(code, 409);
        assert!(answer["error"].as_str().unwrap().contains("RTMS_VIDEO_STREAMS=chosen"), "{answer}");
    };
    tokio::join!(system.play(plan), choose);
    system.finished("speaker").await;
    system.stop().await;
}
