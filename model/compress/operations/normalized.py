"""A LeNet with batch normalization behind every hidden layer, to choose channels with; it folds into a plain one."""

import torch

from fivebyfive.model.training.lenet import LeNet

__all__ = ["Normalized"]

MOMENTUM = 0.1  # of the running mean and variance
TINY = 1e-5  # beside the variance


class Normalized(LeNet):
    """The network ``net`` with normalization; a layer's weights and masks are its own, scales begin at 0.5."""

    def __init__(self, net: LeNet) -> None:
        super().__init__(net.shape)
        self.norms = torch.nn.ModuleDict()
        for layer, (weight, bias) in net.layers.items():
            with torch.no_grad():
                self.layers[layer][0].copy_(weight)
                self.layers[layer][1].copy_(bias)
            if layer in net.projections:
                self.projections[layer] = net.projections[layer]
            if layer != net.shape.layers[-1]:
                self.norms[layer] = torch.nn.BatchNorm1d(len(bias), eps=TINY, momentum=MOMENTUM)
                torch.nn.init.constant_(self.norms[layer].weight, 0.5)

    @property
    def scales(self) -> dict[str, torch.nn.Parameter]:
        """The scale of each output of the hidden layers, layer to (outputs,)."""
        return {layer: norm.weight for layer, norm in self.norms.items()}

    @torch.no_grad()
    def shrink(self, amount: float) -> None:
        """Take all scales this much nearer to zero, and not past it."""
        for scale in self.scales.values():
            scale.copy_(scale.sign() * (scale.abs() - amount).clamp(min=0))

    def normed(self, name: str, maps: torch.Tensor) -> torch.Tensor:
        """Sums (N, C) or (N, C, H, W), normalized by channel."""
        if name not in self.norms:
            return maps
        norm = self.norms[name]
        norm.train(torch.is_grad_enabled())  # examinations are without gradients, and take the running figures
        flat = norm(maps.flatten(2) if maps.dim() == 4 else maps)
        return flat.reshape(maps.shape)

    @torch.no_grad()
    def folded(self) -> LeNet:
        """The plain network that computes the same, with the masks of this one."""
        plain = LeNet(self.shape)
        for layer in self.shape.layers:
            weight, bias = (value.detach().clone() for value in self.layers[layer])
            if layer in self.norms:
                norm = self.norms[layer]
                factor = norm.weight / (norm.running_var + TINY).sqrt()  # (C,)
                weight = weight * factor.reshape(-1, *[1] * (weight.dim() - 1))
                bias = (bias - norm.running_mean) * factor + norm.bias
            plain.layers[layer][0].copy_(weight)
            plain.layers[layer][1].copy_(bias)
            if layer in self.projections:
                plain.projections[layer] = self.projections[layer]
        return plain
