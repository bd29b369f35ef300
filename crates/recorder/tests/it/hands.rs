//! A Contact Center call that goes through several hands: monitored, taken over, transferred, on new channels and on the
//! same one.

use rtms_protocol::{AudioData, MediaKind, MediaPacket, Product, WireId};
use rtms_recorder::{Manifest, TrackEntry, repair_recording};
use serde_json::{Value, json};

use crate::support::{Bench, START, at, decoded, sound, track};

const CUSTOMER: Option<i64> = Some(1);
const AGENT: Option<i64> = Some(2);

fn tell(bench: &mut Bench, ms: i64, code: i64, (channel, user, name): (i64, &str, &str)) {
    // Zoom's documents write it either way.
    let key = if code % 2 == 0 { "participant_info" } else { "paticipant_info" };
    let who = json!({"channel_id": channel.to_string(), "user_id": user, "display_name": name});
    bench.event(ms, &json!({"event_type": code, key: who}));
}

const INES: (i64, &str, &str) = (1, "contact-1", "Ines");
const ANN: (i64, &str, &str) = (2, "user-a", "Ann");
const BOB: (i64, &str, &str) = (2, "user-b", "Bob");

fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 16]
}

fn file(manifest: &Manifest, name: &str) -> TrackEntry {
    let mut own = manifest.tracks.iter().filter(|track| track.display_name.as_deref() == Some(name));
    let one = own.next().unwrap_or_else(|| panic!("nothing of {name}: {:#?}", manifest.tracks)).clone();
    assert!(own.next().is_none(), "one file for {name}");
    one
}

fn sum(parties: &[&[i16]]) -> Vec<i16> {
    let length = parties.iter().map(|party| party.len()).max().unwrap();
    let at =
        |n: usize| parties.iter().map(|party| i32::from(party.get(n).copied().unwrap_or(0))).sum::<i32>();
    (0..length).map(|n| at(n).clamp(-32_768, 32_767) as i16).collect()
}

/// Ines talks to Ann, and from 2 s on to Bob, who has Ann's channel. The event comes when 200 ms of Bob are recorded.
fn a_transfer_on_one_channel(customer: &[i16], line: &[i16]) -> Bench {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    tell(&mut bench, 0, 8, INES);
    tell(&mut bench, 0, 10, ANN);
    bench.play(CUSTOMER, 0, customer);
    bench.play(AGENT, 0, &line[..2_200 * 16]);
    bench.flush(2_230);
    tell(&mut bench, 1_000, 12, ANN);
    tell(&mut bench, 1_500, 13, ANN);
    tell(&mut bench, 1_900, 18, BOB);
    tell(&mut bench, 2_000, 21, BOB);
    tell(&mut bench, 2_000, 10, BOB);
    tell(&mut bench, 2_001, 11, ANN);
    bench
}

