/**
 * How the S3 Encryption Clients seal an object's bytes. All of an object is one message; what must be known to open it
 * stands in the object's metadata or in a file beside it (header.ts). Ids and names are of AWS's specification.
 */

export interface Suite {
  id: number;
  /** As the specification spells it. */
  name: string;
  /** What metadata and wrapped data keys call it. */
  contentAlgorithm: string;
  /** Bytes that are new with every object: the message id, or in older suites the IV itself. */
  messageIdSize: 28 | 12 | 16;
  /** Bytes of the commitment to the key; 0 where there is none. */
  commitmentSize: 28 | 0;
  /** Bytes of the authentication tag at the object's end; 0 where nothing authenticates it. */
  tagSize: 16 | 0;
}

/** A key derived for the object, which its metadata commits to. What we write where nobody asked for less. */
export const COMMITTING_SUITE: Suite = {
  id: 0x0073,
  name: 'ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY',
  contentAlgorithm: '115',
  messageIdSize: 28,
  commitmentSize: 28,
  tagSize: 16,
};

/** The data key itself seals, and so it must serve no other object. For readers that know no better. */
export const GCM_SUITE: Suite = {
  id: 0x0072,
  name: 'ALG_AES_256_GCM_IV12_TAG16_NO_KDF',
  contentAlgorithm: 'AES/GCM/NoPadding',
  messageIdSize: 12,
  commitmentSize: 0,
  tagSize: 16,
};

/** Nothing tells whether such an object was changed. Read only, and only where that is wanted. */
export const CBC_SUITE: Suite = {
  id: 0x0070,
  name: 'ALG_AES_256_CBC_IV16_NO_KDF',
  contentAlgorithm: 'AES/CBC/PKCS5Padding',
  messageIdSize: 16,
  commitmentSize: 0,
  tagSize: 0,
};
