import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

// What needs a program that `npm ci` does not bring: a real nginx. `npm run proxy` runs it.
const config = mergeConfig(base, defineConfig({}));
export default { ...config, test: { ...config.test, include: ['test/proxy/*.ts'] } };
