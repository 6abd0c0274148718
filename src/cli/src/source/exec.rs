//! A command that prints a short file: it runs again and again.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

use super::{text, Configuration, Ended, Reader};
use crate::file::MAX_FILE;
use crate::Failure;

/// How long a command may run.
const TIMEOUT: Duration = Duration::from_secs(30);

/// So much of its messages is kept, in bytes.
const LARGEST_MESSAGE: u64 = 64 << 10;

pub(super) fn follow(command: &str, every: Duration, reader: &mut Reader) {
    loop {
        let begun = Instant::now();
        if let Err(Ended) = reader.took(run(command, TIMEOUT)) {
            return;
        }
        std::thread::sleep(every.saturating_sub(begun.elapsed()));
    }
}

/// What the command prints. It fails if the command does, so half of a configuration is not taken for a whole one.
fn run(command: &str, timeout: Duration) -> Result<Configuration, Failure> {
    let until = Instant::now() + timeout;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let child = shell.spawn().map_err(|error| Failure::Usage(format!("/bin/sh does not start: {error}")))?;
    let mut running = Running { child, is_over: false };
    let printed = collected(running.child.stdout.take(), MAX_FILE);
    let said = collected(running.child.stderr.take(), LARGEST_MESSAGE);
    let slow = || Failure::Input(format!("the command has not ended after {} seconds", timeout.as_secs()));
    let left = |until: Instant| until.saturating_duration_since(Instant::now());
    let printed = printed.recv_timeout(left(until)).map_err(|_| slow())?;
    let printed = printed.map_err(|error| Failure::Input(format!("the command's output cannot be read: {error}")))?;
    // a command that prints without end is not waited for
    let printed = text(printed, "the command's output")?;
    let status = loop {
        match running.child.try_wait() {
            Ok(Some(status)) => {
                running.is_over = true;
                break status;
            }
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) => return Err(slow()),
            Err(error) => return Err(Failure::Usage(format!("the command cannot be waited for: {error}"))),
        }
    };
    if !status.success() {
        let said = said.recv_timeout(left(until).min(Duration::from_secs(1))).ok().and_then(Result::ok);
        return Err(Failure::Input(format!("the command has failed ({status}){}", message(&said.unwrap_or_default()))));
    }
    Ok(Configuration::Short(printed))
}

/// The last line of what a command says, for an error.
fn message(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let line: String = line.chars().filter(|char| !char.is_control()).take(300).collect();
    if line.is_empty() {
        line
    } else {
        format!(": {line}")
    }
}

/// Reads a pipe in a thread, up to one byte more than `largest`.
fn collected(pipe: Option<impl Read + Send + 'static>, largest: u64) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let Some(mut pipe) = pipe else { return };
        let read = pipe.by_ref().take(largest + 1).read_to_end(&mut bytes);
        let is_full = bytes.len() as u64 > largest;
        let _ = sender.send(read.map(|_| bytes));
        if !is_full {
            return;
        }
        // the command must not wait for a reader; when it is killed, this ends
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    });
    receiver
}

/// Kills what is still running, with everything that it has started.
struct Running {
    child: Child,
    is_over: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        #[cfg(target_os = "linux")]
        if let Ok(group) = i32::try_from(self.child.id()) {
            // SAFETY: a plain system call with two numbers. The child has not been waited for, so the group is still its own.
            #[allow(unsafe_code)]
            unsafe {
                libc::kill(-group, libc::SIGKILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
