"""Make the bundled voices: short recordings of real people in five languages, with their licences.

A maintainer's tool; nobody needs it to use the project, because its result is in `data/voices`.
The recordings are telephone prompts from Debian's `asterisk-core-sounds-*-g722` packages, which
may be redistributed under Creative Commons licences with attribution. They are stored as G.722
(a telephone code of 1988: 16 kHz in 64 kbit/s); ffmpeg decodes each once, nothing else is changed,
and the result is kept as FLAC in a folder for each language. The tool also writes the licence
texts, taken from the packages' copyright file, and the README with attribution and a table.

    python tools/make_voices.py               # packages fetched with apt-get download
    python tools/make_voices.py --root /      # packages that are installed

Notebook: 00 (the first notebook plays some of them)
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
LANGUAGES = {  # language: (name, folder in the package, licence, attribution)
    "en": (
        "English (United States)",
        "en_US_f_Allison",
        "CC-BY-SA-3.0",
        "Recorded by Allison Smith (http://www.theivrvoice.com), 2003-2010."
        " Financial contributions by Digium, Inc. (http://www.digium.com).",
    ),
    "es": (
        "Spanish (Mexico)",
        "es_MX_f_Allison",
        "CC-BY-SA-3.0",
        "Recorded by Allison Smith (http://www.theivrvoice.com), 2003-2010."
        " Financial contributions by Digium, Inc. (http://www.digium.com).",
    ),
    "fr": (
        "French (Canada)",
        "fr_CA_f_June",
        "CC-BY-SA-3.0",
        "Recorded by June Wallack (http://www.junewallack.com), 2006-2008."
        " Translated into French by Clod Patry <cpatry@gmail.com>,"
        " Kristopher Lalletti <kris@syneo.ca> and June Wallack. Financial contributions by"
        " Digium, Inc. (http://www.digium.com), Unlimitel (http://www.unlimitel.ca) and"
        " BGM Informatique (www.bgm.qc.ca).",
    ),
    "it": (
        "Italian",
        "it_IT_m_Carlo",
        "CC-BY-3.0",
        "Recorded by Carlo Flora (http://www.carloflora.com,"
        " http://www.segreterietelefoniche.it), 2012. Translated by Silvia Petrin"
        " (traduttore@segreterietelefoniche.it) from the original English distributed from"
        " http://www.digium.com.",
    ),
    "ru": (
        "Russian",
        "ru_RU_f_IvrvoiceRU",
        "CC-BY-3.0",
        "Copyright 2010, Maxim. Provided by Maxim Topal (http://www.ivrvoice.ru).",
    ),
}
PROMPTS = {  # name here: names in the package, said one after the other; then what they say
    "hello": ("hello-world",),
    "goodbye": ("vm-goodbye",),
    "thank_you": ("queue-thankyou",),
    "welcome": ("dir-welcome",),
    "try_again": ("please-try-again",),
    "zero_one_two": ("digits/0", "digits/1", "digits/2"),
    "three_four_five": ("digits/3", "digits/4", "digits/5"),
}
URLS = {
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
}
README = """# Recorded voices

{count} short recordings of people in five languages, {seconds:.0f} s and {kilobytes:.0f} kB in
all, to listen to and to compress. Unlike the words in `../words`, nothing here is synthetic. They
are prompts for telephone systems from the Asterisk project's core sounds, taken from Debian's
packages `asterisk-core-sounds-{{en,es,fr,it,ru}}-g722`, version {version}
(source: http://downloads.asterisk.org/pub/telephony/asterisk/).

Each folder is a language, so `vqlab.datasets.load("folder", root="data/voices")` has the language
as label.

## Licences and attribution

The recordings are **not** under this project's own licence. If you pass them on, keep this file
and the licence texts beside them; the clips below `en`, `es` and `fr`, and what is made from them,
stay under CC BY-SA 3.0 (share alike).

| folder | language | licence | attribution |
|---|---|---|---|
{attribution}

The full texts, as the packages' copyright file has them: {texts}.

**Changes made**: decoded from G.722 to 16-bit samples; in `zero_one_two` and `three_four_five`
three prompts joined with 0.1 s of silence between them; stored as FLAC. No change of level.

The copyright file names no separate holder for the Spanish prompts; they fall under its general
entry (`Files: *`, Allison Smith, CC BY-SA 3.0), and Allison is also the name of their folder there.

## What to know before measuring with them

They were stored as G.722 (64 kbit/s): the band below 4 kHz is coded with 6 bits a sample, the band
above it with 2, so there is a little quantisation noise, the more so in hisses (s, sh, f). A codec
measured on them is measured on sound that has been through a codec before. The voices are
professional, recorded close and dry. The joined digits contain short stretches of digital silence.

| file | seconds | peak (dBFS) | prompts |
|---|---|---|---|
{table}

Made by `tools/make_voices.py`.
"""


def decode(path: Path) -> np.ndarray:
    """Samples of a G.722 file, int16, 16 kHz."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "g722",
        "-i",
        str(path),
        "-f",
        "s16le",
        "-ar",
        str(RATE),
        "-ac",
        "1",
        "-",
    ]
    result = subprocess.run(command, capture_output=True)
    if result.returncode or not result.stdout:
        raise RuntimeError(f"ffmpeg could not decode {path}: {result.stderr.decode().strip()}")
    return np.frombuffer(result.stdout, dtype="<i2")


