//! Internal authentication: the shared secret of the hop between gateway and worker.
//!
//! A middleware that lets nothing pass without `Authorization: Bearer SECRET`, compared in constant time
//! (its length may leak, its content not). `/health` is exempt, for container health checks. Without a
//! secret in the settings, everything passes.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::answer;
use crate::settings::Variable;

/// `RTMS_INTERNAL_TOKEN`, for a service's table.
pub const RTMS_INTERNAL_TOKEN: Variable = Variable::secret(
    "RTMS_INTERNAL_TOKEN",
    "shared secret between gateway and worker, the same on both",
    "3b6f0c9e5d2a41e7",
);

/// As much of a refused call's path is logged, in characters; a request head may have 32 KiB.
const LONGEST_PATH: usize = 80;

/// Who may call: the holder of the secret, or everybody when there is none. Cheap to clone.
#[derive(Clone)]
pub struct InternalAuth {
    token: Option<Arc<SecretString>>,
}

impl InternalAuth {
    /// Requires `token`, or nothing.
    pub fn new(token: Option<SecretString>) -> Self {
        Self { token: token.map(Arc::new) }
    }

    /// Whether the value of an `Authorization` header is the right one.
    pub fn permits(&self, authorization: Option<&HeaderValue>) -> bool {
        let Some(token) = &self.token else { return true };
        let Some((scheme, shown)) = authorization
            .map(HeaderValue::as_bytes)
            .and_then(|value| value.split_at_checked("Bearer ".len()))
        else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"bearer ") && shown.ct_eq(token.expose_secret().as_bytes()).into()
    }
}

/// The middleware: `router.layer(middleware::from_fn_with_state(auth, require_internal))`.
pub async fn require_internal(State(auth): State<InternalAuth>, request: Request, next: Next) -> Response {
    let exempt = request.uri().path() == "/health";
    if exempt || auth.permits(request.headers().get(header::AUTHORIZATION)) {
        return next.run(request).await;
    }
    let path: String = request.uri().path().chars().take(LONGEST_PATH).collect();
    tracing::warn!(
        ?path,
        "refused a call without the right internal token; check RTMS_INTERNAL_TOKEN on both services"
    );
    let mut answer = answer::error(StatusCode::UNAUTHORIZED, "missing or wrong internal token");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_token_passes() {
        let auth = InternalAuth::new(Some(SecretString::from("s3cret")));
        let permits = |value: &'static str| auth.permits(Some(&HeaderValue::from_static(value)));
        assert!(permits("Bearer s3cret"));
        assert!(permits("bearer s3cret"));
        for wrong in ["Bearer s3cre", "Bearer s3cret ", "Bearer ", "Bearer", "Basic s3cret", "s3cret", ""] {
            assert!(!permits(wrong), "{wrong}");
        }
        assert!(!auth.permits(None));
    }

    #[test]
    fn without_a_token_everything_passes() {
        assert!(InternalAuth::new(None).permits(None));
    }
}
