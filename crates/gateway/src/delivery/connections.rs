//! HTTP/1.1 to one worker over connections that are kept, without TLS: what nearly every delivery goes through.
//!
//! A general client spawns a task for each connection and hands every request, answer and body over to it, parses the
//! URL and builds all headers each time. Here the delivery's own task drives the connection while it uses it, and what
//! is the same for each request is made once. Whoever needs a connection takes the one that was used last; what has
//! been idle for long is closed.
//!
//! It refuses redirects, proxies, pipelining, and answers without an end.

use std::collections::VecDeque;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::attempt::LONGEST_ANSWER;

/// The largest head of an answer, in bytes.
const LONGEST_HEAD: usize = 32 * 1024;

/// A worker's answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Empty where it was too long, or did not come whole.
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Problem {
    /// No connection: the request was surely not sent.
    Unreachable(Box<dyn Error + Send + Sync>),
    /// Anything else; whether it arrived is not known.
    Broken(Box<dyn Error + Send + Sync>),
}

/// The way to one worker's `POST /webhook`.
pub(crate) struct Connections {
    connector: HttpConnector,
    /// Where to connect.
    origin: Uri,
    /// What each request asks for.
    target: Uri,
    /// What each request says.
    headers: HeaderMap,
    /// How long an idle connection is kept.
    keep: Duration,
    /// Those that nobody uses, the one used last at the back.
    idle: Mutex<VecDeque<Box<Open>>>,
}

impl Connections {
    /// The way to the worker at `base`, a URL without trailing slash; `None` where it needs TLS.
    pub(super) fn new(
        base: &str,
        token: Option<&SecretString>,
        patience: Duration,
        keep: Duration,
    ) -> Result<Option<Self>, String> {
        let origin: Uri = format!("{base}/webhook").parse().map_err(|error| format!("{base}: {error}"))?;
        if origin.scheme_str() != Some("http") {
            return Ok(None);
        }
        let (Some(host), Some(path)) = (origin.authority(), origin.path_and_query()) else {
            return Err(format!("{base}: names no host"));
        };
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| format!("{base}: {error}"));
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, value(host.as_str())?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            let text = SecretString::from(format!("Bearer {}", token.expose_secret()));
            let mut value = HeaderValue::from_str(text.expose_secret())
                .map_err(|_| "the internal token cannot stand in a header".to_owned())?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let target = Uri::from(PathAndQuery::clone(path));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(patience));
        Ok(Some(Self { connector, origin, target, headers, keep, idle: Mutex::default() }))
    }

    /// Posts an event. Dropping the future closes the connection that it used.
    pub(super) async fn post(&self, body: Bytes) -> Result<Answer, Problem> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        request.headers_mut().clone_from(&self.headers);
        loop {
            let (mut open, used) = match self.take() {
                Some(open) => (open, true),
                None => (self.connect().await?, false),
            };
            match open.exchange(request).await {
                Ok(answer) => {
                    self.give_back(open).await;
                    return Ok(answer);
                }
                // The worker closed it while it was idle, and nothing of the request was written: another one.
                Err(Unanswered { request: Some(unsent), .. }) if used => request = unsent,
                Err(Unanswered { cause, .. }) => return Err(Problem::Broken(cause)),
            }
        }
    }

    /// Closes what has been idle for long.
    pub(super) fn close_idle(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.front().is_some_and(|open| open.since.elapsed() >= self.keep) {
            idle.pop_front();
        }
    }

    /// An idle connection, unless that was idle for too long.
    fn take(&self) -> Option<Box<Open>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop_back().filter(|open| open.since.elapsed() < self.keep)
    }

    /// Keeps a connection for the next request, where both sides want that.
    async fn give_back(&self, mut open: Box<Open>) {
        open.settle().await;
        if open.sender.is_ready() && open.connection.is_some() {
            open.since = Instant::now();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push_back(open);
        }
    }

    async fn connect(&self) -> Result<Box<Open>, Problem> {
        let stream = self.connector.clone().oneshot(self.origin.clone()).await;
        let stream = stream.map_err(|error| Problem::Unreachable(error.into()))?;
        let (sender, connection) = Builder::new()
            .max_buf_size(LONGEST_HEAD)
            .handshake(stream)
            .await
            .map_err(|error| Problem::Unreachable(error.into()))?;
        Ok(Box::new(Open { sender, connection: Some(connection), since: Instant::now() }))
    }
}

