/* A word in the address of this page: made here, and spoken when somebody opens it. */
"use strict";

(() => {
  $("share").addEventListener("click", async () => {
    const text = btoa(String.fromCharCode(...player.chosen.bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
    const address = `${location.href.split("#")[0]}#v=${text}`;
    window.history.replaceState(null, "", `#v=${text}`);
    try {
      await navigator.clipboard.writeText(address);
      say("The link is copied: who opens it hears the word.");
    } catch {
      say("The link is in the address bar: copy it from there.");
    }
  });
  function arrive() {
    const given = new URLSearchParams(location.hash.slice(1)), text = given.get("v"), from = given.get("from");
    if (!text) return;
    let bytes;
    try {
      bytes = fromBase64(text.replace(/-/g, "+").replace(/_/g, "/"));
    } catch {
      return say("The link holds no sound: it was cut off or changed on its way.");
    }
    // Who comes from a player of this site has chosen to load; from elsewhere, it takes a click.
    if (from) return void sounds.show(from, (still) => sounds.receive(bytes, still));
    const button = make("button", "", `▶ Hear the word that was sent to you (${bytes.length} bytes)`);
    button.addEventListener("click", () => sounds.show("A word that was sent", (still) => sounds.receive(bytes, still)));
    $("say").replaceChildren(button);
  }
  addEventListener("hashchange", arrive);
  arrive();
})();
