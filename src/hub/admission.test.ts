import { describe, expect, it } from 'vitest';
import { VirtualClock } from '#support/virtual-clock.ts';
import { Admission, DEFAULT_ADMISSION } from './admission.ts';

function door(over = {}) {
  const clock = new VirtualClock();
  return { clock, admission: new Admission(clock, { ...DEFAULT_ADMISSION, ...over }) };
}

const ask = (admission: Admission, address = '192.0.2.1'): boolean => admission.ask(address).admitted;

describe('the door', () => {
  it('lets an address in five times at once, then once every five seconds', async () => {
    const { clock, admission } = door();
    expect(Array.from({ length: 7 }, () => ask(admission))).toEqual([true, true, true, true, true, false, false]);
    expect(admission.ask('192.0.2.1')).toEqual({ admitted: false, retryAfterS: 5 });
    await clock.advance(5_000);
    expect([ask(admission), ask(admission)]).toEqual([true, false]);
  });

  it('does not count those who register, and counts those whose session is short', () => {
    const { admission } = door();
    for (let i = 0; i < 50; i++) {
      expect(ask(admission)).toBe(true);
      admission.registered('192.0.2.1');
    }
    for (let i = 0; i < 5; i++) admission.closed('192.0.2.1', 20);
    expect(ask(admission)).toBe(false);
  });

  it('keeps addresses apart, but not those of one household', () => {
    const { admission } = door({ burst: 1 });
    expect(ask(admission, '192.0.2.1')).toBe(true);
    expect(ask(admission, '192.0.2.2')).toBe(true);
    expect(ask(admission, '::ffff:192.0.2.1')).toBe(false);
    expect(ask(admission, '2001:db8:1:2::1')).toBe(true);
    expect(ask(admission, '2001:db8:1:2:ffff::9')).toBe(false);
    expect(ask(admission, '2001:db8:1:3::1')).toBe(true);
  });

  it('remembers a bounded number of addresses', () => {
    const { admission } = door({ addressesMax: 100 });
    for (let i = 0; i < 10_000; i++) ask(admission, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    expect(admission.size).toBe(100);
  });

  it('exempts loopback only when told to', () => {
    const strict = door({ burst: 1 }).admission;
    expect([ask(strict, '127.0.0.1'), ask(strict, '127.0.0.1')]).toEqual([true, false]);
    const lenient = door({ burst: 1, exemptLoopback: true }).admission;
    expect([ask(lenient, '127.0.0.1'), ask(lenient, '::1'), ask(lenient, '127.0.0.1')]).toEqual([true, true, true]);
  });

  it('holds no more sockets open for one address than it may have', () => {
    const { admission } = door({ socketsPerAddressMax: 2, burst: 10 });
    expect([ask(admission), ask(admission), ask(admission)]).toEqual([true, true, false]);
    admission.closed('192.0.2.1', 60_000);
    expect(ask(admission)).toBe(true);
  });
});
