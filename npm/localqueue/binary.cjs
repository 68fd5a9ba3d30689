// Find the localqueue of this platform: LOCALQUEUE_BINARY, or the package that npm has installed beside this one.
"use strict";

const path = require("node:path");

const PLATFORMS = ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64"];

/** Return the path of the executable. Throws an Error that says what to do. */
function findBinary() {
  if (process.env.LOCALQUEUE_BINARY) return process.env.LOCALQUEUE_BINARY;
  const platform = `${process.platform}-${process.arch}`;
  const name = `localqueue-${platform}`;
  try {
    return path.join(path.dirname(require.resolve(`${name}/package.json`)), "localqueue", "localqueue");
  } catch {
    const isKnown = PLATFORMS.includes(platform);
    throw new Error(
      isKnown
        ? `the package ${name} is missing: it is an optional dependency of localqueue. Install with optional dependencies: npm install --include=optional`
        : `there is no localqueue for ${platform}, only for ${PLATFORMS.join(", ")}. With Python: pip install iec-localqueue, and set LOCALQUEUE_BINARY`,
    );
  }
}

module.exports = { findBinary };
