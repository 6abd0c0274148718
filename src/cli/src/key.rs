//! `sluice key`. Keys and secrets are never read from the command line, which every process can see.

use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use serde_json::{Map, Number, Value};
use sluice::base64::encode_url;
use sluice::config::Node;
use sluice::date::Timestamp;
use sluice::hash::hexadecimal;
use sluice::keys::{Claims, IssueRequest, KeyHash, Role, Signer, TokenError, MAX_LIFETIME};

use crate::Failure;

/// The longest key that the gateway accepts.
const MAX_KEY: usize = 4096;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a random key: prints the key, and its entry for `keys`.
    New(New),
    /// Hash the key on standard input: prints the value for `auth.keys[].hash`.
    Hash,
    /// Sign a virtual key with the gateway's secret: prints the key.
    Sign(Sign),
    /// Show the claims of the virtual key on standard input, and whether its signature is valid.
    Inspect(Secret),
}

#[derive(Args)]
pub(crate) struct New {
    /// The key's name in stats and logs.
    #[arg(long, default_value = "new-key")]
    id: String,
    /// Make it an administrator's key.
    #[arg(long)]
    admin: bool,
}

#[derive(Args)]
pub(crate) struct Sign {
    /// The key's name in stats and logs, by which it is revoked; default: random.
    #[arg(long)]
    id: Option<String>,
    /// The models it may use, separated by commas; default: all.
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// The tools it may offer, separated by commas; default: all.
    #[arg(long, value_delimiter = ',')]
    tools: Vec<String>,
    /// The tools it may not offer, separated by commas.
    #[arg(long, value_delimiter = ',')]
    deny_tools: Vec<String>,
    /// How long it lasts: seconds, or a time such as 12h or 30d.
    #[arg(long)]
    expires_in: String,
    /// user or admin.
    #[arg(long)]
    role: Option<String>,
    /// A label, such as team=x; may be repeated.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// A limit, such as requests_per_minute=100; may be repeated.
    #[arg(long = "limit", value_name = "NAME=NUMBER", value_parser = limit)]
    limits: Vec<(String, Number)>,
    #[command(flatten)]
    secret: Secret,
}

#[derive(Args)]
pub(crate) struct Secret {
    /// The environment variable with the secret: the first of `auth.virtual_keys.secrets`.
    #[arg(long, value_name = "NAME", default_value = "SLUICE_KEY_SECRET")]
    secret_env: String,
}

impl Secret {
    /// `None` if the variable is not set.
    fn signer(&self) -> Result<Option<Signer>, Failure> {
        let name = &self.secret_env;
        match std::env::var_os(name).filter(|secret| !secret.is_empty()) {
            Some(secret) => Signer::new(secret.as_encoded_bytes(), None)
                .map(Some)
                .map_err(|error| Failure::Usage(format!("the value of {name} {error}"))),
            None => Ok(None),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// The problem, and its source.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::New(new) => make(&new),
        Command::Hash => print(&[&KeyHash::of(&read_key()?).to_text()]),
        Command::Sign(sign) => make_virtual(&sign),
        Command::Inspect(secret) => inspect(&secret),
    }
}

/// A random key, and its hash for the gateway.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn random_key() -> Result<(String, String), Failure> {
    let key = format!("sk-{}", encode_url(&random::<32>()?));
    let hash = KeyHash::of(&key).to_text();
    Ok((key, hash))
}

fn make(new: &New) -> Result<(), Failure> {
    let (key, hash) = random_key()?;
    // JSON strings are valid YAML
    let id = Value::from(new.id.as_str());
    let role = if new.admin { ", role: admin" } else { "" };
    let entry = format!("- {{id: {id}, hash: \"{hash}\"{role}}}");
    eprintln!("The key, which is shown only now, and its entry for `keys` (in envoy.yaml: `auth.keys`):");
    print(&[&key, &entry])
}

