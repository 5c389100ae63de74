/** Makes the digits part of the page: one compressed file of bytes, which the page fetches. For vite. */
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { type Digits, loadDigits } from "../digits/data.ts";

export const digitsFile = "digits.bin";

export function digitsPlugin(): Plugin {
  return {
    name: "digits",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: digitsFile, source: digitBytes() });
    },
    configureServer(server) {
      server.middlewares.use(`/${digitsFile}`, (_, response) => {
        response.setHeader("Content-Type", "application/octet-stream");
        response.end(digitBytes());
      });
    },
  };
}

/** All images to train on, then all held out: pixels in 0..255, then the labels of both, gzipped. */
function digitBytes(): Uint8Array {
  const { train, test } = loadDigits();
  const images = [train, test].map((digits) => Uint8Array.from(digits.images, (value) => Math.round(value * 255)));
  const labels = [train, test].map((digits: Digits) => Uint8Array.from(digits.labels));
  return gzipSync(Buffer.concat([...images, ...labels]));
}
