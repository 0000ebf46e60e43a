// How the pages are bundled: `scripts/build-dashboard.mjs` for shipping, `npm run dashboard` while working on them. The
// latter hands every call to the market at CYGNET_MARKET (http://127.0.0.1:8100 where nothing is said).

import { env } from 'node:process';
import { fileURLToPath } from 'node:url';
import tailwind from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const market = env['CYGNET_MARKET'] ?? 'http://127.0.0.1:8100';
const calls = ['/api', '/v1', '/docs', '/status', '/openapi.json', '/health'];

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  publicDir: false,
  plugins: [react(), tailwind()],
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    // The policy of the pages allows only files of our own.
    modulePreload: { polyfill: false },
  },
  server: { proxy: Object.fromEntries(calls.map((path) => [path, market])) },
});
