import { describe, expect, test } from 'vitest';
import { CARD, DATA, MAIL, redactText, redactValue, SECRET } from './redact.ts';

describe('out of a text', () => {
  test.each([
    ['our keys', 'use sk-swan-0123456789abcdef please', `use ${SECRET} please`],
    ['provider keys', 'sk-prov-0123456789abcdef.', `${SECRET}.`],
    ['sessions', '(sess-AbCdEf012345)', `(${SECRET})`],
    ["other services' keys", 'sk-ant-api03-abcdefgh hf_abcdefghijkl', `${SECRET} ${SECRET}`],
    ['tokens of code hosts', 'ghp_abcdefghijklmnop1234', SECRET],
    ['keys of clouds', 'AKIAIOSFODNN7EXAMPLE', SECRET],
    ['bearer tokens', 'Authorization: Bearer abc.def-123', `Authorization: Bearer ${SECRET}`],
    ['signed tokens', 'it is eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl', `it is ${SECRET}`],
    ['passwords that are named', 'password: hunter22, ok', `password: ${SECRET}, ok`],
    ['settings', 'API_KEY="s3cret/value"', `API_KEY="${SECRET}"`],
    ['passwords in addresses', 'postgres://me:open@db/x', `postgres://${SECRET}@db/x`],
    ['e-mail addresses', 'write to jo.o+x@mail.example.org!', `write to ${MAIL}!`],
    ['e-mail addresses beyond Latin', 'пишите иван@почта.рф', `пишите ${MAIL}`],
    ['card numbers', '4111 1111 1111 1111', CARD],
    ['card numbers with hyphens', 'card 5500-0000-0000-0004, thanks', `card ${CARD}, thanks`],
    ['card numbers without gaps', 'x378282246310005y', `x${CARD}y`],
    ['card numbers that run into other digits', '4111 1111 1111 1111 12 27', CARD],
    [
      'private keys',
      'a -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- b',
      `a ${SECRET} b`,
    ],
    ['private keys that are cut off', '-----BEGIN PRIVATE KEY-----\nabc', SECRET],
    ['keys of accounts on a chain', `0x${'ab'.repeat(32)}`, SECRET],
    ['pictures', `see data:image/png;base64,${'iVBO'.repeat(40)} there`, `see ${DATA} there`],
  ])('%s are taken', (_, text, expected) => {
    expect(redactText(text)).toBe(expected);
  });

  test.each([
    'What is 1234567890123 times two?',
    'It costs $4.50 per 1M tokens; see §3.',
    'def token(self): return self.password_of(user)',
    'a risk-free task-based desk_top',
    '2026-11-26T20:00:00Z and 192.0.2.1',
  ])('nothing is taken of “%s”', (text) => {
    expect(redactText(text)).toBe(text);
  });

  test('no text makes it slow', () => {
    // A quadratic rule would take minutes, and the test would not end in time.
    for (const bad of [
      'a',
      '1',
      '@',
      'a@a.',
      '4 ',
      '-----BEGIN PRIVATE KEY-----',
      'token=',
      '//a:',
      'eyJ.',
      '-eyJ',
      ' eyJaaaaaa',
      'data:a/b;',
    ])
      expect(redactText(bad.repeat(Math.ceil(262_144 / bad.length)))).not.toBe('');
  });
});

test('members that name a secret lose their value, and names, numbers and nested texts are looked through', () => {
  expect(
    redactValue({
      api_key: 'plain',
      nested: [{ Authorization: 'x', text: 'me@example.org' }],
      'me@example.org': 4_111_111_111_111_111,
      max_tokens: 5,
      none: null,
      vector: Array.from({ length: 100 }, () => 0.123456789012345),
    }),
  ).toEqual({
    api_key: SECRET,
    nested: [{ Authorization: SECRET, text: MAIL }],
    [MAIL]: CARD,
    max_tokens: 5,
    none: null,
    vector: '[100 numbers]',
  });
});

test('what is nested without end is cut', () => {
  let deep: unknown = 'sk-swan-0123456789';
  for (let i = 0; i < 10_000; i++) deep = [deep];
  expect(JSON.stringify(redactValue(deep))).toContain('[too deep]');
});
