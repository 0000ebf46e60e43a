import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatUsd, nearestCents, parseUsd } from '#domain/money.ts';
import { systemClock } from '#kit/clock.ts';
import { pdfText } from '#support/pdf-text.ts';
import type { CreditNoteBody, InvoiceBody, Issuer, ReceiptBody } from '#wire/documents.ts';
import { csvOf, documentCsv } from './csv.ts';
import { documentFonts, pdfOf } from './pdf.ts';
import { Press } from './press.ts';
import { byGpu } from './tables.ts';

const fonts = documentFonts();
const issuer: Issuer = {
  name: 'Lake Market',
  address: ['1 Lake Road', 'Zürich'],
  tax_id: 'CHE-1',
  note: 'Reverse charge.',
};
const head = {
  issued_at: '2026-12-01T00:20:00.000Z',
  issuer,
  customer: { id: 'con_1', name: 'Łukasz Ωmega' },
  currency: 'USD' as const,
};
const line = (about: Partial<InvoiceBody['lines'][number]> = {}) => ({
  kind: 'usage' as const,
  name: 'zai-org/GLM-4.7-Flash',
  month: '2026-11',
  count: 1_234,
  input_tokens: 56_789,
  output_tokens: 321,
  units: 0,
  seconds: 0,
  amount_usd: '12.000000043001',
  ...about,
});
const invoice = (about: Partial<InvoiceBody> = {}): InvoiceBody => ({
  document: 'invoice',
  number: 'INV-000042',
  ...head,
  month: '2026-11',
  lines: [line()],
  total_usd: '12.000000043001',
  total_rounded_usd: '12.00',
  account: {
    opening_usd: '20.00',
    movements: [{ kind: 'deposit', count: 2, amount_usd: '5.00' }],
    charged_usd: '12.000000043001',
    credited_usd: '0.00',
    closing_usd: '12.999999956999',
  },
  ...about,
});
const receipt: ReceiptBody = {
  document: 'receipt',
  number: 'REC-000007',
  ...head,
  deposit: {
    id: `254:0x${'ab'.repeat(32)}:3`,
    method: 'crypto',
    asset: 'SWAN',
    amount: '100',
    received_at: '2026-11-30T10:00:00.000Z',
    booked_at: '2026-11-30T10:01:00.000Z',
    bonus_usd: '0.20',
  },
  total_usd: '1.00',
  total_rounded_usd: '1.00',
};

describe('cents', () => {
  test.each([
    ['0.005', '$0.01'],
    ['0.004999999999', '$0.00'],
    ['-0.005', '-$0.01'],
    ['-0.004999999999', '$0.00'],
    ['1.015', '$1.02'],
    ['0', '$0.00'],
  ])('$%s is %s', (text, cents) => {
    expect(formatUsd(nearestCents(parseUsd(text)))).toBe(cents);
  });
});

