//! More than two parties: who is told how, heard where, and what they say and write.

use std::collections::{BTreeMap, BTreeSet};

use rtms_protocol::{Language, MediaKind, Product};
use rtms_simulator::pcm;
use rtms_simulator::scenario::{ChatAction, CueState, Scenario};
use serde_json::{Value, json};

use crate::flow::sound;
use crate::whole::{Whole, Wish};

async fn busy(product: Product, media_type: i64, params: Value) -> Whole {
    Wish::of(Scenario::busy(product, 24_000), media_type, params).taken().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_through_four_hands_each_on_a_channel() {
    let whole = busy(Product::ContactCenter, 9, json!({"audio": {"data_opt": 2}})).await;
    assert!(whole.played.complete);
    let heard = sound(&whole.played, &whole.packets);
    let mut channels = BTreeMap::new();
    for message in whole.messages.iter().filter(|m| m["msg_type"] == 14) {
        let content = &message["content"];
        channels.insert(content["channel_id"].as_str().unwrap(), content["user_name"].as_str().unwrap());
    }
    let expected =
        [("1", "Ines Calloway"), ("2", "Zoë Hartmann"), ("3", "Priya Raman"), ("4", "Tomás Ibarra")];
    assert_eq!(channels, BTreeMap::from(expected));
    for track in &whole.played.tracks {
        let who = track.party.as_ref().unwrap().user_id.to_string();
        assert!(heard[&who] == pcm::bytes(&track.pcm()), "{who}");
    }
    let events = whole.events();
    let of = |code: i64| {
        events.iter().find(|(c, _)| *c == code).unwrap().1["participant_info"]["channel_id"].clone()
    };
    assert_eq!((of(14), of(17), of(20), of(21)), (json!(3), json!(3), json!(4), json!(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mix_is_the_sum_of_whoever_is_heard() {
    let mixed = busy(Product::ContactCenter, 1, json!({"audio": {}})).await;
    let separate = busy(Product::ContactCenter, 1, json!({"audio": {"data_opt": 2}})).await;
    let tracks: Vec<Vec<i16>> = separate.played.tracks.iter().map(|track| track.pcm()).collect();
    assert_eq!(tracks.len(), 4);
    let sum = pcm::mix(&tracks.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert!(mixed.played.tracks[0].pcm() == sum);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_and_go_share_names_and_change_them() {
    let whole = busy(Product::Meeting, 1, json!({"audio": {"data_opt": 2}})).await;
    let mut names: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for message in &whole.messages {
        let content = &message["content"];
        names
            .entry(content["user_id"].to_string())
            .or_default()
            .insert(content["user_name"].as_str().unwrap());
    }
    assert_eq!(names["\"guest-7f3a\""], BTreeSet::from(["Ines Calloway", "Ines (Northwind)"]));
    assert_eq!(names["16778240"], names["16781312"], "two people of one name");
    let events = whole.events();
    let times = |code: i64, id: Value| -> Vec<i64> {
        let of = events.iter().filter(|(c, e)| *c == code && e["participants"][0]["user_id"] == id);
        of.map(|(_, e)| e["timestamp"].as_i64().unwrap() - whole.played.time_zero.0).collect()
    };
    assert_eq!(times(3, json!("guest-7f3a")), [400, 12_000], "comes, and comes back");
    assert_eq!(times(4, json!("guest-7f3a")), [9_000, 23_900]);
    assert_eq!(times(3, json!("16780288")), [2_000], "a number in the media is a text in events");
    let zero = whole.played.time_zero.0;
    let guest = whole.packets.iter().filter(|p| p.who == "guest-7f3a").map(|p| p.timestamp - zero);
    assert!(guest.into_iter().all(|at| (400..9_000).contains(&at) || at >= 12_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_come_before_they_are_final_and_in_their_languages() {
    let whole = busy(Product::Meeting, 8, json!({"transcript": {}})).await;
    let played = &whole.played;
    let contents: Vec<&Value> = whole.messages.iter().map(|message| &message["content"]).collect();
    assert_eq!(contents.len(), played.transcript.len());
    for (content, line) in contents.iter().zip(&played.transcript) {
        assert_eq!(
            (&content["data"], &content["attribute"]),
            (&json!(line.text), &json!(line.state.attribute()))
        );
        assert_eq!(
            (&content["start_time"], &content["end_time"]),
            (&json!(line.start.0), &json!(line.end.0))
        );
        assert_eq!(content["language"], line.language.code());
    }
    let states: BTreeSet<_> = played.transcript.iter().filter_map(|line| line.state.attribute()).collect();
    assert_eq!(states, BTreeSet::from(["correction", "final", "interim"]));
    let languages: BTreeSet<i64> = played.transcript.iter().map(|line| line.language.code()).collect();
    let expected =
        [Language::Arabic, Language::ChineseSimplified, Language::English, Language::Hebrew, Language::Hindi];
    assert_eq!(languages, expected.iter().map(|l| l.code()).collect());
    let resolved = played.resolved_transcript();
    let said: Vec<&str> = resolved.iter().map(|line| line.text.as_str()).collect();
    let first_words = "Hello, this is Northwind support. How can I help you?";
    assert_eq!(said.iter().filter(|text| **text == first_words).count(), 1);
    assert!(resolved.iter().all(|line| line.state != CueState::Interim));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_language_is_every_lines() {
    let params = json!({"transcript": {"src_language": 15, "enable_lid": false}});
    let whole = busy(Product::Meeting, 8, params).await;
    assert!(whole.messages.iter().all(|message| message["content"]["language"] == 15));
    assert!(whole.played.transcript.iter().all(|line| line.language == Language::Hebrew));
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_messages_are_changed_and_deleted() {
    let whole = Wish::usual(Product::Meeting, 20_000, 16, json!({"chat": {}})).taken().await;
    let chat = &whole.played.chat;
    assert_eq!(chat.len(), 6);
    assert!(whole.packets.iter().all(|packet| packet.kind == MediaKind::Chat));
    for (message, line) in whole.messages.iter().zip(chat) {
        let content = &message["content"];
        assert_eq!(
            (&content["data"], &content["message_id"], &content["attribute"], &content["timestamp"]),
            (&json!(line.text), &json!(line.id), &json!(line.action.attribute()), &json!(line.at.0))
        );
    }
    let did: Vec<ChatAction> = chat.iter().map(|line| line.action).collect();
    assert!(did.contains(&ChatAction::Update) && did.contains(&ChatAction::Delete));
}
