// Makes package-lock.json say the same on every machine.
//
// Programs such as the linter or the model runtime come as one small JavaScript package plus one optional package per
// platform. Two things go wrong with those in a lock file, and both are put right here:
//
// 1. npm writes only the platform packages it could see. A registry mirror that carries a single platform therefore
//    yields a lock that `npm ci` refuses elsewhere ("Missing: ... from lock file"). We add an entry for each one left
//    out, with the platform read off its name; npm then installs it where it fits and passes it over elsewhere.
// 2. The model runtime asks for more than a machine needs: some of its binaries say they fit x64 as well as their own
//    processor, and its CUDA and Vulkan builds weigh 600 MB. We narrow the first to the platform in their name, and give
//    the second a processor no machine has, so that they arrive only by `npm run gpu` (see add-gpu.mjs).
//
// Run `npm run lock` after each change of dependencies. Running it twice changes nothing; test/lock.test.ts holds us to it.

import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

/** The processor that no machine has: npm never installs such a package by itself. */
export const ON_REQUEST = 'on-request';

const OS_WORDS = {
  linux: 'linux',
  darwin: 'darwin',
  mac: 'darwin',
  win: 'win32',
  win32: 'win32',
  windows: 'win32',
  android: 'android',
  freebsd: 'freebsd',
  netbsd: 'netbsd',
  openbsd: 'openbsd',
  openharmony: 'openharmony',
  sunos: 'sunos',
  aix: 'aix',
};
const CPU_WORDS = {
  x64: 'x64',
  arm64: 'arm64',
  arm: 'arm',
  armv6: 'arm',
  armv7: 'arm',
  armv7l: 'arm',
  ia32: 'ia32',
  ppc64: 'ppc64',
  ppc64le: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  loong64: 'loong64',
  mips64el: 'mips64el',
  wasm32: 'wasm32',
};
const LIBC_WORDS = {
  gnu: 'glibc',
  glibc: 'glibc',
  gnueabihf: 'glibc',
  musl: 'musl',
  musleabihf: 'musl',
};

/**
 * The platform a package is for, as far as its name tells: `@oxlint/binding-linux-arm-musleabihf` is for Linux on ARM with musl.
 * @param {string} name
 * @returns {{ os?: string[], cpu?: string[], libc?: string[] }}
 */
export function platformOf(name) {
  const words = name.slice(name.indexOf('/') + 1).split(/[-_.]/);
  return {
    ...pick('os', words, OS_WORDS),
    ...pick('cpu', words, CPU_WORDS),
    ...pick('libc', words, LIBC_WORDS),
  };
}

/**
 * @param {string} field
 * @param {string[]} words
 * @param {Record<string, string>} meanings
 */
function pick(field, words, meanings) {
  const word = words.find((candidate) => Object.hasOwn(meanings, candidate));
  return word === undefined ? {} : { [field]: [meanings[word]] };
}

/**
 * @typedef {{ version?: string, resolved?: string, optional?: boolean, dev?: boolean, devOptional?: boolean,
 *   os?: string[], cpu?: string[], libc?: string[], optionalDependencies?: Record<string, string> }} LockEntry
 * @typedef {{ packages: Record<string, LockEntry> }} Lock
 */

/**
 * The completed lock, the changes in words, and what we could not complete. Leaves its argument as it was.
 * @param {Lock} lock
 * @returns {{ lock: Lock, changes: string[], unsolved: string[] }}
 */
export function completeLock(lock) {
  const packages = { ...lock.packages };
  /** @type {string[]} */
  const changes = [];
  /** @type {string[]} */
  const unsolved = [];

  for (const [place, entry] of Object.entries(lock.packages)) {
    for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
      const exact = /^\d+\.\d+\.\d+(-[\w.]+)?$/.test(range);
      const found = lookUp(packages, place, name);
      // Whether a range is met is npm's business; an exact version we can tell.
      if (found !== undefined && (!exact || packages[found]?.version === range)) continue;
      if (!exact) {
        unsolved.push(
          `${place || 'package.json'} wants ${name} at "${range}", and only an exact version can be completed`,
        );
        continue;
      }
      const key = found === undefined ? `node_modules/${name}` : `${place}/node_modules/${name}`;
      packages[key] = entryFor(name, range, entry);
      changes.push(`added ${key} ${range}`);
    }
  }

  for (const [place, entry] of Object.entries(packages)) {
    const name = place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (!name.startsWith('@node-llama-cpp/')) continue;
    const { os = entry.os, cpu = entry.cpu } = runtimePlatformOf(name);
    if (same(os, entry.os) && same(cpu, entry.cpu)) continue;
    packages[place] = { ...entry, ...(cpu && { cpu }), ...(os && { os }) };
    changes.push(`narrowed ${place} to ${[...(os ?? []), ...(cpu ?? [])].join(' ')}`);
  }

  return { lock: { ...lock, packages: sorted(packages) }, changes, unsolved };
}

/**
 * @param {string} name
 * @param {string} version
 * @param {LockEntry} parent
 * @returns {LockEntry}
 */
function entryFor(name, version, parent) {
  const { os, cpu, libc } = name.startsWith('@node-llama-cpp/') ? runtimePlatformOf(name) : platformOf(name);
  // The same keys in the same order as npm writes them, so that npm's next rewrite leaves no difference.
  return {
    version,
    ...(cpu && { cpu }),
    ...(parent.dev && { dev: true }),
    ...(parent.devOptional && { devOptional: true }),
    ...(libc && { libc }),
    optional: true,
    ...(os && { os }),
  };
}

/** @param {string} name */
function runtimePlatformOf(name) {
  const platform = platformOf(name);
  return /-(cuda|cuda-ext|vulkan)$/.test(name) ? { ...platform, cpu: [ON_REQUEST] } : platform;
}

/**
 * Where Node would find `name` from inside the package at `place`: beside it, then in each folder further out.
 * @param {Record<string, LockEntry>} packages
 * @param {string} place
 * @param {string} name
 * @returns {string | undefined}
 */
function lookUp(packages, place, name) {
  for (let at = place; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    const key = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (Object.hasOwn(packages, key)) return key;
    if (at === '') return undefined;
  }
}

/**
 * @param {string[] | undefined} one
 * @param {string[] | undefined} other
 */
function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

/**
 * npm's own order, so that nothing moves when npm writes the file next.
 * @param {Record<string, LockEntry>} packages
 */
function sorted(packages) {
  return Object.fromEntries(
    Object.entries(packages).toSorted(([one], [other]) => one.localeCompare(other, 'en')),
  );
}

if (argv[1] && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  const file = new URL('../package-lock.json', import.meta.url);
  const { lock, changes, unsolved } = completeLock(JSON.parse(readFileSync(file, 'utf8')));
  if (changes.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  for (const line of [...changes, ...unsolved]) console.log(line);
  console.log(
    changes.length === 0 ? 'package-lock.json was complete' : `package-lock.json: ${changes.length} changes`,
  );
  if (unsolved.length > 0) process.exitCode = 1;
}
