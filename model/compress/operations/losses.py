"""What a small network can learn from a larger one beside the labels."""

import torch
import torch.nn.functional as F  # noqa: N812

from fivebyfive.model.training.lenet import LeNet
from fivebyfive.model.training.state import CrossEntropy

__all__ = ["Distilled", "attention", "soft_loss"]

CONV_LAYERS = ("conv1", "conv2")


def soft_loss(pupil: torch.Tensor, teacher: torch.Tensor, softness: float) -> torch.Tensor:
    """Kullback-Leibler divergence of classes at a temperature, times its square so that gradients keep their size
    (Hinton, Vinyals and Dean 2015, arXiv:1503.02531). Both are (N, classes), already scaled to be log-odds."""
    wanted = F.log_softmax(teacher / softness, 1)
    return softness**2 * F.kl_div(F.log_softmax(pupil / softness, 1), wanted, log_target=True, reduction="batchmean")


def attention(maps: torch.Tensor) -> torch.Tensor:
    """Where a layer looks: the sum of squares over channels, of length 1 for each image; (N, H W) of (N, C, H, W)."""
    return F.normalize(maps.square().sum(1).flatten(1))


class Distilled(torch.nn.Module):
    """Cross-entropy and ``soft`` parts of `soft_loss`; with ``looks`` attention transfer, with ``hints`` hints.

    Attention transfer: Zagoruyko and Komodakis 2017 (arXiv:1612.03928); the pupil's maps go through a transfer layer,
    1x1 convolutions that are learned with it and thrown away, before their attention is compared, so that it need not
    look with every channel. Hints: Romero et al. 2015, FitNets (arXiv:1412.6550): the pupil's conv2 maps, through a
    1x1 convolution, shall be the teacher's. Temperatures: of the pupil's logits and of the teacher's. ``labels``:
    weight of the cross-entropy, beside its share.
    """

    def __init__(
        self,
        pupil: LeNet,
        teacher: LeNet,
        temperatures: tuple[float, float],
        soft: float,
        softness: float,
        looks: float = 0.0,
        hints: float = 0.0,
        generator: torch.Generator | None = None,
        labels: float = 1.0,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.teacher = [teacher]  # in a list: no module of ours, so nobody trains or stores it
        self.hard = CrossEntropy(temperatures[0])
        self.temperatures, self.soft, self.softness = temperatures, soft, softness
        self.looks, self.hints = looks, hints
        self.transfer = torch.nn.ModuleDict()
        layers = (CONV_LAYERS if looks else ()) or (CONV_LAYERS[1:] if hints else ())
        for layer in layers:
            own, other = getattr(pupil.shape, layer), getattr(teacher.shape, layer)
            self.transfer[layer] = pointwise(own, other, generator)

    def forward(
        self, x: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor, before: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        with torch.no_grad():
            wanted, seen = self.teacher[0](x, True)
        own, other = self.temperatures
        loss = self.labels * (1 - self.soft) * self.hard(x, labels, logits, before)
        loss = loss + self.soft * soft_loss(own * logits, other * wanted, self.softness)
        for layer, transfer in self.transfer.items():
            maps, target = transfer(before[layer].relu()), seen[layer].relu()
            if self.looks:
                loss = loss + self.looks * (attention(maps) - attention(target)).square().sum(1).mean()
            if self.hints and layer == CONV_LAYERS[-1]:
                loss = loss + self.hints * F.mse_loss(maps, target)
        return loss


def pointwise(inputs: int, outputs: int, generator: torch.Generator | None) -> torch.nn.Conv2d:
    """A 1x1 convolution, evenly drawn as LeNet's weights are."""
    layer = torch.nn.Conv2d(inputs, outputs, 1, bias=False)
    torch.nn.init.uniform_(layer.weight, -(inputs**-0.5), inputs**-0.5, generator=generator)
    return layer
