"""Networks of the support table: names, and how each is built small, with random weights.

A name is `torchvision:...`, `timm:...` or `transformers:CLASS`. A subject is what is needed to explain one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sightline import targets

TORCHVISION = """
alexnet vgg11 vgg11_bn resnet18 resnet50 resnext50_32x4d wide_resnet50_2 densenet121 squeezenet1_0 squeezenet1_1
googlenet inception_v3 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large shufflenet_v2_x0_5 mnasnet0_5
efficientnet_b0 efficientnet_v2_s regnet_x_400mf regnet_y_400mf convnext_tiny vit_b_32 swin_t swin_v2_t maxvit_t
""".split()  # noqa: SIM905
DETECTORS = """
fasterrcnn_resnet50_fpn fasterrcnn_resnet50_fpn_v2 fasterrcnn_mobilenet_v3_large_fpn
fasterrcnn_mobilenet_v3_large_320_fpn fcos_resnet50_fpn retinanet_resnet50_fpn retinanet_resnet50_fpn_v2 ssd300_vgg16
ssdlite320_mobilenet_v3_large maskrcnn_resnet50_fpn maskrcnn_resnet50_fpn_v2 keypointrcnn_resnet50_fpn
""".split()  # noqa: SIM905
SEGMENTERS = """
fcn_resnet50 fcn_resnet101 deeplabv3_resnet50 deeplabv3_resnet101 deeplabv3_mobilenet_v3_large
lraspp_mobilenet_v3_large
""".split()  # noqa: SIM905
CLIPS = "r3d_18 mc3_18 r2plus1d_18 s3d mvit_v1_b mvit_v2_s swin3d_t swin3d_s swin3d_b".split()  # noqa: SIM905
TIMM = """
seresnet50 resnest26d res2net50_26w_4s resnetv2_50 skresnet18 resnet26t gcresnext26ts bat_resnext26ts dla34
hrnet_w18_small ese_vovnet19b_dw cspdarknet53 cs3darknet_s darknet53 repvgg_a0 ghostnet_100 lcnet_050
mobilenetv1_100 mobilenetv2_050 mobilenetv3_small_050 mobilenetv4_conv_small mobileone_s0 fastvit_t8 xception41
nf_resnet50 eca_nfnet_l0 dpn48b rexnet_100 vit_tiny_patch16_224 deit_tiny_distilled_patch16_224
deit3_small_patch16_224 eva02_tiny_patch14_224 beit_base_patch16_224 vit_small_patch14_reg4_dinov2
vit_tiny_r_s16_p8_224 flexivit_small vit_relpos_small_patch16_224 cait_xxs24_224 xcit_nano_12_p16_224 pit_ti_224
levit_128s coat_tiny coatnet_nano_rw_224 crossvit_tiny_240 twins_svt_small twins_pcpvt_small pvt_v2_b0 volo_d1_224
tnt_s_patch16_224 poolformer_s12 caformer_s18 convformer_s18 davit_tiny focalnet_tiny_srf mixer_s32_224
gmlp_ti16_224 resmlp_12_224 convmixer_768_32 convit_tiny efficientformer_l1 efficientformerv2_s0 efficientvit_b0
efficientvit_m0 edgenext_xx_small mobilevit_xxs mobilevitv2_050 mvitv2_tiny hiera_tiny_224 hieradet_small
mambaout_femto tiny_vit_5m_224 repvit_m0_9 convnext_atto convnextv2_atto swin_tiny_patch4_window7_224
swinv2_tiny_window8_256 maxvit_rmlp_pico_rw_256 nest_tiny nextvit_small gcvit_xxtiny sequencer2d_s shvit_s1
starnet_s1 swiftformer_xs halonet26t lambda_resnet26t botnet26t_256 visformer_tiny vitamin_small_224 fasternet_t0
inception_next_atto inception_v4 hgnetv2_b0 regnetz_b16 selecsls42 tresnet_m rdnet_tiny csatv2
""".split()  # noqa: SIM905

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
STEPS = {"depths": [1, 1, 2, 1], "hidden_sizes": [16, 32, 48, 64]}
VIT = {**TINY, "image_size": 48, "patch_size": 8}
WINDOWS = {
    "image_size": 64,
    "patch_size": 4,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 2],
    "window_size": 4,
}
FILM = {**TINY, "image_size": 32, "num_frames": 4, "tubelet_size": 2}
RESNET = {"embedding_size": 16, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1], "layer_type": "basic"}
DETR = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_queries": 9}  # fmt: skip
LABELS = {"num_labels": 5}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ResNetForImageClassification": ("ResNetConfig", RESNET),
    "ConvNextForImageClassification": ("ConvNextConfig", STEPS),
    "ConvNextV2ForImageClassification": ("ConvNextV2Config", STEPS),
    "SwinForImageClassification": ("SwinConfig", WINDOWS),
    "Swinv2ForImageClassification": ("Swinv2Config", WINDOWS),
    "ViTForImageClassification": ("ViTConfig", VIT),
    "DeiTForImageClassification": ("DeiTConfig", VIT),
    "DeiTForImageClassificationWithTeacher": ("DeiTConfig", VIT),
    "ViTMSNForImageClassification": ("ViTMSNConfig", VIT),
    "BeitForImageClassification": ("BeitConfig", VIT),
    "Data2VecVisionForImageClassification": ("Data2VecVisionConfig", VIT),
    "IJepaForImageClassification": ("IJepaConfig", VIT),
    "Dinov2ForImageClassification": ("Dinov2Config", VIT),
    "Dinov2WithRegistersForImageClassification": ("Dinov2WithRegistersConfig", VIT),
    "SiglipForImageClassification": ("SiglipConfig", {"vision_config": VIT, "text_config": TINY}),
    "CLIPForImageClassification": ("CLIPConfig", {"vision_config": VIT, "text_config": TINY}),
    "MobileViTForImageClassification": (
        "MobileViTConfig",
        {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 12, 16, 16, 24, 32], "num_attention_heads": 2},
    ),
    "MobileViTV2ForImageClassification": ("MobileViTV2Config", {"width_multiplier": 0.25}),
    "SegformerForImageClassification": ("SegformerConfig", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1],
                                                            "num_attention_heads": [1, 2, 2, 2]}),
    "EfficientNetForImageClassification": ("EfficientNetConfig", {"width_coefficient": 0.25, "hidden_dim": 320,
                                                                  "depth_coefficient": 0.5}),
    "RegNetForImageClassification": ("RegNetConfig", {"embedding_size": 8, "hidden_sizes": [16, 16, 24, 32],
                                                      "depths": [1, 1, 1, 1], "groups_width": 8}),
    "PvtForImageClassification": ("PvtConfig", {"image_size": 64, "hidden_sizes": [8, 16, 24, 32],
                                                "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 2]}),
    "PvtV2ForImageClassification": ("PvtV2Config", {"image_size": 64, "hidden_sizes": [8, 16, 24, 32],
                                                    "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 2]}),
    "PoolFormerForImageClassification": ("PoolFormerConfig", {"hidden_sizes": [8, 16, 24, 32],
                                                              "depths": [1, 1, 1, 1]}),
    "FocalNetForImageClassification": ("FocalNetConfig", {"image_size": 64, "embed_dim": 16, "depths": [1, 1, 1, 1],
                                                          "hidden_sizes": [16, 32, 64, 128]}),
    "MobileNetV1ForImageClassification": ("MobileNetV1Config", {"depth_multiplier": 0.25}),
    "MobileNetV2ForImageClassification": ("MobileNetV2Config", {"depth_multiplier": 0.35}),
    "BitForImageClassification": ("BitConfig", {"embedding_size": 32, "hidden_sizes": [32, 32, 64, 64],
                                                "depths": [1, 1, 1, 1], "num_groups": 8}),
    "HGNetV2ForImageClassification": ("HGNetV2Config", {}),
    "SwiftFormerForImageClassification": ("SwiftFormerConfig", {"depths": [1, 1, 2, 1],
                                                                "embed_dims": [16, 24, 32, 48]}),
    "VideoMAEForVideoClassification": ("VideoMAEConfig", {**FILM, "patch_size": 8}),
    "TimesformerForVideoClassification": ("TimesformerConfig", {**FILM, "patch_size": 8}),
    "VivitForVideoClassification": ("VivitConfig", {**TINY, "image_size": 32, "num_frames": 4,
                                                    "tubelet_size": [2, 8, 8]}),
    "SegformerForSemanticSegmentation": ("SegformerConfig", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1],
                                                             "num_attention_heads": [1, 2, 2, 2],
                                                             "decoder_hidden_size": 32}),
    "UperNetForSemanticSegmentation": ("UperNetConfig", {"hidden_size": 32, "auxiliary_in_channels": 48}),
    "DetrForObjectDetection": ("DetrConfig", DETR),
    "ConditionalDetrForObjectDetection": ("ConditionalDetrConfig", DETR),
    "YolosForObjectDetection": ("YolosConfig", {**TINY, "image_size": [48, 64], "patch_size": 8,
                                                "num_detection_tokens": 9}),
    "Mask2FormerForUniversalSegmentation": ("Mask2FormerConfig", {"hidden_dim": 32, "mask_feature_size": 32,
                                                                  "feature_size": 32, "encoder_feedforward_dim": 64,
                                                                  "dim_feedforward": 64, "encoder_layers": 2,
                                                                  "decoder_layers": 2, "num_attention_heads": 2,
                                                                  "num_queries": 9}),
}  # fmt: skip
BACKBONES = {"DetrConfig": "ResNetConfig", "ConditionalDetrConfig": "ResNetConfig", "UperNetConfig": "ConvNextConfig",
             "Mask2FormerConfig": "SwinConfig"}  # fmt: skip
CLIP_FIRST_FRAMES = ("VideoMAE", "Timesformer", "Vivit")
NAMES = [
    *(f"torchvision:{name}" for name in (*TORCHVISION, *DETECTORS, *SEGMENTERS, *CLIPS)),
    *(f"timm:{name}" for name in TIMM),
    *(f"transformers:{name}" for name in TRANSFORMERS),
]
TOY = ["torchvision:squeezenet1_1", "torchvision:shufflenet_v2_x0_5", "timm:vit_tiny_patch16_224"]


BY_HAND = {
    "torchvision:fcos_resnet50_fpn": "[b, c, y, x] throughout; its coarsest maps have 1x2 places",
    "torchvision:retinanet_resnet50_fpn": "[b, c, y, x] throughout; its coarsest maps have 1x2 places",
    "torchvision:retinanet_resnet50_fpn_v2": "[b, c, y, x] throughout; its coarsest maps have 1x2 places",
    "torchvision:ssdlite320_mobilenet_v3_large": "[b, c, y, x] throughout; its last maps have 2x2 places",
    "timm:levit_128s": "attention that halves the grid has no way around it: each place sees all",
    "timm:efficientvit_b0": "[b, c, y, x] throughout; its linear attention sees all places alike",
    "transformers:MobileViTV2ForImageClassification": "[b, c, 4, patches], row by row; its attention sees all alike",
    "transformers:TimesformerForVideoClassification": "[places, frames, c]; its time attention sees all frames alike",
}
"""Networks whose places do not move with the input though their layouts are right, and how that is known."""


@dataclass(frozen=True)
class Subject:
    """A network and what it is asked.

    Args:
        model: with random weights, in eval mode.
        inputs: one small sample.
        target: its decision.
        domain: `picture` or `clip`.
    """

    model: nn.Module
    inputs: Tensor
    target: Any
    domain: str = "picture"


def subject_of(name: str) -> Subject:
    """Build a network of the table.

    Raises:
        KeyError: there is no such origin or class.
    """
    origin, own = name.split(":")
    torch.manual_seed(0)
    return {"torchvision": _torchvision, "timm": _timm, "transformers": _transformers}[origin](own)


def noise(*shape: int) -> Tensor:
    """A sample of noise."""
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))


CLIP_SIZES = {"mvit_v1_b": (16, 224, 224), "mvit_v2_s": (8, 64, 96), "s3d": (14, 224, 224)}
ONE_STAGE = {"score_thresh": 0.0, "topk_candidates": 30, "detections_per_img": 5}
TWO_STAGES = {"box_score_thresh": 0.0, "box_detections_per_img": 5, "rpn_pre_nms_top_n_test": 60,
              "rpn_post_nms_top_n_test": 20}  # fmt: skip
"""Few candidates: random weights would fill the picture with boxes."""


def _torchvision(name: str) -> Subject:
    from torchvision.models import get_model

    if name in DETECTORS:
        single = name.startswith(("fcos", "retinanet", "ssd"))
        limit: dict[str, Any] = ONE_STAGE if single else TWO_STAGES
        size = {} if name.startswith("ssd") else {"min_size": 128, "max_size": 256}
        model = get_model(name, weights=None, weights_backbone=None, num_classes=5, **limit, **size)
        return Subject(model.eval(), noise(3, 128, 160).sigmoid(), targets.box())
    if name in SEGMENTERS:
        model = get_model(name, weights=None, weights_backbone=None, num_classes=5)
        return Subject(model.eval(), noise(3, 96, 128), targets.segment(1, region="all"))
    if name in CLIPS:
        size = CLIP_SIZES.get(name, (4, 64, 96))
        own = {"spatial_size": size[1:], "temporal_size": size[0]} if name == "mvit_v2_s" else {}
        return Subject(get_model(name, weights=None, num_classes=5, **own).eval(), noise(3, *size), None, "clip")
    alone = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    size = {
        "inception_v3": (139, 171),
        "maxvit_t": (224, 224),
        "shufflenet_v2_x0_5": (192, 256),
        "vit_b_32": (224, 224),
    }.get(name, (96, 128))
    return Subject(get_model(name, weights=None, num_classes=5, **alone).eval(), noise(3, *size), None)


LARGER = {"rdnet_tiny": (192, 256), "coat_tiny": (192, 256), "hieradet_small": (256, 256)}
"""Inputs of networks whose last map has too few places at the usual small one."""


def _timm(name: str) -> Subject:
    import timm

    own = timm.get_pretrained_cfg(name)
    channels, *size = own.input_size
    attempts: list[tuple[dict[str, Any], tuple[int, ...]]] = [({"img_size": (96, 128)}, (96, 128))]
    if name in LARGER:
        attempts = [({"img_size": LARGER[name]}, LARGER[name]), ({}, LARGER[name])]
    attempts += [({}, (96, 128)), ({}, (128, 128)), ({}, tuple(size))]
    for keywords, shape in attempts:
        model = _built(lambda keywords=keywords: timm.create_model(name, num_classes=5, **keywords).eval())
        if model is not None and (tuple(shape) == tuple(size) or _runs(model, noise(channels, *shape))):
            return Subject(model, noise(channels, *shape), None)
    raise KeyError(name)


def _built(build: Callable[[], nn.Module]) -> nn.Module | None:
    try:
        return build()
    except (TypeError, RuntimeError, AssertionError, ValueError):
        return None


def _runs(model: nn.Module, inputs: Tensor) -> bool:
    try:
        with torch.no_grad():
            model(inputs)
    except (TypeError, RuntimeError, AssertionError, ValueError):
        return False
    return True


def _transformers(name: str) -> Subject:
    import transformers

    config, options = TRANSFORMERS[name]
    options = {**options, **LABELS}
    if config in BACKBONES:
        inner = {"ResNetConfig": RESNET, "ConvNextConfig": STEPS, "SwinConfig": WINDOWS_4}[BACKBONES[config]]
        own = getattr(transformers, BACKBONES[config])(**inner, out_features=OUT[config])
        options |= {"backbone_config": own} | ({"use_timm_backbone": False} if "Detr" in config else {})
    model = getattr(transformers, name)(getattr(transformers, config)(**options)).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):  # these classes begin with weights so small that deep layers say nothing
            nn.init.kaiming_normal_(module.weight)
    if name.startswith(CLIP_FIRST_FRAMES):
        return Subject(model, noise(4, 3, 32, 32), None, "clip")
    asked = targets.box() if "Detection" in name else None
    asked = targets.segment(1, region="all") if "Segmentation" in name else asked
    size = options.get("image_size", (options.get("vision_config") or {}).get("image_size", (128, 192)))
    size = (size, size) if isinstance(size, int) else tuple(size)
    return Subject(model, noise(3, *size), asked)


WINDOWS_4 = {**WINDOWS, "depths": [1, 1, 1, 1], "num_heads": [2, 2, 2, 2], "image_size": 128}
OUT = {"DetrConfig": ["stage4"], "ConditionalDetrConfig": ["stage4"],
       "UperNetConfig": ["stage1", "stage2", "stage3", "stage4"],
       "Mask2FormerConfig": ["stage1", "stage2", "stage3", "stage4"]}  # fmt: skip
