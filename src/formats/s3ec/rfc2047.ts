/**
 * Metadata that is not plain ASCII. S3 gives it back as the encoded words of RFC 2047, and what it encodes so are the
 * bytes of UTF-8 each taken for a character of Latin-1. Both are undone here.
 */

const WORD = /=\?[^?]+\?([BbQq])\?([^?]*)\?=/g;
/** Between neighbouring words, where it means nothing. */
const GAP = /(\?=)\s+(?==\?)/g;
const LATIN = /[\u0080-\u00ff]+/g;

/** The text as it was given to S3. What is neither stays as it is. */
export function decodeMetadataText(text: string): string {
  const words = text.replace(GAP, '$1').replace(WORD, (_word, encoding: string, encoded: string) => {
    return encoding.toUpperCase() === 'B' ? Buffer.from(encoded, 'base64').toString() : decodeQuoted(encoded);
  });
  return words.replace(LATIN, (run) => {
    const decoded = Buffer.from(run, 'latin1').toString();
    return decoded.includes('\ufffd') ? run : decoded;
  });
}

function decodeQuoted(encoded: string): string {
  const bytes = encoded
    .replaceAll('_', ' ')
    .replace(/=([0-9A-Fa-f]{2})/g, (_code, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}
