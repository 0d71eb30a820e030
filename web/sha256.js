"use strict";
// SHA-256 (FIPS 180-4) for pages from plain http, on which browsers hide their own.

// Let the browser handle input and draw before the computation continues.
const turn = () =>
  new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(null);
  });

// Bytes between two turns, which take a few milliseconds.
const CHUNK = 2 ** 16;

// Of less than 2 ** 29 bytes, whose number of bits is one word.
const sha256InScript = async (bytes) => {
  const constants = new Uint32Array(64);
  const state = new Uint32Array(8);
  const fraction = (value) => ((value - Math.floor(value)) * 2 ** 32) | 0;
  for (let candidate = 2, count = 0; count < 64; candidate++) {
    let prime = true;
    for (let factor = 2; factor * factor <= candidate; factor++) prime = prime && candidate % factor !== 0;
    if (!prime) continue;
    if (count < 8) state[count] = fraction(Math.sqrt(candidate));
    constants[count++] = fraction(Math.cbrt(candidate));
  }
  const tail = new Uint8Array(bytes.length % 64 < 56 ? 64 : 128);
  const full = bytes.length - (bytes.length % 64);
  tail.set(bytes.subarray(full));
  tail[bytes.length % 64] = 0x80;
  new DataView(tail.buffer).setUint32(tail.length - 4, bytes.length * 8);
  const words = new Int32Array(64);
  const blocks = (data) => {
    for (let at = 0; at < data.length; at += 64) {
      for (let i = 0; i < 16; i++) {
        const j = at + 4 * i;
        words[i] = (data[j] << 24) | (data[j + 1] << 16) | (data[j + 2] << 8) | data[j + 3];
      }
      for (let i = 16; i < 64; i++) {
        const x = words[i - 15], y = words[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
      }
      let [a, b, c, d, e, f, g, h] = state;
      for (let i = 0; i < 64; i++) {
        const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const t1 = (h + s1 + ((e & f) ^ (~e & g)) + constants[i] + words[i]) | 0;
        const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
      }
      state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
    }
  };
  for (let at = 0; at < full; at += CHUNK) {
    await turn();
    blocks(bytes.subarray(at, Math.min(at + CHUNK, full)));
  }
  blocks(tail);
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
};

// Return the SHA-256 of a Blob, in hexadecimal.
const sha256 = async (blob) => {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (!globalThis.crypto?.subtle) return sha256InScript(bytes);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (octet) => octet.toString(16).padStart(2, "0")).join("");
};
