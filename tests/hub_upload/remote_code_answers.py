# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Run in the clean environment: loads an exported folder by the auto classes and the pipeline, prints answers as JSON.

Arguments: MODEL_DIR MEDIA_DIR QUESTION.
"""

import importlib.util
import json
import sys

ABSENT = ("favor", "soundfile", "torchvision", "torchcodec", "peft", "trl", "datasets")


def main(model_dir: str, media_dir: str, question: str) -> dict:
    found = [name for name in ABSENT if importlib.util.find_spec(name)]
    if found:
        raise SystemExit(f"The environment is not clean: {found} can be imported.")
    from transformers import AutoConfig, AutoModel, AutoModelForMultimodalLM, AutoProcessor, pipeline

    config = AutoConfig.from_pretrained(model_dir, trust_remote_code=True)
    model = AutoModel.from_pretrained(model_dir, trust_remote_code=True)
    processor = AutoProcessor.from_pretrained(model_dir, trust_remote_code=True)
    multimodal = AutoModelForMultimodalLM.from_pretrained(model_dir, trust_remote_code=True)
    pipe = pipeline("video-text-to-text", model=model_dir, trust_remote_code=True, dtype="float32")
    classes = [type(part).__name__ for part in (config, model, processor, multimodal, pipe)]
    answers = [
        pipe(video=f"{media_dir}/clip.mp4", text=question),
        pipe(video=f"{media_dir}/clip.mp4", text=question, load_audio_from_video=False),
        pipe(image=f"{media_dir}/photo.png", text=question),
        pipe(audio=f"{media_dir}/sound.wav", text=question),
    ]
    pipe.save_pretrained("saved-by-pipeline")
    model.save_pretrained("saved-by-model")
    again = pipeline("video-text-to-text", model="saved-by-pipeline", trust_remote_code=True)
    answers.append(again(video=f"{media_dir}/clip.mp4", text=question))
    AutoModel.from_pretrained("saved-by-model", trust_remote_code=True)
    return {"classes": classes, "answers": [answer[0]["generated_text"] for answer in answers]}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
