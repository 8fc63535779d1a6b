//! What a cluster needs before anything can be installed: binaries, images, checkpoints.

use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::command::Run;
use crate::console::Console;

/// Processes of the product image.
pub const PROCESSES: [&str; 6] = [
    "tradewind-operator",
    "tradewind-inference",
    "tradewind-policy",
    "tradewind-execution",
    "tradewind-risk",
    "tradewind-market",
];

/// Programs that run on the machine itself.
const TOOLS: [&str; 4] = ["kubectl-tradewind", "tradewind-train", "tradewind-replay", "tradewind-checkpoint"];

/// Ways in which a checkpoint is spoiled for the rejection tests.
pub const SPOILED: [&str; 8] =
    ["flipped-byte", "truncated", "wrong-shape", "missing-tensor", "nan", "wrong-role", "golden", "schema"];

/// Tag of the product image.
pub const IMAGE: &str = "tradewind.dev/tradewind:0.1.0";
/// Tag of the file server's image.
pub const FILES_IMAGE: &str = "tradewind.dev/demo-files:1";

/// What is made beside a cluster.
pub const SCRATCH: [&str; 3] = ["helm", "kept", "replay"];

/// Where things are in a checkout.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    work: PathBuf,
}

impl Tree {
    /// The checkout that this program was built from; `work` holds everything it makes.
    ///
    /// # Errors
    /// When the work directory cannot be made.
    pub fn find() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the crate has no checkout around it")?.to_owned();
        let work = root.join(".demo");
        fs::create_dir_all(work.join("checkpoints")).with_context(|| format!("cannot make {}", work.display()))?;
        Ok(Self { root, work })
    }

    /// Root of the checkout.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Directory for everything that a run makes.
    #[must_use]
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// The cluster program.
    #[must_use]
    pub fn cluster_program(&self) -> PathBuf {
        self.cluster_built("cluster")
    }

    /// A program that the cluster program built.
    #[must_use]
    pub fn cluster_built(&self, name: &str) -> PathBuf {
        self.root.join("tests/cluster/.build").join(name)
    }

    /// A folder with Helm and kubectl, for what needs no cluster.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn tools(&self) -> Result<PathBuf> {
        let tools = self.work.join("bin");
        fs::create_dir_all(&tools)?;
        for name in ["helm", "kubectl"] {
            if tools.join(name).symlink_metadata().is_err() {
                std::os::unix::fs::symlink(self.cluster_built("kube"), tools.join(name))?;
            }
        }
        Ok(tools)
    }

    /// A folder for what is made beside a cluster: its own directory is emptied and checked by the cluster program.
    #[must_use]
    pub fn scratch(&self, cluster: &Path, kind: &str) -> PathBuf {
        self.work.join(format!("{}-{kind}", cluster.file_name().unwrap_or_default().to_string_lossy()))
    }

    /// A built program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from);
        target.join(format!("{}-unknown-linux-gnu/debug/{name}", std::env::consts::ARCH))
    }

    /// A checkpoint file of the demonstration.
    #[must_use]
    pub fn checkpoint(&self, name: &str) -> PathBuf {
        self.work.join("checkpoints").join(format!("{name}.safetensors"))
    }

    /// Comparison with independent libraries.
    #[must_use]
    pub fn oracles(&self) -> PathBuf {
        self.root.join("tests/oracles")
    }

    /// Recorded daily bars.
    #[must_use]
    pub fn bars(&self) -> PathBuf {
        self.root.join("tests/fixtures/bars")
    }
}

/// Builds the cluster program and all of Kubernetes; minutes the first time, seconds after.
///
/// # Errors
/// When Go, a Debian package or the build fails.
pub fn cluster_program(tree: &Tree, console: &Console) -> Result<()> {
    let source = tree.root.join("tests/cluster");
    console.step("build the cluster program", || {
        Run::new("go", &["build", "-o", ".build/cluster", "."]).directory(&source).env("CGO_ENABLED", "0").output()
    })?;
    console.step("build etcd, Kubernetes, CoreDNS, Helm and NATS from source (4 minutes the first time)", || {
        Run::new(tree.cluster_program(), &["build", "--install"]).directory(&source).deadline(Duration::from_secs(1800)).output()
    })?;
    Ok(())
}

