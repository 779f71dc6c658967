"""Ways to spoil sounds, meshes, pickles, tables and lists of vertices; and sound files of other forms that are as good."""

import io
import json
import pickle
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import soundfile

from tests.fuzz.spoiled import CODE, CUT, DEEP, DIGITS, Changes, Spoil, _Command, _texts, put, remove

PCM, FLOAT = 1, 3


def wav(
    samples: bytes,
    *,
    tag: int = PCM,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    align: int | None = None,
    promised: int | None = None,
) -> bytes:
    """Return a wav file whose header says anything."""
    align = channels * bits // 8 & 0xFFFF if align is None else align
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align, bits)
    data = struct.pack("<I", len(samples) if promised is None else promised) + samples
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


_SAMPLES = (np.sin(np.arange(8000) / 9) * 9000).astype("<i2").tobytes()


def _floats(value: float) -> bytes:
    samples = (np.sin(np.arange(8000) / 9) / 3).astype("<f4")
    samples[4000] = value
    return wav(samples.tobytes(), tag=FLOAT, bits=32)


SOUND: Changes = _texts(
    {  # no sound at all, whatever reads it
        "no samples": wav(b""),
        "NaN": _floats(np.nan),
        "Infinity": _floats(np.inf),
        "no format": b"RIFF\x24\0\0\0WAVEdata" + bytes(32),
        "no data": wav(b"")[:-8],
        "RIFF alone": b"RIFF",
        "no channels": wav(_SAMPLES, channels=0),
        "65,535 channels": wav(_SAMPLES, channels=65_535),
        "0 Hz": wav(_SAMPLES, rate=0),
        "1 Hz": wav(_SAMPLES, rate=1),
        "4 GHz": wav(_SAMPLES, rate=2**32 - 1),
        "no bits": wav(_SAMPLES, bits=0),
        "255 bits": wav(_SAMPLES, bits=255),
        "an unknown code": wav(_SAMPLES, tag=0x1234),
        "text": "I am no sound\n" * 99,
        "a pickle": pickle.dumps(_Command()),
        "FLAC's name alone": b"fLaC",
        "Ogg's name alone": b"OggS" + bytes(99),
        "MPEG's name alone": b"ID3\x04" + bytes(99),
        "MP4's name alone": b"\0\0\0\x20ftypM4A " + bytes(99),
        "an MP4 box of 2^63 bytes": b"\0\0\0\x01ftyp" + struct.pack(">Q", 2**63) + bytes(64),
        "a list of files": "#EXTM3U\nfile:///etc/hostname\n",
        "a playlist for ffmpeg": "ffconcat version 1.0\nfile /etc/hostname\n",
    }
)
CUT_SOUND: Changes = CUT | _texts({"more promised than there is": wav(_SAMPLES, promised=10**8)})


def _as(
    form: str, subtype: str, change: Callable[[np.ndarray], np.ndarray] = lambda samples: samples, rate: int | None = None
) -> Spoil:
    def write(path: Path, random: np.random.Generator) -> None:
        samples, own = soundfile.read(path, dtype="float64")
        content = io.BytesIO()
        soundfile.write(content, change(samples), rate or own, format=form, subtype=subtype)
        put(path, content.getvalue())

    return write


def _by_ffmpeg(ending: str, *options: str) -> Spoil:
    def write(path: Path, random: np.random.Generator) -> None:
        made = path.with_name(f"made.{ending}")
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", path, *options, made],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        put(path, made.read_bytes())
        made.unlink()

    return write


