const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const DATA = Buffer.from('data');
const NOTHING = Buffer.alloc(0);

/**
 * Reads a stream of server-sent events from pieces of bytes, cut anywhere, and hands on the data of each event (several
 * `data:` lines joined by a line feed). Comments, `event:`, `id:` and `retry:` lines are passed over. Lines end with LF,
 * CR LF or CR. What is handed on is a view of the piece where an event lies within one, so that nothing is copied.
 *
 * Format: WHATWG HTML, section 9.2, with one difference: an event that the end of the stream leaves without its empty line
 * is handed on, because model servers exist that forget it.
 */
export class SseReader {
  readonly #each: (data: Buffer) => void;
  readonly #eventBytesMax: number;
  /** The beginning of a line that is not complete yet. */
  #parts: Buffer[] = [];
  /** The data lines of an event that is not complete yet. */
  #data: Buffer[] = [];
  #keptBytes = 0;
  #afterReturn = false;
  #first = true;

  constructor(each: (data: Buffer) => void, limits: { eventBytesMax: number }) {
    this.#each = each;
    this.#eventBytesMax = limits.eventBytesMax;
  }

  /** Takes the next piece. False when an event exceeds the limit; nothing more can be read then. */
  push(piece: Buffer): boolean {
    const hasReturn = piece.includes(CARRIAGE_RETURN);
    let at = 0;
    while (at < piece.length) {
      if (this.#afterReturn) {
        this.#afterReturn = false;
        if (piece[at] === LINE_FEED) {
          at++;
          continue;
        }
      }
      let end = piece.indexOf(LINE_FEED, at);
      if (hasReturn) {
        const back = piece.indexOf(CARRIAGE_RETURN, at);
        if (back >= 0 && (end < 0 || back < end)) {
          end = back;
          this.#afterReturn = true;
        }
      }
      if (end < 0) {
        this.#keptBytes += piece.length - at;
        if (this.#keptBytes > this.#eventBytesMax) return false;
        this.#parts.push(piece.subarray(at));
        return true;
      }
      let line = piece.subarray(at, end);
      if (this.#parts.length > 0) {
        this.#parts.push(line);
        line = Buffer.concat(this.#parts);
        this.#parts = [];
      }
      at = end + 1;
      this.#line(line);
      if (this.#keptBytes > this.#eventBytesMax) return false;
    }
    return true;
  }

  /** The stream is over: hands on what its end left unfinished. */
  finish(): void {
    if (this.#parts.length > 0) this.#line(Buffer.concat(this.#parts));
    this.#parts = [];
    this.#line(NOTHING);
  }

  #line(whole: Buffer): void {
    // A byte order mark may precede the first line.
    const line =
      this.#first && whole[0] === 0xef && whole[1] === 0xbb && whole[2] === 0xbf ? whole.subarray(3) : whole;
    this.#first = false;
    if (line.length === 0) {
      const data = this.#data;
      this.#keptBytes = 0;
      if (data.length === 0) return;
      this.#data = [];
      this.#each(data.length === 1 ? (data[0] as Buffer) : joined(data));
      return;
    }
    if (line.length < DATA.length || line.compare(DATA, 0, DATA.length, 0, DATA.length) !== 0) return;
    if (line.length === DATA.length) this.#data.push(NOTHING);
    else if (line[DATA.length] === COLON) {
      const start = line[DATA.length + 1] === SPACE ? DATA.length + 2 : DATA.length + 1;
      this.#data.push(line.subarray(start));
      this.#keptBytes += line.length;
    }
  }
}

function joined(lines: Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [Buffer.of(LINE_FEED), line])));
}
