/* What the other scripts of the codec's page share. A page that was opened from a disk may load no
 * modules, so these are plain scripts, loaded in this order: common, work, pictures, player, wav,
 * sounds, microphone, integers, bytes, link. Each gives the others one name, or a few functions. */
"use strict";

const $ = (id) => document.getElementById(`c-${id}`);
const RATE = +$("rest").dataset.rate; // Hz

function make(tag, name, text, more = {}) {
  const node = Object.assign(document.createElement(tag), { className: name, ...more });
  if (text !== undefined) node.textContent = text;
  if (tag === "button") node.type = "button";
  return node;
}
const say = (text) => { $("say").textContent = text; };
const kbps = (bytes, samples) => (8 * bytes.length * RATE / samples / 1000).toFixed(2);
const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** Let a link save these data under this name. */
function saveBy(node, blob, file) {
  if (node.href.startsWith("blob:")) URL.revokeObjectURL(node.href);
  Object.assign(node, { href: URL.createObjectURL(blob), download: file });
}
