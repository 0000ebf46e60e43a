/**
 * How long a recording is, as far as its bytes tell: the length of a WAV file follows from its header, of any other format
 * only bounds are known. A provider's own figure counts within these.
 */
export interface SoundLength {
  readonly secondsMin: number;
  readonly secondsMax: number;
}

/** The slowest speech codec in use (Opus at 6 kbit/s), and the fastest compressed one (MP3 at 320 kbit/s). */
const SLOWEST_BYTES_PER_SECOND = 750;
const FASTEST_BYTES_PER_SECOND = 40_000;

export function soundLength(file: Buffer): SoundLength {
  const exact = wavSeconds(file);
  if (exact !== undefined) return { secondsMin: exact, secondsMax: exact };
  return {
    secondsMin: Math.ceil(file.length / FASTEST_BYTES_PER_SECOND),
    secondsMax: Math.ceil(file.length / SLOWEST_BYTES_PER_SECOND),
  };
}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/** Seconds of an uncompressed WAV file (RIFF), each begun one counted; undefined for anything else. */
function wavSeconds(file: Buffer): number | undefined {
  if (
    file.length < 12 ||
    file.toString('latin1', 0, 4) !== 'RIFF' ||
    file.toString('latin1', 8, 12) !== 'WAVE'
  )
    return undefined;
  let bytesPerSecond: number | undefined;
  for (let at = 12; at + 8 <= file.length; ) {
    const name = file.toString('latin1', at, at + 4);
    const size = file.readUInt32LE(at + 4);
    const start = at + 8;
    if (name === 'fmt ' && start + 16 <= file.length) {
      const format = file.readUInt16LE(start);
      if (format !== PCM && format !== FLOAT && format !== EXTENSIBLE) return undefined;
      // Not the header's own bytes a second: a decoder goes by these two.
      bytesPerSecond = file.readUInt32LE(start + 4) * file.readUInt16LE(start + 12);
    } else if (name === 'data') {
      // A file that was streamed states no size, or the largest; what is there counts.
      const there = Math.min(size === 0 ? Number.POSITIVE_INFINITY : size, file.length - start);
      return bytesPerSecond ? Math.ceil(there / bytesPerSecond) : undefined;
    }
    at = start + size + (size % 2);
  }
  return undefined;
}
