import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
// oxlint-disable-next-line import/no-named-as-default -- its types have the default only
import PDFDocument from 'pdfkit';
import type { DocumentBody, InvoiceBody, Issuer } from '#wire/documents.ts';
import type { SlaReportBody } from '#wire/sla.ts';

/**
 * Documents on paper. Everything on it comes from the document's JSON, the dates too, so the same document is the same file,
 * byte for byte (as long as the library and the font stay the same). The font has Latin, Greek, Cyrillic and more; a
 * character that it lacks is a box, and stands as it is in CSV and JSON.
 */
export interface DocumentFonts {
  readonly plain: Buffer;
  readonly bold: Buffer;
}

/** The fonts that come with the market, or the operator's own for all of it. */
export function documentFonts(file?: string): DocumentFonts {
  if (file !== undefined) {
    const own = readFileSync(file);
    return { plain: own, bold: own };
  }
  const { resolve } = createRequire(import.meta.url);
  return {
    plain: readFileSync(resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf')),
    bold: readFileSync(resolve('dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf')),
  };
}

const TITLES = { invoice: 'Invoice', 'credit-note': 'Credit note', receipt: 'Receipt' } as const;
const LEFT = 56;
const RIGHT = 539;
const WIDTH = RIGHT - LEFT;
const BOTTOM = 770;
const INK = '#1a1a1a';
const FAINT = '#6b6b6b';
const RULE = '#c8c8c8';

/** A service level report, with whom it is from and for. */
export interface SlaPaper {
  readonly document: 'sla-report';
  readonly issuer: Issuer;
  readonly customer: { readonly id: string; readonly name: string };
  readonly report: SlaReportBody;
}

export async function pdfOf(body: DocumentBody | SlaPaper, fonts: DocumentFonts): Promise<Buffer> {
  return body.document === 'sla-report' ? await slaPdf(body, fonts) : await documentPdf(body, fonts);
}

async function documentPdf(body: DocumentBody, fonts: DocumentFonts): Promise<Buffer> {
  const paper = new Paper(headOf(body), fonts);
  paper.head();
  if (body.document === 'receipt') {
    const { deposit } = body;
    paper.table(
      [
        { title: 'Received', width: 0.62 },
        { title: 'Amount, USD', width: 0.38, right: true },
      ],
      [[`${METHODS[deposit.method]}, ${deposit.id}`, body.total_usd]],
    );
    paper.total('Total', body.total_usd, body.total_rounded_usd);
    paper.facts('Details', [
      ['Received (UTC)', moment(deposit.received_at)],
      ['Credited (UTC)', moment(deposit.booked_at)],
      ...(deposit.asset === 'USD' ? [] : [['Paid', `${deposit.amount} ${deposit.asset}`] as const]),
      ...(deposit.bonus_usd === '0.00' ? [] : [['Credited on top, USD', deposit.bonus_usd] as const]),
    ]);
  } else {
    paper.table(
      [
        { title: 'Item', width: 0.33 },
        { title: 'Requests', width: 0.12, right: true },
        { title: 'Input tokens', width: 0.16, right: true },
        { title: 'Output tokens', width: 0.17, right: true },
        { title: 'Amount, USD', width: 0.22, right: true },
      ],
      body.lines.map((line) => [
        `${nameOf(line)}${extras(line, body.month)}`,
        line.kind !== 'usage' ? '' : whole(line.count),
        line.kind !== 'usage' ? '' : whole(line.input_tokens),
        line.kind !== 'usage' ? '' : whole(line.output_tokens),
        line.amount_usd,
      ]),
    );
    paper.total('Total', body.total_usd, body.total_rounded_usd);
    if (body.document === 'invoice') paper.facts('Prepaid balance, USD', accountFacts(body));
  }
  paper.notes();
  return await paper.end();
}

async function slaPdf({ report, issuer, customer }: SlaPaper, fonts: DocumentFonts): Promise<Buffer> {
  const final = report.state === 'final';
  const paper = new Paper(
    {
      title: 'SLA report',
      number: `SLA-${report.month}`,
      issuedAt: report.made_at,
      issuer,
      customer,
      about: [
        ['Month (UTC)', report.month],
        ['State', report.state],
      ],
      notes: [
        final
          ? 'The credit was given to the prepaid balance.'
          : 'An estimate: the month is not closed, and nothing is credited yet.',
        ...(report.id === null ? [] : [`Report ${report.id}.`]),
        `Computed from the inputs with the digest ${report.inputs_digest}.`,
      ],
    },
    fonts,
  );
  const { terms } = report;
  paper.head();
  paper.facts('What was measured', [
    ['From (UTC)', moment(report.from)],
    ['Until', moment(report.until)],
    ['Minutes', whole(report.minutes)],
    ['Of them unavailable', whole(report.unavailable_minutes)],
    ['Of these excluded', whole(report.excluded_minutes)],
    ['Minutes that nobody measured, counted as available', whole(report.unmeasured_minutes)],
    ['Uptime', share(report.uptime_ppm)],
    [`Promised (${terms.name})`, share(terms.availability_ppm)],
  ]);
  if (report.unavailable.length > 0) {
    paper.table(STRETCHES, report.unavailable.slice(0, ROWS_MAX).map(stretch('Unavailable')));
  }
  if (report.slow_hours.length > 0) {
    paper.table(STRETCHES, report.slow_hours.slice(0, ROWS_MAX).map(stretch('First token too slow')));
  }
  if (report.exclusions.length > 0) {
    paper.table(
      [
        { title: 'Excluded', width: 0.22 },
        { title: 'From (UTC)', width: 0.2 },
        { title: 'Minutes', width: 0.12, right: true },
        { title: 'Evidence', width: 0.46 },
      ],
      report.exclusions
        .slice(0, ROWS_MAX)
        .map((each) => [
          each.kind,
          moment(each.from),
          each.refused === null ? whole(each.minutes) : '0',
          each.refused === null ? each.evidence : `Takes nothing out (${each.refused}). ${each.evidence}`,
        ]),
    );
  }
  paper.facts('Credit', [
    ['Paid for the month, USD', report.fee_usd],
    ['For availability', basis(report.availability_basis_points)],
    ['For latency', basis(report.latency_basis_points)],
    [`Together, at most ${basis(terms.cap_basis_points)}`, basis(report.basis_points)],
    ['Credit, USD', report.credit_usd],
  ]);
  paper.notes();
  return await paper.end();
}

/** Of one table of a report: the whole list is in its JSON. */
const ROWS_MAX = 500;
const STRETCHES = [
  { title: 'What', width: 0.4 },
  { title: 'From (UTC)', width: 0.3 },
  { title: 'Until', width: 0.3 },
];

function stretch(name: string): (each: { from: string; until: string }) => string[] {
  return ({ from, until }) => [name, moment(from), moment(until)];
}

/** Parts per million as a percentage, exact. */
function share(ppm: number): string {
  return `${Math.floor(ppm / 10_000)}.${(ppm % 10_000).toString().padStart(4, '0')} %`;
}

function basis(points: number): string {
  return `${points / 100} %`;
}

/** What stands at the top and at the end of a paper. */
interface PaperHead {
  readonly title: string;
  readonly number: string;
  readonly issuedAt: string;
  readonly issuer: Issuer;
  readonly customer: { readonly id: string; readonly name: string };
  readonly about: readonly (readonly [string, string])[];
  readonly notes: readonly string[];
}

function headOf(body: DocumentBody): PaperHead {
  return {
    title: TITLES[body.document],
    number: body.number,
    issuedAt: body.issued_at,
    issuer: body.issuer,
    customer: body.customer,
    about: [
      ...('month' in body ? [['Month (UTC)', body.month] as const] : []),
      ...('corrects' in body ? [['Corrects', `${body.corrects} of ${body.corrects_month}`] as const] : []),
    ],
    notes: [
      body.document === 'receipt'
        ? 'This payment was credited to the prepaid balance.'
        : body.document === 'invoice'
          ? 'Paid in full from the prepaid balance. Nothing is due.'
          : 'This amount was given back to the prepaid balance.',
      'Taxes are not computed on this document.',
    ],
  };
}

const METHODS = { card: 'Card', bank: 'Bank transfer', paypal: 'PayPal', crypto: 'Crypto transfer' } as const;

function nameOf({ kind, name }: { kind: string; name: string }): string {
  return kind === 'plan-fee' ? `Plan ${name}` : kind === 'sla-credit' ? 'Service level credit' : name;
}

/** What is told of a line beside its name: pieces, minutes, and the month where it is another. */
function extras(line: { units: number; seconds: number; month: string }, month: string): string {
  const parts = [
    ...(line.units > 0 ? [`${whole(line.units)} pieces`] : []),
    ...(line.seconds > 0 ? [`${whole(line.seconds)} s of sound`] : []),
    ...(line.month === month ? [] : [`of ${line.month}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

function accountFacts({ account }: InvoiceBody): (readonly [string, string])[] {
  return [
    ['At the beginning of the month', account.opening_usd],
    ...account.movements.map(
      ({ kind, count, amount_usd }) => [`${kind} (${whole(count)})`, amount_usd] as const,
    ),
    ['Charged on this invoice', `-${account.charged_usd}`.replace('--', '')],
    ...(account.credited_usd === '0.00'
      ? []
      : [['Given back by credit notes', account.credited_usd] as const]),
    ['At the end of the month', account.closing_usd],
  ];
}

interface Column {
  readonly title: string;
  /** Of the whole. */
  readonly width: number;
  readonly right?: boolean;
}

/** A page under the pen: where the next thing goes, and a new page when it does not fit. */
class Paper {
  readonly #pdf: PDFKit.PDFDocument;
  readonly #head: PaperHead;
  #y = LEFT;

  constructor(head: PaperHead, fonts: DocumentFonts) {
    const issuedAt = new Date(head.issuedAt);
    const title = `${head.title} ${head.number}`;
    this.#head = head;
    this.#pdf = new PDFDocument({
      size: 'A4',
      margin: 0,
      bufferPages: true,
      lang: 'en',
      info: { Title: title, Author: shown(head.issuer.name), CreationDate: issuedAt, ModDate: issuedAt },
    });
    this.#pdf.registerFont('plain', fonts.plain);
    this.#pdf.registerFont('bold', fonts.bold);
  }

  head(): void {
    const { title, issuer, customer, number, issuedAt } = this.#head;
    const half = WIDTH / 2 - 10;
    this.#write(title, { font: 'bold', size: 22, x: LEFT, width: half });
    const titleEnds = this.#y;
    this.#y = LEFT + 4;
    this.#write(shown(issuer.name), { font: 'bold', size: 10, x: RIGHT - half, width: half, align: 'right' });
    for (const line of [...issuer.address, ...(issuer.tax_id === null ? [] : [`Tax id ${issuer.tax_id}`])]) {
      this.#write(shown(line), { size: 9, x: RIGHT - half, width: half, align: 'right', color: FAINT });
    }
    this.#y = Math.max(this.#y, titleEnds) + 18;
    const about: (readonly [string, string])[] = [
      ['Number', number],
      ['Date', issuedAt.slice(0, 10)],
      ...this.#head.about,
    ];
    const top = this.#y;
    this.#write('Customer', { size: 8, x: LEFT, width: half, color: FAINT });
    this.#write(shown(customer.name), { font: 'bold', size: 10, x: LEFT, width: half, linesMax: 4 });
    this.#write(shown(customer.id), { size: 8, x: LEFT, width: half, color: FAINT, linesMax: 2 });
    const left = this.#y;
    this.#y = top;
    for (const [name, value] of about) {
      const y = this.#y;
      this.#write(name, { size: 9, x: RIGHT - half, width: half / 2, color: FAINT });
      this.#y = y;
      this.#write(shown(value), { size: 9, x: RIGHT - half / 2, width: half / 2, align: 'right' });
    }
    this.#y = Math.max(left, this.#y) + 20;
  }

  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    this.#row(
      columns,
      columns.map(({ title }) => title),
      'title',
    );
    for (const row of rows) {
      if (this.#y + this.#heightOf(columns, row) > BOTTOM) {
        this.#turn();
        this.#row(
          columns,
          columns.map(({ title }) => title),
          'title',
        );
      }
      this.#row(columns, row, 'plain');
    }
  }

  total(name: string, exact: string, rounded: string): void {
    this.#room(60);
    this.#y += 8;
    this.#pair(name, rounded === exact ? exact : rounded, { font: 'bold', size: 11 });
    if (rounded !== exact)
      this.#pair('Exact, before rounding to whole cents', exact, { size: 8, color: FAINT });
    this.#y += 12;
  }

  facts(title: string, rows: readonly (readonly [string, string])[]): void {
    this.#room(30 + rows.length * 14);
    this.#write(title, { font: 'bold', size: 9, x: LEFT, width: WIDTH });
    this.#y += 3;
    for (const [name, value] of rows) this.#pair(shown(name), shown(value), { size: 9 });
    this.#y += 12;
  }

  notes(): void {
    const { note } = this.#head.issuer;
    const notes = [...this.#head.notes, ...(note === null ? [] : [note])];
    this.#room(20 * notes.length);
    for (const each of notes)
      this.#write(shown(each), { size: 8, x: LEFT, width: WIDTH, color: FAINT, linesMax: 6 });
  }

  async end(): Promise<Buffer> {
    const { count } = this.#pdf.bufferedPageRange();
    for (let page = 0; page < count; page++) {
      this.#pdf.switchToPage(page);
      this.#pdf
        .font('plain')
        .fontSize(8)
        .fillColor(FAINT)
        .text(`${this.#head.number}, page ${page + 1} of ${count}`, LEFT, 800, {
          width: WIDTH,
          align: 'right',
          lineBreak: false,
        });
    }
    const parts: Buffer[] = [];
    const done = new Promise<Buffer>((resolve, reject) => {
      this.#pdf.on('data', (part: Buffer) => parts.push(part));
      this.#pdf.on('end', () => resolve(Buffer.concat(parts)));
      this.#pdf.on('error', reject);
    });
    this.#pdf.end();
    return await done;
  }

  #pair(name: string, value: string, style: { font?: 'plain' | 'bold'; size: number; color?: string }): void {
    const y = this.#y;
    this.#write(name, { ...style, x: LEFT, width: WIDTH * 0.55 });
    const left = this.#y;
    this.#y = y;
    this.#write(value, { ...style, x: LEFT + WIDTH * 0.55, width: WIDTH * 0.45, align: 'right' });
    this.#y = Math.max(left, this.#y);
  }

  #row(columns: readonly Column[], cells: readonly string[], kind: 'title' | 'plain'): void {
    const top = this.#y + 5;
    const height = this.#heightOf(columns, cells);
    let x = LEFT;
    for (const [i, column] of columns.entries()) {
      this.#y = top;
      const last = i === columns.length - 1;
      this.#write(shown(cells[i] ?? ''), {
        font: kind === 'title' ? 'bold' : 'plain',
        size: SMALL,
        x,
        width: column.width * WIDTH - (last ? 0 : GAP),
        align: column.right ? 'right' : 'left',
        linesMax: CELL_LINES_MAX,
      });
      x += column.width * WIDTH;
    }
    this.#y = top + height - 5;
    this.#pdf
      .moveTo(LEFT, this.#y)
      .lineTo(RIGHT, this.#y)
      .lineWidth(kind === 'title' ? 1 : 0.5)
      .strokeColor(kind === 'title' ? INK : RULE)
      .stroke();
  }

  #heightOf(columns: readonly Column[], cells: readonly string[]): number {
    // In bold, which is wider: so a row of titles fits as well.
    this.#pdf.font('bold').fontSize(SMALL);
    const lines = cells.map(
      (cell, i) =>
        this.#wrapped(
          this.#drawable(shown(cell).slice(0, CHARS_MAX)),
          (columns[i]?.width ?? 1) * WIDTH - GAP,
          CELL_LINES_MAX,
        ).length,
    );
    return Math.max(1, ...lines) * this.#pdf.currentLineHeight(true) + 10;
  }

  #write(
    text: string,
    how: {
      font?: 'plain' | 'bold';
      size: number;
      x: number;
      width: number;
      align?: 'left' | 'right';
      color?: string;
      linesMax?: number;
    },
  ): void {
    const pdf = this.#pdf
      .font(how.font ?? 'plain')
      .fontSize(how.size)
      .fillColor(how.color ?? INK);
    const height = pdf.currentLineHeight(true);
    const drawn = this.#drawable(text.slice(0, CHARS_MAX));
    for (const line of this.#wrapped(drawn, how.width, how.linesMax ?? 3)) {
      const indent = how.align === 'right' ? how.width - pdf.widthOfString(line) : 0;
      pdf.text(line, how.x + indent, this.#y, { lineBreak: false });
      this.#y += height;
    }
    this.#y += 2;
  }

  /**
   * `text` in lines of at most `width` in the font at hand, and at most `linesMax` of them; what does not fit ends in an
   * ellipsis. A word that is longer than a line is broken, so that nobody's name reaches into another column.
   */
  #wrapped(text: string, width: number, linesMax: number): string[] {
    const fits = (line: string): boolean => this.#pdf.widthOfString(line) <= width;
    const lines: string[] = [];
    let line = '';
    let rest = charactersOf(text);
    while (rest.length > 0) {
      let end = 0;
      while (end < rest.length && fits(line + rest[end])) line += rest[end++];
      if (end === rest.length) break;
      // Back to the last space of the line, where it has one; at least one character is taken.
      const space = line.lastIndexOf(' ');
      const kept = space > 0 ? line.slice(0, space) : line === '' ? (rest[0] as string) : line;
      const left = space > 0 ? charactersOf(line.slice(space + 1)) : [];
      rest = [...left, ...rest.slice(line === '' ? 1 : end)];
      line = '';
      if (lines.length === linesMax - 1) return [...lines, this.#ended(kept, fits)];
      lines.push(kept);
      while (rest[0] === ' ') rest.shift();
    }
    return line === '' ? lines : [...lines, line];
  }

  /** A box for each character that the font lacks: the library would draw one too, and leave a NUL for who copies it. */
  #drawable(text: string): string {
    const { _font } = this.#pdf as unknown as {
      _font?: { font?: { hasGlyphForCodePoint?(codePoint: number): boolean } };
    };
    const font = _font?.font;
    if (!font?.hasGlyphForCodePoint) return text;
    let drawn = '';
    for (const character of text) {
      drawn += font.hasGlyphForCodePoint(character.codePointAt(0) ?? 0) ? character : '□';
    }
    return drawn;
  }

  #ended(line: string, fits: (line: string) => boolean): string {
    const characters = charactersOf(line);
    while (characters.length > 0 && !fits(`${characters.join('')}…`)) characters.pop();
    return `${characters.join('')}…`;
  }

  /** A new page where less than `height` is left of this one. */
  #room(height: number): void {
    if (this.#y + height > BOTTOM) this.#turn();
  }

  #turn(): void {
    this.#pdf.addPage();
    this.#y = LEFT;
  }
}

const SMALL = 8.5;
const GAP = 6;
const CELL_LINES_MAX = 3;
/** Of one text; longer ones are cut whatever the width. */
const CHARS_MAX = 400;

/** A stranger's text as it may stand on paper: nothing that is invisible or turns the direction of writing. */
function shown(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '');
}

/** As people count characters: an accent stays with its letter. */
function charactersOf(text: string): string[] {
  return Array.from(SEGMENTER.segment(text), ({ segment }) => segment);
}

const SEGMENTER = new Intl.Segmenter('en');

function whole(count: number): string {
  return count.toLocaleString('en-US');
}

function moment(text: string): string {
  return text.slice(0, 19).replace('T', ' ');
}
