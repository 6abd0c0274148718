//! `sluice watch` on files, commands and a server that speaks as etcd does; the end-to-end tests have a real etcd.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

const SHORT: &str = "keys: [{id: a, hash: \"sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c\"}]
upstreams: {x: {provider: vllm}}
models: [{name: m, targets: [x]}]
";

/// A running `sluice watch` with its directory.
struct Watch {
    child: Child,
    said: BufReader<ChildStderr>,
    place: PathBuf,
}

impl Watch {
    fn start(name: &str, from: &str) -> Watch {
        let place = std::env::temp_dir().join(format!("sluice-watch-{name}-{}", std::process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(["watch", "--every", "1s", "--from", from, "--dir"]).arg(&place);
        command.env("NO_PROXY", "127.0.0.1").env_remove("ETCDCTL_USER").env_remove("ETCDCTL_PASSWORD");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Watch { child, said, place }
    }

    /// The next message with one of these texts; the check's own lines come before it.
    fn next(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "it has ended");
            if line.starts_with("sluice: ") {
                return line;
            }
        }
    }

    fn has(&self, text: &str) -> bool {
        std::fs::read_to_string(self.place.join("filters.yaml")).is_ok_and(|file| file.contains(text))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.place);
    }
}

#[test]
fn a_file_and_a_directory() {
    let place = std::env::temp_dir().join(format!("sluice-watched-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let file = place.join("sluice.yaml");
    std::fs::write(&file, SHORT).unwrap();
    let mut watch = Watch::start("file", &format!("file:{}", file.display()));
    assert!(watch.next().contains("written; start Envoy with"));
    std::fs::write(&file, SHORT.replace("name: m", "name: other")).unwrap();
    assert!(watch.next().contains("the change is applied"));
    assert!(watch.has("name: other"));
    std::fs::write(&file, SHORT.replace("[x]", "[z]")).unwrap();
    let said = watch.next();
    assert!(
        said.contains("not applied") && said.contains("has mistakes") && said.contains("the old configuration stays"),
        "{said}"
    );
    std::fs::write(&file, b"keys: \xff\n").unwrap();
    assert!(watch.next().contains("is not UTF-8"));
    std::fs::remove_file(&file).unwrap();
    assert!(watch.next().contains("cannot be read"));
    std::fs::write(&file, SHORT.replace("name: m", "name: third")).unwrap();
    assert!(watch.next().contains("the change is applied"));
    assert!(watch.has("name: third"));

    // Envoy's files, which name their own directory
    let mut copy = Watch::start("copy", &format!("file:{}", watch.place.display()));
    assert!(copy.next().contains("write these files with: sluice render --at "));
    let _ = std::fs::remove_dir_all(&place);
}

#[test]
fn commands_that_fail() {
    let cases = [
        (
            "exec:echo 'no such\u{7} secret' >&2; exit 7",
            "the command has failed (exit status: 7): no such secret; there is none yet",
        ),
        ("exec:yes", "the command's output is larger than 16 MiB"),
        ("exec:printf '\\377'", "the command's output is not UTF-8"),
        ("exec:printf 'keys: ['", "exec:printf has mistakes"),
        ("exec:true", "exec:true has mistakes"),
        ("exec:kill -9 $$", "the command has failed (signal: 9"),
        ("exec:/nowhere/it", "the command has failed (exit status: 127)"),
        ("file:/nowhere", "/nowhere cannot be read"),
    ];
    for (number, (from, wanted)) in cases.into_iter().enumerate() {
        let said = Watch::start(&format!("fails-{number}"), from).next();
        assert!(said.contains(wanted), "{from}: {said}");
    }
}

#[test]
fn a_command_that_changes() {
    let counter = std::env::temp_dir().join(format!("sluice-counter-{}", std::process::id()));
    let _ = std::fs::remove_file(&counter);
    let (short, counter) = (SHORT.replace('\n', "\\n"), counter.display());
    // the second run is broken, the third as the first, the fourth another
    let command = format!(
        "exec:echo >>{counter}; case $(wc -l <{counter}) in 2) printf half; exit 1;; [13]) printf '{short}';; \
         *) printf '{short}' | sed 's/name: m/name: n/';; esac"
    );
    let mut watch = Watch::start("changes", &command);
    for wanted in [
        "written; start Envoy",
        "the command has failed",
        "can be read again; nothing has changed",
        "the change is applied",
    ] {
        let said = watch.next();
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(watch.has("name: n"));
    let _ = std::fs::remove_file(counter.to_string());
}

#[test]
fn places() {
    let cases = [
        ("nothing", "must be file:PATH, etcd:URL/KEY or exec:COMMAND"),
        ("exec: ", "nothing stands after `exec:`"),
        ("etcd:127.0.0.1/key", "must be etcd:http://HOST:PORT/KEY"),
        ("etcd:http://127.0.0.1:2379/", "must be etcd:http://HOST:PORT/KEY"),
        ("etcd:http://me:secret@127.0.0.1:2379/key", "ETCDCTL_PASSWORD"),
    ];
    for (from, wanted) in cases {
        let output =
            Command::new(env!("CARGO_BIN_EXE_sluice")).args(["watch", "--dir", "x", "--from", from]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(wanted), "{from}: {said}");
    }
}

/// What the server does with one request.
type Answer = Box<dyn Fn(&mut TcpStream) + Send>;

fn whole(status: &'static str, body: String) -> Answer {
    Box::new(move |stream| {
        let length = body.len();
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    })
}

fn value(text: &[u8]) -> Answer {
    let encoded = |bytes: &[u8]| sluice::base64::encode_standard(bytes);
    let (key, value) = (encoded(b"k"), encoded(text));
    whole("200 OK", format!(r#"{{"header":{{"revision":"7"}},"kvs":[{{"key":"{key}","value":"{value}"}}]}}"#))
}

/// Answers the range requests in turn; each watch ends at once, as when etcd goes away.
fn etcd(answers: Vec<Answer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("etcd:http://{}/k", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.ends_with(b"}") {
                let read = stream.read(&mut buffer).unwrap_or(0);
                if read == 0 {
                    break;
                }
                request.extend_from_slice(&buffer[..read]);
            }
            if request.starts_with(b"POST /v3/kv/range") {
                match answers.next() {
                    Some(answer) => answer(&mut stream),
                    None => return,
                }
            }
        }
    });
    url
}

#[test]
fn an_etcd_that_fails() {
    let cut: Answer = Box::new(|stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n{{\"header\":");
    });
    let slow: Answer = Box::new(|stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{{");
        let _ = stream.flush();
        std::thread::sleep(Duration::from_secs(30));
    });
    let endless: Answer = Box::new(|stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
    });
    let cases: Vec<(Answer, &str)> = vec![
        (
            whole("200 OK", r#"{"header":{"revision":"7"}}"#.into()),
            "etcd has no key \"k\"; the key \"/k\" stands after two slashes",
        ),
        (whole("200 OK", "[]".into()), "its answer has no revision"),
        (whole("200 OK", "<html>".into()), "its answer is not JSON"),
        (whole("500 No", "<html>".into()), "it answers 500"),
        (
            whole("400 No", r#"{"error":"etcdserver: permission denied","code":7}"#.into()),
            "etcdserver: permission denied",
        ),
        (whole("302 Found\r\nlocation: http://127.0.0.1:1/", String::new()), "etcd at http://"),
        (value(b"\xff"), "etcd's key \"k\" is not UTF-8"),
        (value(&vec![b'#'; (16 << 20) + 1]), "etcd's key \"k\" is larger than 16 MiB"),
        (value(b""), "has mistakes"),
        (value(&SHORT.as_bytes()[..SHORT.len() - 4]), "has mistakes"),
        (cut, "etcd at http://"),
        (endless, "etcd at http://"),
        (slow, "etcd at http://"),
    ];
    std::thread::scope(|scope| {
        for (number, (answer, wanted)) in cases.into_iter().enumerate() {
            scope.spawn(move || {
                let begun = Instant::now();
                let mut watch = Watch::start(&format!("etcd-{number}"), &etcd(vec![answer, value(SHORT.as_bytes())]));
                let said = watch.next();
                assert!(said.contains("not applied") && said.contains(wanted), "{wanted}: {said}");
                if number < 9 {
                    let said = watch.next();
                    assert!(said.contains("written; start Envoy with"), "{wanted}: {said}");
                }
                assert!(begun.elapsed() < Duration::from_secs(25), "{wanted}");
            });
        }
    });
}