/// A request that got no answer.
struct Unanswered {
    cause: Box<dyn Error + Send + Sync>,
    /// The request, where nothing of it was written.
    request: Option<Request<Full<Bytes>>>,
}

/// One connection. Boxed wherever it goes: it is large.
struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// `None` when it has ended: what still waits for it hears so by its being dropped.
    connection: Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>,
    /// When it was used last.
    since: Instant,
}

impl Open {
    /// One request and its whole answer.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Unanswered> {
        let answer = self.sender.try_send_request(request);
        let answer = drive(&mut self.connection, answer).await;
        let (head, body) = match answer {
            Ok(answer) => answer.into_parts(),
            Err(mut problem) => {
                let request = problem.take_message();
                return Err(Unanswered { cause: problem.into_error().into(), request });
            }
        };
        let body = drive(&mut self.connection, whole(body)).await;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Lets the connection notice that its answer was read.
    async fn settle(&mut self) {
        if !self.sender.is_ready() {
            poll_fn(|cx| {
                step(&mut self.connection, cx);
                Poll::Ready(())
            })
            .await;
        }
    }
}

/// The body of an answer; nothing where it is too long or breaks off, because its status says enough.
async fn whole(body: Incoming) -> Bytes {
    Limited::new(body, LONGEST_ANSWER).collect().await.map(|body| body.to_bytes()).unwrap_or_default()
}

/// Waits for `wanted`, which the connection brings, and polls the connection meanwhile.
async fn drive<F: Future>(
    connection: &mut Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>,
    wanted: F,
) -> F::Output {
    let mut wanted = pin!(wanted);
    poll_fn(|cx| {
        // Once before, because it may ask the connection for something, and once after, for what came.
        if let Poll::Ready(done) = wanted.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        step(connection, cx);
        wanted.as_mut().poll(cx)
    })
    .await
}

