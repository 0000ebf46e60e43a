import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { envExample } from './env-example.ts';

test('.env.example lists the settings as they are now', () => {
  expect(readFileSync(path.join(packageRoot(), '.env.example'), 'utf8')).toBe(envExample());
});
