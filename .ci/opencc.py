"""Puts the pinned OpenCC into .opencc/: static libraries and headers out of its own Python wheel, nothing run from it.

    python3 .ci/opencc.py x86_64|aarch64

Does nothing when .opencc/ is whole. The stamp is written last, so a set-up that was killed half-way never counts.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSION = "1.4.2"
SHA256 = {
    "x86_64": "794afd1f5254b22fb7e8655d3e60f0467e4a1ad5ebbd62f9efdd2dd421dd43db",
    "aarch64": "689eea00ddfdaa3ba0b78426da34759dcb07db52b2fc1c660fa62b3d94ee4f04",
}
HOME = Path(".opencc")
DOWNLOAD = HOME / "download"
STAMP = HOME / "stamp"
LIBRARIES = ("libopencc.a", "libmarisa.a")
INSIDE = "opencc/clib/"


def main(arch: str) -> None:
    HOME.mkdir(exist_ok=True)
    with open(HOME / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = f"opencc {VERSION} {arch} {SHA256[arch]}\n"
        if is_whole(stamp):
            return
        wheel = DOWNLOAD / f"opencc-{VERSION}-cp311-cp311-manylinux2014_{arch}.manylinux_2_17_{arch}.whl"
        if not is_pinned(wheel, arch):
            fetch(wheel, arch)
        unpack(wheel, stamp)
        print(f"OpenCC {VERSION} is in {HOME}/")


def is_whole(stamp: str) -> bool:
    libraries = all((HOME / "lib64" / name).is_file() for name in LIBRARIES)
    return libraries and STAMP.is_file() and STAMP.read_text() == stamp


def is_pinned(wheel: Path, arch: str) -> bool:
    if not wheel.is_file():
        return False
    found = sha256(wheel)
    if found != SHA256[arch]:
        print(f"{wheel} has the sha256 {found}, not the pinned one; fetching it again", file=sys.stderr)
    return found == SHA256[arch]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def fetch(wheel: Path, arch: str) -> None:
    """Downloads beside `wheel` and moves it there only when its hash is the pinned one."""
    DOWNLOAD.mkdir(exist_ok=True)
    remove_left_overs(DOWNLOAD, "part-*")
    with tempfile.TemporaryDirectory(dir=DOWNLOAD, prefix="part-") as part:
        print(f"Downloading OpenCC {VERSION}", flush=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        which = ["--only-binary=:all:", "--python-version", "311", "--implementation", "cp"]
        where = ["--platform", f"manylinux_2_17_{arch}", "--dest", part, f"opencc=={VERSION}"]
        done = subprocess.run(pip + which + where, check=False)
        found = list(Path(part).glob("*.whl"))
        if done.returncode != 0 or len(found) != 1:
            sys.exit(
                f"OpenCC {VERSION} could not be downloaded (pip's words are above). Without a network, place the file\n"
                f"  {wheel.name}\nof the Python package opencc {VERSION}, sha256\n  {SHA256[arch]}\nin {DOWNLOAD}/ "
                "and run the same command again. With an installed OpenCC >= 1.4: make OPENCC=system run"
            )
        got = sha256(found[0])
        if got != SHA256[arch]:
            sys.exit(
                f"{found[0].name} was downloaded with the sha256\n  {got}\nbut the pinned one is\n  {SHA256[arch]}\n"
                "It was deleted and nothing was unpacked. Run the same command again; if the hash stays, your package\n"
                "index serves another file than the release this project was tested with: do not use it."
            )
        found[0].replace(wheel)


def unpack(wheel: Path, stamp: str) -> None:
    remove_left_overs(HOME, "unpack-*")
    STAMP.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME, prefix="unpack-") as work:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(work, [name for name in archive.namelist() if is_wanted(name)])
        for name in ("lib64", "include"):
            target = HOME / name
            if target.exists():
                shutil.rmtree(target)
            (Path(work) / INSIDE / name).replace(target)
        written = Path(work) / "stamp"
        written.write_text(stamp)
        written.replace(STAMP)


def remove_left_overs(folder: Path, pattern: str) -> None:
    """Of runs that were killed; the lock keeps out any that still goes on."""
    for left in folder.glob(pattern):
        shutil.rmtree(left)


def is_wanted(name: str) -> bool:
    if name.startswith(INSIDE + "include/"):
        return True
    return name in [f"{INSIDE}lib64/{library}" for library in LIBRARIES]


if __name__ == "__main__":
    main(sys.argv[1])
