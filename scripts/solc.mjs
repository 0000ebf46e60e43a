#!/usr/bin/env node
// The Solidity compiler from npm, spoken to in standard JSON: by compile-contracts.mjs, and as a program by forge, which
// wants an executable that knows `--version` and `--standard-json` (contracts/foundry.toml names this file).

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { argv } from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import solc from 'solc';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The compiler's own version, such as `0.8.37+commit.1234abcd.Emscripten.clang`. */
export const version = () => solc.version();

/**
 * Compiles. Imports that the input does not hold are read from node_modules.
 * @param {string} input standard JSON
 * @returns {string} standard JSON
 */
export function compileStandardJson(input) {
  return solc.compile(input, {
    import: (/** @type {string} */ path) => {
      const file = path.startsWith('@') ? `${ROOT}/node_modules/${path}` : path;
      return existsSync(file)
        ? { contents: readFileSync(file, 'utf8') }
        : { error: `${path} was not found.` };
    },
  });
}

if (argv[1] && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  if (argv.includes('--version')) {
    console.log(`solc, the solidity compiler commandline interface\nVersion: ${version()}`);
  } else {
    process.stdout.write(compileStandardJson(await text(process.stdin)));
  }
}
