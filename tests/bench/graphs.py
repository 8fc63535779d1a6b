"""Writes random weights and inputs of each stage, and the same networks as ONNX graphs.

For a stage NAME: NAME.safetensors (weights under the names of the checkpoint file, inputs under `inputs.*`) and two graphs with
the three actors in one file. NAME.merged.onnx has the actors side by side; NAME.stacked.onnx does the same layer of all actors in
one operation, with everything folded that can be: which of the two an engine runs faster is for the benchmark to find out.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

SAMPLES = 64
ROWS, COLUMNS, BINS, TAPS = 60, 7, 16, 3
RANDOM = np.random.default_rng(20_240_601)


def uniform(*shape, limit=1.0):
    return RANDOM.uniform(-limit, limit, shape).astype(np.float32)


def linear(tensors, name, outputs, *inputs):
    tensors[f"{name}.weight"] = uniform(outputs, *inputs, limit=np.sqrt(6 / np.prod(inputs)))
    tensors[f"{name}.bias"] = uniform(outputs, limit=0.1)


def norm(tensors, name, width):
    tensors[f"{name}.weight"] = 1 + uniform(width, limit=0.2)
    tensors[f"{name}.bias"] = uniform(width, limit=0.2)


class Graph:
    """Nodes and constants of a graph under construction."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value):
        self.count += 1
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), f"c{self.count}"))
        return f"c{self.count}"

    def __call__(self, kind, *inputs, output=None, **attributes):
        self.count += 1
        name = output or f"v{self.count}"
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        self.nodes.append(helper.make_node(kind, names, [name], **attributes))
        return name

    def gemm(self, value, layer, output=None):
        return self("Gemm", value, *layer, transB=1, output=output)

    def norm(self, value, layer):
        return self("LayerNormalization", value, *layer, axis=-1, epsilon=1e-5)

    def save(self, path, inputs, outputs):
        infos = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in side.items()] for side in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, "stage", *infos, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def layer(tensors, name):
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def after_norm(dense, norm):
    """The layer behind a normalisation, with the normalisation's gain and shift in its weights."""
    (weight, bias), (gain, shift) = dense, norm
    return weight * gain, bias + weight @ shift


def padded(value, *shape):
    return np.pad(value, [(0, wanted - size) for size, wanted in zip(value.shape, shape)])


def stacked(graph, value, layers, outputs, inputs, output=None):
    """The same dense layer of all actors; narrower ones filled up with zeros."""
    weight = np.stack([padded(w, outputs, inputs).T for w, _ in layers])
    bias = np.stack([padded(b, outputs)[None] for _, b in layers])
    return graph("Add", graph("MatMul", value, weight), bias, output=output)


def plain_norm(graph, value, width):
    return graph.norm(value, (np.ones(width, np.float32), np.zeros(width, np.float32)))


def strategic(folder):
    agents, tensors = {"mlmi": 10, "nwrqk": 10, "regime": 9}, {}
    widths = (256, 128, 64)
    for agent, inputs in agents.items():
        for depth, width in enumerate(widths):
            linear(tensors, f"agents.{agent}.network.{4 * depth}", width, inputs)
            norm(tensors, f"agents.{agent}.network.{4 * depth + 3}", width)
            inputs = width
        linear(tensors, f"agents.{agent}.network.12", 3, inputs)
        tensors[f"inputs.{agent}"] = uniform(SAMPLES, agents[agent])
    save_file(tensors, folder / "strategic.safetensors")

    graph = Graph()
    for agent in agents:
        value = agent
        for depth in range(3):
            value = graph("Relu", graph.gemm(value, layer(tensors, f"agents.{agent}.network.{4 * depth}")))
            value = graph.norm(value, layer(tensors, f"agents.{agent}.network.{4 * depth + 3}"))
        graph.gemm(value, layer(tensors, f"agents.{agent}.network.12"), output=f"{agent}.logits")
    graph.save(folder / "strategic.merged.onnx", {a: [1, n] for a, n in agents.items()}, {f"{a}.logits": [1, 3] for a in agents})

    graph, value, inputs = Graph(), "all", 10
    for depth, width in enumerate((*widths, 3)):
        layers = [layer(tensors, f"agents.{agent}.network.{4 * depth}") for agent in agents]
        if depth:
            norms = [layer(tensors, f"agents.{agent}.network.{4 * depth - 1}") for agent in agents]
            layers = [after_norm(*pair) for pair in zip(layers, norms)]
        value = stacked(graph, value, layers, width, inputs, output="logits" if width == 3 else None)
        if width != 3:
            value = plain_norm(graph, graph("Relu", value), width)
        inputs = width
    graph.save(folder / "strategic.stacked.onnx", {"all": [3, 1, 10]}, {"logits": [3, 1, 3]})


