use std::borrow::Cow;

use rtms_protocol::MediaKind;

use super::*;

fn event(name: &'static str, at: i64, participant: Participant) -> Event {
    Event {
        code: 0,
        name,
        timestamp: Some(UnixMillis(at)),
        participants: vec![participant],
        fields: serde_json::Map::new(),
    }
}

fn party(channel: &str, name: Option<&str>, role: Option<Role>) -> Participant {
    Participant { user_id: None, channel_id: Some(channel.into()), display_name: name.map(Into::into), role }
}

fn agent(channel: &str, user: &str, name: &str) -> Participant {
    Participant { user_id: Some(user.into()), ..party(channel, Some(name), Some(Role::Agent)) }
}

/// A packet at `ms` of a channel, a user, and with a name.
fn packet(
    ms: i64,
    channel: Option<i64>,
    user: Option<&'static str>,
    name: Option<&'static str>,
) -> MediaPacket<'static> {
    let mut packet = MediaPacket::new(MediaKind::Audio, UnixMillis(ms), "");
    packet.channel_id = channel.map(WireId::Number);
    packet.user_id = user.map(|id| WireId::Text(Cow::Borrowed(id)));
    packet.user_name = name.map(Cow::Borrowed);
    packet
}

fn names(people: &People) -> Vec<&str> {
    people.entries().iter().filter_map(|person| person.display_name.as_deref()).collect()
}

#[test]
fn a_channel_is_known_from_events_and_packets() {
    let mut people = People::default();
    people.seen(&packet(1, Some(7), Some("u"), Some("Ann")));
    people.learn(&event("CONSUMER_ANSWERED", 5, party("7", None, Some(Role::Consumer))));
    people.learn(&event("CONSUMER_END", 9, party("7", None, Some(Role::Consumer))));
    let [person] = people.entries() else { panic!("one person") };
    assert_eq!(person.display_name.as_deref(), Some("Ann"));
    assert_eq!(person.role, Some(Role::Consumer));
    assert_eq!((person.joined_at, person.left_at), (Some(UnixMillis(5)), Some(UnixMillis(9))));
    assert!(people.speaker(&packet(9, Some(7), None, None)).is_some());
    assert!(people.user("u").is_some());
}

#[test]
fn two_people_may_share_a_name() {
    let mut people = People::default();
    people.learn(&event("USER_ANSWERED", 1, party("1", Some("Ann"), Some(Role::Agent))));
    people.learn(&event("USER_ANSWERED", 2, party("2", Some("Ann"), Some(Role::Agent))));
    assert_eq!(people.entries().len(), 2);
}

#[test]
fn the_number_kept_is_bounded() {
    let mut people = People::default();
    let refused: u64 = (0..PEOPLE_KEPT + 3)
        .map(|n| people.learn(&event("USER_ANSWERED", 1, party(&n.to_string(), None, None))))
        .sum();
    assert_eq!((people.entries().len(), refused), (PEOPLE_KEPT, 3));
}

#[test]
fn the_ids_of_packets_and_of_events_are_two_worlds() {
    let mut people = People::default();
    people.seen(&packet(1, Some(2), Some("16778240"), Some("Zoë")));
    people.learn(&event("USER_ANSWERED", 2, agent("2", "szCyubr", "Zoë Hartmann")));
    people.seen(&packet(3, Some(2), Some("16778240"), Some("zoe@example.com")));
    people.learn(&event("USER_HOLD", 4, agent("2", "szCyubr", "Zoë Hartmann")));
    let [person] = people.entries() else { panic!("one person: {:?}", people.entries()) };
    assert_eq!(person.user_id.as_deref(), Some("szCyubr"));
    assert_eq!(person.display_name.as_deref(), Some("Zoë Hartmann"));
    assert!(people.turns().is_empty());
}

