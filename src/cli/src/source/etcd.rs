//! etcd v3, by its JSON gateway. A watch only tells that something has changed; then everything is read anew, which is one
//! revision of all keys. Nothing is missed, because the watch starts right after the revision that was read.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde_json::{json, Value};
use sluice::base64::{decode_standard, encode_standard};
use ureq::http::Response;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::{text, Configuration, Ended, Reader};
use crate::render::Split;
use crate::Failure;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// After this time everything is read anew: a connection may be dead without a sign.
const WATCH: Duration = Duration::from_secs(60);

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// The largest answer, in bytes: base64 adds a third, and there are five files.
const LARGEST_ANSWER: u64 = 64 << 20;

/// The variables of `etcdctl`.
const USER: &str = "ETCDCTL_USER";
const PASSWORD: &str = "ETCDCTL_PASSWORD";
const CA: &str = "ETCDCTL_CACERT";
const CERTIFICATE: &str = "ETCDCTL_CERT";
const KEY: &str = "ETCDCTL_KEY";

/// `http://USER@HOST:PORT,HOST:PORT/KEY`.
#[derive(Clone)]
pub(crate) struct Address {
    /// With scheme and port.
    servers: Vec<String>,
    user: Option<String>,
    key: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let form = "must be etcd:http://HOST:PORT/KEY or etcd:https://HOST:PORT/KEY";
        let (scheme, rest) = text.split_once("://").ok_or(form)?;
        let (authority, key) = rest.split_once('/').ok_or(form)?;
        let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
        if user.is_some_and(|user| user.contains(':')) {
            return Err(format!("every process can read a password on the command line; put it into {PASSWORD}"));
        }
        if !["http", "https"].contains(&scheme) || key.is_empty() {
            return Err(form.to_owned());
        }
        let server = |host: &str| {
            let url = format!("{scheme}://{host}");
            let uri: ureq::http::Uri = url.parse().map_err(|_| format!("{host:?} is not a host with its port"))?;
            match uri.host().is_some_and(|host| !host.is_empty()) && !host.contains(['?', '#']) {
                true => Ok(if uri.port().is_some() { url } else { format!("{url}:2379") }),
                false => Err(form.to_owned()),
            }
        };
        let servers = hosts.split(',').map(server).collect::<Result<Vec<String>, String>>()?;
        let user = user.filter(|user| !user.is_empty()).map(str::to_owned);
        Ok(Address { servers, user, key: key.to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "etcd:{}/{}", self.servers.join(","), self.key)
    }
}

impl Address {
    /// Whether the keys of Envoy's files begin with the key.
    fn is_prefix(&self) -> bool {
        self.key.ends_with('/')
    }

    /// The key or keys, for requests.
    fn range(&self) -> serde_json::Map<String, Value> {
        let mut range = serde_json::Map::new();
        range.insert("key".to_owned(), Value::from(encode_standard(self.key.as_bytes())));
        if self.is_prefix() {
            // the first key after all that begin so
            let end = format!("{}0", self.key.strip_suffix('/').unwrap_or_default());
            range.insert("range_end".to_owned(), Value::from(encode_standard(end.as_bytes())));
        }
        range
    }
}

