import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';
import { Fault } from '#kit/fault.ts';
import { FIRST_ISSUE } from '#wire/first-issue.ts';
import { DEPTH_MAX, deeperThan } from './body.ts';

/**
 * Reads a body by its schema. Never throws: what cannot be served is a `Fault` that names the field and quotes nothing of
 * the body.
 */
export function readBySchema<S extends z.ZodType>(bytes: Buffer, schema: S): z.output<S> | Fault {
  if (!isUtf8(bytes)) return new Fault('body-not-json', { outer: 'The body is not valid UTF-8.' });
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return new Fault('body-not-json');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new Fault('request-invalid', { outer: 'The body must be a JSON object.' });
  }
  if (deeperThan(value, DEPTH_MAX)) {
    return new Fault('request-invalid', {
      outer: `The request is nested more than ${DEPTH_MAX} levels deep.`,
    });
  }
  return checkBySchema(value, schema);
}

/** The same for a value that was read already. */
export function checkBySchema<S extends z.ZodType>(value: unknown, schema: S): z.output<S> | Fault {
  // At the first that is wrong: a report on each of a million wrong things takes seconds and gigabytes.
  const parsed = schema.safeParse(value, FIRST_ISSUE);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = pathOf(issue?.path ?? []);
  return new Fault('request-invalid', {
    outer: `${param === '' ? 'The body' : `'${param}'`} is not valid: ${issue?.message ?? 'see the documentation'}.`,
    ...(param !== '' && { param }),
  });
}

/** `messages[3].content`, cut to a length that a hostile name cannot abuse. */
function pathOf(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path)
    text += typeof step === 'number' ? `[${step}]` : `${text === '' ? '' : '.'}${String(step)}`;
  return text.slice(0, 80);
}
