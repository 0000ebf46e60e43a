import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      'bin/**/*.test.ts',
      'src/**/*.test.ts',
      'test/**/*.test.ts',
      'scripts/**/*.test.ts',
      'dashboard/**/*.test.ts',
    ],
    // Minutes of killed gateways: a step of its own in `.ci/run` (`vitest.chaos.config.ts`).
    exclude: ['**/node_modules/**', 'test/chaos/**'],
    globalSetup: ['test/support/global-setup.ts'],
    // Whole processes, because tests open databases, sockets and the native model runtime. Two of them: more would fight
    // for the cores of a small machine, and the model runtime suffers most from that.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // What is waited for comes; how long it may take is said by the machine, which may be loaded, and not by a test.
    expect: { poll: { timeout: 15_000 } },
  },
});
