"""Every network of every role beside ONNX Runtime on the same weights, and checkpoints written by numpy and safetensors.

The graphs are written down here once more, from the specification and not from our tables: ST-50, ST-53, TA-17, TA-18, TA-20,
EX-15..EX-19, RK-28, RK-30."""

import functools
import json
import os
import platform
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
INPUTS = 1_200
TOLERANCE = 1e-5


class Graph:
    """An ONNX graph under construction and the shapes of the weights that it needs."""

    def __init__(self):
        self.nodes, self.shapes, self.constants, self.count = [], {}, [], 0

    def add(self, kind, inputs, **attributes):
        self.count += 1
        self.nodes.append(helper.make_node(kind, inputs, [f"x{self.count}"], **attributes))
        return f"x{self.count}"

    def constant(self, array):
        self.count += 1
        self.constants.append(numpy_helper.from_array(array, f"c{self.count}"))
        return f"c{self.count}"

    def weight(self, name, *shape):
        self.shapes[name] = shape
        return name

    def dense(self, x, name, inputs, outputs):
        w, b = self.weight(f"{name}.weight", outputs, inputs), self.weight(f"{name}.bias", outputs)
        return self.add("Gemm", [x, w, b], transB=1)

    def dense_relu(self, x, name, inputs, outputs):
        return self.add("Relu", [self.dense(x, name, inputs, outputs)])

    def norm(self, x, name, width):
        w, b = self.weight(f"{name}.weight", width), self.weight(f"{name}.bias", width)
        return self.add("LayerNormalization", [x, w, b], axis=-1, epsilon=1e-5)

    def convolution(self, x, name, inputs, outputs):
        w, b = self.weight(f"{name}.weight", outputs, inputs, 3), self.weight(f"{name}.bias", outputs)
        return self.add("Relu", [self.add("Conv", [x, w, b], kernel_shape=[3], pads=[1, 1])])

    def slice(self, x, begin, end, axis):
        bounds = [self.constant(np.array([value], np.int64)) for value in (begin, end, axis)]
        return self.add("Slice", [x, *bounds])


def sequential(g, x, prefix, widths):
    """Linear -> ReLU -> LayerNorm for each hidden width; dropout takes a place in PyTorch's numbering (ST-50)."""
    for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:-1])):
        x = g.dense_relu(x, f"{prefix}.network.{4 * layer}", inputs, outputs)
        x = g.norm(x, f"{prefix}.network.{4 * layer + 3}", outputs)
    return g.dense(x, f"{prefix}.network.{4 * (len(widths) - 2)}", widths[-2], widths[-1])


