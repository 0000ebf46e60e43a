import { hash } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import type { Database, Sql } from '#db/database.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { noteEvent } from './account-events.ts';
import type { SecretBox } from './secret-box.ts';

/**
 * Codes of an authenticator (TOTP, RFC 6238: SHA-1, six digits, 30 seconds) as a second factor of signing in, and recovery
 * codes for whoever lost it. A code is taken once: of two who send the same one at the same time, one gets in. The code before
 * and the code after are taken too, because clocks of telephones are never quite right. Wrong codes are counted in the
 * database, for all gateways: from the fifth in a row on, none of the authenticator is looked at for a minute, then two, up
 * to an hour. Recovery codes are too long to be guessed and are taken meanwhile.
 */
export interface FactorStanding {
  readonly enabled: boolean;
  /** Wall milliseconds; undefined while it is not enabled. */
  readonly since: number | undefined;
  readonly recoveryCodesLeft: number;
  /** Wall milliseconds: when a wrong code was shown last, by somebody who knew the password. */
  readonly lastWrongAt: number | undefined;
  /** Wall milliseconds: until when no code of the authenticator is looked at. */
  readonly lockedUntil: number | undefined;
}

/** What an authenticator is set up with. */
export interface BegunFactor {
  readonly secret: Sealed<string>;
  /** `otpauth://…` */
  readonly uri: Sealed<string>;
}

export type FactorCheck = 'none' | 'right' | 'wrong' | 'missing';

export class SecondFactors {
  readonly #parts: { database: Database; box: SecretBox; clock: Clock; random: Randomness };

  /** `random` is the cryptographic one. */
  constructor(parts: { database: Database; box: SecretBox; clock: Clock; random: Randomness }) {
    this.#parts = parts;
  }

  async standing(userId: string): Promise<FactorStanding> {
    const { database, clock } = this.#parts;
    const [row] = await database.sql<
      { confirmed_at: Date; last_wrong_at: Date | null; locked_until: Date | null; left: bigint }[]
    >`
      select f.confirmed_at, f.last_wrong_at, f.locked_until, (select count(*) from recovery_codes c where c.user_id = f.user_id and used_at is null) as left
      from second_factors f where f.user_id = ${userId} and f.confirmed_at is not null`;
    return {
      enabled: row !== undefined,
      since: row?.confirmed_at.getTime(),
      recoveryCodesLeft: Number(row?.left ?? 0n),
      lastWrongAt: row?.last_wrong_at?.getTime(),
      lockedUntil: lockedMs(row?.locked_until, clock.wallMs()) > 0 ? row?.locked_until?.getTime() : undefined,
    };
  }

  /**
   * Makes a secret for an authenticator, in place of one that was never confirmed. It changes nothing about signing in
   * before `confirm`. `enabled` when there is one that counts.
   */
  async begin(sql: Sql, user: { id: string; email: string }): Promise<BegunFactor | 'enabled'> {
    const { box, clock, random } = this.#parts;
    const secret = Secret.fromHex(random.bytes(SECRET_BYTES).toString('hex'));
    const { secretId, sealed } = box.seal(new Sealed(secret.hex), contextOf(user.id));
    const [made] = await sql`
      insert into second_factors (user_id, secret_id, sealed, made_at)
      values (${user.id}, ${secretId}, ${sealed}, ${new Date(clock.wallMs())})
      on conflict (user_id) do update
      set secret_id = excluded.secret_id, sealed = excluded.sealed, made_at = excluded.made_at, last_step = 0
      where second_factors.confirmed_at is null
      returning user_id`;
    if (!made) return 'enabled';
    const uri = new TOTP({ issuer: ISSUER, label: user.email, secret }).toString();
    return { secret: new Sealed(secret.base32), uri: new Sealed(uri) };
  }

