import * as fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { editToml } from './toml-edit.ts';

const SWAN = `# my provider
[API]
Port = 9085            # any free port
NodeName = "local-1"
[API.Extra]
Deep = true

[Inference]
Enable = true
Models = [
  "org/a", # the first
  "org/b",
]
ApiKey = 'sk-prov-old'   # secret
[Other]
ApiKey = "not this one"
`;

describe('changing one value of a TOML file', () => {
  it('leaves every other line as it is, comments included', () => {
    const edited = editToml(SWAN, [
      { table: 'Inference', key: 'ApiKey', value: 'sk-prov-new' },
      { table: 'API', key: 'Port', value: 9100 },
    ]);
    expect(edited).toBe(
      SWAN.replace("'sk-prov-old'", '"sk-prov-new"').replace('Port = 9085 ', 'Port = 9100 '),
    );
  });

  it('replaces a list over several lines as a whole', () => {
    const edited = editToml(SWAN, [{ table: 'Inference', key: 'Models', value: ['org/c'] }]);
    expect(parse(edited)).toMatchObject({ Inference: { Models: ['org/c'], Enable: true } });
    expect(edited).toContain('# my provider');
    expect(edited).toContain('# secret');
    expect(edited).not.toContain('org/a');
  });

  it('adds a key to its table, and a table to the file', () => {
    const edited = editToml(SWAN, [
      { table: 'Inference', key: 'ServiceURL', value: 'http://a' },
      { table: 'New', key: 'On', value: true },
    ]);
    expect(parse(edited)).toEqual({
      ...parse(SWAN),
      Inference: { ...(parse(SWAN)['Inference'] as object), ServiceURL: 'http://a' },
      New: { On: true },
    });
    expect(edited.startsWith('# my provider\n[API]\nPort = 9085            # any free port')).toBe(true);
  });

  it('changes nothing where the value stands already', () => {
    expect(editToml(SWAN, [{ table: 'API', key: 'NodeName', value: 'local-1' }])).toBe(SWAN);
  });

  it.each([
    ['dotted keys', 'API.Port = 1\nAPI.Name = "x"\n'],
    ['a table in one line', 'API = { Port = 1, Name = "x" }\n'],
    ['a quoted header', '["API"]\nPort = 1\nName = "x"\n'],
    ['no last line end', '[API]\nPort = 1\nName = "x"'],
    ['Windows line ends', '[API]\r\nPort = 1\r\nName = "x"\r\n'],
    ['a text that looks like the key', '[API]\nNote = """\nPort = 5\n"""\nPort = 1\nName = "x"\n'],
  ])('keeps every value of a file with %s', (_what, text) => {
    const edited = editToml(text, [{ table: 'API', key: 'Port', value: 2 }]);
    expect(parse(edited)).toEqual({ ...parse(text), API: { ...(parse(text)['API'] as object), Port: 2 } });
  });

  it('refuses a file that is no TOML, and a name that is no table', () => {
    expect(() => editToml('[', [{ table: 'A', key: 'b', value: 1 }])).toThrow('TOML');
    expect(() => editToml('A = 1', [{ table: 'A', key: 'b', value: 1 }])).toThrow('A is no table');
  });

  it('says what was asked for, whatever the text, and nothing else changes', () => {
    const key = fc.constantFrom('Port', 'Name', 'ApiKey', 'Enable');
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string(), { maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value), { maxLength: 8 }), (edits) => {
        let text = SWAN;
        for (const [name, wanted] of edits) {
          const before = parse(text);
          text = editToml(text, [{ table: 'Inference', key: name, value: wanted }]);
          expect(parse(text)).toEqual({
            ...before,
            Inference: { ...(before['Inference'] as object), [name]: wanted },
          });
        }
      }),
      { numRuns: 200 },
    );
  });
});
