// Writes an image to a stick and verifies it, with the default options of balenaEtcher (child-writer.ts); prints the
// report of the SDK as JSON.
// usage: node etcher.js IMAGE DEVICE [OFFSET]
// OFFSET: a byte of the stick to change between writing and verifying.

const { closeSync, openSync, readFileSync, readSync, writeSync } = require("node:fs");
const { decompressThenFlash } = require("etcher-sdk/build/multi-write");
const { BlockDevice, File } = require("etcher-sdk/build/source-destination");

const [path, device, offset] = process.argv.slice(2);

class Stick extends BlockDevice {
  createVerifier(...args) {
    if (offset !== undefined) {
      const stick = openSync(device, "r+");
      const byte = Buffer.alloc(1);
      readSync(stick, byte, 0, 1, Number(offset));
      byte[0] ^= 1;
      writeSync(stick, byte, 0, 1, Number(offset));
      closeSync(stick);
    }
    return super.createVerifier(...args);
  }
}

async function main() {
  const source = new File({ path });
  const table = await source.getPartitionTable();
  const sectors = Number(readFileSync(`/sys/class/block/${device.slice("/dev/".length)}/size`));
  const drive = { device, raw: device, size: 512 * sectors, blockSize: 512, isReadOnly: false };
  const steps = new Set();
  const { bytesWritten, failures } = await decompressThenFlash({
    source,
    destinations: [new Stick({ drive, write: true, direct: true, unmountOnSuccess: true })],
    verify: true,
    trim: true,
    decompressFirst: true,
    numBuffers: 2,
    onProgress: ({ type }) => steps.add(type),
    onFail: () => {},
  });
  const errors = [...failures.values()].map(String);
  console.log(JSON.stringify({ table, steps: [...steps], bytesWritten, errors }));
}

main();