  /** From now on signing in takes a code. Answers the recovery codes, this once. */
  async confirm(sql: Sql, userId: string, code: string): Promise<Sealed<string[]> | 'wrong' | 'unknown'> {
    const { clock, random } = this.#parts;
    const factor = await this.#locked(sql, userId);
    if (!factor || factor.confirmed) return 'unknown';
    if (!(await this.#takeCode(sql, userId, factor, code))) return 'wrong';
    const at = clock.wallMs();
    await sql`update second_factors set confirmed_at = ${new Date(at)} where user_id = ${userId}`;
    const codes = Array.from({ length: RECOVERY_CODES }, () => recoveryCode(random));
    await sql`delete from recovery_codes where user_id = ${userId}`;
    await sql`
      insert into recovery_codes (user_id, hash)
      select ${userId}, decode(each, 'hex') from unnest(${codes.map(hashOf)}::text[]) as t(each)`;
    await noteEvent(sql, { at, actor: userId, what: 'second-factor-on', about: userId });
    return new Sealed(codes);
  }

  /**
   * Takes a code of the authenticator or a recovery code, within the transaction that it lets something happen in. `none`:
   * this user has no second factor; `missing`: it has, and no code was given. The transaction is to be ended well whatever
   * the answer is: a wrong code is counted in it. Throws `Fault('tried-too-often')` while none is looked at.
   */
  async check(sql: Sql, userId: string, code: string | undefined): Promise<FactorCheck> {
    const factor = await this.#locked(sql, userId);
    if (!factor?.confirmed) return 'none';
    if (code === undefined || code.trim() === '') return 'missing';
    const at = this.#parts.clock.wallMs();
    const isGuessable = tokenOf(code) !== undefined;
    if (isGuessable && lockedMs(factor.lockedUntil, at) > 0) {
      throw new Fault('tried-too-often', {
        outer: 'Too many wrong codes. Wait, or use a recovery code.',
        retryAfterS: Math.ceil(lockedMs(factor.lockedUntil, at) / 1_000),
      });
    }
    if (await this.#takeCode(sql, userId, factor, code)) return 'right';
    if (isGuessable) {
      await noteWrong(sql, { userId, wrongBefore: factor.wrongCodes, at });
      return 'wrong';
    }
    const [used] = await sql`
      update recovery_codes set used_at = ${new Date(at)}
      where user_id = ${userId} and hash = decode(${hashOf(code)}, 'hex') and used_at is null returning user_id`;
    if (!used) return 'wrong';
    await noteRight(sql, userId);
    await noteEvent(sql, { at, actor: userId, what: 'recovery-code-used', about: userId });
    return 'right';
  }

  async #locked(sql: Sql, userId: string): Promise<Factor | undefined> {
    const [row] = await sql<
      {
        secret_id: string;
        sealed: Buffer;
        confirmed: boolean;
        last_step: bigint;
        wrong_codes: number;
        locked_until: Date | null;
      }[]
    >`
      select secret_id, sealed, confirmed_at is not null as confirmed, last_step, wrong_codes, locked_until
      from second_factors where user_id = ${userId} for update`;
    return (
      row && {
        secretId: row.secret_id,
        sealed: Buffer.from(row.sealed),
        confirmed: row.confirmed,
        lastStep: Number(row.last_step),
        wrongCodes: row.wrong_codes,
        lockedUntil: row.locked_until,
      }
    );
  }

  /** The row is locked, so a step is taken once. */
  async #takeCode(sql: Sql, userId: string, factor: Factor, code: string): Promise<boolean> {
    const { box, clock } = this.#parts;
    const token = tokenOf(code);
    if (token === undefined) return false;
    const secret = box.open(factor, contextOf(userId));
    // Sealed under a secret that is not known here any more: recovery codes still work.
    if (!secret) return false;
    const timestamp = clock.wallMs();
    const totp = new TOTP({ secret: Secret.fromHex(secret.open()) });
    const delta = totp.validate({ token, timestamp, window: 1 });
    if (delta === null) return false;
    const step = Math.floor(timestamp / STEP_MS) + delta;
    if (step <= factor.lastStep) return false;
    await sql`update second_factors set last_step = ${step} where user_id = ${userId}`;
    await noteRight(sql, userId);
    return true;
  }
}

/**
 * From now on signing in takes no code. False when it took none; one that was begun and not confirmed is forgotten all the
 * same.
 */
export async function removeFactor(
  sql: Sql,
  { userId, actor, at }: { userId: string; actor: string; at: number },
): Promise<boolean> {
  const [removed] = await sql<{ counted: boolean }[]>`
    delete from second_factors where user_id = ${userId} returning confirmed_at is not null as counted`;
  if (!removed?.counted) return false;
  await noteEvent(sql, { at, actor, what: 'second-factor-off', about: userId });
  return true;
}

interface Factor {
  readonly secretId: string;
  readonly sealed: Buffer;
  readonly confirmed: boolean;
  readonly lastStep: number;
  /** Since the last right one. */
  readonly wrongCodes: number;
  readonly lockedUntil: Date | null;
}

/** The code as an authenticator shows it; undefined when it has another form. */
function tokenOf(code: string): string | undefined {
  const token = code.replaceAll(/\s/g, '');
  return /^\d{6}$/.test(token) ? token : undefined;
}

/** How long it is until then; 0 when that is past, or was never set. */
function lockedMs(until: Date | null | undefined, at: number): number {
  return Math.max(0, (until?.getTime() ?? 0) - at);
}

/** Counts a wrong code. The row is locked. */
async function noteWrong(
  sql: Sql,
  { userId, wrongBefore, at }: { userId: string; wrongBefore: number; at: number },
): Promise<void> {
  const wrong = wrongBefore + 1;
  const doublings = Math.min(wrong - WRONG_CODES_FREE, LOCK_DOUBLINGS_MAX);
  const until = doublings < 0 ? null : new Date(at + Math.min(LOCK_MS * 2 ** doublings, LOCK_MS_MAX));
  await sql`
    update second_factors
    set wrong_codes = ${wrong}, last_wrong_at = ${new Date(at)}, locked_until = ${until}
    where user_id = ${userId}`;
  if (!until) return;
  await noteEvent(sql, {
    at,
    actor: 'stranger',
    what: 'second-factor-locked',
    about: userId,
    detail: { wrong: String(wrong), until: until.toISOString() },
  });
}

async function noteRight(sql: Sql, userId: string): Promise<void> {
  await sql`update second_factors set wrong_codes = 0, locked_until = null where user_id = ${userId}`;
}

const ISSUER = 'Cygnet';
const SECRET_BYTES = 20;
const STEP_MS = 30_000;
const RECOVERY_CODES = 10;
const WRONG_CODES_FREE = 5;
const LOCK_MS = 60_000;
const LOCK_MS_MAX = 3_600_000;
const LOCK_DOUBLINGS_MAX = 6;
/** Crockford's base 32, in lower case: nothing in it is mistaken for something else. */
const LETTERS = '0123456789abcdefghjkmnpqrstvwxyz';

const contextOf = (userId: string): string => `second factor of ${userId}`;

/** `xxxx-xxxx-xxxx-xxxx`: 80 bits. */
function recoveryCode(random: Randomness): string {
  const letters = [...random.bytes(16)].map((byte) => LETTERS[byte & 31]).join('');
  return letters.replace(/(.{4})(?=.)/g, '$1-');
}

function hashOf(code: string): string {
  return hash('sha256', code.toLowerCase().replaceAll(/[^0-9a-z]/g, ''), 'hex');
}
