//! A real NATS server for tests that need one (`cargo test --workspace --test 'nats*' -- --ignored`, with TRADEWIND_NATS_SERVER).

use std::ffi::OsString;
use std::io::{Error, ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream;

use crate::bus::{Bus, BusAddress};
use crate::tls::TlsFiles;

/// Where the server program is built by the cluster tests.
const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cluster/.build/nats-server");
/// Folder of a server in which it keeps its streams, and that of the copy.
const STREAMS: &str = "jetstream";
const KEPT: &str = "kept";
const START_LIMIT: Duration = Duration::from_secs(20);

/// A NATS server with JetStream on a free loopback port; stopped and removed when dropped.
#[derive(Debug)]
pub struct NatsServer {
    program: PathBuf,
    directory: PathBuf,
    /// More arguments.
    arguments: Vec<OsString>,
    port: u16,
    child: Child,
}

impl NatsServer {
    /// Starts the program named by `TRADEWIND_NATS_SERVER`, or the one that the cluster tests built.
    ///
    /// # Errors
    /// A text that says what is missing.
    pub fn start() -> Result<Self, String> {
        Self::start_with(Vec::new())
    }

    /// The same, letting in only clients with a certificate of the same authority.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub fn start_with_tls(files: &TlsFiles) -> Result<Self, String> {
        let named = [("--tlscert", &files.certificate), ("--tlskey", &files.key), ("--tlscacert", &files.ca)];
        let named = named.into_iter().flat_map(|(name, path)| [OsString::from(name), path.clone().into()]);
        Self::start_with(named.chain(["--tlsverify".into()]).collect())
    }

    /// The same with a configuration file, which says where it listens and keeps its streams.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub fn start_with_configuration(file: &Path) -> Result<Self, String> {
        Self::start_with(vec!["--config".into(), file.into()])
    }

    fn start_with(arguments: Vec<OsString>) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let program = std::env::var_os("TRADEWIND_NATS_SERVER").map_or_else(|| PathBuf::from(BUILT), PathBuf::from);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("tradewind-nats-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let child = spawn(&program, &directory, None, &arguments)?;
        let mut server = Self { program, directory, arguments, port: 0, child };
        server.port = server.wait_for_port()?;
        Ok(server)
    }

    /// `nats://127.0.0.1:port`; stays the same over [`NatsServer::restart`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A connection to it.
    ///
    /// # Errors
    /// Why the server cannot be reached.
    pub async fn connect(&self) -> Result<Bus, crate::bus::BusError> {
        Bus::connect(&BusAddress { url: self.url(), name: "test".into(), tls: None }).await
    }

    /// Kills the server without warning.
    ///
    /// # Errors
    /// When the process cannot be killed.
    pub fn kill(&mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// Starts it again on its port and files.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub fn restart(&mut self) -> Result<(), String> {
        self.child = spawn(&self.program, &self.directory, Some(self.port), &self.arguments)?;
        self.wait_for_port().map(drop)
    }

    /// Keeps a copy of all streams as they are now, as a backup of the volume does. The server is stopped meanwhile.
    ///
    /// # Errors
    /// When files cannot be copied, or as [`NatsServer::start`].
    pub fn keep(&mut self) -> Result<(), String> {
        self.kill()?;
        copy(&self.directory.join(STREAMS), &self.directory.join(KEPT))?;
        self.restart()
    }

    /// Kills the server, puts the copy of [`NatsServer::keep`] in place of its streams, and starts it again.
    ///
    /// # Errors
    /// As [`NatsServer::keep`].
    pub fn roll_back(&mut self) -> Result<(), String> {
        self.kill()?;
        let streams = self.directory.join(STREAMS);
        std::fs::remove_dir_all(&streams).map_err(|error| format!("{}: {error}", streams.display()))?;
        copy(&self.directory.join(KEPT), &streams)?;
        self.restart()
    }

    /// The stream as a careless or hostile hand reaches it.
    async fn jetstream(&self) -> Result<jetstream::Context, String> {
        let client = async_nats::connect(self.url()).await.map_err(|error| error.to_string())?;
        Ok(jetstream::new(client))
    }

    /// Publishes any bytes on a subject, without a message id and without asking what is there.
    ///
    /// # Errors
    /// What the server says.
    pub async fn publish_raw(&self, subject: &str, payload: &[u8]) -> Result<u64, String> {
        let context = self.jetstream().await?;
        let sent = context.publish(subject.to_owned(), payload.to_vec().into()).await;
        let acknowledged = sent.map_err(|error| error.to_string())?.await;
        acknowledged.map(|ack| ack.sequence).map_err(|error| error.to_string())
    }

    /// A stream from which messages may be deleted.
    ///
    /// # Errors
    /// What the server says.
    pub async fn make_stream(&self, stream: &str, subjects: &str) -> Result<(), String> {
        let config = jetstream::stream::Config { name: stream.into(), subjects: vec![subjects.into()], ..Default::default() };
        self.jetstream().await?.create_stream(config).await.map(drop).map_err(|error| error.to_string())
    }

    /// Deletes one message of a stream.
    ///
    /// # Errors
    /// What the server says.
    pub async fn delete_message(&self, stream: &str, sequence: u64) -> Result<(), String> {
        let stream = self.jetstream().await?.get_stream(stream).await.map_err(|error| error.to_string())?;
        stream.delete_message(sequence).await.map(drop).map_err(|error| error.to_string())
    }

    /// Removes everything before a sequence.
    ///
    /// # Errors
    /// What the server says.
    pub async fn trim(&self, stream: &str, first: u64) -> Result<(), String> {
        let stream = self.jetstream().await?.get_stream(stream).await.map_err(|error| error.to_string())?;
        stream.purge().sequence(first).await.map(drop).map_err(|error| error.to_string())
    }

    /// Removes a stream with everything in it.
    ///
    /// # Errors
    /// What the server says.
    pub async fn delete_stream(&self, stream: &str) -> Result<(), String> {
        self.jetstream().await?.delete_stream(stream).await.map(drop).map_err(|error| error.to_string())
    }

    /// The server writes a file with its addresses; it is there when somebody answers at the one for clients.
    fn wait_for_port(&mut self) -> Result<u16, String> {
        let file = self.directory.join(format!("nats-server_{}.ports", self.child.id()));
        let deadline = Instant::now() + START_LIMIT;
        let program = self.program.display().to_string();
        let child = &mut self.child;
        let mut port = None;
        let answers = || {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(Wait::Over(format!("{program} ended with {status}")));
            }
            let named = || listed_port(&file).ok_or_else(|| Wait::On(format!("no address in {}", file.display())));
            let known = port.map_or_else(named, Ok)?;
            port = Some(known);
            greeting(known, Duration::from_secs(1)).map_err(|error| Wait::On(format!("port {known}: {error}")))?;
            Ok(known)
        };
        until(&format!("{program} to greet its clients"), deadline, answers)
    }
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: Error| format!("copying {}: {error}", from.display());
    std::fs::create_dir_all(to).map_err(failed)?;
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            std::fs::copy(&path, to.join(name)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Why there is no answer.
enum Wait {
    /// Not yet.
    On(String),
    /// There never will be one.
    Over(String),
}

/// Asks until there is an answer.
fn until<T>(what: &str, deadline: Instant, mut ask: impl FnMut() -> Result<T, Wait>) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(Wait::Over(why)) => return Err(why),
            Err(Wait::On(seen)) if Instant::now() >= deadline => {
                return Err(format!("waited {} ms for {what}; last seen: {seen}", begun.elapsed().as_millis()));
            }
            Err(Wait::On(_)) => std::thread::park_timeout(Duration::from_millis(5)),
        }
    }
}