def execution(folder):
    agents = {"position_sizing_agent": 5, "execution_timing_agent": 4, "risk_management_agent": 2}
    heads = {"position_sizing_agent": ["policy_head"], "execution_timing_agent": ["policy_head"],
             "risk_management_agent": ["stop_loss_head", "take_profit_head"]}
    tensors = {"inputs.context": uniform(SAMPLES, 15)}
    for agent, outputs in agents.items():
        tensors[f"{agent}.attention_weights"] = 0.1 + np.abs(uniform(15, limit=0.2))
        linear(tensors, f"{agent}.feature_extractor.0", 128, 15)
        norm(tensors, f"{agent}.feature_extractor.2", 128)
        linear(tensors, f"{agent}.feature_extractor.3", 64, 128)
        for head in heads[agent]:
            linear(tensors, f"{agent}.{head}.0", 32, 64)
            linear(tensors, f"{agent}.{head}.2", outputs // len(heads[agent]), 32)
    save_file(tensors, folder / "execution.safetensors")

    firsts, trunks, hiddens, lasts = [], [], [], []
    for agent in agents:
        weight, bias = layer(tensors, f"{agent}.feature_extractor.0")
        firsts.append((weight * tensors[f"{agent}.attention_weights"], bias))
        trunks.append(layer(tensors, f"{agent}.feature_extractor.3"))
        parts = [layer(tensors, f"{agent}.{head}.0") for head in heads[agent]]
        hiddens.append(tuple(np.concatenate(side) for side in zip(*parts)))
        ends = [layer(tensors, f"{agent}.{head}.2") for head in heads[agent]]
        last = np.zeros((agents[agent], 32 * len(ends)), np.float32)
        for row, (weight, _) in enumerate(ends):
            last[row * len(weight):(row + 1) * len(weight), 32 * row:32 * (row + 1)] = weight
        lasts.append((last, np.concatenate([bias for _, bias in ends])))
    norms = [layer(tensors, f"{agent}.feature_extractor.2") for agent in agents]

    graph = Graph()
    for i, agent in enumerate(agents):
        value = graph.norm(graph("Relu", graph.gemm("context", firsts[i])), norms[i])
        value = graph("Relu", graph.gemm(graph("Relu", graph.gemm(value, trunks[i])), hiddens[i]))
        graph.gemm(value, lasts[i], output=f"{agent}.logits")
    graph.save(folder / "execution.merged.onnx", {"context": [1, 15]}, {f"{a}.logits": [1, n] for a, n in agents.items()})

    graph = Graph()
    value = plain_norm(graph, graph("Relu", stacked(graph, "context", firsts, 128, 15)), 128)
    value = graph("Relu", stacked(graph, value, [after_norm(*pair) for pair in zip(trunks, norms)], 64, 128))
    value = graph("Relu", stacked(graph, value, hiddens, 64, 64))
    stacked(graph, value, lasts, 5, 64, output="logits")
    graph.save(folder / "execution.stacked.onnx", {"context": [1, 15]}, {"logits": [3, 1, 5]})


def pool_matrix():
    """Adaptive average pooling of 60 times into 16 bins as one matrix (TA-18)."""
    matrix = np.zeros((ROWS, BINS), np.float32)
    for i in range(BINS):
        start, end = i * ROWS // BINS, -(-(i + 1) * ROWS // BINS)
        matrix[start:end, i] = 1 / (end - start)
    return matrix


def tactical(folder):
    agents, tensors = ("fvg", "momentum", "entry"), {"inputs.matrix": uniform(SAMPLES, ROWS, COLUMNS)}
    for agent in agents:
        tensors[f"agents.{agent}.attention_weights"] = 0.1 + np.abs(uniform(COLUMNS, limit=0.3))
        for name, outputs, *inputs in [("conv1", 32, COLUMNS, TAPS), ("conv2", 64, 32, TAPS), ("fc1", 256, 64 * BINS),
                                       ("fc2", 128, 256), ("fc3", 3, 128)]:
            linear(tensors, f"agents.{agent}.{name}", outputs, *inputs)
    save_file(tensors, folder / "tactical.safetensors")

    parts = {}
    for agent in agents:
        get = lambda name: layer(tensors, f"agents.{agent}.{name}")
        weight, bias = get("conv1")
        first = (weight * tensors[f"agents.{agent}.attention_weights"][None, :, None], bias)
        parts[agent] = [first, *(get(name) for name in ("conv2", "fc1", "fc2", "fc3"))]
    convolve = lambda graph, value, pair, **more: graph("Relu", graph("Conv", value, *pair, kernel_shape=[TAPS], pads=[1, 1], **more))

    def dense(graph, value, agent):
        _, _, fc1, fc2, fc3 = parts[agent]
        value = graph("Relu", graph.gemm(graph("Relu", graph.gemm(value, fc1)), fc2))
        graph.gemm(value, fc3, output=f"{agent}.logits")

    ports = {"matrix": [1, ROWS, COLUMNS]}, {f"{agent}.logits": [1, 3] for agent in agents}
    graph = Graph()
    channels = graph("Transpose", "matrix", perm=[0, 2, 1])
    for agent in agents:
        value = convolve(graph, convolve(graph, channels, parts[agent][0]), parts[agent][1])
        dense(graph, graph("Reshape", graph("MatMul", value, pool_matrix()), np.array([1, 64 * BINS])), agent)
    graph.save(folder / "tactical.merged.onnx", *ports)

    graph = Graph()
    firsts, seconds = ([np.concatenate([parts[a][i][side] for a in agents]) for side in (0, 1)] for i in (0, 1))
    value = convolve(graph, graph("Transpose", "matrix", perm=[0, 2, 1]), firsts)
    value = graph("MatMul", convolve(graph, value, seconds, group=3), pool_matrix())
    rows = graph("Reshape", value, np.array([3, 64 * BINS]))
    for i, agent in enumerate(agents):
        dense(graph, graph("Slice", rows, np.array([i]), np.array([i + 1]), np.array([0])), agent)
    graph.save(folder / "tactical.stacked.onnx", *ports)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for stage in (strategic, tactical, execution):
        stage(folder)


if __name__ == "__main__":
    main()
