// What every page of this site has: a search, players that are loaded when somebody opens them, and
// the way from a player's files to the codec's page.
(() => {
  "use strict";
  const form = document.querySelector("form[role=search]"), field = form.elements.q;
  const box = document.getElementById("found"), up = form.dataset.up;

  /** Load a script once: a page on a disk may load scripts, but no data. */
  const scripts = new Map();
  function script(name) {
    scripts.set(name, scripts.get(name) || new Promise((done, fail) => {
      const node = document.createElement("script");
      Object.assign(node, { src: up + name, onload: done, onerror: () => { scripts.delete(name); fail(); } });
      document.head.append(node);
    }));
    return scripts.get(name);
  }

  // A version that keeps the .vql file it was decoded from leads, with that file, to the codec's page.
  function lead(part) {
    for (const version of part.querySelectorAll(".vq-version[data-vql]")) {
      const file = version.dataset.vql.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
      const label = version.querySelector(".vq-head b, .vq-head strong").textContent;
      const link = document.createElement("a"), size = document.body.dataset.sound;
      Object.assign(link, { className: "vq-change", textContent: `Change its integers (loads ${size} MB)` });
      link.setAttribute("aria-label", `Change the integers of “${label}” (loads ${size} MB)`);
      link.href = `${up}codec.html#v=${file}&from=${encodeURIComponent(label)}`;
      version.append(link);
    }
  }
  lead(document);

  for (const details of document.querySelectorAll("details[data-player]")) {
    details.addEventListener("toggle", async () => {
      const place = details.querySelector(".sound"), name = details.dataset.player;
      if (!details.open || place.children.length) return;
      try {
        await script(`comparisons/${name}.js`);
        const player = document.createRange().createContextualFragment(self.vqlabComparisons[name]);
        if (!place.children.length) place.replaceChildren(player);
        lead(place);
      } catch {
        place.textContent = "The sounds could not be loaded: close this and open it again.";
      }
    });
  }

  // What is wider than the page can be scrolled with the keyboard too.
  for (const wide of document.querySelectorAll("pre, .outputs, .wide, math[display=block]")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }

  // Search: search-index.js is loaded when somebody first searches.
  const plain = (text) => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "");

  function count(text, word) {
    let number = 0, at = text.indexOf(word);
    while (at >= 0 && number < 20) {
      // The start of a word counts more than its middle.
      number += at === 0 || /[^\p{L}\p{N}]/u.test(text[at - 1]) ? 1 : 0.2;
      at = text.indexOf(word, at + word.length);
    }
    return number;
  }

  // Sections that hold every word, best first: in the heading, then how often.
  function search(query) {
    const words = plain(query).split(/\s+/).filter(Boolean), found = [];
    if (!words.length) return { words, found };
    for (const entry of window.vqlabIndex) {
      const [, title, heading, text] = entry;
      const head = plain(title + " " + heading), body = entry.body = entry.body || plain(text);
      let score = 0;
      for (const word of words) {
        const inHead = count(head, word), inBody = count(body, word);
        if (!inHead && !inBody) { score = 0; break; }
        score += 6 * Math.min(inHead, 2) + Math.log2(1 + inBody);
      }
      if (score && words.length > 1) score += 3 * Math.log2(1 + count(body, words.join(" ")));
      if (score) found.push([score, entry]);
    }
    found.sort((a, b) => b[0] - a[0]);
    return { words, found };
  }

  // A piece of text around the first word, the words marked.
  function excerpt(entry, words) {
    const text = entry[3], body = entry.body.length === text.length ? entry.body : text.toLowerCase();
    const places = words.map((word) => body.indexOf(word)).filter((at) => at >= 0);
    const from = Math.max(0, Math.min(...(places.length ? places : [0])) - 60);
    const start = from ? text.indexOf(" ", from) + 1 : 0, piece = text.slice(start, start + 220);
    const line = document.createElement("span");
    const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    for (const part of piece.split(new RegExp("(" + escaped.join("|") + ")", "i"))) {
      const hit = words.includes(plain(part));
      line.append(hit ? Object.assign(document.createElement("mark"), { textContent: part }) : part);
    }
    if (start) line.prepend("… ");
    line.append(" …");
    return line;
  }

  async function show() {
    const query = field.value.trim();
    box.hidden = !query;
    if (!query) return;
    try {
      await script("search-index.js");
    } catch (error) {
      box.textContent = "The search index could not be loaded.";
      return;
    }
    if (query !== field.value.trim()) return; // typed on meanwhile
    const { words, found } = search(query), list = document.createElement("ol");
    for (const [, entry] of found.slice(0, 30)) {
      const item = document.createElement("li"), link = document.createElement("a");
      link.href = up + entry[0];
      link.textContent = entry[2];
      const where = document.createElement("small");
      where.textContent = entry[1] === entry[2] ? "" : entry[1];
      item.append(link, where, excerpt(entry, words));
      list.append(item);
    }
    const number = document.createElement("p");
    number.textContent = found.length === 1 ? "1 section" : found.length + " sections";
    box.replaceChildren(number, list);
  }

  field.addEventListener("focus", () => script("search-index.js").catch(() => {}), { once: true });
  field.addEventListener("input", show);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = box.querySelector("a");
    if (first && !box.hidden) first.click(); else show();
  });
  document.addEventListener("click", (event) => {
    if (!form.contains(event.target) && (!box.contains(event.target) || event.target.closest("a"))) box.hidden = true;
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing) { event.preventDefault(); field.focus(); }
    if (event.key === "Escape" && !box.hidden) { box.hidden = true; field.focus(); }
  });
  const asked = new URLSearchParams(location.search).get("q");
  if (asked) { field.value = asked; show(); }
})();