def unpack(folder: Path) -> str:
    """Fetch the five packages with apt and unpack them into `folder`; return their version."""
    packages = [f"asterisk-core-sounds-{language}-g722" for language in LANGUAGES]
    result = subprocess.run(
        ["apt-get", "download", *packages], cwd=folder, capture_output=True, text=True
    )
    if result.returncode:
        raise RuntimeError(f"apt-get download failed: {result.stderr.strip()}")
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    return sorted(folder.glob("*.deb"))[0].name.split("_")[1]


def licence_text(copyright_file: str, name: str) -> str:
    """The paragraph of a Debian copyright file that holds the text of licence `name`."""
    head = f"\nLicense: {name}\n "
    if head not in copyright_file:
        raise RuntimeError(f"The copyright file has no text of {name}.")
    body = copyright_file.split(head, 1)[1]
    lines = []
    for line in (" " + body).splitlines():
        if not line.startswith(" "):
            break
        lines.append("" if line.strip() == "." else line[1:])
    return "\n".join(lines).strip() + "\n"


def make(root: Path, out: Path, version: str) -> int:
    """Write clips, licences and README into `out`; return the number of clips."""
    table, seconds, size, count = [], 0.0, 0, 0
    for language, (_, folder, _, _) in LANGUAGES.items():
        sounds = root / "usr/share/asterisk/sounds" / folder
        if not sounds.is_dir():
            raise FileNotFoundError(
                f"{sounds} is missing: install"
                f" asterisk-core-sounds-{language}-g722, or leave out --root."
            )
        shutil.rmtree(out / language, ignore_errors=True)
        (out / language).mkdir(parents=True)
        for name, prompts in PROMPTS.items():
            pieces: list[np.ndarray] = []
            for prompt in prompts:
                pieces += [decode(sounds / f"{prompt}.g722"), np.zeros(RATE // 10, np.int16)]
            clip = np.concatenate(pieces[:-1])
            path = out / language / f"{name}.flac"
            soundfile.write(path, clip, RATE, subtype="PCM_16", compression_level=1.0)
            peak = 20 * np.log10(np.abs(clip.astype(int)).max() / 32768)
            table.append(
                f"| {language}/{name}.flac | {len(clip) / RATE:.2f} | {peak:.1f} |"
                f" {', '.join(prompts)} |"
            )
            seconds, size, count = seconds + len(clip) / RATE, size + path.stat().st_size, count + 1
    text = (root / "usr/share/doc/asterisk-core-sounds-en-g722/copyright").read_text()
    for name in URLS:
        (out / f"LICENSE-{name}.txt").write_text(licence_text(text, name))
    attribution = "\n".join(
        f"| `{key}` | {language} | [{licence}]({URLS[licence]}) | {who} |"
        for key, (language, _, licence, who) in LANGUAGES.items()
    )
    texts = ", ".join(f"[LICENSE-{name}.txt](LICENSE-{name}.txt)" for name in URLS)
    (out / "README.md").write_text(
        README.format(
            count=count,
            seconds=seconds,
            kilobytes=size / 1000,
            version=version,
            texts=texts,
            attribution=attribution,
            table="\n".join(table),
        )
    )
    return count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = Path(__file__).resolve().parent.parent / "data" / "voices"
    parser.add_argument("--out", type=Path, default=default, help="folder to write")
    parser.add_argument(
        "--root",
        type=Path,
        help="where the packages are installed or unpacked"
        " (default: they are fetched with apt-get download)",
    )
    options = parser.parse_args(arguments)
    needed = {"ffmpeg"} | (set() if options.root else {"apt-get", "dpkg"})
    if missing := sorted(program for program in needed if shutil.which(program) is None):
        print(
            f"Missing: {', '.join(missing)}; this tool needs a Debian system with ffmpeg.",
            file=sys.stderr,
        )
        return 2
    try:
        with tempfile.TemporaryDirectory() as scratch:
            root, version = options.root or Path(scratch), "as installed"
            if options.root is None:
                version = unpack(root)
            count = make(root, options.out, version)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{count} clips in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