def conv_actor(g, x, prefix):
    x = g.add("Reshape", [x, g.constant(np.array([-1, 60, 7], np.int64))])
    x = g.add("Mul", [x, g.weight(f"{prefix}.attention_weights", 7)])
    x = g.add("Transpose", [x], perm=[0, 2, 1])
    x = g.convolution(g.convolution(x, f"{prefix}.conv1", 7, 32), f"{prefix}.conv2", 32, 64)
    axis = g.constant(np.array([2], np.int64))
    bins = [g.add("ReduceMean", [g.slice(x, i * 60 // 16, -(-(i + 1) * 60 // 16), 2), axis], keepdims=1) for i in range(16)]
    x = g.add("Flatten", [g.add("Concat", bins, axis=2)])
    x = g.dense_relu(g.dense_relu(x, f"{prefix}.fc1", 1024, 256), f"{prefix}.fc2", 256, 128)
    return g.dense(x, f"{prefix}.fc3", 128, 3)


def conv_critic(g, x, prefix):
    for position, (inputs, outputs) in enumerate([(1260, 512), (512, 256), (256, 128)]):
        x = g.dense_relu(x, f"{prefix}.network.{2 * position}", inputs, outputs)
    return g.dense(x, f"{prefix}.network.6", 128, 1)


def execution_actor(heads):
    def build(g, x, prefix):
        x = g.add("Mul", [x, g.weight(f"{prefix}.attention_weights", 15)])
        x = g.norm(g.dense_relu(x, f"{prefix}.feature_extractor.0", 15, 128), f"{prefix}.feature_extractor.2", 128)
        x = g.dense_relu(x, f"{prefix}.feature_extractor.3", 128, 64)
        ends = [g.dense(g.dense_relu(x, f"{prefix}.{head}.0", 64, 32), f"{prefix}.{head}.2", 32, width) for head, width in heads]
        return g.add("Concat", ends, axis=1)

    return build


def execution_critic(g, x, prefix):
    market = g.dense_relu(g.slice(x, 4, 8, 1), f"{prefix}.market_features.0", 4, 16)
    market = g.dense_relu(market, f"{prefix}.market_features.2", 16, 32)
    x = g.dense_relu(g.add("Concat", [x, market], axis=1), f"{prefix}.network.0", 47, 256)
    x = g.dense_relu(g.norm(x, f"{prefix}.network.2", 256), f"{prefix}.network.3", 256, 128)
    x = g.dense_relu(g.norm(x, f"{prefix}.network.5", 128), f"{prefix}.network.6", 128, 64)
    return g.dense(x, f"{prefix}.network.8", 64, 1)


def risk_actor(outputs):
    def build(g, x, prefix):
        x = g.norm(g.dense_relu(x, f"{prefix}.trunk.0", 26, 128), f"{prefix}.norm", 128)
        x = g.dense_relu(g.dense_relu(x, f"{prefix}.trunk.1", 128, 64), f"{prefix}.trunk.2", 64, 32)
        return g.dense(x, f"{prefix}.head", 32, outputs)

    return build


def risk_critic(g, x, prefix):
    for layer, (inputs, outputs) in enumerate([(74, 256), (256, 128), (128, 64)]):
        x = g.dense_relu(x, f"{prefix}.trunk.{layer}", inputs, outputs)
    return g.add("Concat", [g.dense(x, f"{prefix}.head", 64, 4), g.dense(x, f"{prefix}.value", 64, 1)], axis=1)


def policy(inputs):
    return lambda g, x, prefix: sequential(g, x, prefix, [inputs, 256, 128, 64, 3])


# Per role: network -> (prefix of its tensors, inputs, outputs, graph, what it sees of an input of the self-test).
NETWORKS = {
    "Strategic": {
        "mlmi": ("agents.mlmi", 10, 3, policy(10), [0, 1, 8, 9]),
        "nwrqk": ("agents.nwrqk", 10, 3, policy(10), [2, 3, 4, 5]),
        "regime": ("agents.regime", 9, 3, policy(9), [10, 11, 12]),
        "critic": ("critic", 22, 1, lambda g, x, prefix: sequential(g, x, prefix, [22, 512, 256, 128, 1]), None),
    },
    "Tactical": {
        "fvg": ("agents.fvg", 420, 3, conv_actor, slice(None)),
        "momentum": ("agents.momentum", 420, 3, conv_actor, slice(None)),
        "entry": ("agents.entry", 420, 3, conv_actor, slice(None)),
        "critic": ("critic", 1260, 1, conv_critic, None),
    },
    "Execution": {
        "position_sizing": ("position_sizing_agent", 15, 5, execution_actor([("policy_head", 5)]), slice(None)),
        "execution_timing": ("execution_timing_agent", 15, 4, execution_actor([("policy_head", 4)]), slice(None)),
        "risk_management": (
            "risk_management_agent",
            15,
            2,
            execution_actor([("stop_loss_head", 1), ("take_profit_head", 1)]),
            slice(None),
        ),
        "critic": ("centralized_critic", 15, 1, execution_critic, None),
    },
    "Risk": {
        "position_sizing": ("agents.position_sizing", 26, 5, risk_actor(5), [*range(10), *range(10, 26)]),
        "stop_target": ("agents.stop_target", 26, 2, risk_actor(2), [*range(10), *range(26, 42)]),
        "risk_monitor": ("agents.risk_monitor", 26, 4, risk_actor(4), [*range(10), *range(42, 58)]),
        "portfolio": ("agents.portfolio", 26, 5, risk_actor(5), [*range(10), *range(58, 74)]),
        "critic": ("critic", 74, 5, risk_critic, slice(None)),
    },
}
SHAPES = {"Strategic": (19,), "Tactical": (60, 7), "Execution": (15,), "Risk": (74,)}
SCHEMAS = {
    "Strategic": "strategic-48x13-v1",
    "Tactical": "tactical-60x7-v1",
    "Execution": "execution-15-v1",
    "Risk": "risk-10-4x16-v1",
}
ACTIONS = {
    "Strategic": {agent: ["bullish", "neutral", "bearish"] for agent in ("mlmi", "nwrqk", "regime")},
    "Tactical": {
        "fvg": ["long", "hold", "short"],
        "momentum": ["up", "neutral", "down"],
        "entry": ["wait", "execute", "aggressive"],
    },
    "Execution": {
        "position_sizing": ["contracts_0", "contracts_1", "contracts_2", "contracts_3", "contracts_5"],
        "execution_timing": ["immediate", "twap_5min", "vwap_aggressive", "iceberg"],
        "risk_management": ["stop_loss_atr_multiplier", "take_profit_atr_multiplier"],
    },
    "Risk": {
        "position_sizing": [f"contracts_{n}" for n in range(1, 6)],
        "stop_target": ["stop_multiplier", "target_multiplier"],
        "risk_monitor": ["no_action", "reduce_position", "close_all", "hedge"],
        "portfolio": [f"strategy_{n}" for n in range(1, 6)],
    },
}


def random_weight(random, name, shape):
    if len(shape) > 1:
        return random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
    if name.endswith("attention_weights"):
        return random.uniform(0.02, 0.5, shape)
    if name.endswith(".weight"):
        return random.uniform(0.8, 1.2, shape)
    return random.normal(0, 0.05, shape)


def vectors(random, role):
    """Tensors that are no layers (ST-56, EX-14, RK-8)."""
    if role == "Strategic":
        found = {f"agents.{agent}.temperature": random.uniform(0.5, 2, 1) for agent in ACTIONS[role]}
        found["ensemble_weights"] = random.normal(0, 0.3, 3)
        for agent, width in (("mlmi", 4), ("nwrqk", 4), ("regime", 3)):
            found[f"norm.{agent}.mean"] = random.normal(0, 0.1, width)
            # Half of the features leave the five deviations at which ST-14 cuts.
            found[f"norm.{agent}.std"] = random.uniform(0.05, 0.3, width)
        return found
    width = {"Tactical": 0, "Execution": 15, "Risk": 10}[role]
    return {"norm.mean": random.normal(0, 0.2, width), "norm.std": random.uniform(0.5, 2, width)} if width else {}


class Oracle:
    """One role: random weights in numpy, graphs in ONNX Runtime, and a checkpoint made of them."""

    def __init__(self, role, folder):
        self.role, self.folder = role, folder
        random = np.random.default_rng(len(role))
        self.tensors, self.sessions = {}, {}
        for network, (prefix, inputs, outputs, build, _) in NETWORKS[role].items():
            graph = Graph()
            end = build(graph, "input", prefix)
            weights = {name: random_weight(random, name, shape).astype(np.float32) for name, shape in graph.shapes.items()}
            self.tensors |= weights
            initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()] + graph.constants
            self.sessions[network] = session(graph.nodes, end, inputs, outputs, initializers)
        self.vectors = {name: array.astype(np.float32) for name, array in vectors(random, role).items()}
        self.random = random

    def run(self, network, inputs):
        return self.sessions[network].run(None, {"input": inputs})[0]

    def served(self):
        return [name for name, network in NETWORKS[self.role].items() if network[4] is not None]

    def view(self, network, inputs):
        """What a network sees of inputs of the self-test, in f64 until the end (ST-13, ST-14, EX-14, RK-23)."""
        columns = NETWORKS[self.role][network][4]
        if self.role == "Execution":
            return ((inputs - self.vectors["norm.mean"]) / self.vectors["norm.std"]).astype(np.float32)
        seen = inputs.reshape(len(inputs), -1)[:, columns]
        if self.role == "Strategic":
            mean, std = (self.vectors[f"norm.{network}.{kind}"].astype(np.float64) for kind in ("mean", "std"))
            features = np.clip((seen.astype(np.float64) - mean) / np.maximum(std, 1e-6), -5, 5)
            seen = np.concatenate([features, inputs[:, 13:]], axis=1)
        return np.ascontiguousarray(seen, np.float32)

    def stage(self, inputs):
        return np.concatenate([self.run(network, self.view(network, inputs)) for network in self.served()], axis=1)

    def inputs(self, count):
        return self.random.uniform(-1, 1, (count, *SHAPES[self.role])).astype(np.float32)

    def file(self, name, changes=None, **manifest):
        """Tensors and self-test as another tool would save them, and the small manifest; returns both paths."""
        golden = {"golden.inputs": self.inputs(32)}
        for network in self.served():
            golden[f"golden.{network}.logits"] = self.run(network, self.view(network, golden["golden.inputs"]))
        path, beside = self.folder / f"{name}.safetensors", self.folder / f"{name}.json"
        save_file(self.tensors | self.vectors | golden | (changes or {}), path, metadata={"format": "pt"})
        author = {
            "role": self.role,
            "featureSchema": SCHEMAS[self.role],
            "actions": ACTIONS[self.role],
            "trainingDataDigest": "ab" * 32,
            "codeRevision": "numpy",
            "metrics": {"win_rate": 0.5},
        }
        beside.write_text(json.dumps(author | manifest))
        return path, beside

    def convert(self, name, *arguments, **given):
        path, beside = self.file(name, **given)
        out = self.folder / f"{name}.checkpoint"
        return tool("convert", path, "--manifest", beside, "--out", out, *arguments), out


def session(nodes, end, inputs, outputs, initializers):
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n", outputs])]
    begins = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", inputs])]
    model = helper.make_model(
        helper.make_graph(nodes, "network", begins, ends, initializers), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def built(program):
    """Path of a program of the workspace."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = target / f"{platform.machine()}-unknown-linux-gnu" / "debug" / program
    assert path.exists(), f"{path} is not built: run `cargo build --bins --examples` first"
    return path


def tool(*arguments):
    """Runs `tradewind-checkpoint`."""
    return subprocess.run([built("tradewind-checkpoint"), *map(str, arguments)], capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="session")
def of(tmp_path_factory):
    """The oracle of a role; each is made once."""
    return functools.cache(lambda role: Oracle(role, tmp_path_factory.mktemp(role)))


@pytest.fixture(params=NETWORKS)
def oracle(request, of):
    return of(request.param)


@pytest.fixture
def checkpoint(oracle):
    return good(oracle)


@functools.cache
def good(oracle):
    """A converted checkpoint of the role with the oracle's weights."""
    done, out = oracle.convert("good")
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def outputs(program, checkpoint, what, inputs):
    bytes_out = program("network_outputs", checkpoint, what, stdin=inputs.tobytes())
    return np.frombuffer(bytes_out, np.float32).reshape(len(inputs), -1)


def agree(ours, theirs):
    assert ours.shape == theirs.shape and np.isfinite(theirs).all()
    assert theirs.std(axis=0).min() > 1e-3, "outputs that hardly change prove nothing"
    assert np.abs(ours - theirs).max() < TOLERANCE


@pytest.mark.parametrize(("role", "network"), [(role, network) for role, networks in NETWORKS.items() for network in networks])
def test_each_network_equals_onnx_runtime(program, of, role, network):
    """ST-50, ST-53, TA-17, TA-20, EX-15..EX-19, RK-28, RK-30: actors and critics on 1,200 random inputs of their own."""
    oracle = of(role)
    inputs = oracle.random.normal(0, 1, (INPUTS, NETWORKS[role][network][1])).astype(np.float32)
    agree(outputs(program, good(oracle), network, inputs), oracle.run(network, inputs))


def test_stages_equal_onnx_runtime(program, oracle, checkpoint):
    """ST-13, ST-14, EX-14, RK-23: the networks that serve, with what stands before them, on 1,200 random inputs of the stage."""
    inputs = oracle.inputs(INPUTS)
    agree(outputs(program, checkpoint, "stage", inputs), oracle.stage(inputs))


def test_a_checkpoint_of_another_tool_is_verified(oracle, checkpoint):
    """ST-58, SU-45, EX-26, RK-34: converted, verified, and the self-test is ONNX Runtime's."""
    done = tool("verify", checkpoint)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["verdict"] == "Verified" and 0 < report["figures"]["goldenMaxError"] < TOLERANCE, report
    saved = load_file(checkpoint)
    assert all((saved[name] == array).all() for name, array in (oracle.tensors | oracle.vectors).items())
    shown = tool("inspect", checkpoint)
    assert shown.returncode == 0 and all(name in shown.stdout for name in oracle.tensors), shown.stdout


def test_layers_that_mean_something_else_are_found(oracle):
    """The rows of one layer in another order: right shapes, finite, and still refused."""
    name = next(name for name in oracle.tensors if name.endswith(("network.4.weight", "fc2.weight", "extractor.3.weight", "trunk.1.weight")))
    done, out = oracle.convert("rows", changes={name: np.ascontiguousarray(oracle.tensors[name][::-1])})
    assert done.returncode == 1 and "GoldenMismatch" not in done.stderr and "off by" in done.stdout, done.stdout + done.stderr
    assert not out.exists(), "what is refused is not written"


def test_every_violation_is_named_at_once(oracle):
    names = [name for name in oracle.tensors if name.endswith(".bias")][:3]
    changes = {
        names[0]: oracle.tensors[names[0]].astype(np.float64),
        names[1]: oracle.tensors[names[1]][:-1],
        names[2]: np.full_like(oracle.tensors[names[2]], np.nan),
        "stranger": np.zeros(2, np.float32),
    }
    done, _ = oracle.convert("wrong", changes=changes, seeds="seven")
    assert done.returncode == 1, done.stdout + done.stderr
    for word in [*names, "stranger", "manifest.seeds", "F64", "NaN"]:
        assert word in done.stdout, f"{word} is not in {done.stdout}"


def test_an_old_order_of_actions_is_permuted(program, oracle):
    """ST-57, ruling 1: a file whose outputs stand in another order gives, converted, the oracle's in ours."""
    agent = next(iter(ACTIONS[oracle.role]))
    order = list(range(len(ACTIONS[oracle.role][agent])))[::-1]
    actions = ACTIONS[oracle.role] | {agent: [ACTIONS[oracle.role][agent][i] for i in order]}
    prefix = NETWORKS[oracle.role][agent][0]
    last = list(name for name in oracle.tensors if name.startswith(f"{prefix}."))[-2:]
    golden = oracle.inputs(16)
    changes = {name: np.ascontiguousarray(oracle.tensors[name][order]) for name in last} | {"golden.inputs": golden}
    for network in oracle.served():
        rows = oracle.run(network, oracle.view(network, golden))
        changes[f"golden.{network}.logits"] = np.ascontiguousarray(rows[:, order] if network == agent else rows)
    done, out = oracle.convert("mirrored", changes=changes, actions=actions)
    assert done.returncode == 0, done.stdout + done.stderr
    inputs = oracle.inputs(100)
    agree(outputs(program, out, "stage", inputs), oracle.stage(inputs))


def test_a_self_test_is_not_invented(oracle):
    """Without golden tensors conversion asks for the author's, unless told to record its own."""
    path, beside = oracle.file("bare")
    bare = {name: array for name, array in load_file(path).items() if not name.startswith("golden.")}
    save_file(bare, path)
    out = oracle.folder / "bare.checkpoint"
    done = tool("convert", path, "--manifest", beside, "--out", out)
    assert done.returncode == 1 and "golden.inputs: not in the file" in done.stdout, done.stdout
    done = tool("convert", path, "--manifest", beside, "--out", out, "--record-self-test")
    assert done.returncode == 0 and tool("verify", out).returncode == 0, done.stdout


def test_exit_codes():
    assert tool("verify", "/nonexistent").returncode == 2
    assert tool("convert").returncode == 2
    assert tool("--help").returncode == 0
