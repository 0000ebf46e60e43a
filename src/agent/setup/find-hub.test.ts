import { expect, test } from 'vitest';
import { hubPlaces } from './find-hub.ts';

test('a port that the market names comes in the place of the usual one', () => {
  expect(hubPlaces('http://127.0.0.1:9100', 9_200)).toEqual(['ws://127.0.0.1:9200', 'ws://127.0.0.1:9100']);
});

test.each([
  ['http://127.0.0.1:8100', ['ws://127.0.0.1:8081', 'ws://127.0.0.1:8100']],
  ['http://localhost:8100', ['ws://localhost:8081', 'ws://localhost:8100']],
  [
    'https://market.example.org',
    [
      'wss://market.example.org:8081',
      'wss://hub.example.org',
      'wss://ws.example.org',
      'wss://hub.market.example.org',
      'wss://market.example.org',
    ],
  ],
  ['https://example.org', ['wss://example.org:8081', 'wss://hub.example.org', 'wss://example.org']],
])('the hub of %s is looked for where it is by custom', (market, places) => {
  expect(hubPlaces(market)).toEqual(places);
});
