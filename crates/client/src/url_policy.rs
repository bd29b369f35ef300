//! Where the client may connect to. URLs come from webhooks and from Zoom's answers, so they are checked, not believed.

use std::fmt;

use http::Uri;
use rtms_protocol::brief;

/// Hosts that URLs may name, and whether TLS is demanded.
#[derive(Debug, Clone)]
pub struct UrlPolicy {
    patterns: Vec<Pattern>,
    allow_insecure: bool,
}

/// One entry of the list: a host, or `*.` and a domain for every host below it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    Below(String),
}

/// An entry that is not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host or *.domain")]
pub struct PatternError(String);

/// Why a URL is not connected to. Shows the host at most, never the path or query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// It does not parse, or names no host.
    #[error("not a URL with a host")]
    Malformed,
    /// It carries a user name or password.
    #[error("URL with credentials")]
    Credentials,
    /// Neither `wss` nor, where permitted, `ws`.
    #[error("scheme {0:?} is not permitted; wss is (ws only with RTMS_ALLOW_INSECURE=true)")]
    Scheme(String),
    /// The host is not on the list.
    #[error("host {0:?} is not among RTMS_ALLOWED_HOSTS")]
    Host(String),
}

/// A URL that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host name or address, without brackets, in lower case.
    pub host: String,
    /// TCP port; 443 or 80 where the URL names none.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Whether the list names this very host, and not only a domain above it. Such a one may be anywhere, also on this
    /// machine or in the internal network.
    pub named: bool,
    pub(crate) uri: Uri,
}

impl UrlPolicy {
    /// A policy from hosts separated by commas: `*.zoom.us,localhost`.
    ///
    /// # Errors
    /// When an entry is not a host or `*.domain`, or there is none.
    pub fn parse(hosts: &str, allow_insecure: bool) -> Result<Self, PatternError> {
        let patterns = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(Pattern::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if patterns.is_empty() {
            return Err(PatternError(hosts.to_owned()));
        }
        Ok(Self { patterns, allow_insecure })
    }

    /// Checks a URL.
    ///
    /// # Errors
    /// Tells why it may not be connected to.
    pub fn check(&self, url: &str) -> Result<Target, UrlRefused> {
        let uri: Uri = url.parse().map_err(|_| UrlRefused::Malformed)?;
        let authority = uri.authority().ok_or(UrlRefused::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlRefused::Credentials);
        }
        let tls = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("wss") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("ws") && self.allow_insecure => false,
            scheme => return Err(UrlRefused::Scheme(brief(scheme.unwrap_or_default()))),
        };
        let host = normal(authority.host());
        if host.is_empty() {
            return Err(UrlRefused::Malformed);
        }
        if !self.patterns.iter().any(|pattern| pattern.matches(&host)) {
            return Err(UrlRefused::Host(brief(&host)));
        }
        let named =
            self.patterns.iter().any(|pattern| matches!(pattern, Pattern::Exact(name) if *name == host));
        let after_host = authority.as_str().strip_prefix(authority.host()).ok_or(UrlRefused::Malformed)?;
        let port = match after_host.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| UrlRefused::Malformed)?,
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
        };
        Ok(Target { host, port, tls, named, uri })
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, PatternError> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, text),
        };
        let host = normal(name);
        let valid = !host.is_empty()
            && !host.starts_with('.')
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
        match (valid, below) {
            (false, _) => Err(PatternError(text.to_owned())),
            (true, true) => Ok(Self::Below(format!(".{host}"))),
            (true, false) => Ok(Self::Exact(host)),
        }
    }

    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host == exact,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
        }
    }
}

impl fmt::Display for UrlPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.patterns.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            match pattern {
                Pattern::Exact(host) => write!(f, "{separator}{host}")?,
                Pattern::Below(suffix) => write!(f, "{separator}*{suffix}")?,
            }
        }
        Ok(())
    }
}

/// Lower case, without the brackets of an IPv6 address and without the dot of a rooted name.
fn normal(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zoom() -> UrlPolicy {
        UrlPolicy::parse("*.zoom.us", false).unwrap()
    }

    #[test]
    fn hosts_below_the_domain_pass() {
        for url in ["wss://rtms.zoom.us", "wss://a.b.ZOOM.us./x?y=1", "WSS://rtms.zoom.us:8443/path"] {
            zoom().check(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        }
        assert_eq!(zoom().check("wss://rtms.zoom.us").unwrap().port, 443);
        assert_eq!(zoom().check("wss://rtms.zoom.us:8443").unwrap().port, 8443);
    }

    #[test]
    fn lookalikes_do_not() {
        let host = |url: &str| matches!(zoom().check(url), Err(UrlRefused::Host(_)));
        assert!(host("wss://zoom.us"), "the domain itself is not below it");
        assert!(host("wss://evilzoom.us"));
        assert!(host("wss://rtms.zoom.us.evil.example"));
        assert!(host("wss://169.254.169.254/latest"));
        assert!(host("wss://[::1]:9/"));
        assert!(host("wss://localhost"));
        let long = zoom().check(&format!("wss://{}.example", "x".repeat(10_000))).unwrap_err().to_string();
        assert!(long.len() < 400, "{long}");
        assert_eq!(zoom().check("wss://rtms.zoom.us@evil.example"), Err(UrlRefused::Credentials));
        assert_eq!(zoom().check("wss://u:p@rtms.zoom.us"), Err(UrlRefused::Credentials));
        for url in [
            "",
            "rtms.zoom.us",
            "wss://",
            "wss:///x",
            "wss://a b.zoom.us",
            "wss://rtms.zoom.us:99999",
            "wss://\n",
        ] {
            let refused = zoom().check(url).unwrap_err();
            assert!(matches!(refused, UrlRefused::Malformed | UrlRefused::Scheme(_)), "{url}: {refused}");
        }
    }

    #[test]
    fn only_a_host_that_is_named_may_be_anywhere() {
        let policy =
            UrlPolicy::parse("*.zoom.us,localhost,10.0.0.7,rtms.internal,inner.zoom.us", false).unwrap();
        for (url, named) in [
            ("wss://rtms.zoom.us", false),
            ("wss://inner.zoom.us", true),
            ("wss://LOCALHOST.:9443", true),
            ("wss://10.0.0.7", true),
            ("wss://rtms.internal", true),
        ] {
            assert_eq!(policy.check(url).unwrap().named, named, "{url}");
        }
    }

    #[test]
    fn plain_sockets_only_where_permitted() {
        assert!(matches!(zoom().check("ws://rtms.zoom.us"), Err(UrlRefused::Scheme(_))));
        assert!(matches!(zoom().check("http://rtms.zoom.us"), Err(UrlRefused::Scheme(_))));
        let insecure = UrlPolicy::parse("localhost, ::1,127.0.0.1", true).unwrap();
        assert_eq!(insecure.check("ws://localhost:9443/x").unwrap().port, 9443);
        assert!(!insecure.check("ws://[::1]").unwrap().tls);
        assert!(matches!(insecure.check("http://localhost"), Err(UrlRefused::Scheme(_))));
    }

    #[test]
    fn patterns_are_hosts() {
        for bad in ["", " , ", "*", "*.", "https://zoom.us", "a/b", "*.*.zoom.us", "zoom us"] {
            assert!(UrlPolicy::parse(bad, false).is_err(), "{bad}");
        }
        assert_eq!(
            UrlPolicy::parse("*.Zoom.us, localhost", false).unwrap().to_string(),
            "*.zoom.us,localhost"
        );
    }
}