/// Ends a cluster and removes everything of it; fine when there is none.
///
/// # Errors
/// When something of it stays.
pub fn cluster_down(tree: &Tree, directory: &Path) -> Result<()> {
    let arguments = ["down", "--dir", &directory.to_string_lossy()];
    Run::new(tree.cluster_program(), &arguments).directory(&tree.root.join("tests/cluster")).output()?;
    for kind in SCRATCH {
        let scratch = tree.scratch(directory, kind);
        if scratch.exists() {
            fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
        }
    }
    Ok(())
}

/// Compiles every crate and its tests: one compilation for tests and images.
///
/// # Errors
/// When the compiler fails.
pub fn tests(tree: &Tree, console: &Console) -> Result<()> {
    console.step("compile Tradewind and its tests (15 minutes the first time)", || {
        let command = ["test", "--workspace", "--no-run", "--quiet"];
        Run::new("cargo", &command).directory(&tree.root).deadline(Duration::from_secs(3000)).output()
    })?;
    Ok(())
}

/// Builds every program of the product.
///
/// # Errors
/// When the compiler fails.
pub fn binaries(tree: &Tree, console: &Console) -> Result<()> {
    console.step("build Tradewind (10 minutes the first time)", || {
        let mut arguments = vec!["build", "--quiet"];
        for name in PROCESSES.iter().chain(&TOOLS) {
            arguments.extend_from_slice(&["--bin", name]);
        }
        Run::new("cargo", &arguments).directory(&tree.root).deadline(Duration::from_secs(3000)).output()
    })?;
    Ok(())
}

/// Packs the stripped binaries into the one image, unless it holds them already; returns its archive.
///
/// # Errors
/// When stripping or the image build fails.
pub fn image(tree: &Tree, console: &Console) -> Result<PathBuf> {
    let context = tree.work.join("image");
    let archive = tree.work.join("tradewind.tar");
    let containerfile = tree.root.join("Containerfile");
    let inputs: Vec<PathBuf> = PROCESSES.iter().map(|name| tree.program(name)).chain([containerfile.clone()]).collect();
    let Some(stamp) = Stamp::of_changed(&inputs, &archive)? else { return Ok(archive) };
    console.step(&format!("image {IMAGE} FROM scratch"), || {
        fs::create_dir_all(&context)?;
        for name in PROCESSES {
            let (from, to) = (tree.program(name), context.join(name));
            Run::new("strip", &["-s", "-o", &to.to_string_lossy(), &from.to_string_lossy()]).output()?;
        }
        pack(tree, &containerfile, &context, IMAGE, &archive)
    })?;
    stamp.write()?;
    Ok(archive)
}

/// Trains the two checkpoints of the demonstration and spoils copies of the first; nothing is done again without need.
///
/// # Errors
/// When the trainer fails.
pub fn checkpoints(tree: &Tree, console: &Console) -> Result<()> {
    let trainer = tree.program("tradewind-train");
    let stamp = tree.work.join("checkpoints/trainer.sha256");
    let digest = sha256(&trainer)?;
    if fs::read_to_string(&stamp).is_ok_and(|seen| seen == digest) {
        return Ok(());
    }
    let bars = tree.bars();
    let strategic = tree.checkpoint("strategic-a").to_string_lossy().into_owned();
    for (name, arguments) in [
        ("strategic-a", ["--role", "strategic", "--steps", "300"]),
        ("tactical-a", ["--strategic", &strategic, "--steps", "150"]),
        ("tactical-b", ["--strategic", &strategic, "--steps", "250"]),
    ] {
        console.step(&format!("train {name} on the bars of 1999-2006"), || {
            let (out, bars) = (tree.checkpoint(name).to_string_lossy().into_owned(), bars.to_string_lossy().into_owned());
            let common = ["fit", "--bars", &bars, "--seed", "1", "--out", &out];
            // As in the policies of the samples and scenarios, so that the report in the file is about them.
            let stage = ["--synergy-window", "40", "--min-synergy-confidence", "0.25", "--context-bars", "64"];
            Run::new(&trainer, &[&common[..], &stage[..], &arguments[..]].concat())
                .env("RAYON_NUM_THREADS", "1")
                .deadline(Duration::from_secs(900))
                .output()
        })?;
    }
    console.step("spoil copies of tactical-a, one fault each", || {
        let from = tree.checkpoint("tactical-a");
        for how in SPOILED.iter().chain(&["overtrader"]) {
            let to = tree.checkpoint(&format!("spoiled-{how}"));
            Run::new(&trainer, &["spoil", "--how", how, "--checkpoint", &from.to_string_lossy(), "--out", &to.to_string_lossy()])
                .output()?;
        }
        Ok(())
    })?;
    fs::write(stamp, digest)?;
    Ok(())
}

