import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopTexts } from './stop-texts.ts';

function show(stops: readonly string[], pieces: readonly string[]): string {
  const watch = new StopTexts(stops);
  let shown = '';
  for (const piece of pieces) {
    const { text, stopped } = watch.push(piece);
    shown += text;
    if (stopped) return shown;
  }
  return shown + watch.finish();
}

describe('stop texts', () => {
  it('end the answer before the first of them, however it is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(stops, fc.array(letters, { maxLength: 8 }), (ends, pieces) => {
        const whole = pieces.join('');
        const shown = show(ends, pieces);
        expect(whole.startsWith(shown)).toBe(true);
        // Nothing that is shown holds a stop text, and without one everything is shown.
        expect(ends.some((end) => shown.includes(end))).toBe(false);
        const ended = ends.some((end) => whole.includes(end));
        expect(ended || shown === whole).toBe(true);
      }),
    );
  });

  it('holds back only what could be the beginning of one', () => {
    const watch = new StopTexts(['###']);
    expect(watch.push('a#')).toEqual({ text: 'a', stopped: false });
    expect(watch.push('b')).toEqual({ text: '#b', stopped: false });
  });
});
