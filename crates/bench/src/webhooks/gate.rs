//! The signature and the reading, alone: what remains when sockets and disk cost nothing.

use std::hint::black_box;

use anyhow::ensure;
use axum::http::HeaderMap;
use bytes::Bytes;
use rtms_gateway::envelope::Envelope;
use rtms_gateway::verify::{Admission, Gate, Verified};
use rtms_protocol::{UnixMillis, WebhookKeys, sign_webhook};

use super::post;
use crate::cpu;
use crate::stats::{Spread, real};

/// CPU time of the gate, and of gate and envelope together; microseconds a webhook.
pub(crate) fn measure(count: usize, rounds: usize) -> anyhow::Result<(Spread, Spread)> {
    let gate = Gate::new(WebhookKeys::new(vec![post::secret()])?);
    let now = UnixMillis(rtms_service::time::unix_millis());
    let signed = (0..count).map(|number| signed(number, now)).collect::<anyhow::Result<Vec<_>>>()?;
    let admit = |(headers, body): &(HeaderMap, Bytes)| match gate.admit(headers, body.clone(), now) {
        Ok(Admission::Verified(verified)) => Some(verified),
        _ => None,
    };
    let mut verify = Vec::with_capacity(rounds);
    let mut read = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let work = || signed.iter().filter(|request| black_box(admit(request)).is_some()).count();
        let (spent, good) = cpu::spent(work);
        ensure!(good == count, "{good} of {count} signatures held");
        verify.push(spent.as_secs_f64() * 1e6 / real(count));
        let read_one = |verified: Verified| matches!(Envelope::read(&verified, now), Ok(Envelope::Stream(_)));
        let work = || signed.iter().filter(|request| admit(request).is_some_and(read_one)).count();
        let (spent, good) = cpu::spent(work);
        ensure!(good == count, "{good} of {count} events were read");
        read.push(spent.as_secs_f64() * 1e6 / real(count));
    }
    Ok((Spread::of(&verify), Spread::of(&read)))
}

fn signed(number: usize, now: UnixMillis) -> anyhow::Result<(HeaderMap, Bytes)> {
    let body = post::body(post::Kind::Started, number);
    let mut headers = HeaderMap::new();
    headers.insert("x-zm-request-timestamp", (now.0 / 1000).into());
    headers.insert("x-zm-signature", sign_webhook(&post::secret(), now.0 / 1000, body.as_bytes()).parse()?);
    Ok((headers, Bytes::from(body)))
}
