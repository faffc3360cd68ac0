/** The formats by their names: AWS's Encryption SDK, and its S3 Encryption Client. The first is the default. */

export const FORMATS = ['esdk', 's3ec'] as const;

/** One of FORMATS. */
export type Format = (typeof FORMATS)[number];
