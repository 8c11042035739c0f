"""Shrinks pictures. Decoding one keeps a processor busy, so it is done in a process: the worker's
event loop goes on, and a picture that takes too long is killed."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
from PIL import Image, ImageOps, UnidentifiedImageError

from jobs import Context, Discard, handler

FOLDER = Path(os.environ.get("THUMBNAILS_FOLDER", "pictures"))
Pixels = Annotated[int, msgspec.Meta(gt=0, le=4096)]


class Thumbnail(msgspec.Struct):
    """What a job asks for. ``picture`` is a file's path inside ``FOLDER``."""

    picture: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    width: Pixels = 256
    height: Pixels = 256


# A picture that isn't there, isn't one, or unpacks to gigabytes won't be better at a rerun.
HOPELESS = (FileNotFoundError, UnidentifiedImageError, Image.DecompressionBombError)


@handler("thumbnail", process=True, timeout="20s", reruns=1, discard_on=HOPELESS)
def thumbnail(ctx: Context, data: Thumbnail) -> dict[str, str | int]:
    """Writes a small copy beside a picture; its path and size come back."""
    source = inside(data.picture)
    target = source.with_name(f"{source.stem}-{data.width}x{data.height}.webp")
    with Image.open(source) as picture:
        small = ImageOps.exif_transpose(picture)  # a photo that was taken with the camera upright
        small.thumbnail((data.width, data.height))
        # Under another name first: an attempt that is killed leaves no half of a picture, and one
        # that runs twice writes the same file twice.
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        small.save(unfinished, "WEBP")
        unfinished.replace(target)
    return {
        "thumbnail": str(target.relative_to(FOLDER.resolve())),
        "width": small.width,
        "height": small.height,
        "bytes": target.stat().st_size,
    }


def inside(path: str) -> Path:
    """A path of the folder: whoever can send jobs must not reach the files around it."""
    found = (FOLDER / path).resolve()
    if not found.is_relative_to(FOLDER.resolve()):
        raise Discard(f"{path} is outside of the folder of pictures")
    return found
