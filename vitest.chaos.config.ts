import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

// Several gateways as processes, killed again and again, and one trouble after the other. Not in `npm test`, since it wants the
// machine to itself for minutes; `.ci/run` runs it as a step of its own, and `npm run chaos` as long as one wants. An upgrade needs an
// older version beside this one, which `npm run chaos:upgrade` brings.
const config = mergeConfig(base, defineConfig({}));
export default {
  ...config,
  test: {
    ...config.test,
    include: [
      process.env['CYGNET_UPGRADE_PROGRAM'] ? 'test/chaos/upgrade/*.test.ts' : 'test/chaos/*.test.ts',
    ],
    exclude: [],
    fileParallelism: false,
  },
};
