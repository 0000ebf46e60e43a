import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

// Several gateways as processes, killed again and again, and one trouble after the other. Not in `npm test`, since it wants the
// machine to itself for minutes; `.ci/run` runs it as a step of its own, and `npm run chaos` as long as one wants.
const config = mergeConfig(base, defineConfig({}));
export default {
  ...config,
  test: { ...config.test, include: ['test/chaos/*.test.ts'], exclude: [], fileParallelism: false },
};
