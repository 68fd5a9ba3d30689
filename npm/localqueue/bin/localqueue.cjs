#!/usr/bin/env node
// Run the localqueue of this platform with the same arguments, streams, signals and exit code.
"use strict";

const { spawn } = require("node:child_process");
const { findBinary } = require("../binary.cjs");

function main() {
  let binary;
  try {
    binary = findBinary();
  } catch (error) {
    process.stderr.write(`Error: ${error.message}\n`);
    process.exit(1);
  }
  if (typeof process.execve === "function") process.execve(binary, [binary, ...process.argv.slice(2)]);
  run(binary);
}

/** For versions of Node that can't become another process. */
function run(binary) {
  const child = spawn(binary, process.argv.slice(2), { stdio: "inherit" });
  const isTerminal = process.stdin.isTTY; // a terminal sends Ctrl-C to both processes
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => (signal === "SIGINT" && isTerminal) || child.kill(signal));
  }
  child.on("error", (error) => {
    process.stderr.write(`Error: can't run ${binary}: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

main();
