// One audio context for the whole page, shared with the players of vqlab.listen: one sound at a time.
const page = (window.vqlabPlayers = window.vqlabPlayers || { context: null, output: null, playing: null });

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function button(text, action, attributes = {}) {
  return make("button", { type: "button", onclick: action, ...attributes }, text);
}

// The outermost element. JupyterLab would take keys pressed inside it for its own (arrows, for
// example, even in a slider); those with Ctrl, Alt or Meta, and Shift+Enter, are left to it.
function frame(el, kind, label) {
  const root = make("div", { class: "vqw vqw-" + kind, role: "group", "aria-label": label, "data-lm-suppress-shortcuts": "true" });
  root.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && !(event.shiftKey && event.key === "Enter")) event.stopPropagation();
  });
  el.append(root);
  return root;
}

// Calls `action` now and at each change of the named traits; returns how to stop that.
function follow(model, names, action) {
  const events = names.map((name) => "change:" + name);
  events.forEach((event) => model.on(event, action));
  action();
  return () => events.forEach((event) => model.off(event, action));
}

function noticeOf(model) {
  const node = make("p", { class: "vqw-notice", role: "alert" });
  const stop = follow(model, ["notice"], () => { node.textContent = model.get("notice"); });
  return [node, stop];
}

function audioContext() {
  if (!page.context) {
    page.context = new (window.AudioContext || window.webkitAudioContext)();
    page.output = page.context.createGain();
    page.output.connect(page.context.destination);
  }
  return page.context;
}

function bytesOf(uri) {
  return Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (c) => c.charCodeAt(0));
}

// The decoder of a context also brings the sound to that context's sample rate, with a good filter.
function decode(uri) {
  return audioContext().decodeAudioData(bytesOf(uri).buffer);
}

// Plays from `at` for `length` seconds (to the end if left out); `onTime` gets the place in seconds.
async function play(buffer, { at = 0, length, onTime, onEnd } = {}) {
  const context = audioContext();
  await context.resume();
  if (page.playing) page.playing.pause();
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(page.output);
  const begun = context.currentTime + 0.01;
  source.start(begun, at, length);
  let going = true;
  const own = {
    pause() {
      if (!going) return;
      going = false;
      source.onended = null;
      source.stop();
      source.disconnect();
      if (page.playing === own) page.playing = null;
      if (onEnd) onEnd();
    },
    state: () => ({ playing: going, time: at + Math.max(0, context.currentTime - begun) }),
  };
  source.onended = () => own.pause();
  page.playing = own;
  const tick = () => {
    if (!going) return;
    onTime(own.state().time);
    requestAnimationFrame(tick);
  };
  if (onTime) tick();
  return own;
}

// A button that plays, and while it does, stops. `load` gives the buffer, or [buffer, options].
function playButton(text, load, attributes = {}) {
  let sounding = null, waiting = false;
  const node = button("▶ " + text, toggle, attributes);
  async function toggle() {
    if (sounding) { sounding.pause(); return; }
    if (waiting) return;
    waiting = true;
    try {
      const [buffer, options = {}] = [await load()].flat();
      if (!buffer || !node.isConnected) return;
      sounding = await play(buffer, { ...options, onEnd() {
        sounding = null;
        node.textContent = "▶ " + text;
        if (options.onEnd) options.onEnd();
      } });
      node.textContent = "■ " + text;
    } catch (error) {
      node.title = "This browser cannot play it: " + error;
    } finally {
      waiting = false;
    }
  }
  node.silence = () => { if (sounding) sounding.pause(); };
  return node;
}
