"""Letters of five by seven dots, drawn for this: printable ASCII, row by row.

Each letter is seven numbers of five bits, the leftmost dot first.
"""

from __future__ import annotations

__all__ = ["GLYPHS", "glyph"]

#: Two letters of base 32 would do for a row; one does: a row is a number below 32, written 0-9 a-v.
GLYPHS = {
    " ": "0000000", "!": "4444404", '"': "aa00000", "#": "aavavaa", "$": "4fke5u4", "%": "op248j3",
    "&": "cicald0", "'": "4400000", "(": "2488842", ")": "8422248", "*": "04lel40", "+": "044v440",
    ",": "0000448", "-": "000v000", ".": "00000cc", "/": "0124800", "0": "ehjlphe", "1": "4c4444e",
    "2": "eh1248v", "3": "v2421he", "4": "26aiv22", "5": "vgu11he", "6": "68guhhe", "7": "v124888",
    "8": "ehhehhe", "9": "ehhf12c", ":": "0cc0cc0", ";": "0cc0448", "<": "2484842", "=": "00v0v00",
    ">": "8421248", "?": "eh12404", "@": "eh1dlle", "A": "ehhvhhh", "B": "uhhuhhu", "C": "ehgggfe",
    "D": "sihhhis", "E": "vgguggv", "F": "vgguggg", "G": "ehgnhhf", "H": "hhhvhhh", "I": "e44444e",
    "J": "722222c", "K": "hikokih", "L": "ggggggv", "M": "hrllhhh", "N": "hhpljhh", "O": "ehhhhhe",
    "P": "uhhuggg", "Q": "ehhhlid", "R": "uhhukih", "S": "fggge1u", "T": "v444444", "U": "hhhhhhe",
    "V": "hhhhha4", "W": "hhhllla", "X": "hha4ahh", "Y": "hhha444", "Z": "v12e8gv", "[": "e88888e",
    "\\": "0g84210", "]": "e22222e", "^": "4ah0000", "_": "000000v", "`": "8420000", "a": "00e1fhf",
    "b": "ggmphhu", "c": "00eggfe", "d": "11djhhf", "e": "00ehvge", "f": "698s888", "g": "0fhhf1e",
    "h": "ggmphhh", "i": "40c444e", "j": "20622ic", "k": "88aaca9", "l": "c44444e", "m": "00qllhh",
    "n": "00mphhh", "o": "00ehhhe", "p": "00uhugg", "q": "00djf11", "r": "00mpggg", "s": "00ege1u",
    "t": "88s8896", "u": "00hhhjd", "v": "00hhha4", "w": "00hhlla", "x": "00ha4ah", "y": "00hhf1e",
    "z": "00v248v", "{": "2448442", "|": "4444444", "}": "8442448", "~": "008l200",
}  # fmt: skip
_DIGITS = "0123456789abcdefghijklmnopqrstuv"


def glyph(letter: str) -> tuple[int, ...]:
    """The rows of a letter; of a box for what has none."""
    return tuple(_DIGITS.index(digit) for digit in GLYPHS.get(letter, "vhhhhhv"))
