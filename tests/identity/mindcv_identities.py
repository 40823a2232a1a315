"""Prints the identity and the probe of one network of each MindCV family, its weights set from a file.

python mindcv_identities.py WEIGHTS.npy [NAME...]
"""

import json
import sys
import warnings

import mindcv
import numpy as np
from mindspore import Tensor, nn

from explainrun.explainers import Network
from explainrun.explainers.network import probe
from explainrun.runner.plan.network_fingerprint import network_identity

NAMES = (
    "BiT_resnet50", "cait_xxs24_224", "cmt_tiny", "coat_lite_tiny", "convit_tiny", "convnext_tiny", "crossvit_9",
    "densenet121", "dpn92", "edgenext_xx_small", "efficientnet_b0", "ghostnet_050", "googlenet", "halonet_50t",
    "hrnet_w32", "inception_v3", "inception_v4", "mixnet_s", "mlp_mixer_s_p32", "mnasnet_050", "mobilenet_v1_025",
    "mobilenet_v2_035_128", "mobilenet_v3_small_100", "mobilevit_xx_small", "nasnet_a_4x1056", "pit_ti",
    "pnasnet", "poolformer_s12", "pvt_tiny", "pvt_v2_b0", "regnet_x_200mf", "repmlp_t224", "repvgg_a0", "res2net50",
    "resnest50", "resnet18", "resnetv2_50", "rexnet_09", "senet154", "seresnet18", "shufflenet_v1_g3_05",
    "shufflenet_v2_x0_5", "skresnet18", "squeezenet1_0", "swin_tiny", "swinv2_tiny_window8", "vgg11",
    "visformer_tiny", "vit_b_32_224", "volo_d1", "xception", "xcit_tiny_12_p16_224",
)  # fmt: skip
SIZES = {"inception": 299, "pnasnet": 331, "xception": 299, "swinv2": 256, "crossvit": 240, "cmt": 160, "halonet": 256}


def identified(name, weights):
    """What a network is, and what it answers to the probe; None where it does not build here."""
    try:
        network = mindcv.create_model(name, num_classes=7)
    except Exception as error:  # of a family that this MindSpore, or this machine, does not take
        return f"not built: {type(error).__name__}: {error}"[:200]
    start = 0
    for parameter in network.get_parameters():
        values = np.resize(np.roll(weights, -start), parameter.shape)
        if parameter.name.endswith("moving_variance"):
            values = np.abs(values) + 0.5
        parameter.set_data(Tensor(values.astype(np.float32)).astype(parameter.dtype))
        start += 101
    size = next((size for family, size in SIZES.items() if name.startswith(family)), 224)
    try:
        answers = probe(Network(network, 2), (3, size, size), nn.Softmax()).to_jsonable()
    except Exception as error:
        answers = f"does not run: {type(error).__name__}: {error}"[:200]
    return {**network_identity(network), "probe": answers}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    weights = np.load(sys.argv[1])
    for name in sys.argv[2:] or NAMES:
        print(json.dumps([name, identified(name, weights)]), flush=True)
