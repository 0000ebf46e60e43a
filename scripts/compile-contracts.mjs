// Compiles contracts/src into src/chain/artifacts.ts: for each contract its typed ABI and its deployment bytecode. The file
// is committed, so that running the market needs no compiler. It carries a hash of everything that went into it (sources,
// libraries, compiler, settings): when that is the same, there is nothing to do. `npm run contracts` writes it;
// scripts/compile-contracts.test.ts compiles afresh and compares.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { compileStandardJson, version } from './solc.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CONTRACTS = 'contracts/src';
const ARTIFACTS = `${ROOT}src/chain/artifacts.ts`;

const SETTINGS = {
  optimizer: { enabled: true, runs: 10_000 },
  // The oldest that our libraries allow: every chain runs it.
  evmVersion: 'paris',
  // Nothing about this machine goes into the bytecode.
  metadata: { appendCBOR: false, bytecodeHash: 'none' },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
};

function standardInput() {
  const files = readdirSync(`${ROOT}${CONTRACTS}`)
    .filter((name) => name.endsWith('.sol'))
    .toSorted();
  return {
    language: 'Solidity',
    sources: Object.fromEntries(
      files.map((name) => [
        `${CONTRACTS}/${name}`,
        { content: readFileSync(`${ROOT}${CONTRACTS}/${name}`, 'utf8') },
      ]),
    ),
    settings: SETTINGS,
  };
}

/** A hash of everything the artifacts follow from. */
export function sourceHash() {
  const library = JSON.parse(
    readFileSync(`${ROOT}node_modules/@openzeppelin/contracts/package.json`, 'utf8'),
  );
  const compiler = version().replace(/\.Emscripten.*$/, '');
  const all = JSON.stringify([standardInput(), compiler, `${library.name}@${library.version}`]);
  return createHash('sha256').update(all).digest('hex');
}

/** The text of src/chain/artifacts.ts, compiled now. Throws with the compiler's words when it complains. */
export function compileArtifacts() {
  const input = standardInput();
  /** @type {{ errors?: { severity: string, formattedMessage: string }[], contracts: Record<string, Record<string, { abi: unknown, evm: { bytecode: { object: string } } }>> }} */
  const output = JSON.parse(compileStandardJson(JSON.stringify(input)));
  const complaints = (output.errors ?? []).map((one) => one.formattedMessage);
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
  const parts = Object.keys(input.sources).map((file) => {
    const name = file.slice(file.lastIndexOf('/') + 1, -'.sol'.length);
    const contract = output.contracts[file]?.[name];
    if (!contract) throw new Error(`${file} holds no contract called ${name}.`);
    const constant = name.charAt(0).toLowerCase() + name.slice(1);
    return [
      `export const ${constant}Abi = ${JSON.stringify(contract.abi, null, 2)} as const;`,
      `export const ${constant}Bytecode =\n  '0x${contract.evm.bytecode.object}';`,
    ].join('\n\n');
  });
  const head = `// Made by \`npm run contracts\` from ${CONTRACTS}; do not edit.\n// source hash: ${sourceHash()}`;
  return `${[head, ...parts].join('\n\n')}\n`;
}

/** The text of src/chain/artifacts.ts as it is, empty when there is none. */
export function committedArtifacts() {
  try {
    return readFileSync(ARTIFACTS, 'utf8');
  } catch {
    return '';
  }
}

if (argv[1] && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  if (committedArtifacts().includes(`// source hash: ${sourceHash()}\n`) && !argv.includes('--force')) {
    console.log('src/chain/artifacts.ts is fresh');
  } else {
    writeFileSync(ARTIFACTS, compileArtifacts());
    console.log('src/chain/artifacts.ts written');
  }
}
