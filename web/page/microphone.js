/* A sound of one's own, from the microphone. */
"use strict";

(() => {
  const LISTENER = `registerProcessor("listener", class extends AudioWorkletProcessor {
    process([[samples]]) { if (samples) this.port.postMessage(samples.slice()); return true; } });`;
  let recording = null;
  async function record() {
    if (recording) return recording.stop();
    let stream = null, own = null;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
      own = new AudioContext();
      await own.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(LISTENER)}`);
    } catch (error) {
      if (stream) stream.getTracks().forEach((track) => track.stop());
      return say(navigator.mediaDevices ? `The microphone cannot be used (${error.name}): allow it in the browser, or open a file.` :
        "A page from this place gets no microphone (it needs https): open a file.");
    }
    const pieces = [], node = new AudioWorkletNode(own, "listener");
    node.port.onmessage = ({ data }) => {
      pieces.push(data);
      const length = pieces.length * data.length / own.sampleRate;
      say(`Recording: ${length.toFixed(1)} s. Press again to stop.`);
      if (length >= 20) recording?.stop();
    };
    own.createMediaStreamSource(stream).connect(node);
    $("record").textContent = "■ Stop";
    $("record").dataset.on = "";
    recording = {
      stop() {
        recording = null;
        node.port.onmessage = null;
        stream.getTracks().forEach((track) => track.stop());
        $("record").textContent = "● Speak yourself";
        delete $("record").dataset.on;
        const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
        sounds.show("Your recording", async (current) => {
          if (!length) throw new Error("Nothing was recorded: try again.");
          const buffer = own.createBuffer(1, length, own.sampleRate);
          pieces.reduce((at, piece) => { buffer.copyToChannel(piece, 0, at); return at + piece.length; }, 0);
          const offline = new OfflineAudioContext(1, Math.ceil(length * RATE / own.sampleRate), RATE);
          const source = new AudioBufferSourceNode(offline, { buffer });
          source.connect(offline.destination);
          source.start();
          const made = await offline.startRendering();
          await own.close();
          await sounds.code(wav.whole(made.getChannelData(0)), current);
        });
      },
    };
  }
  $("record").addEventListener("click", record);
})();