pub(super) fn follow(address: &Address, reader: &mut Reader) {
    let servers = address.servers.iter().cycle();
    // watches that failed one after another, though reading worked
    let mut failed = 0_u32;
    for server in servers {
        let session = Session::open(address, server);
        let read = session.and_then(|session| session.read().map(|(found, revision)| (session, found, revision)));
        let (session, found, revision) = match read {
            Ok(read) => read,
            Err(failure) => {
                if let Err(Ended) = reader.took(Err(failure)) {
                    return;
                }
                std::thread::sleep(PAUSE);
                continue;
            }
        };
        if let Err(Ended) = reader.took(found) {
            return;
        }
        match session.changes(revision) {
            Ok(()) => failed = 0,
            Err(failure) => {
                failed += 1;
                // one is usual when etcd goes away: then reading fails as well
                if failed > 2 && matches!(reader.took(Err(failure)), Err(Ended)) {
                    return;
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// A server, with what it wants to know of us.
struct Session<'a> {
    address: &'a Address,
    server: &'a str,
    agent: Agent,
    token: Option<String>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Session<'_> {
    fn open<'a>(address: &'a Address, server: &'a str) -> Result<Session<'a>, Failure> {
        let config = Agent::config_builder().tls_config(tls()?).http_status_as_error(false).max_redirects(0);
        let agent = config.timeout_connect(Some(TIMEOUT)).timeout_recv_response(Some(TIMEOUT)).build().into();
        let mut session = Session { address, server, agent, token: None };
        let own = variable(USER);
        let (user, password) = match own.as_deref().map(|own| own.split_once(':').unwrap_or((own, ""))) {
            Some((user, password)) if !password.is_empty() => (Some(user.to_owned()), Some(password.to_owned())),
            Some((user, _)) => (Some(user.to_owned()), variable(PASSWORD)),
            None => (None, variable(PASSWORD)),
        };
        if let Some(user) = address.user.clone().or(user) {
            let answer =
                session.ask("auth/authenticate", &json!({"name": user, "password": password.unwrap_or_default()}))?;
            let token = answer.get("token").and_then(Value::as_str);
            session.token = Some(token.ok_or_else(|| session.failed("it has given no token"))?.to_owned());
        }
        Ok(session)
    }

    fn failed(&self, what: impl fmt::Display) -> Failure {
        Failure::Usage(format!("etcd at {}: {what}", self.server))
    }

    fn send(&self, path: &str, body: &Value, timeout: Duration) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.post(format!("{}/v3/{path}", self.server)).content_type("application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", token);
        }
        let request = request.config().timeout_recv_body(Some(timeout)).build();
        let mut answer = request.send(body.to_string()).map_err(|error| self.failed(error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let body = answer.body_mut().with_config().limit(LARGEST_ANSWER).lossy_utf8(true).read_to_string();
        let said = serde_json::from_str(&body.unwrap_or_default()).ok();
        Err(self.failed(said.as_ref().and_then(message).unwrap_or_else(|| format!("it answers {}", answer.status()))))
    }

    fn ask(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let mut answer = self.send(path, body, TIMEOUT)?;
        let bytes = answer.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
        let bytes = bytes.map_err(|error| self.failed(error))?;
        serde_json::from_slice(&bytes).map_err(|_| self.failed("its answer is not JSON"))
    }

    /// What the keys hold, with the revision of all.
    ///
    /// # Errors
    /// The outer one: etcd cannot be read. The inner one: it can, but has not what is wanted.
    fn read(&self) -> Result<(Result<Configuration, Failure>, i64), Failure> {
        let answer = self.ask("kv/range", &Value::Object(self.address.range()))?;
        let revision = answer.pointer("/header/revision").and_then(number);
        let revision = revision.ok_or_else(|| self.failed("its answer has no revision"))?;
        let listed = answer.get("kvs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let found: Option<HashMap<Vec<u8>, Vec<u8>>> = listed.iter().map(pair).collect();
        let found = found.ok_or_else(|| self.failed("its answer has no keys and values"))?;
        Ok((self.configuration(found), revision))
    }

    fn configuration(&self, mut found: HashMap<Vec<u8>, Vec<u8>>) -> Result<Configuration, Failure> {
        let mut value = |key: String| match found.remove(key.as_bytes()) {
            Some(bytes) => text(bytes, &format!("etcd's key {key:?}")),
            None => Err(Failure::Input(format!("etcd has no key {key:?}{}", hint(&key)))),
        };
        match self.address.is_prefix() {
            false => value(self.address.key.clone()).map(Configuration::Short),
            true => {
                let split = Split::read(|name| value(format!("{}{name}", self.address.key)))?;
                Ok(Configuration::Split(Box::new(split)))
            }
        }
    }

    /// Waits until something has changed since this revision, or it is time to read anew.
    ///
    /// # Errors
    /// The watch has failed.
    fn changes(&self, revision: i64) -> Result<(), Failure> {
        let mut create = self.address.range();
        create.insert("start_revision".to_owned(), Value::from(revision.saturating_add(1).to_string()));
        let until = Instant::now() + WATCH;
        let answer = self.send("watch", &json!({"create_request": create}), WATCH)?;
        let mut lines = BufReader::new(answer.into_body().into_reader());
        while Instant::now() < until {
            let mut line = Vec::new();
            match lines.by_ref().take(LARGEST_ANSWER).read_until(b'\n', &mut line) {
                Ok(0) => return Err(self.failed("it has ended the watch")),
                Ok(_) if line.len() as u64 == LARGEST_ANSWER => return Ok(()), // the values are read anyway
                Ok(_) => {}
                Err(_) if Instant::now() >= until => return Ok(()),
                Err(error) => return Err(self.failed(error)),
            }
            let event: Value = serde_json::from_slice(&line).map_err(|_| self.failed("its watch is not JSON"))?;
            if let Some(said) = message(&event) {
                return Err(self.failed(said));
            }
            let result = event.get("result");
            let canceled = result.and_then(|result| result.get("canceled")).and_then(Value::as_bool) == Some(true);
            let events = result.and_then(|result| result.get("events")).and_then(Value::as_array);
            if canceled || events.is_some_and(|events| !events.is_empty()) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A key that begins with a slash follows the URL's.
fn hint(key: &str) -> String {
    match key.starts_with('/') {
        true => String::new(),
        false => format!("; the key \"/{key}\" stands after two slashes"),
    }
}

/// 64-bit numbers are texts in protobuf's JSON.
fn number(value: &Value) -> Option<i64> {
    value.as_str().map_or_else(|| value.as_i64(), |text| text.parse().ok())
}

fn pair(entry: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = decode_standard(entry.get("key")?.as_str()?)?;
    // an empty value is left out
    let value = entry.get("value").map_or(Some(""), Value::as_str)?;
    Some((key, decode_standard(value)?))
}

/// The error in an answer: at its top, or in `error`.
fn message(answer: &Value) -> Option<String> {
    let error = answer.get("error").filter(|error| !error.is_null())?;
    let text = error.as_str().or_else(|| error.get("message")?.as_str()).unwrap_or("an error without a message");
    Some(text.chars().filter(|char| !char.is_control()).take(300).collect())
}

/// The system's authorities, or those of the file that the environment names; and our own certificate.
fn tls() -> Result<TlsConfig, Failure> {
    let read = |name: &str| -> Result<Option<(String, Vec<u8>)>, Failure> {
        let Some(path) = variable(name) else { return Ok(None) };
        let bytes = std::fs::read(&path);
        Ok(Some((path.clone(), bytes.map_err(|error| Failure::Usage(format!("{name}={path}: {error}")))?)))
    };
    let certificates = |name: &str| -> Result<Option<Vec<Certificate<'static>>>, Failure> {
        let Some((path, bytes)) = read(name)? else { return Ok(None) };
        let items = ureq::tls::parse_pem(&bytes).filter_map(Result::ok);
        let found: Vec<_> =
            items.filter_map(|item| if let PemItem::Certificate(one) = item { Some(one) } else { None }).collect();
        match found.is_empty() {
            true => Err(Failure::Usage(format!("{name}={path}: the file has no certificate in PEM"))),
            false => Ok(Some(found)),
        }
    };
    let mut config = TlsConfig::builder().root_certs(match certificates(CA)? {
        Some(own) => RootCerts::new_with_certs(&own),
        None => RootCerts::PlatformVerifier,
    });
    if let (Some(chain), Some((path, key))) = (certificates(CERTIFICATE)?, read(KEY)?) {
        let key = PrivateKey::from_pem(&key);
        let key = key.map_err(|_| Failure::Usage(format!("{KEY}={path}: the file has no private key in PEM")))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}
