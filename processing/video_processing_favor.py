# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Pictures to pixel values with torch alone: bicubic resize, rescale, CLIP normalisation.

transformers' own video processors need torchvision, which the package index ships for one accelerator only, and decode
with torchcodec. This one takes pictures that are decoded already (see `load_media`) and needs neither.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import SizeDict
from transformers.processing_utils import Unpack, VideosKwargs
from transformers.utils import TensorType
from transformers.video_processing_utils import VideoProcessorMixin
from transformers.video_utils import VideoMetadata

from .media_limits_favor import MediaError
from .media_sources_favor import as_array, resize_frames
from .pictures_favor import image_to_array, on_white

BICUBIC = 3  # PIL.Image.Resampling.BICUBIC
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
CHANNELS = (1, 3, 4)
LAYOUTS = "(T, H, W, C) or (T, 3, H, W) for a video, (H, W), (H, W, C) or (C, H, W) for a picture; C is 1, 3 or 4"


class FavorVideoProcessor(VideoProcessorMixin):
    """Resizes, rescales and normalises the pictures of videos.

    A video is a (T, H, W, C) or (T, 3, H, W) uint8 array or tensor, or a list of PIL pictures or (H, W, 3) arrays. The
    pictures are taken as they are: choosing them in time is `load_media`'s work.

    Args:
        size (`{"height": int, "width": int}`, defaults to 224 x 224): of the pixel values.
        do_resize, do_rescale, do_normalize (`bool`, default to `True`): steps to do.
        rescale_factor (`float`, defaults to 1/255).
        image_mean, image_std (`list[float]`, default to CLIP's).

    Calling it returns `pixel_values_videos`: a list with one (T, 3, height, width) float32 tensor per video, or with
    `return_tensors` one (videos, longest T, 3, height, width) tensor, zero beyond a video's own pictures.

    Raises `ValueError` if a video is no sequence of RGB pictures, or `size` is no height and width.
    """

    resample = BICUBIC
    size = {"height": 224, "width": 224}
    image_mean = CLIP_MEAN
    image_std = CLIP_STD
    do_resize = True
    do_rescale = True
    do_normalize = True
    do_sample_frames = False
    model_input_names = ["pixel_values_videos"]

    def __init__(self, **kwargs: Unpack[VideosKwargs]):
        super().__init__(**kwargs)
        self._set_attributes(**kwargs)

    @property
    def frame_size(self) -> dict[str, int]:
        """Height and width of the pixel values, in pixels."""
        return self.checked_size(None)

    def checked_size(self, size: Any) -> dict[str, int]:
        """The height and width that `size` of a call, or else the processor's own, names.

        Raises:
            ValueError: if it names anything else, such as a shortest edge: a vision tower reads pictures of one size.
        """
        own = self.size if size is None else size
        if isinstance(own, (list, tuple)) and len(own) == 2:
            own = dict(zip(("height", "width"), own, strict=True))
        sides = (own.get("height"), own.get("width")) if hasattr(own, "get") else (own, own)
        height, width = (side if isinstance(side, int) and side > 0 else None for side in sides)
        if height is None or width is None:
            known = "" if size is None else f" The vision tower's pictures are {dict(self.size)}."
            shown = dict(own) if hasattr(own, "get") else repr(own)
            raise ValueError(f"size must hold height and width, but it is {shown}.{known}")
        return {"height": height, "width": width}

    def sample_frames(self, metadata: VideoMetadata, **kwargs: Any) -> np.ndarray:
        """All pictures: they were chosen on the time grid when the file was decoded."""
        return np.arange(metadata.total_num_frames)

    def _decode_and_sample_videos(
        self,
        videos: Any,
        video_metadata: Any = None,
        do_sample_frames: bool | None = None,
        sample_indices_fn: Callable | None = None,
    ) -> tuple[list, list]:
        if is_video(videos):
            videos = [videos]
        if not isinstance(videos, (list, tuple)) or not all(is_video(video) for video in videos):
            raise ValueError(
                "Videos must be (T, H, W, 3) uint8 arrays or lists of pictures, or a list of those. "
                "Files are decoded by FavorProcessor or load_media."
            )
        return list(videos), video_metadata

    def _prepare_input_videos(
        self,
        videos: Sequence[Any],
        do_convert_rgb: bool | None = None,
        input_data_format: str | None = None,
        device: str | torch.device | None = None,
    ) -> list[torch.Tensor]:
        # torch warns of arrays that may not be written to, such as `np.asarray` of a Pillow picture.
        arrays = [np.require(video_to_array(video), requirements="W") for video in videos]
        tensors = [torch.from_numpy(array).permute(0, 3, 1, 2) for array in arrays]  # (T, 3, H, W)
        return tensors if device is None else [tensor.to(device) for tensor in tensors]

    def _preprocess(
        self,
        videos: list[torch.Tensor],
        do_resize: bool,
        size: SizeDict,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        return_tensors: str | TensorType | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        height, width = size.height, size.width
        if do_resize and (height is None or width is None):
            raise ValueError(f"size must hold height and width, but it is {dict(size)}.")
        if height is not None and width is not None and do_resize:
            videos = [resize_frames(video, height, width) for video in videos]
        if return_tensors is None:
            data = rows = [torch.empty(video.shape, dtype=torch.float32, device=video.device) for video in videos]
        else:
            longest = max(len(video) for video in videos)
            data = torch.zeros(len(videos), longest, *videos[0].shape[1:], device=videos[0].device)
            rows = [row[: len(video)] for row, video in zip(data, videos, strict=True)]
        factor = rescale_factor if do_rescale else 1.0
        shift_and_scale = (image_mean, image_std) if do_normalize else (0.0, 1.0)
        for video, row in zip(videos, rows, strict=True):
            mean, std = (torch.tensor(values, device=video.device).view(-1, 1, 1) for values in shift_and_scale)
            for picture, values in zip(video, row, strict=True):  # one at a time: it stays in the processor's cache
                values.copy_(picture).mul_(factor).sub_(mean).div_(std)
        return BatchFeature({"pixel_values_videos": data}, tensor_type=return_tensors)


def is_picture(value: Any) -> bool:
    """Tells whether `value` is one picture: PIL, or an array or tensor of two or three dimensions."""
    return isinstance(value, Image.Image) or (isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim in (2, 3))


def is_video(value: Any) -> bool:
    """Tells whether `value` is one decoded video: a four-dimensional array or tensor, or a list of pictures."""
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return value.ndim == 4
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(is_picture(picture) for picture in value)


def picture_to_array(picture: Any) -> np.ndarray:
    """Turns a PIL picture, or an (H, W), (H, W, C) or (C, H, W) array or tensor, into (H, W, 3) uint8."""
    if isinstance(picture, Image.Image):
        try:
            return image_to_array(picture)
        except MediaError:
            raise
        except Exception as error:  # whatever Pillow's decoders raise, of a picture that was opened only
            remedy = "Give a whole one, and leave its file open."
            raise MediaError(f"A PIL picture cannot be read ({error}). {remedy}") from error
    pixels = as_array(picture)
    return _channels_last(np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels)


def video_to_array(video: Any) -> np.ndarray:
    """Turns any value that `is_video` accepts into (T, H, W, 3) uint8.

    Raises:
        ValueError: if the pictures differ in size, have another number of channels, or are not uint8.
    """
    if isinstance(video, (np.ndarray, torch.Tensor)):
        return _channels_last(as_array(video))
    pictures = [picture_to_array(picture) for picture in video]
    shapes = sorted({picture.shape[:2] for picture in pictures})
    if len(shapes) > 1:
        raise ValueError(f"The pictures of one video must have one size, but there are {shapes}. Resize them first.")
    return np.stack(pictures)


def _channels_last(pixels: np.ndarray) -> np.ndarray:
    """Pictures of any layout in `LAYOUTS` as (..., H, W, 3) uint8."""
    if pixels.shape[-1] not in CHANNELS and pixels.shape[-3] in CHANNELS:
        if pixels.ndim == 4 and pixels.shape[-3] != 3 and pixels.shape[0] in CHANNELS:
            raise MediaError(
                f"A video of shape {pixels.shape} may be {pixels.shape[0]} pictures of {pixels.shape[1]} channels or "
                f"{pixels.shape[1]} pictures of {pixels.shape[0]} channels. Layouts that are read are {LAYOUTS}."
            )
        pixels = np.moveaxis(pixels, -3, -1)
    if pixels.shape[-1] not in CHANNELS:
        raise MediaError(
            f"Pictures must have 1, 3 or 4 channels in the last dimension, but the shape is {pixels.shape}. "
            f"Layouts that are read are {LAYOUTS}."
        )
    if 0 in pixels.shape[-3:-1]:
        raise MediaError(f"Pictures must have some pixels, but the shape is {pixels.shape}.")
    if pixels.dtype != np.uint8:
        raise MediaError(
            f"Pictures must be uint8, 0 to 255, but the dtype is {pixels.dtype}. Scale and convert them first."
        )
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    return on_white(pixels) if pixels.shape[-1] == 4 else np.ascontiguousarray(pixels)