/// The port for clients in a file of addresses; `None` while it is not whole.
fn listed_port(file: &Path) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    ports["nats"].as_array().or(ports["tls"].as_array())?.first()?.as_str()?.rsplit(':').next()?.parse().ok()
}

/// Whether a server answers on loopback: NATS speaks first, whoever connects, and begins with `INFO`.
fn greeting(port: u16, patience: Duration) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut first = [0; 4];
    stream.read_exact(&mut first)?;
    if first == *b"INFO" { Ok(()) } else { Err(Error::new(ErrorKind::InvalidData, "it does not begin with INFO")) }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // Nothing can be done about failures here, and a second kill is harmless.
        let _ = self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn spawn(program: &Path, directory: &Path, port: Option<u16>, arguments: &[OsString]) -> Result<Child, String> {
    let mut command = Command::new(program);
    command.args(["-a", "127.0.0.1", "-p", &port.map_or("-1".into(), |port| port.to_string())]);
    command.arg("--ports_file_dir").arg(directory).args(arguments);
    // A configuration says by itself where streams are kept, and the server refuses to be told twice.
    if !arguments.iter().any(|argument| argument == "--config") {
        command.args(["-js", "-sd"]).arg(directory);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| {
        format!(
            "{}: {error}; set TRADEWIND_NATS_SERVER to a nats-server program, or build it with the cluster tests",
            program.display()
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::io::Write as _;
    use std::net::TcpListener;

    const SHORT: Duration = Duration::from_millis(100);

    /// The port of a listener that was closed: an address that somebody wrote down, and nobody is there.
    fn deserted() -> u16 {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
    }

    fn asked(port: u16, within: Duration) -> Result<(), String> {
        let answers = || greeting(port, SHORT).map_err(|error| Wait::On(format!("port {port}: {error}")));
        until("a greeting", Instant::now() + within, answers)
    }

    #[test]
    fn an_address_in_a_file_is_no_server() {
        let folder = tempfile::tempdir().unwrap();
        let (file, port) = (folder.path().join("nats-server_7.ports"), deserted());
        std::fs::write(&file, r#"{"nats": ["nats://127.0."#).unwrap();
        assert_eq!(listed_port(&file), None, "half a file names nothing");
        std::fs::write(&file, format!(r#"{{"nats": ["nats://127.0.0.1:{port}"]}}"#)).unwrap();
        assert_eq!(listed_port(&file), Some(port));
        let error = asked(port, SHORT).unwrap_err();
        assert!(error.contains("for a greeting") && error.contains(&format!("port {port}: ")), "{error}");
    }

    #[test]
    fn a_listener_that_is_silent_or_says_something_else_is_no_server() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(asked(port, SHORT).is_err(), "the kernel takes connections for a process that is stopped");
        let other = std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                // The one that has given up is among them.
                let _ = stream.unwrap().write_all(b"HTTP/1.1 400");
            }
        });
        let error = greeting(port, Duration::from_secs(30)).unwrap_err();
        assert!(error.to_string().contains("begin with INFO"), "{error}");
        other.join().unwrap();
    }

    #[test]
    fn a_server_that_comes_later_is_waited_for() {
        let port = deserted();
        let server = std::thread::spawn(move || {
            std::thread::park_timeout(SHORT);
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
            for stream in listener.incoming() {
                // Whoever was not served in time has gone, and asks again.
                let mut stream = stream.unwrap();
                let _ = stream.write_all(b"INFO {}\r\n");
                if stream.read(&mut [0]).is_ok_and(|length| length > 0) {
                    break;
                }
            }
        });
        asked(port, Duration::from_secs(30)).unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap().write_all(b"x").unwrap();
        server.join().unwrap();
    }

    #[test]
    fn what_is_over_is_not_waited_for() {
        let begun = Instant::now();
        let ended = until::<()>("x", begun + Duration::from_secs(20), || Err(Wait::Over("ended with 1".into())));
        assert_eq!(ended.unwrap_err(), "ended with 1");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