#[test]
fn the_next_agent_on_the_same_channel_has_a_file_of_their_own() {
    let (customer, line) = (sound(1, 64_000), sound(2, 64_000));
    let mut bench = a_transfer_on_one_channel(&customer, &line);
    // Zoom repeats what was before the event: it is known as a repeat.
    bench.play(AGENT, 1_900, &line[1_900 * 16..3_000 * 16]);
    tell(&mut bench, 3_000, 12, BOB);
    tell(&mut bench, 3_400, 13, BOB);
    let mut said = MediaPacket::new(MediaKind::Transcript, at(3_000), "It is Bob now");
    said.channel_id = Some(WireId::Number(2));
    bench.rec().media(at(3_030), &said).unwrap();
    said.timestamp = at(1_000);
    said.data = "That was Ann".into();
    bench.rec().media(at(3_040), &said).unwrap();
    bench.play(AGENT, 3_000, &line[3_000 * 16..]);
    let manifest = bench.finish(4_100);

    let (ann, bob) = (file(&manifest, "Ann"), file(&manifest, "Bob"));
    assert!(
        ann.file.ends_with("000Z_agent.wav") && bob.file.ends_with("000Z_agent_2.wav"),
        "{ann:?} {bob:?}"
    );
    let (of_ann, of_bob) = (decoded(&bench.path(&ann.file)), decoded(&bench.path(&bob.file)));
    assert_eq!(of_ann, line[..2_200 * 16]);
    assert_eq!(of_bob, [silence(2_200), line[2_200 * 16..].to_vec()].concat());
    assert_eq!((ann.channel_since, bob.channel_since), (None, Some(at(2_200))));
    assert_eq!((ann.user_id.as_deref(), bob.user_id.as_deref()), (Some("user-a"), Some("user-b")));
    assert_eq!(manifest.dropped.repeats, 15);
    let combined = decoded(&bench.path(&track(&manifest, "combined").file));
    assert_eq!(combined, sum(&[&customer, &of_ann, &of_bob]));

    let text = std::fs::read_to_string(bench.file("transcripts", ".txt")).unwrap();
    assert!(text.contains("Bob: It is Bob now") && text.contains("Ann: That was Ann"), "{text}");
    let totals = manifest.totals.as_ref().unwrap();
    let holds = |name: &str| {
        let of = |party: &&rtms_recorder::PartyTotals| party.display_name.as_deref() == Some(name);
        let party = totals.parties.iter().find(of).unwrap();
        (party.hold_count, party.hold_ms)
    };
    assert_eq!((holds("Ann"), holds("Bob"), holds("Ines")), ((1, 500), (1, 400), (0, 0)));
    assert_eq!(totals.parties.len(), 3);
    let people: Vec<_> = manifest
        .participants
        .iter()
        .map(|person| (person.display_name.as_deref().unwrap(), person.left_at.map(|at| at.0 - START)))
        .collect();
    assert_eq!(people, [("Ines", None), ("Ann", Some(2_001)), ("Bob", None)]);
    let events = std::fs::read_to_string(bench.path(&manifest.timeline.as_ref().unwrap().file)).unwrap();
    let holds: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["event"] == "hold")
        .collect();
    assert_eq!(holds[0]["channel_since"], Value::Null);
    assert_eq!(holds[1]["channel_since"], START + 2_200);
}

/// Sound and events come on two sockets: the first agent's sound may overtake the event that tells of them.
#[test]
fn the_first_agent_has_the_plain_name_whichever_socket_is_faster() {
    let line = sound(2, 64_000);
    for event_first in [true, false] {
        let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
        let introduce = |bench: &mut Bench| tell(bench, 0, 10, ANN);
        if event_first {
            introduce(&mut bench);
        }
        bench.play(AGENT, 0, &line[..320]);
        if !event_first {
            introduce(&mut bench);
        }
        bench.play(AGENT, 20, &line[320..2_000 * 16]);
        tell(&mut bench, 2_000, 10, BOB);
        bench.play(AGENT, 2_000, &line[2_000 * 16..]);
        let manifest = bench.finish(4_100);
        let (ann, bob) = (file(&manifest, "Ann").file, file(&manifest, "Bob").file);
        assert!(ann.ends_with("Z_agent.wav") && bob.ends_with("Z_agent_2.wav"), "{ann} {bob}");
        assert_eq!(decoded(&bench.path(&ann)), line[..2_000 * 16]);
    }
}

#[test]
fn a_channel_that_changed_hands_is_known_to_the_next_process() {
    let (customer, line) = (sound(1, 64_000), sound(2, 64_000));
    for before_his_first_word in [true, false] {
        let mut bench = a_transfer_on_one_channel(&customer, &line);
        if before_his_first_word {
            bench.die();
        } else {
            bench.play(AGENT, 2_200, &line[2_200 * 16..3_000 * 16]);
            bench.hand_over(3_100);
        }
        bench.resume(3_200);
        bench.play(AGENT, 2_200, &line[2_200 * 16..]);
        // The call goes back to Ann: her file goes on.
        tell(&mut bench, 4_000, 10, ANN);
        bench.play(AGENT, 4_000, &line[..320]);
        bench.flush(5_100);
        bench.die();
        let stored = rtms_recorder::manifests(bench.dir.path()).next().unwrap();
        let manifest = repair_recording(bench.dir.path(), &stored, at(9_000)).unwrap();
        let (ann, bob) = (file(&manifest, "Ann"), file(&manifest, "Bob"));
        let ann = decoded(&bench.path(&ann.file));
        assert_eq!(ann, [line[..2_200 * 16].to_vec(), silence(1_800), line[..320].to_vec()].concat());
        assert_eq!(decoded(&bench.path(&bob.file)), [silence(2_200), line[2_200 * 16..].to_vec()].concat());
        assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    }
}