/// Polls a connection, and drops it when it has ended. How it ended is heard by whoever waits for an answer.
fn step(connection: &mut Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>, cx: &mut Context<'_>) {
    if connection.as_mut().is_some_and(|open| Pin::new(open).poll(cx).is_ready()) {
        *connection = None;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK";
    const MINUTE: Duration = Duration::from_secs(60);

    async fn worker(keep: Duration) -> (TcpListener, Connections) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/base", listener.local_addr().unwrap());
        let token = SecretString::from("s3cret");
        (listener, Connections::new(&base, Some(&token), MINUTE, keep).unwrap().unwrap())
    }

    /// Reads a request whose body is `end`, and answers it.
    async fn serve(stream: &mut TcpStream, end: &str, answer: &str) -> String {
        let mut request = String::new();
        while !request.ends_with(&format!("\r\n\r\n{end}")) {
            let mut part = [0; 1024];
            let length = stream.read(&mut part).await.unwrap();
            assert!(length > 0, "closed after {request:?}");
            request.push_str(std::str::from_utf8(&part[..length]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    }

    async fn post(way: &Connections, body: &'static str) -> Result<(StatusCode, Bytes), Problem> {
        way.post(Bytes::from_static(body.as_bytes())).await.map(|answer| (answer.status, answer.body))
    }

    fn idle(way: &Connections) -> usize {
        way.idle.lock().unwrap().len()
    }

    #[tokio::test]
    async fn one_connection_serves_one_request_after_the_other() {
        let (listener, way) = worker(MINUTE).await;
        let serving = tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            let first = serve(&mut stream, "one", OK).await;
            let chunked =
                "HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nnot\r\n4\r\n now\r\n0\r\n\r\n";
            let second = serve(&mut stream, "two", chunked).await;
            serve(&mut stream, "three", OK).await;
            (stream, [first, second])
        });
        assert_eq!(post(&way, "one").await.unwrap(), (StatusCode::OK, Bytes::from("OK")));
        assert_eq!(
            post(&way, "two").await.unwrap(),
            (StatusCode::SERVICE_UNAVAILABLE, Bytes::from("not now"))
        );
        assert_eq!(post(&way, "three").await.unwrap(), (StatusCode::OK, Bytes::from("OK")));
        assert_eq!(idle(&way), 1);
        for request in serving.await.unwrap().1 {
            assert!(request.starts_with("POST /base/webhook HTTP/1.1\r\n"), "{request}");
            for line in ["authorization: Bearer s3cret", "content-type: application/json", "host: 127.0.0.1:"]
            {
                assert_eq!(request.matches(line).count(), 1, "{request}");
            }
            assert!(request.contains("content-length: 3\r\n"), "{request}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_while_idle_is_replaced_unnoticed() {
        let (listener, way) = worker(MINUTE).await;
        let bell = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rung = bell.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            serve(&mut stream, "one", OK).await;
            let ringing = bell.accept().await.unwrap();
            drop(stream);
            drop(ringing);
            serve(&mut listener.accept().await.unwrap().0, "two", OK).await;
        });
        post(&way, "one").await.unwrap();
        assert_eq!(idle(&way), 1);
        // When this end is known, so is the one before it.
        assert_eq!(TcpStream::connect(rung).await.unwrap().read(&mut [0]).await.unwrap(), 0);
        assert_eq!(post(&way, "two").await.unwrap().0, StatusCode::OK);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn what_may_have_arrived_is_not_sent_again() {
        let (listener, way) = worker(MINUTE).await;
        let serving = tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            serve(&mut stream, "one", OK).await;
            serve(&mut stream, "two", "").await;
            drop(stream);
            let mut stream = listener.accept().await.unwrap().0;
            serve(&mut stream, "three", "HTTP/1.1 200").await;
            drop(stream);
            serve(&mut listener.accept().await.unwrap().0, "four", OK).await
        });
        post(&way, "one").await.unwrap();
        for body in ["two", "three"] {
            assert!(matches!(post(&way, body).await, Err(Problem::Broken(_))), "{body}");
        }
        post(&way, "four").await.unwrap();
        assert!(serving.await.unwrap().ends_with("four"));
    }

    #[tokio::test]
    async fn only_a_connection_that_can_be_used_again_is_kept() {
        let (listener, way) = worker(MINUTE).await;
        let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n{}", "x".repeat(20_000));
        let serving = tokio::spawn(async move {
            let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nOK";
            serve(&mut listener.accept().await.unwrap().0, "one", closing).await;
            let mut stream = listener.accept().await.unwrap().0;
            serve(&mut stream, "two", &endless).await;
            serve(&mut listener.accept().await.unwrap().0, "three", OK).await;
        });
        assert_eq!(post(&way, "one").await.unwrap().1, "OK");
        assert_eq!(idle(&way), 0);
        assert_eq!(post(&way, "two").await.unwrap(), (StatusCode::OK, Bytes::new()));
        assert_eq!(idle(&way), 0);
        assert_eq!(post(&way, "three").await.unwrap().1, "OK");
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_idle_for_long_is_closed() {
        let (listener, way) = worker(Duration::ZERO).await;
        let serving = tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            serve(&mut stream, "one", OK).await;
            stream.read(&mut [0]).await.unwrap()
        });
        post(&way, "one").await.unwrap();
        assert_eq!(idle(&way), 1);
        way.close_idle();
        assert_eq!((idle(&way), serving.await.unwrap()), (0, 0));
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_takes_its_connection_with_it() {
        let (listener, way) = worker(MINUTE).await;
        let mut stream = {
            let mut posting = pin!(post(&way, "one"));
            let accepting = async {
                let mut stream = listener.accept().await.unwrap().0;
                serve(&mut stream, "one", "").await;
                stream
            };
            tokio::select! {
                answer = posting.as_mut() => panic!("{answer:?}"),
                stream = accepting => stream,
            }
        };
        assert_eq!((stream.read(&mut [0]).await.unwrap(), idle(&way)), (0, 0));
    }

    #[tokio::test]
    async fn nobody_there_is_told_from_no_answer() {
        let (listener, way) = worker(MINUTE).await;
        drop(listener);
        assert!(matches!(post(&way, "one").await, Err(Problem::Unreachable(_))));
    }

    #[test]
    fn only_http_goes_this_way() {
        let new = |base| Connections::new(base, None, MINUTE, MINUTE);
        assert!(new("https://worker:3002").unwrap().is_none());
        let way = new("http://[::1]:3002").unwrap().unwrap();
        assert_eq!(way.headers[header::HOST], "[::1]:3002");
        assert_eq!(way.target, "/webhook");
    }
}
