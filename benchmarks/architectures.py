"""The time of a training step of this package's nets, against the simplest torch code for the same architectures.

    python benchmarks/architectures.py                   # a minute on one core
    python benchmarks/architectures.py --device cuda

Each architecture is implemented here again as in a textbook. Both nets get the same parameters and must have the same
loss; then they take turns, so that a busy machine slows down both. See README.md.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models import build_net, count_parameters
from resnet_cli.models.base import Drawing, StochasticDepth
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.run import Run
from resnet_cli.training.device import environment, prepare_device, resolve_device
from resnet_cli.training.optimizers import LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, build_optimizer

WITH_STOCHASTIC_DEPTH = "ResNet-56, stochastic depth"
BATCH = 32
CLASSES = 10
LIMIT = 1.15


class BasicBlock(nn.Module):
    """Two 3×3 convolutions, dropped with probability 1 - `survival` while training, and a zero-padding shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int, survival: float = 1.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.stride, self.extra, self.survival = stride, n_out - n_in, survival

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        skipped = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra)) if self.extra else x
        if self.survival < 1 and torch.rand(()).item() >= self.survival:
            return F.relu(skipped)
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(x)) + skipped)


class ResNeXtBlock(nn.Module):
    """A 1×1, a grouped 3×3 and a 1×1 convolution, and a projection where the shape changes."""

    def __init__(self, n_in: int, inner: int, n_out: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, inner, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, n_out, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential()
        if n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        return F.relu(y + self.shortcut(x))


class DenseLayer(nn.Module):
    """Norm, ReLU and a 3×3 convolution whose output is appended; a bottleneck adds norm, ReLU and 1×1 before them."""

    def __init__(self, n_in: int, growth: int, *, has_bottleneck: bool) -> None:
        super().__init__()
        self.bottleneck = nn.Sequential()
        if has_bottleneck:
            self.bottleneck = nn.Sequential(nn.BatchNorm2d(n_in), nn.ReLU(), nn.Conv2d(n_in, 4 * growth, 1, bias=False))
            n_in = 4 * growth
        self.norm = nn.BatchNorm2d(n_in)
        self.conv = nn.Conv2d(n_in, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_in + growth, H, W)."""
        return torch.cat([x, self.conv(F.relu(self.norm(self.bottleneck(x))))], 1)


class HighwayLayer(nn.Module):
    """A 3×3 convolution and, where it keeps the shape, a gate between it and its input."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 3, 1 if n_in == n_out else 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        self.gate = nn.Conv2d(n_in, n_out, 3, 1, 1) if n_in == n_out else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        y = F.relu(self.norm(self.conv(x)))
        if self.gate is None:
            return y
        gate = torch.sigmoid(self.gate(x))
        return y * gate + x * (1 - gate)


class ResidualMLP(nn.Module):
    """Hidden layers of `width` units with a skip over every three, and a linear output."""

    def __init__(self, features: int, width: int, depth: int) -> None:
        super().__init__()
        sizes = [features] + [width] * depth
        self.hidden = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in itertools.pairwise(sizes)])
        self.output = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, classes)."""
        x = F.relu(self.hidden[0](x.flatten(1)))
        for index in range(1, len(self.hidden) - 2, 3):
            y = F.relu(self.hidden[index](x))
            y = F.relu(self.hidden[index + 1](y))
            x = F.relu(self.hidden[index + 2](y) + x)
        return self.output(x)  # type: ignore[no-any-return]


class Pooled(nn.Module):
    """Global average pooling and a linear layer."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.linear = nn.Linear(filters, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """(B, filters, H, W) to (B, classes)."""
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))  # type: ignore[no-any-return]


def stem(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]


def resnet(channels: int, width: int, n: int, last_survival: float = 1.0) -> nn.Module:
    layers, n_in = stem(channels, width), width
    for index in range(3 * n):
        n_out = width * 2 ** (index // n)
        survival = 1 - (index + 1) / (3 * n) * (1 - last_survival)
        layers.append(BasicBlock(n_in, n_out, 1 if n_in == n_out else 2, survival))
        n_in = n_out
    return nn.Sequential(*layers, Pooled(n_in))


def plain(channels: int, width: int, n: int) -> nn.Module:
    layers, n_in = stem(channels, width), width
    for index in range(6 * n):
        n_out = width * 2 ** (index // (2 * n))
        convolution = nn.Conv2d(n_in, n_out, 3, 1 if n_in == n_out else 2, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(n_out), nn.ReLU()]
        n_in = n_out
    return nn.Sequential(*layers, Pooled(n_in))


def highway(channels: int, width: int, n: int) -> nn.Module:
    layers, n_in = stem(channels, width), width
    for index in range(6 * n):
        n_out = width * 2 ** (index // (2 * n))
        layers.append(HighwayLayer(n_in, n_out))
        n_in = n_out
    return nn.Sequential(*layers, Pooled(n_in))


def resnext(channels: int, width: int, n: int, cardinality: int, group_width: int) -> nn.Module:
    layers, n_in = stem(channels, width), width
    for index in range(3 * n):
        factor = 2 ** (index // n)
        stride = 2 if index in (n, 2 * n) else 1
        inner, n_out = cardinality * group_width * factor, 4 * width * factor
        layers.append(ResNeXtBlock(n_in, inner, n_out, stride, cardinality))
        n_in = n_out
    return nn.Sequential(*layers, Pooled(n_in))


def densenet(channels: int, width: int, block_layers: int, growth: int, *, compressed: bool) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1, bias=False)]
    filters = width
    for block in range(3):
        if block > 0:
            kept = filters // 2 if compressed else filters
            convolution = nn.Conv2d(filters, kept, 1, bias=False)
            layers += [nn.BatchNorm2d(filters), nn.ReLU(), convolution, nn.AvgPool2d(2)]
            filters = kept
        for _ in range(block_layers):
            layers.append(DenseLayer(filters, growth, has_bottleneck=compressed))
            filters += growth
    return nn.Sequential(*layers, nn.BatchNorm2d(filters), nn.ReLU(), Pooled(filters))


CASES: dict[str, tuple[dict[str, Any], int, Callable[[], nn.Module]]] = {
    "plain CNN, 20 layers": ({"models": "plain-cnn", "depths": 20}, 16, lambda: plain(3, 16, 3)),
    "residual MLP, 19 layers": (
        {"models": "residual-mlp", "depths": 19, "width": 256},
        8,
        lambda: ResidualMLP(3 * 8 * 8, 256, 19),
    ),
    "Highway-20": ({"models": "highway-cnn", "depths": 20}, 16, lambda: highway(3, 16, 3)),
    "ResNet-20": ({"models": "resnet", "depths": 20}, 32, lambda: resnet(3, 16, 3)),
    "ResNet-20, width 8": ({"models": "resnet", "depths": 20, "width": 8}, 8, lambda: resnet(3, 8, 3)),
    "ResNet-110": ({"models": "resnet", "depths": 110}, 8, lambda: resnet(3, 16, 18)),
    WITH_STOCHASTIC_DEPTH: (
        {"models": "resnet", "depths": 56, "survival": 0.5},
        16,
        lambda: resnet(3, 16, 9, 0.5),
    ),
    "ResNeXt-29, 8×4d": (
        {"models": "resnext", "depths": 29, "cardinality": 8, "group_width": 4},
        16,
        lambda: resnext(3, 16, 3, 8, 4),
    ),
    "DenseNet-40, k = 12": (
        {"models": "densenet", "depths": 40, "growth_rate": 12},
        16,
        lambda: densenet(3, 16, 12, 12, compressed=False),
    ),
    "DenseNet-BC-40, k = 12": (
        {"models": "densenet-bc", "depths": 40, "growth_rate": 12},
        16,
        lambda: densenet(3, 16, 6, 12, compressed=True),
    ),
}
"""Settings, height and width of the images, and the textbook net."""


class Contender:
    """A net with its optimiser, on a batch of random images."""

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> None:
        self.net, self.optimizer, self.images = net, optimizer, images
        self.targets = torch.arange(len(images), device=images.device) % CLASSES
        self.generator = torch.Generator()
        for layer in net.modules():
            if isinstance(layer, Drawing):
                layer.generator = self.generator

    def forward(self, seed: int) -> Tensor:
        """The loss in training mode; with stochastic depth, all nets drop the same blocks for the same seed."""
        torch.manual_seed(seed)
        self.generator.manual_seed(seed)
        return F.cross_entropy(self.net(self.images), self.targets)

    def step(self, seed: int) -> float:
        """Take a training step and return its seconds."""
        began = now(self.images.device)
        loss = self.forward(seed)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return now(self.images.device) - began


def now(device: torch.device) -> float:
    """The time in seconds; on a CPU, this process's CPU time, which other programs affect less than the clock."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def as_trained(run: Run, net: nn.Module, images: Tensor) -> Contender:
    """A net with the memory format and the optimiser that the training loop uses."""
    net = net.to(images.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = images.contiguous(memory_format=torch.channels_last)
    return Contender(net, build_optimizer(run, net.parameters()), images)


def as_it_comes(run: Run, net: nn.Module, images: Tensor) -> Contender:
    """A net with torch's defaults."""
    net = net.to(images.device)
    momentum, decay = run.get(MOMENTUM) or 0, run[WEIGHT_DECAY]
    optimizer = torch.optim.SGD(net.parameters(), run[LEARNING_RATE], momentum=momentum, weight_decay=decay)
    return Contender(net, optimizer, images)


def random_images(side: int, device: torch.device) -> Tensor:
    """(B, 3, side, side)."""
    return torch.randn(BATCH, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)


def compare(name: str, repeats: int, device: torch.device) -> float:
    """Print a row of the table and return the larger of the two ratios to the textbook net."""
    settings, side, textbook = CASES[name]
    run, images = plan(settings), random_images(side, device)
    ours, theirs, theirs_again = build_net(run, (3, side, side), CLASSES), textbook(), textbook()
    for net in (theirs, theirs_again):
        net.load_state_dict(dict(zip(net.state_dict(), ours.state_dict().values(), strict=True)))
    assert count_parameters(ours) == count_parameters(theirs)
    nets = [as_trained(run, ours, images), as_it_comes(run, theirs, images), as_trained(run, theirs_again, images)]
    torch.testing.assert_close(nets[0].forward(0), nets[1].forward(0), rtol=1e-3, atol=1e-4)
    for contender in nets:
        contender.step(seed=0)  # warm-up
    seconds: list[list[float]] = [[], [], []]
    for seed in range(repeats):
        for place in range(3):  # they take turns in going first
            index = (place + seed) % 3
            seconds[index].append(nets[index].step(seed))
    milliseconds = [1000 * statistics.median(times) for times in seconds]
    to_plain, to_same = (
        statistics.median(mine / other for mine, other in zip(seconds[0], times, strict=True)) for times in seconds[1:]
    )
    steps = " | ".join(f"{value:.1f}" for value in milliseconds[:2])
    print(f"| {name} | {side}² | {count_parameters(ours):,} | {steps} | {to_plain:.2f} | {to_same:.2f} |", flush=True)
    return max(to_plain, to_same)


def show_stochastic_depth(repeats: int, device: torch.device) -> None:
    """Print the cost of a step when blocks are dropped."""
    settings, side, _ = CASES[WITH_STOCHASTIC_DEPTH]
    images = random_images(side, device)
    rows = []
    for survival in (1.0, 0.5):
        run = plan(settings | {"survival": survival})
        contender = as_trained(run, build_net(run, (3, side, side), CLASSES), images)
        contender.step(seed=0)
        gates = [layer for layer in contender.net.modules() if isinstance(layer, StochasticDepth)]
        computed: list[object] = []
        for gate in gates:
            gate.register_forward_hook(lambda *call, computed=computed: computed.append(None))
        rows.append((survival, contender, gates, computed))
    steps = 4 * repeats
    seconds = [[contender.step(seed) for _, contender, *_ in rows] for seed in range(steps)]
    means = [statistics.mean(times) for times in zip(*seconds, strict=True)]
    print("\n| survival of the last block | blocks computed | expected | ms per step | times constant depth |")
    print("|---|---|---|---|---|")
    for (survival, _, gates, computed), mean in zip(rows, means, strict=True):
        share, expected = len(computed) / len(gates) / steps, statistics.mean(gate.survival for gate in gates)
        print(f"| {survival} | {share:.2f} | {expected:.2f} | {1000 * mean:.1f} | {mean / means[0]:.2f} |")


def plan(settings: dict[str, Any]) -> Run:
    """The run with these settings; its small learning rate keeps all losses finite."""
    (run,) = plan_sweep({"task": "cifar10", "seeds": 0, "learning_rate": 1e-3} | settings).runs
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=15, help="steps per net, of which the median is shown")
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    prepare_device(device, threads=1)
    print(f"{environment(device, 1)['device_name']}, one thread; torch {torch.__version__}; batch {BATCH}\n")
    print("| net | image | parameters | ms per step | textbook, ms | times textbook | times textbook, same training |")
    print("|---|---|---|---|---|---|---|")
    ratios = {name: compare(name, arguments.repeats, device) for name in CASES}
    show_stochastic_depth(arguments.repeats, device)
    slow = [name for name, ratio in ratios.items() if ratio > LIMIT]
    print(f"\nMore than {LIMIT} times as slow as the textbook net: {', '.join(slow) or 'none'}.")


if __name__ == "__main__":
    main()