fn make_virtual(sign: &Sign) -> Result<(), Failure> {
    let name = &sign.secret.secret_env;
    let signer = sign.secret.signer()?.ok_or_else(|| {
        Failure::Usage(format!("the environment variable {name} is not set; it has the secret that signs the key"))
    })?;
    let random_id = format!("key-{}", hexadecimal(&random::<8>()?));
    let claims = IssueRequest::claims(&Node::root("key", &request(sign)), MAX_LIFETIME, now(), &random_id)
        .map_err(|(_, message)| Failure::Usage(message))?;
    eprintln!("{} for {:?}, until {}:", role(claims.role), claims.id, Timestamp(claims.expires()));
    print(&[&signer.sign(&claims)])
}

/// The same request that administrators send to the gateway.
fn request(sign: &Sign) -> Value {
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    let models = (!sign.models.is_empty()).then(|| Value::from(sign.models.clone()));
    let lists = [("allow", &sign.tools), ("deny", &sign.deny_tools)];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let lists: Map<_, _> = lists.map(|(name, list)| (name.to_owned(), Value::from(list.clone()))).collect();
    let tools = if lists.is_empty() { Value::Null } else { Value::Object(lists) };
    let expires_in = sign.expires_in.parse::<u64>().map_or(Value::from(sign.expires_in.as_str()), Value::from);
    let labels = sign.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let limits = sign.limits.iter().map(|(name, number)| (name.clone(), Value::Number(number.clone())));
    let fields = [
        ("id", text(&sign.id)),
        ("role", text(&sign.role)),
        ("models", models.unwrap_or_default()),
        ("tools", tools),
        ("expires_in", expires_in),
        ("labels", Value::Object(labels.collect())),
        ("limits", Value::Object(limits.collect())),
    ];
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn inspect(secret: &Secret) -> Result<(), Failure> {
    let key = read_key()?;
    let not_one = |error: TokenError| Failure::Input(format!("the key is {error}"));
    let claims = Claims::unverified(&key).map_err(not_one)?;
    let verdict = match secret.signer()? {
        None => Ok(format!("not checked: the environment variable {} is not set", secret.secret_env)),
        Some(signer) => match signer.verify(&key, now()) {
            Ok(_) => Ok("holds".to_owned()),
            Err(TokenError::Expired) => Err("holds, but the key has expired".to_owned()),
            Err(error) => Err(format!("does not hold: {error}")),
        },
    };
    let shown = serde_json::to_string_pretty(&claims).unwrap_or_default();
    let issued = format!("issued:    {}", Timestamp(Duration::from_secs(claims.iat)));
    let expires = format!("expires:   {}", Timestamp(claims.expires()));
    let (Ok(text) | Err(text)) = &verdict;
    print(&[&shown, &issued, &expires, &format!("signature: {text}")])?;
    verdict.map(drop).map_err(|text| Failure::Input(format!("the signature {text}")))
}

/// The key on standard input, without the line end.
fn read_key() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    // room for a line end
    let read = std::io::stdin().take(MAX_KEY as u64 + 3).read_to_end(&mut bytes);
    read.map_err(|error| Failure::Input(format!("standard input cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::Input("the key is not UTF-8".to_owned()))?;
    let key = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if key.is_empty() {
        return Err(Failure::Input("no key on standard input; use: printf %s \"$KEY\" | sluice key ...".to_owned()));
    }
    if key.len() > MAX_KEY {
        return Err(Failure::Input(format!(
            "the key has more than {MAX_KEY} bytes; the gateway does not accept longer ones"
        )));
    }
    if key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Failure::Input("the key contains white space, which headers cannot carry".to_owned()));
    }
    Ok(key.to_owned())
}

fn print(lines: &[&str]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    written.map_err(|error| Failure::Input(format!("standard output cannot be written: {error}")))
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(Failure::Usage(format!("the system has no random numbers: {error}"))),
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn role(role: Role) -> &'static str {
    match role {
        Role::User => "A user's key",
        Role::Admin => "An administrator's key",
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn limit(text: &str) -> Result<(String, Number), String> {
    let (name, value) = pair(text)?;
    let number = value.parse().map_err(|_| format!("{value:?} is not a number"))?;
    Ok((name, number))
}