#[test]
fn the_next_agent_on_a_channel_is_another_person() {
    let mut people = People::default();
    people.learn(&event("USER_ANSWERED", 10, agent("2", "a", "Ann")));
    // Who is asked does not speak yet.
    people.learn(&event("TRANSFER_ACCEPTED", 90, Participant { role: None, ..agent("2", "b", "Bob") }));
    assert_eq!(people.channel_since(&packet(95, Some(2), None, None)), None);
    people.learn(&event("USER_ANSWERED", 100, agent("2", "b", "Bob")));
    people.learn(&event("USER_END", 101, agent("2", "a", "Ann")));
    assert_eq!(names(&people), ["Ann", "Bob"]);
    let name_at =
        |ms| people.speaker(&packet(ms, Some(2), None, None)).unwrap().display_name.clone().unwrap();
    assert_eq!([name_at(99), name_at(100)], ["Ann", "Bob"]);
    assert_eq!(people.channel_since(&packet(99, Some(2), None, None)), None);
    assert_eq!(people.channel_since(&packet(100, Some(2), None, None)), Some(UnixMillis(100)));
    let [ann, bob] = people.entries() else { panic!() };
    assert_eq!((ann.left_at, bob.left_at), (Some(UnixMillis(101)), None));
    assert_eq!((ann.channel_since, bob.channel_since), (None, Some(UnixMillis(100))));
    // And back.
    people.learn(&event("TRANSFER_COMPLETED", 200, Participant { role: None, ..agent("2", "a", "Ann") }));
    assert_eq!(people.channel_since(&packet(201, Some(2), None, None)), None, "her first file goes on");
    assert_eq!(people.entries().len(), 2);
}

#[test]
fn without_user_ids_it_is_another_person_once_the_first_left() {
    let mut people = People::default();
    people.learn(&event("USER_ANSWERED", 10, party("2", Some("Ann"), Some(Role::Agent))));
    people.learn(&event("USER_HOLD", 20, party("2", Some("Ann H."), Some(Role::Agent))));
    assert_eq!(names(&people), ["Ann H."], "she changed her name");
    people.learn(&event("USER_END", 50, party("2", Some("Ann H."), Some(Role::Agent))));
    people.learn(&event("USER_ANSWERED", 60, party("2", Some("Bob"), Some(Role::Agent))));
    assert_eq!(names(&people), ["Ann H.", "Bob"]);
    people.learn(&event("USER_END", 80, party("2", Some("Bob"), Some(Role::Agent))));
    people.learn(&event("USER_ANSWERED", 90, party("2", Some("Ann H."), Some(Role::Agent))));
    assert_eq!(people.entries().len(), 2, "she returned");
    assert_eq!(people.turns().len(), 3);
}

#[test]
fn a_supervisor_listens_on_a_channel_that_stays_its_owners() {
    let supervisor = |role| Participant { role, ..agent("2", "s", "Priya") };
    let mut people = People::default();
    people.learn(&event("USER_ANSWERED", 10, agent("2", "a", "Ann")));
    people.learn(&event("MONITOR_STARTED", 20, supervisor(Some(Role::Supervisor))));
    assert_eq!(people.speaker(&packet(30, Some(2), None, None)).unwrap().role, Some(Role::Agent));
    people.learn(&event("TAKEOVER_STARTED", 40, supervisor(Some(Role::Supervisor))));
    people.learn(&event("USER_HOLD", 50, supervisor(Some(Role::Agent))));
    let role_at = |ms| people.speaker(&packet(ms, Some(2), None, None)).unwrap().role;
    assert_eq!([role_at(39), role_at(40)], [Some(Role::Agent), Some(Role::Supervisor)]);
}

#[test]
fn a_customers_channel_stays_theirs() {
    let mut people = People::default();
    people.learn(&event("CONSUMER_ANSWERED", 10, party("1", Some("Ines"), Some(Role::Consumer))));
    people.learn(&event("TRANSFER_COMPLETED", 20, Participant { role: None, ..agent("1", "b", "Bob") }));
    assert!(people.turns().is_empty());
    assert_eq!(people.entries()[0].role, Some(Role::Consumer));
}

#[test]
fn nobody_is_user_zero() {
    let mut people = People::default();
    let nobody = Participant { user_id: Some("0".into()), ..Participant::default() };
    assert_eq!(people.learn(&event("ACTIVE_SPEAKER_CHANGE", 1, nobody)), 0);
    assert!(people.entries().is_empty());
}
