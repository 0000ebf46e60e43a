import { hash } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import type { Database, Sql } from '#db/database.ts';
import type { Clock } from '#kit/clock.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { noteEvent } from './account-events.ts';
import type { SecretBox } from './secret-box.ts';

/**
 * Codes of an authenticator (TOTP, RFC 6238: SHA-1, six digits, 30 seconds) as a second factor of signing in, and recovery
 * codes for whoever lost it. A code is taken once: of two who send the same one at the same time, one gets in. The code before
 * and the code after are taken too, because clocks of telephones are never quite right.
 */
export interface FactorStanding {
  readonly enabled: boolean;
  /** Wall milliseconds; undefined while it is not enabled. */
  readonly since: number | undefined;
  readonly recoveryCodesLeft: number;
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
    const [row] = await this.#parts.database.sql<{ confirmed_at: Date; left: bigint }[]>`
      select f.confirmed_at, (select count(*) from recovery_codes c where c.user_id = f.user_id and used_at is null) as left
      from second_factors f where f.user_id = ${userId} and f.confirmed_at is not null`;
    return {
      enabled: row !== undefined,
      since: row?.confirmed_at.getTime(),
      recoveryCodesLeft: Number(row?.left ?? 0n),
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
   * this user has no second factor; `missing`: it has, and no code was given.
   */
  async check(sql: Sql, userId: string, code: string | undefined): Promise<FactorCheck> {
    const factor = await this.#locked(sql, userId);
    if (!factor?.confirmed) return 'none';
    if (code === undefined || code.trim() === '') return 'missing';
    if (await this.#takeCode(sql, userId, factor, code)) return 'right';
    const [used] = await sql`
      update recovery_codes set used_at = ${new Date(this.#parts.clock.wallMs())}
      where user_id = ${userId} and hash = decode(${hashOf(code)}, 'hex') and used_at is null returning user_id`;
    if (!used) return 'wrong';
    await noteEvent(sql, {
      at: this.#parts.clock.wallMs(),
      actor: userId,
      what: 'recovery-code-used',
      about: userId,
    });
    return 'right';
  }

  async #locked(sql: Sql, userId: string): Promise<Factor | undefined> {
    const [row] = await sql<{ secret_id: string; sealed: Buffer; confirmed: boolean; last_step: bigint }[]>`
      select secret_id, sealed, confirmed_at is not null as confirmed, last_step
      from second_factors where user_id = ${userId} for update`;
    return (
      row && {
        secretId: row.secret_id,
        sealed: Buffer.from(row.sealed),
        confirmed: row.confirmed,
        lastStep: Number(row.last_step),
      }
    );
  }

  /** The row is locked, so a step is taken once. */
  async #takeCode(sql: Sql, userId: string, factor: Factor, code: string): Promise<boolean> {
    const { box, clock } = this.#parts;
    const token = code.replaceAll(/\s/g, '');
    if (!/^\d{6}$/.test(token)) return false;
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
}

const ISSUER = 'Cygnet';
const SECRET_BYTES = 20;
const STEP_MS = 30_000;
const RECOVERY_CODES = 10;
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