def _beside(other: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda samples: np.stack([samples, other(samples)], 1)


GOOD_WAV: Changes = {  # the same sound, as a wav file
    "24 bits": _as("WAV", "PCM_24"),
    "32 bits": _as("WAV", "PCM_32"),
    "floats": _as("WAV", "FLOAT"),
    "doubles": _as("WAV", "DOUBLE"),
    "8 bits": _as("WAV", "PCM_U8"),
    "A-law": _as("WAV", "ALAW"),
    "mu-law": _as("WAV", "ULAW"),
    "extensible": _as("WAVEX", "PCM_16"),
    "stereo": _as("WAV", "PCM_16", _beside(lambda samples: samples)),
    "stereo, one channel silent": _as("WAV", "PCM_16", _beside(lambda samples: 0 * samples)),
    "stereo, one channel inverted": _as("WAV", "PCM_16", _beside(lambda samples: -samples)),
}
GOOD_SOUND: Changes = GOOD_WAV | {
    "FLAC": _as("FLAC", "PCM_16"),
    "Ogg Vorbis": _as("OGG", "VORBIS"),
    "MP3": _as("MP3", "MPEG_LAYER_III"),
    "AIFF": _as("AIFF", "PCM_16"),
    "CAF": _as("CAF", "PCM_16"),
    "RF64": _as("RF64", "PCM_16"),
    "W64": _as("W64", "PCM_16"),
    "AU": _as("AU", "PCM_16"),
    "8 kHz": _as("WAV", "PCM_16", lambda samples: samples[::2], 8000),
    "m4a": _by_ffmpeg("m4a"),
    "webm": _by_ffmpeg("webm"),
    "film": _by_ffmpeg("mkv", "-f", "lavfi", "-i", "color=size=64x64:duration=1", "-shortest"),
}


def _obj(change: Callable[[list[str], np.random.Generator], None]) -> Spoil:
    def spoil(path: Path, random: np.random.Generator) -> None:
        lines = path.read_text().splitlines()
        change(lines, random)
        put(path, "\n".join(lines) + "\n")

    return spoil


def _replaced(start: str, text: str) -> Spoil:
    def change(lines: list[str], random: np.random.Generator) -> None:
        places = [place for place, line in enumerate(lines) if line.startswith(start)]
        lines[places[int(random.integers(len(places)))]] = text

    return _obj(change)


OBJ: Changes = {
    "a face of vertex 0": _replaced("f ", "f 0 1 2"),
    "a face beyond the end": _replaced("f ", "f 1 2 999999999"),
    "a face before the first": _replaced("f ", "f -999999999 1 2"),
    "a face of 5,000 digits": _replaced("f ", f"f 1 2 {DIGITS}"),
    "a face of text": _replaced("f ", "f a b c"),
    "a face of two": _replaced("f ", "f 1 2"),
    "NaN": _replaced("v ", "v nan 0 0"),
    "Infinity": _replaced("v ", "v 0 -inf 0"),
    "1e999": _replaced("v ", "v 0 1e999 0"),
    "text": _replaced("v ", "v a b c"),
    "two numbers": _replaced("v ", "v 1 2"),
    "NUL": _replaced("v ", "v 1 2 \0"),
    "no face": _obj(
        lambda lines, random: lines.__setitem__(slice(None), [line for line in lines if not line.startswith("f")])
    ),
    "no vertex": _obj(
        lambda lines, random: lines.__setitem__(slice(None), [line for line in lines if not line.startswith("v")])
    ),
}


def _ply(find: bytes, replace: bytes) -> Spoil:
    return lambda path, random: put(path, path.read_bytes().replace(find, replace, 1))


PLY: Changes = CUT | {
    "10^12 vertices": _ply(b"element vertex ", b"element vertex 1000000000"),
    "10^12 faces": _ply(b"element face ", b"element face 1000000000"),
    "a negative count": _ply(b"element vertex ", b"element vertex -"),
    "5,000 digits": _ply(b"element vertex ", b"element vertex " + DIGITS.encode()),
    "an unknown type": _ply(b"property float", b"property quad"),
    "no end of the header": _ply(b"end_header", b"and_header"),
    "ascii in place of binary": _ply(b"binary_little_endian", b"ascii"),
    "no faces": _ply(b"element face", b"element edge"),
    "big-endian in place of little": _ply(b"binary_little_endian", b"binary_big_endian"),
    "a list of lists": _ply(b"property list uchar int", b"property list list uchar int"),
}


def glb(document: Any, body: bytes = b"", length: int | None = None) -> bytes:
    """Return a .glb file with any document, JSON or bytes."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(body) if length is None else length
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, total),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(body), b"BIN\0"),
            body,
        ]
    )


def _gltf(change: Callable[[dict[str, Any], np.random.Generator], Any]) -> Spoil:
    def spoil(path: Path, random: np.random.Generator) -> None:
        content = path.read_bytes()
        size = struct.unpack("<I", content[12:16])[0]
        document = json.loads(content[20 : 20 + size])
        change(document, random)
        put(path, glb(document, content[28 + size :]))

    return spoil


GLB: Changes = (
    CUT
    | {
        "more than there is": _gltf(lambda document, random: document["accessors"][0].update(count=10**9)),
        "a negative count": _gltf(lambda document, random: document["accessors"][0].update(count=-1)),
        "places beyond the end": _gltf(lambda document, random: document["bufferViews"][0].update(byteOffset=10**12)),
        "an unknown kind of number": _gltf(lambda document, random: document["accessors"][0].update(componentType=1)),
        "no accessors": _gltf(lambda document, random: document.pop("accessors")),
        "no meshes": _gltf(lambda document, random: document.pop("meshes")),
        "Draco": _gltf(
            lambda document, random: (
                document["meshes"][0]["primitives"][0].update(
                    extensions={"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
                )
                or document.update(extensionsRequired=["KHR_draco_mesh_compression"])
            )
        ),
        "two meshes": _gltf(
            lambda document, random: (
                document["meshes"].append(document["meshes"][0])
                or document["nodes"].append({"mesh": 1})
                or document["scenes"][0]["nodes"].append(len(document["nodes"]) - 1)
            )
        ),
    }
    | _texts(
        {
            "deep lists": glb(b"[" * DEEP + b"]" * DEEP),
            "no JSON": glb(b"{'a': 1}"),
            "a list": glb([]),
            "an empty object": glb({}),
            "a length of 4 GB": glb({"asset": {"version": "2.0"}}, length=2**32 - 1),
            "5,000 digits": glb(b'{"scene":' + DIGITS.encode() + b"}"),
            "a document of 4 GB": b"glTF" + struct.pack("<III4s", 2, 20, 2**32 - 1, b"JSON"),
            "version 9": b"glTF" + struct.pack("<II", 9, 12),
        }
    )
)

GLB_ODD: Changes = {"a node of itself": _gltf(lambda document, random: document["nodes"][0].update(children=[0]))}


def _depth(opening: bytes, closing: bytes, count: int = 200_000) -> bytes:
    return pickle.PROTO + b"\x02" + opening * count + closing * count + pickle.STOP


def _shared() -> bytes:
    """Lists that hold the list before twice each: few bytes, 2^60 lists."""
    return (
        pickle.PROTO
        + b"\x02"
        + b"]q\x00"
        + b"".join(
            b"]q" + bytes([number]) + b"(h" + bytes([number - 1]) + b"h" + bytes([number - 1]) + b"e"
            for number in range(1, 60)
        )
        + pickle.STOP
    )


PICKLE: Changes = CUT | _texts(
    {
        "a command": pickle.dumps(_Command()),
        "a command, protocol 0": pickle.dumps(_Command(), 0),
        "a class": pickle.dumps(Path("x")),
        "eval": b"cbuiltins\neval\n(V" + CODE.encode() + b"\ntR.",
        "nested tuples": pickle.PROTO + b"\x02)" + b"\x85" * 200_000 + b".",
        "nested tuples as a key": pickle.PROTO + b"\x02})" + b"\x85" * 200_000 + b"K\x01s.",
        "nested lists": _depth(b"](", b"e"),
        "lists that share lists": _shared(),
        "4 GB promised": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
        "a number of 2 GB": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
        "part 4,000,000,000": b"\x80\x02K\x01r\xff\xff\xff\xff.",
        "another persistent load": b"Pabc\n.",
        "an extension": b"\x80\x02\x82\x01.",
        "no dictionary": pickle.dumps([1, 2]),
        "an empty dictionary": pickle.dumps({}),
        "objects in an array": pickle.dumps({"a": np.array([None, {}], dtype=object)}),
        "protocol 99": b"\x80\x63.",
        "numbers as keys": pickle.dumps({1: np.zeros((4, 3)), (2, 3): np.ones(3)}),
        "a key of an array of text": pickle.dumps({"../../mine": np.full((4, 3), "text")}),
        "none": pickle.dumps(None),
        "an odd subject": pickle.dumps({"\x1b[31m\n`touch pwned`": np.zeros((4, 3))}),
        "not a number": pickle.dumps({"a": float("nan")}),
    }
)

TABLE: Changes = _texts(
    {
        "no column name": "subject,sentence\na,b\n",
        "an unknown column": "name,colour\na_01,red\n",
        "an unknown recording": "name,split\nnobody,train\n",
        "a recording twice": "name,split\na_01,train\na_01,test\n",
        "an unknown split": "name,split\na_01,trian\n",
        "too many cells": "name,split\na_01,train,x,y\n",
        "a subject that is a path": "name,subject\na_01,../../mine\n",
        "a subject of escapes": "name,subject\na_01,\x1b[31m`touch pwned`\n",
        "NUL": "name\na_01\0\n",
        "UTF-16": "name\na_01\n".encode("utf-16"),
        "a megabyte of a cell": "name,text\na_01," + "x" * 2**20 + "\n",
        "an open quote": 'name,text\na_01,"never closed\n',
        "latin-1": "name,text\na_01,é\n".encode("latin-1"),
        "no line": "\n",
    }
)

WEIGHT_TABLE: Changes = _texts(
    {
        "no line of names": "0,0,0\n0.1,0,0\n",
        "names alone": "time,jawOpen\n",
        "other names": "time,mood,weather\n0,0,0\n",
        "a misspelt name": "time,jawOpen,jawOpne\n0,0,0\n",
        "a name twice": "time,jawOpen,JAWOPEN\n0,0,0\n",
        "no jaw": "time,mouthClose\n0,0\n",
        "no times": "jawOpen\n0\n",
        "times that fall": "time,jawOpen\n1,0\n0,0\n",
        "a time of NaN": "time,jawOpen\n0,0\nnan,0\n",
        "a time of 1e300": "time,jawOpen\n0,0\n1e300,0\n",
        "a time of 5,000 digits": f"time,jawOpen\n0,0\n{DIGITS},0\n",
        "a long gap": "time,jawOpen\n0,0\n9,0\n",
        "a day of rows": "jawOpen\n" + "0\n" * 80_000,
        "no timecode": "Timecode,jawOpen\nnow,0\n",
        "a timecode of 999 frames": "Timecode,jawOpen\n00:00:00:999,0\n",
        "a timecode of 5,000 digits": f"Timecode,jawOpen\n00:00:00:{DIGITS},0\n",
        "another alphabet": "Timecode,jawOpen\n00:00:00:٣,0\n",
        "NaN": "time,jawOpen\n0,nan\n",
        "Infinity": "time,jawOpen\n0,-inf\n",
        "per cents": "time,jawOpen\n0,35\n",
        "text": "time,jawOpen\n0,open\n",
        "escapes": "time,jawOpen\n0,\x1b[31m\n",
        "more cells": "time,jawOpen\n0,0,0\n",
        "fewer cells": "time,jawOpen,mouthClose\n0,0\n",
        "no face": "time,jawOpen\n0,\n",
        "NUL": "time,jawOpen\n0,0\0\n",
        "UTF-16": "time,jawOpen\n0,0\n".encode("utf-16"),
        "a megabyte of a cell": "time,jawOpen\n0," + "1" * 2**20 + "\n",
        "a thousand commas": "," * 1000,
        "an open quote": 'time,jawOpen\n0,"0\n',
        "code": CODE,
    }
)

INDICES: Changes = _texts(
    {
        "text": "lips",
        "a fraction": "1 2.5 3",
        "NaN": "1 nan",
        "Infinity": "inf",
        "1e300": "1e300",
        "5,000 digits": DIGITS,
        "a negative number": "-1",
        "beyond the end": "99999999",
        "2^63": str(2**63),
        "no number": " , ; \n",
        "NUL": "1\0",
        "another alphabet": "1 ٣x",
        "UTF-16": "1 2 3".encode("utf-16"),
        "hexadecimal": "0x10",
        "code": CODE,
    }
)

VL: Changes = CUT | _texts(
    {
        "no number": b"\x01",
        "4 billion vertices": struct.pack("<I", 2**32 - 1) + bytes(120),
        "no vertex": struct.pack("<I", 0),
        "fewer vertices": struct.pack("<I", 4) + bytes(48),
    }
)


def _vl_value(value: float) -> Spoil:
    def spoil(path: Path, random: np.random.Generator) -> None:
        content = bytearray(path.read_bytes())
        content[40:44] = struct.pack("<f", value)
        put(path, bytes(content))

    return spoil


VL_VALUES: Changes = {"NaN": _vl_value(np.nan), "Infinity": _vl_value(np.inf)}


def write_speech(path: Path, seconds: float = 1.0, rate: int = 16_000) -> None:
    """Write a sound that swells and falls as speech does, as 16-bit wav."""
    time = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * 120 * part * time) / part for part in range(1, 12))
    samples = 0.1 * (1 - np.cos(2 * np.pi * 4 * time)) * voice
    remove(path)
    soundfile.write(path, samples, rate, subtype="PCM_16")