/// Lets numpy write a strategic checkpoint and converts it, for the file server.
///
/// # Errors
/// When the libraries of `tests/oracles` cannot be installed or the conversion refuses the file.
pub fn foreign_checkpoint(tree: &Tree, console: &Console) -> Result<()> {
    console.step("let numpy write a checkpoint, and convert it (2 minutes the first time)", || {
        let words =
            [tree.oracles().join("foreign.py"), tree.checkpoint("strategic-foreign")].map(|p| p.to_string_lossy().into_owned());
        fs::create_dir_all(tree.work.join("checkpoints"))?;
        Run::new(tree.oracles().join("python"), &[&words[0], "write", &words[1]]).deadline(Duration::from_secs(900)).output()
    })?;
    Ok(())
}

/// Packs checkpoints and bars behind a static file server; returns the archive.
///
/// # Errors
/// When a file is missing or the image build fails.
pub fn files_image(tree: &Tree, console: &Console) -> Result<PathBuf> {
    let context = tree.work.join("files");
    let archive = tree.work.join("files.tar");
    console.step(&format!("image {FILES_IMAGE} with checkpoints and bars"), || {
        if context.exists() {
            fs::remove_dir_all(&context)?;
        }
        copy_all(&tree.work.join("checkpoints"), &context.join("checkpoints"), "safetensors")?;
        copy_all(&tree.bars(), &context.join("bars"), "csv")?;
        fs::copy("/bin/busybox", context.join("busybox")).context("busybox-static is not installed")?;
        pack(tree, &tree.root.join("manifests/samples/demo-files.Containerfile"), &context, FILES_IMAGE, &archive)
    })?;
    Ok(archive)
}

/// Lengths and times of the files that an archive was made from, beside it.
struct Stamp {
    path: PathBuf,
    seen: String,
}

impl Stamp {
    /// `None` when the archive was made from these very files.
    fn of_changed(inputs: &[PathBuf], archive: &Path) -> Result<Option<Self>> {
        let mut seen = String::new();
        for input in inputs {
            let metadata = fs::metadata(input).with_context(|| format!("cannot look at {}", input.display()))?;
            let since = metadata.modified()?.duration_since(std::time::UNIX_EPOCH)?;
            writeln!(seen, "{} {} {}", input.display(), metadata.len(), since.as_nanos())?;
        }
        let path = archive.with_extension("inputs");
        let same = archive.exists() && fs::read_to_string(&path).is_ok_and(|before| before == seen);
        Ok((!same).then_some(Self { path, seen }))
    }

    /// Remembers the files, once the archive is there.
    fn write(self) -> Result<()> {
        fs::write(&self.path, self.seen).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// SHA-256 of a file in hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (mut hash, mut block) = (Sha256::new(), vec![0_u8; 1 << 20]);
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&block[..read]);
    }
}

fn pack(tree: &Tree, containerfile: &Path, context: &Path, tag: &str, archive: &Path) -> Result<()> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (file, context, archive) = (text(containerfile), text(context), text(archive));
    let arguments = ["image", "--containerfile", &file, "--context", &context, "--tag", tag, "--output", &archive];
    Run::new(tree.cluster_program(), &arguments).directory(&tree.root.join("tests/cluster")).output()?;
    Ok(())
}

fn copy_all(from: &Path, to: &Path, extension: &str) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut copied = 0;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension) {
            fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
            copied += 1;
        }
    }
    ensure!(copied > 0, "no .{extension} file in {}", from.display());
    Ok(())
}
