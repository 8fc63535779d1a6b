//! A real NATS server for tests that need one (`cargo test --workspace --test 'nats*' -- --ignored`, with TRADEWIND_NATS_SERVER).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::bus::{Bus, BusAddress};
use crate::tls::TlsFiles;

/// Where the server program is built by the cluster tests.
const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cluster/.build/nats-server");
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

    /// The server writes a file with its addresses once it listens.
    fn wait_for_port(&mut self) -> Result<u16, String> {
        let file = self.directory.join(format!("nats-server_{}.ports", self.child.id()));
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            let ports = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
            if let Some(port) = ports.and_then(|ports| {
                ports["nats"].as_array().or(ports["tls"].as_array())?.first()?.as_str()?.rsplit(':').next()?.parse().ok()
            }) {
                return Ok(port);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended with {status}", self.program.display()));
            }
            std::thread::yield_now();
        }
        Err(format!("{} did not listen within {} s", self.program.display(), START_LIMIT.as_secs()))
    }
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