#[test]
fn supervisor_and_second_agent_are_parties_with_a_role() {
    let (priya, tomas) = ((3, "user-s", "Priya"), (4, "user-t", "Tomás"));
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let voices: Vec<Vec<i16>> = (1..=4).map(|seed| sound(seed, 16_000)).collect();
    tell(&mut bench, 0, 8, INES);
    tell(&mut bench, 0, 10, ANN);
    bench.play(Some(1), 0, &voices[0]);
    bench.play(Some(2), 0, &voices[1]);
    // She listens, whispers, takes over, and is put down as an agent in what she does then.
    for (ms, code) in [(500, 14), (700, 15), (1_000, 16), (1_000, 17), (1_300, 12), (1_400, 13)] {
        tell(&mut bench, ms, code, priya);
    }
    tell(&mut bench, 1_000, 11, ANN);
    bench.play(Some(3), 1_000, &voices[2]);
    for (ms, code) in [(1_800, 18), (1_900, 20), (2_000, 21), (2_000, 10)] {
        tell(&mut bench, ms, code, tomas);
    }
    tell(&mut bench, 2_000, 11, priya);
    bench.play(Some(4), 2_000, &voices[3]);
    let manifest = bench.finish(3_100);
    let found: Vec<_> = manifest.tracks.iter().filter(|track| track.channel_id.is_some()).collect();
    let names: Vec<_> = found.iter().map(|track| track.file.rsplit_once("000Z_").unwrap().1).collect();
    assert_eq!(names, ["consumer.wav", "agent.wav", "supervisor.wav", "agent_2.wav"]);
    for (n, (track, voice)) in found.iter().zip(&voices).enumerate() {
        let late = [0, 0, 1_000, 2_000][n];
        assert_eq!(
            decoded(&bench.path(&track.file)),
            [silence(late), voice.clone()].concat(),
            "{}",
            track.file
        );
    }
    let totals = manifest.totals.unwrap();
    let roles: Vec<_> =
        totals.parties.iter().map(|p| (p.name.as_str(), p.display_name.as_deref().unwrap())).collect();
    let expected = [("consumer", "Ines"), ("agent", "Ann"), ("supervisor", "Priya"), ("agent", "Tomás")];
    assert_eq!(roles, expected);
    assert_eq!(totals.parties[2].hold_count, 1);
}

#[test]
fn who_is_the_customer_may_become_known_late_in_a_long_call() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let (agent, customer) = (sound(1, 1_600), sound(2, 1_600));
    for ms in [0, 130_000] {
        bench.play(AGENT, ms, &agent);
        bench.play(CUSTOMER, ms, &customer);
        bench.flush(ms + 200);
    }
    let path = bench.file("audio", "000Z.wav");
    tell(&mut bench, 130_100, 8, INES);
    bench.flush(131_500);
    assert_eq!(decoded(&path)[..2], [agent[0], customer[0]], "a long file is not made anew in mid-call");
    let manifest = bench.finish(132_000);
    let both = decoded(&path);
    assert_eq!(both[..2], [customer[0], agent[0]]);
    assert_eq!(both[130_000 * 32..130_000 * 32 + 2], [customer[0], agent[0]]);
    let sides = &track(&manifest, "combined").sides;
    assert!(sides[0].ends_with("_consumer.wav") && sides[1].ends_with("_2.wav"), "{sides:?}");
}
