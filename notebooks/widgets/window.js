function render({ model, el }) {
  const root = frame(el, "window", "Spectrogram with a window of a chosen length");
  const lengths = model.get("lengths"), rate = model.get("sample_rate"), seconds = model.get("_seconds"), highest = model.get("_highest");
  const id = "vqw" + Math.random().toString(36).slice(2);
  const slider = make("input", { type: "range", id, min: 0, max: lengths.length - 1, step: 1 });
  const text = make("p", { role: "status" }), value = make("span", { class: "vqw-number" });
  const picture = make("img", {}), box = make("span", { class: "vqw-box", "aria-hidden": "true" }), now = make("span", { class: "vqw-now", hidden: true });
  const plot = make("div", { class: "vqw-plot" }, picture, box, now);
  const hear = playButton("Play", async () => [await decode(model.get("_sound")), {
    onTime(time) { now.hidden = false; now.style.left = 100 * Math.min(1, time / seconds) + "%"; },
    onEnd() { now.hidden = true; },
  }]);
  const nice = (range, most) => [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((step) => range / step <= most) || 10;
  const tick = (kind, place, words) => plot.append(make("span", { class: "vqw-tick vqw-" + kind, style: place, "aria-hidden": "true" }, words));
  const every = nice(seconds, 8);
  for (let k = 0; k * every < seconds * 0.97; k += 1) tick("time", `left:${100 * k * every / seconds}%`, +(k * every).toFixed(2) + (k ? "" : " s"));
  const each = nice(highest / 1000, 6);
  for (let k = 0; k * each * 1000 < highest * 1.001; k += 1) tick("hz", `bottom:${100 * k * each * 1000 / highest}%`, +(k * each).toFixed(2) + " kHz");
  root.append(make("div", { class: "vqw-row" }, make("label", { for: id }, "window (n_fft)"), slider, value, hear), text, plot,
    make("p", { class: "vqw-note" }, "The white box is the blur, drawn to scale: as wide as a click becomes, as high as a steady tone becomes (both at half their height). Its area is always 1. Keys: ← and → move the slider."));
  slider.addEventListener("input", () => {
    model.set("n_fft", lengths[+slider.value]);
    model.save_changes();
  });
  const digits = (number) => (number >= 100 ? number.toFixed(0) : number.toFixed(1));
  const stop = follow(model, ["n_fft"], () => {
    const n = model.get("n_fft"), at = lengths.indexOf(n), wide = n / 2 / rate, high = 2 * rate / n;
    slider.value = at;
    slider.setAttribute("aria-valuetext", n + " samples");
    value.textContent = `${n} samples, ${digits(1000 * n / rate)} ms`;
    picture.src = model.get("_pictures")[at];
    picture.alt = `Spectrogram with a window of ${n} samples, ${seconds.toFixed(2)} s wide, 0 to ${highest} Hz high`;
    text.textContent = `Blur: ${digits(1000 * wide)} ms in time × ${digits(high)} Hz in frequency = 1.`;
    box.style.width = 100 * Math.min(1, wide / seconds) + "%";
    box.style.height = 100 * Math.min(1, high / highest) + "%";
  });
  return () => { stop(); hear.silence(); };
}

export default { render };
