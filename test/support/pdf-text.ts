import { inflateSync } from 'node:zlib';

/**
 * What a PDF of ours says, page by page, line by line: read as a viewer reads it, by the fonts' own maps from glyphs to
 * characters. It knows only what pdfkit writes.
 */
export function pdfText(pdf: Buffer): string[] {
  const objects = new Map<string, { head: string; stream: string }>();
  for (const [, id = '', body = ''] of pdf.toString('latin1').matchAll(/(\d+) 0 obj\n([\s\S]*?)\nendobj/g)) {
    const at = body.indexOf('stream\n');
    const raw = at < 0 ? '' : body.slice(at + 7, body.lastIndexOf('\nendstream'));
    const packed = Buffer.from(raw, 'latin1');
    const head = at < 0 ? body : body.slice(0, at);
    objects.set(id, {
      head,
      stream: head.includes('/FlateDecode') ? inflateSync(packed).toString('latin1') : raw,
    });
  }
  const refer = (head: string, name: string): string =>
    new RegExp(`/${name} (\\d+) 0 R`).exec(head)?.[1] ?? '';
  const kids = [...objects.values()].find(({ head }) => head.includes('/Type /Pages'))?.head ?? '';
  const pages = [...(/\/Kids \[([^\]]*)\]/.exec(kids)?.[1] ?? '').matchAll(/(\d+) 0 R/g)].map(
    ([, id]) => id ?? '',
  );
  return pages.map((id) => {
    const page = objects.get(id)?.head ?? '';
    const resources = objects.get(refer(page, 'Resources'))?.head ?? '';
    const fonts = new Map<string, string[]>();
    for (const [, name = '', font = ''] of resources.matchAll(/\/(F\d+) (\d+) 0 R/g)) {
      fonts.set(
        name,
        charactersOf(objects.get(refer(objects.get(font)?.head ?? '', 'ToUnicode'))?.stream ?? ''),
      );
    }
    let characters: string[] = [];
    const lines: string[] = [];
    for (const [, font, shown] of (objects.get(refer(page, 'Contents'))?.stream ?? '').matchAll(
      /\/(F\d+) [\d.]+ Tf|\[([^\]]*)\] TJ/g,
    )) {
      if (font !== undefined) characters = fonts.get(font) ?? [];
      else {
        const glyphs = [...(shown ?? '').matchAll(/<([0-9a-f]*)>/g)].flatMap(
          ([, hex = '']) => hex.match(/.{4}/g) ?? [],
        );
        lines.push(glyphs.map((glyph) => characters[Number.parseInt(glyph, 16)] ?? '?').join(''));
      }
    }
    return lines.join('\n');
  });
}

function charactersOf(map: string): string[] {
  const found: string[] = [];
  for (const [, first = '0', list = ''] of map.matchAll(/<([0-9a-f]+)> <[0-9a-f]+> \[([^\]]*)\]/g)) {
    for (const [i, [, hex = '']] of [...list.matchAll(/<([0-9a-f ]*)>/g)].entries()) {
      const units = hex.replaceAll(' ', '').match(/.{4}/g) ?? [];
      found[Number.parseInt(first, 16) + i] = String.fromCharCode(
        ...units.map((unit) => Number.parseInt(unit, 16)),
      );
    }
  }
  return found;
}
