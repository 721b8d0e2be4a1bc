"""Colours that picture files declare: ICC profiles and chunks of PNG, and what sRGB shows of them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

# Primaries adapted to D50, as in matrix profiles: X, Y, Z of red, green and blue.
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00008, 0.82491))
D50 = (0.9642, 1.0, 0.8249)


def fixed(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def xyz(values):
    return b"XYZ \0\0\0\0" + fixed(*values)


def gamma_curve(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def srgb_linear(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_curve():
    table = np.rint(srgb_linear(np.arange(1024) / 1023) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + table.tobytes()


def profile(space, tags, kind=b"mntr", pcs=b"XYZ "):
    """An ICC profile, version 2, with some tags."""
    text = b"made by a test\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78
    tags = {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz(D50), **tags}
    place, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data
    content = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(">I", 128 + len(content)) + b"\0\0\0\0" + struct.pack(">I", 0x02100000) + kind + space + pcs
    return head + b"\0" * 12 + b"acsp" + b"\0" * 28 + fixed(*D50) + b"\0" * 48 + content


def matrix_profile(primaries, curve):
    names = (b"r", b"g", b"b")
    columns = {name + b"XYZ": xyz(column) for name, column in zip(names, primaries, strict=True)}
    return profile(b"RGB ", {**columns, **{name + b"TRC": curve for name in names}})


def shown(colour, primaries, linear):
    """What sRGB values show a colour of another space, by the definition of matrix profiles."""
    light = np.array(primaries).T @ linear(np.array(colour) / 255)
    values = np.linalg.solve(np.array(SRGB).T, light).clip(0, 1)
    return 255 * np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


SPACES = {
    "Display P3": (P3, srgb_curve(), srgb_linear),
    "Adobe RGB": (ADOBE, gamma_curve(2.19921875), lambda values: values**2.19921875),
    "ProPhoto": (PROPHOTO, gamma_curve(1.8), lambda values: values**1.80078125),
    "swapped": ((SRGB[1], SRGB[0], SRGB[2]), srgb_curve(), srgb_linear),
}


def save_with_chunks(image, path, *chunks):
    """Save a PNG with further chunks before its pixels."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data = buffer.getvalue()
    extra = b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    path.write_bytes(data[:33] + extra + data[33:])


def exif_of(space, index):
    """EXIF data that name a colour space, as cameras write them."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA001: space, 0xA005: {1: index}})
    return exif


COLOUR = (120, 140, 100)
GAMA = {gamma: (b"gAMA", struct.pack(">I", gamma)) for gamma in (45455, 55556, 100_000)}
CHRM_SRGB = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
CHRM_ADOBE = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
CHRM_P3 = (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))


def save_in_p3(image, path):
    """Save a picture whose values are in Display P3, as its profile says."""
    image.save(path, icc_profile=matrix_profile(P3, srgb_curve()))


def save_in_adobe_rgb(image, path):
    """Save a picture whose values are in Adobe RGB, as EXIF says."""
    image.save(path, exif=exif_of(65535, "R03"))


def save_in_coded_p3(image, path):
    """Save a picture whose values are in Display P3, as a chunk of PNG says."""
    save_with_chunks(image, path, (b"cICP", bytes([12, 13, 0, 1])))


DECLARED = {  # how to save, the suffix, and what sRGB shows of `COLOUR`
    "profile": (save_in_p3, ".png", shown(COLOUR, P3, srgb_linear)),
    "chunk": (save_in_coded_p3, ".png", shown(COLOUR, P3, srgb_linear)),
    "EXIF": (save_in_adobe_rgb, ".jpg", shown(COLOUR, ADOBE, lambda values: values**2.19921875)),
}
