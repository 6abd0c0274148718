// Runs the tests of the core that are compiled for wasm32-wasip1, in Node. Cargo calls it: node wasi.mjs TESTS [ARGUMENT ...]
//
// They run in a process of their own, which tells how they ended: Node 20 was seen to crash after that, while it shut down.
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { WASI } from 'node:wasi';

const RESULT = 3; // the pipe to the first process

if (process.env.SLUICE_WASI_TESTS) {
  const [file, ...args] = process.argv.slice(2);
  const wasi = new WASI({ version: 'preview1', args: [file, ...args], env: process.env, returnOnExit: true });
  const module = await WebAssembly.compile(await readFile(file));
  const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
  process.exitCode = wasi.start(instance);
  writeSync(RESULT, String(process.exitCode));
} else {
  const env = { ...process.env, SLUICE_WASI_TESTS: '1' };
  const stdio = ['inherit', 'inherit', 'inherit', 'pipe'];
  const tests = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], { env, stdio });
  let result = '';
  tests.stdio[RESULT].on('data', (bytes) => (result += bytes));
  tests.on('close', (code) => (process.exitCode = result === '' ? code || 1 : Number(result)));
}
