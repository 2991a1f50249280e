/* The bytes of the chosen version, coloured by what they mean, and its .vql file. */
"use strict";

(() => {
  const MANY = 500; // bytes of one kind that are shown
  const { unpack, overhead } = vqlabCodec();

  /** Parts of a file: from, to, colour, what it is. */
  function fields(bytes) {
    const { sampleRate, identity, quality, gain, samples, version } = unpack(bytes), at = version === 3 ? 1 : 3;
    const start = overhead(samples, version) - 2, end = bytes.length - 2;
    const hex = [...identity].map((x) => x.toString(16).padStart(2, "0")).join("");
    return [
      [0, at, "#fde68a", `${"VQL".slice(0, at)}, so that a reader knows what it has`],
      [at, at + 1, "#fed7aa", `format version ${version}, sample rate ${sampleRate} Hz`],
      [at + 1, at + 3, "#d9f99d", `identity of the codec's weights: ${hex}`],
      [at + 3, at + 4, "#bae6fd", `quality ${quality} of 255: how deep a column is`],
      [at + 4, at + 5, "#ddd6fe", `level: ${gain} dB were added before coding`],
      [at + 5, start, "#fbcfe8", `length: ${samples} samples, 7 bits a byte`],
      [start, end, "#e5e7eb", "codes, range-coded: frequent ones take few bits, so an integer has no byte of its own"],
      [end, bytes.length, "#fecaca", "checksum (CRC-16): any damaged byte is noticed"],
    ];
  }
  player.shown.push(({ bytes, file }) => {
    if (!file) return;
    const list = [];
    $("size").textContent = `${bytes.length} bytes, ${kbps(bytes, file.samples)} kbit/s with everything. As 16-bit samples ` +
      `the sound takes ${(2 * file.samples).toLocaleString("en")} bytes.`;
    const add = (text, which, what, colour) => {
      const one = make("span", "c-hex", text, { tabIndex: list.length ? -1 : 0 });
      one.setAttribute("role", "option");
      one.setAttribute("aria-label", `${which}, ${text}: ${what}`);
      one.setAttribute("aria-selected", "false");
      one.style.setProperty("--kind", colour);
      one.onmouseenter = one.onfocus = () => { $("byte").textContent = `${which} of ${bytes.length}: ${what}.`; };
      list.push(one);
    };
    for (const [from, to, colour, what] of fields(bytes)) {
      const shown = Math.min(to, from + MANY); // of a long sound, these are enough to see
      for (let i = from; i < shown; i++) add(bytes[i].toString(16).padStart(2, "0"), `Byte ${i + 1}`, what, colour);
      if (shown < to) add(`… and ${to - shown} more`, `Bytes ${shown + 1} to ${to}`, what, colour);
    }
    $("bytes").replaceChildren(...list);
    saveBy($("save"), new Blob([bytes]), `${player.fileName()}.vql`);
  });
  $("bytes").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const next = step && (step > 0 ? event.target.nextElementSibling : event.target.previousElementSibling);
    if (!step) return;
    event.preventDefault();
    if (!next) return;
    [event.target.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  });
})();