describe('a document as PDF', () => {
  test('says who, whom, what, when and how much, and what was rounded', async () => {
    const [page = ''] = pdfText(await pdfOf(invoice(), fonts));
    for (const said of [
      'Invoice',
      'INV-000042',
      '2026-12-01',
      '2026-11',
      'Lake Market',
      'Zürich',
      'Tax id CHE-1',
      'Łukasz Ωmega',
      'zai-org/GLM-4.7-Flash',
      '1,234',
      '56,789',
      '321',
      '12.00',
      '12.000000043001',
      '-12.000000043001',
      '12.999999956999',
      'Reverse charge.',
      'INV-000042, page 1 of 1',
    ]) {
      expect(page.split('\n')).toContain(said);
    }
  });

  test('is the same file each time, to the byte', async () => {
    const [one, two] = [await pdfOf(invoice(), fonts), await pdfOf(invoice(), documentFonts())];
    expect(one.equals(two)).toBe(true);
    expect((await pdfOf(invoice({ number: 'INV-000043' }), fonts)).equals(one)).toBe(false);
  });

  test('of a credit note names the invoice that it corrects', async () => {
    const { account: _account, ...rest } = invoice();
    const note: CreditNoteBody = {
      ...rest,
      document: 'credit-note',
      number: 'CN-000001',
      corrects: 'INV-000007',
      corrects_month: '2026-10',
    };
    expect(pdfText(await pdfOf(note, fonts))[0]).toContain('INV-000007 of 2026-10');
  });

  test('of a receipt says what came in, and what was given on top', async () => {
    const [page = ''] = pdfText(await pdfOf(receipt, fonts));
    for (const said of ['Receipt', 'REC-000007', '100 SWAN', '0.20', '2026-11-30 10:00:00']) {
      expect(page.split('\n')).toContain(said);
    }
  });

  test('goes on over pages, with the titles and the number on each', async () => {
    const lines = Array.from({ length: 100 }, (_, i) => line({ name: `model/${i}` }));
    const pages = pdfText(await pdfOf(invoice({ lines }), fonts));
    expect(pages.length).toBeGreaterThan(2);
    for (const [i, page] of pages.entries()) {
      expect(page).toContain(`INV-000042, page ${i + 1} of ${pages.length}`);
    }
    expect(pages.at(1)).toContain('Output tokens');
    const all = pages.join('\n').split('\n');
    for (const { name } of lines) expect(all).toContain(name);
  });

  test.each([
    ['writing in all directions', 'abc\u202Egpj.exe\u2066\u0000\u001b[31m'],
    ['characters without a glyph', '株式会社 🦢 𝔘𝔫𝔦 \ud800'],
    ['one endless word', 'W'.repeat(10_000)],
    ['commands of a PDF', '(x) Tj ET endstream endobj %%EOF << /S /JavaScript /JS (app.alert(1)) >>'],
    ['nothing', ''],
    ['blanks', '   \n\n  '],
    ['accents without end', `e${'\u0301'.repeat(5_000)}`],
  ])('stays a document with a name of %s', async (_what, name) => {
    const body = invoice({
      customer: { id: name, name },
      lines: [line({ name })],
    });
    const pdf = await pdfOf(body, fonts);
    const pages = pdfText(pdf);
    expect(pages).toHaveLength(1);
    expect(pages[0]).toContain('INV-000042');
    // oxlint-disable-next-line no-control-regex -- that is what must not be there
    expect(pages[0]).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u0000-\u0009\u001b]/);
    expect(pdf.toString('latin1')).not.toContain('/JavaScript (');
    expect(pdf.toString('latin1').match(/%%EOF/g)).toHaveLength(1);
  });

  test('is printed in a thread, as it is printed here', async () => {
    const press = new Press({ clock: systemClock, fontFile: undefined });
    const [one, two] = await Promise.all([press.print(invoice()), press.print(receipt)]);
    expect(one.equals(await pdfOf(invoice(), fonts))).toBe(true);
    expect(two.equals(await pdfOf(receipt, fonts))).toBe(true);
  });

  test('that cannot be printed is a fault of ours, and the next one is printed', async () => {
    const press = new Press({ clock: systemClock, fontFile: import.meta.filename });
    await expect(press.print(invoice())).rejects.toMatchObject({ code: 'internal' });
    const other = new Press({ clock: systemClock, fontFile: undefined });
    await expect(other.print(receipt)).resolves.toBeInstanceOf(Buffer);
  });
});

/** A reader of RFC 4180, on its own. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    row.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows.filter((each) => each.length > 1 || each[0] !== '');
}

describe('a table as CSV', () => {
  test('of an invoice has its lines and its total, exact', () => {
    const rows = readCsv(documentCsv(invoice({ lines: [line(), line({ name: 'b', amount_usd: '-0.5' })] })));
    expect(rows.map((row) => [row[5], row[6], row.at(-1)])).toEqual([
      ['kind', 'name', 'amount_usd'],
      ['usage', 'zai-org/GLM-4.7-Flash', '12.000000043001'],
      ['usage', 'b', '-0.50'],
      ['total', '', '12.000000043001'],
    ]);
  });

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '\rx', '＝1+1', '＋1', '－1', '＠x'])(
    'takes the formula out of the name %j',
    (name) => {
      const [, first] = readCsv(documentCsv(invoice({ customer: { id: 'con_1', name } })));
      expect(first?.[4]).toBe(`'${name}`);
    },
  );

  test('gives back every text that is no formula, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 2, maxLength: 5 }), (texts) => {
        const cells = texts.map((text) => `x${text}`);
        expect(readCsv(csvOf([cells]))).toEqual([cells]);
      }),
    );
  });
});

test('GPUs are added up by machine, and what nobody named stays apart', () => {
  const node = (about: object) => ({
    providerId: 'p',
    nodeId: 'n1',
    mode: 'websocket' as const,
    gpu: 'NVIDIA H100',
    gpus: 2,
    requests: 1,
    inputTokens: 0,
    outputTokens: 0,
    gross: 10n,
    earned: 6n,
    ...about,
  });
  expect(
    byGpu([
      node({}),
      node({ nodeId: 'n2', gpus: 1, gross: 90n }),
      node({ nodeId: 'ext', gpu: null, gpus: 0 }),
    ]),
  ).toEqual([
    { gpu: 'NVIDIA H100', nodes: 2, gpus: 3, requests: 2, revenue: 100n, earned: 12n, revenuePerGpu: 33n },
    { gpu: null, nodes: 1, gpus: 0, requests: 1, revenue: 10n, earned: 6n, revenuePerGpu: null },
  ]);
});
