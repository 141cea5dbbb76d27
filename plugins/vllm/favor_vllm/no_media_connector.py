# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""In place of vLLM's media connector, which fetches addresses: whatever way leads to it, nothing is opened."""

from typing import Any, NoReturn

from vllm.exceptions import VLLMValidationError
from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY

NAME = "favor"  # for VLLM_MEDIA_CONNECTOR


@MEDIA_CONNECTOR_REGISTRY.register(NAME)
class NoMediaConnector:
    """Refuses; media of FAVOR come by chats, which our renderer reads."""

    def __init__(self, **options: Any):
        pass

    def fetch_video(self, *addresses: Any, **options: Any) -> NoReturn:
        """The others are the same."""
        raise VLLMValidationError("Media are taken from /v1/chat/completions alone.")

    fetch_audio = fetch_image = fetch_video
    fetch_video_embedding = fetch_audio_embedding = fetch_image_embedding = fetch_video

    async def fetch_video_async(self, *addresses: Any, **options: Any) -> NoReturn:
        """The others are the same."""
        self.fetch_video()

    fetch_audio_async = fetch_image_async = fetch_video_async
    fetch_video_embedding_async = fetch_audio_embedding_async = fetch_image_embedding_async = fetch_video_async
