import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { SettingsError } from '../settings.ts';
import { atTerminal, nobody, WentAway } from './asker.ts';

const [DOWN, SPACE, ENTER, ESCAPE] = ['\u001B[B', ' ', '\r', '\u001B'];

/** A person at a terminal: each time one of the words is shown, the keys beside it are pressed. */
async function person(script: readonly (readonly [shown: string, ...keys: string[]])[]) {
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => input });
  const left = [...script];
  let shown = '';
  const output = Object.assign(
    new Writable({
      write(piece: Buffer, _encoding, done) {
        shown += piece.toString();
        const next = left[0];
        if (next && shown.includes(next[0])) {
          left.shift();
          for (const key of next.slice(1)) setImmediate(() => input.write(key));
        }
        done();
      },
    }),
    { isTTY: true, columns: 100, rows: 40 },
  );
  return { asker: await atTerminal({ input, output }), shown: () => shown };
}

const question = { message: 'What?', flag: '--what' };
const options = [
  { value: { name: 'one' }, label: 'The first' },
  { value: { name: 'two' }, label: 'The second', hint: 'better' },
];

describe('a person at a terminal', () => {
  it('writes an answer, and is told what is wrong with it', async () => {
    const { asker, shown } = await person([
      ['What?', 'no', ENTER],
      ['Longer', 'pe', ENTER],
    ]);
    const check = (answer: string) => (answer.length < 3 ? 'Longer, please.' : undefined);
    expect(await asker.text({ ...question, check })).toBe('nope');
    expect(shown()).toContain('Longer, please.');
  });

  it('finds a suggestion written already', async () => {
    const { asker } = await person([['What?', '!', ENTER]]);
    expect(await asker.text({ ...question, initial: 'box', suggestion: 'this' })).toBe('this!');
  });

  it('types a secret that is never shown', async () => {
    const { asker, shown } = await person([['What?', 'hunter2 ', ENTER]]);
    expect(await asker.secret(question)).toBe('hunter2 ');
    expect(shown()).not.toContain('hunter');
  });

  it('chooses one, or some', async () => {
    const one = await person([['What?', DOWN, ENTER]]);
    expect(await one.asker.choose({ ...question, options })).toBe(options[1]?.value);
    const some = await person([['What?', DOWN, SPACE, ENTER]]);
    const initial = [options[0]?.value as { name: string }];
    expect(await some.asker.chooseSome({ ...question, options, initial })).toEqual(
      options.map(({ value }) => value),
    );
  });

  it('may go away in the middle', async () => {
    const { asker } = await person([['What?', ESCAPE]]);
    await expect(asker.confirm({ ...question, unasked: true })).rejects.toThrow(WentAway);
  });
});

describe('nobody', () => {
  it('answers what has an answer, and names the flag of what has none', async () => {
    const said: string[] = [];
    const asker = nobody((line) => said.push(line));
    expect(await asker.text({ ...question, initial: 'x' })).toBe('x');
    expect(await asker.confirm({ ...question, unasked: true })).toBe(true);
    expect(await asker.chooseSome({ ...question, options, initial: [] })).toEqual([]);
    expect(await asker.choose({ ...question, options: options.slice(0, 1) })).toEqual({ name: 'one' });
    expect(await asker.during('Looking.', Promise.resolve(5))).toBe(5);
    expect(said).toEqual(['Looking.']);
    for (const asked of [
      asker.text({ ...question, suggestion: 'x' }),
      asker.secret(question),
      asker.choose({ ...question, options }),
    ])
      await expect(asked).rejects.toThrow(
        new SettingsError('What? Nobody is asked here: say it with --what.'),
      );
  });
});
