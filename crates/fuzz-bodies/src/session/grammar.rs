//! Messages that Zoom could send: right in form, wrong in every other way.

use serde_json::{Map, Value, json};

use crate::choices::Choices;

/// Statuses with a meaning of their own to the session; 0 is good.
const STATUSES: [i64; 20] = [0, 0, 0, 0, 1, 3, 8, 9, 10, 11, 12, 13, 15, 16, 17, 20, 28, 43, 45, 99];

/// One message.
pub(super) fn message(choices: &mut Choices<'_>) -> String {
    let number = |choices: &mut Choices<'_>| i64::from(choices.byte());
    let value = match choices.below(14) {
        0 | 1 => json!({"msg_type": 2, "status_code": choices.pick(&STATUSES), "reason": "",
            "media_server": {"server_urls": media_urls(choices)}}),
        2 | 3 => {
            json!({"msg_type": 4, "status_code": choices.pick(&STATUSES), "media_params": params(choices)})
        }
        4 => {
            json!({"msg_type": 6, "event": {"event_type": number(choices) % 40, "timestamp": number(choices)}})
        }
        5 => json!({"msg_type": 8, "state": number(choices) % 8, "reason": number(choices) % 30}),
        6 => json!({"msg_type": 9, "state": number(choices) % 7, "stop_reason": number(choices) % 30}),
        7 | 8 => json!({"msg_type": 12, "sequence": number(choices), "timestamp": number(choices)}),
        9 | 10 => json!({"msg_type": 14 + number(choices) % 5,
            "content": {"user_id": number(choices), "data": "AAAA", "timestamp": number(choices)}}),
        11 => json!({"msg_type": 20, "state": number(choices) % 8, "reason": number(choices) % 30}),
        12 => json!({"msg_type": choices.pick(&[22, 29]), "status_code": choices.pick(&STATUSES)}),
        _ => json!({"msg_type": number(choices), "state": number(choices), "status_code": number(choices)}),
    };
    value.to_string()
}

/// One message with a piece of it wrong: a byte changed, the end missing, or something behind it.
pub(super) fn damaged(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut bytes = message(choices).into_bytes();
    let at = choices.below(bytes.len());
    match choices.below(3) {
        0 => bytes.truncate(at),
        1 => bytes.extend_from_slice(choices.bytes(16)),
        _ => {
            let by = choices.byte();
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = by);
        }
    }
    bytes
}

fn media_urls(choices: &mut Choices<'_>) -> Value {
    let offered = choices.byte();
    let kinds = ["audio", "video", "share", "transcript", "chat", "all"];
    let url = |n: usize| json!(format!("wss://m{}.zoom.us", n * usize::from(offered & 0x40 != 0)));
    let urls: Map<_, _> = kinds
        .into_iter()
        .enumerate()
        .filter(|(n, _)| offered >> n & 1 == 1)
        .map(|(n, kind)| (kind.to_owned(), url(n)))
        .collect();
    Value::Object(urls)
}

fn params(choices: &mut Choices<'_>) -> Value {
    match choices.below(4) {
        0 => Value::Null,
        1 => {
            json!({"audio": {"codec": choices.byte(), "sample_rate": choices.byte(), "channel": choices.byte()}})
        }
        2 => json!({"video": {"codec": choices.byte(), "fps": choices.byte()}, "chat": {}}),
        _ => json!(choices.text(10)),
    }
}
